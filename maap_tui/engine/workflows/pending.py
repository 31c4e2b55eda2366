"""What the registry has discovered and not downloaded: chosen by a query, and fetched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from maap_tui.engine.config import dirs
from maap_tui.engine.download.downloads import Downloads, Report, Tracked
from maap_tui.engine.download.requests import DownloadRequest
from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.events import Emit, ItemSkipped, ignore
from maap_tui.engine.missions import granule_name, has_format, parse_name
from maap_tui.engine.model import ALL, TimeRange
from maap_tui.engine.query import Query
from maap_tui.engine.registry.baseline import BaselineRegistry
from maap_tui.engine.registry.entries import Entry, Key, Stats
from maap_tui.engine.workflows.filing import Filing, flat
from maap_tui.engine.workflows.parts import Parts


@dataclass(frozen=True, slots=True)
class Pending:
    """Lines of the registry that are not downloaded, chosen by a query."""

    lines: list[tuple[Key, Entry]]
    """Those to fetch, with their baselines, in the query's order."""
    other_formats: list[str]
    """URLs of the time and orbits meant in formats that are not."""
    older: int = 0
    """Files left out because they are older versions of granules."""
    held_back: int = 0
    """Files of granules beyond the number asked for."""


def means(query: Query, entry: Entry) -> bool:
    """Whether a query means a line of a registry, judged by the name of its file.

    A name that says nothing is judged by its day alone. A query without formats means every file.
    """
    if query.formats and not any(has_format(entry.url, name) for name in query.formats):
        return False
    if query.shard is not None and entry.url not in query.shard:
        return False
    name = parse_name(entry.url)
    if name is None:
        return not (query.orbits or query.frames or query.tracks)
    if query.time and name.sensing_start not in query.time:
        return False
    if query.orbits and not any(
        name.orbit is not None and low <= name.orbit <= high for low, high in query.orbits
    ):
        return False
    if query.tracks and name.track not in query.tracks:
        return False
    return not (query.frames and name.frame not in query.frames)


def starts_in(span: TimeRange | None, entry: Entry) -> bool:
    """Whether a line's sensing start is in a span, as far as the name of its file says; None means all."""
    name = parse_name(entry.url)
    return span is None or name is None or name.sensing_start in span


def days_of(span: TimeRange | None) -> tuple[date | None, date | None]:
    """The first and the last day of a span, as the registry takes them; None means all."""
    return (span.first_day, span.last_day) if span else (None, None)


def stats_of(tracker: BaselineRegistry, span: TimeRange | None = None) -> Stats:
    """Counts of one baseline, of the sensing starts in `span` or of all."""
    if span is None:
        return tracker.stats()
    first, last = span.first_day, span.last_day
    if all(moment.time() == datetime.min.time() for moment in (span.start, span.end)):
        return tracker.stats(first, last)
    urls = {entry.url for entry in tracker.urls(first, last) if starts_in(span, entry)}
    rows = [entry for entry in tracker.downloads(first, last) if starts_in(span, entry)]
    done = {entry.url for entry in rows}
    paths = {entry.path for entry in rows if entry.path}
    marked = {path for path, day in tracker.marked(first, last) if starts_in(span, Entry(path, path, day))}
    gone = {path for day in {entry.day for entry in rows} for path in tracker.deleted(day)} & marked
    return Stats(
        len(urls),
        len(done),
        len(marked),
        len(tracker.errors()),
        len(urls - done),
        len(paths - marked),
        sum(entry.path in gone for entry in rows),
    )


def pending_of(filing: Filing, keys: Sequence[Key], query: Query) -> list[tuple[Key, Entry]]:
    """What is discovered and not downloaded, of several baselines, oldest first."""
    found: list[tuple[Key, Entry]] = []
    for key in keys:
        with filing.registry.going_on():
            entries = filing.registry.baseline(key).pending_downloads(*days_of(query.time))
            found += [(key, entry) for entry in entries if means(query, entry)]
    found.sort(key=lambda one: (one[1].day, one[1].url))
    return found


def first_granules(entries: Sequence[tuple[Key, Entry]], count: int | None) -> list[tuple[Key, Entry]]:
    """The lines of the first `count` granules, all of them for None."""
    if count is None:
        return list(entries)
    room = Room(count)
    return [one for one in entries if room.has(one[1].url)]


