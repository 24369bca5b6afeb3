"""The operator's one family of errors; each knows the process's exit code. SDK errors are translated into it.

OpsctlError
|- CheckFailed        1  a check ran and does not hold
|- NotUsable          2  the command can't start: a flag, a file, a stack or a tool isn't what it needs
|  |- ToolMissing     2  a program that it drives isn't installed
|  |- StackNotFound   2  no stack of that name
|  |- NotDeployed     2  the stack is there, what it should have built isn't
|  |- NoSuchModel     2  the hub has no such model, or none for this caller
|- CloudRefused       3  the cloud, or the engine that speaks to it, said no
|- TimedOut           4  the answer didn't come in time; the work may still be going on
|- RolledBack         5  what runs is not what was asked for
"""

from __future__ import annotations


class OpsctlError(Exception):
    """Anything that ends a command, told in one line: what happened and why, then what to do next.

    Attributes:
        next_step: the flag, key or command that fixes it.
        exit_code: what the process ends with.
    """

    exit_code = 1

    def __init__(self, problem: str, *, next_step: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.problem}; {self.next_step}"


class CheckFailed(OpsctlError):
    """A check ran to its end and what it looked at is not as it should be."""


class NotUsable(OpsctlError):
    """The command could not start."""

    exit_code = 2


class ToolMissing(NotUsable):
    """A program that the command drives is not on this machine."""


class StackNotFound(NotUsable):
    """The backend knows no stack of that name."""


class NotDeployed(NotUsable):
    """The stack exists and lacks what the command reads from it."""


class NoSuchModel(NotUsable):
    """The model hub shows no such model, or not without a token that may see it."""


class CloudRefused(OpsctlError):
    """The cloud or the engine refused; the message carries its reason."""

    exit_code = 3


class TimedOut(OpsctlError):
    """No answer in time."""

    exit_code = 4


class RolledBack(OpsctlError):
    """The previous revision runs, not the one that was asked for."""

    exit_code = 5
