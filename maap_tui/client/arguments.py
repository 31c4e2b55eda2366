"""What callers hand in, as the engine takes it: times, orbits, frames, formats, and what URLs say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta

from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.missions import parse_name
from maap_tui.engine.model import Granule, TimeRange, to_zulu
from maap_tui.engine.query import Query, parse_formats, parse_frames, parse_orbits
from maap_tui.engine.search import Search
from maap_tui.engine.session import Session
from maap_tui.engine.skipped import SkippedItem


def span_of(start: datetime | None, end: datetime | None) -> TimeRange | None:
    """A range whose end is included, to the second when it is a whole second; None for no times at all.

    Raises:
        InvalidRequestError: for times without a zone, or a start after the end.
    """
    for name, value in (("start", start), ("end", end)):
        if value is not None and value.tzinfo is None:
            raise InvalidRequestError(
                f"'{name}' must be timezone-aware", "Use datetime(..., tzinfo=timezone.utc)."
            )
    if start is None and end is None:
        return None
    if start is not None and end is not None and start > end:
        raise InvalidRequestError(f"start ({to_zulu(start)}) must be before end ({to_zulu(end)})")
    begin = start or datetime(1970, 1, 1, tzinfo=UTC)
    if end is None:
        return TimeRange(begin, max(datetime.now(UTC), begin + timedelta(microseconds=1)))
    return TimeRange(begin, end + (timedelta(microseconds=1) if end.microsecond else timedelta(seconds=1)))


def days_of(start: datetime | None, end: datetime | None) -> tuple[date | None, date | None]:
    """The first and the last day of a range; None where it has no bounds."""
    span = span_of(start, end)
    return (None, None) if span is None else (span.first_day, span.last_day)


def orbits_of(
    orbit: str | int | None, frames: Sequence[str] | None
) -> tuple[tuple[tuple[int, int], ...], tuple[str, ...]]:
    """Orbits and frame letters, wherever the letters stand.

    Raises:
        InvalidRequestError: when one of them is wrong, or the frames are named twice.
    """
    letters = parse_frames(",".join(frames)) if frames else ()
    if orbit is None or orbit == "":
        return (), letters
    orbits, named = parse_orbits(str(orbit))
    if named and letters:
        raise InvalidRequestError(f"orbit '{orbit}' already includes a frame letter", "Name the frames once.")
    return orbits, named or letters


def formats_of(format: str | Sequence[str] | None) -> tuple[str, ...]:
    """The formats named; () for none."""
    if not format:
        return ()
    return parse_formats(format if isinstance(format, str) else ",".join(format))


def query_of(
    session: Session,
    collection: str,
    product_type: str,
    baseline: str | None,
    start: datetime | None,
    end: datetime | None,
    orbit: str | int | None,
    frames: Sequence[str] | None,
    format: str | Sequence[str] | None,
    max_items: int,
    reverse: bool,
    *,
    use_catalog: bool = False,
) -> Query:
    """The query that the arguments of `search` mean.

    Raises:
        InvalidRequestError: when one of them is wrong, or two exclude each other.
    """
    orbits, letters = orbits_of(orbit, frames)
    span = span_of(start, end)
    unindexed = product_type in session.mission_of(collection).unindexed
    if orbits and span is not None and not unindexed:
        raise InvalidRequestError("'orbit' cannot be used with 'start' or 'end'", "Give one of them.")
    return Query(
        collection,
        product_type,
        baseline,
        time=span,
        orbits=orbits,
        frames=letters,
        formats=formats_of(format),
        newest_first=reverse,
        max_items=max_items,
        use_catalog=use_catalog,
    )


def urls_of(granules: Sequence[Granule], formats: tuple[str, ...]) -> list[str]:
    """The files meant of each granule."""
    return [asset.href for granule in granules for asset in granule.files(formats)]


def failed_days_of(search: Search) -> list[tuple[date, str]]:
    """Days that a search could not have, with the reason."""
    return [(one.day, one.reason) for one in search.failed if one.day is not None]


def skipped_of(items: Iterable[SkippedItem]) -> list[str]:
    """Items that could not be used, as `URL: reason`."""
    return [f"{one.url or one.name}: {one.reason}" for one in items]


def day_of(text: str) -> date | None:
    """The sensing day that a file name or URL says."""
    name = parse_name(text)
    return name.sensing_start.date() if name else None
