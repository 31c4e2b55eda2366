"""How a collection spells the properties that can be searched (docs/service.md, Queryables)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass
from functools import cache
from typing import Any


@dataclass(frozen=True, slots=True)
class Keys:
    """The names of the properties in one spelling; '' for one that it does not have."""

    product: str
    baseline: str
    orbit: str
    frame: str = "frame"
    direction: str = ""
    track: str = "track"

    def values_of(self, properties: Mapping[str, Any]) -> dict[str, Any]:
        """What the properties of an item, in either spelling, say of each of these."""
        return {name: properties.get(new, properties.get(old)) for name, new, old in _names_of(self)}


NEW_KEYS = Keys("product:type", "version", "sat:absolute_orbit", direction="sat:orbit_state")
"""Spelling since February 2026."""
OLD_KEYS = Keys("productType", "productVersion", "orbitNumber", direction="orbitDirection")
"""Spelling before; the service still takes it."""


@cache
def _names_of(keys: Keys) -> tuple[tuple[str, str, str], ...]:
    """Each of these keys with its new and its old spelling; read for every item, so kept."""
    return tuple(zip(astuple(keys), astuple(NEW_KEYS), astuple(OLD_KEYS), strict=True))
