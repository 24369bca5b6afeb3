"""A sheet as text: one file per format. All of them show the cells of the same sheet."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from opsctl.cost.sheet import Sheet

RENDERERS = {
    "table": "opsctl.cost.render.table",
    "json": "opsctl.cost.render.json",
    "csv": "opsctl.cost.render.csv",
    "markdown": "opsctl.cost.render.markdown",
    "html": "opsctl.cost.render.html",
}


def renderer(form: str) -> Callable[[Sheet], str]:
    """The function that writes a sheet in a format; imported when it is asked for."""
    render: Callable[[Sheet], str] = import_module(RENDERERS[form]).render
    return render
