"""Overpasses of a place: those that the archive has, and those to come."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Literal

from maap_tui.engine.catalogue.search import FailedDay
from maap_tui.engine.errors import InvalidRequestError, MaapError
from maap_tui.engine.missions import mission_named, parse_name
from maap_tui.engine.missions.base import Mission
from maap_tui.engine.model import Granule, TimeRange
from maap_tui.engine.observations import Spot, rank_of, spot_of
from maap_tui.engine.overpass import sun
from maap_tui.engine.overpass.passing import REPEAT, Overpass, Place, passes_of
from maap_tui.engine.query import Circle, Query
from maap_tui.engine.workflows import orbits
from maap_tui.engine.workflows.build import baseline_at_archive, newest_baseline
from maap_tui.engine.workflows.coverage import runs_of
from maap_tui.engine.workflows.parts import Parts
from maap_tui.engine.workflows.presence import files_there
from maap_tui.engine.workflows.searching import UNCUT, add_failed, run_of
from maap_tui.text import plural

LONGEST = timedelta(hours=2)
"""How long before its closest approach a granule may begin: more than an orbit takes."""
MOST_AHEAD = timedelta(days=400)
"""How far into the future overpasses are expected."""
MARGIN = 1.02, 80.0
"""Factor and kilometres that are added to the radius that is asked for.

