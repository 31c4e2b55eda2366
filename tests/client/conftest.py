"""A client of the archive, and the names it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from maap_tui import MaapClient

L2 = "EarthCAREL2Validated_MAAP"
AUX = "EarthCAREXMETL1DProducts10_MAAP"
DAY = datetime(2025, 12, 1, tzinfo=UTC)
NAMES = (L2, "CPR_CLD_2A", "BC")
HOUR = {"start": DAY, "end": DAY + timedelta(minutes=59, seconds=59)}


@pytest.fixture
def client(home: Path) -> Iterator[MaapClient]:
    with MaapClient() as opened:
        yield opened
