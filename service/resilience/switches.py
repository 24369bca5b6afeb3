"""Emergency switches: stages that an operator turns off, or on again, while the service runs.

A document `{"expansion": false, "reranking": false, "cache": false}` says which are off; what it does not name is on.
It is read in the background, so that no request waits for it; while it can't be read, what was last read holds.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from pydantic import BaseModel, ConfigDict, StrictBool, ValidationError

from service.errors import RagError

log = logging.getLogger(__name__)

TTL_S = 5.0


class Document(BaseModel):
    """What the operator writes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    expansion: StrictBool = True
    reranking: StrictBool = True
    cache: StrictBool = True

    def off(self) -> list[str]:
        """Names of what is off."""
        return [name for name, on in self if not on]


ALL_ON = Document()


class SwitchSource(Protocol):
    """Where the document is kept."""

    async def read(self) -> bytes | None:
        """Its bytes, None where there is no document; StageUnavailable where that can't be said."""
        ...


@dataclass(slots=True)
class Switches:
    """The document as last read; one per app."""

    source: SwitchSource | None = None
    ttl_s: float = TTL_S
    clock: Callable[[], float] = time.monotonic
    known: Document = ALL_ON
    _ends: float = 0.0
    _reading: asyncio.Task[None] | None = None

    def now(self) -> Document:
        """What holds now; starts reading again where it was last read `ttl_s` ago."""
        if self.source is not None and self.clock() >= self._ends and self._reading is None:
            self._reading = asyncio.create_task(self.refresh())
            self._reading.add_done_callback(self._read)
        return self.known

    async def refresh(self) -> None:
        """Read the document now; what can't be read or understood changes nothing."""
        if self.source is None:
            return
        self._ends = self.clock() + self.ttl_s
        try:
            said = await self.source.read()
            found = ALL_ON if said is None else Document.model_validate_json(said)
        except RagError as exc:
            log.warning("the switches can't be read, the last ones hold: %s", exc.detail)
            return
        except ValidationError as exc:
            log.warning("the switches are no such document, the last ones hold: %s", _reasons(exc))
            return
        if found != self.known:
            log.warning("switched off: %s", ", ".join(found.off()) or "nothing")
            self.known = found

    async def aclose(self) -> None:
        """End what is being read."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait({self._reading})

    def _read(self, task: asyncio.Task[None]) -> None:
        self._reading = None
        if not task.cancelled() and (exc := task.exception()) is not None:
            log.error("reading the switches failed, the last ones hold", exc_info=exc)


def _reasons(exc: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, error['loc'])) or 'document'}: {error['msg']}" for error in exc.errors())
