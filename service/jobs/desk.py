"""Model work that can wait: requests go out as OpenAI batches, answers are kept in a folder and paid for once.

The folder holds `answers.jsonl`, one line per answer, and `open.json` while a batch is out. A run that is killed, or
that does not want to wait, is simply run again.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from service import bundle
from service.errors import StageUnavailable, StartupError

if TYPE_CHECKING:
    import argparse

    from service.jobs.waiting import Batches, Progress, Request
    from service.settings import Settings

POLL_S = 30.0
MOST_REQUESTS = 50_000  # of one batch, as the API has it
MOST_BYTES = 190 * 1024**2  # where the API takes 200 MB
TRIES = 2  # batches for one request; what fails twice has a reason that a third won't cure
ANSWERS, OPEN = "answers.jsonl", "open.json"


@dataclass
class Desk:
    """One folder and one account; `wait` is whether to stay until a batch is done."""

    folder: Path
    batches: Batches
    wait: bool = True
    poll_s: float = POLL_S
    _reasons: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, options: argparse.Namespace, told: Settings) -> Desk:
        """By the options of `arguments`.

        Raises:
            StartupError: no key.
        """
        if told.openai_api_key is None:
            raise StartupError("OPENAI_API_KEY is required by work that a model does")
        from service.adapters.openai_batches import OpenAIBatches  # noqa: PLC0415 - loads the OpenAI client

        batches = OpenAIBatches.open(
            api_key=told.openai_api_key, base_url=told.openai_base_url, model=told.openai_model_id
        )
        return cls(options.desk, batches, wait=not options.no_wait, poll_s=options.poll)

    def answers(self, requests: Sequence[Request]) -> dict[str, str]:
        """Text by request id; those that the folder has already cost nothing.

        Raises:
            StartupError: a batch is still out and `wait` is off, or a request has no answer.
            StageUnavailable: the API refused or gave no answer; what was sent is found again.
        """
        wanted = {request.id: request for request in requests}
        self.folder.mkdir(parents=True, exist_ok=True)
        with bundle.locked(self.folder):
            self._collect()
            for _ in range(TRIES):
                known = self._known()
                for some in self._batches([one for key, one in wanted.items() if key not in known]):
                    self._send(some)
                    self._collect()
            known = self._known()
        if missing := [key for key in wanted if key not in known]:
            reason = self._reasons.get(missing[0], "it was not worked on within a day")
            raise StartupError(
                f"{len(missing)} of {len(wanted)} requests to {self.batches.model} have no answer ({reason}); "
                "run it again for those"
            )
        return {key: known[key] for key in wanted}

    def _batches(self, requests: Sequence[Request]) -> Iterator[list[Request]]:
        some: list[Request] = []
        size = 0
        for request in requests:
            length = len(self.batches.line(request))
            if some and (len(some) == MOST_REQUESTS or size + length > MOST_BYTES):
                yield some
                some, size = [], 0
            some.append(request)
            size += length
        if some:
            yield some

    def _send(self, requests: Sequence[Request]) -> None:
        """Noted before it is sent and again after: a kill between the two is found by the mark."""
        mark = hashlib.sha256("".join([os.urandom(8).hex(), *(one.id for one in requests)]).encode()).hexdigest()[:32]
        self._note(mark, None)
        self._note(mark, self.batches.submit(requests, mark))

    def _collect(self) -> None:
        """Bring in the batch that is out, if one is."""
        path = self.folder / OPEN
        if not path.exists():
            return
        noted = json.loads(path.read_text())
        batch = noted["batch"] or self.batches.find(noted["mark"])
        if batch is not None:
            self._await(batch)
            self._keep(batch)
        path.unlink()

    def _await(self, batch: str) -> None:
        said: Progress | None = None
        while True:
            try:
                now = self.batches.progress(batch)
            except StageUnavailable as exc:
                if "was refused" in exc.detail:
                    (self.folder / OPEN).unlink()
                raise
            if now != said:
                sys.stderr.write(f"batch {batch}: {now.status}, {now.done} of {now.total}\n")
                said = now
            if now.over:
                return
            if not self.wait:
                raise StartupError(f"batch {batch} is {now.status} ({now.done} of {now.total}); run it again later")
            time.sleep(self.poll_s)

    def _keep(self, batch: str) -> None:
        used = [0, 0]
        with (self.folder / ANSWERS).open("a", encoding="utf-8") as file:
            file.write("\n")  # after a line that a kill cut short
            for reply in self.batches.replies(batch):
                used = [used[0] + reply.input_tokens, used[1] + reply.output_tokens]
                if reply.text:
                    file.write(json.dumps({"id": reply.id, "text": reply.text}, ensure_ascii=False) + "\n")
                else:
                    self._reasons[reply.id] = reply.error
            file.flush()
            os.fsync(file.fileno())
        sys.stderr.write(f"batch {batch}: {used[0]} input and {used[1]} output tokens\n")

    def _known(self) -> dict[str, str]:
        path = self.folder / ANSWERS
        known: dict[str, str] = {}
        for line in path.read_text(encoding="utf-8").split("\n") if path.exists() else ():
            try:
                row = json.loads(line) if line else {}
            except ValueError:  # cut short by a kill; it is in the batch's file still
                continue
            if row:
                known[row["id"]] = row["text"]
        return known

    def _note(self, mark: str, batch: str | None) -> None:
        path = self.folder / OPEN
        written = path.with_suffix(".new")
        written.write_text(json.dumps({"mark": mark, "batch": batch}))
        written.replace(path)


def arguments(parser: argparse.ArgumentParser, *, name: str, does: str) -> None:
    """Options of a command that has such work."""
    parser.add_argument(name, dest="desk", type=Path, default=None, metavar="DIR", help=does)
    parser.add_argument("--no-wait", action="store_true", help="don't wait for the model's batch: run it again later")
    parser.add_argument("--poll", type=float, default=POLL_S, metavar="S", help="pause between looks at the batch")


def request_id(*parts: str) -> str:
    """The same for the same request, whenever it is made."""
    return hashlib.sha256("\0".join(parts).encode(errors="replace")).hexdigest()[:32]
