"""OpenAI's Batch API, or what speaks it: many completions at half the price, within a day.

A batch is found again by a mark in its metadata, so that a process that dies after it was made does not make it twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, Self

import httpx2
import openai

from service.adapters.openai_models import is_url, reason_of
from service.errors import StageUnavailable, StartupError
from service.jobs.waiting import Progress, Reply, Request

if TYPE_CHECKING:
    from openai.types import Batch
    from pydantic import SecretStr

STAGE = "batch"
ENDPOINT: Literal["/v1/chat/completions"] = "/v1/chat/completions"
MARK = "rag_platform"
TIMEOUT_S = 120.0  # a file goes up in one request
RETRIES = 5


class OpenAIBatches:
    """Batches of one account."""

    def __init__(self, client: openai.OpenAI, *, model: str) -> None:
        self._client = client
        self.model = model

    @classmethod
    def open(cls, *, api_key: SecretStr, base_url: str | None, model: str) -> Self:
        """Make the client; nothing is sent before the first call.

        Raises:
            StartupError: `base_url` is no URL.
        """
        if base_url is not None and not is_url(base_url):
            raise StartupError(f"OPENAI_BASE_URL: {base_url} is no URL; give http(s)://host/v1, or leave it unset")
        timeout = httpx2.Timeout(TIMEOUT_S)
        key = api_key.get_secret_value()
        return cls(openai.OpenAI(api_key=key, base_url=base_url, timeout=timeout, max_retries=RETRIES), model=model)

    def submit(self, requests: Iterable[Request], mark: str) -> str:
        """Send a batch; its id."""
        lines = b"".join(self.line(request) for request in requests)
        with _translated(self.model):
            file = self._client.files.create(file=(f"{mark}.jsonl", lines), purpose="batch")
            made = self._client.batches.create(
                completion_window="24h", endpoint=ENDPOINT, input_file_id=file.id, metadata={MARK: mark}
            )
        return made.id

    def line(self, request: Request) -> bytes:
        """A request as the file has it."""
        body = {
            "model": self.model,
            "messages": [{"role": "system", "content": request.system}, {"role": "user", "content": request.user}],
            "max_completion_tokens": request.max_tokens,
            "temperature": 0,
        }
        line = {"custom_id": request.id, "method": "POST", "url": ENDPOINT, "body": body}
        return json.dumps(line, ensure_ascii=False).encode() + b"\n"

    def find(self, mark: str) -> str | None:
        """The batch that was sent with this mark."""
        with _translated(self.model):
            return next(
                (one.id for one in self._client.batches.list(limit=100) if (one.metadata or {}).get(MARK) == mark), None
            )

    def progress(self, batch: str) -> Progress:
        """Ask how far it is.

        Raises:
            StageUnavailable: it failed as a whole, or is not known.
        """
        with _translated(self.model):
            now = self._client.batches.retrieve(batch)
        if now.status == "failed":
            raise StageUnavailable(STAGE, f"{batch} was refused: {_errors(now)}")
        counts = now.request_counts
        return Progress(
            batch, now.status, counts.completed + counts.failed if counts else 0, counts.total if counts else 0
        )

    def replies(self, batch: str) -> Iterator[Reply]:
        """What came back; requests that are in neither file were not worked on."""
        with _translated(self.model):
            now = self._client.batches.retrieve(batch)
            for file in (now.output_file_id, now.error_file_id):
                if file:
                    content = self._client.files.content(file)
                    yield from (_reply(json.loads(line)) for line in content.iter_lines() if line.strip())

    def close(self) -> None:
        """Close the pool."""
        self._client.close()


def _reply(row: dict[str, Any]) -> Reply:
    key, response = str(row["custom_id"]), row.get("response") or {}
    body = response.get("body") or {}
    if response.get("status_code") != httpx2.codes.OK:
        error = row.get("error") or body.get("error") or {}
        return Reply(
            key, None, str(error.get("message") or error.get("code") or response.get("status_code") or "no answer")
        )
    choice, usage = body["choices"][0], body.get("usage") or {}
    text = choice["message"].get("content")
    counted = (int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0))
    return Reply(key, text, "" if text else str(choice.get("finish_reason")), *counted)


def _errors(batch: Batch) -> str:
    found = (batch.errors.data if batch.errors else None) or []
    return "; ".join(f"{error.code}: {error.message}" for error in found[:3]) or "no reason given"


@contextmanager
def _translated(model: str) -> Iterator[None]:
    try:
        yield
    except openai.APIError as exc:
        raise StageUnavailable(STAGE, reason_of(model, exc)) from exc
    except (ValueError, LookupError, TypeError, AttributeError) as exc:  # JSON of another shape, or none
        raise StageUnavailable(STAGE, "what was sent is no batch; is OPENAI_BASE_URL right?") from exc
