"""The cloud half of hybrid: what is declared, who may do what, and when there is none."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from infra import offline
from infra.config import parse
from infra.errors import ConfigErrors
from infra.policies import pack
from infra.policies.rules import Resource
from tests.infra.cloud_cases import config, hold_to_golden, stack_file

if TYPE_CHECKING:
    from infra.offline import Declared, Program

ANCHOR = "arn:aws:rolesanywhere:eu-north-1:111122223333:trust-anchor/01234567-89ab-cdef-0123-456789abcdef"
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
HOST = {"kind": "roles-anywhere", "subjects": ["device-1", "device-2"]}
SERVICE = {"fallback": {"kind": "service", "url": "https://rag.example.com"}}
KEY = {"fallbackApiKey": {"secure": "planted-key"}}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "dev": ("dev", {}),
    "prod": ("prod", {}),
    "prod-service": ("prod", {"hybrid": SERVICE, "secrets": KEY}),
    "prod-certificates": (
        "prod",
        {"hybrid": {"edge": {"identity": {**HOST, "certificateAuthority": PEM}}}},
    ),
    "prod-no-bucket": ("prod", {"hybrid": {"bundle": {"bucket": False}}}),
}


def hybrid(stack: str = "prod", **more: Any) -> Program:
    return offline.declare(config(stack, {"topology": "hybrid", **more}))


def allowed(found: Program, role: str = "edge-policy") -> dict[str, Any]:
    document = json.loads(found.one("rolePolicy:RolePolicy", role).inputs["policy"])
    return {action: statement for statement in document["Statement"] for action in statement["Action"]}


def trust(found: Program) -> dict[str, Any]:
    (statement,) = json.loads(found.one("iam/role:Role", "-edge").inputs["assumeRolePolicy"])["Statement"]
    return dict(statement)


def cloud(found: Program) -> list[Declared]:
    return [each for each in found.resources if each.type.startswith(("aws:", "pulumi:providers:aws"))]


@pytest.mark.parametrize("case", CASES)
def test_resources_are_the_golden_ones(case: str) -> None:
    stack, more = CASES[case]
    found = hybrid(stack, **more)
    lines = [f"{resource.type} {resource.name}\n" for resource in found.resources if resource.custom]
    hold_to_golden(f"hybrid-{case}.txt", "".join(lines))


@pytest.mark.parametrize("case", CASES)
def test_a_hybrid_breaks_no_rule(case: str) -> None:
    stack, more = CASES[case]
    found = hybrid(stack, **more)
    provider = found.one("pulumi:providers:aws").inputs
    seen = [
        Resource(each.type, each.name, dict(each.inputs), pack.tags_of(each.inputs, provider))
        for each in found.resources
    ]
    assert pack.violations(seen) == []


@pytest.mark.parametrize(
    "block",
    [
        {"fallback": {"kind": "none"}},
        {"fallback": {"kind": "none"}, "bundle": {"bucket": False}},
        SERVICE,
    ],
)
def test_an_edge_alone_needs_no_account(block: dict[str, Any]) -> None:
    tree = {"topology": "hybrid", "hybrid": block}
    assert cloud(offline.declare(parse(tree, stack="dev"))) == []


def test_a_region_alone_gives_an_edge_a_bucket_and_a_word_takes_it_away() -> None:
    with_region = {"hybrid": {"fallback": {"kind": "none"}}}
    assert hybrid("dev", **with_region).outputs["bundle"] == {
        "bucket": "rag-platform-dev-bundles",
        "prefix": "bundles/",
    }
    without = hybrid("dev", hybrid={"fallback": {"kind": "none"}, "bundle": {"bucket": False}})
    assert cloud(without) == []
    assert without.outputs["bundle"] is None
    assert without.outputs["region"] is None


def test_a_bucket_needs_a_region() -> None:
    tree = {"topology": "hybrid", "hybrid": {"fallback": {"kind": "none"}, "bundle": {"bucket": True}}}
    with pytest.raises(ConfigErrors) as caught:
        parse(tree, stack="dev")
    (line,) = str(caught.value).splitlines()
    assert line.startswith("aws:region: ")
    assert "`pulumi config set --path hybrid.bundle.bucket false`" in line


def test_the_edge_may_read_bundles_count_and_invoke_its_fallback_and_nothing_else() -> None:
    may = allowed(hybrid())
    bucket = "arn:aws:s3:eu-north-1:111122223333:rag-platform-prod-bundles"
    assert {action: statement["Resource"] for action, statement in may.items()} == {
        "s3:GetObject": [f"{bucket}/bundles/*"],
        "s3:ListBucket": [bucket],
        "kms:Decrypt": ["arn:aws:kms:eu-north-1:111122223333:rag-platform-prod-key"],
        "sagemaker:InvokeEndpoint": [
            "arn:aws:sagemaker:eu-north-1:111122223333:endpoint/twin",
            "arn:aws:sagemaker:eu-north-1:111122223333:inference-component/twin-main",
        ],
        "sagemaker:InvokeEndpointWithResponseStream": may["sagemaker:InvokeEndpoint"]["Resource"],
        "cloudwatch:PutMetricData": ["*"],
    }
    assert may["cloudwatch:PutMetricData"]["Condition"] == {
        "StringEquals": {"cloudwatch:namespace": "rag-platform/prod"}
    }


def test_the_key_of_another_stacks_service_is_readable_by_the_edge_alone() -> None:
    found = hybrid(hybrid=SERVICE, secrets=KEY)
    may = allowed(found)
    assert may["secretsmanager:GetSecretValue"]["Resource"] == [found.outputs["secrets"]["fallbackApiKey"]]
    assert not [action for action in may if action.startswith("sagemaker:")]


def test_no_key_of_aws_is_made() -> None:
    for stack, more in CASES.values():
        found = hybrid(stack, **more)
        assert not [each.type for each in found.resources if "accessKey" in each.type or "iam/user" in each.type]


def test_without_a_word_the_account_says_who_may_be_an_edge() -> None:
    assert trust(hybrid())["Principal"] == {"AWS": "arn:aws:iam::111122223333:root"}


def test_a_named_principal_is_the_only_one() -> None:
    named = "arn:aws:iam::444455556666:role/edge-host"
    found = hybrid(hybrid={"edge": {"identity": {"principalArn": named}}})
    assert trust(found)["Principal"] == {"AWS": named}


def test_a_certificate_is_held_to_its_name_and_its_authority() -> None:
    found = hybrid(hybrid={"edge": {"identity": {**HOST, "certificateAuthority": PEM}}})
    anchor = found.one("rolesanywhere/trustAnchor:TrustAnchor")
    assert anchor.inputs["source"]["sourceData"]["x509CertificateData"] == PEM
    assert trust(found)["Condition"] == {
        "StringEquals": {
            "aws:PrincipalTag/x509Subject/CN": ["device-1", "device-2"],
            "aws:SourceAccount": "111122223333",
        },
        "ArnEquals": {"aws:SourceArn": "arn:aws:rolesanywhere:eu-north-1:111122223333:rag-platform-prod-edge"},
    }
    profile = found.one("rolesanywhere/profile:Profile")
    assert profile.inputs["roleArns"] == ["arn:aws:iam:eu-north-1:111122223333:rag-platform-prod-edge"]


def test_an_anchor_that_is_there_is_used() -> None:
    found = hybrid(hybrid={"edge": {"identity": {**HOST, "trustAnchorArn": ANCHOR}}})
    assert found.of("trustAnchor:TrustAnchor") == []
    assert trust(found)["Condition"]["ArnEquals"] == {"aws:SourceArn": ANCHOR}


def test_silence_and_too_many_answers_from_the_cloud_are_heard() -> None:
    found = hybrid(hybrid={"alarms": {"silentMinutes": 12, "fallbackPercent": 20}})
    silent = found.one("metricAlarm:MetricAlarm", "heartbeat-local").inputs
    assert (silent["evaluationPeriods"], silent["treatMissingData"]) == (3, "breaching")
    assert silent["dimensions"] == {"Service": "rag-platform", "Host": "local"}
    share = found.one("metricAlarm:MetricAlarm", "-fallback").inputs
    assert (share["threshold"], share["treatMissingData"]) == (20, "notBreaching")
    assert silent["alarmActions"] == share["alarmActions"] == [found.outputs["topics"]["warning"]]


def test_the_bundle_bucket_is_versioned_encrypted_and_reached_by_tls_only() -> None:
    found = hybrid(hybrid={"bundle": {"keepDays": 7}})
    name = "rag-platform-prod-bundles"
    assert found.one("bucketVersioning:BucketVersioning", f"{name}-versioning").inputs["versioningConfiguration"] == {
        "status": "Enabled"
    }
    rules = found.one("BucketServerSideEncryptionConfiguration", f"{name}-encryption").inputs["rules"]
    assert rules[0]["applyServerSideEncryptionByDefault"]["sseAlgorithm"] == "aws:kms"
    assert "aws:SecureTransport" in found.one("bucketPolicy:BucketPolicy", f"{name}-policy").inputs["policy"]
    (rule,) = found.one("BucketLifecycleConfiguration", f"{name}-lifecycle").inputs["rules"]
    assert rule["noncurrentVersionExpiration"] == {"noncurrentDays": 7}
    assert found.one("s3/bucket:Bucket", name).protect


def test_the_fallbacks_endpoint_needs_no_network() -> None:
    endpoint = hybrid().outputs["endpoint"]
    assert endpoint["roleArn"]
    assert endpoint["subnets"] is None
    assert endpoint["securityGroup"] is None


def test_the_stack_files_of_the_cloud_are_hybrids_by_one_word() -> None:
    for stack in ("dev", "prod"):
        tree = stack_file(stack) | {"topology": "hybrid"}
        found = offline.declare(parse(tree, stack=stack))
        assert found.outputs["topology"] == "hybrid"
        assert found.outputs["region"] == "eu-north-1"


def programs(found: Program) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in found.one("edge:EdgeService").inputs["programs"]}


def test_an_edge_is_told_how_it_gets_its_role_where_it_counts_and_what_it_is_called() -> None:
    found = hybrid("dev")
    (name,) = found.one("edge:EdgeFiles").inputs["files"]
    told = programs(found)["service"]["environment"]
    assert told["AWS_CONFIG_FILE"] == f".edge/dev/files/{name}"
    assert (told["AWS_PROFILE"], told["RAG_METRICS_PUSH"], told["RAG_HOST_NAME"]) == (
        "rag-edge",
        "rag-platform/dev",
        "local",
    )
    assert "role_arn = arn:aws:iam:eu-north-1:111122223333:rag-platform-dev-edge" in str(
        found.one("edge:EdgeFiles").inputs["files"][name]
    )
    assert not [key for key in told if "ACCESS_KEY" in key or "SESSION" in key]


def test_an_edge_looks_for_new_bundles_by_itself_where_there_is_a_bucket() -> None:
    sync = programs(hybrid("dev", hybrid={"bundle": {"checkMinutes": 5}, "index": {"minRecall": 0.9}}))["sync"]
    assert sync["args"][:2] == ["-m", "service.jobs.sync_bundle"]
    options = dict(zip(sync["args"][2::2], sync["args"][3::2], strict=True))
    assert (options["--bucket"], options["--prefix"]) == ("rag-platform-dev-bundles", "bundles/")
    assert (options["--every-s"], options["--min-recall"]) == ("300", "0.9")
    assert sync["environment"].keys() == {"AWS_CONFIG_FILE", "AWS_PROFILE"}
    assert "sync" not in programs(hybrid("dev", hybrid={"bundle": {"bucket": False}}))
    assert "sync" not in programs(hybrid("dev", hybrid={"fallback": {"kind": "none"}, "bundle": {"bucket": False}}))


def test_the_key_of_a_fallback_is_a_reference_in_the_cloud_and_a_private_file_without_one() -> None:
    found = hybrid("dev", hybrid=SERVICE, secrets=KEY)
    told = programs(found)["service"]["environment"]
    assert told["RAG_FALLBACK_API_KEY_FROM"] == found.outputs["secrets"]["fallbackApiKey"]
    alone = offline.declare(parse({"topology": "hybrid", "hybrid": SERVICE, "secrets": KEY}, stack="dev"))
    told = programs(alone)["service"]["environment"]
    assert told["RAG_FALLBACK_API_KEY_FROM"] == ".edge/dev/files/fallbackApiKey"
    assert alone.one("edge:EdgeFiles").inputs["files"] == {"fallbackApiKey": "planted-key"}
    for each in (*found.of("edge:EdgeService"), *alone.of("edge:EdgeService")):
        assert "planted" not in json.dumps(each.inputs["programs"])
    assert "AWS_PROFILE" not in told


def test_several_hosts_have_a_role_session_and_an_alarm_each() -> None:
    found = hybrid("dev", hybrid={"edge": {"hosts": ["local", "ssh://edge@device:2222"]}})
    assert [each.name for each in found.of("edge:EdgeFiles")] == [
        "rag-platform-dev-edge-device-2222-files",
        "rag-platform-dev-files",
    ]
    sessions = [str(each.inputs["files"]) for each in found.of("edge:EdgeFiles")]
    assert "role_session_name = dev-edge-device-2222" in sessions[0]
    assert "role_session_name = dev-local" in sessions[1]
    assert found.one("metricAlarm:MetricAlarm", "heartbeat-edge-device-2222")
    assert found.one("metricAlarm:MetricAlarm", "heartbeat-local")
