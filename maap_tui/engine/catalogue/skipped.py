"""Items that could not be used: what is missing from a result, and where the registry keeps that.

A line in the baseline's errors.txt, `URL|TIME skipped: REASON (1 try)`, with the item's own address in
place of a file's. It leaves when a later search finds the item usable, or its day without it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote, urljoin

from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.missions import parse_name
from maap_tui.engine.model import Granule, TimeRange, parse_zulu
from maap_tui.engine.query import Query
from maap_tui.engine.registry.entries import Key


@dataclass(frozen=True, slots=True)
class SkippedItem:
    """An item of the archive that could not be used."""

    name: str
    """Its id, as far as it has one; '' otherwise."""
    url: str
    """Where the archive has the item itself; '' when that is unknown."""
    reason: str
    """Why, in words that follow its name."""
    product_type: str
    baseline: str
    """'' when neither the item nor the query says it."""
    start: datetime | None
    """Sensing start; None when unknown."""

    @property
    def words(self) -> str:
        """Which, and why."""
        return f"{self.name[:120]!a} {self.reason}" if self.name else self.reason

    def is_wanted(self, query: Query, time: TimeRange | None) -> bool:
        """Whether it would have been part of a result, as far as it says.

        Args:
            query: what was searched for.
            time: the span that is searched; None for an orbit search.
        """
        if self.product_type.casefold() != query.product_type.casefold():
            return False
        if query.baseline and self.baseline.lower() != query.baseline.lower():
            return False
        if time is not None and self.start is not None and self.start not in time:
            return False
        name = parse_name(self.name)
        if name is None:
            return True
        if query.frames and name.frame not in query.frames:
            return False
        return not query.orbits or any(
            name.orbit is None or low <= name.orbit <= high for low, high in query.orbits
        )


def skipped_item(item: Any, reason: str, query: Query, root: str) -> SkippedItem:
    """What is known of an item that cannot be read.

    Args:
        item: as the service sent it.
        reason: why it cannot be used.
        query: what was searched for.
        root: URL of the STAC root, ending in a slash.
    """
    data: Mapping[str, Any] = item if isinstance(item, dict) else {}
    identity = data.get("id")
    is_number = isinstance(identity, int) and not isinstance(identity, bool)
    identity = str(identity) if is_number or isinstance(identity, str) else ""
    properties = data.get("properties")
    properties = properties if isinstance(properties, dict) else {}
    name = parse_name(identity) if identity else None
    version = properties.get("version", properties.get("productVersion"))
    version = version.upper() if isinstance(version, str) else ""
    product = properties.get("product:type", properties.get("productType"))
    product = product if isinstance(product, str) else query.product_type
    start = name.sensing_start if name is not None else None
    for key in ("start_datetime", "datetime") if start is None else ():
        try:
            start = start or parse_zulu(properties[key])
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            continue
    return SkippedItem(
        name=identity,
        url=item_url(data, identity, query.collection, root),
        reason=reason.removeprefix(f"{identity[:80]!r} "),
        product_type=name.product_type if name is not None else product,
        baseline=(name.baseline if name is not None else None) or version or query.baseline or "",
        start=start,
    )


def skipped_granule(granule: Granule, reason: str, root: str) -> SkippedItem:
    """A granule that was read, and has nothing of what is wanted."""
    return SkippedItem(
        name=granule.id,
        url=item_url({}, granule.id, granule.collection, root),
        reason=reason,
        product_type=granule.product_type,
        baseline=granule.baseline,
        start=granule.sensing_start,
    )


def item_url(data: Mapping[str, Any], identity: str, collection: str, root: str) -> str:
    """The address of an item: by its id, otherwise what it says itself; '' when neither does."""
    if identity:
        return urljoin(root, f"collections/{quote(collection, safe='')}/items/{quote(identity, safe='')}")
    links = data.get("links")
    for link in links if isinstance(links, list) else []:
        if isinstance(link, dict) and link.get("rel") == "self" and isinstance(link.get("href"), str):
            return str(link["href"])
    return ""


def by_key(skipped: Iterable[SkippedItem], mission: str, collection: str) -> dict[Key, list[SkippedItem]]:
    """Skipped items by the baseline that the registry keeps them under; without those it cannot keep."""
    found: dict[Key, list[SkippedItem]] = {}
    for one in skipped:
        try:
            key = Key(mission, collection, one.product_type, one.baseline)
        except InvalidRequestError:
            continue
        if one.url:
            found.setdefault(key, []).append(one)
    return found
