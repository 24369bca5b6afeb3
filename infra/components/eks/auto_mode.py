"""What EKS Auto Mode leaves to its user: the class of its Ingresses, and the switch of its network policies. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.components.kube.objects import Manifest, described

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pulumi

CLASS = "alb"
OF = "rag"


def enforced_policies() -> Manifest:
    """Its nodes can enforce network policies; until this says so, they are accepted and do nothing.

    https://docs.aws.amazon.com/eks/latest/userguide/auto-net-pol.html; the default NodeClass has `DefaultAllow`.
    """
    told = {"enable-network-policy-controller": "true"}
    return described("v1", "ConfigMap", "amazon-vpc-cni", namespace="kube-system", of=OF, data=told)


def ingress_classes(subnet_ids: Sequence[pulumi.Input[str]]) -> list[Manifest]:
    """The parameters, and the class that names them."""
    spec = {"scheme": "internet-facing", "subnets": {"ids": list(subnet_ids)}}
    parameters = {"apiGroup": "eks.amazonaws.com", "kind": "IngressClassParams", "name": CLASS}
    return [
        described("eks.amazonaws.com/v1", "IngressClassParams", CLASS, namespace=None, of=OF, spec=spec),
        described(
            "networking.k8s.io/v1",
            "IngressClass",
            CLASS,
            namespace=None,
            of=OF,
            spec={"controller": "eks.amazonaws.com/alb", "parameters": parameters},
        ),
    ]
