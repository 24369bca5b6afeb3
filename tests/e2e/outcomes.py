"""How a deployment can end, the same in every topology: what is typed, how it ends, and what runs afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.e2e.stack import INTERRUPTIBLE
from tests.e2e.typed import typed
from tests.real_processes import serve
from tests.unit.opsctl.conftest import _search, rag_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.e2e.stack import Stack

QUICK = ("--yes", "--no-preflight", "--no-smoke-test")
TRIES = 6  # of opsctl's clients: one, and five more
PROVIDER_TRIES = 2  # of the provider, as the cloud on loopback sets it
LIMIT_S = 300


def is_broken_off_and_finished_by_the_same_command(stack: Stack, edits: Mapping[str, Any], **environ: str) -> None:
    """Ctrl-C in the midst of an update: 130, and the same command makes the rest."""
    for key, value in edits.items():
        stack.set(key, value)
    words = [str(Path(sys.executable).with_name("opsctl")), "deploy", "--stack", stack.name, *QUICK]
    with subprocess.Popen(
        [*INTERRUPTIBLE, *words], cwd=stack.folder, env={**os.environ, **environ}, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        for line in process.stderr:
            stack.log.append(line)
            if line.startswith("update aws:"):
                os.killpg(process.pid, signal.SIGINT)
                break
        _, said = process.communicate(timeout=LIMIT_S)
    stack.log.append(said)
    assert process.returncode == 130, said
    assert "run the same command again" in said.splitlines()[-1]
    assert "Traceback" not in said
    done = typed(stack, "deploy", *QUICK, **environ)
    assert done.code == 0, done.err
    assert done.document["verdict"]["status"] == "running"
    assert stack.unchanged(), stack.log[-1]


def is_refused_for_a_wrong_config(stack: Stack, runs: Callable[[], object], **environ: str) -> None:
    """2, with the key, its value and what would be right; nothing is asked of the cloud."""
    before, file = runs(), stack.file.read_text()
    stack.set("monitoring.p95Seconds", "soon")
    done = typed(stack, "deploy", "--yes", **environ)
    stack.file.write_text(file)
    assert (done.code, done.out.strip() == "" or done.document["changes"] == {}) == (2, True), done.err
    assert "monitoring.p95Seconds" in done.err.splitlines()[-1]
    assert "soon" in done.err.splitlines()[-1]
    assert runs() == before


def is_throttled(stack: Stack, service: str, operation: str, runs: Callable[[], object], **environ: str) -> None:
    """A moment is waited out: 0. What lasts is 3, in one line that names the call; what runs is what ran."""
    before = runs()
    throttle(service, operation, TRIES - 2)
    brief = typed(stack, "deploy", *QUICK, **environ)
    assert brief.code == 0, brief.err
    throttle(service, operation, TRIES)
    lasting = typed(stack, "deploy", *QUICK, **environ)
    assert lasting.code == 3, lasting.err
    assert "ThrottlingException" in lasting.err.splitlines()[-1]
    assert operation in lasting.err.splitlines()[-1]
    assert runs() == before
    again = typed(stack, "deploy", *QUICK, **environ)
    assert (again.code, again.document["verdict"]["status"]) == (0, "running")


def is_throttled_in_its_update(stack: Stack, runs: Callable[[], object], **environ: str) -> None:
    """3, with AWS's word, once the engine's provider gives up; what runs is what ran, the next deployment finishes."""
    before = runs()
    stack.set("monitoring.errorRatePercent", 5)
    throttle("cloudwatch", "PutMetricAlarm", PROVIDER_TRIES)
    done = typed(stack, "deploy", *QUICK, **environ)
    assert done.code == 3, done.err
    assert "Rate exceeded" in done.err.splitlines()[-1]
    assert "run the same command again" in done.err.splitlines()[-1]
    assert runs() == before
    again = typed(stack, "deploy", *QUICK, **environ)
    assert again.code == 0, again.err
    assert (again.document["verdict"]["status"], again.document["changes"] != {}) == ("running", True)


def is_taken_back_where_the_smoke_test_fails(
    stack: Stack, image: str, before: str, runs: Callable[[], str], **environ: str
) -> None:
    """5: the rollout is good, the answer is not, and the image before runs again and answers."""
    with answering(runs, bad=image) as url:
        golden = stack.folder / "golden.yaml"
        golden.write_text("questions: [{question: What is FastAPI?, title: fastapi}]")
        words = ("--yes", "--no-preflight", "--timeout", "10", "--golden", str(golden), "--url", url, "--image", image)
        done = typed(stack, "deploy", *words, RAG_API_KEY="k", **environ)
    assert done.code == 5, done.err
    assert done.document["verdict"]["status"] == "running", "the platform had nothing against it"
    assert not done.document["smokeTest"]["ok"]
    back = done.document["wayBack"]
    assert (back["ok"], back["verdict"]["status"], back["smokeTest"]["ok"]) == (True, "running", True), done.err
    assert f"went back to {before}, which runs" in done.err.splitlines()[-1]
    assert runs() == before
    assert stack.config()["rag-platform:service"]["image"] == before


def throttle(service: str, operation: str, times: int) -> None:
    """Answer the next calls of an operation as an account does that is asked too much."""
    fault = {"service": service, "operation": operation, "times": times, "error": "ThrottlingException"}
    asked = {**fault, "message": "Rate exceeded", "status": 400}
    httpx.post(f"{os.environ['AWS_ENDPOINT_URL']}/emulator/faults", json=asked, trust_env=False).raise_for_status()


@contextmanager
def answering(runs: Callable[[], str], *, bad: str) -> Iterator[str]:
    """A service in the place of what the platform at hand can't run: one image of it has no good answer."""

    async def search(request: Request) -> Response:
        return JSONResponse(_search(await request.json()).body)

    async def rag(request: Request) -> Response:
        if not (await request.json())["query"]:
            detail = {"type": "about:blank", "title": "Invalid request", "detail": "query is empty", "requestId": "r"}
            return JSONResponse(detail, 422, media_type="application/problem+json")
        if runs() == bad:
            return JSONResponse({"title": "Internal error", "detail": "no model"}, 500)
        return JSONResponse(rag_answer())

    async def ready(_: Request) -> Response:
        return JSONResponse({"status": "ready", "release": runs()})

    paths = {"/livez": ready, "/readyz": ready, "/search": search, "/rag": rag}
    app = Starlette(routes=[Route(path, to, methods=["GET", "POST"]) for path, to in paths.items()])
    with serve(app) as server:
        yield server.url
