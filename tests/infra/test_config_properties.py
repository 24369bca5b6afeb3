"""Whatever a stack file holds: parse gives a config or says what is wrong, and says nothing else."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.config import StackConfig, parse
from infra.errors import ConfigErrors
from tests.infra.cloud_cases import second_phase, stack_file

TOP = sorted(
    {info.alias or name for name, info in StackConfig.model_fields.items()} | {"topologie", "aws:region", "pulumi:tags"}
)
WORDS = [
    "min", "max", "cpu", "memoryGiB", "replicas", "cidr", "zones", "allowedCidrs", "edge", "port", "provider", "model",
    "instanceType", "nodes", "secure", "redis", "qdrant", "url", "name", "zone", "0", "", "a.b", "a[0]", "openaiApiKey",
]  # fmt: skip
nameless = st.sampled_from([None, True, 7, 1.5, b"x"])  # what YAML reads as a key that is no text
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(
        ["none", "10.0.0.0/8", "*", "ecs", "{", "[1", "sk-aaaaaaaaaaaaaaaa", "true", "null", "\ud800", "\x00"]
    ),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS) | nameless, inner, max_size=4),
    max_leaves=8,
)
trees = st.dictionaries(st.sampled_from(TOP) | nameless, values, max_size=6)


def mistakes(tree: object, stack: str) -> ConfigErrors | None:
    """What is wrong with a tree; None where it is a config. Any other exception is a bug."""
    try:
        parse(tree, stack=stack)
    except ConfigErrors as exc:
        return exc
    return None


def assert_each_mistake_has_its_line(found: ConfigErrors | None) -> None:
    if found is None:
        return
    assert found.mistakes
    assert len(str(found).splitlines()) == len(found.mistakes)
    assert all(mistake.path and mistake.problem and mistake.fix for mistake in found.mistakes)
    assert "aaaaaaaaaaaaaaaa" not in str(found)


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(tree=trees | values, stack=st.sampled_from(["dev", "prod", "acme-1"]))
def test_any_tree_is_a_config_or_a_list_of_mistakes(tree: dict[Any, Any], stack: str) -> None:
    assert_each_mistake_has_its_line(mistakes(tree, stack))


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(key=st.sampled_from([key for key in TOP if key not in {"stack", "topologie"}]), value=values)
def test_one_wrong_section_in_a_good_stack_is_reported_for_itself_alone(key: str, value: Any) -> None:
    good = {**stack_file("prod"), **second_phase(), "service": {**second_phase()["service"]}}
    assert_each_mistake_has_its_line(mistakes({**good, key: value}, "prod"))


@settings(max_examples=200, deadline=None)
@given(
    topology=st.sampled_from(["ecs", "eks", "lambda", "hybrid"]),
    stack=st.sampled_from(["dev", "prod"]),
    cpu=st.integers(1, 100),
    ttl=st.integers(1, 10**6),
    zones=st.integers(2, 4),
    high=st.integers(4, 200),
)
def test_a_valid_stack_stays_valid_in_every_topology(
    topology: str, stack: str, cpu: int, ttl: int, zones: int, high: int
) -> None:
    tree = stack_file(stack) | {"scaling": {"cpuPercent": cpu}, "cache": {"ttlSeconds": ttl}}
    tree |= {"network": {"zones": zones}, "topology": topology}
    if stack == "prod":
        tree["service"] = {"replicas": {"max": high}}
    assert parse(tree, stack=stack).topology == topology
