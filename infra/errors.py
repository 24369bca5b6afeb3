"""The one family of errors of `infra`; those of this module are raised before any resource is registered.

InfraError
|- ConfigErrors     the stack config has mistakes; str() is one line for each of them
|- SizingError      a size that the platform doesn't have or can't hold; says what is legal
|- EdgeError        an edge could not be built, started or stopped; in infra.edge.errors
|  |- StartError        a program of the edge ended, or never answered
|  |- UnreachableError  a host of the edge can't be reached
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mistake:
    """One mistake of the stack config.

    Attributes:
        path: the key's path as `pulumi config set --path` takes it, e.g. `service.replicas.max`.
        shown: the value as it may be printed, or None where there is none to show.
        problem: what is wrong and what is legal.
        fix: what to do next, often a command.
    """

    path: str
    shown: str | None
    problem: str
    fix: str

    def __str__(self) -> str:
        value = "" if self.shown is None else f" = {self.shown}"
        return f"{self.path}{value}: {self.problem}; {self.fix}"


class InfraError(Exception):
    """Anything that stops the program; str() says what happened, why, and what to do next."""


class ConfigErrors(InfraError):
    """Every mistake of a stack config at once, one line each."""

    def __init__(self, mistakes: tuple[Mistake, ...]) -> None:
        super().__init__("\n".join(str(mistake) for mistake in mistakes))
        self.mistakes = mistakes


class SizingError(InfraError):
    """A size that doesn't exist or doesn't fit; the message names the legal ones."""
