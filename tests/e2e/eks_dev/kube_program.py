"""A program with the Kubernetes part of a stack alone: what a cluster does with it is shown in seconds, without AWS."""

from __future__ import annotations

import os
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from infra import config
from infra.components.kube.namespace import KubeNamespace
from infra.components.kube.stores import KubeStores, KubeStoresArgs
from infra.components.workload import Workload, WorkloadArgs
from tests.infra.kube_cases import front, site

FAULT = "KUBE_PROGRAM_FAULT"  # what a test asks for


def crashes(template: dict[str, Any]) -> None:
    """No pod becomes ready; the cluster's simulator reads it."""
    template["metadata"]["annotations"]["cloudlab/fault"] = "CrashLoopBackOff"


def is_root(template: dict[str, Any]) -> None:
    """Not what the namespace allows."""
    template["spec"]["securityContext"] = {"runAsUser": 0}
    template["spec"]["containers"][0]["securityContext"] = {"privileged": True}


FAULTS = {each.__name__: each for each in (crashes, is_root)}


def broken(args: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
    """The Deployment with the fault, and not much patience with pods that don't get ready."""
    if args.type_ != "kubernetes:apps/v1:Deployment":
        return None
    FAULTS[os.environ[FAULT]](args.props["spec"]["template"])
    if os.environ[FAULT] == crashes.__name__:
        args.props["spec"]["progressDeadlineSeconds"] = 5
    return pulumi.ResourceTransformationResult(args.props, args.opts)


def main() -> None:
    if os.environ.get(FAULT):
        pulumi.runtime.register_stack_transformation(broken)
    cfg = config.load(pulumi.get_stack())
    where, opts = site(cfg), pulumi.ResourceOptions(provider=k8s.Provider("kube"))
    made = KubeNamespace("rag", where, cfg, opts=opts)
    stores = KubeStores("rag", where, cfg, KubeStoresArgs(made.namespace, "arn:aws:kms:x:1:key/1"), opts=opts)
    args = WorkloadArgs(
        cfg=cfg,
        namespace=made.namespace,
        environment={"RAG_TOP_K": str(cfg.retrieval.top_k)},
        front=front(cfg),
        servers=list(stores.near.values()),
        internet=[443],
        after=[],
    )
    workload = Workload("rag", where, args, opts=opts)
    pulumi.export("revision", workload.revision)
    pulumi.export("hostname", workload.hostname)
