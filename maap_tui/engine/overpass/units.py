"""Distances and lengths of time as people write them: `30km`, `500 m`, `30m` (minutes), `14d`."""

from __future__ import annotations

import math
import re
from datetime import timedelta

from maap_tui.engine.errors import InvalidRequestError

_METRES = {"": 1000.0, "km": 1000.0, "m": 1.0, "nm": 1852.0, "nmi": 1852.0}
_SECONDS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_NUMBER = r"\s*(\d{1,9}(?:\.\d{1,9})?)\s*"


def read_distance(text: str, option: str, *, most_km: float = 5000.0) -> float:
    """Metres that a text means; a bare number is kilometres.

    Raises:
        InvalidRequestError: with `option` named, when it is none, 0, or more than `most_km`.
    """
    found = re.fullmatch(rf"{_NUMBER}([a-z]*)\s*", text.lower())
    if found is None or found[2] not in _METRES:
        raise InvalidRequestError(f"{option} '{text[:40]}' is not a distance", "Write 30km, 500m or 20nmi.")
    metres = float(found[1]) * _METRES[found[2]]
    if not 0 < metres <= most_km * 1000:
        raise InvalidRequestError(
            f"{option} {text.strip()[:40]} is not possible", f"Give more than 0 and at most {most_km:g}km."
        )
    return metres


def read_duration(text: str, option: str, *, most: timedelta) -> timedelta:
    """The length of time that a text means.

    Raises:
        InvalidRequestError: with `option` named, when it is none, 0, or more than `most`.
    """
    found = re.fullmatch(rf"{_NUMBER}([a-z]+)\s*", text.lower())
    if found is None or found[2] not in _SECONDS:
        raise InvalidRequestError(
            f"{option} '{text[:40]}' is not a length of time", "Write 90s, 30m, 6h, 14d or 2w."
        )
    seconds = float(found[1]) * _SECONDS[found[2]]
    if not 0 < seconds <= most.total_seconds():
        days = most / timedelta(days=1)
        limit = f"{days:g}d" if days >= 1 else f"{most.total_seconds() / 3600:g}h"
        raise InvalidRequestError(
            f"{option} {text.strip()[:40]} is not possible", f"Give more than 0 and at most {limit}."
        )
    return timedelta(seconds=seconds)


def km_words(metres: float) -> str:
    """Metres as kilometres to read, `12.3 km`."""
    if not math.isfinite(metres):
        return ""
    return f"{metres / 1000:.1f} km"
