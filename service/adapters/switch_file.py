"""A document in a file that an operator edits, on a host or in a mounted ConfigMap."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from service.errors import StageUnavailable

STAGE = "switches"


@dataclass(frozen=True, slots=True)
class SwitchFile:
    """SwitchSource port over one file."""

    path: Path

    async def read(self) -> bytes | None:
        """The file's bytes, None where there is no such file."""
        try:
            return await asyncio.to_thread(self.path.read_bytes)
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise StageUnavailable(STAGE, f"{self.path}: {exc.strerror}") from exc
