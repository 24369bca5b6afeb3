"""What is kept costs: volumes, images, objects, logs, secrets, keys, the cache."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

from opsctl.cost.components import KIB_PER_GIB, Component, Situation, number
from opsctl.cost.resources import monitoring

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.offline import Declared

INSIGHTS = "/aws/containerinsights/"
NODE_LOGS = ("/application", "/dataplane", "/host")
DAYS_PER_MONTH = Decimal(365) / 12


def volume(disk: Declared, at: Situation) -> Iterator[Component]:
    """The volume, and its snapshots where a lifecycle policy takes some."""
    size, kind = number(disk.inputs, "size"), disk.inputs.get("type", "gp3")
    of = partial(Component, resource=disk.name, part="data", unit="GB-month")
    yield of(name=f"volume, {kind}", price_key=f"ebs.{kind}.gb_month", quantity=size)
    if at.program.of("dlm/lifecyclePolicy:LifecyclePolicy"):
        yield of(
            name="snapshots",
            price_key="ebs.snapshot.gb_month",
            quantity=size * at.usage.amount("snapshot_gib_per_volume_gib"),
            assumption=at.usage.because("snapshot_gib_per_volume_gib"),
        )


def cache_nodes(cache: Declared, at: Situation) -> Iterator[Component]:
    """Nodes of ElastiCache; the engine's name is part of the price."""
    nodes, kind = number(cache.inputs, "numCacheClusters", 1), cache.inputs["nodeType"]
    engine = cache.inputs.get("engine", "redis")
    yield Component(
        resource=cache.name,
        part="cache",
        name=f"{engine} {kind}, {nodes.normalize():f} nodes",
        price_key=f"elasticache.{engine}.{kind}.node_hour",
        quantity=nodes * at.hours,
        unit="node-hour",
    )


def images(repository: Declared, at: Situation) -> Iterator[Component]:
    """The images that the lifecycle policy keeps."""
    yield Component(
        resource=repository.name,
        part="service",
        name="container images",
        price_key="ecr.gb_month",
        quantity=at.usage.amount("image_gib"),
        unit="GB-month",
        assumption=at.usage.because("image_gib"),
    )


def bucket(store: Declared, at: Situation) -> Iterator[Component]:
    """Weights of the model, bundles of edges, zips of a function; access logs are in "not included".

    Raises:
        ValueError: it is neither, and what it will hold isn't known.
    """
    if store.name.endswith("-logs"):
        return
    name, part, figure = _held(store.name)
    copies = at.cfg.hybrid.bundle.keep if figure == "bundle_gib" else 1
    yield Component(
        resource=store.name,
        part=part,
        name=name,
        price_key="s3.standard.gb_month",
        quantity=at.usage.amount(figure) * copies,
        unit="GB-month",
        assumption=at.usage.because(figure),
    )


def _held(bucket_name: str) -> tuple[str, str, str]:
    """What a bucket holds: its name and part in a report, and the figure of one copy."""
    if bucket_name.endswith("-weights"):
        return "model weights", "model", "weights_gib"
    if bucket_name.endswith("-bundles"):
        return "edge bundles", "data", "bundle_gib"
    if bucket_name.endswith("-code"):
        return "zips of the function", "service", "zip_gib"
    raise ValueError("what it will hold is not known")


def log_group(group: Declared, at: Situation) -> Iterator[Component]:
    """Ingestion, and what the retention keeps of it; a shell in a task (`/exec`) is quiet unless used.

    What Container Insights writes to its group of metrics is paid as metrics.

    Raises:
        ValueError: who writes to it, and how much, isn't known.
    """
    name = str(group.inputs.get("name", group.name))
    of = partial(Component, resource=group.name, part="logs")
    if name.endswith(("/exec", "/performance")) or "/functions/" in name:  # of a function: a line or two for each run
        return
    figure = _log_figure(name)
    by_query = figure.endswith("_per_query")
    figures = ("queries_per_month", figure) if by_query else (figure,)
    because = at.usage.because(*figures)
    quantity = at.usage.amount(figure) * (at.queries / KIB_PER_GIB if by_query else 1) / _sharing(name)
    months = number(group.inputs, "retentionInDays") / DAYS_PER_MONTH
    for what, key, unit, amount in (
        ("logs, ingested", "cloudwatch.logs.ingest_gb", "GB", quantity),
        ("logs, kept", "cloudwatch.logs.archive_gb_month", "GB-month", quantity * months),
    ):
        yield of(
            name=f"{what} ({name})",
            price_key=key,
            quantity=amount,
            unit=unit,
            kind="usage" if by_query else "fixed",
            assumption=because,
        )
    if name.endswith("/service"):
        yield from monitoring.metrics(group, at)


def _sharing(name: str) -> int:
    """How many groups one figure is for."""
    return len(NODE_LOGS) if name.startswith(INSIGHTS) else 1


def _log_figure(name: str) -> str:
    if name.startswith("/aws/eks/") and name.endswith("/cluster"):
        return "control_plane_log_gib_per_month"
    if name.startswith(INSIGHTS) and name.endswith(NODE_LOGS):
        return "node_log_gib_per_month"
    if name.endswith("/service"):
        return "service_log_kib_per_query"
    if name.endswith("/access"):
        return "access_log_kib_per_query"
    if name.startswith("aws-waf-logs-"):
        return "firewall_log_kib_per_query"
    if name.endswith("/flow"):
        return "flow_log_gib_per_month"
    raise ValueError(f"who writes to {name} is not known")


def secret(credential: Declared, at: Situation) -> Iterator[Component]:
    """A secret's place, filled or not."""
    del at
    yield Component(
        resource=credential.name,
        part="security",
        name="secret",
        price_key="secrets.secret_month",
        quantity=Decimal(1),
        unit="secret-month",
    )


def key(encryption: Declared, at: Situation) -> Iterator[Component]:
    """A customer managed key; each rotation adds as much, for two rotations at the most."""
    del at
    yield Component(
        resource=encryption.name,
        part="security",
        name="encryption key",
        price_key="kms.key_month",
        quantity=Decimal(1),
        unit="key-month",
    )
