"""Collections, queryables, items and searches as the archive serves them; local copies of queryables."""

from __future__ import annotations

import asyncio
import copy
import itertools
import json
import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urljoin

from maap_tui.engine.catalogue import dialect
from maap_tui.engine.catalogue.pages import (
    ConditionRefused,
    SearchRefused,
    ServedPage,
    Take,
    next_link,
    read_page,
    whole,
)
from maap_tui.engine.catalogue.queryables import Queryables, check_collection_name, unknown, wrong_name
from maap_tui.engine.catalogue.stac import resolved
from maap_tui.engine.config import dirs
from maap_tui.engine.errors import (
    CatalogError,
    InvalidRequestError,
    MaapError,
    NoCollectionError,
    StorageError,
)
from maap_tui.engine.events import Emit, Noted, Warned, ignore
from maap_tui.engine.missions import default_collections
from maap_tui.engine.model import Collection, parse_zulu
from maap_tui.engine.net.faults import TransportFault
from maap_tui.engine.net.origins import origin_of
from maap_tui.engine.net.statuses import GONE, is_lasting
from maap_tui.engine.storage import files

if TYPE_CHECKING:
    from maap_tui.engine import cql2
    from maap_tui.engine.net.http import Http, Reply

_RESTRICTED = re.compile(r"RESTRICTED|_COMM\b|COMMISSIONING|CORE_COMM", re.I)


ENOUGH = 5
"""Items that agree with a filter, from which on a service is believed to obey it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The first page of a search."""

    page: ServedPage
    body: Mapping[str, Any]
    """What was asked, as the body of a POST: its next page may repeat it."""
    is_filtered: bool
    """Whether the service filtered; otherwise all of the collection in that time and place is in it."""


