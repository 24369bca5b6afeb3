"""A sheet as text: one file per format. All of them show the cells of the same sheet."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from opsctl.sheet import Sheet

RENDERERS = {
    "table": "opsctl.render.table",
    "json": "opsctl.render.json",
    "csv": "opsctl.render.csv",
    "markdown": "opsctl.render.markdown",
    "html": "opsctl.render.html",
}


def renderer(form: str) -> Callable[[Sheet], str]:
    """The function that writes a sheet in a format; imported when it is asked for."""
    render: Callable[[Sheet], str] = import_module(RENDERERS[form]).render
    return render
