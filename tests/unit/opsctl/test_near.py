"""Which address of a stack this machine asks."""

from __future__ import annotations

from typing import Any

import pytest

from opsctl.edge.near import near
from opsctl.errors import CheckFailed
from opsctl.stack import Delivery
from tests.real_processes import free_port


def delivery(hosts: list[str] | None, url: str | None = "http://127.0.0.1:8080") -> Delivery:
    jobs: dict[str, Any] = {} if hosts is None else {"hosts": hosts}
    return Delivery(topology="hybrid", url=url, jobs=jobs)


@pytest.mark.parametrize("hosts", [None, ["local"], ["ssh://pi@one", "local"]])
def test_what_this_machine_reaches_is_asked_as_it_is(hosts: list[str] | None) -> None:
    with near(delivery(hosts)) as found:
        assert found.url == "http://127.0.0.1:8080"


def test_a_stack_without_an_address_stays_without() -> None:
    with near(delivery(["ssh://pi@one"], url=None)) as found:
        assert found.url is None


def test_a_host_that_cannot_be_reached_is_a_failed_check() -> None:
    port = free_port()
    asked = near(delivery([f"ssh://pi@127.0.0.1:{port}"]))
    with pytest.raises(CheckFailed, match=f"can't be reached: .*; try `ssh -p {port} pi@127.0.0.1`"), asked:
        pass
