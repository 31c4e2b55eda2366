"""What this machine knows of the archive without asking it: names, descriptions, built catalogues.

Browse, Search and the palette all ask here. What cannot be read is reported in words and never raised: what
else is known is still shown.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from maap_tui.engine.catalogue import built
from maap_tui.engine.catalogue.client import Catalogue
from maap_tui.engine.catalogue.local_names import LISTED_FILE, baselines_to_offer
from maap_tui.engine.catalogue.queryables import Queryables
from maap_tui.engine.config import dirs
from maap_tui.engine.errors import InvalidRequestError, MaapError, NetworkSetupError
from maap_tui.engine.missions import MISSIONS, mission_named, mission_of_collection
from maap_tui.engine.model import BaselineInfo, Collection, parse_zulu, to_zulu
from maap_tui.engine.storage import files

_MAX_WORDS = 4000
"""Characters kept of a description."""

_AT_ONCE = 4
"""Collections whose names are fetched at the same time."""


@dataclass(frozen=True, slots=True)
class KnownCollection:
    """All that is known here of one collection."""

    name: str
    mission: str
    info: Collection | None = None
    """As the archive described it last; None when it never did."""
    is_listed: bool | None = None
    """Whether the archive had it when it listed its collections; None when it never did."""
    products: tuple[str, ...] = ()
    """Product types of the local queryables and of the built catalogue, sorted."""
    queryables: Queryables | None = None
    """The local copy of its queryables, None without a readable one."""
    catalogue: built.BuiltCatalogue | None = None
    """The built catalogue, None without a readable one."""
    problem: str = ""
    """What of it cannot be read, and what to do; '' when nothing is wrong."""

    @property
    def is_restricted(self) -> bool:
        """Whether its keywords say that only some users may download from it."""
        return self.info is not None and self.info.restricted

    @property
    def has_names(self) -> bool:
        """Whether there is a local copy of its queryables."""
        return self.queryables is not None

    @property
    def baselines(self) -> tuple[str, ...]:
        """Baselines of all its product types together, of the local queryables, oldest first."""
        return tuple(self.queryables.baselines) if self.queryables is not None else ()

    def counted(self, product_type: str) -> dict[str, BaselineInfo]:
        """The baselines of a product type that the built catalogue has."""
        return dict(self.catalogue.products.get(product_type, {})) if self.catalogue else {}

    def baselines_of(self, product_type: str) -> list[str]:
        """Baselines to offer for a product type, oldest first: see `baselines_to_offer`."""
        counts = {name: info.count for name, info in self.counted(product_type).items()}
        return baselines_to_offer(counts, self.baselines)


@dataclass(slots=True)
class Known:
    """The collections known here, by name, in the order they are shown."""

    collections: dict[str, KnownCollection] = field(default_factory=dict)
    problem: str = ""
    """Why the remembered list of collections cannot be read; '' when it can, or there is none."""
    newest: dict[tuple[str, str], str] = field(default_factory=dict)
    """(collection, product type) -> its newest baseline as the archive said; '' when it has none."""
    faults: dict[str, MaapError] = field(default_factory=dict)
    """Collection -> why its names could not be fetched the last time."""

    def refusal(self, collection: str) -> str:
        """Why the archive does not have a collection, in its words; '' when nothing says that."""
        fault = self.faults.get(collection)
        if not isinstance(fault, InvalidRequestError) or isinstance(fault, NetworkSetupError):
            return ""
        return fault.sentences

    def queryables_of(self, collection: str) -> Queryables | None:
        """The local copy of a collection's queryables, None without one."""
        one = self.collections.get(collection)
        return one.queryables if one is not None else None

    def products_of(self, collection: str) -> Sequence[str]:
        """Product types of a collection, sorted; empty while they are not known."""
        one = self.collections.get(collection)
        return one.products if one is not None else ()

    def baselines_of(self, collection: str, product_type: str) -> list[str]:
        """Baselines to offer for a product type, oldest first: see `baselines_to_offer`."""
        one = self.collections.get(collection)
        return one.baselines_of(product_type) if one is not None else []

    def counted(self, collection: str, product_type: str, baseline: str) -> BaselineInfo | None:
        """What the built catalogue says of a baseline, found without regard to case."""
        one = self.collections.get(collection)
        return one.catalogue.baseline(product_type, baseline) if one is not None and one.catalogue else None

    def newest_of(self, collection: str, product_type: str) -> str | None:
        """The newest baseline that holds something; '' when there is none, None while it is not known."""
        said = self.newest.get((collection, product_type))
        one = self.collections.get(collection)
        if said is not None or one is None:
            return said
        return max((name for name, info in one.counted(product_type).items() if info.count), default=None)

    @property
    def missions(self) -> list[str]:
        """Missions that have collections, in order."""
        return list(dict.fromkeys(one.mission for one in self.collections.values()))

    def of_mission(self, mission: str) -> list[KnownCollection]:
        """The collections of a mission."""
        return [one for one in self.collections.values() if one.mission == mission]


