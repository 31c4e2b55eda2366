"""What the registry has discovered and not downloaded: chosen by a query, and fetched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from maap_tui.engine.config import dirs
from maap_tui.engine.download.jobs import Report
from maap_tui.engine.download.requests import DownloadRequest
from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.events import ItemSkipped
from maap_tui.engine.file_names import ALL
from maap_tui.engine.missions import granule_name, has_format, parse_name
from maap_tui.engine.packed import BLOCK
from maap_tui.engine.query import Query
from maap_tui.engine.registry.entries import Key, TrackedFile
from maap_tui.engine.registry.spans import days_of
from maap_tui.engine.storage.names import shown_url
from maap_tui.engine.workflows.filing import Filing
from maap_tui.engine.workflows.parts import Parts


@dataclass(frozen=True, slots=True)
class Pending:
    """Files that the registry follows and that are not downloaded, chosen by a query."""

    files: list[TrackedFile]
    """Those to fetch, in the query's order."""
    other_formats: list[str]
    """URLs of the time and orbits meant in formats that are not."""
    older: int = 0
    """Files left out because they are older versions of granules."""
    held_back: int = 0
    """Files of granules beyond the number asked for."""


def means(query: Query, url: str) -> bool:
    """Whether a query means a file of a registry, judged by the name in its URL.

    A name that says nothing is judged by its day alone. A query without formats means every file.
    """
    if query.formats and not any(has_format(url, name) for name in query.formats):
        return False
    if query.shard is not None and url not in query.shard:
        return False
    if query.disclaimed is not None and url in query.disclaimed:
        return False
    by_name = query.orbits or query.frames or query.tracks
    if not (query.time or by_name):
        return True  # names are not read for nothing: a registry may have a million
    name = parse_name(url)
    if name is None:
        return not by_name
    if query.time and name.sensing_start not in query.time:
        return False
    if query.orbits and not any(
        name.orbit is not None and low <= name.orbit <= high for low, high in query.orbits
    ):
        return False
    if query.tracks and name.track not in query.tracks:
        return False
    return not (query.frames and name.frame not in query.frames)


def pending_of(
    filing: Filing, keys: Sequence[Key], query: Query, also: Mapping[str, TrackedFile] | None = None
) -> list[TrackedFile]:
    """What is discovered and not downloaded, of several baselines, oldest first.

    Args:
        filing: the registry.
        keys: the baselines.
        query: what is meant.
        also: URL -> file that a dry run found, as if the registry followed them.
    """
    known = also or {}
    found = [file for file in known.values() if means(query, file.url)]
    for key in keys:
        with filing.registry.skip_unreadable():
            pending = filing.registry.baseline(key).pending_downloads(*days_of(query.time))
            found += [file for file in pending if file.url not in known and means(query, file.url)]
    found.sort(key=lambda file: (file.day, file.url))
    return found


def first_granules(tracked: Sequence[TrackedFile], count: int | None) -> list[TrackedFile]:
    """The files of the first `count` granules, all of them for None."""
    if count is None:
        return list(tracked)
    room = Room(count)
    return [file for file in tracked if room.has(file.url)]


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


def left_in_registry(url: str, error: InvalidRequestError) -> ItemSkipped:
    """That a line of the registry names no file that can be fetched."""
    return ItemSkipped(shown_url(url), url, f"left in the registry: {error.message}")


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
    of_format = [file for file in every if means(meant, file.url)]
    taken = {file.url for file in of_format}
    others = [file.url for file in every if file.url not in taken]
    found = of_format
    if not query.every_version:
        found = parts.filing.only_newest(query.product_type, keys, found)
    older = len(of_format) - len(found)
    if query.newest_first:
        found.reverse()
    chosen = first_granules(found, max_items)
    return Pending(chosen, others, older, len(found) - len(chosen))


async def download_pending(
    parts: Parts,
    tracked: Sequence[TrackedFile],
    *,
    out_dir: Path | None = None,
    product_dir: bool | None = None,
) -> Report:
    """Download files of the registry; with `out_dir` flat, and recorded with the path they got there."""
    out_dir = None if out_dir is None else dirs.data_folder(out_dir)
    in_product_dir = parts.in_product_dir(product_dir)
    async with parts.downloads(verb="download", is_watched=False) as downloads:
        for number, file in enumerate(tracked, 1):
            try:
                wanted = parts.filing.request_of_tracked(file, out_dir=out_dir, product_dir=in_product_dir)
            except InvalidRequestError as error:
                if out_dir is None:
                    parts.emit(left_in_registry(file.url, error))
                else:
                    downloads.refuse(file.url, error.message, permanent=True)
                continue
            downloads.add(wanted)
            if number % BLOCK == 0:
                await downloads.settle()
        return await downloads.join()


def would_download(
    parts: Parts,
    tracked: Sequence[TrackedFile],
    *,
    out_dir: Path | None = None,
    product_dir: bool | None = None,
) -> list[DownloadRequest]:
    """The files that `download_pending` would fetch; writes nothing."""
    in_product_dir = parts.in_product_dir(product_dir)
    found = []
    for file in tracked:
        try:
            found.append(parts.filing.request_of_tracked(file, out_dir=out_dir, product_dir=in_product_dir))
        except InvalidRequestError as error:
            parts.emit(left_in_registry(file.url, error))
    return found


async def fetch_again(parts: Parts, tracked: Sequence[TrackedFile]) -> Report:
    """Download files that are recorded as downloaded and are missing or damaged, where they were."""
    async with parts.downloads(verb="verify") as downloads:
        for file in tracked:
            try:
                downloads.add(parts.filing.lost_file(file))
            except InvalidRequestError as error:
                downloads.refuse(file.url, error.message, permanent=True)
        return await downloads.join()