class Room:
    """The granules that files are fetched of, no more than so many."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._granules: set[str] = set()

    def has(self, url: str) -> bool:
        """Whether a file belongs to one of them; a granule that is new takes a place while there is one."""
        granule = granule_name(url)
        if len(self._granules) < self._most:
            self._granules.add(granule)
        return granule in self._granules


def queue_entry(
    filing: Filing,
    downloads: Downloads,
    key: Key,
    entry: Entry,
    *,
    product_dir: bool = False,
    emit: Emit = ignore,
) -> bool:
    """Queue a line of the registry; a path that cannot be is reported and left."""
    try:
        wanted = filing.wanted_of_entry(key, entry, product_dir=product_dir)
    except InvalidRequestError as error:
        emit(left_in_registry(entry, error))
        return False
    return downloads.add(wanted, Tracked(key, entry.day))


def left_in_registry(entry: Entry, error: InvalidRequestError) -> ItemSkipped:
    """That a line of the registry names no file that can be fetched."""
    return ItemSkipped(f"{entry.url[:120]!a}", entry.url, f"left in the registry: {error.message}")


def pending(parts: Parts, query: Query, *, max_items: int | None = None) -> Pending:
    """What the registry has discovered and not downloaded of what a query means.

    Args:
        parts: the engine.
        query: what is meant; areas are left aside, as the registry does not know them.
        max_items: granules at most; None for all.
    """
    keys = parts.tracked_keys(query.collection, query.product_type, query.baseline)
    meant = query.replace(formats=parts.formats_of(query))
    every = pending_of(parts.filing, keys, query.replace(formats=(ALL,)))
    of_format = [one for one in every if means(meant, one[1])]
    taken = {entry.url for _, entry in of_format}
    others = [entry.url for _, entry in every if entry.url not in taken]
    found = of_format
    if not query.every_version:
        found = parts.filing.only_newest(query.product_type, keys, found)
    older = len(of_format) - len(found)
    if query.newest_first:
        found.reverse()
    lines = first_granules(found, max_items)
    return Pending(lines, others, older, len(found) - len(lines))


async def download_pending(
    parts: Parts,
    lines: Sequence[tuple[Key, Entry]],
    *,
    out_dir: Path | None = None,
    product_dir: bool | None = None,
) -> Report:
    """Download lines of the registry; with `out_dir` flat, and recorded with the path they got there."""
    out_dir = None if out_dir is None else dirs.data_folder(out_dir)
    async with parts.downloads(verb="download") as downloads:
        for key, entry in lines:
            try:
                wanted = _file_of(parts, key, entry, out_dir, product_dir)
            except InvalidRequestError as error:
                if out_dir is None:
                    parts.emit(left_in_registry(entry, error))
                else:
                    downloads.refuse(entry.url, error.message, permanent=True)
                continue
            downloads.add(wanted, Tracked(key, entry.day))
        return await downloads.join()


def would_download(
    parts: Parts,
    lines: Sequence[tuple[Key, Entry]],
    *,
    out_dir: Path | None = None,
    product_dir: bool | None = None,
) -> list[DownloadRequest]:
    """The files that `download_pending` would fetch; writes nothing."""
    found = []
    for key, entry in lines:
        try:
            found.append(_file_of(parts, key, entry, out_dir, product_dir))
        except InvalidRequestError as error:
            parts.emit(left_in_registry(entry, error))
    return found


def _file_of(
    parts: Parts, key: Key, entry: Entry, out_dir: Path | None, product_dir: bool | None
) -> DownloadRequest:
    product_dir = parts.in_product_dir(product_dir)
    if out_dir is not None:
        return flat(entry.url, out_dir, product_dir=product_dir)
    return parts.filing.wanted_of_entry(key, entry, product_dir=product_dir)


async def fetch_again(parts: Parts, entries: Sequence[tuple[Key, Entry]]) -> Report:
    """Download files that are recorded as downloaded and are missing or damaged, where they were."""
    async with parts.downloads(verb="verify") as downloads:
        for key, entry in entries:
            try:
                wanted = parts.filing.lost_file(key, entry)
            except InvalidRequestError as error:
                downloads.refuse(entry.url, error.message, permanent=True)
                continue
            downloads.add(wanted, Tracked(key, entry.day))
        return await downloads.join()
