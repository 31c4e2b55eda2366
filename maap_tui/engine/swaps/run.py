"""A swap run, undone and listed: what every face asks for."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import chain

from maap_tui.engine.download.downloads import Downloads
from maap_tui.engine.download.jobs import Report
from maap_tui.engine.download.queue_store import LIVE
from maap_tui.engine.download.requests import DownloadRequest
from maap_tui.engine.errors import DiskFullError, InvalidRequestError, MaapError
from maap_tui.engine.events import ItemSkipped, Warned
from maap_tui.engine.model import TimeRange
from maap_tui.engine.registry.entries import Key, TrackedFile
from maap_tui.engine.storage import files
from maap_tui.engine.swaps.book import SETTLED, Entry, State, SwapBook, SwapFile, all_books
from maap_tui.engine.swaps.needed import needed_of, warnings_of
from maap_tui.engine.swaps.plan import SwapNames, SwapPlan, SwapRow, plan_swap, row_of
from maap_tui.engine.swaps.steps import (
    FETCH_HINT,
    Kept,
    Lists,
    Retired,
    chunks,
    hand_over,
    moment,
    restore,
    retire,
)
from maap_tui.engine.workflows.parts import Parts
from maap_tui.engine.workflows.pending import left_in_registry
from maap_tui.engine.workflows.queueing import enqueue
from maap_tui.engine.workflows.sync import Missing, exclusive_sync, keep_lines
from maap_tui.text import format_bytes, plural

_LOOK_S = 0.2
"""Seconds between two looks at files in the queue of somebody else."""


@dataclass(slots=True)
class SwapReport:
    """What became of a swap."""

    plan: SwapPlan
    """What there is to swap, its rows as they are now."""
    swapped: list[Entry] = field(default_factory=list)
    """Granules whose successors took their place in this run."""
    left: list[Kept] = field(default_factory=list)
    """Granules that are not swapped, as what came is not whole, or what was there before is not."""
    retired: Retired = field(default_factory=Retired)
    """Old granules that were deleted, and those that were due and had to stay."""
    held_back: int = 0
    """Granules beyond `max_items`, left for another run."""
    downloads: Report = field(default_factory=Report)


@dataclass(slots=True)
class UndoReport:
    """What became of undoing a swap."""

    undone: list[Entry] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)
    """Granules that cannot be as they were, each with the reason."""
    downloads: Report = field(default_factory=Report)


@dataclass(frozen=True, slots=True)
class SwapStatus:
    """What the journal of one swap says."""

    old: Key
    new: Key
    counts: Counter[State]
    """Granules in each state."""
    entries: tuple[Entry, ...]
    next_due: Entry | None
    """The granule whose old files may be deleted first; None when none is swapped."""
    bad: int = 0
    """Lines of it that cannot be read."""


def statuses(
    parts: Parts, collection: str | None = None, product_type: str | None = None
) -> Iterator[SwapStatus]:
    """The swaps that were begun, those of one product where it is named; asks nothing.

    Raises:
        StorageError: a journal cannot be read.
    """
    for book in all_books(parts.registry.root):
        if collection not in (None, book.old.collection) or product_type not in (None, book.old.product_type):
            continue
        entries = tuple(book.entries.values())
        due = [entry for entry in entries if entry.state == "swapped" and entry.until is not None]
        yield SwapStatus(
            book.old,
            book.new,
            Counter(entry.state for entry in entries),
            entries,
            min(due, key=lambda entry: (entry.until or entry.at, entry.start), default=None),
            book.bad,
        )


async def run_swap(
    parts: Parts,
    names: SwapNames,
    span: TimeRange | None = None,
    *,
    formats: tuple[str, ...] = (),
    cleaned: bool = False,
    keep_days: int | None = None,
    max_items: int | None = None,
    into: Downloads | None = None,
) -> SwapReport:
    """Swap what can be swapped, and retire what is due; goes on with what an earlier run left.

    Args:
        parts: the engine.
        names: what is swapped for what.
        span: which granules, by the sensing start of the old one; None for all that are here.
        formats: files of the old baseline that are meant; () for all that were downloaded.
        cleaned: whether those count too that a clean-up deleted.
        keep_days: days that old files stay, of what was swapped before too; None for the setting.
        max_items: granules at most that are fetched; None for all.
        into: the queue where the files go, which is waited for as far as they are concerned; None for one of
            its own.

    Raises:
        LockedError: a sync or swap of one of the baselines was not over in time.
        InvalidRequestError: for unknown names, and where nothing of the old baseline was downloaded.
        CatalogError: when the archive does not answer; what was due is retired nevertheless.
        DiskFullError: both versions do not fit on the disk.
    """
    keep = timedelta(days=parts.settings.swap.keep_days if keep_days is None else keep_days)
    keys = names.keys(parts)
    wait_s = parts.settings.downloads.lock_wait
    async with exclusive_sync(parts.registry, keys, wait_s, emit=parts.emit):
        book = await asyncio.to_thread(SwapBook(parts.registry.root, *keys).read)
        if lines := await asyncio.to_thread(book.repair):
            parts.emit(Warned(f"{plural(lines, 'line')} of {book.file} could not be read and were set aside"))
        left = await asyncio.to_thread(_settle, parts, book, span, None if keep_days is None else keep)
        held = await _needed_of_due(parts, book, span)
        retired = await asyncio.to_thread(_retire_due, parts, book, span, held)
        try:
            plan = await plan_swap(
                parts, names, span, formats=formats, cleaned=cleaned, wait_for_service=True
            )
            rows = plan.open if max_items is None else plan.open[:max_items]
            if fault := room_fault(parts, plan, rows):
                raise fault
        except MaapError:
            # No report comes of this run: what it did before is said here.
            _say_kept(parts, (*left, *retired.kept))
            if retired.files:
                freed = f"{plural(retired.files, 'file')} of {book.old.baseline}"
                parts.emit(Warned(f"Deleted {freed} ({format_bytes(retired.bytes)}), which were due"))
            raise
        report = SwapReport(plan, left=left, retired=retired)
        report.held_back = len(plan.open) - len(rows)
        await _Swapping(parts, plan.book, keep, report).work(rows, span, into)
        # What had to stay a moment ago has to stay still: reading it again would say nothing new.
        stays = {one.entry.name for one in retired.kept} | held | plan.held
        retired.add(await asyncio.to_thread(_retire_due, parts, plan.book, span, stays))
        known = plan.book.entries
        plan.rows = [
            row_of(known[row.name]) if row.name in known and known[row.name].state in SETTLED else row
            for row in plan.rows
        ]
        await keep_lines(parts.filing, keys, is_new=bool(report.swapped))
    _say_kept(parts, (*report.left, *report.retired.kept))
    for row in plan.rows:
        if row.state == "ambiguous":
            parts.emit(ItemSkipped(row.name, row.old[0].url, plan.ambiguous[row.name], True))
    return report


def _in(span: TimeRange | None, entries: Iterable[Entry], *states: State) -> list[Entry]:
    return [one for one in entries if one.state in states and (span is None or one.start in span)]


def _settle(parts: Parts, book: SwapBook, span: TimeRange | None, keep: timedelta | None) -> list[Kept]:
    """End what was being undone, and count the days again; needs no archive."""
    left: list[Kept] = []
    for some in chunks(_in(None, book.entries.values(), "undoing")):
        left += restore(parts, book, some)[1]
    if keep is not None:
        swapped = _in(span, book.entries.values(), "swapped")
        book.note(replace(one, until=one.at + keep) for one in swapped if one.until != one.at + keep)
    return left


def _due(parts: Parts, book: SwapBook, span: TimeRange | None) -> list[Entry]:
    now = moment(parts)
    swapped = _in(span, book.entries.values(), "swapped")
    return [one for one in swapped if one.until is not None and one.until <= now]


async def _needed_of_due(parts: Parts, book: SwapBook, span: TimeRange | None) -> frozenset[str]:
    """Say which studies need what is due: they may have been frozen after the swap; returns what stays."""
    needed = await needed_of(parts, (one.name for one in _due(parts, book, span)))
    warnings, held = await warnings_of(parts, book.old, needed)
    # What stays is still here when the plan is made, and is said with that.
    for warning in () if held else warnings:
        parts.emit(Warned(warning))
    return held


def _retire_due(parts: Parts, book: SwapBook, span: TimeRange | None, but: Collection[str] = ()) -> Retired:
    """Retire what is due, but the granules of some names."""
    found = Retired()
    for some in chunks(one for one in _due(parts, book, span) if one.name not in but):
        found.add(retire(parts, book, some))
    return found


def room_fault(parts: Parts, plan: SwapPlan, rows: Sequence[SwapRow]) -> DiskFullError | None:
    """That the disk has no room for what is to be fetched, while the old versions stay; None where it has."""
    folder, min_free = parts.dirs.data_dir, parts.settings.downloads.min_free
    needed = sum(row.size or 0 for row in rows)
    free = files.free_bytes_for(folder)
    if not min_free or free is None or free - needed >= min_free:
        return None
    return DiskFullError(
        f"{folder} has no room for both versions: {format_bytes(needed)} of {plan.new.baseline} are to "
        f"come, {format_bytes(free)} are free and {format_bytes(min_free)} stay free",
        "Swap a part at a time: -n N with --keep-days 0, which deletes the old ones at the end of a run.",
    )


class _Swapping:
    """Fetches successors, and hands marks over as soon as the files of a granule are recorded."""

    def __init__(self, parts: Parts, book: SwapBook, keep: timedelta, report: SwapReport) -> None:
        self._parts = parts
        self._book = book
        self._keep = keep
        self._report = report
        self._recorded: asyncio.Queue[str | None] = asyncio.Queue()
        self._left: dict[str, set[str]] = {}
        """Granule -> URLs of its successor that are not recorded yet."""
        self._granules: dict[str, str] = {}
        """URL of a successor -> granule."""

    def expect(self, files: Sequence[TrackedFile]) -> None:
        """Files are about to be recorded: nothing is owed to them before."""

    def recorded(self, file: TrackedFile) -> None:
        """A file is recorded; its granule is looked at as soon as those before it are done."""
        self._recorded.put_nowait(file.url)

    async def work(self, rows: Sequence[SwapRow], span: TimeRange | None, into: Downloads | None) -> None:
        """Swap these granules, and those that an earlier run fetched."""
        parts, book = self._parts, self._book
        now = moment(parts)
        fresh = [_planned(row, now) for row in rows]
        await asyncio.to_thread(
            book.plan, [one for one in fresh if not _is_same(book.entries.get(one.name), one)]
        )
        by_name = {row.name: row for row in rows}
        ready = [one.name for one in _in(span, book.entries.values(), "fetched")]
        ready += [row.name for row in rows if not row.requests]
        left = await self._hand_over(ready)
        self._report.left += [one for one in left if not one.is_damaged]
        requests = {row.name: list(row.requests) for row in rows if row.requests}
        for kept in (one for one in left if one.is_damaged):
            # What was here before and is damaged, or gone, is fetched again where it was.
            requests[kept.entry.name] = self._again(by_name.get(kept.entry.name), kept.entry)
        downloads = into or parts.downloads(verb="swap", watcher=self)
        missing = Missing(parts.filing, downloads)
        worker = asyncio.create_task(self._settle())
        try:
            async with nullcontext() if into else downloads:
                wanted = []
                for name, some in requests.items():
                    self._left[name] = {one.url for one in some}
                    self._granules |= dict.fromkeys(self._left[name], name)
                    for one in some:
                        file = one.tracked
                        if file is None or one.again or not await asyncio.to_thread(missing.has, file):
                            wanted.append(one)
                await enqueue(parts, wanted, downloads)
                if into is None:
                    self._report.downloads = await downloads.join()
                else:
                    await self._follow(into, {one.url for one in wanted})
            self._recorded.put_nowait(None)
            await worker
        finally:
            worker.cancel()
            await asyncio.gather(worker, return_exceptions=True)

    async def _follow(self, queue: Downloads, urls: set[str]) -> None:
        """Wait for files in a queue that goes on with others; what pauses there is waited for too."""
        while urls:
            for url in list(urls):
                job = queue.jobs.get(url)
                if job is None or job.state not in LIVE:
                    urls.discard(url)
                if job is not None and job.state in ("finished", "skipped"):
                    self._recorded.put_nowait(url)
            if urls:
                await asyncio.sleep(_LOOK_S)

    def _again(self, row: SwapRow | None, entry: Entry) -> list[DownloadRequest]:
        found = []
        for file in row.new if row is not None else entry.new:
            tracked = TrackedFile(self._book.new, file.day, file.url, file.path)
            try:
                found.append(replace(self._parts.filing.lost_file(tracked), size=file.size))
            except InvalidRequestError as error:
                self._parts.emit(left_in_registry(file.url, error))
        return found

    async def _settle(self) -> None:
        """Hand over the marks of granules whose files are all recorded, many at a time."""
        is_over = False
        while not is_over:
            urls = [await self._recorded.get()]
            while not self._recorded.empty():
                urls.append(self._recorded.get_nowait())
            is_over = None in urls
            ready = []
            for url in urls:
                if url is None or (name := self._granules.get(url)) is None:
                    continue
                self._left[name].discard(url)
                if not self._left[name]:
                    ready.append(name)
            self._report.left += await self._hand_over(ready)

    async def _hand_over(self, names: Iterable[str]) -> list[Kept]:
        entries = [self._book.entries[name] for name in dict.fromkeys(names)]
        found = []
        for some in chunks(entries):
            done, kept = await asyncio.to_thread(hand_over, self._parts, self._book, some, self._keep)
            self._report.swapped += done
            found += kept
        return found


def _planned(row: SwapRow, now: datetime) -> Entry:
    return Entry(row.name, row.orbit, row.frame, row.start, row.old, row.successor, row.new, "planned", now)


def _is_same(known: Entry | None, fresh: Entry) -> bool:
    """Whether the journal has a plan already."""
    return known is not None and known.state == "planned" and replace(fresh, at=known.at) == known


async def undo_swap(
    parts: Parts, names: SwapNames, span: TimeRange | None = None, *, fetch: bool = False
) -> UndoReport:
    """Give old and new granules the marks back that they had before the swap.

    New files stay. Of a granule whose old files were deleted nothing changes, unless they are fetched again.

    Args:
        parts: the engine.
        names: what was swapped for what.
        span: which granules, by the sensing start of the old one; None for all.
        fetch: whether to ask the archive for old files that are not here any more.

    Raises:
        LockedError: a sync or swap of one of the baselines was not over in time.
        InvalidRequestError: this swap was not begun.
    """
    keys = names.keys(parts)
    report = UndoReport()
    async with exclusive_sync(parts.registry, keys, parts.settings.downloads.lock_wait, emit=parts.emit):
        book = await asyncio.to_thread(SwapBook(parts.registry.root, *keys).read)
        if not book.entries:
            raise InvalidRequestError(
                f"{keys[0].product_type} {keys[0].baseline} was not swapped for {keys[1].baseline}",
                "`maap swap list` shows what was.",
            )
        await asyncio.to_thread(book.repair)
        hint = "" if fetch else FETCH_HINT
        read: set[str] = set()
        if fetch:
            report.downloads, read = await _fetch_old(parts, book, span)
        gone = _in(span, book.entries.values(), "retired")
        back = _in(span, book.entries.values(), "planned", "fetched", "swapped", "undoing")
        back += [one for one in gone if not one.had_old]
        for some in chunks(back):
            done, kept = await asyncio.to_thread(restore, parts, book, some, hint=hint, read=read)
            report.undone += done
            report.kept += kept
        report.kept += [
            Kept(
                one,
                f"its {book.old.baseline} was deleted on {one.at:%Y-%m-%d}{hint}",
                permanent=True,
            )
            for one in gone
            if one.had_old
        ]
        await keep_lines(parts.filing, keys, is_new=bool(report.undone))
    _say_kept(parts, report.kept)
    return report


def _say_kept(parts: Parts, several: Iterable[Kept]) -> None:
    for one in several:
        parts.emit(ItemSkipped(one.entry.name, one.entry.old[0].url, one.reason, one.permanent))


async def _fetch_old(parts: Parts, book: SwapBook, span: TimeRange | None) -> tuple[Report, set[str]]:
    """Fetch old files again that are not here; the granules whose files came count as swapped again.

    Returns:
        What was fetched, and the granules whose old files were read here and are whole.
    """
    after = _in(span, book.entries.values(), "fetched", "swapped", "undoing", "retired")
    some = [one for one in after if one.had_old]
    lost = await asyncio.to_thread(_lost, parts, book, some)
    downloads = parts.downloads(verb="swap")
    async with downloads:
        requests = []
        for file in chain.from_iterable(lost.values()):
            try:
                requests.append(parts.filing.lost_file(TrackedFile(book.old, file.day, file.url, file.path)))
            except InvalidRequestError as error:
                parts.emit(left_in_registry(file.url, error))
        await enqueue(parts, requests, downloads)
        report = await downloads.join()
    # The others that were fetched are read by what restores their marks.
    retired = [one for one in some if one.state == "retired"]
    lost |= await asyncio.to_thread(_lost, parts, book, [one for one in retired if lost[one.name]])
    now = moment(parts)
    back = [replace(one, state="undoing", at=now) for one in retired if not lost[one.name]]
    await asyncio.to_thread(book.note, back)
    return report, {name for name, files in lost.items() if not files}


def _lost(parts: Parts, book: SwapBook, entries: Iterable[Entry]) -> dict[str, list[SwapFile]]:
    """The old files of each granule that are not here whole; it reads those that are here."""
    lists = Lists(parts, book.old)
    return {entry.name: [file for file in entry.old if lists.fault([file])] for entry in entries}
