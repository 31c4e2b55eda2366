"""Times as people write them: days, months, ranges, hours and days back from now. All are UTC."""

from __future__ import annotations

import calendar
import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.model import TimeRange, parse_zulu

TIME_FORMS = "2025-12-01, 2025-12, 2025-12-01..2025-12-07, yesterday, 7d, 3h or missing 30d"
"""Examples of a time, as an error names them."""
MOMENT_FORMS = "2025-12-01, 2025-12-01T06:30:00Z, 2025-12, yesterday, 7d or 3h"
"""Examples of the beginning or the end of one."""
MOST_DAYS = 36500

_MISSING = re.compile(r"missing\b\s*(.*)", re.I | re.S)
_LAST = re.compile(r"(?:last\s+)?(\d{1,6})\s*(h|hours?|d|days?|w|weeks?)", re.I)
_DAY = r"\d{4}-?\d{2}-?\d{2}|\d{4}-\d{3}|\d{4}-\d{2}"
_TWO_DAYS = re.compile(rf"({_DAY})\s+(?:(?:to|-)\s+)?({_DAY})", re.I)
_CLOCK = re.compile(r"\d{1,2}:\d{2}(:\d{2})?")


def asked_time(
    *,
    date: str | None = None,
    start: str | None = None,
    end: str | None = None,
    days_back: int | None = None,
    now: datetime,
) -> dict[str, Any]:
    """The fields of `Query` that the time options mean; {} when none of them is given.

    A date is the whole UTC day, an exact `--date` one minute; an `--end` includes all of what is
    written: the month, the day, the minute or the second.

    Raises:
        InvalidRequestError: for options that exclude one another, no dates, or an empty range.
    """
    given = [
        option
        for option, value in (("--date", date), ("--days-back", days_back), ("--start", start))
        if value is not None
    ]
    if len(given) > 1:
        raise InvalidRequestError(f"{given[0]} cannot be used with {given[1]}", "Give one of them.")
    if end is not None and (date is not None or days_back is not None):
        raise InvalidRequestError(f"{given[0]} cannot be used with --end", "Use --end with --start.")
    if date is not None:
        return read_time(date, now, "--date")
    if days_back is not None:
        if not 1 <= days_back <= MOST_DAYS:
            raise InvalidRequestError(
                f"--days-back {days_back} is not possible", "Give a number of days from 1."
            )
        return {"time": TimeRange(now - timedelta(days=days_back), now)}
    if start is None and end is None:
        return {}
    if start is None:
        raise InvalidRequestError("--end needs --start", "Give both, or --date.")
    begin, _ = read_moment(start, now, "--start")
    if end is None:
        if begin >= now:
            raise InvalidRequestError(f"--start ({start}) lies in the future", "Give an earlier one.")
        return {"time": TimeRange(begin, now)}
    until, length = read_moment(end, now, "--end")
    if begin > until:
        raise InvalidRequestError(f"--start ({start}) must be before --end ({end})")
    return {"time": TimeRange(begin, until + length)}


def read_time(text: str, now: datetime, option: str = "") -> dict[str, Any]:
    """Read a date, a month, a range, or the last hours or days; `missing` before it for days with gaps.

    Args:
        text: what was written.
        now: the end of an open range.
        option: the option that it was written for; an error names it.

    Returns:
        The fields of `Query` that say it: `time`, and where they apply `days_back`, `open_end`, `missing`.

    Raises:
        InvalidRequestError: when it is none of these, or has no end and lies in the future.
    """
    words = text.strip()
    if (missing := _MISSING.fullmatch(words)) is not None:
        if not missing[1] or _MISSING.match(missing[1]):
            shown = f"{option} '{words[:40]}' lacks a time".strip()
            raise InvalidRequestError(f"{shown}; write missing 30d, or missing 2025-12")
        return {**read_time(missing[1], now, option), "missing": True}
    if last := _LAST.fullmatch(words):
        return _last(last, now, option)
    begin_text, sign, end_text = words.partition("..")
    if not sign:
        begin_text, sign, end_text = words.partition("/")
    if not sign and (two := _TWO_DAYS.fullmatch(words)):
        begin_text, sign, end_text = two[1], "..", two[2]
    begin, length = _moment(begin_text, now, option, TIME_FORMS)
    if not sign:
        return {"time": TimeRange(begin, begin + max(length, timedelta(minutes=1)))}
    if not end_text.strip(". "):
        if begin >= now:
            raise InvalidRequestError(f"{option} {begin_text.strip()} lies in the future".strip())
        return {"time": TimeRange(begin, now), "open_end": True}
    if _CLOCK.fullmatch(end_text.strip()):
        end_text = f"{begin:%Y-%m-%d} {end_text.strip():0>5}"
    until, length = _moment(end_text, now, option, TIME_FORMS)
    if begin > until:
        whose = f"{option} '{words[:60]}'" if option else "the range"
        raise InvalidRequestError(f"{whose} ends ({end_text.strip()}) before it starts")
    return {"time": TimeRange(begin, until + length)}


