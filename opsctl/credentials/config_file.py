"""The stack config, read whole and changed key by key through the engine, which encrypts what is secret."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from opsctl.errors import OpsctlError
from opsctl.pulumi_cli import ask_pulumi
from opsctl.stack_config import read_stack_config

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from infra.config import StackConfig
    from opsctl.project import Project

NAMESPACE = "rag-platform"


@dataclass(frozen=True)
class ConfigFile:
    """Of one stack."""

    project: Project
    stack: str
    environ: Mapping[str, str]

    @cached_property
    def cfg(self) -> StackConfig:
        """As it was when it was first asked for.

        Raises:
            StackNotFound, NotUsable
        """
        return read_stack_config(self.project, self.stack)

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Keep what the block writes only where the config is still a legal one afterwards.

        Raises:
            NotUsable: it isn't; the file is as it was.
        """
        file = self.project.root / f"Pulumi.{self.cfg.stack}.yaml"
        before = file.read_bytes()
        try:
            yield
            read_stack_config(self.project, self.stack)
        except OpsctlError:
            file.write_bytes(before)
            raise

    def set(self, path: str, value: str) -> None:
        """Write a plain value.

        Raises:
            StackNotFound, ToolMissing, CloudRefused, TimedOut
        """
        self._config("set", "--path", f"{NAMESPACE}:{path}", value)

    def set_secret(self, path: str, value: str) -> None:
        """Write a value encrypted; it goes by stdin.

        Raises:
            StackNotFound, ToolMissing, CloudRefused, TimedOut
        """
        self._config("set", "--secret", "--path", f"{NAMESPACE}:{path}", given=value)

    def remove(self, path: str) -> None:
        """Take a key out.

        Raises:
            StackNotFound, ToolMissing, CloudRefused, TimedOut
        """
        self._config("rm", "--path", f"{NAMESPACE}:{path}")

    def _config(self, *words: str, given: str | None = None) -> None:
        ask_pulumi(self.project, self.stack, self.environ, "config", *words, given=given)
