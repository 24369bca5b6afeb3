"""Pause and resume: look at every part, ask once, then part by part, so that an interruption is gone on from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from opsctl.output import working

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

    from opsctl.standby.part import Look, Part

Way = Literal["pause", "resume"]
Plan = list[tuple[str, str, str]]
"""Name of a part, what it is now, what it will be."""


@dataclass(slots=True)
class Done:
    """What became of it.

    Attributes:
        parts: name, before, after; also of parts that were so already.
        changed: names of those that were changed.
    """

    parts: Plan = field(default_factory=list)
    changed: list[str] = field(default_factory=list)


def change(
    parts: Sequence[Part],
    way: Way,
    talk: Console,
    consent: Callable[[Plan], None],
    prove: Callable[[], None] = lambda: None,
) -> Done:
    """Bring every part to rest, or wake it.

    Args:
        parts: the first is silenced first and woken last: it tells of the others.
        way: pause goes from the first to the last, resume from the last to the first.
        talk: hears each step.
        consent: is given what would be changed, and raises to refuse it.
        prove: called once the parts are awake, before the first one tells of them again, which it does in any case.

    Raises:
        CloudRefused, TimedOut, and what `consent` and `prove` raise
    """
    ordered = list(parts) if way == "pause" else list(reversed(parts))
    with working(talk, "looking at what runs ..."):
        looks = [(part, look) for part in ordered if (look := part.look()) is not None]
    todo = [(part, look) for part, look in looks if not look.stays and (look.half or look.rests is (way == "resume"))]
    done = Done([(part.name, look.now, _after(look, way)) for part, look in looks])
    if todo:
        consent([(part.name, look.now, _after(look, way)) for part, look in todo])
    teller = parts[0] if parts else None
    try:
        for part, look in (each for each in todo if each[0] is not teller or way == "pause"):
            _change(part, look, way, talk, done)
        if way == "resume" and looks:
            prove()  # also where all is awake: an earlier resume may have ended before its proof
    finally:
        for part, look in (each for each in todo if each[0] is teller and way == "resume"):
            _change(part, look, way, talk, done)
    return done


def _change(part: Part, look: Look, way: Way, talk: Console, done: Done) -> None:
    with working(talk, f"{part.name}: {look.now} -> {_after(look, way)} ..."):
        (part.rest if way == "pause" else part.wake)()
    done.changed.append(part.name)


def _after(look: Look, way: Way) -> str:
    if look.stays:
        return look.now
    if way == "resume":
        return look.awake if look.rests or look.half else look.now
    return look.now if look.rests else "at rest"
