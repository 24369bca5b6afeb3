"""Self-hosted stores: data and address outlive the instance; several of Qdrant are one cluster behind one address."""

import itertools
import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any, ClassVar

import pytest
import redis

from infra import offline
from infra.components import store_copies
from infra.components.store_scripts import STORES
from tests import real_processes
from tests.infra.cloud_cases import config, program, second_phase

TYPES = ("t3.medium", "t3.large", "t3.xlarge")
TOKEN = "ab" * 32
SIZES = (1, 2, 5, 10)


def qdrant(**size: object) -> offline.Program:
    return program("prod", retrieval={"qdrant": "self-hosted", "selfHosted": size})


@pytest.fixture(scope="module")
def cluster() -> offline.Program:
    return qdrant(instances=5, replicas=3, shards=2)


def environment(declared: offline.Program) -> dict[str, str]:
    (service,) = json.loads(declared.one("TaskDefinition").inputs["containerDefinitions"])
    return {each["name"]: each["value"] for each in service["environment"]}


def addresses(declared: offline.Program) -> dict[str, str]:
    made = {each.name: offline.made_up_address(each.name) for each in declared.of("NetworkInterface")}
    return {name.removesuffix("-address"): address for name, address in made.items()}


def test_self_hosted_data_outlives_its_instance() -> None:
    declared = qdrant()
    volume = declared.one("ebs/volume:Volume")
    assert (volume.inputs["type"], volume.inputs["encrypted"], volume.protect, volume.retain) == (
        "gp3",
        True,
        True,
        True,
    )
    instance = declared.one("ec2/instance:Instance")
    assert instance.delete_before_replace
    assert instance.inputs["metadataOptions"]["httpTokens"] == "required"
    assert declared.one("dlm/lifecyclePolicy:LifecyclePolicy").inputs["state"] == "ENABLED"
    (address,) = addresses(declared).values()
    assert environment(declared)["QDRANT_CLOUD_URL"] == f"http://{address}:6333"


def test_no_instance_is_told_a_credential_or_passes_one_as_an_argument() -> None:
    stores = {"documents": {"mongo": "self-hosted"}, "cache": {"redis": "self-hosted"}}
    declared = program("prod", retrieval={"qdrant": "self-hosted"}, **stores)
    tokens = [each for each in declared.of("pulumi-python:dynamic:Resource") if each.name.endswith("-token")]
    assert len(tokens) == 3
    for instance in declared.of("ec2/instance:Instance"):
        script = instance.inputs["userData"]
        assert not [each for each in tokens if offline.made_up_token(each.name, each.inputs) in script]
        run = script[script.index("docker run") :]
        assert "$token" not in run


@pytest.mark.parametrize("kind", STORES)
def test_the_boot_script_is_sound_shell(kind: str) -> None:
    stores = {
        "retrieval": {"qdrant": "self-hosted"},
        "documents": {"mongo": "self-hosted"},
        "cache": {"redis": "self-hosted"},
    }
    script = program("prod", **stores).one("ec2/instance:Instance", f"{kind}-host").inputs["userData"]
    subprocess.run(["/bin/bash", "-n"], input=script, text=True, check=True)


def settings_file(kind: str, folder: Path) -> Path:
    """The file with the credential as the boot script writes it on the instance."""
    stores = {
        "retrieval": {"qdrant": "self-hosted"},
        "documents": {"mongo": "self-hosted"},
        "cache": {"redis": "self-hosted"},
    }
    script = program("prod", **stores).one("ec2/instance:Instance", f"{kind}-host").inputs["userData"]
    part = script[script.index("umask") : script.index("chown")].replace("/etc/store-settings", str(folder / kind))
    subprocess.run(["/bin/bash", "-eu"], input=f"token={TOKEN}\n{part}", text=True, check=True)
    return folder / kind


