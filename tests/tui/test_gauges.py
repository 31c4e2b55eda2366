"""Figures that stand on a screen all day."""

from __future__ import annotations

import pytest

from maap_tui.tui.gauges import steady


@pytest.mark.parametrize(
    ("shown", "now", "wanted"),
    [
        (None, 5, 5),
        (5, None, None),
        (100_000, 99_001, 100_000),
        (100_000, 100_999, 100_000),
        (100_000, 99_000, 99_000),
        (100_000, 101_000, 101_000),
        (0, 0, 0),
        (0, 1, 1),
    ],
)
def test_a_figure_stays_until_it_is_a_hundredth_away(
    shown: int | None, now: int | None, wanted: int | None
) -> None:
    assert steady(shown, now) == wanted
