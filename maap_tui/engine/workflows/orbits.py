"""The orbit to come, from the files that the archive has of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Literal

from maap_tui.engine.errors import CatalogError, InvalidRequestError
from maap_tui.engine.missions.base import Mission
from maap_tui.engine.model import Granule, TimeRange
from maap_tui.engine.overpass.orbit_files import MOST_BYTES, OrbitFile, State, nodes_of, read_orbit_file
from maap_tui.engine.overpass.passing import Overpass, Place, overpass
from maap_tui.engine.overpass.prediction import LONGEST_GAP_S, passes
from maap_tui.engine.query import Query
from maap_tui.engine.workflows.orbit_store import keep, kept
from maap_tui.engine.workflows.parts import Parts
from maap_tui.engine.workflows.searching import UNCUT, run_of
from maap_tui.engine.workflows.small_file import fetch_small

Kind = Literal["prediction", "scenario"]

_NEWEST = timedelta(days=45)
"""How far back a predicted orbit may begin that still says something of the future."""


async def orbit_of(parts: Parts, mission: Mission, kind: Kind) -> OrbitFile:
    """The newest orbit file of the archive, fetched unless it is kept from an earlier question, and read.

    Raises:
        InvalidRequestError: the archive has none of this mission, or it cannot be read.
        CatalogError: when the archive does not answer.
        DownloadError: it does not send the file.
        CredentialsError, AuthenticationError: when a good token is missing.
    """
    where = mission.orbit_files
    if where is None:
        raise InvalidRequestError(f"The archive has no orbit files of {mission.name} that are known")
    now = parts.now()
    span = TimeRange(now - _NEWEST, now + _NEWEST) if kind == "prediction" else None
    product = where.predicted if kind == "prediction" else where.scenario
    query = Query(where.collection, product, time=span, max_items=UNCUT)
    # What fails is said once: these are not days that somebody asked for.
    search = run_of(parts, query, divided=False, names_days=False)
    newest: Granule | None = None
    async with aclosing(aiter(search)) as pages:
        async for page in pages:
            for granule in page.granules:
                if newest is None or _rank(granule, now) > _rank(newest, now):
                    newest = granule
    if search.failed:
        raise CatalogError(f"{product} could not be searched: {search.failed[0].reason}")
    if newest is None:
        raise InvalidRequestError(f"The archive has no {product} for this time")
    files = newest.files(("eof", "xml"))
    if not files:
        raise InvalidRequestError(f"{newest.id} has no file that can be read")
    name = f"orbit_{mission.name}_{kind}.bin"
    if (data := await kept(parts, name, newest, files[0], MOST_BYTES)) is not None:
        return await asyncio.to_thread(read_orbit_file, data, newest.id)
    data = await fetch_small(parts, files[0].href, f"The orbit file {newest.id}", MOST_BYTES)
    orbit = await asyncio.to_thread(read_orbit_file, data, newest.id)
    await keep(parts, name, newest, files[0], data)
    return orbit


def _rank(granule: Granule, now: datetime) -> tuple[bool, datetime, str]:
    """What is greater the better a file says the orbit from now on.

    The name ends in the end of the validity and in the version.
    """
    return granule.sensing_start <= now, granule.sensing_start, granule.id


def _unbroken(states: Sequence[State], start: datetime) -> list[State]:
    """The states up to the first gap behind a moment that is too long to say anything of the orbit in it."""
    found: list[State] = []
    for one in states:
        if found and (one.time - found[-1].time).total_seconds() > LONGEST_GAP_S:
            if found[-1].time > start:
                break
            found = []
        found.append(one)
    return found


def along(
    orbit: OrbitFile, mission: Mission, place: Place, metres: float, span: TimeRange
) -> tuple[list[Overpass], TimeRange]:
    """The overpasses along an orbit within a span, and which part of it the file knows; it takes a while.

    Raises:
        InvalidRequestError: it says nothing of the span.
    """
    edge = timedelta(hours=2)
    if orbit.changes:
        states = nodes_of(orbit.changes, span.start - edge, span.end + edge)
        source = f"orbit scenario {orbit.name}"
    else:
        states = [one for one in orbit.states if span.start - edge <= one.time <= span.end + edge]
        source = f"orbit prediction {orbit.name}"
    states = _unbroken(states, span.start)
    if len(states) < 2 or states[-1].time <= span.start or states[0].time >= span.end:
        raise InvalidRequestError(f"{orbit.name} says nothing of {span}")
    rows = []
    for approach, state in passes(states, place.at, metres):
        frame, more = "", 0
        if mission.frame_at is not None:
            frame, more = mission.frame_at(approach.at[1], approach.is_ascending)
        one = overpass(
            approach,
            state.time,
            place,
            mission=mission.name,
            orbit=state.orbit + more,
            frame=frame or None,
            source=source,
        )
        if one.time in span:
            rows.append(one)
    return rows, TimeRange(max(states[0].time, span.start), min(states[-1].time, span.end))
