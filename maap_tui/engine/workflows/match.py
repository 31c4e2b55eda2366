"""Granules that come near a moving platform: found by few questions, and fetched where that is asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from maap_tui.engine.catalogue.search import FailedDay, Search
from maap_tui.engine.download.jobs import Report
from maap_tui.engine.download.requests import DownloadRequest
from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.events import Warned
from maap_tui.engine.model import Granule, TimeRange
from maap_tui.engine.observations import Spot
from maap_tui.engine.overpass import tracks
from maap_tui.engine.overpass.matching import Match, Piece, cut, match_of
from maap_tui.engine.overpass.meeting import Way
from maap_tui.engine.overpass.netcdf_track import read_netcdf
from maap_tui.engine.overpass.tracks import PlatformTrack, pieces
from maap_tui.engine.product_sets import Member
from maap_tui.engine.query import Circle, Query
from maap_tui.engine.together import together
from maap_tui.engine.workflows.files_here import place_of
from maap_tui.engine.workflows.filing import Chosen
from maap_tui.engine.workflows.overpass import LONGEST, MARGIN, keep_newest
from maap_tui.engine.workflows.parts import Parts
from maap_tui.engine.workflows.presence import by_day, look_at_disk
from maap_tui.engine.workflows.register import register
from maap_tui.engine.workflows.searching import UNCUT, add_failed, run_of
from maap_tui.engine.workflows.set_table import collection_of

MOST_PIECES = 40
"""Questions that are asked about a way for one product, unless it has more gaps than that."""
MOST_GAPS = 2000
"""Parts of a way without a gap."""
MOST_APART = timedelta(hours=24)
"""How far apart in time a satellite and a platform may be."""


@dataclass(slots=True)
class Matches:
    """The matches of a platform, and what is missing of them."""

    rows: list[Match] = field(default_factory=list)
    """By time, then in the order of the products."""
    failed: list[FailedDay] = field(default_factory=list)
    """What could not be searched."""
    without_track: list[str] = field(default_factory=list)
    """Granules that may be near whose track nobody knows, by name."""
    lacking: list[InvalidRequestError] = field(default_factory=list)
    """Why granules of a product have no file in the formats meant."""
    questions: int = 0
    """Searches that were made."""
    lacking_bytes: int = 0
    """Bytes of the granules of which a file is not here, as far as the archive says them."""


async def read_track(path: Path) -> PlatformTrack:
    """Read the track of a platform; the suffix says the form, `.gpx`, `.nc` and others of netCDF, or a table.

    Raises:
        InvalidRequestError: it cannot be read, or has no position.
    """
    suffix = path.suffix.lower()
    if suffix in (".nc", ".nc4", ".cdf", ".netcdf", ".h5"):
        return await read_netcdf(path)
    try:
        data = await asyncio.to_thread(_bytes_of, path)
    except OSError as error:
        raise InvalidRequestError(f"{path} cannot be read ({error.strerror or error})") from None
    read = tracks.read_gpx if suffix in (".gpx", ".xml") else tracks.read_csv
    return await asyncio.to_thread(read, data, path.name)


def _bytes_of(path: Path) -> bytes:
    if not path.is_file():
        raise InvalidRequestError(f"{path} is not a file that is here")
    with path.open("rb") as file:
        data = file.read(tracks.MOST_BYTES + 1)
    if len(data) > tracks.MOST_BYTES:
        raise InvalidRequestError(f"{path} has more than {tracks.MOST_BYTES >> 20} MiB", "Thin it out.")
    return data


async def queries_for(parts: Parts, members: Sequence[Member], formats: tuple[str, ...] = ()) -> list[Query]:
    """What is asked for each product; collections that are not named are found.

    Raises:
        InvalidRequestError: a name is unknown, or the archive has no tracks of a product.
        CatalogError: a name cannot be checked.
    """
    found = []
    for member in members:
        collection = member.collection or await collection_of(parts, member, where="")
        if member.product_type in parts.mission_of(collection).unindexed:
            raise InvalidRequestError(
                f"{member.product_type} has no ground track at the archive", "Match another product."
            )
        await parts.catalogue.check(collection, member.product_type, member.baseline or None)
        found.append(
            Query(collection, member.product_type, member.baseline or None, formats=formats, max_items=UNCUT)
        )
    return found


async def matches(
    parts: Parts,
    queries: Sequence[Query],
    track: PlatformTrack,
    *,
    apart: timedelta,
    metres: float,
    gap: timedelta,
) -> Matches:
    """Find the granules that come near a platform.

    Args:
        parts: the engine.
        queries: the products, see `queries_for`.
        track: of the platform.
        apart: the longest time between satellite and platform.
        metres: the longest distance, to the ground track or to the swath.
        gap: how long the platform may have no position and still be taken to go straight on.

    Raises:
        InvalidRequestError: it has too many gaps.
    """
    ways = await asyncio.to_thread(_ways_of, track, gap)
    parted = await asyncio.to_thread(cut, ways, MOST_PIECES)
    found = Matches()
    results = await together(
        *(_of_product(parts, query, ways, parted, found, apart, metres) for query in queries)
    )
    order = {(query.collection, query.product_type): number for number, query in enumerate(queries)}
    rows = [one for some in results for one in some]
    rows.sort(key=lambda one: (one.time, order.get((one.granule.collection, one.granule.product_type), 0)))
    states = await asyncio.to_thread(_states_of, parts, rows)
    found.rows = _with_states(rows, states)
    here = {id(one) for one, _, is_here in states if is_here}
    lacking = [asset.size for one in rows if id(one) not in here for asset in one.files]
    found.lacking_bytes = sum(size or 0 for size in lacking)
    return found


async def judged(parts: Parts, rows: Sequence[Match]) -> list[Match]:
    """Matches with their states as registry and disk say them now."""
    return _with_states(rows, await asyncio.to_thread(_states_of, parts, rows))


def _states_of(parts: Parts, rows: Sequence[Match]) -> list[tuple[Match, str, bool]]:
    return look_at_disk(parts, by_day(parts, rows))


def _with_states(rows: Sequence[Match], states: Sequence[tuple[Match, str, bool]]) -> list[Match]:
    known = {id(one): state for one, state, _ in states}
    return [replace(one, state=known.get(id(one), "new")) for one in rows]


def _ways_of(track: PlatformTrack, gap: timedelta) -> list[Way]:
    """The parts of a track without a gap, measured; it takes a while for a million positions.

    Raises:
        InvalidRequestError: it has too many gaps.
    """
    parts = list(pieces(track, gap))
    if len(parts) > MOST_GAPS:
        raise InvalidRequestError(
            f"{track.name} has {len(parts) - 1:,} gaps longer than {gap}", "Give a longer --gap."
        )
    return [Way(piece) for piece in parts]


async def _of_product(
    parts: Parts,
    query: Query,
    ways: Sequence[Way],
    parted: Sequence[Piece],
    found: Matches,
    apart: timedelta,
    metres: float,
) -> list[Match]:
    factor, more = MARGIN
    granules: dict[Spot, Granule] = {}

    async def ask(piece: Piece) -> Search:
        longitude, latitude = piece.centre
        radius_km = piece.radius_km + metres / 1000 * factor + more
        # A circle that is too large for the service, or nearly all of the Earth, is none.
        circle = Circle(latitude, longitude, radius_km) if radius_km < 8000 else None
        span = TimeRange(piece.start - apart - LONGEST, piece.end + apart + timedelta(seconds=1))
        search = run_of(parts, query.replace(time=span, circle=circle), divided=False)
        async with aclosing(aiter(search)) as pages:
            async for page in pages:
                keep_newest(granules, page.granules)
        return search

    failed: list[FailedDay] = []
    for search in await together(*map(ask, parted)):
        add_failed(failed, search.failed)
    found.failed += failed
    found.questions += len(parted)
    chosen = Chosen(parts.formats_of(query))

    def judge() -> list[Match]:
        rows = []
        for granule in granules.values():
            try:
                one = match_of(granule, ways, apart, metres)
            except ValueError:
                found.without_track.append(granule.id)
                continue
            if one is not None and (files := chosen.files(granule)):
                rows.append(replace(one, files=tuple(files)))
        return rows

    rows = await asyncio.to_thread(judge)
    if (error := chosen.error()) is not None:
        found.lacking.append(error)
    if warning := chosen.warning():
        parts.emit(Warned(f"{query.product_type}: {warning}"))
    return rows


async def fetch(parts: Parts, rows: Sequence[Match], formats: tuple[str, ...] = ()) -> Report:
    """Fetch the files of matches that are not here, and track them.

    Args:
        parts: the engine.
        rows: the matches.
        formats: the formats meant, () for those of the mission.
    """
    by_product: dict[tuple[str, str], list[Granule]] = {}
    for one in rows:
        by_product.setdefault((one.granule.collection, one.granule.product_type), []).append(one.granule)
    async with parts.downloads(verb="download") as downloads:
        for (collection, product), granules in by_product.items():
            wanted = parts.formats_of(Query(collection, product, formats=formats))
            filed = await register(parts.filing, granules, wanted, emit=parts.emit)
            for request in await asyncio.to_thread(_placed, parts, filed.files):
                downloads.add(request, group=collection)
        return await downloads.join()


def _placed(parts: Parts, requests: Sequence[DownloadRequest]) -> list[DownloadRequest]:
    """Files where they are, by the registry or in a layout; and the others where the settings file them."""
    recorded: dict[str, str] = {}
    for key, day in {(one.key, one.day) for one in requests if one.key is not None and one.day is not None}:
        with parts.registry.skip_unreadable():
            recorded |= {file.url: file.path for file in parts.registry.baseline(key).downloads(day, day)}
    found = []
    for request in requests:
        place = place_of(parts, request, recorded.get(request.url, ""))
        if place is not None and (request.root is None or place.is_relative_to(request.root)):
            request = replace(request, path=place)
        elif place is not None:
            continue  # it is here, in another data folder
        elif parts.in_product_dir(None):
            request = parts.filing.in_product_dir(request)
        found.append(request)
    return found
