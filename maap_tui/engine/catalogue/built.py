"""Built catalogues: time range, orbit range and count of every baseline, kept in one file a collection.

The file is that of maap-client (docs/searching.md, Catalogues); either program reads the other's.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maap_tui.engine.config import dirs
from maap_tui.engine.errors import (
    BuiltCatalogMissing,
    CatalogError,
    MaapError,
    NetworkSetupError,
    StorageError,
)
from maap_tui.engine.events import BaselineCounted, Emit, Warned, ignore
from maap_tui.engine.model import BaselineInfo, Granule, TimeRange, parse_zulu, to_zulu
from maap_tui.engine.storage import files, locks
from maap_tui.engine.together import together
from maap_tui.version import __version__

if TYPE_CHECKING:
    from maap_tui.engine.catalogue.search import Search
    from maap_tui.engine.query import Query

SCHEMA = "1.0"

LOCK_S = 60.0
"""Longest wait in seconds for another process that saves the same file."""

_GROUPS = 8
"""Parts that a range is cut into at each step towards its first or last granule."""

_MOMENT = timedelta(microseconds=1)
"""The least length of a range."""


@dataclass(slots=True)
class BuiltCatalogue:
    """What is known of a collection's baselines."""

    collection: str
    products: dict[str, dict[str, BaselineInfo]] = field(default_factory=dict)
    """Product type -> baseline (upper case) -> what is known."""
    generated_at: datetime | None = None

    def put(self, product_type: str, baseline: str, info: BaselineInfo | None) -> None:
        """Set one entry; None, or one without granules, takes it out."""
        entries = self.products.setdefault(product_type, {})
        if info is not None and info.count:
            entries[baseline] = info
            return
        entries.pop(baseline, None)
        if not entries:
            del self.products[product_type]

    def baseline(self, product_type: str, baseline: str) -> BaselineInfo | None:
        """One entry, found without regard to case."""
        for name, info in self.products.get(product_type, {}).items():
            if name.lower() == baseline.lower():
                return info
        return None

    def span(self, product_type: str, baseline: str | None) -> TimeRange | None:
        """From the first to the last sensing start of a baseline, or of all of them for None."""
        entries = self.products.get(product_type, {})
        ranges = [
            info.time_range
            for name, info in entries.items()
            if info.time_range and (baseline is None or name.lower() == baseline.lower())
        ]
        if not ranges:
            return None
        return TimeRange(min(one.start for one in ranges), max(one.end for one in ranges))


def load(where: dirs.AppDirs, collection: str) -> BuiltCatalogue | None:
    """The built catalogue of a collection, None when there is none.

    Raises:
        CatalogError: when the file is there and cannot be read.
    """
    file = where.built_catalogue_file(collection)
    try:
        data = json.loads(file.read_bytes())
        catalogue = BuiltCatalogue(collection, generated_at=_moment(data.get("generated_at")))
        for product_type, product in data["products"].items():
            catalogue.products[product_type] = {
                name: BaselineInfo.from_dict(entry) for name, entry in product["baselines"].items()
            }
        return catalogue
    except FileNotFoundError:
        return None
    except OSError as error:
        raise files.storage_error(file, error) from error
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        raise CatalogError(
            f"The built catalogue {file} is damaged",
            f"Build it again: maap catalog build {collection} --force",
        ) from None


def demand(where: dirs.AppDirs, collection: str) -> BuiltCatalogue:
    """As `load`, but its absence is an error.

    Raises:
        BuiltCatalogMissing: with the command that makes one.
    """
    catalogue = load(where, collection)
    if catalogue is None:
        raise BuiltCatalogMissing(
            f"Built catalog not found for {collection}", f"Build it first: maap catalog build {collection}"
        )
    return catalogue


def save(file: Path, catalogue: BuiltCatalogue, now: datetime | None = None) -> None:
    """Write a built catalogue, atomically; `now` is its date, None for the real one."""
    catalogue.generated_at = (now or datetime.now(UTC)).replace(microsecond=0)
    data = {
        "schema": SCHEMA,
        "generated_at": to_zulu(catalogue.generated_at),
        "collection": catalogue.collection,
        "client": {"name": "maap_tui", "version": __version__},
        "products": {
            product_type: {"baselines": {name: entries[name].to_dict() for name in sorted(entries)}}
            for product_type, entries in sorted(catalogue.products.items())
        },
    }
    files.write_atomic(file, json.dumps(data, indent=2) + "\n")


