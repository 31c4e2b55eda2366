"""What scientists expect of a Python library: short words, tables, maps, awaiting and a bar."""

from __future__ import annotations

import asyncio
import builtins
import inspect
import itertools
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from maap_tui import AsyncMaapClient, InvalidRequestError, MaapClient
from maap_tui.client.results import SearchResult
from maap_tui.demo import Archive
from tests.client.conftest import DAY, HOUR, L2, NAMES


@pytest.fixture
def found(client: MaapClient) -> SearchResult:
    return client.search(*NAMES, **HOUR)


def test_a_result_is_a_line(found: SearchResult) -> None:
    text = repr(found)
    assert text == "SearchResult(6 files of 6 granules, baseline BC, 2025-12-01 00:00 to 2025-12-01 01:00)"
    lacking = replace(found, urls=[], granules=[], total_count=0, baselines_found=[], start=None, end=None,
                      failed_days=[(DAY.date(), "x")], skipped_items=["a", "b"])  # fmt: skip
    assert repr(lacking) == "SearchResult(0 files of 0 granules, 1 day failed, 2 items skipped)"
    assert "<table" not in lacking._repr_html_()


def test_other_results_are_lines_too(client: MaapClient, found: SearchResult, tmp_path: Path) -> None:
    granule = found.granules[0]
    assert repr(granule) == repr(replace(granule)) == f"Granule({L2}/{granule.id})"
    (news,) = client.news(*NAMES, since=DAY)
    late = f"{len(news.late):,}"
    assert repr(replace(news, failed=["x"], here=3)).endswith(
        f" {late} late, {len(news.reprocessed):,} reprocessed, 3 here, 1 part could not be asked)"
    )
    done = client.download(found.urls, collection=L2, out_dir=tmp_path)
    assert repr(done).startswith("DownloadResult(6 downloaded, ") and "failed" not in repr(done)
    again = client.download([*found.urls, f"{found.urls[0]}x"], collection=L2, out_dir=tmp_path)
    assert repr(again) == "DownloadResult(0 downloaded, 0 B, 6 skipped, 1 failed)"


def test_a_notebook_shows_a_table_and_a_map(found: SearchResult) -> None:
    shown = found._repr_html_()
    assert shown.count("<tr>") == 1 + len(found.urls) and "<svg" in shown
    assert all(granule.orbit_frame in shown for granule in found.granules)


def test_a_notebook_shows_nothing_of_a_server_as_code(found: SearchResult) -> None:
    granule = found.granules[0]
    asset = replace(granule.files(("h5",))[0], name="<script>alert(1)</script>\x1b[31m")
    evil = replace(granule, assets=(asset,), baseline='"><img src=x>')
    shown = replace(found, granules=[evil])._repr_html_()
    assert "<script" not in shown and "<img" not in shown and "\x1b" not in shown
    assert "&lt;script&gt;" in shown


@pytest.mark.parametrize("count", [1, 12, 1_200])
def test_a_long_result_stays_short(found: SearchResult, count: int) -> None:
    granule = found.granules[0]
    several = [granule] * count
    result = replace(found, granules=several, urls=[granule.files(("h5",))[0].href], total_count=count)
    shown = result._repr_html_()
    assert shown.count("<tr>") <= 11 and len(shown) < 150_000
    assert ("400 of 1,200" in shown) is (count == 1_200)


def test_tracks_stay_on_the_map(found: SearchResult) -> None:
    across = replace(
        found.granules[0],
        geometry={"type": "LineString", "coordinates": [[170.0, 10.0], [179.0, 12.0], [-179.0, 14.0]]},
    )
    shown = replace(found, granules=[across])._repr_html_()
    path = shown.rpartition(' d="')[2].partition('"')[0]
    pieces = [[float(word.split(",")[0]) for word in piece.split("L")] for piece in path.split("M") if piece]
    assert len(pieces) == 2 and pieces[0][-1] == 180 and pieces[1][0] == -180
    assert all(abs(b - a) < 20 for piece in pieces for a, b in itertools.pairwise(piece))


def test_geojson_has_each_file(found: SearchResult) -> None:
    collection = json.loads(json.dumps(found.to_geojson()))
    assert [one["properties"]["url"] for one in collection["features"]] == found.urls
    assert {one["geometry"]["type"] for one in collection["features"]} == {"LineString"}


def test_pandas_has_a_row_a_file(client: MaapClient) -> None:
    found = client.search(*NAMES, **HOUR, format="all")
    table = found.to_pandas()
    assert sorted(table["url"]) == sorted(found.urls) and len(table) == 12
    assert str(table["sensing_start"].dtype).endswith("UTC]") and table["sensing_start"].min() >= DAY
    assert str(table["size"].dtype) == str(table["orbit"].dtype) == "Int64"
    empty = client.search(*NAMES, start=DAY, end=DAY + timedelta(seconds=1)).to_pandas()
    assert list(empty.columns) == list(table.columns) and not len(empty)
    assert str(empty["sensing_start"].dtype).endswith("UTC]")


