"""One ONNX Runtime session as every adapter wants it: a few threads, quiet, and telling nobody of its use."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnxruntime

# ONNX Runtime 1.32 for Linux, as PyPI has it, gives the host an id, keeps a database under ~/.cache/Microsoft, and is
# made to report to mobile.events.data.microsoft.com. Only this variable stops it, before the library is loaded:
# `disable_telemetry_events()` comes too late. No setting of ours: an edge promises that nothing leaves it.
NO_TELEMETRY = "ORT_DISABLE_TELEMETRY"


def open_session(path: Path, threads: int) -> onnxruntime.InferenceSession:
    """Load a model for the CPU.

    Raises:
        Exception: ONNX Runtime's own unexported classes; the caller says what they mean to it.
    """
    os.environ[NO_TELEMETRY] = "1"
    import onnxruntime as ort  # noqa: PLC0415 - half a second that only a model needs

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # warnings about absent GPUs are no news
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
