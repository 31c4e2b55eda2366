"""One archive for all engine tests, with a frozen clock, and sessions that point at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from maap_tui.demo import Archive
from maap_tui.engine.events import Event
from maap_tui.engine.session import Session
from tests.engine.transfer_kit import kit, raw, remote

__all__ = ["kit", "raw", "remote"]

NOW = "2026-01-15T00:00:00Z"

QUICK: dict[str, object] = {
    "api.retry_wait": 0.01,
    "api.outage_wait": 0,
    "downloads.retry_wait": 0.01,
    "downloads.min_free": "0",
}
"""Settings that let a test meet failures without waiting for them."""


@pytest.fixture(scope="session")
def shared_archive() -> Iterator[Archive]:
    with Archive.start(now=NOW) as started:
        yield started


@pytest.fixture
def archive(shared_archive: Archive) -> Iterator[Archive]:
    """The shared archive without faults and with its counters at zero."""
    shared_archive.faults.clear()
    shared_archive.stats.reset()
    yield shared_archive
    shared_archive.faults.clear()


@pytest.fixture
def home(archive: Archive, tmp_path: Path) -> Path:
    """A home with credentials for the archive."""
    archive.prepare(tmp_path)
    return tmp_path


@pytest.fixture
def events() -> list[Event]:
    """What the sessions of a test have told."""
    return []


@pytest.fixture
def session(archive: Archive, home: Path, events: list[Event]) -> Callable[..., Session]:
    """Make a session on the archive; keywords with dots are settings, `url` another catalogue."""

    def make(url: str = "", bulk: bool = False, **overrides: object) -> Session:
        environ = archive.environment(home) | {"HOME": str(home)}
        if url:
            environ["MAAP_CATALOG_URL"] = url
        return Session.load(
            environ=environ,
            overrides=QUICK | overrides,
            emit=events.append,
            bulk=bulk,
            now=lambda: datetime.fromisoformat(NOW),
        )

    return make


@pytest.fixture
def utc() -> Callable[..., datetime]:
    return lambda *parts: datetime(*parts, tzinfo=UTC)


def told(events: list[Event], kind: type[Any]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def requests_of(archive: Archive, kind: str) -> int:
    """Requests of a kind that arrived; the archive may not have finished the last of them yet."""
    return sum(request["kind"] == kind for request in archive.stats.show()["last_requests"])
