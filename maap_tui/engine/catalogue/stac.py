"""Items of the archive, read: what a STAC item says of a granule and its files."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any
from urllib.parse import urljoin

from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.file_names import ALL, FORMATS, LONGEST_SUFFIX, MEASUREMENT, OTHER, FileName
from maap_tui.engine.geometry import is_geometry, read_bbox
from maap_tui.engine.missions import MISSIONS, format_of, has_format, parse_name
from maap_tui.engine.model import DOI_PATTERN, PICTURES, Asset, Granule, parse_zulu, quicklook_of
from maap_tui.engine.storage import names

_WHOLE = ("https://", "http://")


def resolved(item: Any, url: str) -> Any:
    """An item whose assets have absolute links, the scheme in lower case.

    Args:
        item: as served; what is not an item stays as it is.
        url: where it was served, which relative links are relative to when the item has no `self` link.
    """
    assets = item.get("assets") if isinstance(item, dict) else None
    if not isinstance(assets, dict):
        return item
    try:
        # Of most items every asset has such a link: nothing else is looked at for them.
        if all([asset["href"].startswith(_WHOLE) for asset in assets.values()]):
            return item
    except (TypeError, KeyError, AttributeError):
        pass
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
    if href.startswith(_WHOLE) or not names.is_printable(href):
        return href
    try:
        joined = urljoin(base, href)
    except ValueError:
        return href
    scheme, colon, rest = joined.partition(":")
    return f"{scheme.lower()}{colon}{rest}"


class BadItem(ValueError):
    """An item that cannot be used; the text says why."""


def granule_of(
    item: Any,
    collection: str,
    mission: str,
    *,
    formats: Sequence[str] = (),
    text: bytes = b"",
    url: str = "",
) -> ServedGranule:
    """Read one STAC item: the name counts first, the item's own properties where it says nothing.

    What most searches never look at (most of the files, the geometry, other times) is read when it is asked
    for: of a page of a thousand items little is used, and checking all of it takes longer than parsing it.

    Args:
        item: the item, its links resolved.
        collection: the collection it is of.
        mission: the name of the mission it is of.
        formats: the formats whose files are read at once; () takes those of the mission.
        text: its JSON, which is kept in place of it and takes half the memory; b"" keeps the item itself.
        url: where that was served.

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
    rules = MISSIONS.get(mission)
    if not formats or ALL in formats:
        formats = rules.formats if rules else ()
    files = _Files(item.get("assets"))
    chosen = files.of(formats)
    if not chosen and not files.assets:
        raise BadItem(f"{identity[:80]!r} has no file that can be used")
    name = parse_name(identity)
    if name is not None and name.baseline is None:
        # Aeolus: only the URL names the baseline.
        name = next((found for asset in files.assets if (found := parse_name(asset.href))), name)
    start = name.sensing_start if name else _moment(properties, "start_datetime", "datetime")
    if start is None:
        raise BadItem(f"{identity[:80]!r} has no sensing time")
    product_type = _word(properties, "product:type", "productType") or (name.product_type if name else "")
    baseline = name.baseline if name else None
    if not baseline:
        baseline = _word(properties, "version", "productVersion").upper()
    orbit = name.orbit if name else None
    if orbit is None:
        value = properties.get("sat:absolute_orbit", properties.get("orbitNumber"))
        is_orbit = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10_000_000
        orbit = value if is_orbit else None
    frame = (name.frame if name else None) or _number(properties, "frame", rules.frame_digits if rules else 0)
    track = (name.track if name else None) or (
        _number(properties, "track", rules.track_digits) if rules and rules.track_digits else None
    )
    grid = _GRID.fullmatch(str(properties.get("grid:code"))) if orbit is None or frame is None else None
    if grid is not None:
        orbit = int(grid[1]) if orbit is None else orbit
        frame = grid[2] if frame is None and orbit == int(grid[1]) else frame
    granule = object.__new__(ServedGranule)
    for slot, value in (
        (_ID, identity),
        (_COLLECTION, collection),
        (_MISSION, mission),
        (_PRODUCT_TYPE, product_type or "unknown"),
        (_BASELINE, baseline or "none"),
        (_START, start),
        (_ORBIT, orbit),
        (_FRAME, frame),
        (_TRACK, track),
    ):
        slot.__set__(granule, value)
    granule.keep(_Unread(name, tuple(formats), chosen, None if text else item, text, url))
    return granule


class _Unread:
    """What an item says that was not read yet."""

    __slots__ = ("_files", "_item", "_text", "_url", "chosen", "formats", "name")

    def __init__(
        self,
        name: FileName | None,
        formats: tuple[str, ...],
        chosen: list[Asset],
        item: Mapping[str, Any] | None,
        text: bytes,
        url: str,
    ) -> None:
        self.name = name
        self.formats = formats
        self.chosen = chosen
        """The files of these formats, as `Granule.files` finds them."""
        self._item = item
        self._text = text
        self._url = url
        self._files: _Files | None = None

    @property
    def item(self) -> Mapping[str, Any]:
        """The item itself; once it is read again, it takes the place of its JSON."""
        if self._item is None:
            found: dict[str, Any] = resolved(json.loads(self._text), self._url)
            self._item, self._text = found, b""
        return self._item

    @property
    def properties(self) -> Mapping[str, Any]:
        found = self.item.get("properties")
        return found if isinstance(found, dict) else {}

    @property
    def files(self) -> _Files:
        if self._files is None:
            self._files = _Files(self.item.get("assets"))
        return self._files


