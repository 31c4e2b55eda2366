"""Parts: what one user's engine is made of, joined; nothing is opened before it is needed.

What moves files is loaded with the first file.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from maap_tui.engine.catalogue.client import Catalogue
from maap_tui.engine.catalogue.index import CatalogueIndex
from maap_tui.engine.config import dirs, loading, settings
from maap_tui.engine.config.finding import find_setting
from maap_tui.engine.download.pacing import HostPause
from maap_tui.engine.download.queue_store import Queue
from maap_tui.engine.errors import MaapError
from maap_tui.engine.events import Emit, Event, Noted, Warned, ignore
from maap_tui.engine.integrity.hashes import Hashes
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
from maap_tui.engine.registry.registry import Registry
from maap_tui.engine.storage.places import Place, S3Url
from maap_tui.engine.workflows import rules
from maap_tui.engine.workflows.filing import Filing

if TYPE_CHECKING:
    from concurrent.futures import Future

    import httpx

    from maap_tui.engine.download.downloads import Downloads
    from maap_tui.engine.download.rate_share import RateShare
    from maap_tui.engine.download.reading import ReadLimits
    from maap_tui.engine.download.recorder import Watcher
    from maap_tui.engine.download.remote import Fetcher
    from maap_tui.engine.download.requests import DownloadOutcome, DownloadRequest
    from maap_tui.engine.integrity.verify import Judge
    from maap_tui.engine.model import TimeRange
    from maap_tui.engine.quality.store import Quality
    from maap_tui.engine.query import Query
    from maap_tui.engine.registry.baseline import BaselineRegistry
    from maap_tui.engine.registry.entries import Key


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
        """Takes the events of all parts; may be set to another until the first of them comes."""
        self.now = now or (lambda: datetime.now(UTC))
        self._bulk = bulk
        self._transport = transport
        self.pause = HostPause()
        """Waits that hosts ask for, kept by all that asks them for files."""
        self._is_unkept_said = False
        self.hand_over: Callable[[DownloadRequest], Future[DownloadOutcome]] | None = None
        """What has files fetched elsewhere; None fetches them here. To be set before the first download."""
        self._runs: weakref.WeakSet[Downloads] = weakref.WeakSet()
        """The queues that were made here and may still be at work."""
        self._shares: weakref.WeakSet[RateShare] = weakref.WeakSet()
        """The shares of `downloads.rate_total` that were made here and may still be held."""
        self._read_limits: ReadLimits | None = None
        self.http = self._make_http()
        share = TokenShare(where.access_token_file, self._token_lock, where.access_token_folder)
        self.tokens = self._make_tokens(share)
        self.catalogue = Catalogue(
            self.http,
            config.api.catalog_url,
            where,
            parallel=config.search.parallel,
            emit=self._hand_on,
            unkept=self._report_unkept,
        )
        self.registry = Registry.of(where, self._hand_on)
        self.hashes = Hashes(where.state_dir, self._hand_on)
        self.filing = Filing(
            where.data_dir, self.registry, config.mission.name, staging_dir=where.staging_dir
        )
        self.queue = Queue(where.queue_file, emit=self._report_unkept)
        self.index = CatalogueIndex(self.catalogue, where, self.collections(), config.mission.name)
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
        config = loading.load(config_file, environ, overrides)
        return cls(config, loading.locate(config, environ), environ=environ, **rest)

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

    async def missing_days(self, query: Query) -> Sequence[TimeRange]:
        """The days of a query's time that lack something here, as stretches; a session knows them."""
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of what was opened, which the next use would open again; a second call changes nothing."""
        for share in list(self._shares):
            await share.close()
        await self.http.close()
        self.queue.close()

    @property
    def is_offline(self) -> bool:
        """Whether the last host that was asked gave no sign of life; asks nothing itself."""
        return self.http.is_offline

    @property
    def silent_s(self) -> float:
        """Seconds without a sign of life from the hosts that were asked; 0 while nothing is awaited."""
        return self.http.silence.seconds

    async def probe(self) -> None:
        """Ask the catalogue once whether it is there; `is_offline` says what came of it."""
        with suppress(MaapError):
            await self.http.request("GET", self.catalogue.root)

    def apply_setting(self, key: str, fresh: settings.Settings) -> bool:
        """Use one setting as it is now, as far as that is possible without a new start.

        Call it in the thread that the session works in.

        Args:
            key: of the setting, or `keys.BINDING`.
            fresh: all settings, read again.

        Returns:
            Whether it is in use: False for one that applies from the next start on, which changes nothing.
        """
        is_setting = not key.startswith(f"{settings.KEYS}.")
        if is_setting and find_setting(key).applies == "next start":
            return False
        self.settings = self.settings.taking(key, fresh)
        self.http.rules = rules.http_rules(self.settings)
        if key == settings.SearchSettings.parallel.key:
            self.catalogue.set_parallel(self.settings.search.parallel)
        for run in self._runs:
            run.set_rules(rules.transfer_rules(self.settings))
            if key == settings.DownloadSettings.parallel.key:
                run.set_parallel(self.settings.downloads.parallel)
        if self._read_limits is not None:
            self._read_limits.set_rules(rules.transfer_rules(self.settings))
            self._read_limits.set_parallel(self.settings.downloads.parallel)
        return True

    def _make_http(self) -> Http:
        api = self.settings.api
        return Http(
            rules.http_rules(self.settings),
            bearer_origins=origins_of((api.catalog_url, *api.data_origins)),
            connections=rules.CONNECTIONS,
            bulk=self._bulk,
            probe_url=api.catalog_url,
            emit=self._hand_on,
            environ=self.environ,
            transport=self._transport,
        )

    def _make_tokens(self, share: TokenShare) -> Tokens:
        url = self.settings.api.token_url
        return Tokens(self.http, url, self.credentials, share=share, emit=self._hand_on)

    @property
    def _token_lock(self) -> Path:
        return self.dirs.lock_file(self.dirs.access_token_file)

    def _hand_on(self, event: Event) -> None:
        """Hand an event to whoever listens now: the parts are made before that is known."""
        self.emit(event)

    def _report_unkept(self, event: Event) -> None:
        """Hand on that something cannot be kept; once for all of it, as one disk is at fault."""
        if isinstance(event, Warned):
            event = Noted(event.message) if self._is_unkept_said else event
            self._is_unkept_said = True
        self.emit(event)

    def credentials(self) -> Credentials:
        """The credentials to use.

        Raises:
            CredentialsError: when there are none that can be used.
        """
        return load_credentials(self.dirs.credentials_file, self.environ)

    def fresh_tokens(self) -> Tokens:
        """Tokens that ask the service itself, whatever an earlier run was given."""
        return self._make_tokens(TokenShare(lock=self._token_lock))

    def token_info(self) -> TokenInfo:
        """What the offline token says of itself, without any request; errors as `credentials`."""
        return describe_token(self.credentials().offline_token)

    @cached_property
    def quality(self) -> Quality:
        """What is known of gaps and disclaimers."""
        from maap_tui.engine.quality.store import Quality

        return Quality(self.dirs, self._hand_on)

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
        from maap_tui.engine.integrity.verify import Judge

        return Judge(self.registry, self.hashes)

    def downloads(
        self,
        max_consecutive_failures: int | None = None,
        *,
        verb: str = "",
        waits_for_room: bool = False,
        is_watched: bool = True,
        watcher: Watcher | None = None,
        emit: Emit | None = None,
    ) -> Downloads:
        """A new queue that works under these rules and records into the registry.

        Args:
            max_consecutive_failures: files failing in a row that end the run; None for no such limit.
            verb: the command that downloads, as the queue on disk names it.
            waits_for_room: whether a full disk is waited for without end, as where somebody watches.
            is_watched: whether somebody looks at single files; without, most of a long list are packed.
            watcher: hears of the files that the registry follows; None for nobody.
            emit: takes the events of its files; None for what takes all events.
        """
        from maap_tui.engine.download.downloads import Downloads
        from maap_tui.engine.download.recorder import Recorder

        config = self.settings.downloads
        run = Downloads(
            self._fetcher,
            parallel=config.parallel,
            emit=emit or self.emit,
            recorder=Recorder(self.registry, self.hashes, self.emit, watcher),
            max_consecutive_failures=max_consecutive_failures,
            queue=self.queue,
            verb=verb,
            space_wait_s=None if waits_for_room else config.space_wait,
            is_watched=is_watched,
        )
        self._runs.add(run)
        return run

    def transfer(self, emit: Emit = ignore) -> Fetcher:
        """What fetches one file at a time, without registry or queue; one for all files of a run."""
        from maap_tui.engine.download.staged import StagedTransfer
        from maap_tui.engine.download.transfer import Transfer

        how = rules.transfer_rules(self.settings)
        transfer = Transfer(self.http, self.tokens, how, pause=self.pause, emit=emit)
        if not (total := self.settings.downloads.rate_total):
            return StagedTransfer(transfer, how, self.environ, emit)
        from maap_tui.engine.download.rate_share import RatedTransfer

        rated = RatedTransfer(transfer, self.registry.rates_folder, total, how, emit)
        self._shares.add(rated.share)
        return StagedTransfer(rated, how, self.environ, emit)

    @property
    def read_limits(self) -> ReadLimits:
        """The limits on files that are read in parts; one for all of them."""
        if self._read_limits is None:
            from maap_tui.engine.download.reading import ReadLimits

            config = self.settings.downloads
            limits = ReadLimits(rules.transfer_rules(self.settings), config.parallel, self._hand_on)
            if config.parallel_total:
                limits.share_connections(self.registry.slots_folder, config.parallel_total)
            if config.rate_total:
                limits.share_rate(self.registry.rates_folder, config.rate_total)
                assert limits.share is not None
                self._shares.add(limits.share)
            self._read_limits = limits
        return self._read_limits

    def limited_transfer(self, emit: Emit = ignore) -> Fetcher:
        """As `transfer`, within the connections of all processes too."""
        return self._within_slots(self.transfer(emit), emit)

    def check_place(self, place: Place | None) -> None:
        """Refuse at once what files cannot go to; asks nothing.

        Raises:
            InvalidRequestError: a folder cannot hold granules, or S3 cannot be used as the environment says.
        """
        if isinstance(place, S3Url):
            from maap_tui.engine.download.s3 import Bucket

            Bucket(place.bucket, self.environ, 0.0)
        elif place is not None:
            dirs.data_folder(place)

    async def sizes_at(self, requests: Iterable[DownloadRequest]) -> dict[str, int]:
        """Bytes of the files that are where they are to go, by URL; of S3 as far as it may be listed.

        Raises:
            StorageError: S3 refuses, or does not answer.
        """
        from maap_tui.engine.download.staged import sizes_at

        return await sizes_at(requests, self.environ, self.settings.downloads.retry_wait)

    def _fetcher(self, emit: Emit) -> Fetcher:
        fetcher = self.transfer(emit)
        if self.hand_over is not None:
            from maap_tui.engine.download.remote import RemoteTransfer

            fetcher = RemoteTransfer(self.hand_over, fetcher, emit)
        return self._within_slots(fetcher, emit)

    def _within_slots(self, fetcher: Fetcher, emit: Emit) -> Fetcher:
        """A fetcher that holds a slot for each file, where all processes share connections."""
        total = self.settings.downloads.parallel_total
        if not total:
            return fetcher
        from maap_tui.engine.download.slots import SharedTransfer

        how = rules.transfer_rules(self.settings)
        return SharedTransfer(fetcher, self.registry.slots_folder, total, how, emit)


def _unpickled(
    made: type[Parts],
    config: settings.Settings,
    where: dirs.AppDirs,
    bulk: bool,
    transport: httpx.AsyncBaseTransport | None,
) -> Parts:
    return made(config, where, bulk=bulk, transport=transport)
