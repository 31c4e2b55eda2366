"""What is asked of the archive: searches, names and single granules."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import partial
from urllib.parse import quote, urljoin

from maap_tui.engine.catalogue import built
from maap_tui.engine.catalogue.search import FailedDay, Search
from maap_tui.engine.catalogue.stac import BadItem, granule_of
from maap_tui.engine.catalogue.zero import Expected
from maap_tui.engine.errors import (
    CatalogError,
    MaapError,
)
from maap_tui.engine.events import DayFailed, Emit, Event, Warned
from maap_tui.engine.file_names import ALL
from maap_tui.engine.missions import (
    mission_named,
)
from maap_tui.engine.model import Granule, TimeRange
from maap_tui.engine.query import Query
from maap_tui.engine.registry.spans import days_of
from maap_tui.engine.storage.names import is_part
from maap_tui.engine.workflows.parts import Parts
from maap_tui.engine.workflows.pending import means
from maap_tui.engine.workflows.rules import search_rules

UNCUT = 10_000_000
"""Items of a search that is not cut."""


def add_failed(known: list[FailedDay], fresh: Iterable[FailedDay]) -> None:
    """Take in what could not be searched, once: another question may have been about the same time."""
    for one in fresh:
        if not any(_covers(other, one) for other in known):
            known[:] = [*(other for other in known if not _covers(one, other)), one]


def _covers(one: FailedDay, other: FailedDay) -> bool:
    if one.window is None or other.window is None:
        return one.label == other.label
    return one.window.start <= other.window.start and other.window.end <= one.window.end


def search(
    parts: Parts,
    query: Query,
    *,
    wait_for_service: bool = False,
    prepare: Callable[[Granule], object] | None = None,
) -> Search:
    """One run of a query; iterate it for pages.

    Args:
        parts: the engine.
        query: what to find.
        wait_for_service: whether to wait for a catalogue that is down, for work that nobody sits in front of.
        prepare: what is prepared of each granule as it is read, for `stac.prepared_of`; None for nothing.

    Raises:
        CatalogError: when it wants the built catalogue, and that is damaged.
    """
    within = None
    if query.use_catalog and not query.orbits:
        catalogue = built.load(parts.dirs, query.collection)
        within = catalogue.span(query.product_type, query.baseline) if catalogue else None
        wanted = f"{query.product_type} {query.baseline or ''}".strip()
        if within is None:
            what = f"Built catalog not found for {query.collection}"
            if catalogue is not None:
                what = f"The built catalogue of {query.collection} has no {wanted}"
            command = f"maap catalog build {query.collection} {wanted}"
            parts.emit(Warned(f"{what}; the whole range is searched. Build it: {command}"))
    return run_of(parts, query, within, wait_for_service=wait_for_service, prepare=prepare)


def run_of(
    parts: Parts,
    query: Query,
    within: TimeRange | None = None,
    *,
    wait_for_service: bool = False,
    trusting: bool = False,
    divided: bool = True,
    beside: int = 0,
    prepare: Callable[[Granule], object] | None = None,
    names_days: bool = True,
) -> Search:
    """One run of a query under the settings, as `search`.

    Args:
        parts: the engine.
        query: what to find.
        within: the time of the built catalogue, where that narrows the search; None for no such limit.
        wait_for_service: whether to wait for a catalogue that is down.
        trusting: whether to believe an answer that finds nothing, without verifying it.
        divided: whether a long time is searched in parts, several at once.
        beside: searches that run at the same time; together they hold as many pages as one.
        prepare: as for `search`.
        names_days: whether an event names each day that fails, for days that the user asked for.
    """
    mission = parts.settings.mission
    # A configuration made for one mission must not cut another one's time short.
    is_of_mission = not mission.name or mission_named(mission.name) == parts.mission_of(query.collection)
    catalogue = parts.catalogue.patient() if wait_for_service else parts.catalogue
    return Search(
        catalogue,
        query,
        search_rules(parts.settings, is_of_mission=is_of_mission, searches=beside + 1),
        now=parts.now(),
        within=within,
        # What is here of a time range may well have arrived before.
        expect=partial(_expected, parts) if query.arrived is None else None,
        per_day=partial(_per_day, parts),
        missing=parts.missing_days,
        trusting=trusting,
        divided=divided,
        prepare=prepare,
        emit=parts.emit if names_days else partial(_emit_but_days, parts.emit),
    )


def _emit_but_days(emit: Emit, event: Event) -> None:
    if not isinstance(event, DayFailed):
        emit(event)


def _per_day(parts: Parts, query: Query) -> float | None:
    """About how many granules a day has of what a query means, by the built catalogue; None without one."""
    try:
        catalogue = built.load(parts.dirs, query.collection)
    except MaapError:
        return None
    entries = catalogue.products.get(query.product_type, {}) if catalogue else {}
    rates = [
        info.count / max(info.time_range.duration / timedelta(days=1), 1.0)
        for name, info in entries.items()
        if info.count and info.time_range and query.baseline in (None, name, name.lower())
    ]
    return sum(rates) if rates else None


def _expected(parts: Parts, query: Query, span: TimeRange | None) -> Expected | None:
    """What the registry and the built catalogue know of what a search of a span should find."""
    if span is None or query.areas() != [{}]:
        return None
    meant = query.replace(formats=(ALL,), time=span)
    try:
        days = [
            file.day
            for key in parts.tracked_keys(query.collection, query.product_type, query.baseline)
            for file in parts.registry.baseline(key).urls(*days_of(span))
            if means(meant, file.url)
        ]
        catalogue = built.load(parts.dirs, query.collection)
    except MaapError:
        return None
    if days:
        words = f"the registry has {len(days)} {'file' if len(days) == 1 else 'files'} of that time"
        return Expected(words, days[-1], is_listed=True)
    known = catalogue.span(query.product_type, query.baseline) if catalogue else None
    if (
        known is None
        or {"orbit", "frame", "track"} & {*query.parts}
        or known.start >= span.end
        or known.end < span.start
    ):
        return None
    words = f"the built catalogue has granules from {known.first_day} to {known.end.date()}"
    return Expected(words, min(known.end.date(), span.last_day), is_listed=False)


async def check_names_first(parts: Parts, collection: str, product_type: str, baseline: str | None) -> None:
    """Judge names before what depends on them, for a request that cannot be read.

    Raises:
        InvalidRequestError: when a name does not exist; a catalogue that does not answer says nothing.
    """
    try:
        await parts.catalogue.check(collection, product_type, baseline)
    except CatalogError:
        return


async def takes_orbit_in_time(parts: Parts, query: Query) -> bool:
    """Whether orbits are looked for in a time range, as where the archive has no index of them.

    Raises:
        InvalidRequestError: for unknown names.
        CatalogError: when they cannot be checked.
    """
    if query.product_type in parts.mission_of(query.collection).unindexed:
        return True
    known = await parts.catalogue.check(query.collection, query.product_type, query.baseline)
    return not known.has_orbits


async def find(parts: Parts, collection: str, identity: str) -> Granule | None:
    """The granule of that id, None when the collection has none.

    Raises:
        InvalidRequestError: when the catalogue refuses to say.
        CatalogError: when it does not answer.
    """
    # Shorter parts of a URL are versions and the like, and not worth a request.
    if len(identity) < 4 or not is_part(identity):
        return None
    url = urljoin(parts.catalogue.root, f"collections/{quote(collection)}/items/{quote(identity)}")
    try:
        item = await parts.catalogue.item(url)
        return granule_of(item, collection, parts.mission_of(collection).name) if item else None
    except BadItem:
        return None