def merge(
    where: dirs.AppDirs,
    catalogue: BuiltCatalogue,
    counted: Iterable[tuple[str, str]],
    now: datetime | None = None,
) -> None:
    """Save a built catalogue, which takes over what other processes have counted meanwhile.

    Args:
        where: has its file, and the lock of it.
        catalogue: what is known; extended in place.
        counted: its pairs of product type and baseline that are newer than those of the file.
        now: its date, None for the real one.

    Raises:
        CatalogError: the file is damaged.
        StorageError: it cannot be written.
        LockedError: another process has held it for long.
    """
    file = where.built_catalogue_file(catalogue.collection)
    with ExitStack() as held:
        with suppress(StorageError):  # a folder that takes no lock has no other process either
            held.enter_context(
                locks.lock(where.lock_file(file), timeout_s=LOCK_S, purpose="catalog build", what=str(file))
            )
        there = load(where, catalogue.collection) or BuiltCatalogue(catalogue.collection)
        for product_type, baseline in counted:
            there.put(product_type, baseline, catalogue.products.get(product_type, {}).get(baseline))
        catalogue.products = there.products
        save(file, catalogue, now)


def _moment(value: Any) -> datetime | None:
    return parse_zulu(value) if isinstance(value, str) and value else None


@dataclass(frozen=True, slots=True)
class BuildFailure:
    """A baseline that could not be counted."""

    collection: str
    product_type: str
    baseline: str
    reason: str


