"""The field Time of the search form: what people write for a span of time, and how a query's is written."""

from __future__ import annotations

import calendar
import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.model import TimeRange, to_zulu
from maap_tui.engine.query import Query, parse_moment

TIME_FORMS = "2025-12-01, 2025-12, 2025-12-01..2025-12-07, yesterday, 7d or 3h"
"""Examples of what can be written, as an error names them."""
MOST_DAYS = 36500

_LAST = re.compile(r"(?:last\s+)?(\d{1,6})\s*(h|hours?|d|days?|w|weeks?)", re.I)
_DAY = r"\d{4}-?\d{2}-?\d{2}|\d{4}-\d{3}|\d{4}-\d{2}"
_TWO_DAYS = re.compile(rf"({_DAY})\s+(?:(?:to|-)\s+)?({_DAY})", re.I)
_CLOCK = re.compile(r"\d{1,2}:\d{2}(:\d{2})?")


def read_time(text: str, now: datetime) -> dict[str, Any]:
    """Read a date, a month, a range, or the last hours or days.

    Returns:
        The fields of `Query` that say it: `time` and, where they apply, `days_back` and `open_end`; {} for
        an empty text, which means no limit.

    Raises:
        InvalidRequestError: when it is none of these, or lies in the future.
    """
    words = text.strip()
    if not words:
        return {}
    if last := _LAST.fullmatch(words):
        return _last(int(last[1]), last[2][0].lower(), now)
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if words.lower() in ("today", "yesterday"):
        start = midnight - timedelta(days=words.lower() == "yesterday")
        return {"time": TimeRange(start, start + timedelta(days=1))}
    begin_text, sign, end_text = words.partition("..")
    if not sign:
        begin_text, sign, end_text = words.partition("/")
    if not sign and (two := _TWO_DAYS.fullmatch(words)):
        begin_text, sign, end_text = two[1], "..", two[2]
    begin, length = _moment(begin_text)
    if begin >= now:
        raise InvalidRequestError(f"{begin_text.strip()} lies in the future")
    if not sign:
        return {"time": TimeRange(begin, begin + max(length, timedelta(minutes=1)))}
    if not end_text.strip(". "):
        return {"time": TimeRange(begin, now), "open_end": True}
    if _CLOCK.fullmatch(end_text.strip()):
        end_text = f"{begin:%Y-%m-%d} {end_text.strip():0>5}"
    until, length = _moment(end_text)
    if begin > until:
        raise InvalidRequestError(f"the range ends ({end_text.strip()}) before it starts")
    return {"time": TimeRange(begin, until + length)}


def _last(count: int, unit: str, now: datetime) -> dict[str, Any]:
    hours = count * {"h": 1, "d": 24, "w": 168}[unit]
    if not 1 <= hours <= MOST_DAYS * 24:
        raise InvalidRequestError(f"must be 1 hour to {MOST_DAYS} days back")
    span = TimeRange(now - timedelta(hours=hours), now)
    if unit == "h":
        # It becomes an option of the command, which somebody reads.
        return {"time": TimeRange(span.start.replace(microsecond=0), now), "open_end": True}
    return {"time": span, "days_back": hours // 24}


def _moment(text: str) -> tuple[datetime, timedelta]:
    """When a date or time begins, and how long what was written lasts."""
    words = text.strip()
    try:
        if match := re.fullmatch(r"(\d{4})(\d{2})(\d{2})", words):
            words = "-".join(match.groups())
        elif match := re.fullmatch(r"(\d{4})-(\d{3})", words):
            words = _ordinal_day(int(match[1]), int(match[2])).isoformat()
        elif match := re.fullmatch(r"(\d{4})-(\d{2})", words):
            year, month = int(match[1]), int(match[2])
            begin = datetime(year, month, 1, tzinfo=UTC)
            return begin, timedelta(days=calendar.monthrange(year, month)[1])
        elif match := re.fullmatch(r"(\d{4}-\d{2}-\d{2})[T ](\d:\d{2}.*)", words):
            words = f"{match[1]}T0{match[2]}"
        return parse_moment(words, "")
    except (InvalidRequestError, ValueError):
        shown = text.strip()[:40]
        raise InvalidRequestError(f"'{shown}' is not a date; write {TIME_FORMS}") from None


def _ordinal_day(year: int, number: int) -> date:
    """The day of a year by its number, 1 for the first of January."""
    day = date(year, 1, 1) + timedelta(days=number - 1)
    if number < 1 or day.year != year:
        raise ValueError
    return day


def time_text(query: Query) -> str:
    """What would be typed for the time of a query; '' for no limit."""
    if query.days_back is not None:
        return f"{query.days_back}d"
    if query.time is None:
        return ""
    words = query.time_words()
    if words[0] == "--date":
        return words[1]
    if len(words) == 4:
        return f"{words[1]}..{words[3]}"
    return f"{words[1]}.." if query.open_end else f"{to_zulu(query.time.start)}.."
