"""CloudWatch's PutMetricData, by the host's own identity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from service.telemetry.push import Minute

SERVICE = "rag-platform"
MOST_VALUES = 150  # that one metric of a call may carry
# Tried once: the next minute is the next try.
ONCE = Config(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 1})
REFUSED = {  # however often they are sent
    "InvalidParameterCombination",
    "InvalidParameterValue",
    "MissingRequiredParameter",
    "MissingParameter",
    "ValidationError",
}


class CloudWatch:
    """MinuteWriter over one namespace; every number is the service's, the sign of life is the host's too."""

    def __init__(self, namespace: str, *, host: str, region: str | None) -> None:
        self._namespace = namespace
        self._host = host
        self._region = region
        self._client: Any = None

    def write(self, minutes: Sequence[Minute]) -> None:
        """Send them; blocks.

        Raises:
            OSError: no answer, no credentials, or no permission yet.
            ValueError: CloudWatch refuses these.
        """
        data = [datum for minute in minutes for datum in self._data(minute)]
        try:
            self._open().put_metric_data(Namespace=self._namespace, MetricData=data)
        except ClientError as exc:
            code = exc.response.get("Error", {}).get("Code", "an error")
            if code in REFUSED:
                raise ValueError(f"CloudWatch answered {code}") from exc
            raise OSError(
                f"CloudWatch answered {code}; the edge's role needs cloudwatch:PutMetricData in {self._namespace}"
            ) from exc
        except BotoCoreError as exc:
            raise OSError(f"no answer from CloudWatch ({type(exc).__name__})") from exc

    def _open(self) -> Any:  # noqa: ANN401 - boto3 makes its clients at run time
        """Made at the first call: a host that is offline may find no credentials when it starts."""
        if self._client is None:
            session = boto3.session.Session()
            session._session.set_default_client_config(ONCE)  # noqa: SLF001 - STS, which renews the role, has no other way
            self._client = session.client("cloudwatch", region_name=self._region, config=ONCE)
        return self._client

    def _data(self, minute: Minute) -> Iterator[dict[str, Any]]:
        service = [{"Name": "Service", "Value": SERVICE}]
        of = {"Timestamp": minute.at, "Dimensions": service}
        yield {
            **of,
            "MetricName": "heartbeat",
            "Value": 1,
            "Unit": "Count",
            "Dimensions": [*service, {"Name": "Host", "Value": self._host}],
        }
        for name, count in minute.counts.items():
            yield {**of, "MetricName": name, "Value": count, "Unit": "Count"}
        latencies = sorted(minute.latencies.items())
        for first in range(0, len(latencies), MOST_VALUES):
            values, counts = zip(*latencies[first : first + MOST_VALUES], strict=True)
            yield {
                **of,
                "MetricName": "total_latency_ms",
                "Unit": "Milliseconds",
                "Values": list(values),  # not sums of them: these have percentiles
                "Counts": list(counts),
            }
