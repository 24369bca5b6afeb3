"""llama.cpp's own HTTP server (OpenAI-shaped) as a process, from the `xllamacpp` wheel.

    python -m service.adapters.llamacpp_server --model smollm2-135m-instruct --port 8081

`--model` is a built-in name, a path to a GGUF file, or a hub id `owner/repo:QUANT` (Q4_K_M where none is named).
It must not know the service: it is one of the two programs that the edge's supervisor keeps up.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from service.adapters import packaged
from service.errors import StartupError

BUILT_IN = {"smollm2-135m-instruct": packaged.SMOLLM2_GGUF}
EX_CONFIG = 78
DEFAULT_QUANT = "Q4_K_M"

_HUB_ID = re.compile(r"(?P<repo>[\w][\w.-]*/[\w][\w.-]*)(?::(?P<quant>[\w.-]+))?")
_PART = re.compile(r"-\d{5}-of-\d{5}")


def model_path(name: str) -> Path:
    """The GGUF file that `name` stands for, fetched where it is a hub id.

    Raises:
        StartupError: neither a built-in name, nor a file that is a GGUF, nor a hub id that can be fetched.
    """
    if name in BUILT_IN:
        return packaged.verified_path(BUILT_IN[name])
    path = Path(name).expanduser()
    if path.is_file():
        with path.open("rb") as file:
            if file.read(4) != b"GGUF":
                raise StartupError(f"generation.model: {path} is not a GGUF file")
        return path
    hub_id = _HUB_ID.fullmatch(name)
    if hub_id is None or name.endswith(".gguf"):
        raise StartupError(
            f"generation.model: no model {name!r}: give a path to a GGUF file, a hub id owner/repo:QUANT, "
            f"or one of {', '.join(BUILT_IN)}"
        )
    return _fetch(hub_id["repo"], hub_id["quant"] or DEFAULT_QUANT)


def choose_file(names: Sequence[str], quant: str) -> str | None:
    """The one GGUF of a repository with this quantisation; None where there is none, or it comes in parts."""
    whole = [name for name in names if name.lower().endswith(".gguf") and not _PART.search(name)]
    return next((name for name in sorted(whole) if quant.lower() in name.lower()), None)


def _fetch(repo: str, quant: str) -> Path:
    import httpx2  # noqa: PLC0415 - the hub's client raises its errors
    from huggingface_hub import HfApi  # noqa: PLC0415 - only where a hub id is asked for
    from huggingface_hub.errors import HfHubHTTPError  # noqa: PLC0415

    api = HfApi()
    try:
        names = api.list_repo_files(repo)
        name = choose_file(names, quant)
        if name is None:
            raise StartupError(f"generation.model: {repo} has no single GGUF file with {quant}; name another QUANT")
        return Path(api.hf_hub_download(repo, name))
    except (HfHubHTTPError, OSError, httpx2.HTTPError, ValueError) as exc:
        reason = str(exc).strip().splitlines()[0] if str(exc).strip() else type(exc).__name__
        raise StartupError(
            f"generation.model: {repo} can't be fetched ({reason}); download the GGUF yourself and give its path"
        ) from exc


def main(argv: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; exit code 78 and one line on stderr where the model can't be served."""
    parser = argparse.ArgumentParser(prog="python -m service.adapters.llamacpp_server", description="llama.cpp server")
    parser.add_argument("--model", required=True, help="built-in name, GGUF path, or hub id owner/repo:QUANT")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8081)
    parser.add_argument("--context", type=int, default=2048, help="context window in tokens")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args(argv)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})  # before any thread starts
    try:
        server = _start(options)
    except StartupError as exc:
        sys.stderr.write(f"llama server: {exc}\n")
        return EX_CONFIG
    sys.stderr.write(f"llama server: {options.model} at {server.listening_address}\n")
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    # The native server's threads hold sockets; the process ends here and the kernel closes them.
    os._exit(0)


def _start(options: argparse.Namespace) -> Any:  # noqa: ANN401 - the wheel has no types
    path = model_path(options.model)
    _require_free(options.host, options.port)
    import xllamacpp  # noqa: PLC0415 - 100 MB of native code; a wrong model is reported before it loads

    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.model_alias = {options.model}
    params.hostnames = [options.host]
    params.port = options.port
    params.n_ctx = options.context
    params.n_parallel = 1  # two cores: one answer at a time is the fastest order
    params.cpuparams.n_threads = options.threads
    params.ui = False
    try:
        return xllamacpp.Server(params)
    except (RuntimeError, ValueError, OverflowError) as exc:
        raise StartupError(
            f"generation.model: llama.cpp can't serve {path} ({str(exc).strip()}); its own log above says why"
        ) from exc


def _require_free(host: str, port: int) -> None:
    """The native server's own message does not name the port."""
    try:
        socket.create_server((host, port)).close()
    except OSError as exc:
        raise StartupError(
            f"{host}:{port}: {exc.strerror}; stop what listens there, or set hybrid.edge.llmPort to a free port"
        ) from exc


if __name__ == "__main__":
    sys.exit(main())
