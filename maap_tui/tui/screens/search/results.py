"""Result: one granule found, as a row; its columns, and its state from registry, disk and queue."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice, pairwise

from maap_tui.engine.download.jobs import DownloadJob
from maap_tui.engine.download.queue_store import LIVE
from maap_tui.engine.missions import Mission
from maap_tui.engine.model import Asset, Granule
from maap_tui.engine.quality.notices import Notice
from maap_tui.engine.workflows.presence import worst_of
from maap_tui.text import format_bytes, short_duration
from maap_tui.tui.theme import STATE_TONES, STATE_WORDS, with_sign
from maap_tui.tui.widgets.row_model import Column


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
    quality: tuple[Notice, ...] = ()
    """Data gaps and disclaimers that it is affected by."""


def result_of(
    granule: Granule, formats: Sequence[str], *, keep_whole: bool, quality: Sequence[Notice] = ()
) -> Result:
    """Make the row of a granule.

    Args:
        granule: as found.
        formats: the formats wanted, best first.
        keep_whole: whether properties, ground track and other files stay in memory.
        quality: data gaps and disclaimers that it is affected by.
    """
    files = tuple(granule.files(formats))
    known = [asset.size for asset in files if asset.size is not None]
    size = sum(known) if len(known) == len(files) else None
    if not keep_whole:
        granule = replace(granule, properties={}, geometry=None, assets=files)
    return Result(granule, files, size, keep_whole, quality=tuple(quality))


SLICE = 5000
"""Results processed before keys are handled and progress is reported."""


def result_key(result: Result) -> str:
    """What distinguishes rows."""
    return result.granule.id


def order_of(result: Result) -> tuple[object, str]:
    """The order of results at first."""
    return result.granule.sensing_start, result.granule.id


def merged(
    rows: Sequence[Result], breaks: Sequence[int], *, newest_first: bool, size: int
) -> Iterator[list[Result]]:
    """Merge runs of rows, each of them in order, and give the result in slices.

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


def _state_word(result: Result) -> str:
    return STATE_WORDS.get(result.state, result.state)


def latitudes(granule: Granule) -> str:
    """The latitudes of its bounding box in whole degrees, in the direction of the flight: `67N→22N`."""
    if granule.bbox is None:
        return ""
    south, north = (_degrees(one, "NS") for one in (granule.bbox[1], granule.bbox[3]))
    direction = (granule.orbit_state or "").upper()
    if direction == "DESCENDING":
        return f"{north}→{south}"
    return f"{south}→{north}" if direction == "ASCENDING" else f"{south}-{north}"


def longitudes(granule: Granule) -> str:
    """The longitudes of its bounding box in whole degrees, from west to east: `148W-130W`."""
    if granule.bbox is None:
        return ""
    return f"{_degrees(granule.bbox[0], 'EW')}-{_degrees(granule.bbox[2], 'EW')}"


def _degrees(value: float, letters: str) -> str:
    whole = round(value)
    return f"{abs(whole)}{letters[whole < 0]}"


def _south(result: Result) -> float:
    return -91.0 if result.granule.bbox is None else result.granule.bbox[1]


def _west(result: Result) -> float:
    return -181.0 if result.granule.bbox is None else result.granule.bbox[0]


def _late_s(result: Result) -> float | None:
    """Seconds from the end of sensing to the product; None where either is not known."""
    granule = result.granule
    if granule.created is None or granule.sensing_end is None:
        return None
    return max(0.0, (granule.created - granule.sensing_end).total_seconds())


