"""MaapClient: the blocking face of the engine for scripts and notebooks.

Names, arguments and results are those of maap-client 0.2.1, so that its users' scripts run; it works
in a plain script and where an event loop is running already.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maap_tui.client.arguments import (
    day_of,
    failed_days_of,
    formats_of,
    orbits_of,
    query_of,
    shard_of,
    skipped_of,
    span_of,
    tracks_of,
)
from maap_tui.client.catalog import CatalogQueryablesManager
from maap_tui.client.config import MaapConfig
from maap_tui.client.connection import Connection, logger
from maap_tui.client.results import DownloadResult, SearchResult, SyncResult
from maap_tui.client.searcher import Searcher
from maap_tui.client.state import GlobalStateTracker, StateTracker
from maap_tui.engine.catalogue import built
from maap_tui.engine.config.settings import DEFAULT_DAYS_BACK
from maap_tui.engine.download.jobs import Report
from maap_tui.engine.errors import CatalogError, InvalidRequestError, NetworkSetupError, NoCollectionError
from maap_tui.engine.events import Event
from maap_tui.engine.missions import parse_name
from maap_tui.engine.model import DEFAULT_MAX_ITEMS, BaselineInfo
from maap_tui.engine.query import Query
from maap_tui.engine.session import Session

if TYPE_CHECKING:
    from concurrent.futures import Executor


class MaapClient:
    """Search, download and track from Python. Use it as a context manager, or `close()` it, or neither."""

    def __init__(
        self,
        config: MaapConfig | None = None,
        *,
        on_event: Callable[[Event], None] | None = None,
        transport: Any = None,
    ) -> None:
        """Take the configuration; open nothing.

        Args:
            config: None takes what environment, file and defaults say, and so do its fields that are
                None: they are filled here. The client follows it when it is changed later.
            on_event: called from the engine's thread with each `maap_tui.engine.events.Event`; it has
                to return at once.
            transport: an httpx transport to send through in place of the network.
        """
        self._connection = Connection(config or MaapConfig(), on_event, transport)
        self._searcher = Searcher(self._connection)
        self._catalog = CatalogQueryablesManager(self._connection)

    def __enter__(self) -> MaapClient:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop what runs and let go of the connections; the client can be used again afterwards."""
        self._connection.close()

    @property
    def config(self) -> MaapConfig:
        """The configuration in force, every field filled; what is set here holds from the next operation."""
        return self._connection.config

    @property
    def catalog(self) -> CatalogQueryablesManager:
        """The local copies of the queryables."""
        return self._catalog

    @property
    def searcher(self) -> Searcher:
        """Searches that hand out URLs as they come."""
        return self._searcher

    @property
    def state(self) -> GlobalStateTracker:
        """Everything the registry follows."""
        where, mission = self._session.dirs, self._session.settings.mission.name
        return GlobalStateTracker(where.registry_dir, mission, where.data_dir, state_dir=where.state_dir)

    @property
    def _session(self) -> Session:
        return self._connection.session

    def list_collections(self) -> list[str]:
        """The collections of the configuration."""
        return self._session.collections()

    def list_products(self, collection: str, from_built: bool = False, verify: bool = False) -> list[str]:
        """Product types of a collection, sorted.

        Args:
            collection: collection name.
            from_built: take those of the built catalogue.
            verify: ask the archive and not the local copy.

        Raises:
            BuiltCatalogMissing: (a FileNotFoundError) without a built catalogue.
            InvalidRequestError: for an unknown collection.
        """
        if from_built and not verify:
            return sorted(built.demand(self._session.dirs, collection).products)
        queryables = self._connection.run(
            lambda session: session.catalogue.queryables(collection, refresh=verify)
        )
        return queryables.products

    def list_baselines(
        self, collection: str, product_type: str = "", from_built: bool = False, verify: bool = False
    ) -> list[str]:
        """Baselines, oldest first: of the whole collection, or those of one product that hold something.

        Args:
            collection: collection name.
            product_type: product type; needed for `from_built` and `verify`.
            from_built: take those of the built catalogue.
            verify: ask the archive which of them hold something.

        Raises:
            InvalidRequestError: for unknown names, or without a product type where it is needed.
        """
        if (from_built or verify) and not product_type:
            raise InvalidRequestError("product_type is required with verify=True or from_built=True")
        if verify:
            return sorted(
                self._connection.run(lambda session: session.baselines_at_archive(collection, product_type))
            )
        if from_built:
            catalog = built.demand(self._session.dirs, collection)
            return sorted(catalog.products.get(product_type, {}))
        queryables = self._connection.run(
            lambda session: (
                session.catalogue.check(collection, product_type)
                if product_type
                else session.catalogue.queryables(collection)
            )
        )
        return queryables.baselines

    def get_baseline_info(
        self,
        collection: str,
        product_type: str,
        baseline: str,
        start: datetime | None = None,
        end: datetime | None = None,
        from_built: bool = False,
    ) -> BaselineInfo | None:
        """Time range, orbit range and count of a baseline; None when it holds nothing.

        Args:
            collection: collection name.
            product_type: product type.
            baseline: baseline, in any case.
            start: first sensing start looked at; None for all.
            end: last one.
            from_built: take the built catalogue's entry and ask nothing.
        """
        if from_built:
            return built.demand(self._session.dirs, collection).baseline(product_type, baseline)
        if start is None and end is None:
            return self._connection.run(
                lambda session: session.baseline_at_archive(collection, product_type, baseline)
            )
        found = self.search(collection, product_type, baseline, start, end).granules
        if not found:
            return None
        first, last = found[0], found[-1]
        return BaselineInfo(
            first.sensing_start,
            last.sensing_start,
            first.orbit_frame or None,
            last.orbit_frame or None,
            len(found),
            datetime.now(UTC).replace(microsecond=0),
        )

    def get_tracker(self, collection: str, product_type: str, baseline: str) -> StateTracker:
        """The registry of one baseline."""
        return self.state.get_tracker(collection, product_type, baseline)

    def normalize_time_range(
        self, start: datetime | None = None, end: datetime | None = None
    ) -> tuple[datetime, datetime]:
        """The range cut to the mission and to now."""
        mission = self._session.mission_of(self._session.collections()[0])
        config = self._session.settings.mission
        first = config.start or mission.start
        last = min(config.end or mission.end, datetime.now(UTC))
        return max(start or first, first), min(end or last, last)

    def search(
        self,
        collection: str,
        product_type: str,
        baseline: str | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        orbit: str | int | None = None,
        use_catalog: bool = False,
        max_items: int = DEFAULT_MAX_ITEMS,
        verbose: bool = False,
        format: str | Sequence[str] | None = None,
        reverse: bool = False,
        frames: Sequence[str] | None = None,
        on_day: Callable[[list[str]], None] | None = None,
        tracks: Sequence[str | int] | None = None,
        all_versions: bool = False,
        shard: str | None = None,
    ) -> SearchResult:
        """Find granules by sensing start or by orbit.

        Args:
            collection: collection name.
            product_type: product type.
            baseline: baseline in any case; None searches all.
            start: first sensing start wanted, timezone-aware; None is the mission's start.
            end: last sensing start wanted, timezone-aware; None is now.
            orbit: `07655`, `07655C`, or a number; excludes start and end where the archive has an index
                of orbits, and needs them where it has none.
            use_catalog: let the built catalogue narrow the range.
            max_items: granules at most.
            verbose: log what is done at INFO.
            format: `h5`, `hdr`, ...; several; `all`; None takes the mission's own.
            reverse: newest first.
            frames: frames, letters or numbers as the mission has them.
            on_day: called with the URLs of each page as it comes.
            tracks: numbers of ground tracks, for missions that have them.
            all_versions: keep older processings of the same granule, for products that are archived in
                several; without it only the newest of each counts.
            shard: `I/N`, `slurm` or `k8s/N`: only that part, for jobs that share the work; None means all.

        Raises:
            InvalidRequestError: when the request is wrong.
            CatalogError: when the catalogue does not answer at all.
        """
        return self._searcher.search(
            collection, product_type, baseline, start, end, orbit, use_catalog, max_items, verbose, format,
            reverse, frames, on_day, tracks, all_versions, shard,
        )  # fmt: skip

    def download(
        self,
        urls: Sequence[str],
        collection: str,
        out_dir: Path | str | None = None,
        track_state: bool = False,
        skip_existing: bool = True,
        dry_run: bool = False,
        verbose: bool = False,
        product_dir: bool = False,
        reverse: bool = False,
        executor: Executor | None = None,
    ) -> DownloadResult:
        """Download URLs.

        Args:
            urls: what to download.
            collection: the collection they are filed under.
            out_dir: a flat folder; None files by sensing day under data_dir.
            track_state: let the registry follow them.
            skip_existing: leave files alone that are here whole; False fetches them again.
            dry_run: fetch nothing and report them as skipped.
            verbose: log each file at INFO.
            product_dir: give each file a folder named after its stem.
            reverse: newest sensing start first.
            executor: has the files fetched by its worker processes, which share this file system: one of
                `concurrent.futures`, or of dask, Parsl or MPI. The registry is written here. None fetches
                them here.

        Raises:
            AuthenticationError: when the token is refused; what was downloaded stays.
            StorageError: when a folder cannot be written.
        """
        wanted = sorted(urls, key=_sensing_order, reverse=True) if reverse else list(urls)
        report = self._connection.run(
            lambda session: session.download(
                wanted,
                collection,
                out_dir=Path(out_dir) if out_dir else None,
                product_dir=product_dir,
                track=track_state,
                dry_run=dry_run,
                again=not skip_existing,
            ),
            verbose=verbose,
            executor=executor,
        )
        return _download_result(report)

    def download_from_registry(
        self,
        collection: str,
        product_type: str,
        baseline: str | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        out_dir: Path | str | None = None,
        skip_existing: bool = True,
        dry_run: bool = False,
        verbose: bool = False,
        product_dir: bool = False,
        reverse: bool = False,
        orbit: str | int | None = None,
        frames: Sequence[str] | None = None,
        format: str | Sequence[str] | None = None,
        tracks: Sequence[str | int] | None = None,
        all_versions: bool = False,
        shard: str | None = None,
        executor: Executor | None = None,
    ) -> DownloadResult:
        """Download what the registry has pending; arguments as `search` and `download`."""
        mission = self._session.mission_of(collection)
        orbits, names = orbits_of(orbit, frames, mission)
        numbers = tracks_of(tracks, mission)
        formats = formats_of(format, mission) or mission.formats
        query = Query(
            collection,
            product_type,
            baseline,
            time=span_of(start, end),
            orbits=orbits,
            frames=names,
            formats=formats,
            newest_first=reverse,
            tracks=numbers,
            every_version=all_versions,
            shard=shard_of(shard, self._session.environ),
        )
        pending = self._session.pending(query).files
        result = DownloadResult(skipped=[file.url for file in pending])
        if not dry_run:
            report = self._connection.run(
                lambda session: session.download_pending(
                    pending, out_dir=Path(out_dir) if out_dir else None, product_dir=product_dir
                ),
                verbose=verbose,
                executor=executor,
            )
            result = _download_result(report)
        keys = self._session.tracked_keys(collection, product_type, baseline)
        result.damaged = self._session.damaged(keys)
        return result

    def get(
        self,
        collection: str,
        product_type: str,
        baseline: str | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        orbit: str | int | None = None,
        out_dir: Path | str | None = None,
        max_items: int = DEFAULT_MAX_ITEMS,
        dry_run: bool = False,
        verbose: bool = False,
        format: str | Sequence[str] | None = None,
        product_dir: bool = False,
        reverse: bool = False,
        frames: Sequence[str] | None = None,
        everything: bool = False,
        tracks: Sequence[str | int] | None = None,
        all_versions: bool = False,
        shard: str | None = None,
        executor: Executor | None = None,
    ) -> DownloadResult:
        """Search and download in one step, followed by no registry.

        The arguments that are not described here are those of `search` and `download`.

        Args:
            everything: download all of the product or baseline, where neither a time, an orbit nor a lower
                `max_items` bounds it.

        Raises:
            InvalidRequestError: when nothing bounds what would be downloaded.
        """
        query = query_of(
            self._connection,
            collection,
            product_type,
            baseline,
            start,
            end,
            orbit,
            frames,
            format,
            max_items,
            reverse,
            tracks=tracks,
            all_versions=all_versions,
            shard=shard,
        )
        found = self._connection.run(
            lambda session: session.get(
                query,
                out_dir=Path(out_dir) if out_dir else None,
                product_dir=product_dir,
                dry_run=dry_run,
                everything=everything or max_items < DEFAULT_MAX_ITEMS,
            ),
            verbose=verbose,
            executor=executor,
        )
        result = _download_result(found.downloads)
        if dry_run:
            result.skipped = [wanted.url for wanted in found.wanted]
        result.failed_days = failed_days_of(found.search)
        result.skipped_items = skipped_of(found.search.skipped.values())
        return result

    def sync(
        self,
        collection: str,
        product_type: str,
        baseline: str | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        max_items: int = DEFAULT_MAX_ITEMS,
        verbose: bool = False,
        format: str | Sequence[str] | None = None,
        product_dir: bool = False,
        reverse: bool = False,
        frames: Sequence[str] | None = None,
        max_consecutive_failures: int | None = None,
        tracks: Sequence[str | int] | None = None,
        all_versions: bool = False,
        shard: str | None = None,
        executor: Executor | None = None,
    ) -> SyncResult:
        """Register what the archive has and download what is pending; the last 3 days without start and end.

        The arguments that are not described here are those of `search` and `download`.

        Args:
            max_items: granules at most of which files are fetched in this run.
            max_consecutive_failures: files failing in a row that end the run; None goes on to the end.

        Raises:
            DownloadError: when `max_consecutive_failures` is reached; what was downloaded is recorded.
            AuthenticationError: when the token is refused.
        """
        if start is None and end is None:
            end = datetime.now(UTC)
            start = end - timedelta(days=DEFAULT_DAYS_BACK)
        query = query_of(
            self._connection,
            collection,
            product_type,
            baseline,
            start,
            end,
            None,
            frames,
            format,
            DEFAULT_MAX_ITEMS,
            reverse,
            tracks=tracks,
            all_versions=all_versions,
            shard=shard,
        )
        report = self._connection.run(
            lambda session: session.sync(
                query,
                max_items=max_items,
                product_dir=product_dir,
                max_consecutive_failures=max_consecutive_failures,
            ),
            verbose=verbose,
            executor=executor,
        )
        downloads = _download_result(report.downloads)
        names = [key.baseline for key in report.keys]
        days = [(one.day, one.reason) for one in report.failed_days]
        return SyncResult(
            collection=collection,
            product_type=product_type,
            baselines=names,
            urls_found=report.found,
            urls_downloaded=len(downloads.downloaded),
            urls_skipped=report.already + len(downloads.skipped),
            errors=downloads.errors + downloads.permanent_errors,
            tracker=self.get_tracker(collection, product_type, names[0]) if len(names) == 1 else None,
            failed_days=[(baseline or "*", day, reason) for day, reason in days if day is not None],
            skipped_items=skipped_of(report.skipped),
            damaged=self._session.damaged(report.keys),
        )

    def save_to_registry(
        self, urls: Sequence[str], collection: str, product_type: str
    ) -> tuple[int, list[Path]]:
        """Register URLs as discovered, each under the baseline its name says.

        Returns:
            How many are new, and the files that hold them.
        """
        new = 0
        written: set[Path] = set()
        by_baseline: dict[str, list[str]] = {}
        for url in urls:
            name = parse_name(url)
            if name is not None and name.baseline is not None:
                by_baseline.setdefault(name.baseline, []).append(url)
            else:
                logger.warning("Not registered: %.120r: its name gives no baseline", url)
        for baseline, found in by_baseline.items():
            tracker = self.get_tracker(collection, product_type, baseline)
            new += tracker.add_urls(found)
            days = {day for url in found if (day := day_of(url)) is not None}
            written |= {tracker.registry.day_file("url", day) for day in days}
        return new, sorted(written)

    def load_from_registry(
        self,
        collection: str,
        product_type: str,
        baseline: str | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> list[str]:
        """URLs that the registry has discovered."""
        keys = self._session.tracked_keys(collection, product_type, baseline)
        trackers = [self.get_tracker(collection, product_type, key.baseline) for key in keys]
        rows = [row for tracker in trackers for row in tracker.load_urls_with_paths(start, end)]
        return list(dict.fromkeys(url for url, _ in rows))

    def update_catalogs(
        self, collections: Sequence[str] | None = None, force: bool = False, out_dir: Path | str | None = None
    ) -> dict[str, Path]:
        """Fetch the queryables of collections, all of the configuration for None.

        Args:
            collections: which.
            force: fetch also what has a local copy.
            out_dir: another folder than the configured one.

        Returns:
            Collection -> file.
        """
        catalog = self._catalog
        if out_dir is not None:
            catalog = CatalogQueryablesManager(self._connection, Path(out_dir).absolute())
        return catalog.download(collections, force)

    def build_catalog(
        self,
        collection: str | None = None,
        product_type: str | None = None,
        baseline: str | None = None,
        latest_baseline: bool = False,
        force: bool = False,
        out_dir: Path | str | None = None,
        verbose: bool = False,
        failures_out: list[tuple[str, str, str, str]] | None = None,
    ) -> dict[str, Path]:
        """Build the catalogues of a collection, or of all for None.

        Args:
            collection: which one.
            product_type: only this product type.
            baseline: only this baseline.
            latest_baseline: only the last baseline of the collection.
            force: forget what was built before.
            out_dir: another folder than the configured one.
            verbose: log each baseline at INFO.
            failures_out: gets (collection, product type, baseline, reason) of what could not be counted.

        Returns:
            Collection -> file.
        """

        def build(
            name: str,
        ) -> Callable[[Session], Coroutine[Any, Any, tuple[Path, list[built.BuildFailure]]]]:
            return lambda session: session.build_catalogue(
                name,
                product_type=product_type,
                baseline=baseline,
                latest_baseline=latest_baseline,
                force=force,
                out_dir=Path(out_dir) if out_dir else None,
            )

        results: dict[str, Path] = {}
        for name in [collection] if collection else self.list_collections():
            try:
                file, failures = self._connection.run(build(name), verbose=verbose)
            except (CatalogError, InvalidRequestError) as error:
                is_ours = collection is None and not self._session.is_chosen(name)
                if is_ours and isinstance(error, NoCollectionError):
                    continue
                if failures_out is None or isinstance(error, NetworkSetupError):
                    raise
                if collection and isinstance(error, InvalidRequestError):
                    raise
                failures_out.append((name, "*", "*", error.message))
                continue
            results[name] = file
            if failures_out is not None:
                failures_out += [
                    (one.collection, one.product_type, one.baseline, one.reason) for one in failures
                ]
            elif failures:
                logger.warning("%d baselines of %s could not be counted", len(failures), name)
        return results


def _sensing_order(url: str) -> tuple[str, str]:
    name = parse_name(url)
    return (name.sensing_start.isoformat() if name else "", url)


def _download_result(report: Report) -> DownloadResult:
    """The engine's report in the words of maap-client.

    Raises:
        MaapError: what ended the run before its time.
    """
    if report.stopped is not None:
        raise report.stopped
    return DownloadResult(
        downloaded=dict(report.downloaded),
        skipped=list(report.skipped),
        errors=[f"{one.url}: {one.reason}" for one in report.failed if not one.permanent],
        permanent_errors=[f"{one.url}: {one.reason}" for one in report.failed if one.permanent],
        total_bytes=report.received,
        elapsed_seconds=report.seconds,
    )
