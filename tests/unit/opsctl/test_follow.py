from __future__ import annotations

from itertools import islice

from opsctl.follow import OVERLAP_MS, Line, lines


def line(at_ms: int, name: str = "") -> Line:
    return Line(f"{name}{at_ms}", at_ms, "AllTraffic/i-1", f"said at {at_ms}")


class Source:
    """Gives what is there at each look; the lists are looks."""

    def __init__(self, *looks: list[Line]) -> None:
        self.looks, self.asked = list(looks), []

    def since(self, start_ms: int) -> list[Line]:
        self.asked.append(start_ms)  # type: ignore[attr-defined]
        now = self.looks.pop(0) if self.looks else []
        return [each for each in now if each.at_ms >= start_ms]


def test_lines_are_given_once_though_each_look_goes_back() -> None:
    first, late, second = line(100_000), line(99_000, "late"), line(130_500)
    source = Source([first], [late, first], [first, second])
    found = list(islice(lines(source, 0, follow=True, sleep=lambda _: None), 3))
    assert found == [first, late, second]
    assert source.asked == [0, 100_000 - OVERLAP_MS, 100_000 - OVERLAP_MS]


def test_without_follow_it_looks_once() -> None:
    assert list(lines(Source([line(1)], [line(2)]), 0, follow=False)) == [line(1)]


def test_a_line_says_its_time_in_utc() -> None:
    assert line(1_764_115_200_250).at == "2025-11-26T00:00:00.250+00:00"
