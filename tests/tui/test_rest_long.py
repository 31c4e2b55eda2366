"""Screens that are left open all day: while nothing changes, no byte goes to the terminal."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from terminal_kit import Terminal

pytestmark = pytest.mark.long

STEPS = (
    (b"\t", b"Runs, the newest first"),
    (b"4", b"On disk"),
    (b"n", b"not here, in"),
    (b"\t", b"fetches day"),
    (b"\x1bt", b"products:"),
    (b"\x1b\r", b"Files of the day"),
    (b"3", b"Transfers"),
    (b"2", b"No search yet"),
    (b"\x0f", b"arctic frames"),
    (b"\x1b[B\r", b"granules"),
    (b"M", b"b box"),
)
"""Keys from screen to screen, and what is shown after each of them."""

REST_S = 3.0
"""Seconds without a byte: more than any screen lets pass between two looks."""


def test_nothing_is_sent_while_nothing_changes(terminal: Callable[..., Terminal]) -> None:
    one = terminal("demo", "--now", "2026-01-15T09:30:00Z", size=(100, 30))
    one.wait_for(b"Missing: ")
    for keys, shown in STEPS:
        for key in (keys[:1], keys[1:]) if keys[:1] == b"\x1b" and keys[1:2] != b"[" else (keys,):
            seen = one.type(key)
            one.settle(1.0)
        one.wait_for(shown, after=seen)
        one.settle(1.0)
        assert not one.read(REST_S), (shown, one.shown[-300:])
    one.type(b"\x11")
    assert one.ended() == 0
