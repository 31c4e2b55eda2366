"""Parts: what one user's engine is made of, joined; nothing is opened before it is needed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from maap_tui.engine.catalogue.client import Catalogue
from maap_tui.engine.catalogue.index import CatalogueIndex
from maap_tui.engine.config import dirs, settings
from maap_tui.engine.download.downloads import DownloadJob, Downloads, Tracked
from maap_tui.engine.download.pacing import HostPause
from maap_tui.engine.download.queue_store import Queue
from maap_tui.engine.download.requests import DownloadOutcome, DownloadRequest, TransferRules
from maap_tui.engine.download.transfer import Transfer
from maap_tui.engine.errors import DownloadError, MaapError, StorageError
from maap_tui.engine.events import Emit, Event, Noted, Warned, ignore
from maap_tui.engine.integrity.hashes import Hashes
from maap_tui.engine.integrity.verify import Judge
from maap_tui.engine.missions import (
    Mission,
    collections_in_use,
)
from maap_tui.engine.net.credentials import (
    Credentials,
    TokenInfo,
    describe_token,
    load_credentials,
)
from maap_tui.engine.net.http import Http
from maap_tui.engine.net.origins import origins_of
from maap_tui.engine.net.tokens import Tokens, TokenShare
from maap_tui.engine.query import Query
from maap_tui.engine.registry.baseline import BaselineRegistry
from maap_tui.engine.registry.counts import StatsCache
from maap_tui.engine.registry.deletions import Deletions
from maap_tui.engine.registry.entries import Entry, Key
from maap_tui.engine.registry.registry import Registry
from maap_tui.engine.workflows.filing import Filing

if TYPE_CHECKING:
    import httpx


class Parts:
    """One user's settings, folders, and everything made from them."""

    def __init__(
        self,
        config: settings.Settings,
        where: dirs.AppDirs,
        *,
        environ: Mapping[str, str] | None = None,
        emit: Emit = ignore,
        bulk: bool = False,
        now: Callable[[], datetime] | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Take what there is; open nothing.

        Args:
            config: the settings.
            where: the folders.
            environ: the environment, for `MAAP_TOKEN`; None takes the process's.
            emit: takes the events of all that happens.
            bulk: whether files will be moved (see `http.Http`).
            now: the clock; None takes the real one.
            transport: what to send through instead of the network.
        """
        self.settings = config
        self.dirs = where
        self.environ = os.environ if environ is None else environ
        self.emit = emit
        self._bulk = bulk
        self._transport = transport
        self.now = now or (lambda: datetime.now(UTC))
        self._pause = HostPause()
        self._is_unkept_said = False
        # Made here, because several threads ask it.
        self.index = CatalogueIndex(lambda: self.catalogue, where, self.collections(), config.mission.name)
        """What is known of the archive without asking it."""

    @classmethod
    def load(
        cls,
        config_file: Path | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        overrides: Mapping[str, object] | None = None,
        **rest: Any,
    ) -> Self:
        """Made from the configuration file, the environment and overrides such as flags.

        Raises:
            SettingsError: when one of them is wrong.
        """
        environ = os.environ if environ is None else environ
        config = settings.load(config_file, environ, overrides)
        return cls(config, settings.locate(config, environ), environ=environ, **rest)

    def again(self) -> Self:
        """Another of the same settings that shares nothing of what this one has opened."""
        return type(self)(
            self.settings,
            self.dirs,
            environ=self.environ,
            emit=self.emit,
            bulk=self._bulk,
            now=self.now,
            transport=self._transport,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as the settings, to be opened where it arrives: no token goes along, nor who listens."""
        return _unpickled, (type(self), self.settings, self.dirs, self._bulk, self._transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of the connections."""
        if "http" in self.__dict__:
            await self.http.close()
        if "queue" in self.__dict__:
            self.queue.close()

    @property
    def is_offline(self) -> bool:
        """Whether the last host that was asked gave no sign of life; asks nothing itself."""
        return "http" in self.__dict__ and self.http.is_offline

    @property
    def silent_s(self) -> float:
        """Seconds without a sign of life from the hosts that were asked; 0 while nothing is awaited."""
        return self.http.silence.seconds if "http" in self.__dict__ else 0.0

    async def probe(self) -> None:
        """Ask the catalogue once whether it is there; `is_offline` says what came of it."""
        with suppress(MaapError):
            await self.http.request("GET", self.catalogue.root)

    @cached_property
    def http(self) -> Http:
        api = self.settings.api
        downloads = self.settings.downloads
        return Http(
            bearer_origins=origins_of((api.catalog_url, *api.data_origins)),
            timeout_s=api.timeout,
            stall_timeout_s=downloads.stall_timeout,
            retries=api.retries,
            retry_wait_s=api.retry_wait,
            connections=max(downloads.parallel, self.settings.search.parallel) + 2,
            bulk=self._bulk,
            outage_wait_s=api.outage_wait,
            probe_url=api.catalog_url,
            emit=self.emit,
            environ=self.environ,
            transport=self._transport,
        )

    @cached_property
    def tokens(self) -> Tokens:
        where = self.dirs
        share = TokenShare(where.access_token_file, where.lock_file(where.access_token_file))
        return Tokens(self.http, self.settings.api.token_url, self.credentials, share=share, emit=self.emit)

    @cached_property
    def catalogue(self) -> Catalogue:
        return Catalogue(
            self.http, self.settings.api.catalog_url, self.dirs, emit=self.emit, unkept=self._report_unkept
        )

    def _report_unkept(self, event: Event) -> None:
        """Hand on that something cannot be kept; once for all of it, as one disk is at fault."""
        if isinstance(event, Warned):
            event = Noted(event.message) if self._is_unkept_said else event
            self._is_unkept_said = True
        self.emit(event)

    @cached_property
    def registry(self) -> Registry:
        state_dir = self.dirs.state_dir
        return Registry(
            self.dirs.registry_dir,
            StatsCache(state_dir / "cache"),
            Deletions(state_dir),
            on_wait=lambda message: self.emit(Warned(message)),
            emit=lambda event: self.emit(event),
        )

    @cached_property
    def hashes(self) -> Hashes:
        return Hashes(self.dirs.state_dir, self.emit)

    @cached_property
    def filing(self) -> Filing:
        return Filing(self.dirs.data_dir, self.registry, self.settings.mission.name)

    @cached_property
    def queue(self) -> Queue:
        return Queue(self.dirs.queue_file, emit=self._report_unkept)

    def credentials(self) -> Credentials:
        """The credentials to use.

        Raises:
            CredentialsError: when there are none that can be used.
        """
        return load_credentials(self.dirs.credentials_file, self.environ)

    def fresh_tokens(self) -> Tokens:
        """Tokens that ask the service itself, whatever an earlier run was given."""
        share = TokenShare(lock=self.dirs.lock_file(self.dirs.access_token_file))
        return Tokens(self.http, self.settings.api.token_url, self.credentials, share=share, emit=self.emit)

    def token_info(self) -> TokenInfo:
        """What the offline token says of itself, without any request; errors as `credentials`."""
        return describe_token(self.credentials().offline_token)

    def mission_of(self, collection: str) -> Mission:
        """The mission a collection belongs to."""
        return self.filing.mission_of(collection)

    def collections(self) -> list[str]:
        """The collections of the configuration, otherwise those of the mission set, or of all missions."""
        own = self.settings.mission
        return collections_in_use(own.collections, own.name, own.collections_extend)

    def is_chosen(self, collection: str) -> bool:
        """Whether the configuration names a collection; the archive may lack one that only missions name."""
        own = self.settings.mission
        return collection in (*own.collections, *own.collections_extend)

    def formats_of(self, query: Query) -> tuple[str, ...]:
        """The formats that a query means."""
        return query.formats or self.mission_of(query.collection).formats

    def in_product_dir(self, wish: bool | None) -> bool:
        """Whether each file gets a folder named after its stem: as wished, None takes the setting."""
        return self.settings.downloads.product_dir if wish is None else wish

    def wanted_of_entry(self, key: Key, entry: Entry, *, product_dir: bool = False) -> DownloadRequest:
        """A line of the registry as a file to fetch; errors as `Filing.wanted_of_entry`."""
        return self.filing.wanted_of_entry(key, entry, product_dir=product_dir)

    def tracked_keys(self, collection: str, product_type: str, baseline: str | None = None) -> list[Key]:
        """The baselines of a product that the registry follows; one of that name for a baseline given."""
        return self.filing.tracked_keys(collection, product_type, baseline)

    def tracker(self, collection: str, product_type: str, baseline: str) -> BaselineRegistry:
        """The registry of one baseline, found without regard to case."""
        return self.registry.baseline(self.tracked_keys(collection, product_type, baseline)[0])

    def damaged(self, keys: Iterable[Key]) -> list[str]:
        """Sentences on what of baselines could not be read, in their registries or above them."""
        found = list(self.registry.hidden)
        for key in keys:
            found += self.registry.baseline(key).damage
        return [one.words for one in found]

    def judge(self) -> Judge:
        """What decides whether files are still whole and what came."""
        return Judge(self.registry, self.hashes)

    def downloads(
        self,
        max_consecutive_failures: int | None = None,
        *,
        verb: str = "",
        waits_for_room: bool = False,
    ) -> Downloads:
        """A new queue that works under these rules and records into the registry.

        Args:
            max_consecutive_failures: files failing in a row that end the run; None for no such limit.
            verb: the command that downloads, as the queue on disk names it.
            waits_for_room: whether a full disk is waited for without end, as where somebody watches.
        """
        config = self.settings.downloads
        rules = TransferRules(
            retries=config.retries,
            retry_wait_s=config.retry_wait,
            min_free=config.min_free,
            max_file=config.max_file or 1 << 62,
            limit_rate=config.limit_rate,
        )

        def transfer(emit: Emit) -> Transfer:
            return Transfer(self.http, self.tokens, rules, pause=self._pause, emit=emit)

        return Downloads(
            transfer,
            parallel=config.parallel,
            emit=self.emit,
            record=self._record,
            record_failure=self._record_failure,
            max_consecutive_failures=max_consecutive_failures,
            queue=self.queue,
            verb=verb,
            space_wait_s=None if waits_for_room else config.space_wait,
        )

    async def _record(self, job: DownloadJob, fetched: DownloadOutcome) -> None:
        tracked = job.tracked
        if tracked is None:
            return
        tracker = self.registry.baseline(tracked.key)
        await asyncio.to_thread(tracker.record, job.wanted.url, fetched.path, tracked.day)
        if fetched.pieces:
            await asyncio.to_thread(self._record_hashes, tracked, fetched)

    def _record_hashes(self, tracked: Tracked, fetched: DownloadOutcome) -> None:
        try:
            self.hashes.record(tracked.key, tracked.day, fetched.path, fetched.size, fetched.pieces)
        except StorageError as error:
            # What verify would compare against is a convenience; the file is here and recorded.
            self.emit(Warned(f"The hash of {fetched.path.name} could not be recorded: {error.message}"))

    async def _record_failure(self, job: DownloadJob, error: DownloadError) -> None:
        tracked = job.tracked
        if tracked is None:
            return
        tracker = self.registry.baseline(tracked.key)
        await asyncio.to_thread(
            tracker.record_error,
            job.wanted.url,
            error.message,
            code=error.status_code,
            tries=job.tries + 1,
        )


def _unpickled(
    made: type[Parts],
    config: settings.Settings,
    where: dirs.AppDirs,
    bulk: bool,
    transport: httpx.AsyncBaseTransport | None,
) -> Parts:
    return made(config, where, bulk=bulk, transport=transport)
