"""Session: owns the parts of the engine and joins them; what every face talks to.

Nothing is read, written or asked before the first call that needs it.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import aclosing, nullcontext, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urljoin

from maap_tui.engine.catalogue import built
from maap_tui.engine.catalogue.client import BadItem, Catalogue, granule_of
from maap_tui.engine.catalogue.index import CatalogueIndex
from maap_tui.engine.catalogue.search import COUNT_LIMIT, Expected, Rules, Search
from maap_tui.engine.config import dirs, settings
from maap_tui.engine.download.downloads import Downloads, Job, Report, Tracked, of_row
from maap_tui.engine.download.queue_store import Queue, QueueRow
from maap_tui.engine.download.transfer import Fetched, HostPause, Transfer, TransferRules, Wanted
from maap_tui.engine.errors import (
    CatalogError,
    DownloadError,
    InvalidRequestError,
    MaapError,
    NetworkSetupError,
    StorageError,
)
from maap_tui.engine.events import Emit, Event, Noted, Warned, ignore
from maap_tui.engine.integrity.hashes import Hashes
from maap_tui.engine.integrity.verify import Judge
from maap_tui.engine.missions import (
    Mission,
    collections_in_use,
    format_of,
    mission_named,
    parse_name,
)
from maap_tui.engine.model import ALL, Asset, BaselineInfo, Granule, TimeRange
from maap_tui.engine.net.credentials import (
    Credentials,
    TokenInfo,
    describe_token,
    load_credentials,
    read_pasted,
    save_credentials,
    stored_client,
)
from maap_tui.engine.net.http import Http, origin_of
from maap_tui.engine.net.tokens import Tokens, TokenShare
from maap_tui.engine.query import Query
from maap_tui.engine.registry.deletions import Deletions
from maap_tui.engine.registry.registry import (
    BaselineRegistry,
    CleanupReport,
    Entry,
    Key,
    Registry,
    Stats,
    StatsCache,
)
from maap_tui.engine.storage import layout
from maap_tui.engine.workflows.filing import Chosen, Filing, flat, name_of_url
from maap_tui.engine.workflows.sync import (
    Filed,
    Room,
    Selection,
    SyncReport,
    alone,
    first_granules,
    left_in_registry,
    pending_of,
    queue_entry,
    record_skipped,
    register,
    stats_of,
    sync,
)
from maap_tui.engine.workflows.url_list import with_plain_scheme

if TYPE_CHECKING:
    import httpx


_QUEUED_AT_ONCE = 100
"""Files queued between two turns of others."""

_UNCUT = 10_000_000
"""Items of a search that is not cut."""


@dataclass(slots=True)
class GetReport:
    """What a search and the downloads after it brought."""

    search: Search
    granules: list[Granule]
    wanted: list[Wanted]
    """Every file meant, whether it was fetched or only would have been."""
    downloads: Report = field(default_factory=Report)
    lacking: InvalidRequestError | None = None
    """Says that no granule found has a file in the formats meant; None otherwise."""


@dataclass(slots=True)
class MarkReport:
    """What came of marking files."""

    new: int = 0
    already: int = 0
    """Marked before."""
    refused: list[tuple[str, str]] = field(default_factory=list)
    """Paths that could not be marked, and why."""


class Session:
    """One user's engine: settings, places, and everything made from them."""

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
            emit: told of all that happens.
            bulk: whether files will be moved (see `http.Http`).
            now: the clock; None takes the real one.
            transport: what to send through instead of the network.
        """
        self.settings = config
        self.places = where
        self.environ = os.environ if environ is None else environ
        self.emit = emit
        self._bulk = bulk
        self._transport = transport
        self.now = now or (lambda: datetime.now(UTC))
        self._pause = HostPause()
        self._is_unkept_said = False

    @classmethod
    def load(
        cls,
        config_file: Path | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        overrides: Mapping[str, object] | None = None,
        **rest: Any,
    ) -> Session:
        """A session from the configuration file, the environment and overrides such as flags.

        Raises:
            SettingsError: when one of them is wrong.
        """
        environ = os.environ if environ is None else environ
        config = settings.load(config_file, environ, overrides)
        return cls(config, settings.locate(config, environ), environ=environ, **rest)

    def again(self) -> Session:
        """A session of the same settings that shares nothing of what this one has opened."""
        return Session(
            self.settings,
            self.places,
            environ=self.environ,
            emit=self.emit,
            bulk=self._bulk,
            now=self.now,
            transport=self._transport,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as the settings, to be opened where it arrives: no token goes along, nor who listens."""
        return _unpickled, (self.settings, self.places, self._bulk, self._transport)

    async def __aenter__(self) -> Session:
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
        origins = frozenset(origin_of(url) for url in (api.catalog_url, *api.data_origins))
        return Http(
            bearer_origins=origins - {""},
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
        where = self.places
        share = TokenShare(where.access_token_file, where.lock_file(where.access_token_file))
        return Tokens(self.http, self.settings.api.token_url, self.credentials, share=share, emit=self.emit)

    @cached_property
    def catalogue(self) -> Catalogue:
        return Catalogue(
            self.http, self.settings.api.catalog_url, self.places, emit=self.emit, unkept=self._hear_unkept
        )

    def _hear_unkept(self, event: Event) -> None:
        """Hand on that something cannot be kept; once for all of it, as one disk is at fault."""
        if isinstance(event, Warned):
            event = Noted(event.message) if self._is_unkept_said else event
            self._is_unkept_said = True
        self.emit(event)

    @cached_property
    def registry(self) -> Registry:
        state_dir = self.places.state_dir
        return Registry(
            self.places.registry_dir,
            StatsCache(state_dir / "cache"),
            Deletions(state_dir),
            on_wait=lambda message: self.emit(Warned(message)),
            emit=lambda event: self.emit(event),
        )

    @cached_property
    def hashes(self) -> Hashes:
        return Hashes(self.places.state_dir)

    @cached_property
    def filing(self) -> Filing:
        return Filing(self.places.data_dir, self.registry, self.settings.mission.name)

    def credentials(self) -> Credentials:
        """The credentials to use.

        Raises:
            CredentialsError: when there are none that can be used.
        """
        return load_credentials(self.places.credentials_file, self.environ)

    async def sign_in(self, text: str) -> TokenInfo:
        """Check an offline token against the service, then store it; the session uses it from then on.

        The client is the one pasted with it, otherwise the one stored, otherwise the documentation's.

        Args:
            text: the token as it was pasted, or a whole credentials file.

        Returns:
            What the stored token says of itself; the service may have replaced the one pasted.

        Raises:
            CredentialsError: when the text holds no token.
            AuthenticationError: when the service refuses it; nothing is stored.
            AuthServiceUnavailable: when the service does not answer; nothing is stored.
            StorageError: when it cannot be written.
        """
        file = self.places.credentials_file
        pasted = read_pasted(text)
        if not pasted.client_id:
            pasted = replace(await asyncio.to_thread(stored_client, file), token=pasted.token)
        credentials = pasted.credentials(str(file), file)
        trial = Tokens(self.http, self.settings.api.token_url, lambda: credentials, emit=self.emit)
        await trial.access_token()
        used = trial.credentials or credentials
        await asyncio.to_thread(save_credentials, used, file)
        self.tokens.forget()
        return describe_token(used.offline_token)

    def fresh_tokens(self) -> Tokens:
        """Tokens that ask the service itself, whatever an earlier run was given."""
        share = TokenShare(lock=self.places.lock_file(self.places.access_token_file))
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

    @property
    def index(self) -> CatalogueIndex:
        """What is known of the archive without asking it."""
        return CatalogueIndex(self.catalogue, self.places, self.collections(), self.settings.mission.name)

    def formats_of(self, query: Query) -> tuple[str, ...]:
        """The formats that a query means."""
        return query.formats or self.mission_of(query.collection).formats

    def search(self, query: Query, *, patient: bool = False) -> Search:
        """One run of a query; iterate it for pages.

        Args:
            query: what to find.
            patient: whether to wait for a catalogue that is down, for work that nobody sits in front of.

        Raises:
            CatalogError: when it wants the built catalogue, and that is damaged.
        """
        within = None
        if query.use_catalog and not query.orbits:
            catalog = built.load(self.places, query.collection)
            within = catalog.span(query.product_type, query.baseline) if catalog else None
            wanted = f"{query.product_type} {query.baseline or ''}".strip()
            if within is None:
                what = f"Built catalog not found for {query.collection}"
                if catalog is not None:
                    what = f"The built catalogue of {query.collection} has no {wanted}"
                command = f"maap catalog build {query.collection} {wanted}"
                self.emit(Warned(f"{what}; the whole range is searched. Build it: {command}"))
        return self._search(query, within, patient=patient)

    def _search(
        self,
        query: Query,
        within: TimeRange | None = None,
        *,
        patient: bool = False,
        trusting: bool = False,
        divided: bool = True,
    ) -> Search:
        mission = self.settings.mission
        # A configuration made for one mission must not cut another one's time short.
        applies = not mission.name or mission_named(mission.name) == self.mission_of(query.collection)
        rules = Rules(
            parallel=self.settings.search.parallel,
            page_size=self.settings.api.page_size,
            mission_name=mission.name,
            start=mission.start if applies else None,
            end=mission.end if applies else None,
        )
        catalogue = self.catalogue.patient() if patient else self.catalogue
        return Search(
            catalogue,
            query,
            rules,
            now=self.now(),
            within=within,
            expect=self._expected,
            trusting=trusting,
            divided=divided,
            emit=self.emit,
        )

    def _expected(self, query: Query, span: TimeRange | None) -> Expected | None:
        """What the registry and the built catalogue know of what a search of a span should find."""
        if span is None or query.areas() != [{}]:
            return None
        selection = Selection.of_query(query, (ALL,), span)
        try:
            days = [
                entry.day
                for key in self.tracked_keys(query.collection, query.product_type, query.baseline)
                for entry in self.registry.baseline(key).urls(selection.first_day, selection.last_day)
                if selection.accepts(entry)
            ]
            catalog = built.load(self.places, query.collection)
        except MaapError:
            return None
        if days:
            words = f"the registry has {len(days)} {'file' if len(days) == 1 else 'files'} of that time"
            return Expected(words, days[-1], is_listed=True)
        known = catalog.span(query.product_type, query.baseline) if catalog else None
        if (
            known is None
            or {"orbit", "frame", "track"} & {*query.parts}
            or known.start >= span.end
            or known.end < span.start
        ):
            return None
        words = f"the built catalogue has granules from {known.first_day} to {known.end.date()}"
        return Expected(words, min(known.end.date(), span.last_day), is_listed=False)

    async def check_names_first(self, collection: str, product_type: str, baseline: str | None) -> None:
        """Judge names before what depends on them, for a request that cannot be read.

        Raises:
            InvalidRequestError: when a name does not exist; a catalogue that does not answer says nothing.
        """
        try:
            await self.catalogue.check(collection, product_type, baseline)
        except CatalogError:
            return

    async def takes_orbit_in_time(self, query: Query) -> bool:
        """Whether orbits are looked for in a time range, as where the archive has no index of them.

        Raises:
            InvalidRequestError: for unknown names.
            CatalogError: when they cannot be checked.
        """
        if query.product_type in self.mission_of(query.collection).unindexed:
            return True
        known = await self.catalogue.check(query.collection, query.product_type, query.baseline)
        return not known.has_orbits

    async def find(self, collection: str, identity: str) -> Granule | None:
        """The granule of that id, None when the collection has none.

        Raises:
            CatalogError: when the catalogue does not answer.
        """
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.+-]{3,200}", identity):
            return None
        url = urljoin(self.catalogue.root, f"collections/{quote(collection)}/items/{quote(identity)}")
        try:
            item = await self.catalogue.item(url)
            return granule_of(item, collection, self.mission_of(collection).name) if item else None
        except BadItem:
            return None

    def wanted_of_entry(self, key: Key, entry: Entry, *, product_dir: bool = False) -> Wanted:
        """A line of the registry as a file to fetch; errors as `Filing.wanted_of_entry`."""
        return self.filing.wanted_of_entry(key, entry, product_dir=product_dir)

    async def wanted_of_url(
        self,
        url: str,
        collection: str,
        *,
        out_dir: Path | None = None,
        product_dir: bool = False,
    ) -> tuple[Wanted, Tracked | None]:
        """A bare URL as a file to fetch: filed by its name, or by its item where the name says nothing.

        Raises:
            InvalidRequestError: when neither tells where it belongs.
            CatalogError: when the catalogue has to be asked and does not answer.
        """
        if out_dir is not None:
            return flat(url, out_dir, product_dir=product_dir), None
        file_name = name_of_url(url)
        name = parse_name(url)
        if name is not None and name.baseline is not None:
            mission = self.mission_of(collection).name
            key = Key(mission, collection, name.product_type, name.baseline)
            entry = Entry(url, "", name.sensing_start.date())
            return self.wanted_of_entry(key, entry, product_dir=product_dir), Tracked(key, entry.day)
        segments = [part.split(".", 1)[0] for part in url.split("?", 1)[0].split("/")[-3:]]
        for identity in dict.fromkeys(reversed(segments)):
            granule = await self.find(collection, identity)
            if granule is not None:
                asset = next((one for one in granule.assets if one.href == url), None)
                asset = asset or Asset("", url, file_name, format_of(url))
                wanted = self.filing.wanted_of(granule, asset, product_dir=product_dir)
                return wanted, Tracked(self.filing.key_of(granule), granule.day)
        raise InvalidRequestError(
            f"cannot parse product/baseline from {file_name}",
            "Give --out-dir to say where it goes.",
        )

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

    def stats(
        self, collection: str, product_type: str, baseline: str, span: TimeRange | None = None
    ) -> Stats:
        """Counts of one baseline, of the sensing starts in `span` or of all."""
        return stats_of(self.tracker(collection, product_type, baseline), span)

    @cached_property
    def queue(self) -> Queue:
        return Queue(self.places.queue_file, emit=self._hear_unkept)

    def downloads(
        self,
        max_consecutive_failures: int | None = None,
        *,
        verb: str = "",
        waits_for_room: bool = False,
    ) -> Downloads:
        """A new queue that works under this session's rules and records into its registry.

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

    async def _record(self, job: Job, fetched: Fetched) -> None:
        tracked = job.tracked
        if tracked is None:
            return
        tracker = self.registry.baseline(tracked.key)
        await asyncio.to_thread(tracker.record, job.wanted.url, fetched.path, tracked.day)
        if fetched.pieces:
            await asyncio.to_thread(self._record_hashes, tracked, fetched)

    def _record_hashes(self, tracked: Tracked, fetched: Fetched) -> None:
        try:
            self.hashes.record(tracked.key, tracked.day, fetched.path, fetched.size, fetched.pieces)
        except StorageError as error:
            # What verify would compare against is a convenience; the file is here and recorded.
            self.emit(Warned(f"The hash of {fetched.path.name} could not be recorded: {error.message}"))

    async def _record_failure(self, job: Job, error: DownloadError) -> None:
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

    async def get(
        self,
        query: Query,
        *,
        out_dir: Path | None = None,
        product_dir: bool = False,
        dry_run: bool = False,
        track: bool = False,
        everything: bool = False,
    ) -> GetReport:
        """Search and download.

        Args:
            query: what to find.
            out_dir: a flat folder; None files by sensing day under data_dir.
            product_dir: whether each file gets a folder named after its stem.
            dry_run: only find out what would be fetched.
            track: whether the registry follows it.
            everything: whether to fetch also what neither time, orbit nor area bounds.

        Raises:
            InvalidRequestError: when nothing bounds what would be fetched, and everything is not meant.
        """
        if not (dry_run or everything):
            query.demand_bounds()
        formats = self.formats_of(query)
        out_dir = None if out_dir is None else dirs.data_folder(out_dir)
        search = self.search(query, patient=not dry_run)
        report = GetReport(search, [], [])
        chosen = Chosen(formats)
        verb = "download" if track else "get"
        async with self.downloads(verb=verb) as downloads, aclosing(aiter(search)) as pages:
            async for page in pages:
                report.granules += page.granules
                if track and not dry_run and out_dir is None:
                    await register(self.filing, page.granules, formats, emit=self.emit)
                for granule in page.granules:
                    for wanted, tracked in self.filing.files_of(
                        granule,
                        chosen.files(granule),
                        out_dir=out_dir,
                        product_dir=product_dir,
                        refuse=lambda asset, error: downloads.refuse(
                            asset.href, error.message, permanent=True
                        ),
                    ):
                        report.wanted.append(wanted)
                        if not dry_run:
                            downloads.add(wanted, tracked if track else None, group=granule.collection)
            if track and not dry_run and out_dir is None:
                await self.save_skipped(search)
            report.downloads = await downloads.join()
        report.granules = search.ordered(report.granules)
        report.lacking = chosen.error()
        if warning := chosen.warning():
            self.emit(Warned(warning))
        return report

    async def download(
        self,
        urls: Iterable[str],
        collection: str,
        *,
        out_dir: Path | None = None,
        product_dir: bool = False,
        track: bool = False,
        dry_run: bool = False,
        again: bool = False,
    ) -> Report:
        """Download URLs that are known already; what cannot be filed is a permanent failure in the report."""
        out_dir = None if out_dir is None else dirs.data_folder(out_dir)
        async with self.downloads(verb="download") as downloads:
            for url in dict.fromkeys(map(with_plain_scheme, urls)):
                try:
                    wanted, tracked = await self.wanted_of_url(
                        url, collection, out_dir=out_dir, product_dir=product_dir
                    )
                except NetworkSetupError:
                    raise
                except (InvalidRequestError, CatalogError) as error:
                    permanent = isinstance(error, InvalidRequestError)
                    downloads.refuse(url, error.message, permanent=permanent)
                    continue
                wanted = replace(wanted, again=again)
                if dry_run:
                    downloads.report.skipped[url] = wanted.path
                    continue
                if track and tracked is not None:
                    tracker = self.registry.baseline(tracked.key)
                    entry = Entry(url, str(wanted.path), tracked.day)
                    await asyncio.to_thread(tracker.add, [entry])
                downloads.add(wanted, tracked if track else None, group=collection)
            return await downloads.join()

    async def enqueue(self, files: Sequence[tuple[Wanted, Tracked | None]], into: Downloads) -> int:
        """Queue files, those that are tracked once the registry has them; returns how many are new there.

        What the registry refuses is told as a `Warned` and left out.
        """
        entries: dict[Key, list[Entry]] = defaultdict(list)
        for wanted, tracked in files:
            if tracked is not None:
                entries[tracked.key].append(Entry(wanted.url, str(wanted.path), tracked.day))
        refused: set[str] = set()
        for key, found in entries.items():
            added = await asyncio.to_thread(self.registry.baseline(key).add, found)
            for entry, reason in added.refused:
                refused.add(entry.url)
                self.emit(Warned(f"Not registered: {entry.url[:120]!a} ({reason})"))
        into.resume_run()
        count = 0
        for number, (wanted, tracked) in enumerate(files, 1):
            if wanted.url not in refused:
                count += into.add(wanted, tracked)
            if number % _QUEUED_AT_ONCE == 0:
                # Not only other tasks get their turn but also other threads, a screen's among them.
                await asyncio.sleep(0.002)
        return count

    async def enqueue_lines(
        self, lines: Sequence[tuple[Key, Entry]], into: Downloads, *, again: bool = False
    ) -> tuple[int, list[str]]:
        """Queue lines of the registry.

        Args:
            lines: with the baselines that they are of.
            into: the queue.
            again: whether their files are damaged or missing, and are fetched where they were.

        Returns:
            How many files are new there, and why others cannot be fetched, a sentence each.
        """
        product_dir = self.settings.downloads.product_dir
        files: list[tuple[Wanted, Tracked | None]] = []
        refused = []
        for key, entry in lines:
            try:
                if again:
                    wanted = self.filing.lost_file(key, entry)
                else:
                    wanted = self.filing.wanted_of_entry(key, entry, product_dir=product_dir)
                files.append((wanted, Tracked(key, entry.day)))
            except InvalidRequestError as error:
                refused.append(f"{entry.url[:120]!a} ({error.message})")
        return await self.enqueue(files, into), refused

    async def take_over(self, rows: Sequence[QueueRow], into: Downloads) -> tuple[int, list[str]]:
        """Go on with what a process that is gone left in the queue.

        Returns:
            How many files are queued, and why others cannot be, a sentence each.
        """

        def read() -> tuple[list[tuple[Wanted, Tracked | None]], list[str]]:
            files, refused = [], []
            for row in rows:
                try:
                    files.append(of_row(row))
                except InvalidRequestError as error:
                    refused.append(error.message)
            return files, refused

        files, refused = await asyncio.to_thread(read)
        count = await self.enqueue(files, into)
        for row in rows:
            job = into.jobs.get(row.url)
            if job is not None and job.state == "waiting":
                job.received = row.received
        into.pause([row.url for row in rows if row.state == "paused"])
        return count, refused

    def pending(
        self,
        collection: str,
        product_type: str,
        baseline: str | None,
        selection: Selection,
        *,
        newest_first: bool = False,
        max_items: int | None = None,
    ) -> list[tuple[Key, Entry]]:
        """What the registry has discovered and not downloaded; `max_items` are granules."""
        keys = self.tracked_keys(collection, product_type, baseline)
        found = pending_of(self.filing, keys, selection)
        if not selection.every_version:
            found = self.filing.only_newest(product_type, keys, found)
        if newest_first:
            found.reverse()
        return first_granules(found, max_items)

    async def download_pending(
        self,
        entries: Sequence[tuple[Key, Entry]],
        *,
        out_dir: Path | None = None,
        product_dir: bool = False,
    ) -> Report:
        """Download lines of the registry; with `out_dir` flat, and recorded with the path they got there."""
        out_dir = None if out_dir is None else dirs.data_folder(out_dir)
        async with self.downloads(verb="download") as downloads:
            for key, entry in entries:
                if out_dir is None:
                    queue_entry(self.filing, downloads, key, entry, product_dir=product_dir, emit=self.emit)
                    continue
                try:
                    wanted, _ = await self.wanted_of_url(
                        entry.url, key.collection, out_dir=out_dir, product_dir=product_dir
                    )
                except InvalidRequestError as error:
                    downloads.refuse(entry.url, error.message, permanent=True)
                    continue
                downloads.add(wanted, Tracked(key, entry.day))
            return await downloads.join()

    def judge(self) -> Judge:
        """What decides whether files are still whole and what came."""
        return Judge(self.registry, self.hashes)

    async def fetch_again(self, entries: Sequence[tuple[Key, Entry]]) -> Report:
        """Download files that are recorded as downloaded and are missing or damaged, where they were."""
        async with self.downloads(verb="verify") as downloads:
            for key, entry in entries:
                try:
                    wanted = self.filing.lost_file(key, entry)
                except InvalidRequestError as error:
                    downloads.refuse(entry.url, error.message, permanent=True)
                    continue
                downloads.add(wanted, Tracked(key, entry.day))
            return await downloads.join()

    async def sync(
        self,
        query: Query,
        *,
        max_items: int | None = None,
        product_dir: bool | None = None,
        max_consecutive_failures: int | None = None,
        into: Downloads | None = None,
    ) -> SyncReport:
        """Register what the archive has in the query's range and fetch what is pending there.

        Args:
            query: what to find.
            max_items: granules at most of which files are fetched; None for those of the query.
            product_dir: whether each file gets a folder named after its stem; None takes the setting.
            max_consecutive_failures: files failing in a row that end the run; None for no such limit.
            into: the queue where the files go, which is not waited for; None for one of its own.

        Raises:
            LockedError: another sync of a baseline meant here was not over in time.
            InvalidRequestError: for unknown names.
            CatalogError: when the names cannot be checked.
        """
        search = self.search(query.replace(max_items=_UNCUT), patient=True)
        queryables = await self.catalogue.patient().check(
            query.collection, query.product_type, query.baseline
        )
        names = [query.baseline] if query.baseline else queryables.baselines
        keys = [key for name in names for key in self._keys_of(query, name.upper())]
        wait_s = self.settings.downloads.lock_wait
        downloads = into or self.downloads(max_consecutive_failures, verb="sync")
        if product_dir is None:
            product_dir = self.settings.downloads.product_dir
        async with (
            alone(self.registry, keys, wait_s, emit=self.emit),
            nullcontext() if into else downloads,
        ):
            return await sync(
                self.filing,
                search,
                downloads,
                formats=self.formats_of(query),
                max_items=max_items or query.max_items,
                product_dir=product_dir,
                emit=self.emit,
                is_waited_for=into is None,
            )

    async def would_sync(self, query: Query, *, product_dir: bool = False) -> list[Wanted]:
        """The files that `sync` would fetch now; needs no token and writes nothing.

        Raises:
            InvalidRequestError: for unknown names.
            CatalogError: when they cannot be checked.
        """
        found = await self.get(query, product_dir=product_dir, dry_run=True)
        names = (query.collection, query.product_type, query.baseline)
        selection = Selection.of_query(query, self.formats_of(query))
        done: set[str] = set()
        for tracker in map(self.registry.baseline, self.tracked_keys(*names)):
            done |= {entry.url for entry in tracker.downloads(selection.first_day, selection.last_day)}
            done |= tracker.missing(datetime.now(UTC)).keys()
        wanted = {one.url: one for one in found.wanted if one.url not in done}
        for key, entry in self.pending(*names, selection):
            if entry.url in wanted or entry.url in done:
                continue
            try:
                wanted[entry.url] = self.wanted_of_entry(key, entry, product_dir=product_dir)
            except InvalidRequestError as error:
                self.emit(left_in_registry(entry, error))
        room = Room(query.max_items)
        return [one for one in wanted.values() if room.has(one.url)]

    def _keys_of(self, query: Query, baseline: str) -> list[Key]:
        """The key of a baseline; none for a name that no registry could have."""
        try:
            mission = self.mission_of(query.collection).name
            return [Key(mission, query.collection, query.product_type, baseline)]
        except InvalidRequestError:
            return []

    async def build_catalog(
        self,
        collection: str,
        *,
        product_type: str | None = None,
        baseline: str | None = None,
        latest_baseline: bool = False,
        force: bool = False,
        out_dir: Path | None = None,
    ) -> tuple[Path, list[built.BuildFailure]]:
        """Count the baselines of a collection into its built catalogue, going on from what it has.

        Returns:
            The file, and the baselines that could not be counted.

        Raises:
            InvalidRequestError: for unknown names.
            CatalogError: when the queryables cannot be had.
        """
        where = self.places
        if out_dir is not None:
            where = replace(where, built_catalog_dir=dirs.absolute(out_dir))
        queryables = await self.catalogue.queryables(collection, refresh=not product_type)
        if product_type:
            queryables = await self.catalogue.check(collection, product_type, baseline)
        catalog = built.BuiltCatalog(collection)
        if not force or product_type:
            catalog = built.load(where, collection) or catalog
        if force and product_type:
            known = catalog.products.get(product_type, {})
            for name in list(known):
                if baseline is None or name.lower() == baseline.lower():
                    del known[name]
        baselines = [baseline.upper()] if baseline else queryables.baselines
        if latest_baseline and not baseline:
            baselines = baselines[-1:]
        products = [product_type] if product_type else queryables.products
        pairs = [(product, name) for product in products for name in baselines]
        file = where.built_catalog_file(collection)
        builder = self.builder(collection, catalog, file=file)
        async for _ in builder.build(pairs):
            pass
        failures = list(builder.failures)
        if len(baselines) > 1 or not (baseline or latest_baseline):
            failed = {one.product_type for one in failures}
            for product in products:
                if product in catalog.products or product in failed:
                    continue
                # One request for each product that no baseline has anything of.
                count = await self._search(Query(collection, product)).count()
                if count or "product" in self.catalogue.dropped(collection):
                    reason = "the catalogue has granules of it and finds none by its baselines"
                    failures.append(built.BuildFailure(collection, product, "*", reason))
                    self.emit(Warned(f"{collection} {product} could not be counted: {reason}"))
        return file, failures

    async def save_to_registry(self, granules: Sequence[Granule], formats: tuple[str, ...]) -> Filed:
        """Register granules as discovered; returns which of their files, how many are new and refused."""
        return await register(self.filing, granules, formats, emit=self.emit)

    async def save_skipped(self, search: Search) -> None:
        """List the items that a search could not use among the errors of the registry."""
        await asyncio.to_thread(record_skipped, self.filing, search, self.emit)

    async def baselines_at_archive(self, collection: str, product_type: str) -> dict[str, int]:
        """Baselines of a product that hold something, with their counts, asked of the archive.

        Raises:
            CatalogError: when one of them cannot be asked.
        """
        queryables = await self.catalogue.check(collection, product_type)
        slots = asyncio.Semaphore(self.settings.search.parallel)

        async def count(baseline: str) -> int:
            async with slots:
                query = Query(collection, product_type, baseline)
                return await self._search(query, trusting=True).total()

        names = queryables.baselines
        counts = await built.together(*(count(name) for name in names))
        found = {name: number for name, number in zip(names, counts, strict=True) if number}
        if found:
            return found
        found = await self._counted_here(collection, product_type)
        if found and names:
            self.emit(Warned(f"The catalogue finds nothing of {product_type} by its baselines: counted here"))
        return found

    async def _counted_here(self, collection: str, product_type: str) -> dict[str, int]:
        """Baselines of a product counted in its granules, where a filter by baseline finds nothing.

        Raises:
            InvalidRequestError: when there is too much to read.
            CatalogError: when the catalogue does not answer, or not wholly.
        """
        whole = self._search(Query(collection, product_type, max_items=_UNCUT), divided=False)
        announced = await whole.total()
        if announced > COUNT_LIMIT:
            raise InvalidRequestError(
                f"The catalogue has {announced} granules of {product_type} and finds none by its baselines",
                "Give a baseline and a time range.",
            )
        counts = Counter([one.baseline async for page in whole for one in page.granules] if announced else ())
        if whole.failed:
            raise CatalogError(whole.failed[0].reason, "Run the same command again later.")
        return dict(sorted(counts.items()))

    async def baseline_at_archive(
        self, collection: str, product_type: str, baseline: str
    ) -> BaselineInfo | None:
        """What a built catalogue would say of one baseline, asked of the archive; None when it is empty."""
        catalog = built.BuiltCatalog(collection)
        builder = self.builder(collection, catalog, file=None)
        await self.catalogue.check(collection, product_type, baseline)
        async with aclosing(builder.build([(product_type, baseline)])) as entries:
            async for _, _, info in entries:
                return info
        if builder.failures:
            raise CatalogError(builder.failures[0].reason, "Run the same command again later.")
        return None

    def builder(self, collection: str, catalog: built.BuiltCatalog, *, file: Path | None) -> built.Builder:
        """What counts the baselines of a collection; with `file` None nothing is saved."""
        return built.Builder(
            partial(self._search, trusting=True),
            file,
            catalog,
            parallel=self.settings.search.parallel,
            now=self.now,
            emit=self.emit,
        )

    def cleanup(
        self, collection: str, product_type: str, baseline: str, *, dry_run: bool = False
    ) -> CleanupReport:
        """Delete the marked files of a baseline; with a dry run only find them."""
        tracker = self.tracker(collection, product_type, baseline)
        return tracker.cleanup(self.places.data_dir, self.places.journal_file, dry_run)

    def mark(self, paths: Sequence[str]) -> MarkReport:
        """Mark downloaded files as processed, whichever baseline they belong to."""
        return self._change_marks(paths, BaselineRegistry.mark)

    def unmark(self, paths: Sequence[str]) -> MarkReport:
        """Take marks away; `new` counts those taken, `already` the files that had none."""
        return self._change_marks(paths, BaselineRegistry.unmark)

    def _change_marks(
        self,
        paths: Sequence[str],
        change: Callable[[BaselineRegistry, Iterable[tuple[str, date]]], int],
    ) -> MarkReport:
        groups: dict[Key, list[tuple[str, date]]] = {}
        report = MarkReport()
        for text in paths:
            place = _place_of(text)
            if place is None:
                report.refused.append(
                    (text, "it is not of the layout .../COLLECTION/PRODUCT/BASELINE/YYYY/MM/DD/FILE")
                )
                continue
            collection, product_type, baseline, day = place
            key = Key(self.mission_of(collection).name, collection, product_type, baseline)
            groups.setdefault(key, []).append((_absolute(text), day))
        for key, found in groups.items():
            changed = change(self.registry.baseline(key), found)
            report.new += changed
            report.already += len(found) - changed
        return report


def _unpickled(
    config: settings.Settings,
    where: dirs.AppDirs,
    bulk: bool,
    transport: httpx.AsyncBaseTransport | None,
) -> Session:
    return Session(config, where, bulk=bulk, transport=transport)


def _absolute(text: str) -> str:
    dirs.absolute(Path(text))
    return os.path.abspath(text)


def _place_of(text: str) -> tuple[str, str, str, date] | None:
    return layout.collection_of(_absolute(text))
