"""What each release came to: a word per update, kept as tags of the stack, which every backend of the engine has.

The engine's own word is another one: it calls an update successful whose image never started.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opsctl.deploy.engine import Engine
    from opsctl.deploy.outcome import Report
    from opsctl.errors import OpsctlError

PREFIX = "opsctl:release:"
FAILED = "failed: "
LONGEST = 256  # characters of a tag in Pulumi's own backend
KEPT = 50  # releases whose word is kept


def came_to(report: Report, failure: OpsctlError | None) -> str | None:
    """Spell what a deployment came to; None where nothing was proved either way."""
    if failure is not None:
        return f"{FAILED}{failure.problem}"[:LONGEST]
    if report.verdict is None:
        return None
    return f"{report.verdict.status}, answers" if report.smoke else report.verdict.status


def write_down(engine: Engine, word: str) -> None:
    """Keep what the newest update came to; a later proof of the same release takes its place.

    Raises:
        CloudRefused: the backend takes no tag.
    """
    newest = engine.updates(1)[0].number
    engine.set_tag(f"{PREFIX}{newest}", word)
    for number in words(engine):
        if number <= newest - KEPT:
            engine.remove_tag(f"{PREFIX}{number}")


def words(engine: Engine) -> Mapping[int, str]:
    """What was written down, by the update's number.

    Raises:
        CloudRefused: the backend can't be read.
    """
    return {int(key.removeprefix(PREFIX)): word for key, word in engine.tags().items() if key.startswith(PREFIX)}


def good_images(engine: Engine) -> tuple[str, ...]:
    """Images to go back to: of updates that the engine called successful, newest first, each once.

    Those whose last word is a failure are left out; of what another tool deployed there is no word, and it may run.
    """
    said = words(engine)
    last_word: dict[str, str] = {}
    images: list[str] = []
    for update in engine.updates():
        if update.image is None:
            continue
        if update.number in said:
            last_word.setdefault(update.image, said[update.number])
        if update.succeeded:
            images.append(update.image)
    return tuple(image for image in dict.fromkeys(images) if not last_word.get(image, "").startswith(FAILED))
