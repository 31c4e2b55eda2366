"""Coverage as a calendar: months of days, or years of months, each cell by how much of it is here."""

from __future__ import annotations

import calendar
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from maap_tui.engine.workflows.coverage import Coverage, DayCoverage, Gap

SIGNS = {
    "all": ("█", "#", "all here"),
    "most": ("▓", "=", "75 %"),
    "some": ("▒", "+", "25 %"),
    "few": ("░", "-", "less"),
    "none": ("·", ".", "none here"),
    "failed": ("✗", "x", "failed"),
    "gap": ("╌", "~", "known gap"),
    "empty": ("─", "_", "none there"),
    "unknown": ("?", "?", "unknown"),
}
"""State of a day or a month -> its sign, its sign in ASCII, and what the legend says of it."""


@dataclass(frozen=True, slots=True)
class Row:
    """A month with its days, or a year with its months."""

    label: str
    """YYYY-MM, or YYYY."""
    states: tuple[str, ...]
    """The state of each day or month, a key of `SIGNS`; '' outside of what was counted."""
    part: Coverage
    """What of the coverage is in it."""

    @property
    def gaps(self) -> list[Gap]:
        """The stretches of it where something is missing."""
        return self.part.gaps


def state_of(days: Iterable[DayCoverage]) -> str:
    """The state of some days together."""
    listed = list(days)
    if any(day.is_unknown for day in listed):
        return "unknown"
    archive = sum(day.archive for day in listed)
    missing = sum(day.missing for day in listed)
    if not archive:
        return "all" if any(day.downloaded for day in listed) else "empty"
    if missing and any(day.failed for day in listed):
        return "failed"
    share = (archive - missing) / archive
    return (
        "all" if not missing else "most" if share >= 0.75 else "some" if share >= 0.25
        else "few" if share else "none"
    )  # fmt: skip


def months(found: Coverage) -> list[Row]:
    """The months of what was counted, from the first that has something on, with a state for each day."""
    rows = []
    by_month = _by_month(found)
    for year, month in _months_of(found):
        days = by_month.get((year, month), [])
        known = {day.day: day for day in days}
        states = []
        for number in range(1, calendar.monthrange(year, month)[1] + 1):
            day = date(year, month, number)
            state = state_of([known[day]] if day in known else []) if found.covers(day) else ""
            states.append("gap" if day in found.known_gaps and state == "empty" else state)
        rows.append(Row(f"{year:04d}-{month:02d}", tuple(states), Coverage(found.key, days)))
    return rows


def years(found: Coverage) -> list[Row]:
    """The years of what was counted, from the first that has something on, with a state for each month."""
    rows: list[Row] = []
    by_month = _by_month(found)
    counted = _months_of(found)
    for year in sorted({year for year, _ in counted}):
        days = [by_month.get((year, month), []) for month in range(1, 13)]
        states = tuple(
            state_of(part) if (year, month) in counted else "" for month, part in enumerate(days, 1)
        )
        rows.append(Row(f"{year:04d}", states, Coverage(found.key, [day for part in days for day in part])))
    return rows


def cells(states: Sequence[str], *, is_ascii: bool, width: int = 1) -> str:
    """The signs of states, each in so many cells."""
    return "".join(SIGNS[state][is_ascii] * width if state else " " * width for state in states)


def legend(rows: Iterable[Row], *, is_ascii: bool) -> str:
    """What the signs that are there mean."""
    used = {state for row in rows for state in row.states}
    return "  ".join(f"{signs[is_ascii]} {signs[2]}" for state, signs in SIGNS.items() if state in used)


def _months_of(found: Coverage) -> list[tuple[int, int]]:
    """Those that were counted, from the first one on that has something."""
    if found.first is None or found.last is None:
        return []
    begin = found.days[0].day if found.days else found.first
    first, last = (day.year * 12 + day.month - 1 for day in (begin, found.last))
    return [(number // 12, number % 12 + 1) for number in range(first, last + 1)]


def _by_month(found: Coverage) -> dict[tuple[int, int], list[DayCoverage]]:
    grouped: dict[tuple[int, int], list[DayCoverage]] = {}
    for day in found.days:
        grouped.setdefault((day.day.year, day.day.month), []).append(day)
    return grouped