async def test_calls_are_awaited_side_by_side(home: Path) -> None:
    async with AsyncMaapClient() as client:
        names, found, other = await asyncio.gather(
            client.list_products(L2),
            client.search(*NAMES, **HOUR),
            client.search(*NAMES, start=DAY + timedelta(hours=2), end=DAY + timedelta(hours=3)),
        )
        assert "CPR_CLD_2A" in names and len(found.urls) == 6 and not {*found.urls} & {*other.urls}
        result = await client.get(*NAMES, **HOUR, out_dir=home / "flat", max_items=2)
        assert len(result.downloaded) == 2
        with pytest.raises(InvalidRequestError, match="NO_SUCH"):
            await client.search(L2, "NO_SUCH", **HOUR)


async def test_days_come_while_the_loop_is_free(home: Path) -> None:
    async with AsyncMaapClient() as client:
        collection, product, baseline = NAMES
        days = client.search_urls_iter_day(collection, product, DAY, DAY + timedelta(hours=30), baseline)
        assert [len(urls) > 20 async for urls in days] == [True, True]
        async for urls in client.search_urls_iter_day(collection, product, DAY, DAY + timedelta(days=9)):
            assert urls
            break


async def test_a_cancelled_call_ends_its_work(home: Path, archive: Archive) -> None:
    archive.control(rate=1_000)
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()

    def look(event: object) -> None:
        if type(event).__name__ == "BytesReceived":
            loop.call_soon_threadsafe(begun.set)

    async with AsyncMaapClient(on_event=look) as client:
        call = asyncio.create_task(client.get(*NAMES, **HOUR, out_dir=home / "flat"))
        await begun.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        archive.control(rate=None)
        result = await client.get(*NAMES, **HOUR, out_dir=home / "flat")
        assert len(result.downloaded) == 6 and not result.errors


@pytest.mark.parametrize("is_by_day", [False, True])
async def test_a_cancelled_search_asks_nothing_more(home: Path, archive: Archive, is_by_day: bool) -> None:
    archive.faults.add(target="search", latency_s=60.0, after=1)
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()

    def look(event: object) -> None:
        if type(event).__name__ == "PageFetched":
            loop.call_soon_threadsafe(begun.set)

    async def days(client: AsyncMaapClient) -> None:
        async for _ in client.search_urls_iter_day(*NAMES[:2], DAY, DAY + timedelta(days=9), NAMES[2]):
            pass

    async with AsyncMaapClient(on_event=look) as client:
        whole = {"start": DAY, "end": DAY + timedelta(days=9)}
        call = asyncio.create_task(days(client) if is_by_day else client.search(*NAMES, **whole))
        await begun.wait()
        call.cancel()
        done, _ = await asyncio.wait([call], timeout=20)
        assert done and call.cancelled()
        archive.faults.clear()
        assert len((await client.search(*NAMES, **HOUR)).urls) == 6


def test_a_bar_on_stderr(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with MaapClient(progress=True) as client:
        client.list_collections()
        assert capsys.readouterr() == ("", "")
        found = client.search(*NAMES, **HOUR)
        searched = capsys.readouterr()
        client.download(found.urls, L2, out_dir=home / "flat")
        fetched = capsys.readouterr()
    assert not searched.out and "100%" in searched.err and "of 7 items" in searched.err
    assert not fetched.out and "100%" in fetched.err and "6/6 files" in fetched.err


def test_a_bar_in_a_notebook(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cell shows what is written to stderr, one line over the other, without IPython."""
    shell = type("ZMQInteractiveShell", (), {})
    monkeypatch.setattr(builtins, "get_ipython", shell, raising=False)
    with MaapClient(progress=True) as client:
        client.search(*NAMES, **HOUR)
    shown = capsys.readouterr()
    assert not shown.out and "of 7 items" in shown.err and shown.err.count("\n") == 1
    assert "\x1b[1A" not in shown.err, "it stays in its line"


def test_all_that_asks_or_reads_can_be_awaited() -> None:
    """What the client computes alone, and what gives a reader that blocks, is left to the client itself."""
    methods = {name for name, one in vars_of(MaapClient).items() if inspect.isfunction(one)}
    awaited = {name for name in methods if inspect.iscoroutinefunction(getattr(AsyncMaapClient, name, None))}
    assert methods - awaited == {"normalize_time_range", "open_dataset"}


def vars_of(kind: type) -> dict[str, object]:
    """Public attributes of a class and of those that it inherits from."""
    found = {name: one for base in reversed(kind.__mro__) for name, one in vars(base).items()}
    return {name: one for name, one in found.items() if not name.startswith("_")}
