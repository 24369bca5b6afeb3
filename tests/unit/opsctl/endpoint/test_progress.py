from __future__ import annotations

import io
import time

from rich.console import Console

from opsctl.endpoint.progress import watching


def test_nothing_is_drawn_over_a_question_and_the_live_line_comes_back() -> None:
    drawn = io.StringIO()
    with watching(Console(file=drawn, force_terminal=True, width=80)) as watch:
        with watch.quiet():
            before = drawn.getvalue()
            time.sleep(0.4)  # the spinner turns more than ten times a second
            assert drawn.getvalue() == before
        watch.waiting("endpoint twin Creating", 61)
        assert "looking at the endpoint" in drawn.getvalue()
    assert "endpoint twin Creating, 1:01" in drawn.getvalue()


def test_a_pipe_gets_a_line_for_each_change_of_state() -> None:
    said = io.StringIO()
    with watching(Console(file=said)) as watch, watch.quiet():
        watch.waiting("endpoint twin Creating", 0)
        watch.waiting("endpoint twin Creating", 10)
        watch.waiting("endpoint twin InService", 200)
    assert said.getvalue().splitlines() == [
        "endpoint twin Creating, after 0:00",
        "endpoint twin InService, after 3:20",
    ]
