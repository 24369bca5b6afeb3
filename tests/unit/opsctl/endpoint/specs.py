"""Specs that the tests of the endpoint begin with."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from opsctl.endpoint.names import ENDPOINT_TAG, STACK_TAG
from opsctl.endpoint.spec import Classic, EndpointSpec, HubModel, ScaleToZero, Vpc

IMAGE = "123456789012.dkr.ecr.eu-north-1.amazonaws.com/vllm:server-sagemaker-cuda-v1"

CLASSIC = EndpointSpec(
    stack="dev",
    endpoint="twin",
    region="eu-north-1",
    engine="vllm",
    image=IMAGE,
    source=HubModel("mlabonne/TwinLlama-3.1-8B-DPO"),
    instance_type="ml.g5.2xlarge",
    shape=Classic(1, 2),
    role_arn="arn:aws:iam::123456789012:role/execution",
    key_arn="arn:aws:kms:eu-north-1:123456789012:key/11111111-2222-3333-4444-555555555555",
    vpc=Vpc(("subnet-0a", "subnet-0b"), ("sg-0a",)),
    tags={"project": "rag-platform", STACK_TAG: "dev", ENDPOINT_TAG: "twin"},
)
ASLEEP = replace(CLASSIC, shape=ScaleToZero(1))


def changed(spec: EndpointSpec, **fields: Any) -> EndpointSpec:
    return replace(spec, **fields)
