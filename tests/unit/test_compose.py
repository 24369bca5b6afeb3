"""The Compose file of the laptop: legal by the specification's parser, pinned, healthy, without a secret in it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose

from infra.components import store_scripts
from service.settings import environment_names

FOLDER = Path(__file__).parents[2] / "service"
TEXT = (FOLDER / "docker-compose.yml").read_text()
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(TEXT)["services"]


def filled_in(text: str) -> str:
    """As Compose reads it: values first."""
    return re.sub(r"\$\{([A-Z_]+):\?[^}]*\}", lambda name: "/models" if name[1] == "MODELS" else "planted", text)


def test_the_specifications_parser_takes_it() -> None:
    assert PyCompose.from_yaml(filled_in(TEXT)).service_names() == list(SERVICES)


def test_that_parser_would_find_a_mistake() -> None:
    for right, wrong in (("stop_grace_period", "grace"), ("interval: 5s", "interval: 5x")):
        with pytest.raises(ValueError, match="services"):
            PyCompose.from_yaml(filled_in(TEXT).replace(right, wrong))


def test_every_store_is_pinned_as_the_cloud_runs_it() -> None:
    self_hosted = Path(str(store_scripts.__file__)).read_text()
    for name in ("qdrant", "mongodb", "redis"):
        assert f'"{SERVICES[name]["image"]}"' in self_hosted
    assert all(re.search(r":[\w.-]*\d", each["image"]) for name, each in SERVICES.items() if name != "service")


def test_what_is_waited_for_says_when_it_is_healthy() -> None:
    waited = SERVICES["service"]["depends_on"]
    assert set(waited) == set(SERVICES) - {"service"}
    assert all(each["condition"] == "service_healthy" for each in waited.values())
    assert all("test" in SERVICES[name]["healthcheck"] for name in waited)
    assert "HEALTHCHECK" in (FOLDER / "Dockerfile").read_text()


def test_secrets_come_from_a_file_that_is_not_committed() -> None:
    example = re.findall(r"^([A-Z_]+)=(.*)$", (FOLDER / "compose.env.example").read_text(), re.MULTILINE)
    asked = set(re.findall(r"\$\{([A-Z_]+):\?", TEXT))
    assert {name for name, _ in example} == asked
    assert all(not value for _, value in example)
    assert "service/compose.env" in (FOLDER.parent / ".gitignore").read_text().splitlines()
    for each in SERVICES.values():
        for name, value in each.get("environment", {}).items():
            if re.search(r"KEY|PASSWORD|AUTH$|DATABASE_HOST|REDIS_URL", name) and name != "RAG_AUTH":
                assert "${" in value, name


def test_the_service_is_told_only_what_it_reads_and_reached_by_this_machine_alone() -> None:
    service = SERVICES["service"]
    assert set(service["environment"]) <= set(environment_names())
    assert [port.split(":")[0] for port in service["ports"]] == ["127.0.0.1"]
    assert all("ports" not in each for name, each in SERVICES.items() if name != "service")
    assert service["read_only"]
