"""L7: one key that asks for twenty times its share is refused, and the others hardly notice."""

from __future__ import annotations

import json
import secrets
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from figures import Figure

from load.stack import drive_all, plan, service
from opsctl.load.outcome import GOOD, Outcome
from opsctl.load.record import Latencies
from opsctl.load.schedule import steady
from opsctl.load.target import Key

if TYPE_CHECKING:
    from load.stack import Model, Service
    from opsctl.load.record import Record

ROUNDS, ROUND_S = 5, 8.0
OTHERS_PER_S = 10.0
UNFAIR_PER_MINUTE, TIMES = 60, 20
UNFAIR = Key("unfair", secrets.token_urlsafe())
OTHERS = (Key("one", secrets.token_urlsafe()), Key("other", secrets.token_urlsafe()))


def measure(bundle: Path, model: Model) -> list[Figure]:
    """Calm and loud stretches in turn, so that both meet the same machine."""
    with TemporaryDirectory(prefix="rag-load-") as folder:
        book = Path(folder) / "keys.json"
        book.write_text(_book(), encoding="utf-8")
        access = {"RAG_AUTH": "api-keys", "RAG_API_KEYS_FROM": str(book)}
        with service(bundle, model, **access) as loaded:
            rounds = [_round(loaded, seed) for seed in range(ROUNDS)]
    calm, loud = (Latencies().merge(each[at].total.of(GOOD) for each in rounds) for at in (0, 1))
    unfair = [each[2].total for each in rounds]
    refused = sum(tally.count({Outcome.RATE_LIMITED}) for tally in unfair)
    excess = sum(tally.count() for tally in unfair) - 2 * UNFAIR_PER_MINUTE  # the run touches two minutes
    failed = sum(each[at].total.count() - each[at].total.count(GOOD) for each in rounds for at in (0, 1))
    return [
        Figure(
            "L7 others' p95 beside an unfair key / without",
            loud.percentile_ms(95) / calm.percentile_ms(95),
            "x",
            at_most=1.2,
        ),
        Figure("L7 others' requests that failed", failed, "requests", at_most=0),
        Figure("L7 of the unfair key's excess, refused as 429", min(1.0, refused / excess), "", at_least=1),
        Figure("L7 others' p95 without it", calm.percentile_ms(95), "ms"),
    ]


def _round(loaded: Service, seed: int) -> tuple[Record, Record, Record]:
    """The others alone, the others beside the unfair key, and that key."""
    others = plan(loaded, steady(OTHERS_PER_S, ROUND_S, seed=seed), keys=OTHERS)
    unfair = plan(loaded, steady(TIMES * UNFAIR_PER_MINUTE / 60, ROUND_S, seed=seed), keys=(UNFAIR,))
    return (*drive_all(others), *drive_all(others, unfair))


def _book() -> str:
    limits = {UNFAIR: {"requestsPerMinute": UNFAIR_PER_MINUTE}}
    return json.dumps({"version": 1, "keys": [_hashed(key) | limits.get(key, {}) for key in (UNFAIR, *OTHERS)]})


def _hashed(key: Key) -> dict[str, object]:
    salt = secrets.token_bytes(16)
    return {"name": key.name, "salt": salt.hex(), "sha256": sha256(salt + key.secret.encode()).hexdigest()}
