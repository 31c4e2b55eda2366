"""Fetching what makes sets complete."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace

from maap_tui.engine.download.downloads import Downloads
from maap_tui.engine.download.jobs import Report
from maap_tui.engine.download.requests import DownloadRequest
from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.hooks import Hook
from maap_tui.engine.model import TimeRange
from maap_tui.engine.product_sets import OrbitFrame, ProductSet, SetRow
from maap_tui.engine.workflows.hooking import Hooking
from maap_tui.engine.workflows.parts import Parts
from maap_tui.engine.workflows.pending import left_in_registry
from maap_tui.engine.workflows.queueing import enqueue
from maap_tui.engine.workflows.register import not_registered
from maap_tui.engine.workflows.set_table import SetTable, judged, set_table
from maap_tui.engine.workflows.sync import Missing, exclusive_sync, keep_lines


@dataclass(slots=True)
class SetSyncReport:
    """What became of a set."""

    table: SetTable
    """The set as it is after the downloads."""
    chosen: list[SetRow] = field(default_factory=list)
    """The orbits and frames of which files were to be fetched, as they were before."""
    held_back: int = 0
    """Orbits and frames beyond `max_items`, left for another run."""
    wanted: list[DownloadRequest] = field(default_factory=list)
    """The files that a dry run would have fetched; a run that fetches leaves it empty."""
    downloads: Report = field(default_factory=Report)
    hook_failures: list[str] = field(default_factory=list)
    """`name: reason` of hooks that failed, which stay owed."""

    @property
    def completed(self) -> int:
        """How many of those are complete now."""
        spots = {row.spot for row in self.chosen}
        return sum(row.state == "complete" and row.spot in spots for row in self.table.rows)

    @property
    def unobtainable(self) -> int:
        """Orbits and frames that wait for something that the archive does not have."""
        return sum(row.state in ("waiting", "mixed") and not row.is_obtainable for row in self.table.rows)


def choose(
    table: SetTable,
    *,
    partial: bool = False,
    max_items: int | None = None,
    only: Collection[OrbitFrame] | None = None,
) -> tuple[list[SetRow], int]:
    """The orbits and frames of which something is to be fetched, and how many are left for another time.

    Args:
        table: the set.
        partial: whether those are meant too that the archive cannot complete.
        max_items: orbits and frames at most; None for all.
        only: those that may be chosen; None for all.
    """
    found = [
        row
        for row in table.rows
        if (only is None or row.spot in only)
        and (row.is_obtainable or (partial and any(cell.state == "archive" for cell in row.cells)))
    ]
    kept = found if max_items is None else found[:max_items]
    return kept, len(found) - len(kept)


def requests_of(
    parts: Parts, table: SetTable, rows: Sequence[SetRow], *, product_dir: bool | None = None
) -> list[DownloadRequest]:
    """The files to fetch for orbits and frames; a line of the registry that names none is reported and left.

    Args:
        parts: the engine.
        table: what the rows are of.
        rows: the orbits and frames.
        product_dir: whether each file gets a folder named after its stem; None takes the setting.
    """
    in_product_dir = parts.in_product_dir(product_dir)
    found = []
    for row in rows:
        for cell in row.cells:
            if cell.state != "archive" or cell.version is None:
                continue
            offered = table.requests.get(cell.version.name, [])
            left = table.tracked.get(cell.version.name)
            if left is None:
                found += [parts.filing.in_product_dir(one) if in_product_dir else one for one in offered]
                continue
            sizes = {one.url: one.size for one in offered}
            for file in left:
                try:
                    request = parts.filing.request_of_tracked(file, product_dir=in_product_dir)
                except InvalidRequestError as error:
                    parts.emit(left_in_registry(file.url, error))
                    continue
                found.append(replace(request, size=sizes.get(file.url)))
    return found


async def sync_set(
    parts: Parts,
    wanted: ProductSet,
    span: TimeRange | None,
    *,
    partial: bool = False,
    max_items: int | None = None,
    product_dir: bool | None = None,
    hook: Hook | None = None,
) -> SetSyncReport:
    """Register and fetch what makes the orbits and frames of a set complete.

    One that waits for something that the archive does not have is left alone.

    Args:
        parts: the engine.
        wanted: the set.
        span: which orbits and frames, by the first sensing start of their granules; None for all.
        partial: whether to fetch what there is of those that cannot be completed too.
        max_items: orbits and frames at most that files are fetched of; None for all.
        product_dir: whether each file gets a folder named after its stem; None takes the setting.
        hook: the command to run after each file, each day, or each orbit and frame that is complete; what
            earlier runs left owed is run too.

    Raises:
        LockedError: a sync of a baseline that files are fetched of was not over in time.
        InvalidRequestError: for unknown names.
        CatalogError: when the archive does not answer.
    """
    hooking = Hooking(parts, hook, f"set {wanted.name}") if hook is not None else None
    async with hooking or nullcontext():
        also = hooking.owed_spots() if hooking is not None else {}
        table = await set_table(parts, wanted, span, also=also, wait_for_service=True)
        chosen, held_back = choose(table, partial=partial, max_items=max_items)
        report = SetSyncReport(table, chosen, held_back)
        if hooking is not None:
            await asyncio.to_thread(hooking.owe_sets, chosen)
        downloads = parts.downloads(verb="sync", watcher=hooking)
        report.downloads = await fetch(parts, table, chosen, downloads, product_dir=product_dir)
        report.table = await judged(parts, table, also)
        if hooking is not None:
            await hooking.finish(downloads)
            await hooking.finish_sets(report.table)
            report.hook_failures = hooking.failures
    return report


async def would_sync_set(
    parts: Parts,
    wanted: ProductSet,
    span: TimeRange | None,
    *,
    partial: bool = False,
    max_items: int | None = None,
    product_dir: bool | None = None,
) -> SetSyncReport:
    """What `sync_set` would do now, with the files that it would fetch; writes nothing.

    Raises:
        InvalidRequestError: for unknown names.
        CatalogError: when the archive does not answer.
    """
    table = await set_table(parts, wanted, span)
    report = SetSyncReport(table, *choose(table, partial=partial, max_items=max_items))
    async with parts.downloads(verb="sync") as downloads:
        missing = Missing(parts.filing, downloads)
        for request in requests_of(parts, table, report.chosen, product_dir=product_dir):
            file = request.tracked
            if file is not None and file.fault:
                parts.emit(not_registered(file.url, file.fault))
            elif file is None or not await asyncio.to_thread(missing.has, file):
                report.wanted.append(request)
    return report


async def fetch(
    parts: Parts,
    table: SetTable,
    rows: Sequence[SetRow],
    downloads: Downloads,
    *,
    product_dir: bool | None = None,
) -> Report:
    """Register and fetch the files of orbits and frames.

    Args:
        parts: the engine.
        table: what the rows are of.
        rows: the orbits and frames.
        downloads: the queue where the files go.
        product_dir: whether each file gets a folder named after its stem; None takes the setting.

    Raises:
        LockedError: a sync of one of their baselines was not over in time.
    """
    requests = requests_of(parts, table, rows, product_dir=product_dir)
    keys = sorted({request.key for request in requests if request.key is not None})
    missing = Missing(parts.filing, downloads)
    wait_s = parts.settings.downloads.lock_wait
    async with (
        exclusive_sync(parts.registry, keys, wait_s, emit=parts.emit),
        downloads,
    ):
        asked = [
            one
            for one in requests
            if (file := one.tracked) is None or not await asyncio.to_thread(missing.has, file)
        ]
        await enqueue(parts, asked, downloads)
        report = await downloads.join()
        await keep_lines(parts.filing, keys, is_new=bool(asked))
    return report
