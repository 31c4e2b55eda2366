"""The session: parts joined, URLs filed, the registry read and marked."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from maap_tui.demo import Archive
from maap_tui.engine.errors import (
    CatalogError,
    CredentialsError,
    InvalidRequestError,
    MaapError,
    SettingsError,
)
from maap_tui.engine.model import TimeRange
from maap_tui.engine.query import Query
from maap_tui.engine.registry.entries import Key, TrackedFile
from maap_tui.engine.session import Session
from tests.engine.raw_server import RawServer
from tests.homes import requests_of

Make = Callable[..., Session]
L2 = "EarthCAREL2Validated_MAAP"
DAY = TimeRange.of_day(date(2025, 12, 1))
HOUR = TimeRange(DAY.start, DAY.start + timedelta(hours=1))


def cld(**changes: Any) -> Query:
    return Query(L2, "CPR_CLD_2A", **{"baseline": "BC", "time": HOUR, **changes})


async def urls_of(session: Session, query: Query) -> list[str]:
    found = await session.search(query).granules()
    return [one.href for granule in found for one in granule.files(session.formats_of(query))]


async def test_making_a_session_touches_nothing(tmp_path: Path) -> None:
    home = tmp_path / "not-there"
    async with Session.load(environ={"HOME": str(home), "MAAP_HOME": str(home)}) as opened:
        assert opened.collections()[0].startswith("EarthCARE")
        assert opened.registry.tracked() == []
    assert not home.exists()


def test_wrong_settings_are_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(SettingsError):
        Session.load(environ={"HOME": str(tmp_path)}, overrides={"api.page_size": "many"})


def test_collections_of_the_configuration(session: Make) -> None:
    chosen = session(
        **{"mission.collections": ["One", "Two"], "mission.collections_extend": ["Two", "Three"]}
    )
    assert chosen.collections() == ["One", "Two", "Three"]
    assert session(**{"mission.name": "Aeolus"}).collections()[0].startswith("Aeolus")


async def test_token_is_described_without_a_request(session: Make, archive: Archive, home: Path) -> None:
    assert session().token_info().expires is not None
    (home / "credentials.txt").unlink()
    with pytest.raises(CredentialsError, match="Credentials file not found"):
        session().token_info()
    assert requests_of(archive, "token") == 0


async def test_search_and_download_in_one(session: Make, home: Path, archive: Archive) -> None:
    async with session(bulk=True) as opened:
        dry = await opened.get(cld(max_items=2), dry_run=True)
        assert len(dry.wanted) == 2 and dry.downloads.downloaded == {}
        assert requests_of(archive, "data") == 0
        newest = cld(max_items=2, newest_first=True)
        meant = (await opened.get(newest, dry_run=True)).wanted
        report = await opened.get(newest)
    assert report.granules == 2
    assert [one.path for one in meant] == sorted(report.downloads.downloaded.values(), reverse=True)
    assert all(path.is_file() for path in report.downloads.downloaded.values())
    assert not list((home / "registry").rglob("*.txt"))


async def test_flat_folder(session: Make, tmp_path: Path) -> None:
    out = tmp_path / "flat"
    async with session(bulk=True) as opened:
        report = await opened.get(cld(max_items=2), out_dir=out)
        again = await opened.get(cld(max_items=2), out_dir=out)
        foldered = await opened.get(cld(max_items=1), out_dir=out, product_dir=True)
    assert {path.parent for path in report.downloads.downloaded.values()} == {out}
    assert len(again.downloads.skipped) == 2
    (path,) = foldered.downloads.downloaded.values()
    assert path.parent == out / path.stem


async def test_urls_are_filed_by_their_names(session: Make, home: Path) -> None:
    async with session(bulk=True) as opened:
        urls = await urls_of(opened, cld(max_items=2))
        dry = await opened.download(urls, L2, dry_run=True)
        assert list(dry.skipped) == urls and dry.downloaded == {}
        report = await opened.download([*urls, urls[0]], L2, track=True)
        again = await opened.download(urls, L2)
        fresh = await opened.download(urls[:1], L2, again=True)
        assert opened.stats(L2, "CPR_CLD_2A", "bc").downloaded == 2
    assert len(report.downloaded) == 2 == len(again.skipped) and len(fresh.downloaded) == 1
    assert all(path.is_relative_to(home / "data" / "EarthCARE" / L2) for path in report.downloaded.values())


async def test_zip_gets_its_suffix(session: Make) -> None:
    async with session(bulk=True) as opened:
        granule = (await opened.search(cld(max_items=1)).granules())[0]
        (asset,) = granule.files(("zip",))
        report = await opened.download([asset.href], L2)
    (path,) = report.downloaded.values()
    assert path.name == f"{granule.id}.zip" and path.read_bytes()[:2] == b"PK"


async def test_url_that_no_mission_knows_is_looked_up(session: Make, home: Path) -> None:
    thing = {
        "id": "thing_0001",
        "properties": {"start_datetime": "2025-12-01T10:00:00Z", "product:type": "RAW", "version": "v1"},
        "assets": {"data": {"href": "http://127.0.0.1:1/data/x/thing_0001.nc", "file:size": 12}},
    }

    def answer(asked: Any) -> Any:
        return thing if asked.path.endswith("/items/thing_0001") else (404, {})

    async with RawServer(answer) as server, session(server.url) as opened:
        wanted = await opened.request_of_url(thing["assets"]["data"]["href"], "Radar1")  # type: ignore[index]
        assert wanted.path == home / "data/Radar/Radar1/RAW/V1/2025/12/01/thing_0001.nc"
        assert wanted.size == 12 and wanted.key is not None and wanted.key.baseline == "V1"
        report = await opened.download(["http://127.0.0.1:1/data/other.nc", "nonsense"], "Radar1")
    assert [one.permanent for one in report.failed] == [True, True]
    assert "cannot parse product/baseline from other.nc" in report.failed[0].reason


async def test_items_are_found_by_id(session: Make) -> None:
    async with session() as opened:
        granule = (await opened.search(cld(max_items=1)).granules())[0]
        assert await opened.find(L2, granule.id) == granule
        assert await opened.find(L2, "ECA_EXBC_CPR_CLD_2A_20200101T000000Z_20200101T000000Z_00001A") is None
        assert await opened.find(L2, "../../etc") is None


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, None), (404, None), (410, None), (401, InvalidRequestError), (403, InvalidRequestError),
     (423, CatalogError), (505, CatalogError)],
)  # fmt: skip
async def test_an_item_that_is_refused_may_be_there(
    session: Make, status: int, kind: type[MaapError] | None
) -> None:
    """Only what the archive does not have is none; a file without a name that says its place waits for it."""
    async with (
        RawServer(lambda asked: (status, {"description": "words"})) as server,
        session(server.url) as opened,
    ):
        if kind is None:
            assert await opened.find(L2, "thing_0001") is None
            return
        with pytest.raises(kind, match=f"Failed to fetch the item: {status} words"):
            await opened.find(L2, "thing_0001")
        report = await opened.download(["http://127.0.0.1:1/data/thing_0001.nc"], L2)
        assert [one.permanent for one in report.failed] == [kind is InvalidRequestError]
        assert f"{status} words" in report.failed[0].reason


async def test_aeolus_url_is_filed_by_its_folder(session: Make) -> None:
    day = TimeRange.of_day(date(2022, 6, 1))
    async with session() as opened:
        (url, *_) = await urls_of(opened, Query("AeolusL2BProducts", "ALD_U_N_2B", time=day, max_items=1))
        wanted = await opened.request_of_url(url, "AeolusL2BProducts")
    assert wanted.key is not None and wanted.day == date(2022, 6, 1)
    assert f"Aeolus/AeolusL2BProducts/ALD_U_N_2B/{wanted.key.baseline}/2022/06/01" in str(wanted.path)


async def test_life_of_a_file(session: Make, home: Path) -> None:
    async with session(bulk=True) as opened:
        report = await opened.sync(cld(), max_items=3)
        paths = [str(path) for path in report.downloads.downloaded.values()]
        one, *rest = paths
        marked = opened.mark([one, one, str(home / "elsewhere.h5")])
        assert (marked.new, marked.already, len(marked.refused)) == (1, 1, 1)
        assert opened.mark([one]).already == 1
        stats = opened.stats(L2, "CPR_CLD_2A", "BC")
        assert (stats.downloaded, stats.marked, stats.pending_marks) == (3, 1, 2)
        assert stats.pending_downloads == stats.total_urls - 3
        dry = opened.cleanup(L2, "CPR_CLD_2A", "BC", dry_run=True)
        assert [str(path) for path in dry.deleted] == [one] and Path(one).exists()
        opened.cleanup(L2, "CPR_CLD_2A", "bc")
        assert not Path(one).exists() and all(Path(path).exists() for path in rest)
        # What was deleted on purpose is not downloaded again.
        again = await opened.sync(cld())
    assert again.already == 3 and one not in map(str, again.downloads.downloaded.values())


@pytest.mark.parametrize(
    ("minutes", "counted"),
    [((0, 60), True), ((0, 0), False), ((0, 24 * 60), True), ((24 * 60, 48 * 60), False)],
)
async def test_counts_of_a_span(session: Make, minutes: tuple[int, int], counted: bool) -> None:
    async with session() as opened:
        found = await opened.search(cld()).granules()
        await opened.save_to_registry(found, ("h5",))
        span = TimeRange(*(DAY.start + timedelta(minutes=n) for n in minutes))
        stats = opened.stats(L2, "CPR_CLD_2A", "BC", span)
    assert stats.total_urls == (len(found) if counted else 0) == stats.pending_downloads


async def test_pending_lines_are_downloaded_in_either_order(session: Make, tmp_path: Path) -> None:
    async with session(bulk=True) as opened:
        found = await opened.search(cld()).granules()
        await opened.save_to_registry(found, ("h5",))
        old = opened.pending(cld(), max_items=2).files
        new = opened.pending(cld(newest_first=True), max_items=2).files
        assert old[0].url < old[1].url < new[1].url < new[0].url
        await opened.download_pending(old)
        flat = await opened.download_pending(new, out_dir=tmp_path / "flat")
        rows = {entry.url: entry.path for entry in opened.tracker(L2, "CPR_CLD_2A", "BC").downloads()}
    assert len(rows) == 4
    assert {rows[url] for url in flat.downloaded} == {str(path) for path in flat.downloaded.values()}


async def test_baseline_without_a_registry_is_spelled_as_archived(session: Make) -> None:
    opened = session()
    assert opened.tracked_keys(L2, "CPR_CLD_2A", "bc")[0].baseline == "BC"
    assert opened.tracked_keys("AeolusL2BProducts", "ALD_U_N_2B", "2b16")[0].baseline == "2b16"
    assert opened.tracked_keys(L2, "CPR_CLD_2A") == []
    with pytest.raises(InvalidRequestError):
        opened.tracked_keys(L2, "CPR_CLD_2A", "../up")


async def test_line_that_names_no_file_is_a_failure_of_its_own(session: Make, tmp_path: Path) -> None:
    key = session().tracked_keys(L2, "CPR_CLD_2A", "BC")[0]
    async with session(bulk=True) as opened:
        (good,) = await urls_of(opened, cld(max_items=1))
        entries = [TrackedFile(key, DAY.first_day, url) for url in ("http://127.0.0.1:1/..", good)]
        flat = await opened.download_pending(entries, out_dir=tmp_path / "flat")
        dated = await opened.download_pending(entries)
    assert [one.permanent for one in flat.failed] == [True] and list(flat.downloaded) == [good]
    assert list(dated.downloaded) == [good]


async def test_what_the_app_queues_goes_where_the_commands_put_it(session: Make, archive: Archive) -> None:
    archive.faults.add(target="data", status=503)
    rules = {"downloads.product_dir": True, "downloads.retries": 0}
    async with session(bulk=True, **rules) as opened:
        async with opened.downloads(verb="app") as queue:
            report = await opened.sync(cld(), into=queue)
            synced = {job.wanted.path for job in queue.jobs.values()}
        pending = opened.pending(cld()).files
        async with opened.downloads(verb="app") as queue:
            assert await opened.enqueue_tracked(pending, queue) == (report.found, [])
            queued = {job.wanted.path for job in queue.jobs.values()}
    assert len(synced) == report.found and synced == queued
    assert all(path.parent.name == path.stem for path in synced)


async def test_damaged_file_is_queued_again_where_it_was(session: Make, home: Path) -> None:
    async with session(bulk=True) as opened:
        report = await opened.sync(cld(max_items=1), product_dir=True)
        (path,) = report.downloads.downloaded.values()
        tracker = opened.tracker(L2, "CPR_CLD_2A", "BC")
        recorded = list(tracker.downloads())
        whole = path.read_bytes()
        path.write_bytes(b"x" * len(whole))
        with pytest.raises(InvalidRequestError) as refused:
            opened.filing.request_of_tracked(BAD)
        async with opened.downloads(verb="app") as queue:
            assert await opened.enqueue_tracked([*recorded, BAD], queue, again=True) == (
                1,
                [f"'{BAD.url}' ({refused.value.message})"],
            )
            await queue.join()
    assert path.parent.name == path.stem and path.read_bytes() == whole
    assert [file for file in (home / "data").rglob("*") if file.is_file()] == [path]


BAD = TrackedFile(Key("EarthCARE", L2, "CPR_CLD_2A", "BC"), DAY.first_day, "http://127.0.0.1:1/..")


async def test_damaged_file_of_another_process_is_fetched_again(session: Make) -> None:
    async with session(bulk=True) as opened:
        async with opened.downloads(verb="get") as first:
            (found,) = await opened.search(cld(max_items=1)).granules()
            (wanted,) = opened.filing.requests_of(found, found.files(("h5",)), refuse=print)
            first.add(wanted)
            await first.join()
        whole = wanted.path.read_bytes()
        middle = len(whole) // 2
        wanted.path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
        (row,) = opened.queue.load()
        assert row.state == "finished"
        async with opened.downloads(verb="app") as queue:
            assert await opened.take_over([row], queue, again=True) == (1, [])
            await queue.join()
    assert wanted.path.read_bytes() == whole
