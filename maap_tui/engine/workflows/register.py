"""Register: what a search found is written into the registry, and what it could not use is listed there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import time, timedelta
from typing import TYPE_CHECKING, NamedTuple

from maap_tui.engine.catalogue.search import Search
from maap_tui.engine.catalogue.skipped import by_key
from maap_tui.engine.download.requests import DownloadRequest
from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.events import Emit, ItemSkipped, Warned, ignore
from maap_tui.engine.file_names import ALL
from maap_tui.engine.missions import parse_name
from maap_tui.engine.model import Asset, Granule
from maap_tui.engine.query import Query
from maap_tui.engine.registry.entries import Added
from maap_tui.engine.registry.registry import Registry
from maap_tui.engine.registry.searched import Days
from maap_tui.engine.storage.names import shown_url
from maap_tui.engine.workflows.filing import Chosen, Filing
from maap_tui.engine.workflows.pending import means

if TYPE_CHECKING:
    from maap_tui.engine.workflows.arrivals import Arrivals

_ANY = ((), (ALL,))
"""Formats of a query that leave out no granule."""


@dataclass(slots=True)
class RegisteredFiles:
    """What came of registering some granules."""

    files: list[DownloadRequest] = field(default_factory=list)
    """The files that the registry follows now."""
    new: int = 0
    refused: int = 0
    """Files that cannot be registered, because of their names or of the data folder's."""
    undecided: int = 0
    """Files of days whose list cannot be read, so that nobody knows whether they are registered."""


class Refused(NamedTuple):
    """Why the registry does not follow a file."""

    reason: str
    permanent: bool
    """Whether asking again cannot help; a list that cannot be read may be repaired."""


async def register(
    filing: Filing, granules: Sequence[Granule], formats: tuple[str, ...], *, emit: Emit = ignore
) -> RegisteredFiles:
    """Write the files of granules into the registry as discovered."""
    return await asyncio.to_thread(register_now, filing, granules, Chosen(formats), emit)


def register_now(
    filing: Filing, granules: Sequence[Granule], chosen: Chosen, emit: Emit, *, is_dry: bool = False
) -> RegisteredFiles:
    """As `register`, in the thread that calls it; `chosen` hears of each granule.

    A dry run writes nothing and judges names alone: lists that cannot be read are the caller's.
    """
    filed = RegisteredFiles()

    def refuse(asset: Asset, error: InvalidRequestError) -> None:
        filed.refused += 1
        emit(not_registered(asset.href, error.message))

    for granule in granules:
        filed.files += filing.requests_of(granule, chosen.files(granule), refuse=refuse)
    tracked = [file for request in filed.files if (file := request.tracked) is not None]
    if is_dry:
        added = Added(0, [(file, fault) for file in tracked if (fault := file.fault)])
    else:
        added = filing.registry.add(tracked)
    filed.new = added.new
    refused = refused_of(filing.registry, added)
    for url, one in refused.items():
        filed.refused += one.permanent
        filed.undecided += not one.permanent
        emit(not_registered(url, *one))
    filed.files = [request for request in filed.files if request.url not in refused]
    return filed


def register_requests(registry: Registry, requests: Iterable[DownloadRequest]) -> dict[str, Refused]:
    """Write the files that a registry follows into it as discovered.

    Returns:
        The URLs that it does not follow, and why.

    Raises:
        StorageError: it cannot be written.
    """
    added = registry.add(file for request in requests if (file := request.tracked) is not None)
    return refused_of(registry, added)


def refused_of(registry: Registry, added: Added) -> dict[str, Refused]:
    """The URLs that a registry has just refused, and why."""
    return {
        file.url: Refused(reason, not registry.baseline(file.key).is_unreadable(file.day, ("url",)))
        for file, reason in added.refused
    }


def record_skipped(filing: Filing, search: Search | Arrivals, emit: Emit = ignore) -> None:
    """List the items that a search could not use in the registry, and take off what it found usable or gone.

    Only a search that was not cut and has no gaps shows what is gone.
    """
    if search.range is not None and search.range.is_empty:
        return  # nothing was asked
    query = search.query
    mission = filing.mission_of(query.collection).name
    found = by_key(search.skipped.values(), mission, query.collection)
    meant = query.replace(formats=(), time=search.range or query.time)
    has_seen_all = search.is_complete and not query.areas()[0] and not query.missing
    for key in found.keys() | set(filing.tracked_keys(query.collection, query.product_type, query.baseline)):
        tracker = filing.registry.baseline(key)
        listed = {one.url: one.reason for one in found.get(key, ())}
        old = [url for url in tracker.skipped() if url not in listed]
        gone = [url for url in old if has_seen_all and _is_meant(meant, url)]
        if has_seen_all and (days := _whole_days(search)) is not None:
            tracker.note_searched(days)
        refused = tracker.record_skipped(listed, gone)
        for url, reason in refused:
            emit(Warned(f"Not listed in errors.txt: {shown_url(url)} ({reason})"))


def _whole_days(search: Search | Arrivals) -> Days | None:
    """The days that a search saw all of; None for one that was for a part of the granules, or of no time."""
    query, span = search.query, search.range
    is_of_some = (
        query.orbits
        or query.frames
        or query.tracks
        or query.shard
        or query.disclaimed
        or query.formats not in _ANY
    )
    if span is None or is_of_some:
        return None
    begins_with_day = span.start.time() == time.min
    first = span.start.date() if begins_with_day else span.start.date() + timedelta(days=1)
    return first, span.end.date() - timedelta(days=1)


def _is_meant(query: Query, url: str) -> bool:
    """Whether an item's address shows that a query means it; one that shows nothing is not meant."""
    name = parse_name(url)
    return name is not None and means(query, url)


def not_registered(url: str, reason: str, permanent: bool = True) -> ItemSkipped:
    """That the registry does not follow a file."""
    return ItemSkipped(shown_url(url), url, f"not registered: {reason}", permanent)
