"""llama.cpp's own HTTP server (OpenAI-shaped) as a process, from the `xllamacpp` wheel.

    python -m service.adapters.llamacpp_server --model smollm2-135m-instruct --port 8081

`--model` is a built-in name, a path to a GGUF file, or a hub id `owner/repo:QUANT` (fetched by llama.cpp itself).
It must not know the service: it is one of the two programs that the edge's supervisor keeps up.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from service.adapters import packaged
from service.errors import StartupError

BUILT_IN = {"smollm2-135m-instruct": packaged.SMOLLM2_GGUF}
EX_CONFIG = 78


def model_path(name: str) -> Path | None:
    """The GGUF file that `name` stands for; None where it is a hub id.

    Raises:
        StartupError: neither a built-in name, nor a file that is a GGUF, nor a hub id.
    """
    if name in BUILT_IN:
        return packaged.verified_path(BUILT_IN[name])
    path = Path(name).expanduser()
    if path.is_file():
        with path.open("rb") as file:
            if file.read(4) != b"GGUF":
                raise StartupError(f"generation.model: {path} is not a GGUF file")
        return path
    looks_like_a_hub_id = name.count("/") == 1 and not name.startswith((".", "/", "~")) and not name.endswith(".gguf")
    if looks_like_a_hub_id:
        return None
    raise StartupError(
        f"generation.model: no model {name!r}: give a path to a GGUF file, a hub id owner/repo:QUANT, "
        f"or one of {', '.join(BUILT_IN)}"
    )


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
    except (StartupError, RuntimeError) as exc:
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
    if path is None:
        params.model.hf_repo = options.model
    else:
        params.model.path = str(path)
    params.model_alias = {options.model}
    params.hostnames = [options.host]
    params.port = options.port
    params.n_ctx = options.context
    params.n_parallel = 1  # two cores: one answer at a time is the fastest order
    params.cpuparams.n_threads = options.threads
    params.ui = False
    return xllamacpp.Server(params)


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
