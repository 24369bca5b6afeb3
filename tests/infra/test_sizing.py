"""Sizes: what exists and what fits, with the legal list in the refusal."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra import sizing
from infra.errors import SizingError


@pytest.mark.parametrize(
    ("cpu", "memory_gib", "units", "mib"),
    [
        (0.25, 0.5, 256, 512),
        (0.5, 4, 512, 4096),
        (1, 8, 1024, 8192),
        (2, 4, 2048, 4096),
        (4, 30, 4096, 30720),
        (8, 60, 8192, 61440),
        (16, 120, 16384, 122880),
    ],
)
def test_fargate_pairs_that_exist(cpu: float, memory_gib: float, units: int, mib: int) -> None:
    assert sizing.fargate_size(cpu, memory_gib) == sizing.FargateSize(units, mib)


@pytest.mark.parametrize(
    ("cpu", "memory_gib", "legal"),
    [
        (0.25, 4, "0.5, 1, 2"),
        (2, 3, "4, 5"),
        (2, 17, "15, 16"),
        (8, 17, "16, 20"),
        (16, 36, "32, 40"),
        (3, 8, "2, 4, 8"),
        (2, 4.5, "4, 5"),
    ],
)
def test_fargate_pairs_that_do_not_exist_are_refused_with_the_legal_ones(
    cpu: float, memory_gib: float, legal: str
) -> None:
    with pytest.raises(SizingError, match=legal):
        sizing.fargate_size(cpu, memory_gib)


def test_tasks_per_instance_leaves_room_for_the_agent() -> None:
    assert sizing.tasks_per_instance("t3.medium", 2, 4) == 0
    assert sizing.tasks_per_instance("t3.large", 2, 4) == 1
    assert sizing.tasks_per_instance("t3.xlarge", 1, 3) == 4


@pytest.mark.parametrize("memory_mib", [127, 10241, 0])
def test_lambda_memory_has_limits(memory_mib: int) -> None:
    with pytest.raises(SizingError, match="128 to 10240"):
        sizing.check_lambda_memory(memory_mib)


@pytest.mark.parametrize(
    ("model", "billions"),
    [
        ("mlabonne/TwinLlama-3.1-8B-DPO", 8.0),
        ("meta-llama/Llama-3.1-70B-Instruct", 70.0),
        ("Qwen/Qwen2.5-0.5B", 0.5),
        ("a/custom", None),
        ("b/model-4bit", None),
    ],
)
def test_parameters_are_read_off_the_name(model: str, billions: float | None) -> None:
    assert sizing.billions_of_parameters(model) == billions


def test_the_guides_model_fits_the_guides_gpu_and_70b_does_not() -> None:
    sizing.check_gpu_fit("mlabonne/TwinLlama-3.1-8B-DPO", "ml.g5.2xlarge", "none", 4096)
    with pytest.raises(SizingError, match=r"ml\.g5\.48xlarge"):
        sizing.check_gpu_fit("meta-llama/Llama-3.1-70B-Instruct", "ml.g5.2xlarge", "none", 4096)
    with pytest.raises(SizingError, match="usable"):
        sizing.check_gpu_fit("mlabonne/TwinLlama-3.1-8B-DPO", "ml.g4dn.xlarge", "none", 4096)
    sizing.check_gpu_fit("mlabonne/TwinLlama-3.1-8B-DPO", "ml.g4dn.xlarge", "awq", 4096)


@given(prefix=st.integers(16, 22), zones=st.integers(2, 4))
def test_subnets_are_apart_inside_and_stable(prefix: int, zones: int) -> None:
    vpc = ipaddress.IPv4Network(f"10.20.0.0/{prefix}")
    plan = sizing.subnet_plan(str(vpc), zones)
    networks = [ipaddress.IPv4Network(cidr) for cidr in plan.public + plan.private]
    assert len(networks) == 2 * zones
    assert all(network.subnet_of(vpc) for network in networks)
    assert not any(a.overlaps(b) for i, a in enumerate(networks) for b in networks[:i])
    assert all(network.num_addresses >= 32 for network in networks)  # a load balancer wants /27 with 8 free
    assert sizing.subnet_plan(str(vpc), 4).private[:zones] == plan.private
