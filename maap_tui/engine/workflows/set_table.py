"""What of a set is here, at the archive or nowhere, by orbit and frame."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

from maap_tui.engine.catalogue.search import FailedDay
from maap_tui.engine.download.requests import DownloadRequest
from maap_tui.engine.errors import InvalidRequestError, MaapError
from maap_tui.engine.events import ItemSkipped
from maap_tui.engine.file_names import ALL, FileName
from maap_tui.engine.missions import has_format, parse_name
from maap_tui.engine.model import Asset, Granule, TimeRange
from maap_tui.engine.product_sets import (
    CellState,
    Member,
    OrbitFrame,
    ProductSet,
    SetRow,
    Version,
    judge,
    with_gaps,
)
from maap_tui.engine.query import Query
from maap_tui.engine.registry.entries import TrackedFile
from maap_tui.engine.storage.names import shown_url
from maap_tui.engine.together import together
from maap_tui.engine.workflows.parts import Parts
from maap_tui.engine.workflows.searching import UNCUT, run_of

_MARGIN = timedelta(hours=1)
"""How far apart the granules of one orbit and frame begin at most, by a wide margin."""

_Known = dict[OrbitFrame, dict[str, Version]]
"""The versions of one product by orbit and frame, then by baseline."""


@dataclass(slots=True)
class SetTable:
    """A set over a span of sensing starts."""

    wanted: ProductSet
    """The set, each product with its collection."""
    span: TimeRange | None
    """Which orbits and frames: those whose first granule starts in it; None for all."""
    is_asked: bool
    """Whether the archive was asked; otherwise what it has is known as far as the registry says."""
    rows: list[SetRow] = field(default_factory=list)
    """By sensing start."""
    failed_days: list[FailedDay] = field(default_factory=list)
    archive: list[list[tuple[OrbitFrame, Version]]] = field(default_factory=list)
    """What the archive said it has of each product."""
    requests: dict[str, list[DownloadRequest]] = field(default_factory=dict)
    """Granule -> its files, of what the archive said."""
    tracked: dict[str, list[TrackedFile]] = field(default_factory=dict)
    """Granule -> its files that the registry follows and that were not downloaded."""

    @property
    def counts(self) -> Counter[str]:
        """How many orbits and frames are in each state."""
        return Counter(row.state for row in self.rows)

    @property
    def is_whole(self) -> bool:
        """Whether nothing is waited for, but what a clean-up or a known gap took, and all was searched."""
        return not self.failed_days and all(row.state in ("complete", "deleted", "gap") for row in self.rows)


async def set_table(
    parts: Parts,
    wanted: ProductSet,
    span: TimeRange | None,
    *,
    ask: bool = True,
    also: Mapping[OrbitFrame, date] | None = None,
    wait_for_service: bool = False,
) -> SetTable:
    """Look at a set.

    Args:
        parts: the engine.
        wanted: the set.
        span: which orbits and frames, by the first sensing start of their granules; None for all.
        ask: whether to ask the archive; the registry alone knows what was found and downloaded before.
        also: orbits and frames, with a sensing day of theirs, that are looked at wherever they are.
        wait_for_service: whether to wait for a catalogue that is down.

    Raises:
        InvalidRequestError: for unknown names, and for products that have no orbit.
        CatalogError: when the archive does not answer.
    """
    wanted = await resolved(parts, wanted, ask=ask)
    table = SetTable(wanted, span, is_asked=ask)
    if ask:
        work = [_ask(parts, table, member, wait_for_service) for member in wanted.members]
        table.archive = await together(*work)
    return await judged(parts, table, also)


async def judged(parts: Parts, table: SetTable, also: Mapping[OrbitFrame, date] | None = None) -> SetTable:
    """The same table by what the registry says now; the archive is not asked again."""
    return await asyncio.to_thread(_judge_all, parts, table, also or {})


async def resolved(parts: Parts, wanted: ProductSet, *, ask: bool = True) -> ProductSet:
    """The set with the collection of each product.

    A product that names none is of the first collection of the settings that the registry follows it in, or
    whose names have it.

    Raises:
        InvalidRequestError: no collection is known to have a product, or it has no orbit.
        CatalogError: a name cannot be checked.
    """
    members = []
    for member in wanted.members:
        if not member.collection:
            member = member._replace(collection=await collection_of(parts, member, ask=ask))
        mission = parts.mission_of(member.collection)
        if not mission.has_orbits:
            raise InvalidRequestError(
                f"{member.product_type} of {mission.name} has no orbit in its names",
                "Sets go by orbit and frame: take it out of the set.",
            )
        if ask:
            await parts.catalogue.check(member.collection, member.product_type, member.baseline or None)
        members.append(member)
    return wanted._replace(members=tuple(members))


async def collection_of(parts: Parts, member: Member, *, ask: bool = True, where: str = " in the set") -> str:
    """The collection of a product that names none, as `resolved` finds it.

    Args:
        parts: the engine.
        member: the product.
        ask: whether the archive is asked for names that are not known here.
        where: where the collection can be written, for an error.

    Raises:
        InvalidRequestError: no collection is known to have it.
        MaapError: a collection that may have it cannot be asked.
    """
    name = member.product_type
    listed = parts.collections()
    tracked = {key.collection for key in parts.registry.tracked() if key.product_type == name}
    if tracked:
        return min(tracked, key=lambda one: (listed.index(one) if one in listed else len(listed), one))
    known = await asyncio.to_thread(parts.index.load)
    refused: MaapError | None = None
    for collection in listed:
        if name not in known.products_of(collection) and ask and parts.index.missing([collection]):
            try:
                await parts.index.fetch(collection)
            except InvalidRequestError:
                continue
            except MaapError as error:
                refused = error
                continue
            known = parts.index.known
        if name in known.products_of(collection):
            return collection
    if refused is not None:
        raise refused
    raise InvalidRequestError(
        f"No collection is known to have {name[:40]}",
        f"Write COLLECTION/{name[:40]}{where}, and see `maap list COLLECTION`.",
    )


async def _ask(
    parts: Parts, table: SetTable, member: Member, wait_for_service: bool
) -> list[tuple[OrbitFrame, Version]]:
    """What the archive has of a product in the span."""
    span = table.span
    if span is not None:
        span = TimeRange(span.start - _MARGIN, span.end + _MARGIN)
    query = Query(member.collection, member.product_type, member.baseline or None, time=span, max_items=UNCUT)
    beside = len(table.wanted.members) - 1
    run = run_of(parts, query, wait_for_service=wait_for_service, beside=beside)
    formats = parts.formats_of(query)
    found = []
    async with aclosing(aiter(run)) as pages:
        async for page in pages:
            for granule in page.granules:
                if granule.orbit is not None:
                    found.append(
                        (_spot(granule.orbit, granule.frame), _offered(parts, table, granule, formats))
                    )
    table.failed_days += run.failed
    return found


def _offered(parts: Parts, table: SetTable, granule: Granule, formats: tuple[str, ...]) -> Version:
    """A granule as the archive has it; its files are kept for when they are fetched."""

    def refuse(asset: Asset, error: InvalidRequestError) -> None:
        parts.emit(ItemSkipped(shown_url(asset.href), asset.href, error.message, permanent=True))

    files = granule.files(formats)
    requests = parts.filing.requests_of(granule, files, refuse=refuse)
    table.requests[granule.id] = requests
    sizes = [request.size for request in requests]
    return Version(
        granule.baseline.upper(),
        granule.id,
        granule.sensing_start,
        granule.created,
        "archive" if requests else "nowhere",
        None if None in sizes else sum(filter(None, sizes)),
        granule.published,
        tuple(str(request.path) for request in requests),
    )


def _spot(orbit: int, frame: str | None) -> OrbitFrame:
    return orbit, frame or ""


def _judge_all(parts: Parts, table: SetTable, also: Mapping[OrbitFrame, date]) -> SetTable:
    """The table by the registry as it is, in the thread that calls it."""
    done = SetTable(table.wanted, table.span, table.is_asked, failed_days=table.failed_days)
    done.archive, done.requests = table.archive, table.requests
    columns: list[_Known] = []
    for number, member in enumerate(table.wanted.members):
        column: _Known = {}
        names: set[str] = set()
        unread: set[date] = set()
        for spot, version in _registered(parts, member, table.span, also, done.tracked, unread):
            names.add(version.name)
            _keep(column, spot, version)
        for spot, version in table.archive[number] if table.archive else ():
            # Of a day whose lists cannot be read nobody knows what was downloaded.
            if (
                version.name not in names
                and version.state == "archive"
                and version.start.date() not in unread
            ):
                _keep(column, spot, version)
            elif version.size is not None or version.published is not None:
                _complete(column, spot, version)
        columns.append(column)
    for spot in {spot for column in columns for spot in column}:
        row = judge(table.wanted, spot, [column.get(spot, {}) for column in columns])
        if table.span is None or row.start in table.span or spot in also:
            row = _with_gaps(parts, table.wanted, row)
            if row.state != "complete":
                row = replace(row, since=_since([column.get(spot, {}) for column in columns]))
            done.rows.append(row)
    done.rows.sort(key=lambda row: (row.start, row.spot))
    return done


def _with_gaps(parts: Parts, wanted: ProductSet, row: SetRow) -> SetRow:
    """The row with the data gaps that the mission published."""
    notices = parts.quality.notices()
    if not notices or row.state not in ("waiting", "mixed"):
        return row

    def is_gap(number: int, baseline: str) -> bool:
        member = wanted.members[number]
        mission = parts.mission_of(member.collection).name
        return notices.gap_of(
            mission, member.product_type, baseline or member.baseline, row.start, row.orbit, row.frame
        )

    return with_gaps(row, is_gap)


def _keep(column: _Known, spot: OrbitFrame, version: Version) -> None:
    versions = column.setdefault(spot, {})
    known = versions.get(version.baseline)
    if known is None or version.outranks(known):
        versions[version.baseline] = version


def _complete(column: _Known, spot: OrbitFrame, offered: Version) -> None:
    """Add what only the archive says to a version that the registry knows."""
    known = column.get(spot, {}).get(offered.baseline)
    if known is not None and known.name == offered.name:
        column[spot][offered.baseline] = known._replace(size=offered.size, published=offered.published)


@dataclass(slots=True)
class _Files:
    """The files of a granule that the registry follows."""

    name: FileName
    day: date
    left: list[TrackedFile] = field(default_factory=list)
    """Not downloaded."""
    done: list[str] = field(default_factory=list)
    """Paths of those that are."""


def _registered(
    parts: Parts,
    member: Member,
    span: TimeRange | None,
    also: Mapping[OrbitFrame, date],
    tracked: dict[str, list[TrackedFile]],
    unread: set[date],
) -> Iterator[tuple[OrbitFrame, Version]]:
    """What the registry has of a product, where it is wanted.

    Args:
        parts: the engine.
        member: the product.
        span: the sensing starts that are meant.
        also: further orbits and frames, each with a sensing day.
        tracked: takes the files that are not downloaded, by granule.
        unread: takes the days whose lists cannot be read.
    """
    formats = parts.formats_of(Query(member.collection, member.product_type))
    has_all = ALL in formats
    for key in parts.tracked_keys(member.collection, member.product_type, member.baseline or None):
        tracker = parts.registry.baseline(key)
        granules: dict[str, _Files] = {}
        with parts.registry.skip_unreadable():
            for first, last in _stretches(span, also):
                done = {file.url: file for file in tracker.downloads(first, last)}
                wanted = {file.url: file for file in tracker.urls(first, last)}
                for url, file in (wanted | done).items():
                    if not has_all and not any(has_format(url, one) for one in formats):
                        continue
                    name = parse_name(url)
                    if name is None or name.orbit is None:
                        continue
                    files = granules.get(name.stem)
                    if files is None:
                        files = granules[name.stem] = _Files(name, file.day)
                    if url in done:
                        files.done.append(file.path)
                    else:
                        files.left.append(file)
        days = {files.day for files in granules.values()}
        # A day of which nothing can be read has no granules here.
        for first, last in _stretches(span, also):
            if first is not None and last is not None:
                days |= {first + timedelta(days=number) for number in range((last - first).days + 1)}
        unread |= {day for day in days if tracker.is_unreadable(day, ("url", "dwl"))}
        deleted = {day: tracker.deleted(day) for day in days}
        for stem, files in granules.items():
            state: CellState = "here"
            if files.left:
                state = "nowhere" if files.day in unread else "archive"
                tracked[stem] = files.left
            elif not deleted[files.day].isdisjoint(files.done):
                state = "deleted"
            if state == "nowhere":
                continue
            found = files.name
            yield (
                _spot(found.orbit or 0, found.frame),
                Version(
                    key.baseline.upper(),
                    stem,
                    found.sensing_start,
                    found.created,
                    state,
                    paths=tuple(files.done or [file.path for file in files.left]),
                ),
            )


def _stretches(
    span: TimeRange | None, also: Mapping[OrbitFrame, date]
) -> Sequence[tuple[date | None, date | None]]:
    """The days to read, first and last of each stretch, none twice."""
    if span is None:
        return [(None, None)]
    first, last = (span.start - _MARGIN).date(), (span.end + _MARGIN).date()
    day = timedelta(days=1)
    others = {one + day * shift for one in also.values() for shift in (-1, 0, 1)}
    return [(first, last), *((one, one) for one in sorted(others) if not first <= one <= last)]


def _since(known: Sequence[Mapping[str, Version]]) -> datetime | None:
    """When the first of what is here came; without any of it, when the archive had the first."""
    came = []
    versions = [version for column in known for version in column.values()]
    for version in versions:
        if version.state == "here":
            for path in version.paths[:1]:
                with suppress(OSError, ValueError):
                    came.append(datetime.fromtimestamp(os.stat(path).st_mtime, UTC))
    return min(came, default=None) or min(
        (version.published for version in versions if version.published is not None), default=None
    )