class _Lazy:
    """A field of a granule that is read from its item at the first look, and kept in the field's own slot."""

    def __init__(self, slot: Any, read: Callable[[_Unread, Granule], Any]) -> None:
        self._slot = slot
        self._read = read

    def __get__(self, granule: Any, owner: type | None = None) -> Any:
        if granule is None:
            return self
        try:
            return self._slot.__get__(granule)
        except AttributeError:
            value = self._read(granule.unread, granule)
            self._slot.__set__(granule, value)
            return value

    def __set__(self, granule: Any, value: Any) -> None:
        self._slot.__set__(granule, value)


class ServedGranule(Granule):
    """A granule that reads its item as far as it is asked; it equals, copies and pickles as a plain one."""

    __slots__ = ("prepared", "unread")
    unread: _Unread
    prepared: Any
    """What a search prepares of each; not set where it prepares nothing."""

    def prepare(self, item: Mapping[str, Any], prepare: Callable[[Granule], object]) -> None:
        """Prepare something of it while its item is at hand, which saves reading it again."""
        # By another of the same: what is read for this is not to be kept.
        other = object.__new__(ServedGranule)
        for slot in _READ:
            slot.__set__(other, slot.__get__(self))
        unread = self.unread
        other.keep(_Unread(unread.name, unread.formats, unread.chosen, item, b"", ""))
        object.__setattr__(self, "prepared", prepare(other))

    def keep(self, unread: _Unread) -> None:
        """Take what is to be read later."""
        object.__setattr__(self, "unread", unread)

    def files(self, formats: Sequence[str]) -> list[Asset]:
        """As `Granule.files`; only files of these formats are read for it."""
        unread: _Unread | None = getattr(self, "unread", None)
        if unread is not None and tuple(formats) == unread.formats:
            return list(unread.chosen)
        if unread is None or {ALL, MEASUREMENT} & {*formats}:
            return super().files(formats)
        return unread.files.of(formats)

    @property
    def quicklook(self) -> Asset | None:
        """As `Granule.quicklook`; only what may be a picture is read for it."""
        unread: _Unread | None = getattr(self, "unread", None)
        return super().quicklook if unread is None else unread.files.quicklook()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Granule):
            return NotImplemented
        return _values_of(self) == _values_of(other)

    __hash__ = Granule.__hash__

    def __reduce__(self) -> tuple[Any, ...]:
        return Granule, _values_of(self)


def prepared_of(granule: Granule) -> Any:
    """What was prepared of a granule when it was read; None for nothing, or where it was read back."""
    return getattr(granule, "prepared", None)


def _values_of(granule: Granule) -> tuple[Any, ...]:
    return tuple(getattr(granule, one.name) for one in fields(Granule))


def _slot(name: str) -> Any:
    return Granule.__dict__[name]


_READ = _ID, _COLLECTION, _MISSION, _PRODUCT_TYPE, _BASELINE, _START, _ORBIT, _FRAME, _TRACK = tuple(
    map(_slot, "id collection mission product_type baseline sensing_start orbit frame track_number".split())
)


def _geometry_of(item: Mapping[str, Any]) -> Mapping[str, Any] | None:
    found = item.get("geometry")
    return found if is_geometry(found) else None


def _processed(unread: _Unread, granule: Granule) -> datetime | None:
    created = unread.name.created if unread.name else None
    return created or _moment(granule.properties, "processing:datetime", "created")


_DOI = re.compile(rf"(?:https?://(?:dx\.)?doi\.org/|doi:)?({DOI_PATTERN})", re.IGNORECASE)
"""A DOI, alone or as an address."""


def _doi_of(item: Mapping[str, Any], properties: Mapping[str, Any]) -> str | None:
    """What an item says it is cited by: its own property, or the link for that (RFC 8574)."""
    if (found := _read_doi(properties.get("sci:doi"))) is not None:
        return found
    links = item.get("links")
    for link in links if isinstance(links, list) else []:
        if isinstance(link, dict) and link.get("rel") == "cite-as":
            found = _read_doi(link.get("href"))
            if found is not None:
                return found
    return None


def _read_doi(words: object) -> str | None:
    found = _DOI.fullmatch(words.strip()) if isinstance(words, str) else None
    return found[1] if found else None


