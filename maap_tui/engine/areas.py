"""Areas as files hold them: a GeoJSON geometry, read and checked; and the paths that a text begins."""

from __future__ import annotations

import json
import os
import stat
from itertools import islice
from pathlib import Path
from typing import Any

from maap_tui.engine.errors import InvalidRequestError

MAX_BYTES = 10_000_000
"""Bytes of a file that holds an area, at most."""

SUFFIXES = (".geojson", ".json")
"""How the names of such files end."""

_MOST = 5000
"""Entries of a folder that are looked at."""

_read: dict[str, tuple[tuple[int, int], dict[str, Any]]] = {}
"""The file that was read last, with its time and size: a form reads it at each key."""


def is_path(text: str) -> bool:
    """Whether a text means a file, and neither numbers nor a name."""
    return "/" in text or text.startswith("~") or text.lower().endswith(SUFFIXES)


def absolute(text: str) -> Path:
    """The file that a text means, `~` and relative paths included."""
    return Path(os.path.abspath(os.path.expanduser(text)))


def read_file(text: str) -> dict[str, Any]:
    """The geometry in a file.

    Args:
        text: its path, as it was typed.

    Raises:
        InvalidRequestError: it cannot be read, or holds no geometry.
    """
    path = absolute(text)
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise InvalidRequestError(f"{text} is {'a folder' if path.is_dir() else 'not a file'}")
        stamp = (found.st_mtime_ns, found.st_size)
        known = _read.get(str(path))
        if known is not None and known[0] == stamp:
            return known[1]
        if found.st_size > MAX_BYTES:
            raise InvalidRequestError(f"{text} is larger than {MAX_BYTES:,} bytes")
        data = path.read_bytes()
    except InvalidRequestError:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", "") or error
        raise InvalidRequestError(f"{text} cannot be read: {reason}") from None
    geometry = geometry_of(data.decode("utf-8-sig", "replace"), text)
    _read.clear()
    _read[str(path)] = stamp, geometry
    return geometry


def geometry_of(text: str, name: str) -> dict[str, Any]:
    """The geometry of a GeoJSON text: bare, of a feature, or of a collection of one feature.

    Args:
        text: the JSON.
        name: what an error calls it.

    Raises:
        InvalidRequestError: when it is none of these.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidRequestError(f"{name} is not JSON", "Give a GeoJSON geometry or feature.") from None
    if isinstance(data, dict) and data.get("type") == "FeatureCollection":
        features = data.get("features")
        if not isinstance(features, list) or len(features) != 1:
            raise InvalidRequestError(f"{name} does not hold exactly one feature", "Search one at a time.")
        data = features[0]
    if isinstance(data, dict) and data.get("type") == "Feature":
        data = data.get("geometry")
    kinds = ("Point", "LineString", "Polygon", "MultiPoint", "MultiLineString", "MultiPolygon")
    if (
        not isinstance(data, dict)
        or data.get("type") not in kinds
        or not isinstance(data.get("coordinates"), list)
        or not _are_positions(data["coordinates"])
    ):
        raise InvalidRequestError(
            f"{name} is not a GeoJSON geometry",
            f"Its type has to be one of {', '.join(kinds)}, its positions longitude and latitude in degrees.",
        )
    return {"type": data["type"], "coordinates": data["coordinates"]}


def _are_positions(value: list[Any]) -> bool:
    if not value:
        return False
    if all(isinstance(one, list) for one in value):
        return all(_are_positions(one) for one in value)
    return (
        len(value) >= 2
        and all(isinstance(one, int | float) and not isinstance(one, bool) for one in value)
        and abs(value[0]) <= 180
        and abs(value[1]) <= 90
    )


def completions(text: str) -> list[str]:
    """The folders and GeoJSON files that a text begins, as they are typed: folders end with `/`.

    `~` and relative paths stay as they are; hidden entries are among them when the text begins one.
    """
    head, begun = text.rpartition("/")[::2]
    head = f"{head}/" if "/" in text else ""
    if text.startswith("~") and not head:
        return ["~/"] if text == "~" else []
    found = []
    try:
        with os.scandir(os.path.expanduser(head) or ".") as entries:
            for entry in islice(entries, _MOST):
                name = entry.name
                is_hidden = name[0] == "." and not begun.startswith(".")
                if is_hidden or not name.isprintable() or not name.lower().startswith(begun.lower()):
                    continue
                if entry.is_dir():
                    found.append(f"{head}{name}/")
                elif name.lower().endswith(SUFFIXES):
                    found.append(f"{head}{name}")
    except (OSError, ValueError):
        return []
    return sorted(found, key=lambda one: (one.endswith("/"), one.lower()))