class CatalogueIndex:
    """Names, baselines and counts of the archive, from the copies on this machine.

    `known`, `tables` and `load` may be called from any thread; what fetches belongs to the session's loop.
    """

    def __init__(self, client: Catalogue, where: dirs.AppDirs, own: Sequence[str], mission: str = "") -> None:
        """Take what it reads; nothing is opened.

        Args:
            client: The archive, which is asked with its first use.
            where: The folders of the copies.
            own: The collections of the settings, or of the mission in use.
            mission: The mission that collections of `own` belong to; '' when their names say it.
        """
        self._client = client
        self._dirs = where
        self._own = own
        self._mission = mission
        self._known: Known | None = None
        self._untouched: Known | None = None
        """What the program's own tables say."""
        self._newest: dict[tuple[str, str], str] = {}
        self._faults: dict[str, MaapError] = {}
        self._reading = threading.Lock()
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._fetching: dict[str, asyncio.Event] = {}
        self.fetched: set[str] = set()
        """Collections whose names came from the archive since the session began."""

    @property
    def known(self) -> Known:
        """What was read last; before anything was read, what the program's own tables say."""
        if self._known is not None:
            return self._known
        if self._untouched is None:
            self._untouched = self.tables()
        return self._untouched

    def tables(self) -> Known:
        """What the program's own tables and the settings say; nothing is read."""
        return self._in_order([], {})

    def load(self, only: Iterable[str] | None = None) -> Known:
        """Read the local copies; `known` is what they say from then on.

        Args:
            only: the collections to read again; None for all.
        """
        again = None if only is None else set(only)
        # One at a time: each takes over from the last what it does not read itself.
        with self._reading:
            listed, problem = load_collections(self._dirs)
            here = [
                path.name.removesuffix("_queryables.json")
                for path in sorted(self._dirs.catalog_dir.glob("*_queryables.json"))
            ]
            before = self._known.collections if self._known is not None else {}
            found = self._in_order([*here, *before, *sorted(self.fetched)], {one.id: one for one in listed})
            for name, one in found.collections.items():
                old = before.get(name)
                if again is None or name in again or old is None:
                    found.collections[name] = self._read(one)
                else:
                    found.collections[name] = replace(old, info=one.info, is_listed=one.is_listed)
            found.problem = problem
            self._known = found
            return found

    def _in_order(self, here: Sequence[str], listed: dict[str, Collection]) -> Known:
        own = self._own
        names = [
            *own,
            *(name for mission in MISSIONS.values() for name in mission.collections),
            *here,
            *listed,
        ]
        rows = []
        for name in dict.fromkeys(names):
            # A collection of the settings belongs to their mission; the names of others say theirs.
            mission = (mission_of_collection(name, self._mission if name in own else "")).name
            rows.append(
                KnownCollection(name, mission, listed.get(name), is_listed=name in listed if listed else None)
            )
        first = mission_named(self._mission or next(iter(MISSIONS))).name
        order = {name: at for at, name in enumerate([first, *MISSIONS])}
        rows.sort(key=lambda one: (order.get(one.mission, len(order)), one.mission))
        return Known({one.name: one for one in rows}, newest=self._newest, faults=self._faults)

    def _read(self, one: KnownCollection) -> KnownCollection:
        problems = []
        products: set[str] = set()
        queryables = catalogue = None
        try:
            queryables = self._client.local_queryables(one.name)
            if queryables is not None:
                products |= set(queryables.products)
            elif self._dirs.queryables_file(one.name).exists():
                problems.append("The local copy of its names cannot be read; refresh it.")
        except (MaapError, OSError) as error:
            problems.append(str(error))
        try:
            catalogue = built.load(self._dirs, one.name)
            if catalogue is not None:
                products |= set(catalogue.products)
        except MaapError as error:
            if str(error) not in problems:
                problems.append(error.sentences)
        return replace(
            one,
            products=tuple(sorted(products)),
            queryables=queryables,
            catalogue=catalogue,
            problem=" ".join(problems),
        )

    def missing(self, names: Iterable[str]) -> list[str]:
        """Those collections that have no local copy of their names and that the archive may have."""
        known = self.known
        rows = [known.collections[name] for name in names if name in known.collections]
        return [
            one.name
            for one in rows
            if not one.has_names and one.is_listed is not False and one.name not in self._faults
        ]

    async def learn(self, name: str) -> None:
        """Know the names of a collection: from the copy on this machine, without one from the archive.

        Raises:
            MaapError: as `fetch`.
        """
        if self.known.queryables_of(name) is None:
            await asyncio.to_thread(self.load, (name,))
        if self.known.queryables_of(name) is None:
            await self.fetch(name)

    async def fetch(self, name: str) -> None:
        """Fetch the names of a collection again; one that is being fetched already is waited for.

        Raises:
            MaapError: as `Catalogue.queryables`; `Known.faults` keeps it.
        """
        while (other := self._fetching.get(name)) is not None:
            await other.wait()
            if (fault := self._faults.get(name)) is not None:
                raise fault
            if name in self.fetched:
                return
            # Whoever asked has gone before there was an answer.
        done = self._fetching[name] = asyncio.Event()
        try:
            async with self._slots:
                await self._client.queryables(name, refresh=True)
            self._faults.pop(name, None)
            self.fetched.add(name)
            await asyncio.to_thread(self.load, (name,))
        except MaapError as error:
            self._faults[name] = error
            raise
        finally:
            del self._fetching[name]
            done.set()

    def note_newest(self, collection: str, product_type: str, baselines: Iterable[str]) -> str:
        """Keep what the archive says holds something of a product type; returns the newest, '' for none."""
        newest = self._newest[collection, product_type] = max(baselines, default="")
        return newest

    async def fetch_collections(self) -> list[Collection]:
        """Ask the archive for its collections and remember the answer.

        Raises:
            CatalogError: when it does not answer.
        """
        found = await self._client.collections()
        if found:
            await asyncio.to_thread(save_collections, self._dirs, found)
        return found


