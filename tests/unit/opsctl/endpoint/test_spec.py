from __future__ import annotations

from typing import Any

import pytest

from infra.config import parse
from opsctl.endpoint.build import endpoint_spec
from opsctl.endpoint.engines import container_environment
from opsctl.endpoint.instances import takes_volume_key
from opsctl.endpoint.names import Names, fingerprint
from opsctl.endpoint.spec import BucketModel, Classic, HubModel, ScaleToZero, Vpc
from opsctl.errors import NotDeployed, NotUsable, StackNotFound
from opsctl.project import find_project
from opsctl.stack import Delivery, Endpoint
from opsctl.stack_config import read_stack_config
from tests.unit.opsctl.endpoint.specs import IMAGE

DELIVERY = Delivery(
    topology="ecs",
    region="eu-north-1",
    endpoint=Endpoint(
        name="twin",
        role_arn="arn:aws:iam::123456789012:role/execution",
        bucket="weights",
        subnets=("subnet-0a",),
        security_group="sg-0a",
    ),
    cost_tags={"stack": "dev"},
)


def config(**generation: Any) -> Any:
    keys = {"topology": "ecs", "generation": generation, "access": {"insecureHttp": True}}
    return parse({"aws:region": "eu-north-1", **{f"rag-platform:{key}": keys[key] for key in keys}}, stack="dev")


def test_the_spec_is_what_generation_and_the_outputs_say() -> None:
    spec = endpoint_spec(config(scaling={"min": 1, "max": 3}, contextTokens=2048), DELIVERY, IMAGE)
    assert spec.shape == Classic(1, 3)
    assert spec.source == HubModel("mlabonne/TwinLlama-3.1-8B-DPO")
    assert spec.vpc == Vpc(("subnet-0a",), ("sg-0a",))
    assert (spec.stack, spec.endpoint, spec.context_tokens, spec.isolated) == ("dev", "twin", 2048, False)
    assert spec.tags["rag-platform:stack"] == "dev"
    assert spec.tags["stack"] == "dev"


def test_a_minimum_of_none_is_scale_to_zero() -> None:
    assert endpoint_spec(config(scaling={"min": 0, "max": 2}), DELIVERY, IMAGE).shape == ScaleToZero(2)


def test_weights_in_the_bucket_cut_the_container_off_the_network() -> None:
    source = BucketModel("org/model", "s3://weights/models/org--model/")
    spec = endpoint_spec(config(), DELIVERY, IMAGE, source)
    assert spec.isolated
    assert container_environment(spec)["SM_VLLM_MODEL"] == "/opt/ml/model"
    assert container_environment(spec)["HF_HUB_OFFLINE"] == "1"


@pytest.mark.parametrize(
    ("generation", "delivery", "error", "said"),
    [
        ({"provider": "openai"}, DELIVERY, NotUsable, "through openai"),
        ({}, Delivery(topology="ecs"), NotDeployed, "pulumi up --stack dev"),
        ({"endpoint": "x" * 53}, DELIVERY, NotUsable, "at most 52"),
        ({"endpoint": "twin-"}, DELIVERY, NotUsable, "inner hyphens"),
    ],
)
def test_what_can_not_be_an_endpoint_is_refused(generation: Any, delivery: Any, error: Any, said: str) -> None:
    with pytest.raises(error, match=said):
        endpoint_spec(config(**generation), delivery, IMAGE)


def test_a_name_is_the_same_for_the_same_content_whatever_the_order() -> None:
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1}) != fingerprint({"a": 1, "b": 3})


def test_parts_are_told_from_those_of_an_endpoint_whose_name_begins_alike() -> None:
    names = Names("twin")
    assert names.is_hashed(names.hashed({"a": 1}))
    assert not names.is_hashed(Names("twin-b").hashed({"a": 1}))
    assert not names.is_hashed("twin-main")


@pytest.mark.parametrize(
    ("instance_type", "takes"),
    [("ml.g5.2xlarge", False), ("ml.p5.48xlarge", False), ("ml.m5d.large", False), ("ml.m5.large", True)],
)
def test_a_key_is_named_only_where_the_disk_is_not_the_instances_own(instance_type: str, *, takes: bool) -> None:
    assert takes_volume_key(instance_type) is takes


def test_the_shipped_stack_files_are_read() -> None:
    assert read_stack_config(find_project(), "dev").generation.scaling.min == 0
    with pytest.raises(StackNotFound, match=r"Pulumi.absent.yaml"):
        read_stack_config(find_project(), "absent")