@pytest.mark.parametrize(
    ("kind", "written"),
    [("qdrant", f"QDRANT__SERVICE__API_KEY={TOKEN}"), ("mongo", TOKEN), ("redis", f"requirepass {TOKEN}")],
)
def test_a_store_reads_its_credential_from_a_file_that_nobody_else_may_read(
    kind: str, written: str, tmp_path: Path
) -> None:
    file = settings_file(kind, tmp_path)
    assert file.read_text().strip() == written
    assert file.stat().st_mode & 0o077 == 0


def test_a_real_server_takes_the_settings_and_asks_for_the_password(tmp_path: Path) -> None:
    settings, port = settings_file("redis", tmp_path), real_processes.free_port()
    options = [*shlex.split(STORES["redis"].command)[2:], "--port", str(port), "--bind", "127.0.0.1"]
    server = shutil.which("redis-server")
    assert server, "redis-server is not installed: apt-get install redis-server"
    with real_processes.running([server, str(settings), *options], port):
        with redis.Redis(port=port) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
        with redis.Redis(port=port, password=TOKEN) as service:
            assert service.ping()


def test_a_store_is_reached_by_the_service_alone() -> None:
    declared = qdrant()
    into = [
        each.inputs for each in declared.of("SecurityGroupIngressRule") if "qdrant" in each.inputs["securityGroupId"]
    ]
    assert [(each["referencedSecurityGroupId"], each["fromPort"]) for each in into] == [
        ("rag-platform-prod-tasks-id", 6333)
    ]


def test_a_host_reads_its_own_credential_only() -> None:
    policy = json.loads(qdrant().one("rolePolicy:RolePolicy", "qdrant-host-policy").inputs["policy"])
    (read,) = [each for each in policy["Statement"] if "secretsmanager:GetSecretValue" in each["Action"]]
    assert [arn.rpartition(":")[2] for arn in read["Resource"]] == ["rag-platform-prod-qdrant-token"]


def test_instances_and_volumes_are_spread_over_the_zones(cluster: offline.Program) -> None:
    zones = [each.inputs["availabilityZone"] for each in cluster.of("ebs/volume:Volume")]
    assert sorted(zones) == ["eu-north-1a"] * 2 + ["eu-north-1b"] * 2 + ["eu-north-1c"]
    assert len({each.inputs["volumeId"] for each in cluster.of("VolumeAttachment")}) == 5


def test_the_first_founds_the_cluster_and_the_others_join_it(cluster: offline.Program) -> None:
    known = addresses(cluster)
    for instance in cluster.of("ec2/instance:Instance"):
        name, script = instance.name.removesuffix("-host"), instance.inputs["userData"]
        assert f"--uri http://{known[name]}:6335" in script
        bootstrap = re.findall(r"--bootstrap http://(\S+):6335", script)
        assert bootstrap == ([] if name.endswith("qdrant") else [known["rag-platform-prod-qdrant"]])
        assert "REPLICATION_FACTOR=3" in script
        assert "SHARD_NUMBER_PER_NODE=2" in script


def test_only_the_instances_themselves_reach_the_consensus_port(cluster: offline.Program) -> None:
    into = [each.inputs for each in cluster.of("SecurityGroupIngressRule") if each.inputs["fromPort"] == 6335]
    assert [each["referencedSecurityGroupId"] for each in into] == [each["securityGroupId"] for each in into]
    assert len(into) == 1


def test_the_service_sees_one_inner_address_that_leaves_out_the_sick(cluster: offline.Program) -> None:
    balancer = cluster.one("LoadBalancer", "qdrant-front").inputs
    assert (balancer["internal"], balancer["loadBalancerType"]) == (True, "network")
    assert "qdrant-front" in environment(cluster)["QDRANT_CLOUD_URL"]
    assert cluster.one("TargetGroup", "qdrant-targets").inputs["healthCheck"]["path"] == "/readyz"
    targets = {each.inputs["targetId"] for each in cluster.of("TargetGroupAttachment")}
    assert targets == set(addresses(cluster).values())
    egress = [each.inputs for each in cluster.of("SecurityGroupEgressRule") if each.name.endswith("tasks-qdrant-out")]
    assert [each["referencedSecurityGroupId"] for each in egress] == ["rag-platform-prod-qdrant-front-id"]


