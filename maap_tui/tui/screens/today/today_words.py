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
    words = f"{format_bytes(free)} free" + (f" of {format_bytes(total)}" if total else "")
    if growth <= 0:
        return words
    days = int(free / growth)
    left = f"full in about {plural(days, 'day')}" if days < 1000 else "room for years"
    return f"{words}, +{format_bytes(growth)} a day: {left}"


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
