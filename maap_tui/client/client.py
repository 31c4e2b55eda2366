"""MaapClient: the blocking face of the engine for scripts and notebooks.

Names, arguments and results are those of maap-client 0.2.1, so that its users' scripts run; it works
in a plain script and where an event loop is running already.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maap_tui.client.arguments import (
    day_of,
    disclaimed_by,
    failed_days_of,
    formats_of,
    hook_of,
    orbits_of,
    query_of,
    recent_span_of,
    shard_of,
    skipped_of,
    span_of,
    tracks_of,
    warn_if_cut,
    warn_if_lacking,
)
from maap_tui.client.catalog import CatalogQueryablesManager
from maap_tui.client.catalogues import Catalogues
from maap_tui.client.config import MaapConfig
from maap_tui.client.connection import Connection, logger
from maap_tui.client.files import Files
from maap_tui.client.news import news_of
from maap_tui.client.places import Places
from maap_tui.client.planning import Planning
from maap_tui.client.quality import QualityNotices
from maap_tui.client.results import (
    DownloadResult,
    NewsResult,
    SearchResult,
    SyncResult,
    download_result_of,
)
from maap_tui.client.searcher import Searcher
from maap_tui.client.sets import Sets
from maap_tui.client.state import GlobalStateTracker, StateTracker
from maap_tui.client.studies import Studies
from maap_tui.client.swapping import Swapping
from maap_tui.client.verifying import Verifying
from maap_tui.engine.catalogue import built
from maap_tui.engine.config.settings import DEFAULT_DAYS_BACK
from maap_tui.engine.events import Event, Warned
from maap_tui.engine.missions import parse_name
from maap_tui.engine.model import BaselineInfo
from maap_tui.engine.query import Query
from maap_tui.engine.session import Session
from maap_tui.engine.storage.places import place_of
from maap_tui.text import plural

if TYPE_CHECKING:
    from concurrent.futures import Executor


class MaapClient(Catalogues, Planning, Sets, Places, Studies, Swapping, Verifying, Files, QualityNotices):
    """Search, download and track from Python. Use it as a context manager, or `close()` it, or neither."""

    def __init__(
        self,
        config: MaapConfig | None = None,
        *,
        on_event: Callable[[Event], None] | None = None,
        transport: Any = None,
        progress: bool = False,
    ) -> None:
        """Take the configuration; open nothing.

        Args:
            config: None takes what environment, file and defaults say, and so do its fields that are
                None: they are filled here. The client follows it when it is changed later.
            on_event: called from the engine's thread with each `maap_tui.engine.events.Event`; it has
                to return at once.
            transport: an httpx transport to send through in place of the network.
            progress: show a bar of files, bytes, rate and time left while something is searched or
                downloaded: a line on stderr, a live output in a notebook.
        """
        self._connection = Connection(config or MaapConfig(), on_event, transport, progress=progress)
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
            max_items: granules at most; None takes the setting, 50,000, and a cut is logged.
            verbose: log what is done at INFO.
            format: `h5`, `hdr`, ...; several; `all`; None takes the mission's own.
            reverse: newest first.
            frames: frames, letters or numbers as the mission has them.
            on_day: called with the URLs of each page as it comes.
            tracks: numbers of ground tracks, for missions that have them.
            all_versions: keep older processings of the same granule, for products that are archived in
                several; without it only the newest of each counts.
            shard: `I/N`, `slurm` or `k8s/N`: only that part, for jobs that share the work; None means all.
            skip_disclaimed: leave out granules with a disclaimer, as `notices` has them.

        Raises:
            InvalidRequestError: when the request is wrong.
            CatalogError: when the catalogue does not answer at all, or an orbit could not be searched.
        """
        return self._searcher.search(
            collection, product_type, baseline, start, end, orbit, use_catalog, max_items, verbose, format,
            reverse, frames, on_day, tracks, all_versions, shard, skip_disclaimed,
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
        product_dir: bool | None = None,
        reverse: bool = False,
        executor: Executor | None = None,
    ) -> DownloadResult:
        """Download URLs.

        Args:
            urls: what to download.
            collection: the collection they are filed under.
            out_dir: a flat folder, or `s3://BUCKET/PREFIX`; None files by sensing day under data_dir.
            track_state: let the registry follow them.
            skip_existing: leave files alone that are here whole; False fetches them again.
            dry_run: fetch nothing and report them as skipped.
            verbose: log each file at INFO.
            product_dir: give each file a folder named after its stem; None takes the setting.
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
                out_dir=place_of(out_dir) if out_dir else None,
                product_dir=product_dir,
                track=track_state,
                dry_run=dry_run,
                again=not skip_existing,
            ),
            verbose=verbose,
            executor=executor,
        )
        return download_result_of(report)

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
        product_dir: bool | None = None,
        reverse: bool = False,
        orbit: str | int | None = None,
        frames: Sequence[str] | None = None,
        format: str | Sequence[str] | None = None,
        tracks: Sequence[str | int] | None = None,
        all_versions: bool = False,
        shard: str | None = None,
        executor: Executor | None = None,
        skip_disclaimed: bool = False,
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
            disclaimed=disclaimed_by(self._connection, skip_disclaimed),
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
            result = download_result_of(report)
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
        max_items: int | None = None,
        dry_run: bool = False,
        verbose: bool = False,
        format: str | Sequence[str] | None = None,
        product_dir: bool | None = None,
        reverse: bool = False,
        frames: Sequence[str] | None = None,
        everything: bool = False,
        tracks: Sequence[str | int] | None = None,
        all_versions: bool = False,
        shard: str | None = None,
        executor: Executor | None = None,
        skip_disclaimed: bool = False,
    ) -> DownloadResult:
        """Search and download in one step, followed by no registry.

        The arguments that are not described here are those of `search` and `download`.

        Args:
            everything: download all of the product or baseline, where neither a time, an orbit nor
                `max_items` bounds it.

        Raises:
            InvalidRequestError: when nothing bounds what would be downloaded.
            CatalogError: as `search`; what was downloaded before stays.
        """
        query = query_of(
            self._connection,
            collection,
            product_type,
            baseline,
            span_of(start, end),
            orbit,
            frames,
            format,
            max_items,
            reverse,
            tracks=tracks,
            all_versions=all_versions,
            shard=shard,
            skip_disclaimed=skip_disclaimed,
        )
        found = self._connection.run(
            lambda session: session.get(
                query,
                out_dir=place_of(out_dir) if out_dir else None,
                product_dir=product_dir,
                dry_run=dry_run,
                everything=everything or max_items is not None,
            ),
            verbose=verbose,
            executor=executor,
        )
        result = download_result_of(found.downloads)
        warn_if_cut(self._connection, query, found.granules, max_items)
        warn_if_lacking(self._connection, found.lacking)
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
        max_items: int | None = None,
        verbose: bool = False,
        format: str | Sequence[str] | None = None,
        product_dir: bool | None = None,
        reverse: bool = False,
        frames: Sequence[str] | None = None,
        max_consecutive_failures: int | None = None,
        tracks: Sequence[str | int] | None = None,
        all_versions: bool = False,
        shard: str | None = None,
        executor: Executor | None = None,
        since_last: bool = False,
        skip_disclaimed: bool = False,
        hook: str | None = None,
        hook_per: str | None = None,
    ) -> SyncResult:
        """Register what the archive has and download what is pending; the last 3 days without start and end.

        The arguments that are not described here are those of `search` and `download`.

        Args:
            max_items: granules at most of which files are fetched in this run; None takes the setting.
            max_consecutive_failures: files failing in a row that end the run; None goes on to the end.
            since_last: fetch what has arrived at the archive since the last call with this, whenever it was
                sensed; the first call takes what arrived in the last 3 days, or all from `start` on.
            hook: a command that runs after each file, as `--hook` of `maap sync`; None for none.
            hook_per: `file` or `day`; None is `file`.

        Raises:
            DownloadError: when `max_consecutive_failures` is reached; what was downloaded is recorded.
            AuthenticationError: when the token is refused.
        """
        if since_last and start is not None and end is None:
            end = self._session.mission_of(collection).end
        span = span_of(start, end) if since_last else recent_span_of(start, end)
        query = query_of(
            self._connection,
            collection,
            product_type,
            baseline,
            span,
            None,
            frames,
            format,
            max_items,
            reverse,
            tracks=tracks,
            all_versions=all_versions,
            shard=shard,
            skip_disclaimed=skip_disclaimed,
        )
        command = hook_of(self._session, hook, hook_per, "file", "day")
        report = self._connection.run(
            lambda session: session.sync(
                query,
                max_items=max_items,
                product_dir=product_dir,
                max_consecutive_failures=max_consecutive_failures,
                hook=command,
                since_last=timedelta(days=DEFAULT_DAYS_BACK) if since_last else None,
            ),
            verbose=verbose,
            executor=executor,
        )
        downloads = download_result_of(report.downloads)
        warn_if_lacking(self._connection, report.lacking)
        if report.held_back and max_items is None:
            held = plural(report.held_back, "file")
            self._session.emit(Warned(f"{held} left for another run (search.max_items)"))
        names = [key.baseline for key in report.keys]
        since = None if report.since is None else report.since.date()
        days = [(one.day or since, one.reason) for one in report.failed_days]
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
            arrived={str(kind): count for kind, count in report.arrived.items()},
            hook_failures=report.hook_failures,
        )

    def news(
        self,
        collection: str | None = None,
        product_type: str | None = None,
        baseline: str | None = None,
        since: datetime | None = None,
        format: str | Sequence[str] | None = None,
    ) -> list[NewsResult]:
        """What has arrived at the archive and is not here; fetches nothing.

        Args:
            collection: collection name; None for all that is tracked.
            product_type: product type; None for all that are tracked.
            baseline: baseline in any case; None for those that are tracked.
            since: arrived from then on, timezone-aware; None goes on from the last sync with `since_last`, or
                looks at the last 3 days.
            format: files that have to be here, as for `search`.

        Returns:
            One for each baseline that is tracked; where none is, one for all baselines of the product type.

        Raises:
            InvalidRequestError: for unknown names.
            CatalogError: when the catalogue does not answer.
        """
        return news_of(self._connection, collection, product_type, baseline, since, format)

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


def _sensing_order(url: str) -> tuple[str, str]:
    name = parse_name(url)
    return (name.sensing_start.isoformat() if name else "", url)
