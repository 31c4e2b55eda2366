"""What the registry has of a span of sensing starts: its days, the files of it, their counts."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING

from maap_tui.engine.missions import parse_name
from maap_tui.engine.registry.baseline import BaselineRegistry
from maap_tui.engine.registry.entries import Stats

if TYPE_CHECKING:
    from maap_tui.engine.model import TimeRange


def starts_in(span: TimeRange | None, url: str) -> bool:
    """Whether a file's sensing start is in a span, as far as its name says; a span of None means all.

    Args:
        span: the span.
        url: URL or path of the file.
    """
    if span is None:
        return True
    name = parse_name(url)
    return name is None or name.sensing_start in span


def days_of(span: TimeRange | None) -> tuple[date | None, date | None]:
    """The first and the last day of a span, as the registry takes them; None means all."""
    return (span.first_day, span.last_day) if span else (None, None)


def stats_of(tracker: BaselineRegistry, span: TimeRange | None = None) -> Stats:
    """Counts of one baseline, of the sensing starts in `span` or of all."""
    if span is None:
        return tracker.stats()
    first, last = span.first_day, span.last_day
    if all(moment.time() == datetime.min.time() for moment in (span.start, span.end)):
        return tracker.stats(first, last)
    urls = {file.url for file in tracker.urls(first, last) if starts_in(span, file.url)}
    rows = [file for file in tracker.downloads(first, last) if starts_in(span, file.url)]
    done = {file.url for file in rows}
    paths = {file.path for file in rows if file.path}
    marked = {path for path, _ in tracker.marked(first, last) if starts_in(span, path)}
    gone = {path for day in {file.day for file in rows} for path in tracker.deleted(day)} & marked
    return Stats(
        len(urls),
        len(done),
        len(marked),
        len(tracker.errors()),
        len(urls - done),
        len(paths - marked),
        sum(file.path in gone for file in rows),
    )