A service may join the points of a track by straight lines in degrees, which leave the geodesic: by 45 km
between points 550 km apart at 82 degrees of latitude.
"""
_DRIFT = timedelta(minutes=5)
"""By how much a repeat cycle may be longer or shorter than its days."""
_MOMENT = timedelta(minutes=1)
"""How long a question may take to get here whose time begins now."""
_CYCLES = 2
"""Repeat cycles that are looked back: what the archive lacks of one it may have of the other."""

_PAST_HINT = "Ask for a time that has passed, as --days-back 30."

By = Literal["auto", "prediction", "scenario", "cycle"]
"""What says the passes to come."""


@dataclass(slots=True)
class Overpasses:
    """Overpasses of a place, and what is missing of them."""

    place: Place
    rows: list[Overpass] = field(default_factory=list)
    """By time."""
    failed: list[FailedDay] = field(default_factory=list)
    """What could not be searched."""
    without_track: list[str] = field(default_factory=list)
    """Granules near the place whose track nobody knows, by name."""
    notes: list[str] = field(default_factory=list)
    """What has to be known of what is expected, in sentences without their full stop."""
    unsaid: list[TimeRange] = field(default_factory=list)
    """Parts of the time of which nothing says the passes: a later orbit file may."""


def trackless_words(names: Sequence[str]) -> str:
    """That nobody knows the tracks of granules, a sentence without its full stop; '' for none of them."""
    if not names:
        return ""
    return f"{plural(len(names), 'granule')} of the archive without a track that is known, such as {names[0]}"


def query_for(parts: Parts, collection: str, product_type: str, baseline: str | None) -> Query:
    """What has the ground tracks of a mission.

    Args:
        parts: the engine.
        collection: '' for that of the mission of the configuration, EarthCARE without one.
        product_type: '' for the product of the mission that has every track.
        baseline: None for the newest of each granule.

    Raises:
        InvalidRequestError: the mission has no such product, or the archive no tracks of this one.
    """
    mission = parts.mission_of(collection) if collection else _mission_of(parts)
    if not product_type:
        own, product_type = mission.track_product
        if not own or collection not in ("", own):
            raise InvalidRequestError(
                f"{collection or mission.name} has no product that stands for all of its tracks",
                "Name collection and product type.",
            )
        collection = own
    orbit_files = mission.orbit_files[1:] if mission.orbit_files is not None else ()
    if product_type in mission.unindexed or product_type in orbit_files:
        raise InvalidRequestError(
            f"{product_type} has no ground track at the archive", "Name another product, or none."
        )
    return Query(collection, product_type, baseline, max_items=UNCUT)


def _mission_of(parts: Parts) -> Mission:
    return mission_named(parts.settings.mission.name or "EarthCARE")


async def overpasses(
    parts: Parts, query: Query, place: Place, metres: float, span: TimeRange, *, by: By = "auto"
) -> Overpasses:
    """Find overpasses: until now at the archive, from now on what is to be expected.

    Args:
        parts: the engine.
        query: what has the ground tracks, see `query_for`.
        place: where.
        metres: how near they come, to the track or to the swath.
        span: when they are nearest.
        by: what says those to come. `auto` is the predicted orbit as far as it goes, where the query is for
            all tracks of the mission, then the repeat cycle.

    Raises:
        InvalidRequestError: for unknown names, or a future that nobody knows.
        CatalogError: when the names cannot be checked.
        MaapError: when the orbit file that is asked for by name cannot be had.
    """
    now = parts.now()
    if span.end > now + MOST_AHEAD:
        raise InvalidRequestError(
            f"Nobody knows the orbit in more than {MOST_AHEAD.days} days", "Give a nearer end."
        )
    if timedelta(0) < now - span.start < _MOMENT:
        # From now on, as it was when the command began: the archive has nothing of that moment.
        now = span.start
    found = Overpasses(place)
    mission = parts.mission_of(query.collection)
    if span.end > now:
        _demand_future(mission, now, by)
    if span.start < now:
        found.rows += await flown(parts, query, found, metres, TimeRange(span.start, min(span.end, now)))
    if span.end > now:
        future = TimeRange(max(span.start, now), span.end)
        known = {one.name for one in found.rows if one.name}
        for one in await _expected(parts, mission, query, found, metres, future, by):
            if not one.name or one.name not in known:
                found.rows.append(one)
    found.rows.sort(key=lambda one: one.time)
    found.rows = await asyncio.to_thread(_with_what_is_here, parts, mission, found.rows)
    return found


def _demand_future(mission: Mission, now: datetime, by: By) -> None:
    """Refuse what nothing can say, before anything is asked for.

    Raises:
        InvalidRequestError: the mission is over, or neither orbit files nor a repeat cycle of it are known.
    """
    if mission.end <= now:
        raise InvalidRequestError(
            f"{mission.name} ended before {mission.end:%Y-%m-%d}: no pass is to come", _PAST_HINT
        )
    if mission.orbit_files is None and by in ("prediction", "scenario"):
        raise InvalidRequestError(
            f"The archive has no orbit files of {mission.name} that are known", _PAST_HINT
        )
    if mission.repeat is None and (mission.orbit_files is None or by == "cycle"):
        reason = mission.no_repeat or "has no repeat cycle that is known"
        raise InvalidRequestError(f"{mission.name} {reason}: nobody can say its future tracks", _PAST_HINT)


async def _expected(
    parts: Parts,
    mission: Mission,
    query: Query,
    found: Overpasses,
    metres: float,
    future: TimeRange,
    by: By,
) -> list[Overpass]:
    """The overpasses to come."""
    if by == "cycle":
        return await _repeated(parts, mission, query, found, metres, [future])
    # Orbit files know nothing of swaths, nor of when a product is made.
    is_for_tracks = (query.collection, query.product_type) == mission.track_product
    if by == "auto" and (mission.orbit_files is None or not is_for_tracks):
        return await _repeated(parts, mission, query, found, metres, [future])
    try:
        orbit = await orbits.orbit_of(parts, mission, "scenario" if by == "scenario" else "prediction")
        rows, known = await asyncio.to_thread(orbits.along, orbit, mission, found.place, metres, future)
    except MaapError as error:
        if by != "auto":
            raise
        found.notes.append(f"The predicted orbit cannot be had: {error.message}")
        if mission.repeat is None:
            found.unsaid.append(future)
        return await _repeated(parts, mission, query, found, metres, [future])
    unknown = [
        TimeRange(start, end)
        for start, end in ((future.start, known.start), (known.end, future.end))
        if start < end
    ]
    if by != "auto" or mission.repeat is None:
        found.notes += [f"{orbit.name} says nothing of {part}" for part in unknown]
        found.unsaid += unknown
        return rows
    names = {one.name for one in rows}
    if unknown:
        more = await _repeated(parts, mission, query, found, metres, unknown)
        rows += [one for one in more if one.name not in names]
    return rows


async def flown(
    parts: Parts, query: Query, found: Overpasses, metres: float, span: TimeRange
) -> list[Overpass]:
    """The overpasses that the archive has, one an orbit and frame; what is missing goes into `found`."""
    (longitude, latitude), (factor, more) = found.place.at, MARGIN
    circle = Circle(latitude, longitude, min(metres / 1000 * factor + more, 20_000.0))
    wanted = query.replace(time=TimeRange(span.start - LONGEST, span.end), circle=circle)
    search = run_of(parts, wanted, divided=False)
    granules: dict[Spot, Granule] = {}
    async with aclosing(aiter(search)) as pages:
        async for page in pages:
            keep_newest(granules, page.granules)
    add_failed(found.failed, search.failed)
    rows = []
    for granule in granules.values():
        passes = passes_of(granule, found.place, metres)
        if passes is None:
            # What was and what is to come are asked for by themselves, and may have days in common.
            if granule.id not in found.without_track:
                found.without_track.append(granule.id)
        else:
            rows += [one for one in passes if one.time in span]
    return rows


def keep_newest(granules: dict[Spot, Granule], fresh: Iterable[Granule]) -> None:
    """Add granules to those that are known by their observation, of several processings the newest."""
    for granule in fresh:
        spot = spot_of(granule)
        if spot not in granules or rank_of(granule) > rank_of(granules[spot]):
            granules[spot] = granule


async def _repeated(
    parts: Parts,
    mission: Mission,
    query: Query,
    found: Overpasses,
    metres: float,
    futures: Sequence[TimeRange],
) -> list[Overpass]:
    """The newest known passes, later by whole repeat cycles; none of a mission without a cycle."""
    if mission.repeat is None:
        return []
    cycle = timedelta(days=mission.repeat.days)
    now = parts.now()
    rows = await flown(parts, query, found, metres, TimeRange(now - _CYCLES * cycle, now))
    is_known = bool(rows) or bool(found.failed)
    if (
        not is_known
        and (last := await _newest_start(parts, query)) is not None
        and last < now - _CYCLES * cycle
    ):
        end = last + timedelta(seconds=1)
        rows = await flown(parts, query, found, metres, TimeRange(end - _CYCLES * cycle, end))
        found.notes.append(f"The newest tracks that the archive has are of {last:%Y-%m-%d}")
    newest: dict[Spot, Overpass] = {}
    took: list[timedelta] = []
    for one in sorted(rows, key=lambda one: one.time):
        turn = one.orbit % mission.repeat.orbits if one.orbit is not None else one.time
        before = newest.get((turn, one.frame))
        if before is not None and abs(one.time - before.time - cycle) < _DRIFT:
            took.append(one.time - before.time)
        newest[turn, one.frame] = one
    # The local time of the node drifts: the ground track comes again some seconds off the whole days.
    cycle = sorted(took)[len(took) // 2] if took else cycle
    return [
        later
        for one in newest.values()
        for future in futures
        for later in _later(one, found.place, future, cycle, mission.repeat.orbits)
    ]


def _later(one: Overpass, place: Place, span: TimeRange, cycle: timedelta, orbits: int) -> Iterable[Overpass]:
    """A pass as it comes again within a span."""
    count = math.ceil((span.start - one.time) / cycle)
    while (moment := one.time + count * cycle) < span.end:
        yield replace(
            one,
            time=moment,
            sun=sun.elevation(place.at, moment),
            orbit=None if one.orbit is None else one.orbit + count * orbits,
            source=REPEAT,
            granule=None,
        )
        count += 1


async def _newest_start(parts: Parts, query: Query) -> datetime | None:
    """When the newest granule of a product was sensed; None when there is none."""
    baseline = query.baseline or await newest_baseline(parts, query.collection, query.product_type)
    if not baseline:
        return None
    info = await baseline_at_archive(parts, query.collection, query.product_type, baseline)
    return info.time_end if info else None


def _with_what_is_here(parts: Parts, mission: Mission, rows: Sequence[Overpass]) -> list[Overpass]:
    """The rows with the product types of their orbits and frames that are on disk; it reads files."""
    days: set[date] = set()
    for one in rows:
        if one.granule is not None:
            # Products of one frame may begin on two sides of midnight.
            start = one.granule.sensing_start
            days |= {start.date(), (start - LONGEST).date(), (start + LONGEST).date()}
    here: dict[Spot, set[str]] = {}
    keys = [key for key in parts.registry.tracked() if key.mission == mission.name] if days else []
    runs = list(runs_of(days))
    for key in keys:
        with parts.registry.skip_unreadable():
            tracker = parts.registry.baseline(key)
            tracked = [one for first, last in runs for one in tracker.downloads(first, last)]
            for file in files_there(tracked):
                name = parse_name(file.url)
                if name is not None:
                    here.setdefault(spot_of(name), set()).add(key.product_type)
    return [
        replace(one, here=tuple(sorted(here.get(spot_of(one.granule), ())))) if one.granule else one
        for one in rows
    ]
