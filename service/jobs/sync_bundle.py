"""Bring the newest bundle to this host: `python -m service.jobs.sync_bundle --home DIR --bucket B --prefix P`.

Once, or with `--every-s` for as long as the edge runs, online or not. What a look came to is in `DIR/.sync.json`.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from service.adapters import packaged
from service.adapters.bundle_bucket import BundleBucket
from service.bundle_sync import sync
from service.errors import StartupError

if TYPE_CHECKING:
    from service.bundle_sync import Store

SYNC_FILE = ".sync.json"
JITTER = 0.1  # of the interval, so that a fleet doesn't come at once
EX_TEMPFAIL = 75


def main(argv: list[str]) -> int:
    """0 where the newest bundle serves, 75 where there was no answer or no room, 1 where it is refused."""
    told = _arguments(argv)
    store = BundleBucket(told.bucket, told.prefix, region=told.region)
    while True:
        code = look(told.home, store, min_recall=told.min_recall, again=told.again, quiet=told.every_s is not None)
        if told.every_s is None:
            return code
        time.sleep(told.every_s * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311 - no secret


def look(home: Path, store: Store, *, min_recall: float, again: bool, quiet: bool) -> int:
    """One look, its outcome written down and said; where `quiet`, only if it is another than the last one's."""
    before = _last(home)
    code = 0
    state: str
    try:
        outcome = sync(home, store, model_sha256=packaged.MINILM_ONNX_INT8.sha256, min_recall=min_recall, again=again)
        state, said = outcome.state, outcome.name
    except OSError as exc:
        state, said, code = "failed", exc.strerror or str(exc), EX_TEMPFAIL
    except StartupError as exc:
        state, said, code = "refused", exc.detail, 1
    if not quiet or (state, said) != (before.get("state"), before.get("said")):  # an offline week has many
        sys.stderr.write(f"sync_bundle: {state}: {said}\n")
    now = datetime.now(UTC).isoformat(timespec="seconds")
    synced = before.get("synced") if code else now
    _write(home, {"checked": now, "synced": synced, "state": state, "said": said})
    return code


def _last(home: Path) -> dict[str, str | None]:
    try:
        found = json.loads((home / SYNC_FILE).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(home: Path, document: dict[str, str | None]) -> None:
    draft = home / f"{SYNC_FILE}.part"
    try:
        draft.write_text(json.dumps(document))
        draft.replace(home / SYNC_FILE)
    except OSError as exc:  # a full disk stops no edge, and is said above
        sys.stderr.write(f"sync_bundle: {SYNC_FILE} can't be written: {exc.strerror}\n")


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m service.jobs.sync_bundle", description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="the edge's folder of bundles")
    parser.add_argument("--bucket", required=True)
    parser.add_argument("--prefix", default="bundles/")
    parser.add_argument("--region")
    parser.add_argument("--min-recall", type=float, default=0.0, help="refuse a bundle below it")
    parser.add_argument("--every-s", type=float, help="look again after so many seconds, for ever")
    parser.add_argument("--again", action="store_true", help="take the newest even if it was gone back from")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