def test_a_change_goes_from_one_instance_to_the_next(cluster: offline.Program) -> None:
    hosts = ["qdrant", *(f"qdrant-{number}" for number in range(1, 5))]
    for one, other in itertools.pairwise(hosts):
        follower = cluster.one("ec2/instance:Instance", f"{other}-host")
        assert cluster.one("VolumeAttachment", f"{one}-data").urn in follower.depends_on


@pytest.mark.parametrize("size", SIZES[1:])
def test_growing_leaves_the_first_instance_as_it_is(size: int) -> None:
    one, many = qdrant(), qdrant(instances=size)
    assert len(many.of("ec2/instance:Instance")) == size
    for kind, name in (("ec2/instance:Instance", "qdrant-host"), ("ebs/volume:Volume", "qdrant-data")):
        assert one.one(kind, f"prod-{name}").inputs == many.one(kind, f"prod-{name}").inputs


@pytest.mark.parametrize("instance_type", TYPES)
def test_the_vertical_ladder_is_one_key(instance_type: str) -> None:
    declared = qdrant(instanceType=instance_type)
    assert declared.one("ec2/instance:Instance").inputs["instanceType"] == instance_type


def test_a_graviton_instance_gets_an_image_of_its_architecture(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    answer = offline._Answers.call

    def note(self: offline._Answers, args: object) -> object:
        if "ssm" in args.token:  # type: ignore[attr-defined]
            asked.append(args.args["name"])  # type: ignore[attr-defined]
        return answer(self, args)  # type: ignore[arg-type]

    monkeypatch.setattr(offline._Answers, "call", note)
    qdrant(instanceType="t4g.medium")
    qdrant(instanceType="t3.medium")
    assert [name.rpartition("-")[2] for name in asked] == ["arm64", "x86_64"]


class TestCopies:
    """A store on instances is copied by hand into a bucket, by a task with a role of its own."""

    OWN: ClassVar[dict[str, Any]] = {
        "retrieval": {"qdrant": "self-hosted"},
        "documents": {"mongo": "self-hosted"},
        "cache": {"redis": "self-hosted"},
    }

    def test_the_task_may_read_and_write_copies_and_nothing_else(self) -> None:
        declared = program("prod", **self.OWN)
        made = declared.one("rag-platform:component:StoreCopies")
        (policy,) = [each for each in declared.of("iam/rolePolicy:RolePolicy") if "-copies" in each.name]
        actions = {
            action for statement in json.loads(policy.inputs["policy"])["Statement"] for action in statement["Action"]
        }
        assert actions == {
            "s3:PutObject",
            "s3:GetObject",
            "s3:AbortMultipartUpload",
            "secretsmanager:GetSecretValue",
            "kms:Decrypt",
            "kms:GenerateDataKey",
        }
        assert made.name == "rag-platform-prod"
        (role,) = [each for each in declared.of("iam/role:Role") if each.name.endswith("-copies")]
        assert "ecs-tasks.amazonaws.com" in role.inputs["assumeRolePolicy"]

    def test_a_cluster_of_qdrant_has_no_copy_by_one_address_and_keeps_those_that_there_are(self) -> None:
        three = {"retrieval": {"qdrant": "self-hosted", "selfHosted": {"instances": 3}}}
        assert len(program("prod", **three).of("component:StoreCopies")) == 1
        cfg = config("prod", second_phase(**{**self.OWN, **three}))
        assert (store_copies.kinds(cfg), store_copies.on_one_host(cfg)) == (["mongo", "qdrant"], ["mongo"])

    def test_vendors_stores_have_none(self) -> None:
        assert program("prod").of("component:StoreCopies") == []
