"""What a Python user hears of that a result lacks: granules without the format asked for, rows of a sheet."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from maap_tui import AsyncMaapClient, MaapClient
from maap_tui.engine.events import Event, Warned
from tests.client.conftest import DAY, HOUR, NAMES
from tests.homes import Ended

LACKING = (
    "None of 6 granules found has a file in tiff; they have h5, hdr, zip; "
    "give one of these, or all, as format"
)

WAYS: dict[str, Callable[[MaapClient], Any]] = {
    "search": lambda client: client.search(*NAMES, **HOUR, format="tiff"),
    "search_urls": lambda client: client.searcher.search_urls(*NAMES, **HOUR, format="tiff"),
    "search_urls_iter_day": lambda client: list(
        client.searcher.search_urls_iter_day(*NAMES[:2], HOUR["start"], HOUR["end"], NAMES[2], format="tiff")
    ),
    "get": lambda client: client.get(*NAMES, **HOUR, format="tiff", dry_run=True),
    "sync": lambda client: client.sync(*NAMES, **HOUR, format="tiff"),
}


def warned(events: list[Event]) -> list[str]:
    return [one.message for one in events if isinstance(one, Warned)]


@pytest.mark.parametrize("way", WAYS)
def test_no_file_in_the_format_asked_for_is_a_warning(home: Path, events: list[Event], way: str) -> None:
    with MaapClient(on_event=events.append) as client:
        WAYS[way](client)
    assert warned(events) == [LACKING]


def test_the_same_is_heard_of_what_is_awaited(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def ask() -> None:
        async with AsyncMaapClient() as client:
            await client.sync(*NAMES, **HOUR, format="tiff")

    with caplog.at_level(logging.WARNING, "maap_tui"):
        asyncio.run(ask())
    assert [record.message for record in caplog.records] == [LACKING]


def test_a_cover_without_files_says_why(home: Path, events: list[Event]) -> None:
    with MaapClient(on_event=events.append) as client:
        plan = client.plan_cover(
            "BiomassLevel1b", "S2_DGM__1S", start=DAY, end=DAY.replace(day=31), format="h5"
        )
    assert not plan.visits
    (words,) = warned(events)
    assert "granules found has a file in h5" in words


def test_rows_of_a_sheet_that_cannot_be_used(
    maap: Callable[..., Ended], home: Path, events: list[Event]
) -> None:
    sheet = home / "disclaimers.csv"
    rows = ["1,08574D,CPR_CLD_2A", *["2,soon,CPR_CLD_2A"] * 12]
    sheet.write_text("\n".join(["id,first_frame,products", *rows]))
    assert maap("config", "set", "quality.disclaimers", sheet).code == 0
    with MaapClient(on_event=events.append) as client:
        unread = client.update_quality()
        assert [one.id for one in client.notices()].count("1") == 1
    reason = "first_frame 'soon' is not an orbit and frame such as 08574D"
    assert unread == {str(sheet): f"12 rows cannot be used, the first in line 3: {reason}"}
    assert warned(events) == [f"line {n} of {sheet} cannot be used: {reason}" for n in range(3, 13)]
