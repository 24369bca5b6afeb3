"""Which parts a stack has that can rest: one list per topology, here and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from opsctl.stack import Delivery
    from opsctl.standby.held import Held
    from opsctl.standby.part import Part

GROUP = "aws:autoscaling/group:Group"
HOST = "aws:ec2/instance:Instance"
NODE_GROUP = "aws:eks/nodeGroup:NodeGroup"
FUNCTION = "aws:lambda/function:Function"
WARM = "aws:lambda/provisionedConcurrencyConfig:ProvisionedConcurrencyConfig"
SCALED = "aws:appautoscaling/target:Target"
STORE_PODS = "kubernetes:apps/v1:StatefulSet"
AUTOSCALER = "kubernetes:autoscaling/v2:HorizontalPodAutoscaler"


def ecs(delivery: Delivery, held: Held) -> list[Part]:
    """Tasks before the instances that carry them."""
    from opsctl.aws.standby import Tasks  # noqa: PLC0415 - boto3 is paid when it is needed
    from opsctl.aws.standby_machines import Instances  # noqa: PLC0415

    found: list[Part] = []
    if delivery.cluster is not None and delivery.cluster.service is not None:
        found.append(Tasks(delivery.region, delivery.cluster.name, delivery.cluster.service))
    groups = [(str(each["name"]), int(each["minSize"])) for each in held.of(GROUP)]
    return [*found, *(Instances(delivery.region, name, fewest) for name, fewest in groups), *_stores(delivery, held)]


def eks(delivery: Delivery, held: Held) -> list[Part]:
    """Pods before the nodes that carry them: those of the service, then those of the stores."""
    from opsctl.aws.standby_machines import Nodes  # noqa: PLC0415 - boto3 is paid when it is needed
    from opsctl.kube.standby import Pods  # noqa: PLC0415

    found: list[Part] = []
    if delivery.cluster is not None and delivery.cluster.service is not None:
        namespace, _, name = delivery.cluster.service.partition("/")
        where = (delivery.region, delivery.cluster.name, namespace)
        fewest = max((int(each["spec"]["minReplicas"]) for each in held.of(AUTOSCALER)), default=1)
        found.append(Pods(*where, "deployment", name, fewest, "pods"))
        for each in held.of(STORE_PODS):
            kind = str(each["metadata"]["name"])
            found.append(Pods(*where, "stateful_set", kind, int(each["spec"].get("replicas", 1)), f"pods of {kind}"))
    for each in held.of(NODE_GROUP):
        size: dict[str, Any] = each["scalingConfig"]
        found.append(Nodes(delivery.region, each["clusterName"], each["nodeGroupName"], int(size["minSize"])))
    return found


def serverless(delivery: Delivery, held: Held) -> list[Part]:
    """The function: what is called costs, what is not costs nothing, but for instances that are kept warm."""
    from opsctl.aws.standby import Function  # noqa: PLC0415 - boto3 is paid when it is needed

    where = delivery.cluster
    if where is None or where.service is None:
        return _stores(delivery, held)
    said = (each.get("reservedConcurrentExecutions") for each in held.of(FUNCTION) if each["name"] == where.name)
    limit = next((int(number) for number in said if number is not None and int(number) >= 0), None)
    warm = sum(int(each["provisionedConcurrentExecutions"]) for each in held.of(WARM))
    scheduled = any(each["serviceNamespace"] == "lambda" for each in held.of(SCALED))
    return [
        Function(delivery.region, where.name, where.service, limit, warm, scheduled),
        *_stores(delivery, held),
    ]


def hybrid(delivery: Delivery, held: Held) -> list[Part]:
    """Edges run on machines that are there anyway, and go on."""
    del delivery, held
    return []


def _stores(delivery: Delivery, held: Held) -> list[Part]:
    from opsctl.aws.standby_machines import StoreHosts  # noqa: PLC0415 - boto3 is paid when it is needed

    ids = tuple(str(each["id"]) for each in held.of(HOST))
    return [StoreHosts(delivery.region, ids)] if ids else []


PARTS: dict[str, Callable[[Delivery, Held], list[Part]]] = {
    "ecs": ecs,
    "eks": eks,
    "lambda": serverless,
    "hybrid": hybrid,
}
