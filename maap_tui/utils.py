"""Times, frames and orbits as text, under the names that maap-client's users import."""

from __future__ import annotations

from datetime import UTC, datetime

from maap_tui.engine import query
from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.model import parse_zulu
from maap_tui.engine.model import to_zulu as _to_zulu

__all__ = [
    "format_time_range",
    "normalize_time_range",
    "parse_datetime",
    "parse_frames",
    "parse_orbit",
    "timezone_is_aware",
    "to_stac_datetime",
    "to_zulu",
]


def to_zulu(dt: datetime) -> str:
    """`2024-05-28T00:00:00Z`, to the second; a time without a zone is UTC."""
    return _to_zulu((dt if timezone_is_aware(dt) else dt.replace(tzinfo=UTC)).replace(microsecond=0))


def to_stac_datetime(start: datetime, end: datetime) -> list[str]:
    """Both ends of a range as `to_zulu` writes them."""
    return [to_zulu(start), to_zulu(end)]


def timezone_is_aware(dt: datetime) -> bool:
    """Whether a time says its zone."""
    return dt.utcoffset() is not None


def format_time_range(start: datetime | None, end: datetime | None) -> str:
    """` [2024-05-28T00:00:00Z - ...]`, ` [from ...]`, ` [to ...]`, or '' without both."""
    if start and end:
        return f" [{to_zulu(start)} - {to_zulu(end)}]"
    if start or end:
        return f" [from {to_zulu(start)}]" if start else f" [to {to_zulu(end)}]" if end else ""
    return ""


def parse_datetime(dt_str: str) -> datetime:
    """Read an ISO 8601 time or date; without a zone it is UTC.

    Raises:
        ValueError: when the text is not a time.
    """
    return parse_zulu(dt_str)


def normalize_time_range(
    start: datetime | None, end: datetime | None, mission_start: datetime, mission_end: datetime
) -> tuple[datetime, datetime]:
    """The range cut to the mission and to now; None for its start or end takes the mission's."""
    last = min(mission_end, datetime.now(UTC).replace(microsecond=0))
    return max(start or mission_start, mission_start), min(end or last, last)


def parse_frames(value: str) -> list[str]:
    """Read comma-separated frame letters: upper case, without repeats, in their order.

    Raises:
        InvalidRequestError: (a ValueError) when one is none of A to H.
    """
    return list(query.parse_frames(value))


def parse_orbit(value: str) -> tuple[int, str | None]:
    """Read `01525E` or `1525` as orbit and frame letter; None without a letter.

    Raises:
        InvalidRequestError: (a ValueError) when it is not one, or more than one orbit.
    """
    orbits, frames = query.parse_orbits(value.strip())
    if len(orbits) != 1 or orbits[0][0] != orbits[0][1] or len(frames) > 1:
        raise InvalidRequestError(f"'{value.strip()}' is more than one orbit", "Give one, such as 01525E.")
    return orbits[0][0], frames[0] if frames else None
