"""An archive for clients, and a home that the environment points at."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from maap_tui import MaapClient
from maap_tui.demo import Archive

L2 = "EarthCAREL2Validated_MAAP"
AUX = "EarthCAREXMETL1DProducts10_MAAP"
DAY = datetime(2025, 12, 1, tzinfo=UTC)
NAMES = (L2, "CPR_CLD_2A", "BC")
HOUR = {"start": DAY, "end": DAY + timedelta(minutes=59, seconds=59)}


@pytest.fixture(scope="session")
def shared() -> Iterator[Archive]:
    with Archive.start(now="2026-01-15T00:00:00Z") as started:
        yield started


@pytest.fixture
def archive(shared: Archive, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Archive]:
    """The archive, and a home that the environment points at."""
    shared.faults.clear()
    shared.stats.reset()
    shared.prepare(tmp_path)
    with (tmp_path / "config.toml").open("a") as file:
        file.write(
            "retry_wait = 0.01\nretries = 1\noutage_wait = 0\n\n"
            "[downloads]\nretry_wait = 0.01\nretries = 1\nmin_free = '0'\n"
        )
    for name, value in shared.environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    yield shared
    shared.faults.clear()


@pytest.fixture
def client(archive: Archive) -> Iterator[MaapClient]:
    with MaapClient() as opened:
        yield opened
