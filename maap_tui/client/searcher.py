"""Searches that hand out URLs as they come, and what a baseline holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Literal

from maap_tui.client.arguments import (
    failed_days_of,
    query_of,
    skipped_of,
    span_of,
    urls_of,
    warn_if_cut,
    warn_of_formats,
)
from maap_tui.client.connection import Connection, logger
from maap_tui.client.names import extract_info
from maap_tui.client.results import GranuleInfo, SearchResult
from maap_tui.engine.model import Granule
from maap_tui.engine.workflows.filing import Chosen


class Searcher:
    """Searches of one client."""

    def __init__(self, connection: Connection) -> None:
        """Take the engine of a client."""
        self._connection = connection
        self.last_failed_days: list[tuple[date, str]] = []
        """Days that the last search could not have, with the reason."""

    def search(
        self,
        collection: str,
        product_type: str,
        baseline: str | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        orbit: str | int | None = None,
        use_catalog: bool = False,
        max_items: int | None = None,
        verbose: bool = False,
        format: str | Sequence[str] | None = None,
        reverse: bool = False,
        frames: Sequence[str] | None = None,
        on_day: Callable[[list[str]], None] | None = None,
        tracks: Sequence[str | int] | None = None,
        all_versions: bool = False,
        shard: str | None = None,
        skip_disclaimed: bool = False,
    ) -> SearchResult:
        """As `MaapClient.search`."""
        session = self._connection.session
        query = query_of(
            self._connection, collection, product_type, baseline, span_of(start, end), orbit, frames, format,
            max_items, reverse, use_catalog=use_catalog, tracks=tracks, all_versions=all_versions,
            shard=shard, skip_disclaimed=skip_disclaimed,
        )  # fmt: skip
        search = session.search(query)
        chosen = Chosen(session.formats_of(query))
        granules: list[Granule] = []
        for page in self._connection.iterate(lambda _: aiter(search)):
            granules += page.granules
            if on_day and (urls := urls_of(page.granules, lambda one: one.files(chosen.formats))):
                on_day(urls)
            if verbose:
                logger.info("%s %s: %d URLs so far", collection, product_type, len(granules))
        granules = search.ordered(granules)
        warn_if_cut(self._connection, query, len(granules), max_items)
        urls = urls_of(granules, chosen.files)
        warn_of_formats(self._connection, chosen)
        return SearchResult(
            urls=urls,
            baselines_found=sorted({granule.baseline for granule in granules}),
            start=search.range.start if search.range else None,
            end=search.range.end if search.range else None,
            total_count=len(urls),
            failed_days=failed_days_of(search),
            skipped_items=skipped_of(search.skipped.values()),
            granules=granules,
        )

    def search_urls_iter_day(
        self,
        collection: str,
        product_type: str,
        start: datetime | None = None,
        end: datetime | None = None,
        baseline: str | None = None,
        max_items: int | None = None,
        verbose: bool = False,
        format: str | None = None,
        reverse: bool = False,
        frames: Sequence[str] | None = None,
        tracks: Sequence[str | int] | None = None,
    ) -> Iterator[list[str]]:
        """The URLs of each day of a range, day by day; a day that failed comes last or not at all.

        `last_failed_days` says afterwards what is missing.
        """
        session = self._connection.session
        query = query_of(
            self._connection, collection, product_type, baseline, span_of(start, end), None, frames, format,
            max_items, reverse, tracks=tracks,
        )  # fmt: skip
        search = session.search(query)
        chosen = Chosen(session.formats_of(query))
        buffer: dict[date, list[Granule]] = {}
        left: dict[date, timedelta] = {}
        self.last_failed_days = []
        days_done = found = 0
        for page in self._connection.iterate(lambda _: aiter(search)):
            for granule in page.granules:
                buffer.setdefault(granule.day, []).append(granule)
            found += len(page.granules)
            if not page.is_last:
                continue
            span = page.window or search.range
            days = [one.first_day for one in span.days()] if span else sorted(buffer)
            for day in days[::-1] if reverse else days:
                if span is not None and search.range is not None:
                    # A day of many granules is searched in parts.
                    left[day] = left.get(day, search.range.of(day)) - span.of(day)
                    if left[day]:
                        continue
                urls = urls_of(search.ordered(buffer.pop(day, [])), chosen.files)
                days_done += 1
                if verbose:
                    logger.info("[%d] %s: %d URLs", days_done, day, len(urls))
                yield urls
        warn_if_cut(self._connection, query, found, max_items)
        warn_of_formats(self._connection, chosen)
        self.last_failed_days = failed_days_of(search)

    def search_urls(
        self,
        collection: str,
        product_type: str,
        baseline: str | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        max_items: int | None = None,
        verbose: bool = False,
        format: str | None = None,
        reverse: bool = False,
        frames: Sequence[str] | None = None,
        on_day: Callable[[list[str]], None] | None = None,
        tracks: Sequence[str | int] | None = None,
    ) -> list[str]:
        """The URLs of a range, ordered by sensing start."""
        result = self.search(
            collection,
            product_type,
            baseline,
            start,
            end,
            max_items=max_items,
            verbose=verbose,
            format=format,
            reverse=reverse,
            frames=frames,
            on_day=on_day,
            tracks=tracks,
        )
        self.last_failed_days = result.failed_days
        return result.urls

    def search_urls_by_orbit(
        self,
        collection: str,
        product_type: str,
        orbit: int,
        frames: Sequence[str] | None = None,
        baseline: str | None = None,
        max_items: int = 100,
        verbose: bool = False,
        format: str | None = None,
    ) -> list[str]:
        """The URLs of one orbit."""
        result = self.search(
            collection,
            product_type,
            baseline,
            orbit=str(orbit),
            frames=frames,
            max_items=max_items,
            verbose=verbose,
            format=format,
        )
        return result.urls

    def search_product_count(
        self,
        collection: str,
        product_type: str,
        baseline: str,
        start: datetime | None = None,
        end: datetime | None = None,
        verbose: bool = False,
    ) -> int:
        """How many granules the archive announces, without listing them; those of the range's edges count.

        Raises:
            CatalogError: when the catalogue does not answer.
            InvalidRequestError: for unknown names or wrong times.
        """
        session = self._connection.session
        query = query_of(
            self._connection, collection, product_type, baseline, span_of(start, end), None, None, None,
            None, reverse=False,
        )  # fmt: skip
        search = session.search(query)
        count = self._connection.run(lambda _: search.count()) or 0
        if verbose:
            logger.info("%s %s %s: %d granules", collection, product_type, baseline, count)
        return count

    def search_has_any_product(
        self,
        collection: str,
        product_type: str,
        baseline: str,
        start: datetime | None = None,
        end: datetime | None = None,
        verbose: bool = False,
    ) -> bool:
        """Whether a baseline holds anything, in the range where one is given; errors as `search`."""
        if start is None and end is None:
            return self.search_product_count(collection, product_type, baseline, verbose=verbose) > 0
        found = self.search(collection, product_type, baseline, start, end, max_items=1, verbose=verbose)
        return bool(found.granules)

    def search_baselines(
        self,
        collection: str,
        product_type: str,
        candidates: Sequence[str] | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        mode: Literal["all", "latest"] = "all",
        verbose: bool = False,
        catalog_manager: Any = None,
    ) -> list[str]:
        """The baselines of a product that hold something, sorted; with mode `latest` the last of them.

        Args:
            collection: collection name.
            product_type: product type.
            candidates: which to look at; None looks at all of the collection's.
            start: first sensing start looked at; None for all.
            end: last one.
            mode: `all` or `latest`.
            verbose: log each at INFO.
            catalog_manager: what lists the candidates; None asks the archive.
        """
        names = candidates
        if names is None and catalog_manager is not None:
            names = catalog_manager.load(collection, refresh=True).list_baselines()
        if names is None and start is None and end is None:
            found = sorted(
                self._connection.run(lambda session: session.baselines_at_archive(collection, product_type))
            )
        else:
            if names is None:
                known = self._connection.run(lambda session: session.catalogue.queryables(collection))
                names = known.baselines
            found = sorted(
                name
                for name in names
                if self.search_has_any_product(collection, product_type, name, start, end, verbose)
            )
        return found[-1:] if mode == "latest" else found

    def search_product_info_range(
        self,
        collection: str,
        product_type: str,
        baseline: str,
        start: datetime | None = None,
        end: datetime | None = None,
        verbose: bool = False,
    ) -> tuple[GranuleInfo, GranuleInfo] | None:
        """What the names of the first and the last granule say; None without any; errors as `search`."""
        if start is None and end is None:
            info = self._connection.run(
                lambda session: session.baseline_at_archive(collection, product_type, baseline)
            )
            if info is None:
                return None
            start, end = info.time_start, info.time_end
        first = self.search(collection, product_type, baseline, start, end, max_items=1, verbose=verbose).urls
        last = self.search(
            collection, product_type, baseline, start, end, max_items=1, verbose=verbose, reverse=True
        ).urls
        if not first or not last:
            return None
        return GranuleInfo(**extract_info(first[0])), GranuleInfo(**extract_info(last[0]))
