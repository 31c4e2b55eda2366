"""What a run leaves out counts: exit 3, how many and why, and a line in errors.txt while it is so."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from maap_tui import MaapClient
from tests.engine.raw_server import RawServer, item, page

L2 = "EarthCAREL2Validated_MAAP"
CLD = (L2, "CPR_CLD_2A", "BC")
DAY = ("--date", "2025-12-01")
START = datetime(2025, 12, 1, tzinfo=UTC)
QUICKLOOK = {"quicklook_1": {"href": "http://127.0.0.1:1/public/a.jpeg"}}
ZIP = {"product": {"href": "http://127.0.0.1:1/data/zipper/a.zip"}}


@contextmanager
def serving(answer: Callable[[Any], Any]) -> Iterator[RawServer]:
    """A catalogue in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = RawServer(answer)
    try:
        asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result()
        yield server
        asyncio.run_coroutine_threadsafe(server.__aexit__(None, None, None), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def without_files(count: int = 15) -> list[dict[str, Any]]:
    kinds: list[Any] = [{}, None, QUICKLOOK]
    return [item(START + timedelta(minutes=n), 8000 + n, assets=kinds[n % 3]) for n in range(count)]


def error_lines(home: Path) -> list[str]:
    return [line for file in home.rglob("errors.txt") for line in file.read_text().splitlines()]


@pytest.fixture
def items(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What the catalogue has; a test puts it there."""
    found: list[Any] = []
    with serving(lambda asked: page(found, len(found))) as server:
        monkeypatch.setenv("MAAP_CATALOG_URL", server.url)
        yield found


@pytest.mark.parametrize(
    ("words", "is_tracked"),
    [
        (("search",), False),
        (("search", "--registry-save"), True),
        (("get",), False),
        (("get", "--dry-run"), False),
        (("download",), True),
        (("sync",), True),
        (("sync", "--dry-run"), False),
    ],
)
def test_items_without_files_are_3_and_are_counted(
    maap: Callable, home: Path, items: list[Any], words: tuple[str, ...], is_tracked: bool
) -> None:
    items += without_files()
    ended = maap(words[0], *CLD, *DAY, *words[1:], "--quiet")
    assert (ended.code, ended.out) == (3, "")
    said = ended.err.splitlines()
    assert said[-1] == "Skipped 15 items: no file that can be used (15)"
    assert said[0] == f"Skipped: {items[0]['id']}: has no file that can be used"
    assert len(said) == 11, "the first ten by name"
    lines = error_lines(home)
    assert len(lines) == (15 if is_tracked else 0)
    for line, one in zip(lines, items, strict=False):
        url, _, reason = line.partition("|")
        assert url.endswith(f"/catalogue/collections/{L2}/items/{one['id']}")
        assert "skipped: has no file that can be used" in reason and "|" not in reason


def test_a_granule_without_the_usual_file_is_skipped_and_one_without_the_format_asked_for_is_not_meant(
    maap: Callable, items: list[Any]
) -> None:
    items += [item(START), item(START + timedelta(minutes=1), 8001, assets=ZIP)]
    ended = maap("search", *CLD, *DAY)
    assert (ended.code, len(ended.lines)) == (3, 1)
    assert "Skipped 1 item: no file of h5" in ended.err
    ended = maap("search", *CLD, *DAY, "--format", "zip")
    assert (ended.code, len(ended.lines)) == (0, 1)
    assert "1 of 2 granules found have no file in zip and are left out" in ended.err


@pytest.mark.parametrize("words", [("search",), ("get", "--dry-run")], ids=" ".join)
def test_a_result_that_is_cut_unasked_is_not_all_of_it(
    maap: Callable, items: list[Any], words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    items += [item(START + timedelta(minutes=n), 8000 + n) for n in range(3)]
    monkeypatch.setenv("MAAP_SEARCH_MAX_ITEMS", "2")
    ended = maap(words[0], *CLD, *DAY, *words[1:], "--quiet")
    assert (ended.code, len(ended.lines)) == (3, 2)
    assert "Only the first 2 granules are taken" in ended.err
    asked_for = maap(words[0], *CLD, *DAY, *words[1:], "-n", "2")
    assert (asked_for.code, len(asked_for.lines)) == (0, 2)


def test_a_count_says_what_it_has_beside_the_lines_of_a_search(maap: Callable, items: list[Any]) -> None:
    early = item(START - timedelta(minutes=5), 7999)
    items += [early, item(START), item(START + timedelta(minutes=12), 8001)]
    ended = maap("search", *CLD, *DAY, "--count", "-n", "1")
    assert ended.lines == ["3"]
    assert "granules that began before the time range and reach into it" in ended.err
    assert "lists at most 1 (--max-items)" in ended.err
    assert len(maap("search", *CLD, *DAY).lines) == 2


@pytest.mark.parametrize(
    "other",
    [
        item(START - timedelta(minutes=5), assets={}),
        {**item(START, assets={}), "id": item(START)["id"].replace("CPR_CLD_2A", "ATL_EBD_2A")},
        {**item(START, assets={}), "id": item(START)["id"].replace("EXBC", "EXBA")},
        {"id": "no_name", "properties": {"product:type": "ATL_EBD_2A"}},
    ],
)
def test_an_item_of_another_day_product_or_baseline_is_not_missed(
    maap: Callable, items: list[Any], other: dict[str, Any]
) -> None:
    items.append(other)
    assert maap("search", *CLD, *DAY).code == 0


def test_a_skipped_item_leaves_the_list_once_its_day_has_none(
    maap: Callable, home: Path, items: list[Any]
) -> None:
    items += without_files(2)
    assert maap("sync", *CLD, *DAY).code == maap("sync", *CLD, *DAY).code == 3
    assert len(error_lines(home)) == 2, "each once"
    assert "Errors:              2" in maap("state", "show", *CLD).lines
    del items[1]
    maap("sync", *CLD, "--date", "2025-12-02")
    assert len(error_lines(home)) == 2, "another day says nothing of it"
    assert maap("sync", *CLD, *DAY).code == 3
    assert len(error_lines(home)) == 1
    items.clear()
    assert maap("sync", *CLD, *DAY).code == 0
    assert error_lines(home) == []


def test_a_file_that_failed_stays_listed_beside_skipped_items(
    maap: Callable, home: Path, items: list[Any]
) -> None:
    items += [item(START + timedelta(hours=1)), *without_files(1)]
    assert maap("sync", *CLD, *DAY).code == 3
    assert sum("skipped: " in line for line in error_lines(home)) == 1
    assert len(error_lines(home)) == 2
    del items[1]
    assert maap("sync", *CLD, *DAY).code == 4, "the file's address is not on the archive"
    (line,) = error_lines(home)
    assert line.split("|")[0].endswith(".h5")


def test_the_python_api_lists_what_was_skipped(home: Path, items: list[Any]) -> None:
    items += without_files(3)
    span = {"start": START, "end": START + timedelta(hours=1)}
    with MaapClient() as client:
        found = client.search(*CLD, **span)
        synced = client.sync(*CLD, **span)
        got = client.get(*CLD, **span)
    for result in (found, synced, got):
        assert len(result.skipped_items) == 3
        assert all("has no file that can be used" in one for one in result.skipped_items)


def test_a_match_has_only_granules_with_the_files_meant(
    maap: Callable, items: list[Any], tmp_path: Path, home: Path
) -> None:
    line = {"type": "LineString", "coordinates": [[23.0, 60.0], [25.0, 62.0]]}
    for number, assets in enumerate([ZIP, {"h5": {"href": "http://127.0.0.1:1/data/h/a.h5"}}]):
        begin = START + timedelta(minutes=10 * number)
        one = item(begin, 8000 + number, assets=assets, geometry=line)
        one["properties"] |= {
            "start_datetime": begin.isoformat(),
            "end_datetime": (begin + timedelta(minutes=5)).isoformat(),
        }
        items.append(one)
    track = tmp_path / "buoy.csv"
    track.write_text("time,lat,lon\n2025-12-01T00:00:00Z,61,24\n2025-12-01T01:00:00Z,61,24\n")
    words = ("match", track, "CPR_CLD_2A:BC", "--json")
    ended = maap(*words, "--format", "zip")
    assert (ended.code, len(ended.lines)) == (0, 1) and items[0]["id"] in ended.out
    assert "1 of 2 granules found have no file in zip and are left out" in ended.err
    usual = maap(*words)
    assert (usual.code, len(usual.lines)) == (3, 1) and items[1]["id"] in usual.out
    assert f"Skipped: {items[0]['id']}: has no file of h5" in usual.err
    none = maap(*words, "--format", "tiff", "--get")
    assert (none.code, none.out) == (4, "") and "None of 2 granules found has a file in tiff" in none.err
    assert "Nothing to download [CPR_CLD_2A:BC near buoy.csv, begun " in none.err
