"""Silence: how long nothing has come, with a clock of the test's own."""

from __future__ import annotations

import pytest

from maap_tui.engine.net.silence import Silence


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_silence_lasts_while_something_is_awaited_and_ends_with_any_sign_of_life() -> None:
    clock = Clock()
    silence = Silence(clock)
    clock.now = 110.0
    assert silence.seconds == 0, "nothing was asked"
    with silence.awaiting():
        clock.now = 116.0
        with silence.awaiting():
            clock.now = 117.0
            assert silence.seconds == 7
            silence.note_answer()
            clock.now = 119.0
            assert silence.seconds == 2 and not silence.is_lost
    assert silence.seconds == 0


def test_silence_of_a_request_that_failed_counts_from_its_beginning_and_stays() -> None:
    clock = Clock()
    silence = Silence(clock)
    clock.now = 130.0
    for _ in range(2):
        with pytest.raises(TimeoutError), silence.awaiting():
            clock.now += 10.0
            raise TimeoutError
        silence.lose()
    assert silence.is_lost and silence.seconds == 20
    clock.now = 200.0
    assert silence.seconds == 70
    silence.note_answer()
    assert silence.seconds == 0 and not silence.is_lost
