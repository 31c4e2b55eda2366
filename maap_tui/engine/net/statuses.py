"""Statuses: which answers of a service another try may change, and how long to wait before it."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime

RETRY_AFTER_CAP_S = 120.0
"""Longest wait that a server can ask for."""

BUSY = frozenset({429, 500, 502, 503, 504})
"""Statuses that say: ask again later."""

GONE = frozenset({404, 410})
"""Statuses that say: this does not exist here."""

_LASTING = frozenset({301, 308, 501})
"""Statuses besides 4xx that another try does not change (RFC 9110 section 15)."""

_NOT_YET = frozenset({408, 421, 423, 425, 429})
"""Statuses of 4xx that another try may change."""


def is_lasting(status: int) -> bool:
    """Whether the same request will be answered with this status again."""
    return status in _LASTING or (400 <= status < 500 and status not in _NOT_YET)


def retry_after_s(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds that a Retry-After header asks for, capped; None without a readable one."""
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        from email.utils import parsedate_to_datetime  # hosts send seconds, and hardly ever a date

        try:
            moment = parsedate_to_datetime(text)
        except (TypeError, ValueError):
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = (moment - (now or datetime.now(UTC))).total_seconds()
    if seconds != seconds:  # NaN
        return None
    return min(max(seconds, 0.0), RETRY_AFTER_CAP_S)


def backoff_s(attempt: int, first_wait_s: float, cap_s: float = 60.0) -> float:
    """Seconds to wait after try number `attempt` (from 1): doubling, with jitter down to a half."""
    return min(cap_s, first_wait_s * 2.0 ** (attempt - 1)) * random.uniform(0.5, 1.0)
