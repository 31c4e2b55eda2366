"""What this machine knows of the archive without asking it: names, descriptions, built catalogues.

What cannot be read here is reported in words and never raised: what else is known is still shown.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from maap_tui.engine.catalogue import built
from maap_tui.engine.catalogue.client import Catalogue
from maap_tui.engine.catalogue.local_names import LISTED_FILE, baselines_to_offer
from maap_tui.engine.config import dirs
from maap_tui.engine.errors import MaapError
from maap_tui.engine.missions import MISSIONS, mission_named, mission_of_collection
from maap_tui.engine.model import BaselineInfo, Collection, parse_zulu, to_zulu
from maap_tui.engine.storage import files

_MAX_WORDS = 4000
"""Characters kept of a description."""


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
    baselines: tuple[str, ...] = ()
    """Baselines of all its product types together, of the local queryables, oldest first."""
    has_names: bool = False
    """Whether there is a local copy of its queryables."""
    catalog: built.BuiltCatalog | None = None
    """The built catalogue, None without a readable one."""
    problem: str = ""
    """What of it cannot be read, and what to do; '' when nothing is wrong."""

    @property
    def is_restricted(self) -> bool:
        """Whether its keywords say that only some users may download from it."""
        return self.info is not None and self.info.restricted

    def counted(self, product_type: str) -> dict[str, BaselineInfo]:
        """The baselines of a product type that the built catalogue has."""
        return dict(self.catalog.products.get(product_type, {})) if self.catalog else {}

    def baselines_of(self, product_type: str) -> list[str]:
        """Baselines to show for a product type, oldest first.

        Those that were counted; with them, or alone when there are none, the ones of the collection
        that are newer and were not.
        """
        return baselines_to_offer(self.counted(product_type), self.baselines)


@dataclass(slots=True)
class Known:
    """The collections known here, by name, in the order they are shown."""

    collections: dict[str, KnownCollection] = field(default_factory=dict)
    problem: str = ""
    """Why the remembered list of collections cannot be read; '' when it can, or there is none."""

    @property
    def missions(self) -> list[str]:
        """Missions that have collections, in order."""
        return list(dict.fromkeys(one.mission for one in self.collections.values()))

    def of_mission(self, mission: str) -> list[KnownCollection]:
        """The collections of a mission."""
        return [one for one in self.collections.values() if one.mission == mission]


class CatalogueIndex:
    """Names, baselines and counts of the archive, from the copies on this machine."""

    def __init__(self, client: Catalogue, where: dirs.AppDirs, own: Sequence[str], mission: str = "") -> None:
        """Take what it reads; nothing is opened.

        Args:
            client: The archive.
            where: The folders of the copies.
            own: The collections of the settings, or of the mission in use.
            mission: The mission that collections of `own` belong to; '' when their names say it.
        """
        self._client = client
        self._dirs = where
        self._own = own
        self._mission = mission

    def tables(self) -> Known:
        """What the program's own tables and the settings say; nothing is read."""
        return self._in_order([], {})

    def load(self, only: Iterable[str] | None = None, known: Known | None = None) -> Known:
        """Read all local copies.

        Args:
            only: the collections to read again; None for all.
            known: what was read before; what `only` leaves out is taken from it.
        """
        listed, problem = load_collections(self._dirs)
        here = [
            path.name.removesuffix("_queryables.json")
            for path in sorted(self._dirs.catalog_dir.glob("*_queryables.json"))
        ]
        before = dict(known.collections) if known is not None else {}
        found = self._in_order([*here, *before], {one.id: one for one in listed})
        again = None if only is None else set(only)
        for name, one in found.collections.items():
            old = before.get(name)
            if again is None or name in again or old is None:
                found.collections[name] = self._read(one)
            else:
                found.collections[name] = replace(old, info=one.info, is_listed=one.is_listed)
        found.problem = problem
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
        return Known({one.name: one for one in rows})

    def _read(self, one: KnownCollection) -> KnownCollection:
        problems = []
        products: set[str] = set()
        baselines: list[str] = []
        has_names = False
        catalog = None
        try:
            queryables = self._client.local_queryables(one.name)
            if queryables is not None:
                products |= set(queryables.products)
                baselines = queryables.baselines
                has_names = True
            elif self._dirs.queryables_file(one.name).exists():
                problems.append("The local copy of its names cannot be read; refresh it.")
        except (MaapError, OSError) as error:
            problems.append(str(error))
        try:
            catalog = built.load(self._dirs, one.name)
            if catalog is not None:
                products |= set(catalog.products)
        except MaapError as error:
            if str(error) not in problems:
                problems.append(error.sentences)
        return replace(
            one,
            products=tuple(sorted(products)),
            baselines=tuple(baselines),
            has_names=has_names,
            catalog=catalog,
            problem=" ".join(problems),
        )

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