COLUMNS = (
    Column(
        "start", "Sensing start", 19, lambda row: f"{row.granule.sensing_start:%Y-%m-%d %H:%M:%S}",
        order=order_of, is_untrusted=False, mutes_repeats=True,
    ),
    Column("orbit", "Orbit", 6, lambda row: row.granule.orbit_frame,
           order=lambda row: (row.granule.orbit or -1, row.granule.frame or "")),
    Column("baseline", "BL", 4, lambda row: f"{row.granule.baseline}{' !' if row.quality else ''}",
           lambda row: "warning" if row.quality else "plain", mutes_repeats=True),
    Column(
        "size", "Size", 8, lambda row: "" if row.size is None else format_bytes(row.size),
        order=lambda row: -1 if row.size is None else row.size, is_right=True, is_untrusted=False,
    ),
    Column("state", "State", 9, lambda row: with_sign(row.state, _state_word(row)), tone=state_tone,
           order=lambda row: _state_word(row), is_untrusted=False),
    Column("name", "Name", 0, lambda row: row.granule.id, mutes_repeats=True),
    Column("latitude", "Latitude", 8, lambda row: latitudes(row.granule), order=_south, is_untrusted=False),
    Column("longitude", "Longitude", 9, lambda row: longitudes(row.granule), order=_west, is_untrusted=False),
    Column("late", "Late", 6, lambda row: "" if (late := _late_s(row)) is None else short_duration(late),
           order=lambda row: -math.inf if (late := _late_s(row)) is None else late, is_right=True,
           is_untrusted=False),
    Column("end", "Sensing end", 19,
           lambda row: f"{row.granule.sensing_end:%Y-%m-%d %H:%M:%S}" if row.granule.sensing_end else "",
           is_untrusted=False, mutes_repeats=True),
    Column("created", "Created", 16,
           lambda row: f"{row.granule.created:%Y-%m-%d %H:%M}" if row.granule.created else "",
           is_untrusted=False),
    Column("direction", "Direction", 10, lambda row: (row.granule.orbit_state or "").lower()),
    Column("quality", "Quality", 18, lambda row: "; ".join(one.title for one in row.quality),
           lambda row: "warning", order=lambda row: len(row.quality)),
    Column("files", "Files", 5, lambda row: str(len(row.files)), order=lambda row: len(row.files),
           is_right=True, is_untrusted=False),
)  # fmt: skip
"""Every column there is."""

FIRST_COLUMNS = ("start", "orbit", "baseline", "size", "state", "name")
"""The columns shown until others are chosen, where names fit beside them."""

NARROW_COLUMNS = ("start", "orbit", "baseline", "size", "state", "latitude", "longitude", "late")
"""The same where a name would be cut before the part that differs."""

ROOM_FOR_LATE = 79
"""Cells of the list from which on lateness has room."""

ROOM_FOR_NAMES = 114
"""Cells of the list from which on names are shown whole."""

ROOM_FOR_ALL = 140
"""Cells of the list from which on both have room."""

_BY_TRACK = Column(
    "orbit", "Track", 9, lambda row: row.granule.track_frame or row.granule.orbit_frame,
    order=lambda row: (row.granule.track_frame, row.granule.orbit or -1),
)  # fmt: skip
"""In place of the orbit, for missions whose granules are known by track and frame."""


def columns_for(mission: Mission) -> list[Column]:
    """Every column there is for results of a mission."""
    return [_BY_TRACK if column.key == "orbit" and mission.track_digits else column for column in COLUMNS]


def first_columns(width: int) -> list[str]:
    """The columns shown in so many cells until others are chosen."""
    if width >= ROOM_FOR_ALL:
        return [*FIRST_COLUMNS, *NARROW_COLUMNS[5:]]
    if width < ROOM_FOR_LATE:
        return list(NARROW_COLUMNS[:-1])
    return list(FIRST_COLUMNS if width >= ROOM_FOR_NAMES else NARROW_COLUMNS)


def with_queue(result: Result, state: str, jobs: Mapping[str, DownloadJob]) -> str:
    """The state, with the queue of this app considered as well."""
    states = []
    for asset in result.files:
        job = jobs.get(asset.href)
        if job is not None and job.wanted.key is not None:
            if job.state in LIVE:
                states.append("queued")
            elif job.state == "failed" and state == "new":
                states.append("failed")
    return worst_of(states, state)
