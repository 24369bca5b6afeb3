"""What the routes work with."""

from __future__ import annotations

from dataclasses import dataclass

from service.access.opening import Access
from service.api.checkup import Checkup
from service.rag.cached import Answers
from service.rag.pipeline import Pipeline
from service.settings import Settings
from service.telemetry import Telemetry


@dataclass(slots=True)
class State:
    """One per app; `ready` is the only thing that changes."""

    settings: Settings
    telemetry: Telemetry
    pipeline: Pipeline
    answers: Answers
    access: Access
    checkup: Checkup
    ready: bool = False
