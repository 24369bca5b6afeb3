"""The stack files in the tree, and moving between topologies."""

import subprocess
from pathlib import Path

import pytest
import yaml

from infra.config import StackConfig, parse

ROOT = Path(__file__).parents[2]
IMAGE = "111122223333.dkr.ecr.eu-north-1.amazonaws.com/rag@sha256:" + "0" * 64


def stack_file(stack: str) -> dict[str, object]:
    return dict(yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"])


def second_phase(config: dict[str, object]) -> dict[str, object]:
    """What the user adds: the digest, the cluster's address and the encrypted secrets."""
    config["rag-platform:service"] = {**config["rag-platform:service"], "image": IMAGE}
    config["rag-platform:retrieval"] = {
        **config.get("rag-platform:retrieval", {}),
        "url": "https://vectors.example.com:6333",
    }
    config["rag-platform:secrets"] = {
        name: {"secure": "v1:ciphertext"} for name in ("openaiApiKey", "qdrantApiKey", "mongoUrl")
    }
    return config


@pytest.mark.parametrize("topology", ["ecs", "eks", "lambda", "hybrid"])
@pytest.mark.parametrize("stack", ["dev", "prod"])
@pytest.mark.parametrize("phase", [1, 2])
def test_switching_topology_alone_gives_a_valid_stack(stack: str, topology: str, phase: int) -> None:
    config = stack_file(stack) | {"rag-platform:topology": topology}
    cfg = parse(second_phase(config) if phase == 2 else config, stack=stack)
    assert cfg.topology == topology


def test_dev_is_small_and_prod_is_highly_available_and_protected() -> None:
    dev, prod = (parse(stack_file(stack), stack=stack) for stack in ("dev", "prod"))
    assert (dev.network.nat, dev.service.replicas.min, dev.service.replicas.max, dev.protect) == ("single", 1, 2, False)
    assert (prod.network.nat, prod.network.zones, prod.service.replicas.min, prod.protect) == ("per-zone", 3, 2, True)
    assert (prod.service.cpu, prod.service.memory_gib, prod.service.replicas.max) == (2, 4, 4)
    assert dev.development
    assert not prod.development


def test_no_committed_stack_file_is_tied_to_somebodys_passphrase() -> None:
    """`pulumi stack init dev` refuses any passphrase but the one whose salt is in the file."""
    salted = ["git", "grep", "--cached", "--name-only", "^encryptionsalt:", "--", "Pulumi.*.yaml"]
    done = subprocess.run(salted, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, ""), done.stderr  # 1: nothing found


def minimal(topology: str, **more: object) -> StackConfig:
    tree = {
        "topology": topology,
        "aws:region": "eu-north-1",
        "domain": {"name": "api.example.com", "zone": "example.com"},
    }
    return parse(tree | more, stack="acme")


def test_defaults_are_the_guides_production_values() -> None:
    cfg = minimal("ecs")
    assert (cfg.service.cpu, cfg.service.memory_gib, cfg.service.replicas.min, cfg.service.replicas.max) == (2, 4, 2, 4)
    assert (cfg.scaling.cpu_percent, cfg.scaling.memory_percent, cfg.scaling.requests_per_minute) == (70, 80, 1000)
    assert (cfg.generation.endpoint, cfg.generation.instance_type) == ("twin", "ml.g5.2xlarge")
    assert (cfg.monitoring.error_rate_percent, cfg.monitoring.p95_seconds) == (5, 10)
    assert (cfg.cache.ttl_seconds, cfg.retrieval.collections) == (3600, ("posts", "articles", "repos"))


def test_defaults_are_security_controls() -> None:
    cfg = minimal("ecs")
    assert not cfg.development
    assert cfg.protect
    assert cfg.access.waf
    assert (cfg.access.auth, cfg.access.docs, cfg.access.insecure_http, cfg.ecs.exec) == (
        "api-keys",
        False,
        False,
        False,
    )
    assert cfg.network.flow_logs
    assert cfg.eks.endpoint_public_cidrs == ()


def test_defaults_follow_the_topology() -> None:
    assert minimal("eks").service.replicas.max == 10
    assert minimal("eks").node_bounds.max == 11
    assert minimal("lambda").cache.redis == "none"
    assert minimal("ecs").cache.redis == "elasticache"
    assert minimal("hybrid").query_model.provider == "none"


@pytest.mark.parametrize(
    ("access", "names"), [({}, ["default"]), ({"keys": {}}, ["default"]), ({"keys": {"app": {}}}, ["default", "app"])]
)
def test_the_default_key_stays_when_another_caller_is_named(access: dict[str, object], names: list[str]) -> None:
    assert list(minimal("ecs", access=access).access.keys) == names


def test_hybrid_without_fallback_needs_no_region_no_domain_and_no_secret() -> None:
    cfg = parse({"topology": "hybrid", "hybrid": {"fallback": {"kind": "none"}}}, stack="local")
    assert (cfg.region, cfg.domain, cfg.secrets.openai_api_key) == (None, None, None)


def test_values_may_be_the_json_strings_that_the_engine_hands_over() -> None:
    cfg = parse(
        {
            "rag-platform:topology": "hybrid",
            "rag-platform:hybrid": '{"fallback": {"kind": "none"}, "edge": {"port": 9000}}',
            "rag-platform:protect": "false",
            "rag-platform:queryModel": "none",
        },
        stack="local",
    )
    assert (cfg.hybrid.edge.port, cfg.protect, cfg.query_model.provider) == (9000, False, "none")


def test_secrets_out_of_the_secret_store_are_accepted_and_never_shown() -> None:
    cfg = parse(
        {
            "topology": "hybrid",
            "hybrid": {"fallback": {"kind": "none"}},
            "secrets": '{"openaiApiKey": "sk-planted-0123456789"}',
        },
        stack="local",
        encrypted=frozenset({"secrets"}),
    )
    assert cfg.secrets.openai_api_key is not None
    assert "planted" not in repr(cfg)


def test_the_config_is_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        minimal("ecs").protect = False


def test_load_reads_the_map_of_the_engine() -> None:
    import pulumi.runtime

    from infra.config import load

    pulumi.runtime.set_all_config(
        {
            "rag-platform:topology": "hybrid",
            "rag-platform:hybrid": '{"fallback": {"kind": "none"}}',
            "rag-platform:secrets": '{"openaiApiKey": "sk-planted-0123456789"}',
        },
        ["rag-platform:secrets"],
    )
    try:
        assert load("local").secrets.openai_api_key is not None
    finally:
        pulumi.runtime.set_all_config({}, [])
