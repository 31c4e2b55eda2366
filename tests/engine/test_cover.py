"""The fewest days and passes over an area, against every choice that there is."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from maap_tui.engine import cover as module
from maap_tui.engine.cover import Unit, cover, smallest_cover
from maap_tui.engine.model import Granule

START = datetime(2025, 12, 1, 1, tzinfo=UTC)


def granule(day: int, track: int, frame: int, *, code: str = "A", baseline: str = "01") -> Granule:
    start = START + timedelta(days=day, minutes=frame % 90)
    identity = f"BIO_{day}_{track}_{frame}_{baseline}_{code}"
    return Granule(
        identity, "BiomassLevel1b", "Biomass", "S2_DGM__1S", baseline, start,
        frame=f"{frame:03}", track_number=f"{track:03}",
        created=start + timedelta(days=ord(code)),
    )  # fmt: skip


def random_granules(chance: random.Random, frames: int, days: int) -> list[Granule]:
    names = [(at % 3, at) for at in range(frames)]
    found = [granule(chance.randrange(days), track, frame) for track, frame in names]
    for day in range(days):
        several = chance.sample(names, chance.randint(0, frames))
        found += [granule(day, track, frame) for track, frame in several]
    return found


def fewest_by_trial(groups: dict[object, set[str]]) -> int:
    every = set().union(*groups.values())
    for count in range(len(groups) + 1):
        if any(set().union(*some) == every for some in itertools.combinations(groups.values(), count)):
            return count
    raise AssertionError


def closest_by_trial(groups: dict[tuple[date, str], set[str]]) -> tuple[int, int]:
    every = set().union(*groups.values())
    best = (10**6, 10**6)
    for count in range(1, len(groups) + 1):
        for some in itertools.combinations(groups, count):
            if set().union(*(groups[key] for key in some)) == every:
                days = [day for day, _ in some]
                best = min(best, ((max(days) - min(days)).days, count))
    return best


@pytest.mark.parametrize("unit", ["dates", "passes"])
@pytest.mark.parametrize("seed", range(60))
def test_as_few_as_every_choice_tried(seed: int, unit: Unit) -> None:
    chance = random.Random(seed)
    found = random_granules(chance, frames := chance.randint(1, 20), chance.randint(1, 4))
    groups: dict[tuple[date, str], set[str]] = {}
    for one in found:
        key = (one.day, (one.track_number or "") if unit == "passes" else "")
        groups.setdefault(key, set()).add(one.track_frame)
    plan = cover(found, unit)
    assert plan.is_fewest and len(plan.visits) == fewest_by_trial(groups)
    taken = [one.track_frame for visit in plan.visits for one in visit.granules]
    assert len(taken) == len({*taken}) == plan.frames == frames
    assert plan.spare == len(found) - len(taken)
    assert all({one.day for one in visit.granules} == {visit.day} for visit in plan.visits)

    close = cover(found, unit, closest=True)
    assert (close.days_apart, len(close.visits)) == closest_by_trial(groups)
    assert {one.track_frame for visit in close.visits for one in visit.granules} == {*taken}


def test_passes_are_of_one_track() -> None:
    found = [granule(0, 1, 10), granule(0, 2, 20), granule(1, 1, 10), granule(1, 1, 11)]

    def visits(unit: Unit) -> list[tuple[int, str]]:
        return [(visit.day.day, visit.track) for visit in cover(found, unit).visits]

    assert visits("passes") == [(1, "002"), (2, "001")]
    assert visits("dates") == [(1, ""), (2, "")]


def test_of_reprocessed_granules_the_newest_is_taken() -> None:
    found = [granule(0, 1, 10, code="B"), granule(0, 1, 10, code="A"), granule(0, 1, 10, baseline="02")]
    (visit,) = cover(found, "dates").visits
    assert [one.baseline for one in visit.granules] == ["02"]
    (visit,) = cover(found[:2], "dates").visits
    assert [one.id[-1] for one in visit.granules] == ["B"]


def test_nothing_and_what_has_no_track() -> None:
    nothing = cover([replace(granule(0, 1, 1), track_number=None)], "dates")
    assert (nothing.visits, nothing.frames, nothing.spare, nothing.days_apart) == ((), 0, 0, 0)
    assert cover([], "passes", closest=True).visits == ()


def test_a_hundred_frames_on_a_hundred_days_are_covered() -> None:
    found = random_granules(random.Random(7), 100, 100)
    plan = cover(found, "dates")
    assert plan.frames == 100 == sum(len(visit.granules) for visit in plan.visits)


def test_a_search_that_is_cut_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_STEPS", 3)
    chance = random.Random(3)
    masks = {at: sum(1 << bit for bit in chance.sample(range(40), 7)) for at in range(60)}
    chosen, is_fewest = smallest_cover(masks)
    every = 0
    for key in chosen:
        every |= masks[key]
    assert not is_fewest and all(mask | every == every for mask in masks.values())