def save_collections(where: dirs.AppDirs, collections: Sequence[Collection]) -> None:
    """Remember what the archive said of its collections; a disk that refuses it changes nothing."""
    rows = [
        {
            "id": one.id,
            "title": one.title[:_MAX_WORDS],
            "description": one.description[:_MAX_WORDS],
            "keywords": list(one.keywords),
            "restricted": one.restricted,
            "start": to_zulu(one.start) if one.start else None,
            "end": to_zulu(one.end) if one.end else None,
        }
        for one in collections
    ]
    text = json.dumps({"collections": rows}, indent=1) + "\n"
    try:
        files.write_atomic(where.cache_file(LISTED_FILE), text)
    except MaapError:
        return  # a cache: what is shown now is not less true


def load_collections(where: dirs.AppDirs) -> tuple[list[Collection], str]:
    """What the archive said of its collections last, and what is wrong with the file; '' for nothing."""
    file = where.cache_file(LISTED_FILE)
    try:
        rows = json.loads(file.read_bytes())["collections"]
        return [_collection(row) for row in rows], ""
    except FileNotFoundError:
        return [], ""
    except OSError as error:
        return [], f"{file} cannot be read ({error.strerror or type(error).__name__})."
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return [], f"{file} is damaged; it is written again when the archive answers."


def _collection(row: Any) -> Collection:
    start, end = row.get("start"), row.get("end")
    return Collection(
        id=str(row["id"]),
        title=str(row.get("title") or ""),
        description=str(row.get("description") or ""),
        keywords=tuple(str(word) for word in row.get("keywords") or ()),
        restricted=bool(row.get("restricted")),
        start=parse_zulu(start) if start else None,
        end=parse_zulu(end) if end else None,
    )
