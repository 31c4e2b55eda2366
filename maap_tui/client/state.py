"""The registry as scripts read and write it: one baseline, or all."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from pathlib import Path

from maap_tui.client.arguments import day_of, days_of, span_of
from maap_tui.client.connection import logger
from maap_tui.engine.config import dirs, loading
from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.events import Event, RegistryDamaged
from maap_tui.engine.registry.baseline import BaselineRegistry
from maap_tui.engine.registry.cleanup import deletable, delete_marked
from maap_tui.engine.registry.counts import StatsCache
from maap_tui.engine.registry.deletions import Deletions
from maap_tui.engine.registry.entries import Key, TrackedFile
from maap_tui.engine.registry.registry import Registry
from maap_tui.engine.registry.spans import starts_in, stats_of
from maap_tui.engine.storage import layout
from maap_tui.engine.workflows.filing import Filing

_NO_DAY = "its name gives no sensing day"


def _log(event: Event) -> None:
    if isinstance(event, RegistryDamaged):
        logger.warning("%s; see `maap doctor`", event.words)


class StateTracker:
    """The registry of one baseline: discovered, downloaded, marked."""

    def __init__(
        self,
        registry_dir: Path | str,
        mission: str,
        collection: str,
        product_type: str,
        baseline: str,
        data_dir: Path | str | None = None,
        *,
        state_dir: Path | str | None = None,
    ) -> None:
        """Name the baseline; nothing is created before the first write.

        Args:
            registry_dir: the registry folder.
            mission: the mission's folder in it, such as `EarthCARE`.
            collection: collection name.
            product_type: product type.
            baseline: baseline, in any case where the registry has it already.
            data_dir: where granules go; None takes the configured folder.
            state_dir: where counts and the journal of deletions go; None takes the configured folder.

        Raises:
            InvalidRequestError: when a name cannot be part of a path.
            SettingsError: when a folder is not given and the configuration is wrong.
        """
        if data_dir is None or state_dir is None:
            where = loading.locate(loading.load(), os.environ)
            data_dir, state_dir = data_dir or where.data_dir, state_dir or where.state_dir
        self._data_dir, self._state_dir = Path(data_dir).absolute(), Path(state_dir).absolute()
        self._root = Path(registry_dir).absolute()
        names = collection, product_type, baseline
        known = Registry(self._root, emit=_log).tracked_of(*names, mission=mission)
        self._key = known[0] if known else Key(mission, *names)
        self._filing: Filing | None = None

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_filing": None}

    @property
    def collection(self) -> str:
        return self._key.collection

    @property
    def product_type(self) -> str:
        return self._key.product_type

    @property
    def baseline(self) -> str:
        return self._key.baseline

    def _files(self) -> Filing:
        if self._filing is None:
            cache = StatsCache(self._state_dir / "cache")
            registry = Registry(self._root, cache, Deletions(self._state_dir), emit=_log)
            self._filing = Filing(self._data_dir, registry, self._key.mission)
        return self._filing

    @property
    def registry(self) -> BaselineRegistry:
        """The registry behind it."""
        return self._files().registry.baseline(self._key)

    @property
    def errors_file(self) -> Path:
        return self.registry.errors_file

    @property
    def damaged(self) -> list[str]:
        """Sentences on its files that cannot be read whole, of those that were read."""
        return [one.words for one in self.registry.damage]

    def _in_span(
        self, tracked: Iterable[TrackedFile], start: datetime | None, end: datetime | None
    ) -> list[TrackedFile]:
        span = span_of(start, end)
        return [file for file in tracked if starts_in(span, file.url)]

    def load_urls_with_paths(
        self, start: datetime | None = None, end: datetime | None = None
    ) -> list[tuple[str, str]]:
        """(URL, path) of what is discovered."""
        days = days_of(start, end)
        return [(one.url, one.path) for one in self._in_span(self.registry.urls(*days), start, end)]

    def load_downloads_with_paths(
        self, start: datetime | None = None, end: datetime | None = None
    ) -> list[tuple[str, str]]:
        """(URL, path) of what is downloaded."""
        days = days_of(start, end)
        return [(one.url, one.path) for one in self._in_span(self.registry.downloads(*days), start, end)]

    def get_marked_paths(self, start: datetime | None = None, end: datetime | None = None) -> set[str]:
        """Paths that are marked."""
        span = span_of(start, end)
        return {path for path, _ in self.registry.marked(*days_of(start, end)) if starts_in(span, path)}

    def get_deleted_paths(self, start: datetime | None = None, end: datetime | None = None) -> set[str]:
        """Marked paths whose files a clean-up deleted; they stay marked and downloaded in the counts."""
        found = {path for path in self.get_marked_paths(start, end)}
        days = {day for _, day in self.registry.marked(*days_of(start, end))}
        return found & {path for day in days for path in self.registry.deleted(day)}

    def get_pending_downloads(self, start: datetime | None = None, end: datetime | None = None) -> set[str]:
        """URLs discovered and not downloaded."""
        found = self.registry.pending_downloads(*days_of(start, end))
        return {file.url for file in self._in_span(found, start, end)}

    def get_pending_mark_paths(self, start: datetime | None = None, end: datetime | None = None) -> set[str]:
        """Paths downloaded and not marked."""
        found = self.registry.pending_marks(*days_of(start, end))
        return {file.path for file in self._in_span(found, start, end)}

    def add_urls(self, urls: Sequence[str]) -> int:
        """Register URLs as discovered; returns how many are new. Those that cannot be are logged."""
        tracked = []
        for url in urls:
            day = day_of(url)
            if day is None:
                logger.warning("Not registered: %.120r: %s", url, _NO_DAY)
                continue
            try:
                tracked.append(TrackedFile(self._key, day, url, str(self._path(url, day))))
            except InvalidRequestError as error:
                logger.warning("Not registered: %.120r: %s", url, error.message)
        added = self.registry.add(tracked)
        for file, reason in added.refused:
            logger.warning("Not registered: %.120r: %s", file.url, reason)
        return added.new

    def mark_downloaded(self, url: str, local_path: Path | str | None = None) -> bool:
        """Record a URL as downloaded; False, with a line in the log, when its name gives no day.

        Raises:
            InvalidRequestError: the URL or the path cannot be one line of the registry.
            LockedError: another writer held the baseline too long.
            StorageError: the registry cannot be written.
        """
        day = day_of(url)
        if day is None:
            logger.warning("Not recorded as downloaded: %.120r: %s", url, _NO_DAY)
            return False
        self.registry.record(url, local_path or self._path(url, day), day)
        return True

    def mark(self, path: Path | str) -> bool:
        """Mark a file as processed; False, with a line in the log, when its name and folders give no day.

        Raises:
            InvalidRequestError: the path cannot be one line of the registry.
            LockedError: another writer held the baseline too long.
            StorageError: the registry cannot be written.
        """
        text = str(path)
        day = day_of(text)
        if day is None:
            place = layout.collection_of(text)
            day = place[3] if place else None
        if day is None:
            logger.warning("Not marked: %.200r: neither its name nor its folders give a sensing day", text)
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
        return [path for path, _ in deletable(self.registry, self._data_dir).files]

    def cleanup_marked(self, dry_run: bool = False) -> list[Path]:
        """Delete marked files under the data folder; returns them."""
        journal = dirs.journal_file(self._state_dir)
        return delete_marked(self.registry, self._data_dir, journal, dry_run).deleted

    def get_stats(self, start: datetime | None = None, end: datetime | None = None) -> dict[str, int]:
        """Counts: total_urls, downloaded, marked, errors, pending_downloads, pending_marks."""
        return stats_of(self.registry, span_of(start, end)).as_dict()

    def list_dates(self, state_type: str = "urls") -> list[date]:
        """Days that have lines of that state: urls, downloads or marked."""
        counts = {"urls": "discovered", "downloads": "downloaded", "marked": "marked"}
        name = counts.get(state_type, "marked")
        return [one.day for one in self.registry.days() if getattr(one, name)]

    def _path(self, url: str, day: date) -> Path:
        return self._files().request_of_tracked(TrackedFile(self._key, day, url)).path


class GlobalStateTracker:
    """All baselines that a registry follows."""

    def __init__(
        self,
        registry_dir: Path | str,
        mission: str = "",
        data_dir: Path | str | None = None,
        *,
        state_dir: Path | str | None = None,
    ) -> None:
        """Name the registry.

        Args:
            registry_dir: the registry folder.
            mission: mission of the collections whose names do not say it; '' infers it from the name.
            data_dir: where granules go; None takes the configured folder.
            state_dir: where counts and the journal of deletions go; None takes the configured folder.
        """
        self._registry_dir = Path(registry_dir).absolute()
        self._mission = mission
        self._data_dir = data_dir
        self._state_dir = state_dir

    def get_tracker(self, collection: str, product_type: str, baseline: str) -> StateTracker:
        """The registry of one baseline."""
        filing = Filing(Path(), Registry(self._registry_dir), self._mission)
        key = filing.tracked_keys(collection, product_type, baseline)[0]
        return StateTracker(
            self._registry_dir,
            key.mission,
            key.collection,
            key.product_type,
            key.baseline,
            self._data_dir,
            state_dir=self._state_dir,
        )

    def list_tracked(self) -> list[tuple[str, str, str]]:
        """(collection, product type, baseline) of each."""
        tracked = Registry(self._registry_dir, emit=_log).tracked()
        return [(key.collection, key.product_type, key.baseline) for key in tracked]

    def get_all_stats(self) -> dict[tuple[str, str, str], dict[str, int]]:
        """The counts of each."""
        return {names: self.get_tracker(*names).get_stats() for names in self.list_tracked()}
