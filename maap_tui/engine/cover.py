"""Which days or passes cover all frames of an area: as few as there can be, or as close together; pure.

The smallest set cover (Karp 1972) is found by branch and bound: areas have tens of frames, not thousands.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal, TypeVar

from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.missions import Mission
from maap_tui.engine.model import Granule
from maap_tui.engine.observations import rank_of

Unit = Literal["dates", "passes"]
K = TypeVar("K", bound=Hashable)

MOST_STEPS = 200_000
"""Steps of the search for the smallest cover; beyond, the smallest found so far is given, as not proven."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One day, or one pass of the satellite, with what is taken of it."""

    day: date
    track: str
    """Number of the ground track, digits; '' for a day, which may have several."""
    granules: tuple[Granule, ...]
    """One a frame that no other visit of the plan covers, in the order of sensing."""


@dataclass(frozen=True, slots=True)
class Cover:
    """Visits that together have every frame."""

    visits: tuple[Visit, ...]
    """Oldest first."""
    frames: int
    """Frames of ground tracks that are covered."""
    spare: int
    """Granules found that the plan does not need."""
    is_fewest: bool
    """Whether no smaller number of visits would do; False where that was not proven."""

    @property
    def days_apart(self) -> int:
        """Days from the first visit to the last one."""
        return (self.visits[-1].day - self.visits[0].day).days if self.visits else 0


def demand_tracks(mission: Mission) -> None:
    """Refuse a mission whose frames do not come again under the same name.

    Raises:
        InvalidRequestError: when it has no numbers of ground tracks.
    """
    if mission.is_known and not mission.track_digits:
        raise InvalidRequestError(
            f"{mission.name} does not number its ground tracks, by which frames are known again",
            "Plan a collection of Biomass or FLEX.",
        )


def cover(granules: Iterable[Granule], unit: Unit, *, closest: bool = False) -> Cover:
    """Choose granules so that each frame of each ground track is there once.

    Args:
        granules: what there is; those without a track number are left out.
        unit: what there should be few of: days, or passes over the area.
        closest: whether the first and the last day are as close together as can be before the number counts.
    """
    by_visit: dict[tuple[date, str], dict[str, Granule]] = {}
    count = 0
    for granule in granules:
        if granule.track_number is None:
            continue
        count += 1
        track = granule.track_number if unit == "passes" else ""
        frames = by_visit.setdefault((granule.day, track), {})
        held = frames.get(granule.track_frame)
        if held is None or rank_of(granule) > rank_of(held):
            frames[granule.track_frame] = granule
    names = {frame for frames in by_visit.values() for frame in frames}
    masks = _masks(by_visit, sorted(names))
    chosen, is_fewest = _closest(masks) if closest else smallest_cover(masks)
    missing = set(names)
    visits = []
    # The newest day gives what several have: its processing is the newest as a rule.
    for key in sorted(chosen, reverse=True):
        own = [granule for name, granule in by_visit[key].items() if name in missing]
        missing -= by_visit[key].keys()
        own.sort(key=lambda one: (one.sensing_start, one.id))
        visits.append(Visit(key[0], key[1], tuple(own)))
    taken = sum(len(visit.granules) for visit in visits)
    return Cover(tuple(reversed(visits)), len(names), count - taken, is_fewest)


def _masks(by_visit: Mapping[K, Iterable[str]], names: Sequence[str]) -> dict[K, int]:
    bit = {name: 1 << at for at, name in enumerate(names)}
    return {key: sum(bit[name] for name in frames) for key, frames in by_visit.items()}


def _closest(masks: Mapping[tuple[date, str], int]) -> tuple[list[tuple[date, str]], bool]:
    """The smallest cover within the shortest run of days that has every frame."""
    by_day: dict[date, int] = {}
    for (day, _), mask in masks.items():
        by_day[day] = by_day.get(day, 0) | mask
    whole = _union(masks.values())
    days = sorted(by_day)
    runs: list[tuple[int, date, date]] = []
    for at, first in enumerate(days):
        have = 0
        for last in days[at:]:
            have |= by_day[last]
            if have == whole:
                runs.append(((last - first).days, first, last))
                break
    shortest = min((length for length, _, _ in runs), default=0)
    best: tuple[list[tuple[date, str]], bool] | None = None
    for length, first, last in runs:
        if length == shortest:
            found = smallest_cover({key: mask for key, mask in masks.items() if first <= key[0] <= last})
            # Of several the newest one.
            if best is None or len(found[0]) <= len(best[0]):
                best = found
    return best or ([], True)


def smallest_cover(masks: Mapping[K, int]) -> tuple[list[K], bool]:
    """The fewest sets that together have every bit of all sets.

    Args:
        masks: set -> its elements as bits.

    Returns:
        The sets, and whether no fewer would do: a search of `MOST_STEPS` may end before that is known.
    """
    # Of equal sets the last one, of those within another none: a plan with them is not smaller.
    unique: dict[int, K] = {mask: key for key, mask in masks.items() if mask}
    sets = [mask for mask in unique if not any(mask != other and mask | other == other for other in unique)]
    whole = _union(sets)
    having: dict[int, list[int]] = {}
    for bit in _bits(whole):
        having[bit] = sorted((mask for mask in sets if mask & bit), key=int.bit_count, reverse=True)
    best = _greedy(sets, whole)
    steps = 0

    def least(missing: int) -> int:
        """Sets that are needed at least: one for each of some bits that no set has two of."""
        count = 0
        while missing:
            bit = min(_bits(missing), key=lambda one: len(having[one]))
            count += 1
            missing &= ~_union(having[bit])
        return count

    def search(missing: int, taken: list[int]) -> None:
        nonlocal best, steps
        steps += 1
        if not missing:
            best = list(taken) if len(taken) < len(best) else best
            return
        if steps > MOST_STEPS or len(taken) + least(missing) >= len(best):
            return
        bit = min(_bits(missing), key=lambda one: len(having[one]))
        for mask in sorted(having[bit], key=lambda one: (one & missing).bit_count(), reverse=True):
            search(missing & ~mask, [*taken, mask])

    search(whole, [])
    return [unique[mask] for mask in best], steps <= MOST_STEPS


def _greedy(sets: Sequence[int], whole: int) -> list[int]:
    taken, missing = [], whole
    while missing:
        mask = max(sets, key=lambda one: (one & missing).bit_count())
        taken.append(mask)
        missing &= ~mask
    return taken


def _union(masks: Iterable[int]) -> int:
    union = 0
    for mask in masks:
        union |= mask
    return union


def _bits(mask: int) -> Iterable[int]:
    while mask:
        bit = mask & -mask
        yield bit
        mask ^= bit
