"""Circuit breakers: a dependency that keeps failing is left alone, and asked again by one request at a time.

A breaker belongs to a dependency and is shared by all requests of the process. Closed: calls pass. Open: calls are
refused at once. Half open: one call, the probe, passes; it decides.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

from service.errors import (
    CircuitOpen,
    EndpointAsleep,
    StageUnavailable,
    UpstreamExhausted,
    UpstreamThrottled,
)

State = Literal["closed", "open", "half-open"]
OnChange = Callable[[str, State], None]
OnCall = Callable[[str, BaseException | None, float], None]

FAILURES = 5
PROBE_S = 5.0
SLOW = 0.9  # share of its limit from which a call that was broken off counts as failed: clocks start one after another
# The dependency answered, and said what it wants: that is no outage.
_ANSWERED = (CircuitOpen, EndpointAsleep, UpstreamExhausted, UpstreamThrottled)


class Breaker:
    """One dependency's; `slow_s` is the time after which a call that its caller broke off counts as failed."""

    def __init__(
        self,
        name: str,
        *,
        stage: str,
        slow_s: float = math.inf,
        failures: int = FAILURES,
        probe_s: float = PROBE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.on_change: OnChange | None = None
        self.on_call: OnCall | None = None
        self._stage = stage
        self._slow_s = slow_s
        self._limit = failures
        self._probe_s = probe_s
        self._clock = clock
        self._failed = 0
        self._state: State = "closed"
        self._probe_at = 0.0

    @property
    def state(self) -> State:
        """As the next call would find it."""
        return self._state

    @contextmanager
    def watching(self, *, proves: bool = True, waits: bool = False) -> Iterator[None]:
        """Let one call pass, and learn from its end.

        Args:
            proves: its success says that the dependency works; False for what may be answered from memory.
            waits: it may take its time, so that its caller's leaving says nothing.

        Raises:
            CircuitOpen: the dependency is left alone for now.
        """
        self._enter(probing=proves)
        began = self._clock()
        error: BaseException | None = None
        try:
            yield
        except StageUnavailable as exc:
            error = exc
            if not isinstance(exc, _ANSWERED):
                self._failed_once()
            elif proves:
                self._succeeded()
            raise
        except BaseException as exc:
            error = exc
            if not waits and self._clock() - began >= self._slow_s:
                self._failed_once()
            elif proves and self._state == "half-open":
                self._open()  # it decided nothing: the next one is tried after the same pause
            raise
        else:
            if proves:
                self._succeeded()
        finally:
            if self.on_call is not None and proves and not waits:
                self.on_call(self.name, error, self._clock() - began)

    def _enter(self, *, probing: bool) -> None:
        if self._state == "closed":
            return
        wait_s = self._probe_at - self._clock()
        if wait_s > 0:
            raise CircuitOpen(
                self._stage, f"{self.name} failed {self._limit} times in a row and is left alone", retry_after_s=wait_s
            )
        if probing:
            self._probe_at = self._clock() + self._probe_s  # nobody else before that
            self._become("half-open")

    def _succeeded(self) -> None:
        self._failed = 0
        self._become("closed")

    def _failed_once(self) -> None:
        self._failed += 1
        if self._state == "half-open" or self._failed >= self._limit:
            self._open()

    def _open(self) -> None:
        self._probe_at = self._clock() + self._probe_s
        self._become("open")

    def _become(self, state: State) -> None:
        if state != self._state:
            self._state = state
            if self.on_change is not None:
                self.on_change(self.name, state)


class Breakers(Mapping[str, Breaker]):
    """One breaker per dependency, by name."""

    def __init__(self) -> None:
        self._by_name: dict[str, Breaker] = {}

    def add(self, name: str, *, stage: str, limit_s: float) -> Breaker:
        """A new one, for a dependency whose calls are broken off after `limit_s`."""
        breaker = self._by_name[name] = Breaker(name, stage=stage, slow_s=SLOW * limit_s)
        return breaker

    def __getitem__(self, name: str) -> Breaker:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def on_call(self, told: OnCall) -> None:
        """Tell `told` of every call that reached a dependency: its name, what the call raised, and its seconds."""
        for breaker in self._by_name.values():
            breaker.on_call = told

    def on_change(self, told: OnChange) -> None:
        """Tell `told` the name and the new state of every breaker that changes, and how they are now."""
        for breaker in self._by_name.values():
            breaker.on_change = told
            told(breaker.name, breaker.state)
