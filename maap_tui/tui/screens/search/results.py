"""Result: one granule found, as a row; its columns, and its state from registry, disk and queue."""

from __future__ import annotations

import heapq
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import islice, pairwise

from maap_tui.engine.download.jobs import DownloadJob
from maap_tui.engine.download.queue_store import LIVE
from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.missions import Mission
from maap_tui.engine.model import Asset, Granule
from maap_tui.engine.registry.entries import Key
from maap_tui.engine.session import Session
from maap_tui.text import format_bytes
from maap_tui.tui.theme import STATE_TONES, STATE_WORDS
from maap_tui.tui.widgets.row_model import Column

_ORDER = ("queued", "failed", "missing", "new", "deleted", "marked", "here")
"""States of files, the one that a granule of several is called by first."""


@dataclass(slots=True, eq=False)
class Result:
    """One granule found."""

    granule: Granule
    files: tuple[Asset, ...]
    """The files of it that are wanted."""
    size: int | None
    """Bytes of its files together, None when the catalogue does not say."""
    is_whole: bool = True
    """Whether the granule still has all that the catalogue sent."""
    state: str = "new"
    """new, queued, failed, here, marked, deleted or missing."""
    is_here: bool = False
    """Whether all its files are on disk."""


def result_of(granule: Granule, formats: Sequence[str], *, keep_whole: bool) -> Result:
    """Make the row of a granule.

    Args:
        granule: as found.
        formats: the formats wanted, best first.
        keep_whole: whether properties, ground track and other files stay in memory.
    """
    files = tuple(granule.files(formats))
    known = [asset.size for asset in files if asset.size is not None]
    size = sum(known) if len(known) == len(files) else None
    if not keep_whole:
        granule = replace(granule, properties={}, geometry=None, assets=files)
    return Result(granule, files, size, keep_whole)


def result_key(result: Result) -> str:
    """What distinguishes rows."""
    return result.granule.id


def order_of(result: Result) -> tuple[object, str]:
    """What results are ordered by at first."""
    return result.granule.sensing_start, result.granule.id


def merged(
    rows: Sequence[Result], breaks: Sequence[int], *, newest_first: bool, size: int
) -> Iterator[list[Result]]:
    """Rows that come in runs, each of them in order, as slices of one order.

    Args:
        rows: all of them.
        breaks: where each run but the first begins.
        newest_first: whether the runs are, and the order is, newest first.
        size: rows of a slice.
    """
    runs = [rows[start:end] for start, end in pairwise([0, *breaks, len(rows)])]
    all_rows = heapq.merge(*runs, key=order_of, reverse=newest_first)
    while part := list(islice(all_rows, size)):
        yield part


def state_tone(result: Result) -> str:
    """The tone of its state."""
    return STATE_TONES.get(result.state, "plain")


COLUMNS = (
    Column(
        "start", "Sensing start", 19, lambda row: f"{row.granule.sensing_start:%Y-%m-%d %H:%M:%S}",
        order=order_of, is_untrusted=False,
    ),
    Column("orbit", "Orbit", 6, lambda row: row.granule.orbit_frame,
           order=lambda row: (row.granule.orbit or -1, row.granule.frame or "")),
    Column("baseline", "BL", 4, lambda row: row.granule.baseline),
    Column(
        "size", "Size", 8, lambda row: "" if row.size is None else format_bytes(row.size),
        order=lambda row: -1 if row.size is None else row.size, is_right=True, is_untrusted=False,
    ),
    Column("state", "State", 7, lambda row: STATE_WORDS.get(row.state, row.state), tone=state_tone,
           is_untrusted=False),
    Column("name", "Name", 0, lambda row: row.granule.id),
    Column("end", "Sensing end", 19,
           lambda row: f"{row.granule.sensing_end:%Y-%m-%d %H:%M:%S}" if row.granule.sensing_end else "",
           is_untrusted=False),
    Column("created", "Created", 16,
           lambda row: f"{row.granule.created:%Y-%m-%d %H:%M}" if row.granule.created else "",
           is_untrusted=False),
    Column("direction", "Direction", 10, lambda row: (row.granule.orbit_state or "").lower()),
    Column("files", "Files", 5, lambda row: str(len(row.files)), order=lambda row: len(row.files),
           is_right=True, is_untrusted=False),
)  # fmt: skip
"""Every column there is."""

FIRST_COLUMNS = ("start", "orbit", "baseline", "size", "state", "name")
"""The columns shown until others are chosen, where names fit beside them."""

