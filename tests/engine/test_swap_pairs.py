"""Which granule of a newer baseline takes the place of which older one."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from maap_tui.engine.missions import Observation
from maap_tui.engine.swaps.pairs import Processing, pair
from tests.homes import MOMENT

MINUTE = timedelta(seconds=60)


def processing(
    name: str, start_s: int, made: int = 0, *, end_s: int | None = None, label: str = "00001A"
) -> Processing[str]:
    """A processing made on a day; with a label that only one observation has, or without any."""
    moment = MOMENT + timedelta(seconds=start_s)
    end = None if end_s is None else MOMENT + timedelta(seconds=end_s)
    observation = Observation(label, is_unique=bool(label))
    return Processing(name, 1, "A", observation, moment, end, (True, MOMENT + timedelta(days=made)), name)


@pytest.mark.parametrize(
    ("old", "new", "pairs", "waiting", "duplicates", "others"),
    [
        ([("a", 0)], [("n", 7)], ["an"], "", "", ""),
        ([("a", 0)], [("n", 3000)], ["an"], "", "", ""),  # alone on both sides, whenever they begin
        ([("a", 0, 1), ("b", 2, 2)], [("n", 0)], ["bn"], "", "a", ""),
        ([("a", 0, 9), ("b", 2, 2)], [("m", 0, 1), ("n", 1, 2)], ["an"], "", "b", ""),
        ([("a", 0), ("b", 300)], [("m", 1), ("n", 301)], ["am", "bn"], "", "", ""),
        ([("a", 0), ("b", 300)], [("n", 301)], ["bn"], "a", "", ""),
        ([("a", 0), ("b", 300)], [("n", 600)], [], "ab", "", "n"),
        ([("a", 0)], [("m", 1), ("n", 301)], ["am"], "", "", "n"),
        ([("a", 0)], [], [], "a", "", ""),
        ([], [("n", 0)], [], "", "", "n"),
    ],
)
def test_what_takes_the_place_of_what(
    old: list, new: list, pairs: list[str], waiting: str, duplicates: str, others: str
) -> None:
    found = pair([processing(*one) for one in old], [processing(*one) for one in new], MINUTE)
    assert [mine.of + theirs.of for mine, theirs in found.pairs] == pairs
    names = ["".join(one.of for one in some) for some in (found.waiting, found.duplicates, found.others)]
    assert names == [waiting, duplicates, others] and not found.ambiguous


@pytest.mark.parametrize(
    ("old", "new", "pairs", "ambiguous", "waiting"),
    [
        # (name, start, end) in seconds; nothing but the times says what belongs together.
        ([("a", 0, 45)], [("n", 2, 45)], ["an"], "", ""),
        ([("a", 0, 45)], [("n", 61, 106)], [], "", "a"),
        ([("a", 0, 45)], [("n", 46, 90)], [], "", "a"),  # near, but one is over before the other begins
        ([("a", 0, 45), ("b", 45, 99)], [("m", 0, 45), ("n", 45, 99)], ["am", "bn"], "", ""),
        ([("a", 0, 200)], [("m", 10, 200), ("n", 60, 200)], ["an"], "", ""),  # versions of one
        ([("a", 0, 200)], [("m", 10, 100), ("n", 60, 200)], [], "a", ""),
        ([("a", 0, 300)], [("n", 0, 200)], [], "a", ""),  # a part of it
        ([("a", 0, 300)], [("m", 40, 100), ("n", 100, 200)], [], "a", ""),
        ([("a", 0, 300), ("b", 59, 300)], [("n", 119, 300)], [], "ab", ""),  # n is near b alone, b near a
        ([("a", 0, 30), ("b", 30, 60)], [("n", 25, 60)], [], "ab", ""),
    ],
)
def test_what_could_be_of_two_observations_is_not_guessed(
    old: list, new: list, pairs: list[str], ambiguous: str, waiting: str
) -> None:
    mine, theirs = (
        [
            processing(name, start, number, end_s=end, label="")
            for number, (name, start, end) in enumerate(some)
        ]
        for some in (old, new)
    )
    for one, other in ((mine, theirs), (mine[::-1], theirs[::-1])):
        found = pair(one, other, MINUTE)
        assert [left.of + right.of for left, right in found.pairs] == pairs
        assert "".join(left.of for left, _ in found.ambiguous) == ambiguous
        assert "".join(left.of for left in found.waiting) == waiting


def test_thousands_of_granules_in_a_row_are_paired_at_once() -> None:
    """Each begins as the one before ends, and near the one behind it: none is guessed, and none compared."""
    for length, pairs, ambiguous in ((30, 4000, 0), (31, 0, 4000)):
        old = [processing(f"a{n}", 30 * n, end_s=30 * n + length, label="") for n in range(4000)]
        new = [processing(f"n{n}", 30 * n, end_s=30 * n + length, label="") for n in range(4000)]
        began = time.process_time()
        found = pair(old, new, MINUTE)
        assert time.process_time() - began < 10, "seconds of each with each would be a minute"
        assert (len(found.pairs), len(found.ambiguous)) == (pairs, ambiguous)