class Builder:
    """Builds the catalogue of one collection, baseline by baseline, saving after each."""

    def __init__(
        self,
        search: Callable[[Query], Search],
        where: dirs.AppDirs | None,
        catalogue: BuiltCatalogue,
        *,
        parallel: int,
        replaces: bool = False,
        now: Callable[[], datetime] | None = None,
        emit: Emit = ignore,
    ) -> None:
        """Take what is known already.

        Args:
            search: makes a run of a query.
            where: has the file to save to; None saves nothing.
            catalogue: what is known; extended in place.
            parallel: requests at once.
            replaces: leave nothing of the file that is there.
            now: the clock; None takes the real one.
            emit: takes one event for each baseline.
        """
        self._search = search
        self._where = where
        self._replaces = replaces
        self._counted: set[tuple[str, str]] = set()
        self.catalogue = catalogue
        self._slots = asyncio.Semaphore(parallel)
        self._now = now or (lambda: datetime.now(UTC))
        self._emit = emit
        self.failures: list[BuildFailure] = []

    def forget(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Know nothing of some pairs, nor does the file from the next time that it is saved."""
        for pair in pairs:
            self.catalogue.put(*pair, None)
            self._counted.add(pair)

    async def build(
        self, pairs: list[tuple[str, str]]
    ) -> AsyncGenerator[tuple[str, str, BaselineInfo], None]:
        """Count the (product type, baseline) pairs; yields those that hold something, as they end.

        A pair that is known is counted again with one request, and looked into only if the count changed.
        """
        done = 0
        tasks = {
            asyncio.create_task(self._baseline(product_type, baseline)): (product_type, baseline)
            for product_type, baseline in pairs
        }
        try:
            waiting = set(tasks)
            while waiting:
                ended, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for task in ended:
                    product_type, baseline = tasks[task]
                    done += 1
                    try:
                        info = task.result()
                    except NetworkSetupError:
                        raise  # no other baseline will fare better
                    except MaapError as error:
                        self.failures.append(
                            BuildFailure(self.catalogue.collection, product_type, baseline, error.message)
                        )
                        self._emit(
                            Warned(
                                f"{self.catalogue.collection} {product_type} {baseline} could not be "
                                f"counted: {error.message}"
                            )
                        )
                        continue
                    self._emit(
                        BaselineCounted(
                            self.catalogue.collection, product_type, baseline, info.count, done, len(tasks)
                        )
                    )
                    self.catalogue.put(product_type, baseline, info)
                    self._counted.add((product_type, baseline))
                    if info.count == 0:
                        continue
                    await self._save()
                    yield product_type, baseline, info
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await self._save()

    async def _save(self) -> None:
        if self._where is None:
            return
        if self._replaces:
            file = self._where.built_catalogue_file(self.catalogue.collection)
            await asyncio.to_thread(save, file, self.catalogue, self._now())
            self._replaces = False
        else:
            await asyncio.to_thread(merge, self._where, self.catalogue, self._counted, self._now())

    async def _baseline(self, product_type: str, baseline: str) -> BaselineInfo:
        from maap_tui.engine.query import Query

        query = Query(self.catalogue.collection, product_type, baseline)
        known = self.catalogue.baseline(product_type, baseline)
        now = self._now().replace(microsecond=0)
        whole = self._search(query)
        async with self._slots:
            count = await whole.total()
        span = whole.range
        if count == 0 or span is None:
            return BaselineInfo(None, None, None, None, 0, now)
        if known is not None and known.count == count and known.time_range is not None:
            return BaselineInfo(
                known.time_start, known.time_end, known.frame_start, known.frame_end, count, now
            )
        first, last = await together(self._first(query, span), self._last(query, span))
        return BaselineInfo(
            first.sensing_start if first else None,
            last.sensing_start if last else None,
            (first.orbit_frame or None) if first else None,
            (last.orbit_frame or None) if last else None,
            count,
            now,
        )

    async def _first(self, query: Query, span: TimeRange) -> Granule | None:
        """The granule that starts first."""

        async def holds(end: datetime) -> bool:
            return await self._finds_any(query, TimeRange(span.start, end))

        end = await self._narrow(span.start, span.end, holds)
        # What first overlaps a day starts on it: the days before hold nothing.
        return await self._edge(query, TimeRange(end - timedelta(days=1), end), newest=False)

    async def _last(self, query: Query, span: TimeRange) -> Granule | None:
        """The granule that starts last."""

        async def holds(begin: datetime) -> bool:
            return await self._finds_any(query, TimeRange(begin, span.end))

        found = await self._newest_in_day(query, span, holds)
        if found is not None:
            return found
        # Orbit files and stacks are valid for days or for ever: what the last day overlaps began long before.

        async def begins(begin: datetime) -> bool:
            before = begin - timedelta(seconds=1)
            overlapping, already = await together(
                self._total(query, TimeRange(before, span.end)),
                self._total(query, TimeRange(before, before + _MOMENT)),
            )
            return overlapping > already

        return await self._newest_in_day(query, span, begins)

    async def _newest_in_day(
        self, query: Query, span: TimeRange, holds: Callable[[datetime], Coroutine[Any, Any, bool]]
    ) -> Granule | None:
        """The granule that starts last in the latest day from which on `holds(its begin)`."""
        mirror = span.start + span.duration
        reach = await self._narrow(span.start, span.end, lambda end: holds(mirror - (end - span.start)))
        begin = mirror - (reach - span.start)
        # It may have started before the day that it still overlaps.
        return await self._edge(
            query, TimeRange(begin - timedelta(days=1), begin + timedelta(days=1)), newest=True
        )

    async def _narrow(
        self, start: datetime, end: datetime, holds: Callable[[datetime], Coroutine[Any, Any, bool]]
    ) -> datetime:
        """The least end, to a day, for which `holds(end)`; it holds for `end` itself."""
        low, high = start, end
        while high - low > timedelta(days=1):
            step = max((high - low) / _GROUPS, timedelta(days=1))
            cuts = []
            cut = low + step
            while cut < high:
                cuts.append(cut)
                cut += step
            answers = await together(*(holds(cut) for cut in cuts))
            for cut, answer in zip(cuts, answers, strict=True):
                if answer:
                    high = cut
                    break
                low = cut
            if not cuts:
                break
        return high

    async def _finds_any(self, query: Query, span: TimeRange) -> bool:
        async with self._slots:
            return await self._search(query.replace(time=span)).finds_any()

    async def _total(self, query: Query, span: TimeRange) -> int:
        async with self._slots:
            return await self._search(query.replace(time=span)).total()

    async def _edge(self, query: Query, span: TimeRange, *, newest: bool) -> Granule | None:
        async with self._slots:
            found = self._search(query.replace(time=span, newest_first=newest))
            granules = await found.granules()
        if found.failed:
            raise CatalogError(found.failed[0].reason)
        return granules[0] if granules else None
