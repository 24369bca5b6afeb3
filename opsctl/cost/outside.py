"""What the stack uses and Pulumi does not own: the model endpoint, vendors, traffic out and between zones."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from opsctl.cost.components import KIB_PER_GIB, Component, Situation

if TYPE_CHECKING:
    from collections.abc import Iterator

MINUTES_PER_HOUR = 60
BYTES_PER_TOKEN = 4  # of English text
BYTES_PER_GIB = 1024**3
ONE = Decimal(1)


def components(at: Situation) -> Iterator[Component]:
    """Everything that the config asks for outside the program."""
    yield from _endpoint(at)
    yield from _tokens(at)
    if at.cfg.topology != "hybrid":
        yield from _stores(at)
        yield from _traffic(at)


def _endpoint(at: Situation) -> Iterator[Component]:
    """Billed by the hour: `active + wakes x (start + tail)` where it sleeps, else day and night."""
    generation, usage = at.cfg.generation, at.usage
    provider = at.cfg.hybrid.fallback.kind if at.cfg.topology == "hybrid" else generation.provider
    if provider != "sagemaker":
        return
    sleeps = generation.scaling.min == 0
    tail = usage.amount("wake_start_minutes") + usage.amount("idle_tail_minutes")
    awake = usage.amount("active_hours_per_month") + usage.amount("wakes_per_month") * tail / MINUTES_PER_HOUR
    hours = min(awake, at.hours) if at.queries else Decimal()
    shape = usage.because("active_hours_per_month", "wakes_per_month", "wake_start_minutes", "idle_tail_minutes")
    count = generation.scaling.min
    yield Component(
        resource=f"endpoint {generation.endpoint}",
        part="model",
        name=f"{generation.instance_type}, {'asleep without traffic' if sleeps else f'{count} always on'}",
        price_key=f"sagemaker.host.{generation.instance_type}.hour",
        quantity=hours if sleeps else at.hours * count,
        unit="hour",
        kind="usage" if sleeps else "fixed",
        assumption=shape if sleeps else "",
    )
    if at.cfg.topology != "hybrid":  # which share of its queries an edge sends to its fallback, nobody says
        figures = ("generation_input_tokens_per_query", "generation_output_tokens_per_query")
        yield Component(
            resource=f"endpoint {generation.endpoint}",
            part="model",
            name="prompts in, answers out",
            price_key="sagemaker.data.gb",
            quantity=_asked(at) * sum(map(usage.amount, figures)) * BYTES_PER_TOKEN / BYTES_PER_GIB,
            unit="GB",
            kind="usage",
            assumption=usage.because("queries_per_month", "cache_hit_share", *figures),
        )


def _tokens(at: Situation) -> Iterator[Component]:
    """OpenAI's share of each query that no cached answer serves."""
    cfg, usage, asked = at.cfg, at.usage, _asked(at)
    calls = []
    if cfg.query_model.provider == "openai":
        calls.append(("query model", "query_model", cfg.query_model.model))
    if cfg.generation.provider == "openai" and cfg.topology != "hybrid":
        calls.append(("generation", "generation", str(cfg.generation.model)))
    for what, prefix, model in calls:
        for direction in ("input", "output"):
            figure = f"{prefix}_{direction}_tokens_per_query"
            yield Component(
                resource=f"openai {what}",
                part="model" if prefix == "generation" else "query model",
                name=f"{model}, {direction} tokens",
                price_key=f"openai.{model}.{direction}_token",
                quantity=asked * usage.amount(figure),
                unit="token",
                kind="usage",
                assumption=usage.because("queries_per_month", "cache_hit_share", figure),
            )


def _asked(at: Situation) -> Decimal:
    """Queries that no cached answer serves."""
    return at.queries * (ONE - at.usage.amount("cache_hit_share") * (at.cfg.cache.redis != "none"))


def _stores(at: Situation) -> Iterator[Component]:
    if at.cfg.retrieval.qdrant == "cloud":
        quote = at.usage.quotes.qdrant_cloud_usd_per_month
        yield Component(
            resource="qdrant cloud",
            part="data",
            name="Qdrant Cloud, your quote",
            price_key="qdrant_cloud.month",
            quantity=ONE,
            unit="month",
            assumption=quote.why if quote else "",
            quoted=quote.value if quote else None,
        )
    if at.cfg.documents.mongo == "atlas":
        quote = at.usage.quotes.atlas_usd_per_month
        yield Component(
            resource="mongodb atlas",
            part="data",
            name="MongoDB Atlas, your quote" if quote else "MongoDB Atlas Flex, its least",
            price_key="atlas.flex_month",
            quantity=ONE,
            unit="month",
            assumption=quote.why if quote else "8 to 30 a month by operations",
            quoted=quote.value if quote else None,
        )


def _traffic(at: Situation) -> Iterator[Component]:
    out = at.queries * at.usage.amount("response_kib_per_query") / KIB_PER_GIB
    because = at.usage.because("queries_per_month", "response_kib_per_query")
    yield Component(
        resource="egress",
        part="network",
        name="answers to the internet",
        price_key="egress.internet.gb",
        quantity=out,
        unit="GB",
        kind="usage",
        assumption=because,
    )
    if at.cfg.topology == "lambda":  # nothing stands between the function and the internet but the API
        return
    yield Component(
        resource="between zones",
        part="network",
        name="load balancer to tasks, both ways",
        price_key="cross_az.gb",
        quantity=2 * out,
        unit="GB",
        kind="usage",
        assumption=f"{because}; every answer crosses a zone, at the most",
    )
