"""Which ports the local stack will listen on, as its stack file says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from infra.config import parse
from infra.config.platforms import Edge
from infra.edge.ports import Listen
from infra.errors import ConfigErrors
from opsctl.project import LOCAL_STACK
from opsctl.stack_config import encrypted_keys

if TYPE_CHECKING:
    from opsctl.project import Project


def local_listens(project: Project) -> tuple[tuple[Listen, ...], str | None]:
    """Where the stack of Pulumi.local.yaml listens, or the defaults and what is wrong with the file."""
    file = project.root / f"Pulumi.{LOCAL_STACK}.yaml"
    edge, problem = Edge(), None
    try:
        text = YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))
        config = text.get("config") if isinstance(text, dict) else None
        edge = parse(config, stack=LOCAL_STACK, encrypted=encrypted_keys(config)).hybrid.edge
    except ConfigErrors as exc:
        problem = "; ".join(str(mistake) for mistake in exc.mistakes)
    except OSError as exc:
        problem = f"{file.name}: {exc.strerror}"
    except (UnicodeDecodeError, YAMLError) as exc:
        problem = f"{file.name}: {' '.join(str(exc).split())}"
    return (
        Listen(key="hybrid.edge.port", host=edge.bind, port=edge.port),
        Listen(key="hybrid.edge.llmPort", host="127.0.0.1", port=edge.llm_port),
        Listen(key="hybrid.edge.metricsPort", host=edge.bind, port=edge.metrics_port),
    ), problem
