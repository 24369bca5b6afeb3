"""The suites of a smoke test by name: the gate of every deployment, and all that a service promises."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsctl.smoke.answers import ANSWERS
from opsctl.smoke.core import CORE
from opsctl.smoke.gate import GATE, LIMIT
from opsctl.smoke.transport import TRANSPORT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opsctl.smoke.check import Check

SUITES: Mapping[str, tuple[Check, ...]] = {
    "core": CORE,
    "full": (*TRANSPORT, *CORE, *GATE, *ANSWERS, *LIMIT),  # the limit last: it uses the key up
}
