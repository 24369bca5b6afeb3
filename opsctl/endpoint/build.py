"""From the stack config and the stack's outputs to the spec of its endpoint. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsctl.endpoint.names import ENDPOINT_TAG, STACK_TAG, Names
from opsctl.endpoint.spec import BucketModel, Classic, EndpointSpec, HubModel, ScaleToZero, Thresholds, Vpc
from opsctl.errors import NotDeployed, NotUsable

if TYPE_CHECKING:
    from infra.config import StackConfig
    from infra.config.values import BoundsFromZero
    from opsctl.endpoint.spec import Shape, Source
    from opsctl.stack import Delivery, Endpoint


def endpoint_spec(cfg: StackConfig, delivery: Delivery, image: str, source: Source | None = None) -> EndpointSpec:
    """The endpoint that `generation` of the stack config asks for.

    Args:
        cfg: the stack config.
        delivery: the stack's outputs: role, bucket, key and network.
        image: of the model server.
        source: where the weights are; None takes the hub, or the S3 prefix where the config's model is one.

    Raises:
        NotUsable: the stack doesn't answer through SageMaker.
        NotDeployed: the stack's outputs lack what an endpoint needs.
    """
    asked, given = cfg.generation, delivery.endpoint
    model = asked.model
    if asked.provider != "sagemaker" or model is None:
        raise NotUsable(
            f"stack '{cfg.stack}' answers through {asked.provider}, not through a SageMaker endpoint",
            next_step="set generation.provider to sagemaker",
        )
    region = delivery.region or cfg.region
    if given is None or given.role_arn is None or given.bucket is None or region is None:
        raise NotDeployed(
            f"stack '{cfg.stack}' has no role and bucket for an endpoint yet",
            next_step=f"build them: `pulumi up --stack {cfg.stack}`",
        )
    weights = source or _source(model)
    return EndpointSpec(
        stack=cfg.stack,
        endpoint=Names(asked.endpoint).endpoint,
        region=region,
        engine=asked.engine,
        image=image,
        source=weights,
        instance_type=asked.instance_type,
        shape=shape(asked.scaling),
        role_arn=given.role_arn,
        quantization=asked.quantization,
        context_tokens=asked.context_tokens,
        key_arn=given.key_arn,
        vpc=_vpc(given),
        isolated=isinstance(weights, BucketModel),
        thresholds=Thresholds(latency_s=cfg.service.deadline_seconds),
        tags=ownership(cfg.stack, asked.endpoint, delivery),
    )


def ownership(stack: str, endpoint: str, delivery: Delivery) -> dict[str, str]:
    """The tags of everything that an endpoint consists of: whose it is, and what the bill is split by."""
    return {**(delivery.cost_tags or {}), STACK_TAG: stack, ENDPOINT_TAG: endpoint}


def shape(bounds: BoundsFromZero) -> Shape:
    """What is scaled between `generation.scaling`: copies where it may be none, else instances."""
    return ScaleToZero(bounds.max) if bounds.min == 0 else Classic(bounds.min, bounds.max)


def _source(model: str) -> Source:
    return BucketModel(model, f"{model.rstrip('/')}/") if model.startswith("s3://") else HubModel(model)


def _vpc(given: Endpoint) -> Vpc | None:
    if not given.subnets or given.security_group is None:
        return None
    return Vpc(given.subnets, (given.security_group,))
