"""MaapClient: the blocking face of the engine for scripts and notebooks.

Names, arguments and results are those of maap-client 0.2.1, so that its users' scripts run; it works
in a plain script and where an event loop is running already.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from maap_tui.engine import built, places
from maap_tui.engine.catalogue import Queryables
from maap_tui.engine.downloads import Report
from maap_tui.engine.errors import (
    BuiltCatalogMissing,
    CatalogError,
    InvalidRequestError,
    MaapError,
)
from maap_tui.engine.events import (
    BaselineCounted,
    DayFailed,
    Event,
    FileFailed,
    FileFinished,
    FileSkipped,
    Noted,
    PageFetched,
    Warned,
)
from maap_tui.engine.missions import parse_name
from maap_tui.engine.model import BaselineInfo, Granule, TimeRange, to_zulu
from maap_tui.engine.query import DEFAULT_MAX_ITEMS, Query, parse_formats, parse_frames, parse_orbits
from maap_tui.engine.registry import BaselineRegistry, Entry
from maap_tui.engine.search import Search
from maap_tui.engine.session import Session
from maap_tui.engine.sync import Selection
from maap_tui.engine.thread import EngineThread

T = TypeVar("T")

logger = logging.getLogger("maap_tui")
logger.addHandler(logging.NullHandler())


@dataclass
class MaapConfig:
    """Where things are and what is asked; what is not given comes from environment, file, default."""

    data_dir: Path | None = None
    catalog_dir: Path | None = None
    built_catalog_dir: Path | None = None
    registry_dir: Path | None = None
    credentials_file: Path | None = None
    catalog_url: str | None = None
    token_url: str | None = None
    mission: str | None = None
    mission_start: str | None = None
    mission_end: str | None = None
    collections: list[str] | None = None
    config_path: Path | None = None
    """The configuration file; None takes the usual one."""

    @classmethod
    def load(cls, config_path: Path | str | None = None) -> MaapConfig:
        """The configuration in force, every field filled.

        Raises:
            SettingsError: when the file or a variable is wrong.
        """
        return cls.of(Session.load(Path(config_path) if config_path else None))

    @classmethod
    def of(cls, session: Session) -> MaapConfig:
        """The configuration that a session works with, every field filled."""
        config, where = session.settings, session.places
        mission = session.mission_of(session.collections()[0])
        return cls(
            data_dir=where.data_dir,
            catalog_dir=where.catalog_dir,
            built_catalog_dir=where.built_catalog_dir,
            registry_dir=where.registry_dir,
            credentials_file=where.credentials_file,
            catalog_url=config.api.catalog_url,
            token_url=config.api.token_url,
            mission=config.mission.name or mission.name,
            mission_start=to_zulu(config.mission.start or mission.start),
            mission_end=to_zulu(config.mission.end or mission.end - timedelta(seconds=1)),
            collections=session.collections(),
            config_path=where.config_file if where.config_file.exists() else None,
        )

    def overrides(self) -> dict[str, object]:
        """What is given here, under the keys of the settings."""
        sections = {
            "data_dir": "paths",
            "catalog_dir": "paths",
            "built_catalog_dir": "paths",
            "registry_dir": "paths",
            "credentials_file": "paths",
            "catalog_url": "api",
            "token_url": "api",
            "collections": "mission",
        }
        keys = {name: f"{section}.{name}" for name, section in sections.items()}
        keys |= {"mission": "mission.name", "mission_start": "mission.start", "mission_end": "mission.end"}
        found: dict[str, object] = {}
        for one in fields(self):
            value = getattr(self, one.name)
            if one.name in keys and value is not None:
                found[keys[one.name]] = str(value) if isinstance(value, Path) else value
        return found

    def ensure_directories(self) -> None:
        """Create the folders."""
        for path in (self.data_dir, self.catalog_dir, self.built_catalog_dir, self.registry_dir):
            if path is not None:
                Path(path).expanduser().mkdir(parents=True, exist_ok=True)


@dataclass
class SearchResult:
    """What a search found."""

    urls: list[str]
    baselines_found: list[str]
    """Baselines that had data, sorted."""
    start: datetime | None
    end: datetime | None
    """The span that was searched; None for an orbit search."""
    total_count: int
    """Number of URLs."""
    failed_days: list[tuple[date, str]] = field(default_factory=list)
    """Days that could not be searched, with the reason: the result lacks them."""
    granules: list[Granule] = field(default_factory=list)
    """The same with times, orbit, frame, size, geometry and all assets."""


@dataclass
class DownloadResult:
    """What became of files."""

    downloaded: dict[str, Path] = field(default_factory=dict)
    """URL -> path of what was fetched."""
    skipped: list[str] = field(default_factory=list)
    """URLs that were here already, or would be fetched in a dry run."""
    errors: list[str] = field(default_factory=list)
    """`URL: reason` of files that may come another time."""
    permanent_errors: list[str] = field(default_factory=list)
    """The same for files that will not come however often they are asked for."""
    total_bytes: int = 0
    """Bytes that came over the network."""
    elapsed_seconds: float = 0.0
    failed_days: list[tuple[date, str]] = field(default_factory=list)
    """Days that could not be searched (`get` only)."""


@dataclass
class SyncResult:
    """What a sync found and fetched."""

    collection: str
    product_type: str
    baselines: list[str]
    urls_found: int = 0
    urls_downloaded: int = 0
    urls_skipped: int = 0
    """URLs that were downloaded before."""
    errors: list[str] = field(default_factory=list)
    tracker: StateTracker | None = None
    """The registry of the baseline, when there was just one."""
    failed_days: list[tuple[str, date, str]] = field(default_factory=list)
    """(baseline or `*`, day, reason) of days that could not be searched."""


class StateTracker:
    """The registry of one baseline: discovered, downloaded, marked."""

    def __init__(self, session: Session, collection: str, product_type: str, baseline: str) -> None:
        self._session = session
        self.collection = collection
        self.product_type = product_type
        self.baseline = baseline

    @property
    def registry(self) -> BaselineRegistry:
        """The registry behind it."""
        return self._session.tracker(self.collection, self.product_type, self.baseline)

    @property
    def errors_file(self) -> Path:
        return self.registry.errors_file

    def _entries(self, entries: Iterator[Entry], start: datetime | None, end: datetime | None) -> list[Entry]:
        span = _span(start, end)
        selection = Selection(("all",), span)
        return [entry for entry in entries if selection.accepts(entry)]

    def load_urls_with_paths(
        self, start: datetime | None = None, end: datetime | None = None
    ) -> list[tuple[str, str]]:
        """(URL, path) of what is discovered."""
        days = _days(start, end)
        return [(one.url, one.path) for one in self._entries(self.registry.urls(*days), start, end)]

    def load_downloads_with_paths(
        self, start: datetime | None = None, end: datetime | None = None
    ) -> list[tuple[str, str]]:
        """(URL, path) of what is downloaded."""
        days = _days(start, end)
        return [(one.url, one.path) for one in self._entries(self.registry.downloads(*days), start, end)]

    def get_marked_paths(self, start: datetime | None = None, end: datetime | None = None) -> set[str]:
        """Paths that are marked."""
        marked = (Entry(path, path, day) for path, day in self.registry.marked(*_days(start, end)))
        return {entry.path for entry in self._entries(marked, start, end)}

    def get_pending_downloads(self, start: datetime | None = None, end: datetime | None = None) -> set[str]:
        """URLs discovered and not downloaded."""
        found = iter(self.registry.pending_downloads(*_days(start, end)))
        return {entry.url for entry in self._entries(found, start, end)}

    def get_pending_mark_paths(self, start: datetime | None = None, end: datetime | None = None) -> set[str]:
        """Paths downloaded and not marked."""
        found = iter(self.registry.pending_marks(*_days(start, end)))
        return {entry.path for entry in self._entries(found, start, end)}

    def add_urls(self, urls: Sequence[str]) -> int:
        """Register URLs as discovered; returns how many are new."""
        entries = []
        for url in urls:
            day = _day_of(url)
            if day is not None:
                entries.append(Entry(url, str(self._path(url, day)), day))
        return self.registry.add(entries).new

    def mark_downloaded(self, url: str, local_path: Path | str | None = None) -> bool:
        """Record a URL as downloaded; False when its name says no day."""
        day = _day_of(url)
        if day is None:
            return False
        self.registry.record(url, local_path or self._path(url, day), day)
        return True

    def mark(self, path: Path | str) -> bool:
        """Mark a file as processed; False when its name says no day."""
        text = str(path)
        day = _day_of(text)
        if day is None:
            place = places.collection_of(text)
            day = place[3] if place else None
        if day is None:
            return False
        self.registry.mark([(text, day)])
        return True

    def mark_error(self, url: str, error: str) -> None:
        """Record a failed download."""
        self.registry.record_error(url, error)

    def get_error_urls(self) -> set[str]:
        """URLs whose last download failed."""
        return set(self.registry.errors())

    def get_deletable_files(self) -> list[Path]:
        """Marked files that a cleanup would delete."""
        return [path for path, _ in self.registry.deletable(self._session.places.data_dir).files]

    def cleanup_marked(self, dry_run: bool = False) -> list[Path]:
        """Delete marked files under the data folder; returns them."""
        where = self._session.places
        return self.registry.cleanup(where.data_dir, where.journal_file, dry_run).deleted

    def get_stats(self, start: datetime | None = None, end: datetime | None = None) -> dict[str, int]:
        """Counts: total_urls, downloaded, marked, errors, pending_downloads, pending_marks."""
        span = _span(start, end)
        return self._session.stats(self.collection, self.product_type, self.baseline, span).as_dict()

    def list_dates(self, state_type: str = "urls") -> list[date]:
        """Days that have lines of that state: urls, downloads or marked."""
        counts = {"urls": "discovered", "downloads": "downloaded", "marked": "marked"}
        name = counts.get(state_type, "marked")
        return [one.day for one in self.registry.days() if getattr(one, name)]

    def _path(self, url: str, day: date) -> Path:
        key = self._session.tracked_keys(self.collection, self.product_type, self.baseline)[0]
        return self._session.wanted_of_entry(key, Entry(url, "", day)).path


class GlobalState:
    """All baselines that the registry follows."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get_tracker(self, collection: str, product_type: str, baseline: str) -> StateTracker:
        """The registry of one baseline."""
        return StateTracker(self._session, collection, product_type, baseline)

    def list_tracked(self) -> list[tuple[str, str, str]]:
        """(collection, product type, baseline) of each."""
        return [(key.collection, key.product_type, key.baseline) for key in self._session.registry.tracked()]

    def get_all_stats(self) -> dict[tuple[str, str, str], dict[str, int]]:
        """The counts of each."""
        return {names: self.get_tracker(*names).get_stats() for names in self.list_tracked()}


