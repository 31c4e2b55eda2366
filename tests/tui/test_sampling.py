"""How often the app looks at the engine: at once while something happens, seldom at rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from maap_tui.tui.sampling import AT_REST_S, REST_AFTER_S, Sampling


@dataclass
class Timer:
    """A timer that the test lets pass."""

    interval: float
    callback: Callable[[], None] | None
    is_going: bool

    def pause(self) -> None:
        self.is_going = False

    def resume(self) -> None:
        self.is_going = True


@dataclass
class Clock:
    """A clock with its timers, and what happens at each look."""

    now: float = 0.0
    timers: list[Timer] = field(default_factory=list)
    looks: list[float] = field(default_factory=list)
    is_busy: bool = False

    def set_interval(
        self, interval: float, callback: Callable[[], None] | None = None, *, pause: bool = False
    ) -> Timer:
        self.timers.append(Timer(interval, callback, not pause))
        return self.timers[-1]

    def go_on(self, seconds: float) -> list[float]:
        """Let so many seconds pass; return the seconds between the looks."""
        self.looks.clear()
        end = self.now + seconds
        while self.now < end:
            (timer,) = (one for one in self.timers if one.is_going)
            self.now += timer.interval
            assert timer.callback is not None
            timer.callback()
        return [round(b - a, 6) for a, b in zip(self.looks, self.looks[1:], strict=False)]


def sampling(clock: Clock) -> Sampling:
    made = Sampling(
        lambda: clock.looks.append(clock.now), lambda: clock.is_busy, 0.25, clock=lambda: clock.now
    )
    made.start(clock)
    return made


def test_at_rest_it_looks_seldom() -> None:
    clock = Clock()
    sampling(clock)
    assert set(clock.go_on(REST_AFTER_S - 0.25)) == {0.25}
    clock.go_on(1)
    assert set(clock.go_on(60)) == {AT_REST_S}


def test_a_key_makes_it_look_often_again() -> None:
    clock = Clock()
    made = sampling(clock)
    clock.go_on(60)
    made.wake()
    assert set(clock.go_on(REST_AFTER_S - 0.25)) == {0.25}


def test_what_happens_by_itself_is_followed_closely() -> None:
    clock = Clock()
    sampling(clock)
    clock.go_on(60)
    clock.is_busy = True
    clock.go_on(AT_REST_S)
    assert set(clock.go_on(60)) == {0.25}
    clock.is_busy = False
    clock.go_on(REST_AFTER_S + 0.5)
    assert set(clock.go_on(60)) == {AT_REST_S}


def test_a_slow_line_is_never_looked_at_more_often_at_rest() -> None:
    clock = Clock()
    made = Sampling(lambda: clock.looks.append(clock.now), lambda: False, 5.0, clock=lambda: clock.now)
    made.start(clock)
    assert set(clock.go_on(100)) == {5.0}