NARROW_COLUMNS = ("start", "orbit", "baseline", "size", "state", "direction", "created")
"""The same where a name would be cut before the part that differs."""

ROOM_FOR_NAMES = 112
"""Cells of the list from which on names are shown whole."""

_BY_TRACK = Column(
    "orbit", "Track", 9, lambda row: row.granule.track_frame or row.granule.orbit_frame,
    order=lambda row: (row.granule.track_frame, row.granule.orbit or -1),
)  # fmt: skip
"""In mode of the orbit where the granules of a mission are known by track and frame."""


def columns_for(mission: Mission) -> list[Column]:
    """Every column there is for results of a mission."""
    return [_BY_TRACK if column.key == "orbit" and mission.track_digits else column for column in COLUMNS]


def first_columns(mission: Mission | None, width: int) -> list[str]:
    """The columns shown in so many cells until others are chosen."""
    if width >= ROOM_FOR_NAMES:
        return list(FIRST_COLUMNS)
    if mission is not None and mission.track_digits:
        return [key for key in NARROW_COLUMNS if key != "direction"]  # the track takes its place
    return list(NARROW_COLUMNS)


DayOf = tuple[Key, date]
"""A baseline's day: the unit that states are looked up in."""


def by_day(session: Session, results: Iterable[Result]) -> dict[DayOf, list[Result]]:
    """Results by the day files of the registry that hold their states; without those it cannot hold."""
    keys: dict[tuple[str, str, str, str], Key | None] = {}
    days: dict[DayOf, list[Result]] = defaultdict(list)
    for result in results:
        granule = result.granule
        names = (granule.mission, granule.collection, granule.product_type, granule.baseline)
        if names not in keys:
            try:
                keys[names] = session.filing.key_of(granule)
            except InvalidRequestError:
                keys[names] = None
        key = keys[names]
        if key is not None:
            days[key, granule.day].append(result)
    return days


def look_at_disk(session: Session, days: Mapping[DayOf, Sequence[Result]]) -> list[tuple[Result, str, bool]]:
    """What registry and disk say of results: (result, state, whether all of it is on disk).

    It reads files: call it from a thread.
    """
    found = []
    elsewhere = {row.url for row in session.queue.load(ended=False) if not row.is_mine}
    spans: dict[Key, tuple[date, date]] = {}
    for key, day in days:
        low, high = spans.get(key, (day, day))
        spans[key] = min(low, day), max(high, day)
    for key, (low, high) in spans.items():
        wanted = {day for other, day in days if other == key}
        registry = session.registry.baseline(key)
        downloaded: dict[date, dict[str, str]] = defaultdict(dict)
        for entry in registry.downloads(low, high):
            if entry.day in wanted:
                downloaded[entry.day][entry.url] = entry.path
        marked = {path for path, day in registry.marked(low, high) if day in wanted}
        for day in wanted:
            folders: dict[str, frozenset[str]] = {}
            for result in days[key, day]:
                states = []
                here = bool(result.files)
                for asset in result.files:
                    path = downloaded[day].get(asset.href)
                    expected = path or _path_of(session, result.granule, asset)
                    is_there = bool(expected) and _is_there(expected, folders)
                    here = here and is_there
                    if asset.href in elsewhere:
                        states.append("queued")
                    elif expected in marked:
                        states.append("marked" if is_there else "deleted")
                    elif is_there:
                        states.append("here")
                    else:
                        states.append("missing" if path else "new")
                found.append((result, min(states, key=_ORDER.index, default="new"), here))
    return found


def _path_of(session: Session, granule: Granule, asset: Asset) -> str:
    """Where a file would go, '' for one whose name is refused."""
    try:
        return str(session.filing.request_of(granule, asset).path)
    except InvalidRequestError:
        return ""


def _is_there(path: str, folders: dict[str, frozenset[str]]) -> bool:
    folder, name = os.path.split(path)
    names = folders.get(folder)
    if names is None:
        try:
            names = frozenset(os.listdir(folder))
        except OSError:
            names = frozenset()
        folders[folder] = names
    return name in names


def with_queue(result: Result, state: str, jobs: Mapping[str, DownloadJob]) -> str:
    """The state, once the queue of this app was heard as well."""
    states = []
    for asset in result.files:
        job = jobs.get(asset.href)
        if job is not None and job.wanted.key is not None:
            if job.state in LIVE:
                states.append("queued")
            elif job.state == "failed" and state == "new":
                states.append("failed")
    return min(states, key=_ORDER.index, default=state)
