"""The one interface every mission fills in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from maap_tui.engine.model import FileName


@dataclass(frozen=True, slots=True)
class Product:
    """A product type as the mission's handbook describes it."""

    short: str
    """Short name, such as A-NOM; '' when there is none."""
    level: str
    instrument: str
    content: str
    """What is inside, in a few words."""


def _know_no_name(name: str, url: str) -> FileName | None:
    return None


@dataclass(frozen=True, slots=True)
class Mission:
    """Everything the program has to know of one mission."""

    name: str
    """Also the folder under data_dir and the registry."""
    formats: tuple[str, ...]
    """Formats taken when the user names none, best first."""
    collections: tuple[str, ...] = ()
    """Its collections at the archive, in the order they are listed."""
    prefixes: tuple[str, ...] = ()
    """Starts of collection names that belong to it."""
    start: datetime = datetime(1990, 1, 1, tzinfo=UTC)
    """First sensing time there can be."""
    end: datetime = datetime(2046, 1, 1, tzinfo=UTC)
    """First moment after the mission."""
    frames: str = ""
    """Letters of its frames; '' when orbits are not cut into frames."""
    orbit_digits: int = 5
    products: Mapping[str, Product] = field(default_factory=dict)
    unindexed: frozenset[str] = frozenset()
    """Product types that the archive cannot search by orbit or area."""
    newest_only: frozenset[str] = frozenset()
    """Product types with several versions a granule, of which only the newest is of use."""
    parse: Callable[[str, str], FileName | None] = _know_no_name
    """(file name or id, URL it came from) -> what it says, or None."""
    orbit_time: Callable[[int], datetime] | None = None
    """About when an orbit was flown, within two days; None when orbits do not tell."""

    def owns(self, collection: str) -> bool:
        return collection in self.collections or collection.startswith(self.prefixes or ("\0",))
