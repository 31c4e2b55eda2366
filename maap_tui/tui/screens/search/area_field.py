"""The field Area of the search form: a box, the surroundings of a point or a site, or a GeoJSON file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from maap_tui.engine.areas import absolute, is_path, read_file
from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.query import Box, Circle, Query
from maap_tui.engine.sites import KNOWN, Site, find, nearest, split_reach

AREA_FORMS = (
    "61.8,24.3 r100 (100 km around a point), a site such as hyytiala r100, 20,60,30,65 (W,S,E,N) "
    "or the path of a GeoJSON file"
)
"""Examples of what can be written, as an error names them."""

_NUMBER = r"[+-]?\d+(?:\.\d+)?"
_POINT = re.compile(
    rf"({_NUMBER})\s*([NS]?)[\s,]+({_NUMBER})\s*([EW]?)(?:[\s,]+r?\s*({_NUMBER})\s*(?:km)?)?", re.I
)
_BOX = re.compile(rf"({_NUMBER})[\s,]+({_NUMBER})[\s,]+({_NUMBER})[\s,]+({_NUMBER})")


def read_area(text: str, sites: Sequence[Site] = KNOWN) -> dict[str, Any]:
    """Read a box, a circle, or the file of a geometry.

    Args:
        text: what was typed.
        sites: the places that may be named in place of a point.

    Returns:
        The fields of `Query` that say it, `box`, `circle`, or `area` with `area_file`; {} for an empty text,
        which is the whole Earth.

    Raises:
        InvalidRequestError: when it is none of these.
    """
    words = text.strip()
    if not words:
        return {}
    if is_path(words):
        return {"area": read_file(words), "area_file": str(absolute(words))}
    if match := _BOX.fullmatch(words):
        return {"box": Box(*map(float, match.groups()))}
    if match := _POINT.fullmatch(words):
        latitude, south, longitude, west, radius = match.groups()
        circle = Circle(
            float(latitude) * (-1 if south.upper() == "S" else 1),
            float(longitude) * (-1 if west.upper() == "W" else 1),
        )
        return {"circle": replace(circle, radius_km=float(radius)) if radius else circle}
    name, radius = split_reach(words)
    if name and not name[0].isdigit():
        site = find(name, sites)
        if site is not None:
            circle = Circle(site.latitude, site.longitude)
            return {"circle": replace(circle, radius_km=float(radius)) if radius else circle}
        if near := nearest(name, sites):
            raise InvalidRequestError(f"'{name[:40]}' is not a site; did you mean {near}?")
    raise InvalidRequestError(f"'{words[:40]}' is not an area; write {AREA_FORMS}")


def area_text(query: Query) -> str:
    """The text to type for the area of a query; '' for the whole Earth or a geometry without a file."""
    if query.box is not None:
        box = query.box
        return ",".join(f"{number:g}" for number in (box.west, box.south, box.east, box.north))
    if query.circle is not None:
        circle = query.circle
        return f"{circle.latitude:g},{circle.longitude:g} r{circle.radius_km:g}"
    return query.area_file
