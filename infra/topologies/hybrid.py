"""Hybrid: an edge host answers from a local index and a local model; the cloud half stands behind it.

The edge is built by two dynamic resources (`infra.edge`), the cloud half by `infra.components.edge_cloud`: bundle
bucket, the edge's role, a fallback. It is imported where the config asks for it: an edge alone needs no SDK of AWS.
"""

from __future__ import annotations

import ipaddress
import math
from importlib.metadata import version
from typing import TYPE_CHECKING

import pulumi

from infra.delivery import Delivery, Logs, Release, promises
from infra.edge.bundle import EdgeBundle
from infra.edge.hosts.address import parse
from infra.edge.hosts.install import EdgeInstall, InstallArgs
from infra.edge.layout import host_home, stack_home
from infra.edge.service import EdgeService, ProgramArgs, ServiceArgs
from infra.errors import ConfigErrors, Mistake
from infra.service_environment import ServiceEnvironment, Wiring, edge_graceful_s, edge_model, service_environment
from infra.topologies.edge_link import Place, link

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pulumi_aws as aws

    from infra.components.edge_cloud import EdgeCloud
    from infra.config import StackConfig

LOOPBACK = "127.0.0.1"
FILES = "files"  # private ones, beside what runs
START_S = 300.0  # a model of several GB is read from a slow disk
STOP_MARGIN_S = 15  # requests in flight: deadline < graceful (5 s above it) < stop (20 s above it), then SIGKILL
LLAMA_STOP_S = 10


class HybridTopology(pulumi.ComponentResource):
    """Edge first, cloud behind it.

    Attributes:
        delivery: what the stack hands to the world.
    """

    delivery: Delivery

    def __init__(self, name: str, cfg: StackConfig, opts: pulumi.ResourceOptions | None = None) -> None:
        if mistakes := tuple(_unsupported(cfg)):
            raise ConfigErrors(mistakes)
        providers = [_provider(name, cfg)] if cfg.edge_cloud else []
        merged = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(providers=providers))
        super().__init__("rag-platform:topology:Hybrid", name, None, merged)
        url = _url(cfg.hybrid.edge.bind, cfg.hybrid.edge.port)
        cloud = self._cloud(name, cfg, providers[0]) if providers else None
        self._edge(name, cfg, url, cloud)
        self.delivery = Delivery(
            url=url,
            health_url=f"{url}/health",
            topology="hybrid",
            region=cfg.region if cloud else None,
            release=Release(revision=version("rag-platform")),
            logs=Logs(kind="files", selector=f"{stack_home(cfg.stack)}/run/logs/*.log"),
            dashboard_url=cloud.dashboard_url if cloud else None,
            secrets=cloud.secrets if cloud else None,
            topics=cloud.topics if cloud else None,
            jobs={
                "kind": "process",
                "command": ["python", "-m", "service.jobs.{job}"],
                "source": cfg.hybrid.edge.source,
                "hosts": list(cfg.hybrid.edge.hosts),
            },
            endpoint=cloud.endpoint if cloud else None,
            bundle=cloud.bundle if cloud else None,
            promises=promises(cfg),
            cost_tags={"project": "rag-platform", "stack": cfg.stack},
        )
        self.register_outputs({"url": url})

    def _cloud(self, name: str, cfg: StackConfig, provider: aws.Provider) -> EdgeCloud:
        from infra.components.edge_cloud import EdgeCloud, EdgeCloudArgs  # noqa: PLC0415 - see above
        from infra.components.foundation import site  # noqa: PLC0415

        args = EdgeCloudArgs(hosts=[host_name(host) for host in cfg.hybrid.edge.hosts])
        return EdgeCloud(name, cfg, site(cfg, provider), args, opts=pulumi.ResourceOptions(parent=self))

    def _edge(self, name: str, cfg: StackConfig, url: str, cloud: EdgeCloud | None) -> None:
        child = pulumi.ResourceOptions(parent=self)
        bundle = EdgeBundle(
            f"{name}-bundle",
            {
                "home": stack_home(cfg.stack),
                "source": cfg.hybrid.edge.source,
                "index": cfg.hybrid.index.type,
                "minRecall": cfg.hybrid.index.min_recall,
                "synced": cfg.bundle_bucket,
            },
            opts=child,
        )
        before: list[pulumi.Resource] = []
        for host in cfg.hybrid.edge.hosts:
            address = parse(host)
            own = name if address is None else f"{name}-{address.slug}"
            if address is None:
                place = Place(host, host_name(host), f"{stack_home(cfg.stack)}/{FILES}", bundle.path)
                args = edge_service(cfg, bundle.path, url)
            else:
                install = EdgeInstall(f"{own}-install", edge_install(cfg, host, bundle.path), opts=child)
                place = Place(
                    host, host_name(host), f"{host_home(cfg.stack)}/{FILES}", install.bundleHome, f"../{FILES}"
                )
                args = edge_service_at(cfg, host, install, url)
            tie = link(own, cfg, cloud, place, self)
            # One after the other: the engine goes on to the next host only when this one is healthy.
            after = pulumi.ResourceOptions(parent=self, depends_on=[*before, *tie.after])
            before = [EdgeService(f"{own}-service", tie.linked(args), opts=after)]


def host_name(host: str) -> str:
    """What a host is called in metrics: `ssh://user@device:22` is `user-device-22`."""
    address = parse(host)
    return address.slug if address else host


