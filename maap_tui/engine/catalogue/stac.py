"""Items of the archive, read: what a STAC item says of a granule and its files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urljoin

from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.geometry import is_geometry, read_bbox
from maap_tui.engine.missions import MISSIONS, format_of, parse_name
from maap_tui.engine.model import OTHER, Asset, Granule, parse_zulu
from maap_tui.engine.storage import names


def resolved(item: Any, url: str) -> Any:
    """An item whose assets have absolute links, the scheme in lower case.

    Args:
        item: as served; what is not an item stays as it is.
        url: where it was served, which relative links are relative to when the item has no `self` link.
    """
    assets = item.get("assets") if isinstance(item, dict) else None
    if not isinstance(assets, dict):
        return item
    base = url
    links = item.get("links")
    for link in links if isinstance(links, list) else []:
        if isinstance(link, dict) and link.get("rel") == "self" and isinstance(link.get("href"), str):
            base = _absolute(link["href"], url)
    changed = {}
    for key, asset in assets.items():
        if isinstance(asset, dict) and isinstance(asset.get("href"), str):
            href = _absolute(asset["href"], base)
            if href != asset["href"]:
                changed[key] = {**asset, "href": href}
    return {**item, "assets": {**assets, **changed}} if changed else item


def _absolute(href: str, base: str) -> str:
    # urljoin drops control characters: a link that has some stays as it is, and is refused.
    if href.startswith(("https://", "http://")) or not names.is_printable(href):
        return href
    try:
        joined = urljoin(base, href)
    except ValueError:
        return href
    scheme, colon, rest = joined.partition(":")
    return f"{scheme.lower()}{colon}{rest}"


class BadItem(ValueError):
    """An item that cannot be used; the text says why."""


def granule_of(item: Any, collection: str, mission: str) -> Granule:
    """Read one STAC item: the name counts first, the item's own properties where it says nothing.

    Raises:
        BadItem: when it has no usable id, time or file.
    """
    if not isinstance(item, dict):
        raise BadItem("an item that is not an object")
    identity = item.get("id")
    if isinstance(identity, int) and not isinstance(identity, bool):
        identity = str(identity)  # GeoJSON permits numbers (RFC 7946 section 3.2)
    if not isinstance(identity, str) or not identity:
        raise BadItem("an item without an id")
    properties = item.get("properties")
    if not isinstance(properties, dict):
        properties = {}
    assets = _assets_of(item.get("assets"))
    if not assets:
        raise BadItem(f"{identity[:80]!r} has no file that can be used")
    name = parse_name(identity)
    if name is not None and name.baseline is None:
        # Aeolus: only the URL names the baseline.
        name = next((found for asset in assets if (found := parse_name(asset.href))), name)
    start = name.sensing_start if name else _moment(properties, "start_datetime", "datetime")
    if start is None:
        raise BadItem(f"{identity[:80]!r} has no sensing time")
    product_type = _word(properties, "product:type", "productType") or (name.product_type if name else "")
    version = _word(properties, "version", "productVersion")
    baseline = (name.baseline if name else None) or (version.upper() if version else "")
    orbit = name.orbit if name and name.orbit is not None else None
    if orbit is None:
        value = properties.get("sat:absolute_orbit", properties.get("orbitNumber"))
        is_orbit = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10_000_000
        orbit = value if is_orbit else None
    rules = MISSIONS.get(mission)
    frame = (name.frame if name else None) or _number(properties, "frame", rules.frame_digits if rules else 0)
    track = (name.track if name else None) or (
        _number(properties, "track", rules.track_digits) if rules and rules.track_digits else None
    )
    grid = _GRID.fullmatch(str(properties.get("grid:code")))
    if grid is not None:
        orbit = int(grid[1]) if orbit is None else orbit
        frame = grid[2] if frame is None and orbit == int(grid[1]) else frame
    geometry = item.get("geometry")
    return Granule(
        id=identity,
        collection=collection,
        mission=mission,
        product_type=product_type or "unknown",
        baseline=baseline or "none",
        sensing_start=start,
        sensing_end=_moment(properties, "end_datetime") or (name.sensing_end if name else None),
        created=(name.created if name else None) or _moment(properties, "processing:datetime", "created"),
        orbit=orbit,
        frame=frame,
        orbit_state=_word(properties, "sat:orbit_state", "orbitDirection") or None,
        geometry=geometry if is_geometry(geometry) else None,
        assets=assets,
        properties=properties,
        bbox=read_bbox(item.get("bbox")),
        published=_moment(properties, "published"),
        updated=_moment(properties, "updated"),
        track_number=track,
    )


_GRID = re.compile(r"WRS-(\d{1,6})-([A-H])")
"""Orbit and frame as EarthCARE's items have them in `grid:code`."""


def _assets_of(raw: Any) -> tuple[Asset, ...]:
    if not isinstance(raw, dict):
        return ()
    found = []
    for key, value in raw.items():
        if not isinstance(value, dict) or not isinstance(value.get("href"), str):
            continue
        href = value["href"]
        if not names.is_clean_url(href):
            continue
        try:
            name = names.file_name_of(href)
        except InvalidRequestError:
            continue
        roles = value.get("roles")
        roles = tuple(str(role) for role in roles) if isinstance(roles, list) else ()
        kind = format_of(href) or OTHER
        if kind == "zip" and not name.lower().endswith(".zip"):
            name += ".zip"
        if _is_beside(str(key), href, roles):
            kind = ""
        size = value.get("file:size")
        is_size = isinstance(size, int) and not isinstance(size, bool) and size >= 0
        found.append(
            Asset(
                key=str(key),
                href=href,
                name=name,
                format=kind,
                size=size if is_size else None,
                media_type=str(value.get("type") or ""),
                roles=roles,
            )
        )
    return tuple(found) if any(asset.format for asset in found) else ()


def _is_beside(key: str, href: str, roles: Sequence[str]) -> bool:
    """Whether an asset is not of the product itself: a preview for the portal or a catalogue record."""
    if key.startswith(("quicklook", "thumbnail", "metadata")) or "/public/" in href:
        return True
    return not key.startswith("enclosure") and bool({"thumbnail", "overview"} & set(roles))


def _moment(properties: Mapping[str, Any], *keys: str) -> datetime | None:
    for key in keys:
        value = properties.get(key)
        if isinstance(value, str) and value:
            try:
                return parse_zulu(value)
            except (ValueError, OverflowError):
                continue
    return None


def _number(properties: Mapping[str, Any], key: str, digits: int) -> str | None:
    """A frame or a track of an item: a letter, or a number with its leading zeros."""
    value = properties.get(key)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        value = str(value)
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z]?|[A-Za-z]?\d{1,6}", value):
        return None
    return (value.lstrip("FTft").zfill(digits) if digits else value) or None


def _word(properties: Mapping[str, Any], *keys: str) -> str:
    for key in keys:
        value = properties.get(key)
        if isinstance(value, str) and names.is_name(value):
            return value
    return ""