_READERS: dict[str, Callable[[_Unread, Granule], Any]] = {
    "assets": lambda unread, granule: unread.files.assets,
    "properties": lambda unread, granule: unread.properties,
    "geometry": lambda unread, granule: _geometry_of(unread.item),
    "bbox": lambda unread, granule: read_bbox(unread.item.get("bbox")),
    "sensing_end": lambda unread, granule: (
        _moment(granule.properties, "end_datetime") or (unread.name.sensing_end if unread.name else None)
    ),
    "created": _processed,
    "orbit_state": lambda unread, granule: (
        _word(granule.properties, "sat:orbit_state", "orbitDirection") or None
    ),
    "published": lambda unread, granule: _moment(granule.properties, "published"),
    "updated": lambda unread, granule: _moment(granule.properties, "updated"),
    "doi": lambda unread, granule: _doi_of(unread.item, granule.properties),
}
for _name, _read in _READERS.items():
    setattr(ServedGranule, _name, _Lazy(_slot(_name), _read))


_GRID = re.compile(r"WRS-(\d{1,6})-([A-H])")
"""Orbit and frame as EarthCARE's items have them in `grid:code`."""


class _Files:
    """The assets of an item, each checked when it is looked at."""

    __slots__ = ("_all", "_checked", "_raw")

    def __init__(self, raw: Any) -> None:
        self._raw: dict[Any, Any] = raw if isinstance(raw, dict) else {}
        self._checked: dict[Any, Asset | None] = {}
        self._all: tuple[Asset, ...] | None = None

    @property
    def assets(self) -> tuple[Asset, ...]:
        """All that can be used; () when none of them is of the product itself."""
        if self._all is None:
            found = tuple(asset for key in self._raw if (asset := self._asset(key)) is not None)
            self._all = found if any(asset.format for asset in found) else ()
        return self._all

    def of(self, formats: Sequence[str]) -> list[Asset]:
        """Those of the first of the formats that there are any of; as `Granule.files` finds them."""
        for wanted in formats:
            found = {}
            for key in self._with_format(wanted):
                asset = self._asset(key)
                if asset is not None and asset.format:
                    found[asset.href] = asset
            if found:
                return list(found.values())
        return []

    def _with_format(self, wanted: str) -> list[Any]:
        """Keys of the assets whose addresses are of a format."""
        suffixes = FORMATS.get(wanted)
        if suffixes and wanted != "zip":
            # As `has_format`, in a quarter of the time.
            try:
                return [
                    key
                    for key, value in self._raw.items()
                    if value["href"].partition("?")[0][-LONGEST_SUFFIX:].lower().endswith(suffixes)
                ]
            except (TypeError, KeyError, AttributeError):
                pass  # something in it is not an asset
        found = []
        for key, value in self._raw.items():
            href = value.get("href") if isinstance(value, dict) else None
            if isinstance(href, str) and has_format(href, wanted):
                found.append(key)
        return found

    def quicklook(self) -> Asset | None:
        """As `quicklook_of` all of them; what it would not choose is not looked at."""
        overviews = self._pictures(lambda value: "overview" in _list_of_roles(value))
        return quicklook_of(itertools.islice(overviews, 1)) or quicklook_of(
            self._pictures(lambda value: True)
        )

    def _pictures(self, is_meant: Callable[[Mapping[str, Any]], bool]) -> Iterator[Asset]:
        """Those that can be looked at."""
        for key, value in self._raw.items():
            if (
                isinstance(value, dict)
                and is_meant(value)
                and _may_be_picture(value.get("href"), value.get("type"))
            ):
                asset = self._asset(key)
                if asset is not None and asset.is_picture:
                    yield asset

    def _asset(self, key: Any) -> Asset | None:
        if key not in self._checked:
            self._checked[key] = _asset_of(str(key), self._raw[key])
        return self._checked[key]


def _may_be_picture(href: object, media_type: object) -> bool:
    """False only where the address or the media type rule it out."""
    if not isinstance(href, str):
        return False
    name = href.split("?", 1)[0].rpartition("/")[2]
    if "%" in name or "#" in name:
        return True
    _, dot, suffix = name.rpartition(".")
    return suffix.lower() in PICTURES if dot else "image" in str(media_type)


def _asset_of(key: str, value: Any) -> Asset | None:
    if not isinstance(value, dict) or not isinstance(value.get("href"), str):
        return None
    href = value["href"]
    if not names.is_clean_url(href):
        return None
    try:
        name = names.file_name_of(href)
    except InvalidRequestError:
        return None
    roles = _roles_of(value)
    kind = format_of(href) or OTHER
    if kind == "zip" and not name.lower().endswith(".zip"):
        name += ".zip"
    if _is_beside(key, href, roles):
        kind = ""
    size = value.get("file:size")
    is_size = isinstance(size, int) and not isinstance(size, bool) and size >= 0
    return Asset(
        key=key,
        href=href,
        name=name,
        format=kind,
        size=size if is_size else None,
        media_type=str(value.get("type") or ""),
        roles=roles,
        checksum=checksum if isinstance(checksum := value.get("file:checksum"), str) else "",
    )


def _list_of_roles(value: Mapping[str, Any]) -> list[Any]:
    """The roles of an asset, as they are in its item."""
    roles = value.get("roles")
    return roles if isinstance(roles, list) else []


def _roles_of(value: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(map(str, _list_of_roles(value)))


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
