"""Queryables: what a collection can be searched by, and names judged by them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.search_keys import NEW_KEYS, OLD_KEYS, Keys
from maap_tui.engine.storage import names

_STAMPS = (
    ("updated", "updated"),
    ("modificationDate", "updated"),
    ("published", "published"),
    ("creationDate", "published"),
)
"""Properties that say when an item came or changed, best first (docs/service.md, Queryables)."""


@dataclass(frozen=True, slots=True)
class Queryables:
    """What a collection can be searched by, and the values it has."""

    collection: str
    properties: Mapping[str, Any] = field(repr=False)
    is_open: bool = False
    """Whether they say that items can be searched by any other property as well."""

    @classmethod
    def of(cls, collection: str, schema: Mapping[str, Any]) -> Queryables:
        """Those of a JSON schema as it is served; its `properties` have to be an object."""
        return cls(collection, schema["properties"], schema.get("additionalProperties") is True)

    @property
    def products(self) -> list[str]:
        """Product types, sorted; [] when the archive lists none."""
        return sorted(self._values(NEW_KEYS.product) or self._values(OLD_KEYS.product))

    @property
    def baselines(self) -> list[str]:
        """Baselines of all its products together, upper case, oldest first."""
        found = self._values(NEW_KEYS.baseline) or self._values(OLD_KEYS.baseline)
        return sorted({name.upper() for name in found})

    @property
    def keys(self) -> Keys:
        """How it spells its properties."""
        return OLD_KEYS if OLD_KEYS.product in self.properties and not self._is_new else NEW_KEYS

    @property
    def has_orbits(self) -> bool:
        """Whether orbits can be searched, as far as the service says."""
        return self.is_open or self.keys.orbit in self.properties

    @property
    def has_frames(self) -> bool:
        """Whether frames can be searched; they can wherever orbits are listed, listed or not."""
        return "frame" in self.properties or self.keys.orbit in self.properties

    @property
    def has_tracks(self) -> bool:
        """Whether track numbers can be searched."""
        return "track" in self.properties

    @property
    def _is_new(self) -> bool:
        return NEW_KEYS.product in self.properties

    def baseline_spellings(self, baseline: str) -> list[str]:
        """How items may spell a baseline: the list of values and the items differ in case."""
        listed = self._values(NEW_KEYS.baseline) or self._values(OLD_KEYS.baseline)
        return [*_same(baseline, listed), baseline.upper(), baseline.lower()]

    def product_spellings(self, product_type: str) -> list[str]:
        """How items may spell a product type; their names have it in capitals."""
        return [product_type, *_same(product_type, self.products), product_type.upper()]

    @property
    def stamp(self) -> tuple[str, str] | None:
        """The property by which can be asked what has arrived, and the field of a granule that it is.

        None where there is no such property. The last change comes before the arrival: an item may
        be found only days after the time that it gives for its arrival.
        """
        for name, field_name in _STAMPS:
            if name in self.properties:
                return name, field_name
        return _STAMPS[0] if self.is_open else None

    @property
    def numbers(self) -> frozenset[str]:
        """The names of those of its properties that are numbers."""
        return frozenset(
            name
            for name, entry in self.properties.items()
            if isinstance(entry, dict) and entry.get("type") in ("integer", "number")
        )

    def _values(self, key: str) -> list[str]:
        entry = self.properties.get(key)
        values = entry.get("enum") if isinstance(entry, dict) else entry
        return [str(value) for value in values] if isinstance(values, list) else []


def _same(name: str, known: Iterable[str]) -> list[str]:
    return [one for one in known if one.casefold() == name.casefold()]


def nearest(name: str, known: Iterable[str], count: int = 3) -> list[str]:
    """The names most like `name`, best first, compared without case."""
    import difflib

    by_lower = {one.lower(): one for one in known}
    found = difflib.get_close_matches(name.lower(), list(by_lower), n=count, cutoff=0.5)
    return [by_lower[one] for one in found]


def unknown(what: str, name: str, known: Sequence[str], look: str, *, where: str = "") -> InvalidRequestError:
    """The error for a name that does not exist, with the nearest ones that do."""
    close = [one for one in nearest(name, known) if one != name]
    hint = f"Did you mean {' or '.join(close)}? " if close else ""
    return InvalidRequestError(f"There is no {what} '{name}'{where}", f"{hint}{look}")


def check_collection_name(name: str) -> None:
    """Refuse what cannot be the name of a collection."""
    if not names.is_searchable(name):
        raise InvalidRequestError(f"'{name[:60]}' is not a collection name", "See `maap list`.")


def wrong_name(queryables: Queryables, product_type: str, baseline: str | None) -> InvalidRequestError | None:
    """The error for names that a collection does not have, None when it has them all."""
    name = queryables.collection
    products, baselines = queryables.products, queryables.baselines
    # Items have it in capitals, as their names do, whatever the list of values says.
    listed = {*products, *(one.upper() for one in products)}
    if products and product_type not in listed:
        return unknown(
            "product type", product_type, products, f"See `maap list {name}`.", where=f" in {name}"
        )
    if baseline and baselines and baseline.upper() not in baselines:
        return InvalidRequestError(
            f"There is no baseline '{baseline}' in {name}", f"It has {', '.join(baselines)}."
        )
    return None