class Catalogue:
    """The catalogue of the archive.

    What asks it belongs to the session's loop; `known_collections` and `local_queryables` read files alone
    and may be called from any thread.
    """

    def __init__(
        self,
        http: Http,
        root: str,
        where: dirs.AppDirs,
        *,
        parallel: int,
        emit: Emit = ignore,
        unkept: Emit = ignore,
    ) -> None:
        """Take the way to it; ask nothing.

        Args:
            http: the way to the network.
            root: URL of the STAC root, ending in a slash.
            where: the folders of the local copies.
            parallel: pages asked for at once, by all searches together.
            emit: takes the events of what is fetched.
            unkept: called with what could not be kept for later runs.
        """
        self._http = http
        self.root = root
        self._places = where
        self._emit = emit
        self._unkept = unkept
        self._queryables: dict[str, Queryables] = {}
        self._fetching: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._dialects = dialect.Dialects(where.cache_file("dialects.json"), root)
        self._is_patient = False
        self.set_parallel(parallel)

    def set_parallel(self, count: int) -> None:
        """Ask for so many pages at once from now on."""
        self._slots = asyncio.Semaphore(count)

    def patient(self) -> Catalogue:
        """The same catalogue, whose requests wait for the end of an outage of the service."""
        other = copy.copy(self)
        other._is_patient = True
        return other

    @property
    def is_proven(self) -> bool:
        """Whether the service has shown, to this process, that it obeys filters."""
        return self._dialects.is_proven

    def dropped(self, collection: str) -> set[str]:
        """Parts of filters by which a collection finds nothing of what it has; changed in place."""
        return self._dialects.dropped.setdefault(collection, set())

    def honoured(self, collection: str) -> set[str]:
        """Parts of filters by which a collection has found something; changed in place."""
        return self._dialects.honoured.setdefault(collection, set())

    def known_collections(self, mission: str = "") -> list[str]:
        """Names that need no request: the missions' own and those with a local copy."""
        here = [
            path.name.removesuffix("_queryables.json")
            for path in sorted(self._places.catalog_dir.glob("*_queryables.json"))
        ]
        return default_collections(here)

    async def collections(self) -> list[Collection]:
        """Every collection of the archive, by id.

        Raises:
            CatalogError: when they cannot be fetched.
        """
        found: dict[str, Collection] = {}
        url, seen = urljoin(self.root, "collections?limit=200"), set[str]()
        while url and url not in seen and len(seen) < 100:
            seen.add(url)
            data = await self._get(url, "the list of collections")
            rows = data.get("collections")
            for row in rows if isinstance(rows, list) else []:
                collection = _collection_of(row)
                if collection is not None:
                    found[collection.id] = collection
            url = self._next_href(data, url) if rows else ""
        return [found[name] for name in sorted(found)]

    async def collection(self, name: str) -> Collection:
        """One collection.

        Raises:
            InvalidRequestError: when the archive has no such collection.
            CatalogError: when it does not answer.
        """
        data = await self._get(urljoin(self.root, f"collections/{quote(name, safe='')}"), name, name)
        collection = _collection_of(data)
        if collection is None:
            raise CatalogError(f"The catalogue's description of {name} cannot be read")
        return collection

    def local_queryables(self, name: str) -> Queryables | None:
        """The local copy, None without a readable one; no request is made."""
        if name in self._queryables:
            return self._queryables[name]
        try:
            data = json.loads(self._places.queryables_file(name).read_bytes())
        except (OSError, ValueError, RecursionError):
            return None
        properties = data.get("properties") if isinstance(data, dict) else None
        if not isinstance(properties, dict) or not properties:
            return None
        return Queryables.of(name, data)

    async def queryables(self, name: str, *, refresh: bool = False, must_keep: bool = False) -> Queryables:
        """What a collection can be searched by: the local copy, fetched on first use or on demand.

        Args:
            name: the collection.
            refresh: whether to fetch it again.
            must_keep: whether a copy that cannot be written is an error rather than a warning.

        Raises:
            InvalidRequestError: when the archive has no such collection.
            CatalogError: when they cannot be fetched.
        """
        check_collection_name(name)
        # Many searches of a collection begin at once: one of them fetches for all.
        async with self._fetching[name]:
            local = None if refresh else self.local_queryables(name)
            if local is None:
                local = await self._fetch_queryables(name, must_keep=must_keep)
            self._queryables[name] = local
            return local

    async def _fetch_queryables(self, name: str, *, must_keep: bool) -> Queryables:
        data = await self.queryables_as_served(name)
        text = json.dumps({**data, "collection": name}, indent=2, ensure_ascii=False)
        try:
            await asyncio.to_thread(files.write_atomic, self._places.queryables_file(name), text + "\n")
        except StorageError as error:
            if must_keep:
                raise
            self._unkept(Warned(f"What the archive says is not kept for later runs: {error.message}"))
        self._emit(Noted(f"Fetched the queryables of {name}"))
        return Queryables.of(name, data)

    async def queryables_as_served(self, name: str) -> dict[str, Any]:
        """The JSON schema of a collection's queryables, asked of the archive and kept nowhere.

        Raises:
            InvalidRequestError: when the archive has no such collection.
            CatalogError: when it cannot be fetched.
        """
        check_collection_name(name)
        url = urljoin(self.root, f"collections/{quote(name, safe='')}/queryables")
        try:
            data = dict(await self._get(url, f"the queryables of {name}", name))
        except NoCollectionError:
            # A service need not have queryables: a collection without them can be searched by time.
            await self.collection(name)
            data = {"properties": {}}
        if not isinstance(data.get("properties"), dict):
            raise CatalogError(
                f"The queryables of {name} cannot be read", "Run the same command again later."
            )
        return data

    async def check(self, collection: str, product_type: str, baseline: str | None = None) -> Queryables:
        """The queryables, once the names are known to exist in them.

        A name that the local copy does not have is looked for in a fresh one before it is refused.

        Raises:
            InvalidRequestError: with the nearest names that exist.
        """
        local = self.local_queryables(collection)
        found = local or await self.queryables(collection)
        wrong = wrong_name(found, product_type, baseline)
        if wrong is not None and local is not None:
            try:
                found = await self.queryables(collection, refresh=True)
            except CatalogError:
                raise wrong from None
            wrong = wrong_name(found, product_type, baseline)
        if wrong is not None:
            raise wrong
        return found

    async def search(
        self,
        body: Mapping[str, Any],
        condition: cql2.Condition | None,
        obeyed: Callable[[list[Any]], bool | None],
        take: Take = whole,
    ) -> Answer:
        """The first page of a search, asked in the language that the service speaks.

        Args:
            body: the search without its filter.
            condition: the filter, None for none.
            obeyed: whether the properties of these items show that the filter was obeyed; None when they show
                nothing.
            take: see `pages.read_page`.

        Raises:
            CatalogError: when it cannot be fetched.
            SearchRefused: when the catalogue will not search that, however it is asked.
        """
        most = len(dialect.FILTERING)
        for turn in itertools.count(1):
            current = self._dialects.current
            refused: SearchRefused | None = None
            try:
                answer = await self._search_in(current, body, condition, take)
                sample = answer.page.sample
                verdict = obeyed(sample) if answer.is_filtered else None
                if verdict and len(sample) >= ENOUGH:
                    self._dialects.is_proven = True
                if verdict is not False:
                    return answer
            except SearchRefused as error:
                if error.status not in dialect.REFUSALS or error.is_page_limit:
                    raise
                refused = error
            async with self._dialects.learning:
                # Several windows are refused at once: the first finds out for all of them.
                if self._dialects.current == current or turn == most:
                    return await self._learn(current, refused, body, condition, obeyed, take)
        raise AssertionError  # the last turn returns or raises

    async def search_with(
        self,
        body: Mapping[str, Any],
        condition: cql2.Condition | None,
        more: cql2.Condition,
        obeyed: Callable[[list[Any]], bool | None],
        take: Take = whole,
    ) -> Answer:
        """As `search`, with a further condition that the service may refuse where it takes the others.

        Such a refusal says nothing on the language: what is learned of that comes from the others alone.

        Args:
            body: the search without its filter.
            condition: the filter without the further condition, None for none.
            more: the further condition.
            obeyed: as for `search`, of `condition`.
            take: see `pages.read_page`.

        Raises:
            CatalogError: when it cannot be fetched.
            ConditionRefused: when the catalogue searches without the further condition alone.
            SearchRefused: when the catalogue will not search that, however it is asked.
        """
        from maap_tui.engine import cql2

        both = cql2.every(filter(None, (condition, more)))
        status = 0
        for _ in range(2):
            current = self._dialects.current
            try:
                answer = await self._search_in(current, body, both, take)
                if not answer.is_filtered or obeyed(answer.page.sample) is not False:
                    return answer
                status = 200
            except SearchRefused as error:
                if error.is_page_limit or not is_lasting(error.status):
                    raise
                status = error.status
            await self.search({**body, "limit": 2 * ENOUGH}, condition, obeyed)
            if self._dialects.current == current:
                break
        raise ConditionRefused(status)

    async def _learn(
        self,
        current: dialect.Dialect,
        refused: SearchRefused | None,
        body: Mapping[str, Any],
        condition: cql2.Condition | None,
        obeyed: Callable[[list[Any]], bool | None],
        take: Take,
    ) -> Answer:
        """Ask in every other way until one is obeyed; `refused` is None for a filter that was ignored."""
        declared = await self._conformance()
        useless = {current.method} if refused and refused.status in dialect.NO_METHOD else set[str]()
        is_ignored = refused is None
        for other in dialect.candidates(declared, current):
            if other.method in useless:
                continue
            try:
                answer = await self._search_in(other, body, condition, take)
            except SearchRefused as error:
                if error.status in dialect.NO_METHOD:
                    useless.add(other.method)
                refused = refused or error
                continue
            verdict = obeyed(answer.page.sample)
            if verdict is False:
                is_ignored = True
                continue
            await self._dialects.learn(other, is_proven=verdict is True)
            self._emit(Noted(f"The catalogue takes filters as {other}"))
            return answer
        if is_ignored or dialect.declares_no_filters(declared):
            for other in dialect.UNFILTERED:
                try:
                    answer = await self._search_in(other, body, condition, take)
                except SearchRefused as error:
                    refused = refused or error
                    continue
                await self._dialects.learn(other, is_proven=False)
                self._emit(
                    Warned(
                        "The catalogue does not filter: everything it has in the time and place asked for "
                        "is read and filtered here, which takes longer"
                    )
                )
                return answer
        assert refused is not None
        raise refused

    async def _search_in(
        self,
        chosen: dialect.Dialect,
        body: Mapping[str, Any],
        condition: cql2.Condition | None,
        take: Take,
    ) -> Answer:
        asked = dialect.worded(chosen, body, condition)
        url = urljoin(self.root, "search")
        if chosen.method == "POST":
            page = await self.page("POST", url, asked, take)
        else:
            page = await self.page("GET", f"{url}?{dialect.as_query(asked)}", None, take)
        return Answer(page, asked, condition is None or bool(chosen.language))

    async def _conformance(self) -> list[str]:
        """The conformance classes that the landing page names, read once; [] when it names none."""
        if self._dialects.declared is None:
            try:
                classes = (await self._get(self.root, "the landing page")).get("conformsTo")
            except (CatalogError, InvalidRequestError):
                classes = None
            names = classes if isinstance(classes, list) else []
            self._dialects.declared = [name for name in names if isinstance(name, str)]
        return self._dialects.declared

    async def page(
        self, method: str, url: str, body: Mapping[str, Any] | None = None, take: Take = whole
    ) -> ServedPage:
        """One page of a search, by GET, or by POST of a body.

        Args:
            method: GET or POST.
            url: where to.
            body: what to send.
            take: see `pages.read_page`.

        Raises:
            CatalogError: when it cannot be fetched.
            SearchRefused: when the catalogue answered that it will not search that.
        """
        async with self._slots:
            reply = await self._ask(method, url, json_body=body)
            if reply.status != 200:
                words = reply.error_words() or f"{reply.status} {reply.reason}".strip()
                raise SearchRefused(reply.status, words)
            try:
                return read_page(reply.body, reply.url, take)
            except ValueError as error:
                raise _not_json("The search result", error) from None

    async def item(self, url: str) -> Mapping[str, Any] | None:
        """One item by its URL, None where the catalogue does not have it.

        Raises:
            InvalidRequestError: when the catalogue refuses to say.
            CatalogError: when it does not answer.
        """
        reply = await self._ask("GET", url)
        if reply.status in (*GONE, 400, 422):
            return None
        if reply.status != 200:
            raise self._failure(reply, "the item")
        found: Mapping[str, Any] = resolved(_object_of(reply, "the item"), reply.url)
        return found

    def joined(self, href: str, base: str = "") -> str:
        """A link of the catalogue as an absolute URL, as it stands when it cannot be read."""
        try:
            return urljoin(base or self.root, href)
        except ValueError:
            return href

    def is_own(self, url: str) -> bool:
        """Whether a link leads to the catalogue itself."""
        return origin_of(url) == origin_of(self.root)

    async def _get(self, url: str, what: str, collection: str = "") -> Mapping[str, Any]:
        reply = await self._ask("GET", url)
        if reply.status in GONE and collection:
            error = unknown("collection", collection, self.known_collections(), "See `maap list`.")
            raise NoCollectionError(error.message, error.hint)
        if reply.status != 200:
            raise self._failure(reply, what)
        return _object_of(reply, what)

    def _failure(self, reply: Reply, what: str) -> MaapError:
        """What an answer without what was asked for means."""
        words = reply.error_words() or reply.reason
        message = f"Failed to fetch {what}: {reply.status} {words}"
        if is_lasting(reply.status):
            return InvalidRequestError(message, f"Check api.catalog_url, which is {self.root}.")
        return CatalogError(message, "Run the same command again later.")

    async def _ask(self, method: str, url: str, *, json_body: Any = None) -> Reply:
        try:
            return await self._http.ask(
                method,
                url,
                json_body=json_body,
                again=_is_passing_error,
                probe=self.root if self._is_patient else "",
            )
        except TransportFault as fault:
            raise CatalogError(
                f"The catalogue did not answer: {fault.message}",
                fault.hint or "Run the same command again later.",
            ) from fault

    def _next_href(self, data: Mapping[str, Any], base: str) -> str:
        link = next_link(data)
        href = self.joined(str(link.get("href", "")), base) if link else ""
        if href and not self.is_own(href):
            self._emit(Warned(f"A link to another host was not followed: {href[:120]!r}"))
            return ""
        return href


