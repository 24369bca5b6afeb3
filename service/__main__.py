"""Run the service: `python -m service`, told everything by its environment (see `service/settings.py`).

A wrong setting or a broken artefact is one line on stderr and exit code 78 (EX_CONFIG).
"""

from __future__ import annotations

import logging
import socket
import sys

import uvicorn

from service.app import create_app
from service.errors import StartupError
from service.settings import Settings, load

EX_CONFIG = 78
KEEP_ALIVE_S = 75  # above a load balancer's idle time-out of 60 s, else a reused connection is a stray 502


def main() -> int:
    """Serve until SIGTERM; exit code 0 after a clean drain."""
    try:
        settings = load()
        listening = _listen(settings)
        app = create_app(settings)
    except StartupError as exc:
        return _refuse(exc)
    config = uvicorn.Config(
        app,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=int(settings.graceful_s),
        access_log=False,
        log_level="warning",
        server_header=False,
        lifespan="on",
    )
    # A refused start is reported below in one line; uvicorn would print the lifespan's traceback.
    logging.getLogger("uvicorn.error").addFilter(lambda _: app.state.refused is None)
    try:
        uvicorn.Server(config).run(sockets=[listening])
    except SystemExit:  # uvicorn's own end after a failed start
        if app.state.refused is None:
            raise
        return _refuse(app.state.refused)
    return 0


def _listen(settings: Settings) -> socket.socket:
    try:
        return socket.create_server((settings.host, settings.port), backlog=2048, reuse_port=False)
    except OSError as exc:
        raise StartupError(
            f"RAG_PORT: {settings.host}:{settings.port}: {exc.strerror}; stop what listens there or set another port"
        ) from exc


def _refuse(exc: StartupError) -> int:
    sys.stderr.write(f"rag service: {exc.detail}\n")
    return EX_CONFIG


if __name__ == "__main__":
    sys.exit(main())
