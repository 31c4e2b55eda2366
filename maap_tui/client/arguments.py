"""What callers hand in, as the engine takes it: times, orbits, frames, formats, and what URLs say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from maap_tui.client.connection import Connection
from maap_tui.engine.catalogue.search import FailedDay, Search
from maap_tui.engine.catalogue.skipped import SkippedItem
from maap_tui.engine.config.settings import DEFAULT_DAYS_BACK
from maap_tui.engine.errors import CatalogError, InvalidRequestError
from maap_tui.engine.events import Warned
from maap_tui.engine.missions import Mission, parse_name
from maap_tui.engine.model import Asset, Granule, TimeRange, to_zulu
from maap_tui.engine.quality.notices import Disclaimed
from maap_tui.engine.query import Query, parse_formats, read_frames, read_orbits, read_tracks
from maap_tui.engine.shard import Shard, read_shard
from maap_tui.engine.workflows.filing import Chosen

if TYPE_CHECKING:
    from maap_tui.engine.hooks import Hook
    from maap_tui.engine.session import Session


def hook_of(session: Session, text: str | None, per: str | None, *occasions: str) -> Hook | None:
    """The hook that `hook` and `hook_per` mean; None without one.

    Args:
        session: has the setting of how long it may take.
        text: the command; None for none.
        per: what it runs after; None for the first of the occasions.
        occasions: what it may run after.

    Raises:
        InvalidRequestError: it is not a command that can be run, or `hook_per` is another occasion.
    """
    if text is None:
        if per is not None:
            raise InvalidRequestError("hook_per needs hook", "Give the command.")
        return None
    from maap_tui.engine.hooks import read_hook

    if per is not None and per not in occasions:
        raise InvalidRequestError(f"hook_per cannot be {per[:40]!r}", f"It is one of {', '.join(occasions)}.")
    return read_hook(text, per or occasions[0], session.settings.hooks.timeout)


def demand_zones(**moments: datetime | None) -> None:
    """Refuse times without a zone, which may mean any of 26 hours.

    Args:
        moments: argument -> its time, None where it was not given.

    Raises:
        InvalidRequestError: one has no zone.
    """
    for name, moment in moments.items():
        if moment is not None and moment.utcoffset() is None:
            raise InvalidRequestError(
                f"'{name}' must be timezone-aware", "Use datetime(..., tzinfo=timezone.utc)."
            )


def span_of(start: datetime | None, end: datetime | None) -> TimeRange | None:
    """A range whose end is included, to the second when it is a whole second; None for no times at all.

    Raises:
        InvalidRequestError: for times without a zone, or a start after the end.
    """
    demand_zones(start=start, end=end)
    if start is None and end is None:
        return None
    if start is not None and end is not None and start > end:
        raise InvalidRequestError(f"start ({to_zulu(start)}) must be before end ({to_zulu(end)})")
    begin = start or datetime(1970, 1, 1, tzinfo=UTC)
    if end is None:
        return TimeRange(begin, max(datetime.now(UTC), begin + timedelta(microseconds=1)))
    return TimeRange(begin, end + (timedelta(microseconds=1) if end.microsecond else timedelta(seconds=1)))


def recent_span_of(start: datetime | None, end: datetime | None) -> TimeRange | None:
    """As `span_of`, with the last days that a sync looks back in place of no times at all."""
    if start is None and end is None:
        now = datetime.now(UTC)
        return TimeRange(now - timedelta(days=DEFAULT_DAYS_BACK), now)
    return span_of(start, end)


def days_of(start: datetime | None, end: datetime | None) -> tuple[date | None, date | None]:
    """The first and the last day of a range; None where it has no bounds."""
    span = span_of(start, end)
    return (None, None) if span is None else (span.first_day, span.last_day)


def orbits_of(
    orbit: str | int | None, frames: Sequence[str] | None, mission: Mission
) -> tuple[tuple[tuple[int, int], ...], tuple[str, ...]]:
    """Orbits and frames, wherever the letters of frames stand.

    Raises:
        InvalidRequestError: when one of them is wrong, or the frames are named twice.
    """
    names = read_frames(",".join(map(str, frames)), mission) if frames else ()
    if orbit is None or orbit == "":
        return (), names
    orbits, named = read_orbits(str(orbit), mission)
    if named and names:
        raise InvalidRequestError(f"orbit '{orbit}' already includes a frame letter", "Name the frames once.")
    return orbits, named or names


def tracks_of(tracks: Sequence[str | int] | None, mission: Mission) -> tuple[str, ...]:
    """The track numbers named; () for none.

    Raises:
        InvalidRequestError: when one of them is not a number, or the mission has none.
    """
    return read_tracks(",".join(map(str, tracks)), mission) if tracks else ()


def formats_of(format: str | Sequence[str] | None, mission: Mission) -> tuple[str, ...]:
    """The formats named; () for none."""
    if not format:
        return ()
    return parse_formats(format if isinstance(format, str) else ",".join(format), mission)


def query_of(
    connection: Connection,
    collection: str,
    product_type: str,
    baseline: str | None,
    span: TimeRange | None,
    orbit: str | int | None,
    frames: Sequence[str] | None,
    format: str | Sequence[str] | None,
    max_items: int | None,
    reverse: bool,
    *,
    use_catalog: bool = False,
    tracks: Sequence[str | int] | None = None,
    all_versions: bool = False,
    shard: str | None = None,
    skip_disclaimed: bool = False,
) -> Query:
    """The query that the arguments of `search` mean; `span` is its time, as `span_of` gives it.

    Raises:
        InvalidRequestError: when a name does not exist, another argument is wrong, or two exclude each other.
    """
    mission = connection.session.mission_of(collection)
    try:
        orbits, names = orbits_of(orbit, frames, mission)
        numbers, formats = tracks_of(tracks, mission), formats_of(format, mission)
    except InvalidRequestError:
        # What a mission has depends on the collection, which may not exist.
        connection.run(lambda session: session.check_names_first(collection, product_type, baseline))
        raise
    query = Query(
        collection,
        product_type,
        baseline,
        time=span,
        orbits=orbits,
        frames=names,
        formats=formats,
        newest_first=reverse,
        max_items=connection.session.settings.search.max_items if max_items is None else max_items,
        use_catalog=use_catalog,
        tracks=numbers,
        every_version=all_versions,
        shard=shard_of(shard, connection.session.environ),
        disclaimed=disclaimed_by(connection, skip_disclaimed),
    )
    if orbits and span and not connection.run(lambda session: session.takes_orbit_in_time(query)):
        raise InvalidRequestError("'orbit' cannot be used with 'start' or 'end'", "Give one of them.")
    return query


def warn_if_cut(connection: Connection, query: Query, found: int, max_items: int | None) -> None:
    """Report that a result has as many granules as the setting allows, where the caller gave no number.

    Args:
        connection: takes the event.
        query: what was searched for.
        found: granules of the result.
        max_items: what the caller gave.
    """
    if max_items is None and found >= query.max_items:
        connection.session.emit(
            Warned(
                f"Only the first {query.max_items:,} granules are taken (search.max_items), there may be "
                "more; give a shorter time, or max_items"
            )
        )


def warn_if_lacking(connection: Connection, error: InvalidRequestError | None) -> None:
    """Report that no granule of a result has a file in the formats asked for.

    Args:
        connection: takes the event.
        error: what the engine says of it, see `Chosen`; None when it says nothing.
    """
    if error is not None:
        connection.session.emit(Warned(f"{error.message}; give one of these, or all, as format"))


def warn_of_formats(connection: Connection, chosen: Chosen) -> None:
    """Report what the formats asked for leave out of a search: some of the granules, or all of them."""
    warn_if_lacking(connection, chosen.error())
    if warning := chosen.warning():
        connection.session.emit(Warned(warning))


def disclaimed_by(connection: Connection, skip: bool) -> Disclaimed | None:
    """What leaves out granules with a disclaimer; None leaves out none."""
    if not skip:
        return None
    from maap_tui.engine.workflows.quality import disclaimed_of

    return disclaimed_of(connection.session)


def shard_of(text: str | None, environ: Mapping[str, str]) -> Shard | None:
    """The part that `I/N`, `slurm` or `k8s/N` means; None means all.

    Raises:
        InvalidRequestError: when it means none.
    """
    return None if text is None else read_shard(text, environ)


def urls_of(granules: Sequence[Granule], files: Callable[[Granule], Sequence[Asset]]) -> list[str]:
    """The files meant of each granule, which `files` gives."""
    return [asset.href for granule in granules for asset in files(granule)]


def failed_days_of(search: Search) -> list[tuple[date, str]]:
    """Days that a search could not have, with the reason.

    Raises:
        CatalogError: an orbit could not be searched, for which no day stands.
    """
    refuse_gaps([one for one in search.failed if one.day is None])
    return [(one.day, one.reason) for one in search.failed if one.day is not None]


def refuse_gaps(failed: Sequence[FailedDay]) -> None:
    """Raise where a part could not be searched, and the result would be another one without it.

    Raises:
        CatalogError: names the first of these parts.
    """
    if failed:
        raise CatalogError(failed[0].words, "Run it again later.")


def skipped_of(items: Iterable[SkippedItem]) -> list[str]:
    """Items that could not be used, as `URL: reason`."""
    return [f"{one.url or one.name}: {one.reason}" for one in items]


def day_of(text: str) -> date | None:
    """The sensing day that a file name or URL says."""
    name = parse_name(text)
    return name.sensing_start.date() if name else None
