"""A client of a cluster's API server, with limits, and its errors in opsctl's words."""

from __future__ import annotations

import json
import tempfile
from base64 import b64decode
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from kubernetes.config import kube_config
from kubernetes.config.config_exception import ConfigException
from urllib3.exceptions import HTTPError, MaxRetryError
from urllib3.exceptions import TimeoutError as LateError

from opsctl.aws.cluster import cluster_access
from opsctl.errors import CloudRefused, TimedOut

if TYPE_CHECKING:
    from collections.abc import Iterator

UNAUTHORIZED = {401, 403}
MISSING = 404
LATE = {408, 504}


@dataclass(frozen=True, slots=True)
class Apis:
    """The API of Deployments, of Jobs and of pods."""

    made: client.ApiClient
    apps: Any
    batch: Any
    core: Any

    @classmethod
    def of(cls, made: client.ApiClient) -> Self:
        """All over one client."""
        return cls(
            made,
            client.AppsV1Api(made),
            client.BatchV1Api(made),
            client.CoreV1Api(made),
        )

    def plain(self, model: Any) -> Any:  # noqa: ANN401 - the client's models carry no types
        """A model as the API spells it: dicts and lists, absent fields left out."""
        return self.made.sanitize_for_serialization(model)


@contextmanager
def api(region: str | None, cluster: str) -> Iterator[Apis]:
    """The cluster's API.

    A context of your kubeconfig that is called as the cluster wins, e.g. one that goes through a tunnel to a private
    API server; without one, the address and a token come from AWS.
    """
    if _has_context(cluster):
        with config.new_client_from_config(context=cluster) as own:
            yield Apis.of(own)
        return
    access = cluster_access(region, cluster)
    with tempfile.TemporaryDirectory() as folder:
        authority = Path(folder) / "authority.pem"
        authority.write_bytes(b64decode(access.authority))
        told = client.Configuration()
        told.host, told.ssl_ca_cert = access.endpoint, str(authority)
        told.api_key = {"authorization": f"Bearer {access.token}"}
        told.retries = False
        with client.ApiClient(told) as made:
            yield Apis.of(made)


@contextmanager
def kubeconfig(region: str | None, cluster: str) -> Iterator[tuple[list[str], dict[str, str]]]:
    """Words and environment by which kubectl finds the cluster, on the way that `api` takes.

    The token is in a file that only this user can read and that goes with the context, in no argument.

    Raises:
        CloudRefused, TimedOut
    """
    if _has_context(cluster):
        yield ["--context", cluster], {}
        return
    access = cluster_access(region, cluster)
    near = {"server": access.endpoint, "certificate-authority-data": access.authority}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": cluster,
        "clusters": [{"name": cluster, "cluster": near}],
        "users": [{"name": "me", "user": {"token": access.token}}],
        "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": "me"}}],
    }
    with tempfile.TemporaryDirectory() as folder:  # 0700
        file = Path(folder) / "config"
        file.write_text(json.dumps(document), encoding="utf-8")
        yield [], {"KUBECONFIG": str(file)}


def _has_context(name: str) -> bool:
    """Whether your kubeconfig has it, whichever context is the current one."""
    found = kube_config.KubeConfigMerger(kube_config.KUBE_CONFIG_DEFAULT_LOCATION).config
    contexts = found.safe_get("contexts") if found is not None else None
    return any(each.value["name"] == name for each in contexts or ())


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn the client's errors into opsctl's.

    Raises:
        CloudRefused, TimedOut
    """
    try:
        yield
    except ApiException as exc:
        if exc.status in LATE:
            raise _late(what) from exc
        raise CloudRefused(
            f"the cluster refused {what}: {exc.status} {_message(exc)}", next_step=_next_step(exc.status)
        ) from exc
    except ConfigException as exc:
        raise CloudRefused(f"your kubeconfig can't be used for {what}: {exc}", next_step="correct KUBECONFIG") from exc
    except HTTPError as exc:
        cause = exc.reason if isinstance(exc, MaxRetryError) else exc
        if isinstance(cause, LateError):
            raise _late(what) from exc
        raise CloudRefused(
            f"the cluster can't be asked about {what}: {cause}",
            next_step="check eks.endpointPublicCidrs and KUBECONFIG",
        ) from exc


def _late(what: str) -> TimedOut:
    return TimedOut(
        f"the cluster gave no answer about {what}",
        next_step="its API server is private: ask from its network, or allow yours in eks.endpointPublicCidrs",
    )


def _next_step(status: int | None) -> str:
    if status in UNAUTHORIZED:
        return "let an administrator add your role to eks.admins, or use the role that built the stack"
    if status == MISSING:
        return "run `pulumi refresh`, then deploy again"
    return "run the same command again"


def _message(exc: ApiException) -> str:
    """What the API server says in the Status that it answers with."""
    try:
        return str(json.loads(exc.body)["message"])
    except (TypeError, ValueError, KeyError):
        return str(exc.reason)
