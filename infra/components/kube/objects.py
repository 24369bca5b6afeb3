"""Kubernetes objects in Kubernetes' own words: what a pure function spells is what is applied, rendered and scanned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pulumi

if TYPE_CHECKING:
    from collections.abc import Mapping

Manifest = dict[str, Any]
PART_OF = "rag-platform"


class KubeObject(pulumi.CustomResource):
    """One object, by the provider's general token for its kind.

    Attributes:
        status: what the cluster says of it; unknown until it is there.
    """

    status: pulumi.Output[Any]

    def __init__(self, name: str, manifest: Manifest, opts: pulumi.ResourceOptions) -> None:
        version = str(manifest["apiVersion"])
        token = f"kubernetes:{version if '/' in version else f'core/{version}'}:{manifest['kind']}"
        hidden = ["data", "stringData"] if manifest["kind"] == "Secret" else []
        merged = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(additional_secret_outputs=hidden))
        super().__init__(token, name, {**manifest, "status": None}, merged)


def labels(name: str, **more: str) -> dict[str, str]:
    """The labels that tools know, by which an object is found and selected."""
    return {"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": PART_OF, **more}


def selector(name: str) -> dict[str, str]:
    """The label by which pods are selected; never changes, since selectors can't."""
    return {"app.kubernetes.io/name": name}


def described(
    api: str,
    kind: str,
    name: pulumi.Input[str],
    *,
    namespace: pulumi.Input[str] | None,
    of: str,
    annotations: Mapping[str, pulumi.Input[str]] | None = None,
    **body: object,
) -> Manifest:
    """A manifest: kind, name and labels, then its own fields; a cluster-wide one has no namespace."""
    metadata: Manifest = {"name": name, "labels": labels(of)}
    metadata |= {"namespace": namespace} if namespace is not None else {}
    metadata |= {"annotations": dict(annotations)} if annotations else {}
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **body}
