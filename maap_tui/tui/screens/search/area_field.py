"""The field Area of the search form: a box, or everything within a distance of a point."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.query import Box, Circle, Query

AREA_FORMS = "61.8,24.3 r100 (within 100 km of a point) or 20,60,30,65 (west, south, east, north)"
"""Examples of what can be written, as an error names them."""

_NUMBER = r"[+-]?\d+(?:\.\d+)?"
_POINT = re.compile(
    rf"({_NUMBER})\s*([NS]?)[\s,]+({_NUMBER})\s*([EW]?)(?:[\s,]+r?\s*({_NUMBER})\s*(?:km)?)?", re.I
)
_BOX = re.compile(rf"({_NUMBER})[\s,]+({_NUMBER})[\s,]+({_NUMBER})[\s,]+({_NUMBER})")


def read_area(text: str) -> dict[str, Any]:
    """Read a box or a circle.

    Returns:
        The field of `Query` that says it, `box` or `circle`; {} for an empty text, which is the whole Earth.

    Raises:
        InvalidRequestError: when it is neither.
    """
    words = text.strip()
    if not words:
        return {}
    if match := _BOX.fullmatch(words):
        return {"box": Box(*map(float, match.groups()))}
    if match := _POINT.fullmatch(words):
        latitude, south, longitude, west, radius = match.groups()
        circle = Circle(
            float(latitude) * (-1 if south.upper() == "S" else 1),
            float(longitude) * (-1 if west.upper() == "W" else 1),
        )
        return {"circle": replace(circle, radius_km=float(radius)) if radius else circle}
    raise InvalidRequestError(f"'{words[:40]}' is not an area; write {AREA_FORMS}")


def area_text(query: Query) -> str:
    """What would be typed for the area of a query; '' for the whole Earth or a GeoJSON geometry."""
    if query.box is not None:
        box = query.box
        return ",".join(f"{number:g}" for number in (box.west, box.south, box.east, box.north))
    if query.circle is not None:
        circle = query.circle
        return f"{circle.latitude:g},{circle.longitude:g} r{circle.radius_km:g}"
    return ""
