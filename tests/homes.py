"""What the tests of every face share: the archive's clock, settings without waits, and what commands give."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    # Commands that are forked load this module too, and must load nothing else by it.
    import pytest

    from maap_tui.demo import Archive

NOW = "2026-01-15T00:00:00Z"
MOMENT = datetime(2026, 1, 15, tzinfo=UTC)
"""The same moment, for sessions that are given a clock."""

PATIENCE_S = 120.0
"""Seconds until a test gives up what it waits for; on an idle machine none waits for a tenth of that."""

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
    """Or the number of the signal that killed it, negative."""
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def paths(self) -> list[str]:
        """The URLs in it without their host, which each service has of its own."""
        return [urlsplit(line).path for line in self.lines]

    @property
    def told(self) -> dict[str, str]:
        """URL -> state of each file whose end was printed as JSON; a line cut short tells nothing."""
        told = {}
        for line in self.out.splitlines(keepends=True):
            if line.startswith("{") and line.endswith("}\n"):
                row = json.loads(line)
                told[row["url"]] = row["state"]
        return told


def runner(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Gives what runs a command line in this process."""
    from maap_tui.cli.main import main

    def run(*words: Any) -> Ended:
        capsys.readouterr()
        code = main([str(word) for word in words])
        captured = capsys.readouterr()
        return Ended(code, captured.out, captured.err)

    return run


def requests_of(archive: Archive, kind: str) -> int:
    """Requests of a kind that arrived; the archive may not have finished the last of them yet."""
    return sum(request["kind"] == kind for request in archive.stats.show()["last_requests"])