def _provider(name: str, cfg: StackConfig) -> aws.Provider:
    from infra.components.foundation import provider  # noqa: PLC0415 - as `_cloud`

    return provider(name, cfg)


def edge_install(cfg: StackConfig, host: str, bundle_path: pulumi.Input[str]) -> InstallArgs:
    """What is brought to a host."""
    return {
        "host": host,
        "home": host_home(cfg.stack),
        "model": edge_model(cfg),
        "bundlePath": bundle_path,
        "synced": cfg.bundle_bucket,
    }


def edge_service_at(cfg: StackConfig, host: str, install: EdgeInstall, url: str) -> ServiceArgs:
    """What runs on a host: as here, in the folder of its code."""
    metrics_url = f"{_url(cfg.hybrid.edge.bind, cfg.hybrid.edge.metrics_port)}/metrics"
    there: ServiceArgs = {
        "home": host_home(cfg.stack),
        "host": host,
        "release": install.release,
        "metricsUrl": metrics_url,
    }
    return edge_service(cfg, install.bundleHome, url, model=install.modelPath) | there


def edge_service(
    cfg: StackConfig, bundle_dir: pulumi.Input[str], url: str, *, model: pulumi.Input[str] | None = None
) -> ServiceArgs:
    """The two programs of an edge, where they listen, and how long they may take."""
    edge = cfg.hybrid.edge
    return {
        "home": stack_home(cfg.stack),
        "programs": [_llama(cfg, model or edge_model(cfg)), _service(cfg, edge_environment(cfg, bundle_dir).plain)],
        "listen": [
            {"key": "hybrid.edge.llmPort", "host": LOOPBACK, "port": edge.llm_port},
            {"key": "hybrid.edge.port", "host": edge.bind, "port": edge.port},
            {"key": "hybrid.edge.metricsPort", "host": edge.bind, "port": edge.metrics_port},
        ],
        "readyUrl": f"{url}/readyz",
        "startSeconds": START_S,
    }


def edge_environment(cfg: StackConfig, bundle_dir: pulumi.Input[str]) -> ServiceEnvironment:
    """The environment of the service on an edge."""
    edge = cfg.hybrid.edge
    wiring = Wiring(
        host=edge.bind,
        port=edge.port,
        metrics_port=edge.metrics_port,
        release=version("rag-platform"),
        bundle_dir=bundle_dir,
        llamacpp_url=f"http://{LOOPBACK}:{edge.llm_port}",
    )
    return service_environment(cfg, wiring)


def _llama(cfg: StackConfig, model: pulumi.Input[str]) -> ProgramArgs:
    edge = cfg.hybrid.edge
    options: dict[str, pulumi.Input[str]] = {
        "--model": model,
        "--host": LOOPBACK,
        "--port": str(edge.llm_port),
        "--context": str(cfg.generation.context_tokens),
        "--threads": str(edge.threads),
    }
    return {
        "name": "llama",
        "args": ["-m", "service.adapters.llamacpp_server", *(word for pair in options.items() for word in pair)],
        "environment": {},
        "stopWaitS": LLAMA_STOP_S,
        "fix": "see generation.model and hybrid.edge.model in the stack config",
    }


def _service(cfg: StackConfig, environment: Mapping[str, pulumi.Input[str]]) -> ProgramArgs:
    return {
        "name": "service",
        "args": ["-m", "service"],
        "environment": environment,
        "stopWaitS": math.ceil(edge_graceful_s(cfg.hybrid.edge.deadline_seconds)) + STOP_MARGIN_S,
        "fix": "see hybrid and retrieval in the stack config, then `pulumi up`",
    }


def _url(bind: str, port: int) -> str:
    address = str(ipaddress.ip_address(bind))
    return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"


def _loopback(bind: str) -> bool:
    # An address with a zone (::1%lo) can't be written into a URL.
    return ipaddress.ip_address(bind).is_loopback and "%" not in bind


def _unsupported(cfg: StackConfig) -> Iterator[Mistake]:
    """What the config may say and this version can't build yet; refused rather than left out in silence.

    Only what somebody wrote: `generation.provider` has a default for the cloud, which an edge passes over.
    """
    edge = cfg.hybrid.edge
    provider = cfg.generation.provider if "provider" in cfg.generation.model_fields_set else "llamacpp"
    # a written `sagemaker` is about the endpoint that stands behind the edge, here or in the other stack
    local = provider == "llamacpp" or (provider == "sagemaker" and cfg.hybrid.fallback.kind != "none")
    query_model, redis = cfg.query_model.provider, cfg.cache.redis
    alone = "an edge asks callers for no key yet, so it answers this machine alone"
    for key, sound, value, problem, legal in (
        ("hybrid.edge.bind", _loopback(edge.bind), edge.bind, alone, "127.0.0.1, ::1"),
        ("generation.provider", local, provider, "an edge answers through llama.cpp", "llamacpp"),
        (
            "queryModel.provider",
            query_model == "none",
            query_model,
            "an edge has no model that reads the query",
            "none",
        ),
        ("cache.redis", redis == "none", redis, "an edge has no Redis", "none"),
        ("monitoring.opik", not cfg.monitoring.opik, "true", "an edge has no store for its key", "false"),
    ):
        if not sound:
            yield Mistake(key, value, f"{problem}; legal: {legal}", _fix(key, legal))


def _fix(key: str, legal: str) -> str:
    if legal.startswith("["):  # a list is written as a whole, or left to its default
        return f"`pulumi config rm --path {key}`"
    return f"`pulumi config set --path {key} {legal.partition(',')[0]}`"
