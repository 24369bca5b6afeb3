"""What `opsctl endpoint status` asks AWS. CloudWatch's free metrics are read, not the Cost Explorer, which is paid."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from opsctl.aws.components import ComponentAtAws
from opsctl.aws.endpoint_state import is_missing
from opsctl.aws.session import client, translated
from opsctl.endpoint.names import VARIANT, Names
from opsctl.endpoint.status import IDLE_HOURS, Observed

if TYPE_CHECKING:
    from opsctl.endpoint.spec import EndpointSpec

HOUR_S, DAY_S = 3600, 86400
MINUTES_PER_HOUR = 60


def observe(spec: EndpointSpec, component: str | None) -> Observed:
    """The endpoint, its copies, its alarms, and what CloudWatch counted.

    Raises:
        CloudRefused, TimedOut
    """
    names = Names(spec.endpoint)
    with translated(f"endpoint '{spec.endpoint}'"):
        try:
            said = client("sagemaker", spec.region).describe_endpoint(EndpointName=spec.endpoint)
        except ClientError as exc:
            if is_missing(exc):
                return Observed(None)
            raise
        cloudwatch = client("cloudwatch", spec.region)
        alarms = cloudwatch.describe_alarms(AlarmNames=list(names.alarms))["MetricAlarms"]
        variants = said.get("ProductionVariants", [])
        return Observed(
            status=said["EndpointStatus"],
            reason=said.get("FailureReason"),
            config=said.get("EndpointConfigName"),
            instances=sum(each.get("CurrentInstanceCount", 0) for each in variants),
            wanted_instances=sum(each.get("DesiredInstanceCount", 0) for each in variants),
            copies=ComponentAtAws.open(spec.region, component).copies() if component else None,
            alarms={each["AlarmName"]: each["StateValue"] for each in alarms},
            requests=_requests(cloudwatch, spec, component),
            instance_hours=_instance_hours(cloudwatch, spec),
        )


def _requests(cloudwatch: Any, spec: EndpointSpec, component: str | None) -> int | None:  # noqa: ANN401 - a boto3 client
    dimensions = {"InferenceComponentName": component} if component else _variant(spec)
    now = datetime.now(UTC)
    found = _samples(cloudwatch, "AWS/SageMaker", "Invocations", dimensions, now - timedelta(hours=IDLE_HOURS), "Sum")
    return None if found is None else int(found)


def _instance_hours(cloudwatch: Any, spec: EndpointSpec) -> Decimal | None:  # noqa: ANN401 - a boto3 client
    """Each instance sends one sample a minute while it runs, whatever scaling did."""
    month = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    found = _samples(cloudwatch, "/aws/sagemaker/Endpoints", "CPUUtilization", _variant(spec), month, "SampleCount")
    return None if found is None else Decimal(str(found)) / MINUTES_PER_HOUR


def _variant(spec: EndpointSpec) -> dict[str, str]:
    return {"EndpointName": spec.endpoint, "VariantName": VARIANT}


def _samples(
    cloudwatch: Any,  # noqa: ANN401 - a boto3 client
    namespace: str,
    metric: str,
    dimensions: dict[str, str],
    since: datetime,
    statistic: str,
) -> float | None:
    points = cloudwatch.get_metric_statistics(
        Namespace=namespace,
        MetricName=metric,
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        StartTime=since,
        EndTime=datetime.now(UTC),
        Period=HOUR_S if since > datetime.now(UTC) - timedelta(days=15) else DAY_S,  # 1,440 points at most
        Statistics=[statistic],
    )["Datapoints"]
    return sum(float(each[statistic]) for each in points) if points else None
