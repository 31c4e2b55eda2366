"""What a swap would do: every granule of the older baseline that is here, and what takes its place."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final, Literal

from maap_tui.engine.catalogue.search import FailedDay
from maap_tui.engine.download.requests import DownloadRequest
from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.events import ItemSkipped, Warned
from maap_tui.engine.file_names import ALL, OTHER, format_of, has_format
from maap_tui.engine.missions import Mission, parse_name
from maap_tui.engine.model import Asset, Granule, TimeRange
from maap_tui.engine.observations import observation_of
from maap_tui.engine.query import Query
from maap_tui.engine.registry.entries import Key, TrackedFile
from maap_tui.engine.registry.spans import days_of
from maap_tui.engine.registry.view import size_on_disk
from maap_tui.engine.storage.names import shown_url
from maap_tui.engine.swaps.book import SETTLED, Entry, SwapBook, SwapFile
from maap_tui.engine.swaps.needed import needed_of, warnings_of
from maap_tui.engine.swaps.pairs import Processing, pair, processing_of
from maap_tui.engine.swaps.steps import Lists
from maap_tui.engine.workflows.parts import Parts
from maap_tui.engine.workflows.searching import UNCUT, run_of
from maap_tui.text import plural

RowState = Literal[
    "archive",
    "here",
    "waiting",
    "unsearched",
    "lacking",
    "ambiguous",
    "duplicate",
    "planned",
    "fetched",
    "swapped",
    "retired",
    "undoing",
    "undone",
]
ROW_STATES: Final[dict[RowState, str]] = {
    "archive": "to fetch",
    "here": "here in both",
    "waiting": "waiting",
    "unsearched": "on days that could not be searched",
    "lacking": "without a file in the formats of the old one",
    "ambiguous": "whose place several may take, which stay",
    "duplicate": "older processings, which stay",
    "planned": "planned",
    "fetched": "fetched, marks not handed over yet",
    "swapped": "swapped",
    "retired": "retired",
    "undoing": "being undone",
    "undone": "undone",
}
"""What becomes of a granule, in the order in which it is said: its successor is at the archive, or was
downloaded before; the archive has none; its day could not be searched; the successor has other formats; it is
not certain which one takes its place; a newer processing of it is swapped; and the states of the journal."""

OPEN: Final = frozenset({"archive", "here"})
"""States of rows that a run begins with."""
UNSWAPPED: Final = frozenset({"waiting", "unsearched", "lacking", "ambiguous"})
"""States of granules that nothing can take the place of now."""

_GAP = timedelta(days=2)
"""Days without granules that are searched rather than asked around."""


@dataclass(frozen=True, slots=True)
class SwapRow:
    """One granule of the older baseline."""

    name: str
    orbit: int | None
    """None where its name has none."""
    frame: str
    start: datetime
    state: RowState
    old: tuple[SwapFile, ...]
    successor: str = ""
    """The granule that takes its place; '' while none is known."""
    new: tuple[SwapFile, ...] = ()
    requests: tuple[DownloadRequest, ...] = ()
    """Files to fetch."""
    until: datetime | None = None
    """From when on the old files may be deleted, of one that is swapped."""
    is_marked: bool = False
    """Whether the old one counts, or counted before the swap, as processed."""

    @property
    def observation(self) -> str:
        """What identifies what it observed; '' where its sensing start does."""
        name = parse_name(self.name)
        return observation_of(name).label if name is not None else ""

    @property
    def size(self) -> int | None:
        """Bytes to fetch; None while the archive does not say all of them."""
        sizes = [request.size for request in self.requests]
        return None if None in sizes else sum(filter(None, sizes))


@dataclass(slots=True)
class SwapPlan:
    """A swap of one baseline for another."""

    old: Key
    new: Key
    book: SwapBook
    rows: list[SwapRow] = field(default_factory=list)
    """By sensing start."""
    others: int = 0
    """Granules of the new baseline between those that are here of the old one, and without any of it."""
    cleaned: int = 0
    """Granules of the old one that a clean-up deleted, and that are left out for that."""
    unnamed: int = 0
    """Files of the old one whose names say nothing."""
    tolerance: timedelta | None = None
    """How near times have to be where nothing else identifies a granule; None where names identify all."""
    ambiguous: dict[str, str] = field(default_factory=dict)
    """Granules whose place several may take, each with the reason."""
    failed_days: list[FailedDay] = field(default_factory=list)
    needed: dict[str, tuple[Path, ...]] = field(default_factory=dict)
    """Granules that a swap is to delete and that frozen studies need, each with the folders of these."""
    held: frozenset[str] = frozenset()
    """Those of them that stay, as nobody knows that the archive has them still."""
    warnings: list[str] = field(default_factory=list)
    """What has to be known of these studies and of the names, a sentence each."""

    @property
    def counts(self) -> Counter[str]:
        """How many granules are in each state."""
        return Counter(row.state for row in self.rows)

    @property
    def open(self) -> list[SwapRow]:
        """The granules that a run begins with."""
        return [row for row in self.rows if row.state in OPEN]

    @property
    def unswapped(self) -> int:
        """Granules that nothing can take the place of now."""
        return sum(row.state in UNSWAPPED for row in self.rows)

    @property
    def fetch_bytes(self) -> int:
        """Bytes to fetch, as far as the archive says."""
        return sum(row.size or 0 for row in self.open)

    @property
    def old_bytes(self) -> int:
        """Bytes of the old files that the swap frees in the end."""
        found = 0
        for row in self.leaving:
            if row.name in self.held:
                continue
            found += sum(size for file in row.old if (size := size_on_disk(file.path)) is not None)
        return found

    @property
    def sentences(self) -> list[str]:
        """How many granules are in each state, and what is left out."""
        counts = self.counts
        old, new = self.old.baseline, self.new.baseline
        words = ", ".join(f"{counts[state]:,} {text}" for state, text in ROW_STATES.items() if counts[state])
        title = f"{self.old.product_type} {old} for {new}: {plural(len(self.rows), 'granule')}"
        found = [title + (f": {words}" if words else "")]
        if not self.rows and not self.cleaned:
            found.append(
                f"Nothing of {old} was downloaded, or none of it is of the time and formats asked for"
            )
        if counts["waiting"]:
            have = plural(counts["waiting"], "has", "have")
            found.append(f"{have} no granule in {new} yet, and stay in {old}")
        if self.tolerance is not None:
            found.append(
                "Their names do not say the observation: granules belong together that begin and end within "
                f"{self.tolerance.total_seconds():g} s of each other"
            )
        if self.cleaned:
            left = plural(self.cleaned, "granule")
            found.append(f"{left} of {old} left out, which a clean-up deleted (--cleaned)")
        if self.others:
            others = plural(self.others, "granule")
            found.append(f"{others} of {new} without one of {old} here: `maap sync` fetches them")
        return found

    @property
    def leaving(self) -> list[SwapRow]:
        """The granules whose old files the swap deletes in the end."""
        return [row for row in self.rows if row.state in (*OPEN, "fetched", "swapped")]


@dataclass(frozen=True, slots=True)
class SwapNames:
    """What is swapped for what."""

    collection: str
    product_type: str
    old: str
    """Baseline, in any case."""
    new: str

    def keys(self, parts: Parts) -> tuple[Key, Key]:
        """Both baselines in the registry.

        Raises:
            InvalidRequestError: they are the same, or the names of the mission are not known.
        """
        mission = parts.mission_of(self.collection)
        if not mission.is_known:
            raise InvalidRequestError(
                f"{self.collection[:80]} belongs to a mission whose file names are not known here",
                "`maap list` shows the collections; `maap sync` fetches a new baseline of any.",
            )
        old, new = (
            parts.tracked_keys(self.collection, self.product_type, name)[0] for name in (self.old, self.new)
        )
        if old.baseline.upper() == new.baseline.upper():
            raise InvalidRequestError(
                f"{old.baseline} cannot be swapped for itself", "Name the old baseline, then the new one."
            )
        return old, new


async def plan_swap(
    parts: Parts,
    names: SwapNames,
    span: TimeRange | None = None,
    *,
    formats: tuple[str, ...] = (),
    cleaned: bool = False,
    wait_for_service: bool = False,
) -> SwapPlan:
    """Find what takes the place of what; writes nothing.

    Args:
        parts: the engine.
        names: what is swapped for what.
        span: which granules, by the sensing start of the old one; None for all that are here.
        formats: files of the old baseline that are meant; () for all that were downloaded.
        cleaned: whether those count too that a clean-up deleted.
        wait_for_service: whether to wait for a catalogue that is down.

    Raises:
        InvalidRequestError: for unknown names, and where nothing of the old baseline was downloaded.
        CatalogError: when the archive does not answer.
    """
    old, new = names.keys(parts)
    plan = SwapPlan(old, new, await asyncio.to_thread(SwapBook(parts.registry.root, old, new).read))
    if plan.book.bad:
        lines = plural(plan.book.bad, "line")
        parts.emit(Warned(f"{lines} of {plan.book.file} cannot be read; a run sets them aside"))
    mine = await asyncio.to_thread(_old_ones, parts, plan, span, formats, cleaned)
    if not mine and not plan.book.entries:
        if old not in parts.registry.tracked():
            raise InvalidRequestError(
                f"Nothing of {old.product_type} {old.baseline} is tracked here",
                "`maap state show` lists what is.",
            )
        return plan
    fresh = [one for one in mine if not one.is_settled]
    catalogue = parts.catalogue.patient() if wait_for_service else parts.catalogue
    await catalogue.check(names.collection, names.product_type, new.baseline)
    theirs: list[Processing[Granule]] = []
    for stretch in _stretches((one.start, one.margin) for one in fresh):
        theirs += await _searched(parts, plan, stretch, wait_for_service)
    spelled = {one.of.baseline for one in theirs} - {new.baseline}
    if spelled:
        # The registry keeps the case; two spellings would be two baselines.
        raise InvalidRequestError(
            f"The archive has {new.baseline} as {', '.join(sorted(spelled))}", "Name it so."
        )
    await asyncio.to_thread(_compare, parts, plan, mine, theirs)
    plan.needed = await needed_of(parts, (row.name for row in plan.leaving))
    plan.warnings, plan.held = await warnings_of(parts, old, plan.needed)
    if new.baseline.upper() < old.baseline.upper():
        plan.warnings.append(
            f"By its name {new.baseline} is older than {old.baseline}; the old baseline is named first"
        )
    for warning in plan.warnings:
        parts.emit(Warned(warning))
    return plan


def _old_ones(
    parts: Parts, plan: SwapPlan, span: TimeRange | None, formats: tuple[str, ...], cleaned: bool
) -> list[Processing[tuple[SwapFile, ...]]]:
    """The granules of the old baseline that were downloaded, and those that the journal has."""
    tracker = parts.registry.baseline(plan.old)
    files: dict[str, list[SwapFile]] = {}
    named = {}
    gone: set[str] = set()
    deleted: dict[date, frozenset[str]] = {}
    for file in tracker.downloads(*days_of(span)):
        if formats and not any(has_format(file.url, one) for one in formats):
            continue
        name = parse_name(file.url)
        if name is None:
            plan.unnamed += 1
            continue
        if span is not None and name.sensing_start not in span:
            continue
        if file.day not in deleted:
            deleted[file.day] = tracker.deleted(file.day)
        if file.path in deleted[file.day] and not cleaned:
            gone.add(name.stem)
            continue
        named[name.stem] = name
        files.setdefault(name.stem, []).append(SwapFile(file.url, file.path, file.day))
    if plan.unnamed:
        count = plural(plan.unnamed, "file")
        parts.emit(Warned(f"{count} of {plan.old.baseline} left alone, whose names say nothing"))
    settled = {name for name, entry in plan.book.entries.items() if entry.state in SETTLED}
    plan.cleaned = len(gone - named.keys() - settled)
    found = [processing_of(name, tuple(files[stem])) for stem, name in named.items() if stem not in settled]
    for entry in plan.book.entries.values():
        if entry.state in SETTLED and (span is None or entry.start in span):
            begun = parse_name(entry.name)
            if begun is not None:
                found.append(processing_of(begun, entry.old, is_settled=True))
    return found


def _stretches(around: Iterable[tuple[datetime, timedelta]]) -> Iterator[TimeRange]:
    """The times to search around sensing starts, each with its margin, so that no long gap is searched."""
    begin = end = None
    for start, margin in sorted(around):
        if begin is None or end is None or start - margin - end > _GAP:
            if begin is not None and end is not None:
                yield TimeRange(begin, end)
            begin, end = start - margin, start + margin
        else:
            begin, end = min(begin, start - margin), max(end, start + margin)
    if begin is not None and end is not None:
        yield TimeRange(begin, end)


async def _searched(
    parts: Parts, plan: SwapPlan, time: TimeRange, wait_for_service: bool
) -> list[Processing[Granule]]:
    """What the archive has of the new baseline."""
    new = plan.new
    query = Query(new.collection, new.product_type, new.baseline, time=time, max_items=UNCUT, formats=(ALL,))
    run = run_of(parts, query, wait_for_service=wait_for_service)
    found = []
    async with aclosing(aiter(run)) as pages:
        async for page in pages:
            found += [processing_of(granule, granule) for granule in page.granules]
    plan.failed_days += run.failed
    return found


def _compare(
    parts: Parts,
    plan: SwapPlan,
    mine: Sequence[Processing[tuple[SwapFile, ...]]],
    theirs: Sequence[Processing[Granule]],
) -> None:
    """Fill in the rows, in the thread that calls it."""
    mission = parts.mission_of(plan.old.collection)
    settled = [one for one in mine if one.is_settled]
    # A granule that a swap has begun with keeps its place and its successor.
    taken = {one.successor for one in plan.book.entries.values() if one.state in SETTLED}
    found = pair(mine, [one for one in theirs if one.name not in taken], mission.start_tolerance)
    if any(not one.observation.label for one in mine):
        plan.tolerance = mission.start_tolerance
    marks = Lists(parts, plan.old)
    tracker = parts.registry.baseline(plan.new)
    done: dict[date, dict[str, TrackedFile]] = {}
    rows = [row_of(plan.book.entries[one.name]) for one in settled]
    for old, new in found.pairs:
        granule = new.of
        if granule.day not in done:
            done[granule.day] = {file.url: file for file in tracker.downloads(granule.day, granule.day)}
        rows.append(_pair_row(parts, mission, old, granule, done[granule.day], marks))
    failed = [one.window for one in plan.failed_days if one.window is not None]
    for one in found.waiting:
        is_unknown = any(part.start - one.margin <= one.start < part.end + one.margin for part in failed)
        rows.append(_row(one, "unsearched" if is_unknown else "waiting", marks))
    for one, candidates in found.ambiguous:
        names = ", ".join(each.name for each in candidates[:3]) + (", ..." if len(candidates) > 3 else "")
        plan.ambiguous[one.name] = (
            f"it is not certain which granule of {plan.new.baseline} takes its place"
            + (f" ({names})" if names else "")
            + ": it stays, and so does its mark"
        )
        rows.append(_row(one, "ambiguous", marks))
    rows += [_row(one, "duplicate", marks) for one in found.duplicates]
    plan.rows = sorted(rows, key=lambda row: (row.start, row.name))
    taken = {row.successor for row in plan.rows}
    between = list(_stretches((one.start, mission.start_tolerance) for one in mine))
    plan.others = sum(
        one.name not in taken and any(one.start in stretch for stretch in between) for one in found.others
    )


def _row(one: Processing[tuple[SwapFile, ...]], state: RowState, marks: Lists) -> SwapRow:
    return SwapRow(
        one.name, one.orbit, one.frame, one.start, state, one.of, is_marked=marks.is_marked(one.of)
    )


def row_of(entry: Entry) -> SwapRow:
    """A granule as the journal has it."""
    return SwapRow(
        entry.name,
        entry.orbit,
        entry.frame,
        entry.start,
        entry.state,
        entry.old,
        entry.successor,
        entry.new,
        until=entry.until if entry.state == "swapped" else None,
        is_marked=entry.old_marked >= {file.path for file in entry.old},
    )


def _pair_row(
    parts: Parts,
    mission: Mission,
    old: Processing[tuple[SwapFile, ...]],
    granule: Granule,
    done: Mapping[str, TrackedFile],
    marks: Lists,
) -> SwapRow:
    """A granule and its successor, whose files are those of the formats that are here of the old one."""
    wanted = {_format_in(mission, file.url) for file in old.of}
    assets = {one: _files_in(granule, one) for one in sorted(wanted)}
    if not all(assets.values()):
        lacking = ", ".join(one for one, some in assets.items() if not some)
        parts.emit(Warned(f"{granule.id} has no {lacking}, which is here of {old.name}; it is left alone"))
        return _row(old, "lacking", marks)

    def refuse(asset: Asset, error: InvalidRequestError) -> None:
        parts.emit(ItemSkipped(shown_url(asset.href), asset.href, error.message, permanent=True))

    several = {asset.href: asset for some in assets.values() for asset in some}
    requests = parts.filing.requests_of(
        granule, several.values(), product_dir=parts.in_product_dir(None), refuse=refuse
    )
    if len(requests) < len(several):
        return _row(old, "lacking", marks)
    files, missing = [], []
    for request in requests:
        recorded = done.get(request.url)
        is_here = recorded is not None and size_on_disk(recorded.path) is not None
        path = recorded.path if recorded is not None and recorded.path and is_here else str(request.path)
        files.append(SwapFile(request.url, path, granule.day, request.size))
        if not is_here:
            missing.append(request)
    return SwapRow(
        old.name,
        old.orbit,
        old.frame,
        old.start,
        "archive" if missing else "here",
        old.of,
        granule.id,
        tuple(files),
        tuple(missing),
        is_marked=marks.is_marked(old.of),
    )


def _format_in(mission: Mission, url: str) -> str:
    """The format by which a file is found among those of another granule."""
    return next((one for one in mission.formats if has_format(url, one)), format_of(url) or OTHER)


def _files_in(granule: Granule, wanted: str) -> list[Asset]:
    """The files of a granule in a format; of a format without a name those that have none."""
    if wanted == OTHER:
        return [asset for asset in granule.files((ALL,)) if asset.format == OTHER]
    return granule.files((wanted,))
