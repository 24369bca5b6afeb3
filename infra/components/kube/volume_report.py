"""Says how full a store's volume is, from beside the store: nothing that Kubernetes or its add-ons emit tells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infra.components.kube.pod import CONTAINER_SECURITY, sized
from infra.components.observability.metrics import SERVICE
from infra.config.platforms import Resources

if TYPE_CHECKING:
    from infra.components.kube.store_pods import Placed

SIZE = Resources(cpu=0.01, memoryGiB=0.03125)
# A line in the Embedded Metric Format each five minutes; `wait` is what a signal can end at once.
SCRIPT = """\
trap 'exit 0' TERM
while :; do
  set -- $(df -P "$VOLUME" | tail -n 1)
  printf '{"_aws":{"Timestamp":%s000,"CloudWatchMetrics":[{"Namespace":"%s","Dimensions":[["Service","Store"]],' \\
    "$(date +%s)" "$NAMESPACE"
  printf '"Metrics":[{"Name":"disk_used_percent","Unit":"Percent"}]}]},"Service":"%s","Store":"%s",' "$SERVICE" "$STORE"
  printf '"disk_used_percent":%s}\\n' "${5%%%}"
  sleep 300 & wait $!
done
"""


def volume_report(placed: Placed) -> dict[str, Any]:
    """A sidecar out of the store's own image, which has a shell and coreutils: no further image to trust."""
    told = {
        "NAMESPACE": placed.metrics,
        "SERVICE": SERVICE,
        "STORE": placed.kind,
        "VOLUME": placed.spec.data_path,
    }
    return {
        "name": "volume-report",
        "image": placed.image,
        "imagePullPolicy": "IfNotPresent",
        "restartPolicy": "Always",  # among the init containers that makes it a sidecar: it starts first, and ends last
        "command": ["sh", "-c", SCRIPT],
        "env": [{"name": name, "value": value} for name, value in sorted(told.items())],
        "resources": sized(SIZE, SIZE),
        "securityContext": CONTAINER_SECURITY,
        "volumeMounts": [{"name": "data", "mountPath": placed.spec.data_path, "readOnly": True}],
    }
