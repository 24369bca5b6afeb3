"""The Grafana dashboard is the widgets' own, and asks Prometheus only for what the service gives."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from infra.components.observability.grafana import dashboard
from tests.infra.cloud_cases import GOLDEN, ROOT

GIVEN = json.loads((GOLDEN / "emitted.json").read_text())["prometheus"]
PANELS: list[dict[str, Any]] = dashboard()["panels"]
SUFFIXES = ("_total", "_bucket", "_count", "_sum")
WORDS = {"by", "sum", "rate", "min", "max", "le", "histogram_quantile"}


def test_the_file_is_what_is_rendered() -> None:
    file = ROOT / "docs" / "grafana.json"
    assert json.loads(file.read_text()) == dashboard(), "python -m infra.components.observability.grafana > " + str(
        file
    )


def test_every_query_is_of_metrics_and_labels_that_the_service_gives() -> None:
    for query in (target["expr"] for panel in PANELS for target in panel["targets"]):
        bare = re.sub(r'"[^"]*"', "", query)
        names = set(re.findall(r"[a-z_]+(?=\[|\{|\)|$)", bare)) - WORDS
        metrics = {name for name in names if name in GIVEN}
        labels = {label for name in metrics for label in GIVEN[name]} | {"le"}
        assert metrics, query
        grouped = {word.strip() for group in re.findall(r"by \(([^)]*)\)", bare) for word in group.split(",")}
        selected = set(re.findall(r"([a-z_]+)(?==)", bare)) | set(re.findall(r"([a-z_]+)!?=~", bare))
        assert grouped | selected <= labels, query
        asked = {
            name for name in re.findall(r"[a-z_]+", bare) if name.endswith(("_total", "_bucket", "_count", "_sum"))
        }
        assert asked <= GIVEN.keys(), query


def test_legends_name_labels_that_the_query_keeps() -> None:
    for panel in PANELS:
        for target in panel["targets"]:
            for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
                assert re.search(rf"by \([^)]*\b{label}\b", target["expr"]), target


def unknown(ours: Any, theirs: Any, path: str = "") -> Iterator[str]:
    """What one document says and the other does not."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key, value in ours.items():
            yield from unknown(value, theirs[key], f"{path}/{key}") if key in theirs else [f"{path}/{key}"]
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for number, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from unknown(one, other, f"{path}/{number}")
    elif ours != theirs:
        yield path


def read_by_grafana(document: dict[str, Any]) -> Any:
    """The document through Grafana's own model of a dashboard, of its panels and of Prometheus's queries."""
    register_default_plugins()
    return json.loads(JSONEncoder().encode(Dashboard.from_json(document)))


def test_grafanas_own_model_of_a_dashboard_knows_every_word_of_it() -> None:
    made = dashboard()
    assert [*unknown(made, read_by_grafana(made))] == []
    wrong = json.loads(json.dumps(made))
    wrong["panels"][0]["gridPos"]["depth"] = 1
    wrong["panels"][0]["targets"][0]["query"] = "up"
    assert [*unknown(wrong, read_by_grafana(wrong))] == ["/panels/0/gridPos/depth", "/panels/0/targets/0/query"]


def test_it_is_a_dashboard_that_grafana_imports() -> None:
    made = dashboard()
    assert {"uid", "title", "schemaVersion", "panels", "templating", "time"} <= made.keys()
    assert [panel["id"] for panel in PANELS] == list(range(1, len(PANELS) + 1))
    places = {(p["gridPos"]["x"], p["gridPos"]["y"]) for p in PANELS}
    assert len(places) == len(PANELS)
    for panel in PANELS:
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