def _is_passing_error(reply: Reply) -> bool:
    # Seen on page requests that work when repeated (docs/service.md, Searches). A gateway's HTML under
    # status 200 is the same kind of error.
    if reply.status == 400:
        return reply.error_words().startswith("Invalid token")
    return reply.status == 200 and reply.body.lstrip()[:1] == b"<"


def _object_of(reply: Reply, what: str) -> Mapping[str, Any]:
    try:
        data = reply.json()
    except ValueError as error:
        raise _not_json(what, error) from None
    if not isinstance(data, dict):
        raise CatalogError(f"{what[:1].upper()}{what[1:]} is not a JSON object", "Run it again later.")
    return data


def _not_json(what: str, error: ValueError) -> CatalogError:
    return CatalogError(
        f"{what[:1].upper()}{what[1:]} is not JSON ({error})", "Run the same command again later."
    )


def _collection_of(row: Any) -> Collection | None:
    if not isinstance(row, dict) or not isinstance(row.get("id"), str):
        return None
    keywords = row.get("keywords")
    words = [str(word) for word in keywords] if isinstance(keywords, list) else []
    themes = row.get("themes")
    for theme in themes if isinstance(themes, list) else []:
        concepts = theme.get("concepts") if isinstance(theme, dict) else None
        for concept in concepts if isinstance(concepts, list) else []:
            if isinstance(concept, dict) and isinstance(concept.get("id"), str):
                words.append(concept["id"])
    start = end = None
    try:
        interval = row["extent"]["temporal"]["interval"][0]
        start = parse_zulu(interval[0]) if interval[0] else None
        end = parse_zulu(interval[1]) if interval[1] else None
    except (KeyError, IndexError, TypeError, ValueError):
        pass
    return Collection(
        id=row["id"],
        title=str(row.get("title") or ""),
        description=str(row.get("description") or ""),
        keywords=tuple(words),
        restricted=any(_RESTRICTED.search(word) for word in words),
        start=start,
        end=end,
    )
