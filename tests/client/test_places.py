"""Overpasses and matches from Python."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from maap_tui import AsyncMaapClient, CatalogError, DownloadError, InvalidRequestError, MaapClient, exceptions
from maap_tui.demo import Archive

START, END = datetime(2025, 12, 4, tzinfo=UTC), datetime(2025, 12, 10, tzinfo=UTC)
L2 = "EarthCAREL2Validated_MAAP"


@pytest.fixture
def ship(tmp_path: Path) -> Path:
    file = tmp_path / "ship.csv"
    file.write_text("time,lat,lon\n2025-12-04T20:00Z,61.8,24.3\n2025-12-05T01:00Z,61.9,24.0\n")
    return file


def test_a_site_and_its_position_have_the_same_overpasses(home: Path) -> None:
    with MaapClient() as client:
        named = client.overpasses("Hyytiälä", 100, START, END)
        placed = client.overpasses((61.844, 24.288), 100, START, END, by="cycle")
        swath = client.overpasses("hyytiala", 5, START, END, collection=L2, product_type="MSI_COP_2A")
    assert [one.name for one in named] == [one.name for one in placed] == ["08636B", "08676D", "08707D"]
    first = named[0]
    assert (first.side, first.is_day, first.source) == ("left", False, "archive")
    assert first.metres == pytest.approx(34_600, abs=100) and first.granule is not None
    assert all(one.nearest <= 5000 for one in swath) and any(one.swath_metres == 0 for one in swath)
    assert max(one.metres for one in swath) > 40_000


def test_what_is_to_come_without_a_time(home: Path) -> None:
    with MaapClient() as client:
        found = client.overpasses("hyytiala", 100)
    now = datetime.now(UTC)
    assert found and all(now - timedelta(minutes=5) < one.time < now + timedelta(days=14) for one in found)


async def test_granules_near_a_ship_are_matched_and_fetched(home: Path, ship: Path) -> None:
    async with AsyncMaapClient() as client:
        (one,) = await client.match(ship, "CPR_CLD_2A:BC", within_km=100)
        assert (one.name, one.state) == ("08636B", "new")
        assert abs(one.later) <= timedelta(minutes=30, milliseconds=2)
        (one,) = await client.match(ship, ["CPR_CLD_2A:BC"], within_km=100, get=True)
        assert one.state == "here"
        (one,) = await client.match(ship, ["CPR_CLD_2A:BC"], within_km=100)
        assert one.state == "here"


def test_what_cannot_be_is_raised(home: Path, ship: Path, archive: Archive) -> None:
    with MaapClient() as client:
        with pytest.raises(InvalidRequestError, match="not a point on Earth"):
            client.overpasses((95.0, 0.0))
        with pytest.raises(InvalidRequestError, match="nowhere"):
            client.overpasses("nowhere")
        with ship.open("a") as file:
            file.write("soon,1,1\n")
        with pytest.raises(InvalidRequestError, match="1 position of ship"):
            client.match(ship, "CPR_CLD_2A:BC")
        archive.faults.set(status=503, target="search")
        with pytest.raises(CatalogError):
            client.overpasses("hyytiala", 100, START, END)


def test_a_match_that_cannot_be_fetched_says_whether_it_ever_can(
    home: Path, ship: Path, archive: Archive
) -> None:
    with MaapClient() as client:
        archive.faults.set(status=404, target="data")
        with pytest.raises(DownloadError) as caught:
            client.match(ship, "CPR_CLD_2A:BC", within_km=100, get=True)
        assert (caught.value.permanent, caught.value.status_code) == (True, 404)
        assert exceptions.classify_exit_code(caught.value) == exceptions.EXIT_NON_TRANSIENT
        archive.faults.clear()
        with pytest.raises(InvalidRequestError, match="no file in tiff"):
            client.match(ship, "CPR_CLD_2A:BC", within_km=100, format="tiff")


def test_what_is_left_out_of_places_is_logged(
    home: Path, archive: Archive, caplog: pytest.LogCaptureFixture
) -> None:
    archive.faults.add(target="data", status=404)
    with MaapClient() as client, caplog.at_level(logging.WARNING, logger="maap_tui"):
        client.overpasses("hyytiala", 100)
    assert "The predicted orbit cannot be had" in caplog.text
