"""The words and figures of Today, made of the runs, the disk and the token; pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from maap_tui.engine.runs import KILLED, RUNNING, Run
from maap_tui.text import format_bytes, format_count, format_duration, plural

GROWTH_DAYS = 7
"""Days that the growth of the disk is taken over."""
HOURS = 24
"""Hours of the graph."""


def short_command(run: Run) -> str:
    """A command line without its collection, and without options that change nothing of what it does."""
    if run.verb in ("app", "queue"):
        return run.command
    words = list(run.words)
    at = next((at for at, word in enumerate(words) if word in _COMMANDS), None)
    if at is None:
        return " ".join(words)
    words = words[at:]
    names = 2 if words[0] in ("state", "catalog") else 1
    if len(words) > names and not words[names].startswith("-"):
        del words[names]
    shown = words[1:] if names == 2 else words
    return " ".join(word for word in shown if word not in ("--quiet", "-q", "--yes", "-y"))


_COMMANDS = ("sync", "download", "get", "state", "catalog")


def ended_as(run: Run) -> str:
    """The exit code, or what is in its place."""
    if run.state == RUNNING:
        return "runs"
    return "dead" if run.exit is None else str(run.exit)


def tone_of(run: Run) -> str:
    """The colour of a run's end: 0 is plain, 3 may pass by itself, anything else needs a person."""
    if run.state == RUNNING:
        return "accent"
    if run.exit == 0:
        return "plain"
    return "warning" if run.exit in (3, 129, 130, 143) else "error"


def moved(run: Run) -> str:
    """Files that came, or went; '' where that is not known."""
    return run.counts.moved if run.has_counts else ""


def found(run: Run) -> str:
    """Files it was about; '' where that is not known."""
    return format_count(run.counts.found) if run.has_counts and run.counts.found is not None else ""


def failed(run: Run) -> str:
    """Files and days that failed; '' where that is not known."""
    return format_count(run.counts.failed + run.counts.failed_days) if run.has_counts else ""


def size(run: Run) -> str:
    """Bytes that came, or went; '' where that is not known."""
    return format_bytes(run.counts.bytes) if run.has_counts else ""


def last_run_words(runs: Sequence[Run], now: datetime) -> str:
    """A sentence on the newest run of `sync`, or of any command where none was a sync."""
    run = next((one for one in runs if one.verb == "sync"), runs[0] if runs else None)
    if run is None:
        return "No run yet: maap sync, download, get, cleanup and build are listed here."
    when = f"{run.begun:%H:%M}" if run.begun.date() == now.date() else f"{run.begun:%Y-%m-%d %H:%M}"
    words = f"Last {run.verb} {when} UTC"
    if run.state == RUNNING:
        return f"{words}, runs since {format_duration((now - run.begun).total_seconds())}"
    if run.state == KILLED:
        return f"{words}: its process died"
    words += f", exit {run.exit}, +{plural(run.counts.downloaded, 'file')} {format_bytes(run.counts.bytes)}"
    failed = run.counts.failed + run.counts.failed_days
    return words + (f", {format_count(failed)} failed" if failed else "")


def growth_a_day(runs: Sequence[Run], now: datetime) -> float:
    """Bytes a day that came, less those that clean-ups freed; negative where more was freed."""
    first = now - timedelta(days=GROWTH_DAYS)
    recent = [run for run in runs if run.begun >= first]
    total = sum(-run.counts.bytes if run.verb == "cleanup" else run.counts.bytes for run in recent)
    oldest = min((run.begun for run in runs), default=now)
    # A home that is two days old has grown for two days.
    days = min(max((now - oldest) / timedelta(days=1), 1.0), float(GROWTH_DAYS))
    return total / days


def disk_words(free: int | None, total: int | None, growth: float) -> str:
    """How full the disk is, and when it will be full at the rate of the last days."""
    if free is None:
        return "Free space is not known"
    return ", ".join(filter(None, (free_words(free, total), growth_words(free, growth))))


def free_words(free: int, total: int | None) -> str:
    """How much of a disk is free."""
    return f"{format_bytes(free)} free" + (f" of {format_bytes(total)}" if total else "")


def growth_words(free: int, growth: float) -> str:
    """What comes to a disk each day, and when it will be full; '' where nothing comes."""
    if growth <= 0:
        return ""
    days = int(free / growth)
    left = f"full in about {plural(days, 'day')}" if days < 1000 else "room for years"
    return f"+{format_bytes(growth)} a day: {left}"


def bytes_by_hour(runs: Sequence[Run], now: datetime) -> list[int]:
    """Bytes that came in each of the last hours, the oldest first; a run's are spread over its time."""
    begin = now - timedelta(hours=HOURS)
    hours = [0.0] * HOURS
    for run in runs:
        if run.verb == "cleanup" or not run.counts.bytes:
            continue
        end = run.ended or now
        if end < begin:
            continue
        length = max((end - run.begun).total_seconds(), 1.0)
        for hour in range(HOURS):
            start = begin + timedelta(hours=hour)
            stop = start + timedelta(hours=1)
            inside = (min(end, stop) - max(run.begun, start)).total_seconds()
            if run.begun == end and start <= run.begun < stop:
                inside = 1.0
            hours[hour] += run.counts.bytes * max(inside, 0.0) / length
    return [round(one) for one in hours]


def graph(values: Sequence[int], levels: str, blank: str) -> str:
    """A bar a value, the highest as high as the line; `blank` for nothing."""
    top = max(values, default=0)
    if not top:
        return blank * len(values)
    return "".join(
        blank if not value else levels[min(value * len(levels) // top, len(levels) - 1)] for value in values
    )


def tall_graph(values: Sequence[int], rows: int, cells: int, levels: str, blank: str) -> list[str]:
    """The same in so many rows, with so many cells a value; the highest one fills its rows."""
    top, steps = max(values, default=0), len(levels)
    heights = [max(1, value * rows * steps // top) if value else 0 for value in values]
    lines = []
    for row in range(rows - 1, -1, -1):
        empty = blank if row == 0 else " "
        parts = [min(high - row * steps, steps) for high in heights]
        signs = [levels[part - 1] if part > 0 else empty for part in parts]
        lines.append("".join(sign * cells for sign in signs))
    return lines


def hour_marks(now: datetime, cells: int) -> str:
    """What stands below a graph of the last hours: every sixth hour of the day, in UTC.

    Args:
        now: the end of the last hour.
        cells: those of an hour.
    """
    line = [" "] * (HOURS * cells)
    for at in range(HOURS):
        # A column is the hour from so many minutes past on; it has the name of the hour that begins in it.
        hour = (now - timedelta(hours=HOURS - at - 1)).hour
        if hour % 6 == 0:
            for offset, sign in enumerate(f"{hour:02}"):
                if at * cells + offset < len(line):
                    line[at * cells + offset] = sign
    return "".join(line).rstrip()


def part_used(free: int | None, total: int | None) -> float | None:
    """How full the disk is, between 0 and 1; None where that is not known."""
    return None if free is None or not total else min(max(1 - free / total, 0.0), 1.0)


def recent_words(runs: Sequence[Run], now: datetime) -> str:
    """How many commands ran in the last hours, and how many of them did not end well."""
    recent = [run for run in runs if (run.ended or now) >= now - timedelta(hours=HOURS)]
    bad = sum(tone_of(run) in ("warning", "error") for run in recent)
    words = f"{plural(len(recent), 'run')} in {HOURS} h"
    return words + (f", {format_count(bad)} did not end with 0" if bad else "")
