"""What the tests of every face share: the archive's clock, settings without waits, and what commands give."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

from maap_tui.demo import Archive

NOW = "2026-01-15T00:00:00Z"
MOMENT = datetime(2026, 1, 15, tzinfo=UTC)
"""The same moment, for sessions that are given a clock."""

QUICK: dict[str, object] = {
    "api.retry_wait": 0.01,
    "api.outage_wait": 0,
    "downloads.retry_wait": 0.01,
    "downloads.min_free": "0",
}
"""Settings with which failures are met without a wait."""
QUICK_ENVIRON = {
    "MAAP_RETRY_WAIT": "0.01",
    "MAAP_OUTAGE_WAIT": "0",
    "MAAP_RETRIES": "1",
    "MAAP_DOWNLOADS_RETRY_WAIT": "0.01",
    "MAAP_DOWNLOADS_RETRIES": "1",
    "MAAP_DOWNLOADS_MIN_FREE": "0",
    "MAAP_DOWNLOADS_SPACE_WAIT": "0",
}
"""The same for commands and clients, and one retry only."""


@dataclass(frozen=True)
class Ended:
    """What a command gave: its exit code and its streams."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def paths(self) -> list[str]:
        """The URLs in it without their host, which each service has of its own."""
        return [urlsplit(line).path for line in self.lines]


def requests_of(archive: Archive, kind: str) -> int:
    """Requests of a kind that arrived; the archive may not have finished the last of them yet."""
    return sum(request["kind"] == kind for request in archive.stats.show()["last_requests"])
