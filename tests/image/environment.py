"""An execution environment of Lambda: extensions and command in one container, with a user of Lambda's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.image.container import LAMBDA_UID, Image, started
from tests.lambda_runtime import LambdaRuntime, lambda_runtime
from tests.real_processes import free_port, wait_until

INIT_S = 120
# Lambda starts what it finds in /opt/extensions, then the command; both end with the environment.
START = "for extension in /opt/extensions/*; do $extension & done; exec {command}"


@contextmanager
def environment(
    image: Image,
    folder: Path,
    settings: Mapping[str, object],
    command: str | None = None,
    mounts: Mapping[str, Path] | None = None,
) -> Iterator[LambdaRuntime]:
    """Once it is initialized: the adapter has asked for the first event."""
    port = free_port()
    with lambda_runtime() as runtime:
        told = dict(settings) | {
            "RAG_PORT": port,
            "AWS_LWA_PORT": port,  # 8000 may be taken here: the network is this machine's
            "AWS_LAMBDA_RUNTIME_API": runtime.address,
            "AWS_LAMBDA_FUNCTION_NAME": "rag",
            "AWS_LAMBDA_FUNCTION_VERSION": "1",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "3008",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/rag",
            "AWS_LAMBDA_LOG_STREAM_NAME": "1",
        }
        words = ["sh", "-c", START.format(command=command or " ".join(image.config["Cmd"]))]
        with started(image, folder, told, words, uid=LAMBDA_UID, mounts=mounts) as container:

            def initialized() -> bool:
                assert container.process.poll() is None, (folder / "log").read_text()
                return runtime.ready_at is not None

            wait_until(initialized, within_s=INIT_S, what="the function's initialization")
            yield runtime
