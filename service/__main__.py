"""Run the service: `python -m service`, told everything by its environment (see `service/settings.py`).

A wrong setting or a broken artefact is one line on stderr and exit code 78 (EX_CONFIG).
"""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import math
import signal
import socket
import sys
import time
from types import FrameType

import uvicorn
from fastapi import FastAPI

from service.app import create_app
from service.errors import StartupError
from service.heads import BoundedHeads
from service.resilience import Admission
from service.resilience.budgets import KEEP_ALIVE_S, LINGER_S
from service.settings import Settings, load
from service.telemetry import logs
from service.vault import fetch

EX_CONFIG = 78
POLL_S = 0.05


def main() -> int:
    """Serve until SIGTERM; exit code 0 after a clean drain."""
    try:
        settings = load(fetch)
        logs.configure(settings)
        listening = _listen(settings)
        app = create_app(settings)
    except StartupError as exc:
        return _refuse(exc)
    config = uvicorn.Config(
        app,
        http=BoundedHeads,
        ws="none",
        timeout_keep_alive=math.ceil(KEEP_ALIVE_S),
        timeout_graceful_shutdown=math.ceil(settings.graceful_s - LINGER_S),
        access_log=False,
        log_config=None,
        log_level="warning",
        server_header=False,
        lifespan="on",
        # Out of descriptors, asyncio lets connections wait in the kernel's queue; uvloop closes them.
        loop="asyncio" if Admission.of(settings).few_files else "auto",
    )
    server = _Server(config)
    # A refused start is reported below in one line; uvicorn would print the lifespan's traceback.
    logging.getLogger("uvicorn.error").addFilter(lambda _: app.state.refused is None)
    try:
        server.run(sockets=[listening])
    except SystemExit:  # uvicorn's own end after a failed start
        if app.state.refused is None:
            raise
        return _refuse(app.state.refused)
    return 0


class _Server(uvicorn.Server):
    """uvicorn that cuts nothing when it is told to end, and does not die of the signal once everything is answered.

    A request that is sent into a connection while that is being closed is lost. So no new connection is taken from the
    signal on, which whoever makes one notices. Those that are open are served for a moment more, and each response says
    that its connection ends; what is still open after the moment is idle.
    """

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """What is loaded by now lives as long as the process; each full collection spent 50 ms on walking it."""
        self._loop = asyncio.get_running_loop()
        self._sockets = sockets or []
        await super().startup(sockets)
        gc.collect()
        gc.freeze()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - a signal handler's shape
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True
        if self.started:
            self._loop.call_soon_threadsafe(self._begin_to_drain)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End once the open connections are gone or idle."""
        ends = time.monotonic() + LINGER_S
        while self.server_state.connections and time.monotonic() < ends and not self.force_exit:  # noqa: ASYNC110 - uvicorn tells nobody of their end
            await asyncio.sleep(POLL_S)
        await super().shutdown(sockets)

    def _begin_to_drain(self) -> None:
        for server in self.servers:
            server.close()
        for listening in self._sockets:
            listening.close()
        app = self.config.app
        if isinstance(app, FastAPI) and app.state.service is not None:
            app.state.service.ready = False


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=2048)
    except OSError as exc:
        name, advice = (
            ("RAG_PORT", "stop what listens there or set another port")
            if exc.errno == errno.EADDRINUSE
            else ("RAG_HOST", "set an address of this machine")
        )
        raise StartupError(f"{name}: {settings.host}:{settings.port}: {exc.strerror}; {advice}") from exc


def _refuse(exc: StartupError) -> int:
    sys.stderr.write(f"rag service: {exc.detail}\n")
    return EX_CONFIG


if __name__ == "__main__":
    sys.exit(main())
