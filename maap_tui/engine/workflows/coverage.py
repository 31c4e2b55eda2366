"""What the archive has of a baseline against what was downloaded of it, day by day, and the gaps."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import groupby
from types import MappingProxyType

from maap_tui.engine.catalogue import day_counts
from maap_tui.engine.errors import CatalogError, InvalidRequestError
from maap_tui.engine.file_names import ALL
from maap_tui.engine.missions import granule_name, has_format, parse_name
from maap_tui.engine.model import TimeRange
from maap_tui.engine.quality.notices import Notice
from maap_tui.engine.query import Query
from maap_tui.engine.registry.baseline import BaselineRegistry
from maap_tui.engine.registry.entries import Key
from maap_tui.engine.registry.spans import days_of
from maap_tui.engine.workflows.build import newest_baseline
from maap_tui.engine.workflows.parts import Parts
from maap_tui.engine.workflows.searching import UNCUT, run_of

_DAY = timedelta(days=1)
_NOTHING: Mapping[date, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class DayCoverage:
    """One sensing day of a baseline."""

    day: date
    archive: int
    """Granules at the archive, without older versions where only the newest is fetched."""
    downloaded: int = 0
    """Granules that were downloaded, those that a clean-up deleted since too."""
    deleted: int = 0
    """Files that a clean-up deleted."""
    failed: int = 0
    """Files whose last download failed."""
    missing: int = 0
    """Granules at the archive that were never downloaded."""
    is_unknown: bool = False
    """Whether its lists in the registry cannot be read: nobody knows what of it was downloaded."""
    notices: tuple[Notice, ...] = ()
    """Data gaps and disclaimers of the mission that touch it."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Days in a row that lack something; days without anything at the archive do not end it."""

    first: date
    last: date
    archive: int
    missing: int
    failed: int
    notices: tuple[Notice, ...] = ()
    """Data gaps and disclaimers of the mission that touch its days."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """A baseline, or a stretch of its time."""

    key: Key
    days: list[DayCoverage]
    """Days that have something at the archive or here, in order."""
    first: date | None = None
    """The first day that was counted; None where nothing was."""
    last: date | None = None
    known_gaps: frozenset[date] = frozenset()
    """Days of it of which the archive has nothing, and known gaps leave nothing."""
    frames: tuple[str, ...] = ()
    """The frames that were counted; () for all, also where the archive does not count by frames."""

    def covers(self, day: date) -> bool:
        """Whether a day was counted."""
        return self.first is not None and self.last is not None and self.first <= day <= self.last

    @property
    def archive(self) -> int:
        return sum(day.archive for day in self.days)

    @property
    def downloaded(self) -> int:
        return sum(day.downloaded for day in self.days)

    @property
    def missing(self) -> int:
        return sum(day.missing for day in self.days)

    @property
    def gaps(self) -> list[Gap]:
        """Where something is missing, the oldest first."""
        found = []
        held = (day for day in self.days if day.archive or day.downloaded)
        for is_gap, days in groupby(held, key=lambda day: day.missing > 0):
            if is_gap:
                run = list(days)
                found.append(
                    Gap(
                        run[0].day,
                        run[-1].day,
                        sum(day.archive for day in run),
                        sum(day.missing for day in run),
                        sum(day.failed for day in run),
                        tuple(dict.fromkeys(one for day in run for one in day.notices)),
                    )
                )
        return found


async def coverage(parts: Parts, query: Query, *, verify: bool = False) -> Coverage:
    """Compare a baseline at the archive with what was downloaded of it.

    Days of which nothing is here, or as many granules as the archive counts, are judged by that count. Where
    the archive keeps several versions of a granule, days of which something is here are searched.

    Args:
        parts: the engine.
        query: the baseline, the time for a stretch of it, and the frames where not all of them are meant.
        verify: whether every day of which something is here is searched.

    Raises:
        InvalidRequestError: for unknown names.
        CatalogError: when the archive does not answer, or not wholly.
    """
    assert query.baseline is not None
    await parts.catalogue.check(query.collection, query.product_type, query.baseline)
    key = parts.tracked_keys(query.collection, query.product_type, query.baseline)[0]
    first, last = days_of(query.time)
    if query.time is not None:
        query = query.replace(time=whole_days(query.time.first_day, query.time.last_day))
    counts, counted = await _counted(parts, query := _countable(parts, query), {}, keep=not query.frames)
    if _countable(parts, query) != query:
        # That the archive does not filter by frames was seen by its first answers.
        counts, counted = await _counted(parts, query := _countable(parts, query), {}, keep=True)
    tracker = parts.registry.baseline(key)
    here = await asyncio.to_thread(_here, parts, tracker, query, first, last)
    days = [
        replace(here.get(day) or DayCoverage(day, 0), archive=counts.get(day, 0))
        for day in sorted(counts.keys() | here.keys())
    ]
    days = [
        replace(
            day,
            missing=max(day.archive - day.downloaded, 0),
            is_unknown=tracker.is_unreadable(day.day, ("dwl",)),
        )
        for day in days
    ]
    several = parts.mission_of(query.collection).keeps_newest(query.product_type)
    doubtful = {
        day.day
        for day in days
        if day.downloaded and day.archive and (verify or (several and day.downloaded != day.archive))
    }
    exact = await _searched(parts, query, tracker, doubtful)
    for at, day in enumerate(days):
        if day.day in exact:
            archive, missing = exact[day.day]
            days[at] = replace(day, archive=archive, missing=missing)
    ends = [day.day for day in days]
    if counted is not None:
        ends += [counted.first_day, counted.last_day]
    if not ends:
        return Coverage(key, days, frames=query.frames)
    return _noted(parts, Coverage(key, days, min(ends), max(ends), frames=query.frames))


def _countable(parts: Parts, query: Query) -> Query:
    """The query, without its frames where the archive does not count by them."""
    return query.replace(frames=()) if run_of(parts, query).counts_all_frames else query


def _noted(parts: Parts, found: Coverage) -> Coverage:
    """The same with the gaps and disclaimers that the mission published of it."""
    notices, key = parts.quality.notices(), found.key
    if not notices or found.first is None or found.last is None:
        return found
    of_days = notices.on_days(key.mission, key.product_type, key.baseline)
    days = [replace(day, notices=tuple(of_days.of(day.day))) for day in found.days]
    held = {day.day for day in days if day.archive or day.downloaded}
    gaps = frozenset(day for day in _each(found.first, found.last) if day not in held and of_days.is_gap(day))
    return replace(found, days=days, known_gaps=gaps)


async def baselines_of(parts: Parts, collection: str, product_type: str, baseline: str | None) -> list[str]:
    """The baseline that is named; otherwise those that are tracked, or the newest at the archive.

    Raises:
        InvalidRequestError: the archive has none.
        CatalogError: when it does not answer.
    """
    if baseline:
        return [baseline.upper()]
    tracked = [key.baseline for key in parts.tracked_keys(collection, product_type)]
    newest = tracked or [await newest_baseline(parts, collection, product_type)]
    if not newest[0]:
        raise InvalidRequestError(
            f"{product_type} has no granules in {collection}", f"See `maap list {collection}`."
        )
    return newest


async def missing_days(parts: Parts, query: Query) -> list[TimeRange]:
    """The days of a query's time that lack something of its baselines here, as stretches, the oldest first.

    Something is a granule without any file in the query's formats; where all files are meant, any day may
    lack some.

    Raises:
        InvalidRequestError: for unknown names.
        CatalogError: when the archive does not answer, or not wholly.
    """
    if query.time is not None and ALL in query.formats:
        # Only an item itself says how many files a granule has.
        return [query.time]
    days: set[date] = set()
    for baseline in await baselines_of(parts, query.collection, query.product_type, query.baseline):
        whole = Query(query.collection, query.product_type, baseline, time=query.time, formats=query.formats)
        days |= {day.day for day in (await coverage(parts, whole)).days if day.missing}
    return [whole_days(first, last) for first, last in runs_of(days)]


async def archive_days(
    parts: Parts, query: Query, known: Mapping[date, int] = _NOTHING, *, keep: bool = True
) -> dict[date, int]:
    """Granules that start on each day at the archive.

    Args:
        parts: the engine.
        query: what is counted.
        known: counts from before, besides those that are kept of the baseline.
        keep: whether to keep the counts for the next time; only those of all granules of a baseline may be.

    Raises:
        CatalogError: when the archive does not answer.
        InvalidRequestError: when the service does not filter, and there is too much to read.
    """
    return (await _counted(parts, query, known, keep=keep))[0]


async def _counted(
    parts: Parts, query: Query, known: Mapping[date, int], *, keep: bool
) -> tuple[dict[date, int], TimeRange | None]:
    """As `archive_days`, and the time that was counted; None for none."""
    whole = run_of(parts, query)
    announced = await whole.count()
    span = whole.range
    if span is None or span.is_empty:
        return {}, None
    if announced == 0:
        return {}, span
    if announced is None:
        whole.refuse_to_read_all()
        # Without announced counts all of it is read, once.
        found: Counter[date] = Counter()
        run = run_of(parts, query.replace(max_items=UNCUT))
        async with aclosing(aiter(run)) as pages:
            async for page in pages:
                found.update(granule.day for granule in page.granules)
        if run.failed:
            raise CatalogError(run.failed[0].reason, "Run the same command again later.")
        return dict(sorted(found.items())), span
    kept: dict[date, int] = {}
    file = None
    if query.baseline is not None and not query.frames:
        file = parts.dirs.day_counts_file(query.collection, query.product_type, query.baseline)
        kept = await asyncio.to_thread(day_counts.load, file)

    async def total(part: TimeRange) -> int:
        return await run_of(parts, query.replace(time=part), trusting=True).total()

    first, last = span.first_day, span.last_day
    counts = await day_counts.count_days(
        first, last, total, {**kept, **known}, parallel=parts.settings.search.parallel
    )
    if keep and file is not None:
        others = {day: count for day, count in kept.items() if not first <= day <= last}
        await asyncio.to_thread(day_counts.save, file, others | counts)
    return counts, span


def _here(
    parts: Parts, tracker: BaselineRegistry, query: Query, first: date | None, last: date | None
) -> dict[date, DayCoverage]:
    """What the registry has of each day."""

    def is_meant(name: str) -> bool:
        if not query.frames:
            return True
        parsed = parse_name(name)
        return parsed is not None and parsed.frame in query.frames

    failed: Counter[date] = Counter()
    for url in tracker.errors():
        name = parse_name(url)
        if name is not None and is_meant(url):
            failed[name.sensing_start.date()] += 1
    deleted = {day.day: day.deleted for day in tracker.days(first, last)}
    if query.frames:
        deleted = {
            day: sum(map(is_meant, tracker.deleted(day))) if count else 0 for day, count in deleted.items()
        }
    formats = parts.formats_of(query)
    names: dict[date, set[str]] = {day: set() for day in deleted}
    for file in tracker.downloads(first, last):
        if any(has_format(file.url, one) for one in formats) and is_meant(file.url):
            names.setdefault(file.day, set()).add(granule_name(file.url))
    return {
        day: DayCoverage(day, 0, len(found), deleted.get(day, 0), failed[day]) for day, found in names.items()
    }


async def _searched(
    parts: Parts, query: Query, tracker: BaselineRegistry, days: set[date]
) -> dict[date, tuple[int, int]]:
    """What a search finds of days, and how much of it was never downloaded; days that cannot be searched are
    left out, and reported.
    """
    found: dict[date, tuple[int, int]] = {}
    formats = parts.formats_of(query)
    for first, last in runs_of(days):
        run = run_of(parts, query.replace(time=whole_days(first, last), max_items=UNCUT))
        archive: Counter[date] = Counter()
        missing: Counter[date] = Counter()
        urls = {file.url for file in tracker.downloads(first, last)}
        names = {granule_name(url) for url in urls if any(has_format(url, one) for one in formats)}
        async with aclosing(aiter(run)) as pages:
            async for page in pages:
                for granule in page.granules:
                    archive[granule.day] += 1
                    files = granule.files(formats)
                    is_here = granule.id in names or (files and all(file.href in urls for file in files))
                    missing[granule.day] += not is_here
        lost = {
            day
            for failed in run.failed
            if failed.window is not None
            for day in _each(failed.window.first_day, failed.window.last_day)
        }
        found |= {day: (archive[day], missing[day]) for day in _each(first, last) if day not in lost}
    return found


def runs_of(days: Iterable[date]) -> Iterator[tuple[date, date]]:
    """Days as stretches, first and last of each."""
    ordered = sorted(days)
    for _, group in groupby(enumerate(ordered), key=lambda pair: pair[1].toordinal() - pair[0]):
        run = [day for _, day in group]
        yield run[0], run[-1]


def whole_days(first: date, last: date) -> TimeRange:
    """All of these days, both included."""
    return TimeRange(TimeRange.of_day(first).start, TimeRange.of_day(last).end)


def _each(first: date, last: date) -> Iterator[date]:
    while first <= last:
        yield first
        first += _DAY
