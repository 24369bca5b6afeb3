"""One proxy in front of the cloud for all tests of the endpoint, and the table that the matrix fills."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
from rich.console import Console
from rich.table import Table

from opsctl.endpoint.spec import EndpointSpec
from tests.e2e.endpoint.aws_proxy import AwsProxy
from tests.e2e.endpoint.lab import BUCKET, SHAPES, named, s3
from tests.real_processes import serve

Row = tuple[str, str, str, str]
ROWS = pytest.StashKey[list[Row]]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if os.environ.get("ENDPOINT_MATRIX") == "full":
        return
    left = [item for item in items if item.get_closest_marker("full_matrix")]
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if item not in left]


@pytest.fixture(scope="session")
def proxy_of_all(cloud: None) -> Iterator[AwsProxy]:
    app = AwsProxy(os.environ["AWS_ENDPOINT_URL"])
    with serve(app, lifespan="on") as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", server.url)
        s3().create_bucket(Bucket=BUCKET)
        yield app


@pytest.fixture(autouse=True)
def proxy(proxy_of_all: AwsProxy) -> Iterator[AwsProxy]:
    proxy_of_all.forget()
    yield proxy_of_all
    proxy_of_all.forget()


@pytest.fixture(params=SHAPES)
def shape(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def spec(shape: str) -> EndpointSpec:
    return named(SHAPES[shape])


@pytest.fixture
def row(request: pytest.FixtureRequest) -> Callable[[str, str, str, str], None]:
    """Adds a line to the table: number, promise, plan, figure."""
    rows = request.config.stash.setdefault(ROWS, [])
    return lambda *line: rows.append(line)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    rows = config.stash.get(ROWS, [])
    if not rows:
        return
    table = Table("", "promise", "plan", "held", title="nothing lost, nothing doubled", box=None, title_justify="left")
    for line in sorted(rows):
        table.add_row(*line)
    console = Console(width=120)
    with console.capture() as captured:
        console.print(table)
    terminalreporter.write_line(captured.get())
