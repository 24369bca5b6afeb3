"""How long a smoke test asks again, whatever the service says of when."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.opsctl.conftest import Reply

if TYPE_CHECKING:
    from tests.unit.opsctl.conftest import PlayedService, Run


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("settle", ["0", "0.4"])
def test_a_wait_that_the_answer_demands_ends_with_patience(
    status: int, settle: str, opsctl: Run, service: PlayedService
) -> None:
    service.says("/livez", Reply(status, {"detail": "later"}, headers={"retry-after": "86400"}))
    started = perf_counter()
    ended = opsctl("smoke-test", "--url", service.url, "--settle", settle, "-o", "json")
    assert float(settle) <= perf_counter() - started < 10
    assert ended.code == 1
    assert str(status) in ended.document["checks"][0]["summary"]


def test_a_wait_within_patience_is_kept(opsctl: Run, service: PlayedService) -> None:
    asked: list[float] = []

    def livez(_: dict[str, Any]) -> Reply:
        asked.append(perf_counter())
        return Reply(503, headers={"retry-after": "1"}) if len(asked) == 1 else Reply(body={"status": "ok"})

    service.answers["/livez"] = livez
    assert opsctl("smoke-test", "--url", service.url, "--settle", "30").code == 0
    assert asked[1] - asked[0] >= 0.95
