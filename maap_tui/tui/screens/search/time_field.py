"""The field Time of the search form: reads what people write, and writes the time of a query."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from maap_tui.engine import time_words
from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.query import Query


def read_time(text: str, now: datetime) -> dict[str, Any]:
    """Read a date, a month, a range, or the last hours or days.

    Returns:
        As `time_words.read_time`; {} for an empty text, which means no limit.

    Raises:
        InvalidRequestError: when it is none of these, or lies in the future.
    """
    if not text.strip():
        return {}
    found = time_words.read_time(text, now)
    if found["time"].start >= now:
        raise InvalidRequestError(f"{text.strip()[:40]} lies in the future")
    return found


def time_text(query: Query) -> str:
    """The text to type for the time of a query; '' for no limit."""
    return f"missing {query.time_text()}" if query.missing else query.time_text()