class Searcher:
    """Searches that hand out URLs as they come."""

    def __init__(self, client: MaapClient) -> None:
        self._client = client
        self.last_failed_days: list[tuple[date, str]] = []
        """Days that the last search could not have, with the reason."""

    def search_urls_iter_day(
        self,
        collection: str,
        product_type: str,
        start: datetime | None = None,
        end: datetime | None = None,
        baseline: str | None = None,
        max_items: int = DEFAULT_MAX_ITEMS,
        verbose: bool = False,
        format: str | None = None,
        reverse: bool = False,
        frames: Sequence[str] | None = None,
    ) -> Iterator[list[str]]:
        """The URLs of each day of a range, day by day; a day that failed comes last or not at all.

        `last_failed_days` says afterwards what is missing.
        """
        query = self._client._query(
            collection, product_type, baseline, start, end, None, frames, format, max_items, reverse
        )
        engine, session = self._client._engine, self._client._session
        search = session.search(query)
        formats = session.formats_of(query)
        buffer: dict[date, list[Granule]] = {}
        self.last_failed_days = []
        days_done = 0
        for page in engine.iterate(lambda _: aiter(search)):
            for granule in page.granules:
                buffer.setdefault(granule.day, []).append(granule)
            if not page.is_last:
                continue
            span = page.window or search.range
            days = [one.first_day for one in span.days()] if span else sorted(buffer)
            for day in days[::-1] if reverse else days:
                urls = _urls(search.ordered(buffer.pop(day, [])), formats)
                days_done += 1
                if verbose:
                    logger.info("[%d] %s: %d URLs", days_done, day, len(urls))
                yield urls
        self.last_failed_days = _failed_days(search)

    def search_urls(
        self,
        collection: str,
        product_type: str,
        baseline: str | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        max_items: int = DEFAULT_MAX_ITEMS,
        verbose: bool = False,
        format: str | None = None,
        reverse: bool = False,
        frames: Sequence[str] | None = None,
        on_day: Callable[[list[str]], None] | None = None,
    ) -> list[str]:
        """The URLs of a range, ordered by sensing start."""
        result = self._client.search(
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
        result = self._client.search(
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
            config: None takes what environment, file and defaults say.
            on_event: called from the engine's thread with each `maap_tui.engine.events.Event`; it has
                to return at once.
            transport: an httpx transport to send through in place of the network.
        """
        self._on_event = on_event
        self._transport = transport
        config = self._given = config or MaapConfig()
        self._session = Session.load(
            config.config_path, overrides=config.overrides(), emit=self._hear, bulk=True, transport=transport
        )
        self._engine = EngineThread(lambda: self._session)
        self._searcher: Searcher | None = None
        self._file_level = logging.DEBUG

    def __enter__(self) -> MaapClient:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop what runs and let go of the connections; the client can be used again afterwards."""
        self._engine.close()
        self._session.__dict__.pop("http", None)
        for part in ("tokens", "catalogue"):
            self._session.__dict__.pop(part, None)

    @property
    def config(self) -> MaapConfig:
        """The configuration in force, every field filled."""
        return MaapConfig.of(self._session)

    @property
    def searcher(self) -> Searcher:
        if self._searcher is None:
            self._searcher = Searcher(self)
        return self._searcher

    @property
    def state(self) -> GlobalState:
        """Everything the registry follows."""
        return GlobalState(self._session)

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
            return sorted(built.demand(self._session.places, collection).products)
        queryables = self._engine.run(
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
                self._engine.run(lambda session: session.baselines_at_archive(collection, product_type))
            )
        if from_built:
            catalog = built.demand(self._session.places, collection)
            return sorted(catalog.products.get(product_type, {}))
        queryables = self._engine.run(
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
            return built.demand(self._session.places, collection).baseline(product_type, baseline)
        if start is None and end is None:
            return self._engine.run(
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
        return StateTracker(self._session, collection, product_type, baseline)

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
    ) -> SearchResult:
        """Find granules by sensing start or by orbit.

        Args:
            collection: collection name.
            product_type: product type.
            baseline: baseline in any case; None searches all.
            start: first sensing start wanted, timezone-aware; None is the mission's start.
            end: last sensing start wanted, timezone-aware; None is now.
            orbit: `07655`, `07655C`, or a number; excludes start and end.
            use_catalog: let the built catalogue narrow the range.
            max_items: granules at most.
            verbose: log what is done at INFO.
            format: `h5`, `hdr`, ...; several; `all`; None takes the mission's own.
            reverse: newest first.
            frames: frame letters.
            on_day: called with the URLs of each page as it comes.

        Raises:
            InvalidRequestError: when the request is wrong.
            CatalogError: when the catalogue does not answer at all.
        """
        query = self._query(
            collection, product_type, baseline, start, end, orbit, frames, format, max_items, reverse,
            use_catalog=use_catalog,
        )  # fmt: skip
        search = self._session.search(query)
        formats = self._session.formats_of(query)
        granules: list[Granule] = []
        for page in self._engine.iterate(lambda _: aiter(search)):
            granules += page.granules
            urls = _urls(page.granules, formats)
            if on_day and urls:
                on_day(urls)
            if verbose:
                logger.info("%s %s: %d URLs so far", collection, product_type, len(granules))
        granules = search.ordered(granules)
        urls = _urls(granules, formats)
        return SearchResult(
            urls=urls,
            baselines_found=sorted({granule.baseline for granule in granules}),
            start=search.range.start if search.range else None,
            end=search.range.end if search.range else None,
            total_count=len(urls),
            failed_days=_failed_days(search),
            granules=granules,
        )

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

        Raises:
            AuthenticationError: when the token is refused; what was downloaded stays.
            StorageError: when a folder cannot be written.
        """
        wanted = sorted(urls, key=_sensing_order, reverse=True) if reverse else list(urls)
        report = self._run(
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
    ) -> DownloadResult:
        """Download what the registry has pending; arguments as `search` and `download`."""
        orbits, letters = _orbits(orbit, frames)
        formats = _formats(format) or self._session.mission_of(collection).formats
        selection = Selection(formats, _span(start, end), orbits, letters)
        pending = self._session.pending(collection, product_type, baseline, selection, newest_first=reverse)
        if dry_run:
            return DownloadResult(skipped=[entry.url for _, entry in pending])
        report = self._run(
            lambda session: session.download_pending(
                pending, out_dir=Path(out_dir) if out_dir else None, product_dir=product_dir
            ),
            verbose=verbose,
        )
        return _download_result(report)

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
    ) -> DownloadResult:
        """Search and download in one step, followed by no registry; arguments as `search` and `download`."""
        query = self._query(
            collection, product_type, baseline, start, end, orbit, frames, format, max_items, reverse
        )
        found = self._run(
            lambda session: session.get(
                query, out_dir=Path(out_dir) if out_dir else None, product_dir=product_dir, dry_run=dry_run
            ),
            verbose=verbose,
        )
        result = _download_result(found.downloads)
        if dry_run:
            result.skipped = [wanted.url for wanted in found.wanted]
        result.failed_days = _failed_days(found.search)
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
    ) -> SyncResult:
        """Register what the archive has and download what is pending; the last 3 days without start and end.

        Args:
            max_items: files fetched at most in this run.
            max_consecutive_failures: files failing in a row that end the run; None goes on to the end.
            collection, product_type, baseline, start, end, verbose, format, product_dir, reverse, frames:
                as in `search` and `download`.

        Raises:
            DownloadError: when `max_consecutive_failures` is reached; what was downloaded is recorded.
            AuthenticationError: when the token is refused.
        """
        if start is None and end is None:
            end = datetime.now(UTC)
            start = end - timedelta(days=3)
        query = self._query(
            collection, product_type, baseline, start, end, None, frames, format, DEFAULT_MAX_ITEMS, reverse
        )
        report = self._run(
            lambda session: session.sync(
                query,
                max_items=max_items,
                product_dir=product_dir,
                max_consecutive_failures=max_consecutive_failures,
            ),
            verbose=verbose,
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
        for baseline, found in by_baseline.items():
            tracker = self.get_tracker(collection, product_type, baseline)
            new += tracker.add_urls(found)
            days = {day for url in found if (day := _day_of(url)) is not None}
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
        client = self
        if out_dir is not None:
            config = replace(self._given, catalog_dir=Path(out_dir).absolute())
            client = MaapClient(config, on_event=self._on_event, transport=self._transport)
        try:
            found = {}
            for name in collections if collections is not None else self.list_collections():
                file = client._session.places.queryables_file(name)
                if force or not file.exists():
                    client._engine.run(_fetch_queryables(name))
                found[name] = file
            return found
        finally:
            if client is not self:
                client.close()

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
            return lambda session: session.build_catalog(
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
                file, failures = self._run(build(name), verbose=verbose)
            except CatalogError as error:
                if failures_out is None:
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

    def _query(
        self,
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
        orbits, letters = _orbits(orbit, frames)
        span = _span(start, end)
        unindexed = product_type in self._session.mission_of(collection).unindexed
        if orbits and span is not None and not unindexed:
            raise InvalidRequestError("'orbit' cannot be used with 'start' or 'end'", "Give one of them.")
        return Query(
            collection,
            product_type,
            baseline,
            time=span,
            orbits=orbits,
            frames=letters,
            formats=_formats(format),
            newest_first=reverse,
            max_items=max_items,
            use_catalog=use_catalog,
        )

    def _run(self, work: Callable[[Session], Coroutine[Any, Any, T]], *, verbose: bool) -> T:
        """Run in the engine; with `verbose` each file and baseline is logged at INFO and not at DEBUG."""
        self._file_level = logging.INFO if verbose else logging.DEBUG
        try:
            return self._engine.run(work)
        finally:
            self._file_level = logging.DEBUG

    def _hear(self, event: Event) -> None:
        if isinstance(event, Warned):
            logger.warning("%s", event.message)
        elif isinstance(event, DayFailed):
            logger.warning("FAILED DAY: %s (%s)", event.day, event.reason)
        elif isinstance(event, FileFailed):
            logger.warning("%s: %s", event.url, event.reason)
        elif isinstance(event, Noted):
            logger.info("%s", event.message)
        elif isinstance(event, FileFinished):
            logger.log(self._file_level, "Downloaded %s", event.path)
        elif isinstance(event, FileSkipped):
            logger.log(self._file_level, "Already exists: %s", event.path)
        elif isinstance(event, BaselineCounted):
            logger.log(
                self._file_level, "%s %s: %d granules", event.product_type, event.baseline, event.count
            )
        elif isinstance(event, PageFetched):
            logger.debug("page of %d items", event.items)
        if self._on_event is not None:
            self._on_event(event)


def _fetch_queryables(name: str) -> Callable[[Session], Coroutine[Any, Any, Queryables]]:
    return lambda session: session.catalogue.queryables(name, refresh=True)


def _span(start: datetime | None, end: datetime | None) -> TimeRange | None:
    """A range whose end is included, to the second when it is a whole second."""
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


def _days(start: datetime | None, end: datetime | None) -> tuple[date | None, date | None]:
    span = _span(start, end)
    return (None, None) if span is None else (span.first_day, span.last_day)


def _orbits(
    orbit: str | int | None, frames: Sequence[str] | None
) -> tuple[tuple[tuple[int, int], ...], tuple[str, ...]]:
    letters = parse_frames(",".join(frames)) if frames else ()
    if orbit is None or orbit == "":
        return (), letters
    orbits, named = parse_orbits(str(orbit))
    if named and letters:
        raise InvalidRequestError(f"orbit '{orbit}' already includes a frame letter", "Name the frames once.")
    return orbits, named or letters


def _formats(format: str | Sequence[str] | None) -> tuple[str, ...]:
    if not format:
        return ()
    return parse_formats(format if isinstance(format, str) else ",".join(format))


def _urls(granules: Sequence[Granule], formats: tuple[str, ...]) -> list[str]:
    return [asset.href for granule in granules for asset in granule.files(formats)]


def _failed_days(search: Search) -> list[tuple[date, str]]:
    return [(one.day, one.reason) for one in search.failed if one.day is not None]


def _day_of(text: str) -> date | None:
    name = parse_name(text)
    return name.sensing_start.date() if name else None


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


__all__ = [
    "BuiltCatalogMissing",
    "DownloadResult",
    "GlobalState",
    "MaapClient",
    "MaapConfig",
    "MaapError",
    "SearchResult",
    "Searcher",
    "StateTracker",
    "SyncResult",
]