def read_moment(text: str, now: datetime, option: str) -> tuple[datetime, timedelta]:
    """Read a date or a time, or hours or days back: when it starts, and how long what was written lasts.

    `2024-12` is a month, `2024-12-01` a day, `2024-12-01T10:30` a minute, `2024-12-01T10:30:15Z` a second,
    `3h` the moment three hours ago.

    Raises:
        InvalidRequestError: with `option` named, when it is none of these.
    """
    return _moment(text, now, option, MOMENT_FORMS)


def _last(found: re.Match[str], now: datetime, option: str) -> dict[str, Any]:
    hours = _hours(found, option)
    if found[2][0].lower() == "h":
        # It becomes an option of the command, which somebody reads.
        start = (now - timedelta(hours=hours)).replace(microsecond=0)
        return {"time": TimeRange(start, now), "open_end": True}
    return {"time": TimeRange(now - timedelta(hours=hours), now), "days_back": hours // 24}


def _hours(found: re.Match[str], option: str) -> int:
    hours = int(found[1]) * {"h": 1, "d": 24, "w": 168}[found[2][0].lower()]
    if not 1 <= hours <= MOST_DAYS * 24:
        raise InvalidRequestError(f"{option} must be 1 hour to {MOST_DAYS} days back".strip())
    return hours


def _moment(text: str, now: datetime, option: str, forms: str) -> tuple[datetime, timedelta]:
    words = text.strip()
    if last := _LAST.fullmatch(words):
        return (now - timedelta(hours=_hours(last, option))).replace(microsecond=0), timedelta()
    if words.lower() in ("today", "yesterday"):
        midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return midnight - timedelta(days=words.lower() == "yesterday"), timedelta(days=1)
    try:
        if match := re.fullmatch(r"(\d{4})(-?)(\d{2})\2(\d{2})", words):
            return datetime(int(match[1]), int(match[3]), int(match[4]), tzinfo=UTC), timedelta(days=1)
        if match := re.fullmatch(r"(\d{4})-(\d{3})", words):
            return _ordinal_day(int(match[1]), int(match[2])), timedelta(days=1)
        if match := re.fullmatch(r"(\d{4})-(\d{2})", words):
            year, month = int(match[1]), int(match[2])
            begin = datetime(year, month, 1, tzinfo=UTC)
            return begin, timedelta(days=calendar.monthrange(year, month)[1])
        if match := re.fullmatch(r"(\d{4}-\d{2}-\d{2})[T ](\d:\d{2}.*)", words):
            words = f"{match[1]}T0{match[2]}"
        match = re.fullmatch(
            r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2})?(\.\d+)?(Z|z|[+-]\d{2}:?\d{2})?", words
        )
        if match is None:
            raise ValueError
        moment = parse_zulu(words.replace("z", "Z"))
    except (ValueError, OverflowError):
        shown = f"'{text.strip()[:40]}' is not a date"
        if option:
            raise InvalidRequestError(f"{option} {shown}", f"Write {forms}.") from None
        raise InvalidRequestError(f"{shown}; write {forms}") from None
    if match[2]:
        return moment, timedelta(microseconds=1)
    return moment, timedelta(seconds=1) if match[1] else timedelta(minutes=1)


def _ordinal_day(year: int, number: int) -> datetime:
    """The day of a year by its number, 1 for the first of January."""
    day = date(year, 1, 1) + timedelta(days=number - 1)
    if number < 1 or day.year != year:
        raise ValueError
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
