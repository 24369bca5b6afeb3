"""What fits on the nodes: the service at its most, an update, stores, and what the cluster runs for itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra import node_pool
from infra.errors import SizingError
from infra.node_pool import Share
from tests.infra.cloud_cases import config


def test_a_guide_sized_pod_fills_a_t3_medium() -> None:
    assert node_pool.pods_per_node("t3.medium", 1, 2) == 1
    assert node_pool.pods_per_node("t3.xlarge", 1, 2) == 3
    assert node_pool.nodes_for("t3.medium", [Share("service", 11, 1, 2), *node_pool.SYSTEM]) == 11


def test_a_pool_too_small_says_how_many_nodes_it_takes() -> None:
    wanted = [Share("service", 11, 1, 2), *node_pool.SYSTEM]
    with pytest.raises(SizingError, match=r"need 11 t3\.medium nodes, nodes\.max is 6"):
        node_pool.check("t3.medium", 6, wanted)
    assert node_pool.check("t3.medium", 11, wanted) == 11
    assert node_pool.check("x9.unknown", 1, wanted) == 0


def test_what_the_cluster_runs_for_itself_needs_room_too() -> None:
    """One node holds one pod of the service, and not all of the add-ons beside it."""
    assert node_pool.nodes_for("t3.medium", [Share("service", 1, 1, 2)]) == 1
    assert node_pool.nodes_for("t3.medium", [Share("service", 1, 1, 2), *node_pool.SYSTEM]) == 2


def test_self_hosted_stores_and_a_sidecar_are_counted() -> None:
    bare = config("prod", {"topology": "eks"})
    stores = config(
        "prod",
        {
            "topology": "eks",
            "retrieval": {"qdrant": "self-hosted", "selfHosted": {"instances": 3}},
            "documents": {"mongo": "self-hosted"},
            "cache": {"redis": "self-hosted"},
        },
    )
    names = {each.name: each.count for each in node_pool.shares(stores, 10)}
    assert {"qdrant", "mongo", "redis"} <= names.keys()
    assert (names["service"], names["qdrant"], names["mongo"]) == (11, 3, 1)
    assert stores.node_bounds.max >= bare.node_bounds.max
    sidecar = {"provider": "llamacpp", "model": "/m/x.gguf", "llamacpp": {"image": "r/l@sha256:" + "0" * 64}}
    beside = config("prod", {"topology": "eks", "generation": sidecar, "eks": {"nodes": {"instanceType": "t3.xlarge"}}})
    (service,) = [each for each in node_pool.shares(beside, 10) if each.name == "service"]
    assert (service.cpu, service.gib) == (2, 4)


@given(
    pods=st.integers(1, 200),
    cpu=st.floats(0.05, 1.4),
    gib=st.floats(0.05, 2.9),
    others=st.lists(st.tuples(st.integers(1, 5), st.floats(0.01, 1.0), st.floats(0.01, 2.0)), max_size=5),
)
def test_nodes_hold_what_is_laid_on_them_and_more_pods_never_need_fewer(
    pods: int, cpu: float, gib: float, others: list[tuple[int, float, float]]
) -> None:
    kind = "t3.medium"
    beside = [Share(f"other {n}", *each) for n, each in enumerate(others)]
    wanted = [Share("service", pods, cpu, gib), *beside]
    needed = node_pool.nodes_for(kind, wanted)
    free_cpu, free_gib, _ = node_pool.free(kind)
    assert sum(each.count * each.cpu for each in wanted) <= needed * free_cpu + 1e-6
    assert sum(each.count * each.gib for each in wanted) <= needed * free_gib + 1e-6
    assert needed <= sum(each.count for each in wanted)
    assert node_pool.check(kind, needed, wanted) == needed
    if needed > 1:
        with pytest.raises(SizingError, match=f"need {needed} "):
            node_pool.check(kind, needed - 1, wanted)
