"""MaapClient: what users of maap-client write, in scripts and beside a running loop."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from maap_tui import (
    AuthenticationError,
    AuthServiceUnavailable,
    BaselineInfo,
    CatalogError,
    CredentialsError,
    DownloadError,
    InvalidRequestError,
    MaapClient,
    MaapConfig,
)
from maap_tui.client import GlobalStateTracker, Searcher, StateTracker
from maap_tui.demo import Archive
from maap_tui.engine import events
from maap_tui.engine.errors import StorageError
from tests.client.conftest import AUX, DAY, HOUR, L2, NAMES
from tests.faults.figure import PEER_PYTHON
from tests.homes import PATIENCE_S, requests_of

METHODS: dict[type, dict[str, str]] = {
    MaapClient: {
        "update_catalogs": "collections force out_dir",
        "list_collections": "",
        "list_products": "collection from_built verify",
        "list_baselines": "collection product_type from_built verify",
        "get_baseline_info": "collection product_type baseline start end from_built",
        "get_tracker": "collection product_type baseline",
        "normalize_time_range": "start end",
        "save_to_registry": "urls collection product_type",
        "load_from_registry": "collection product_type baseline start end",
        "search": "collection product_type baseline start end orbit use_catalog max_items verbose format "
        "reverse frames on_day",
        "download": "urls collection out_dir track_state skip_existing dry_run verbose product_dir reverse",
        "download_from_registry": "collection product_type baseline start end out_dir skip_existing dry_run "
        "verbose product_dir reverse orbit frames",
        "get": "collection product_type baseline start end orbit out_dir max_items dry_run verbose format "
        "product_dir reverse frames",
        "sync": "collection product_type baseline start end max_items verbose format product_dir reverse "
        "frames max_consecutive_failures",
        "build_catalog": "collection product_type baseline latest_baseline force out_dir verbose "
        "failures_out",
    },
    StateTracker: {
        "add_urls": "urls",
        "cleanup_marked": "dry_run",
        "get_deletable_files": "",
        "get_error_urls": "",
        "get_marked_paths": "start end",
        "get_pending_downloads": "start end",
        "get_pending_mark_paths": "start end",
        "get_stats": "start end",
        "list_dates": "state_type",
        "load_downloads_with_paths": "start end",
        "load_urls_with_paths": "start end",
        "mark": "path",
        "mark_downloaded": "url local_path",
        "mark_error": "url error",
    },
    GlobalStateTracker: {
        "get_all_stats": "",
        "get_tracker": "collection product_type baseline",
        "list_tracked": "",
    },
    Searcher: {
        "search_urls": "collection product_type baseline start end max_items verbose format reverse "
        "frames on_day",
        "search_urls_by_orbit": "collection product_type orbit frames baseline max_items verbose format",
        "search_urls_iter_day": "collection product_type start end baseline max_items verbose format "
        "reverse frames",
    },
}
"""Methods of maap-client 0.2.1 and their arguments, in order."""


@pytest.mark.parametrize(
    ("owner", "name", "arguments"),
    [(owner, name, text.split()) for owner, methods in METHODS.items() for name, text in methods.items()],
)
def test_arguments_are_those_of_maap_client(owner: type, name: str, arguments: list[str]) -> None:
    ours = list(inspect.signature(getattr(owner, name)).parameters)[1:]
    assert ours[: len(arguments)] == arguments


def test_lists(client: MaapClient, archive: Archive) -> None:
    assert L2 in client.list_collections()
    assert "CPR_CLD_2A" in client.list_products(L2)
    assert client.list_products(L2) == client.list_products(L2, verify=True)
    assert requests_of(archive, "catalogue") == 2
    assert client.list_baselines(L2)[-1] == "BC"
    assert client.list_baselines(AUX, "AUX_MET_1D", verify=True) == ["AA", "BC"]
    with pytest.raises(InvalidRequestError, match="product_type is required"):
        client.list_baselines(L2, verify=True)
    with pytest.raises(FileNotFoundError, match="Built catalog not found for"):
        client.list_products(L2, from_built=True)
    with pytest.raises(ValueError, match="no product type"):
        client.list_baselines(L2, "CPR_CLD_9Z")


def test_search_by_time(client: MaapClient) -> None:
    days: list[list[str]] = []
    result = client.search(*NAMES, **HOUR, on_day=days.append, verbose=True)
    assert result.total_count == len(result.urls) == sum(map(len, days)) > 3
    assert result.baselines_found == ["BC"] and result.failed_days == []
    assert (result.start, result.end) == (DAY, DAY + timedelta(hours=1))
    granule = result.granules[0]
    assert granule.orbit == 8574 and granule.sensing_end is not None and granule.geometry
    assert granule.frame is not None and {one.format for one in granule.assets} >= {"h5", "hdr"}
    assert (granule.files(("h5",))[0].size or 0) > 131_072
    back = client.search(*NAMES, **HOUR, reverse=True, max_items=2, format="hdr")
    assert [url.rsplit("/")[-1][:-4] for url in back.urls] == [one.id for one in result.granules[:-3:-1]]
    assert all(url.endswith(".HDR") for url in back.urls)


@pytest.mark.parametrize("orbit", ["08574", "8574", 8574])
def test_search_by_orbit(client: MaapClient, orbit: Any) -> None:
    assert client.search(*NAMES, orbit=orbit).total_count == 8
    assert client.search(*NAMES, orbit=orbit, frames=["c", "D"]).total_count == 2


def test_search_by_orbit_with_its_frame(client: MaapClient) -> None:
    found = client.search(*NAMES, orbit="08574C")
    assert found.total_count == 1 and found.granules[0].orbit_frame == "08574C" and found.start is None
    assert client.searcher.search_urls_by_orbit(L2, "CPR_CLD_2A", 8574, frames=["C"]) == found.urls


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"start": datetime(2025, 12, 1)}, "'start' must be timezone-aware"),
        ({"end": datetime(2025, 12, 1)}, "'end' must be timezone-aware"),
        ({"start": DAY, "end": DAY - timedelta(days=1)}, "must be before end"),
        ({"orbit": "08574", "start": DAY}, "'orbit' cannot be used with 'start' or 'end'"),
        ({"orbit": "08574C", "frames": ["D"]}, "orbit '08574C' already includes a frame letter"),
        ({"orbit": "x"}, "is not an orbit"),
        ({"frames": ["Z"]}, "frames"),
        ({"format": "docx"}, "not a file format"),
        ({"max_items": 0}, "maximum of 0"),
        ({"baseline": "ZZ", **HOUR}, "There is no baseline 'ZZ'"),
    ],
)
def test_wrong_requests(client: MaapClient, options: dict[str, Any], words: str) -> None:
    kinds = (InvalidRequestError, CatalogError)
    with pytest.raises(kinds, match=words):
        client.search(**{"collection": L2, "product_type": "CPR_CLD_2A", **options})


def test_search_without_a_built_catalogue_says_so(
    client: MaapClient, caplog: pytest.LogCaptureFixture
) -> None:
    found = client.search(*NAMES, **HOUR, use_catalog=True)
    assert found.urls == client.search(*NAMES, **HOUR).urls
    assert f"Built catalog not found for {L2}; the whole range is searched" in caplog.text


def test_get_of_everything_has_to_be_meant(client: MaapClient, archive: Archive) -> None:
    with pytest.raises(InvalidRequestError, match="would download all of CPR_CLD_2A BC") as caught:
        client.get(*NAMES, frames=["C"])
    assert "--everything" in caught.value.hint and requests_of(archive, "search") == 0
    assert len(client.get(*NAMES, max_items=1).downloaded) == 1


def test_times_of_any_zone(client: MaapClient) -> None:
    zone = timezone(timedelta(hours=9))
    there = {name: moment.astimezone(zone) for name, moment in HOUR.items()}
    assert client.search(*NAMES, **there).urls == client.search(*NAMES, **HOUR).urls


@pytest.mark.parametrize("reverse", [False, True])
def test_days_as_they_come(client: MaapClient, archive: Archive, reverse: bool) -> None:
    archive.faults.add(failing_day="2025-12-04")
    searcher = client.searcher
    span = {"start": DAY, "end": DAY + timedelta(days=11, seconds=-1)}
    found = list(
        searcher.search_urls_iter_day(
            L2, "CPR_CLD_2A", **span, baseline="BC", frames=["C"], verbose=True, reverse=reverse
        )
    )
    days = [{url.split("/")[-4] for url in urls} for urls in found]
    assert len(found) == 10 and all(len(one) == 1 for one in days)
    numbers = [int(one.pop()) for one in days]
    assert numbers == sorted({*range(1, 12)} - {4}, reverse=reverse)
    assert [day for day, _ in searcher.last_failed_days] == [date(2025, 12, 4)]
    assert "503" in searcher.last_failed_days[0][1]


@pytest.mark.parametrize("reverse", [False, True])
def test_days_of_many_pages_come_whole(home: Path, monkeypatch: pytest.MonkeyPatch, reverse: bool) -> None:
    monkeypatch.setenv("MAAP_PAGE_SIZE", "8")
    span = {"start": DAY + timedelta(hours=3), "end": DAY + timedelta(days=11, hours=9)}
    with MaapClient() as client:
        found = list(
            client.searcher.search_urls_iter_day(
                *NAMES[:2], **span, baseline="BC", frames=["C"], reverse=reverse
            )
        )
        whole = client.search(*NAMES, **span, frames=["C"]).urls
    assert [int({url.split("/")[-4] for url in urls}.pop()) for urls in found] == (
        list(range(1, 13))[:: -1 if reverse else 1]
    )
    assert sorted(url for urls in found for url in urls) == sorted(whole)
    assert all(14 <= len(urls) <= 16 for urls in found[1:-1])


def test_loop_over_days_can_be_left(client: MaapClient, archive: Archive) -> None:
    span = {"start": DAY, "end": DAY + timedelta(days=40)}
    for urls in client.searcher.search_urls_iter_day(L2, "CPR_CLD_2A", **span, frames=["C"]):
        assert urls
        break
    assert requests_of(archive, "search") <= 16
    assert client.search(*NAMES, **HOUR).urls


def test_failed_days_are_in_the_result(
    client: MaapClient, archive: Archive, caplog: pytest.LogCaptureFixture
) -> None:
    archive.faults.add(failing_day="2025-12-01")
    with caplog.at_level(logging.WARNING, "maap_tui"):
        result = client.search(*NAMES, **HOUR)
    assert result.urls == [] and [day for day, _ in result.failed_days] == [date(2025, 12, 1)]
    assert "FAILED DAY: 2025-12-01 (" in caplog.text
    assert client.searcher.search_urls(*NAMES, **HOUR) == []
    assert client.searcher.last_failed_days == result.failed_days


def test_download_and_get(client: MaapClient, home: Path) -> None:
    urls = client.search(*NAMES, **HOUR, max_items=2).urls
    dry = client.download(urls, L2, dry_run=True)
    assert dry.skipped == urls and dry.downloaded == {}
    result = client.download(urls=urls, collection=L2, track_state=True)
    assert sorted(result.downloaded) == sorted(urls) and all(
        path.is_file() for path in result.downloaded.values()
    )
    assert result.total_bytes == sum(path.stat().st_size for path in result.downloaded.values())
    assert result.elapsed_seconds > 0 and result.errors == []
    assert sorted(client.download(urls, L2).skipped) == sorted(urls)
    assert len(client.download(urls[:1], L2, skip_existing=False).downloaded) == 1
    flat = client.get(*NAMES, **HOUR, out_dir=str(home / "out"), max_items=1, format="h5")
    assert [path.parent.name for path in flat.downloaded.values()] == ["out"]
    assert len(client.get(*NAMES, orbit="08574C", dry_run=True).skipped) == 1
    assert client.get_tracker(*NAMES).get_stats()["downloaded"] == 2


def test_errors_by_kind(client: MaapClient, archive: Archive) -> None:
    urls = client.search(*NAMES, **HOUR, max_items=1).urls
    archive.faults.add(target="data", status=404)
    assert [line.split(": ")[0] for line in client.download(urls, L2).permanent_errors] == urls
    archive.faults.clear()
    archive.faults.add(target="data", status=500)
    assert [line.split(": ")[0] for line in client.download(urls, L2).errors] == urls
    archive.faults.clear()
    assert "cannot parse" in client.download(["http://127.0.0.1:9/x.h5"], L2).permanent_errors[0]


def test_sync_and_state(client: MaapClient, home: Path) -> None:
    result = client.sync(*NAMES, **HOUR, max_items=3)
    assert (result.urls_downloaded, result.urls_skipped, result.errors) == (3, 0, [])
    assert result.baselines == ["BC"] and result.failed_days == []
    tracker = result.tracker
    assert tracker is not None
    stats = tracker.get_stats()
    assert set(stats) == {
        "total_urls",
        "downloaded",
        "marked",
        "errors",
        "pending_downloads",
        "pending_marks",
    }
    assert (stats["total_urls"], stats["downloaded"], stats["pending_marks"]) == (result.urls_found, 3, 3)
    assert tracker.get_stats(**HOUR) == stats
    assert tracker.get_stats(start=DAY + timedelta(days=1), end=DAY + timedelta(days=2))["total_urls"] == 0
    pending = tracker.get_pending_downloads()
    assert len(pending) == result.urls_found - 3 == len(tracker.get_pending_downloads(**HOUR))
    paths = sorted(tracker.get_pending_mark_paths())
    assert tracker.mark(paths[0]) and not tracker.mark("/no/day/here.h5")
    assert tracker.get_marked_paths() == {paths[0]}
    assert [str(path) for path in tracker.get_deletable_files()] == paths[:1]
    assert [str(path) for path in tracker.cleanup_marked(dry_run=True)] == paths[:1]
    assert [str(path) for path in tracker.cleanup_marked()] == paths[:1] and not Path(paths[0]).exists()
    assert tracker.list_dates() == tracker.list_dates("marked") == [DAY.date()]
    assert client.state.list_tracked() == [NAMES]
    assert client.state.get_all_stats()[NAMES]["marked"] == 1
    one = sorted(pending)[0]
    tracker.mark_error(one, "it broke")
    assert tracker.get_error_urls() == {one}
    assert tracker.mark_downloaded(one) and tracker.get_error_urls() == set()
    rest = client.download_from_registry(*NAMES, dry_run=True)
    assert set(rest.skipped) == pending - {one}
    assert len(client.download_from_registry(*NAMES, start=DAY).downloaded) == len(rest.skipped)
    assert client.load_from_registry(L2, "CPR_CLD_2A", start=DAY) == client.load_from_registry(*NAMES)


def test_urls_saved_to_the_registry(client: MaapClient) -> None:
    urls = client.search(*NAMES, **HOUR, max_items=2).urls
    new, written = client.save_to_registry(urls, L2, "CPR_CLD_2A")
    assert new == 2 and [path.name for path in written] == ["url_20251201.txt"]
    assert client.save_to_registry([*urls, "http://h/nothing"], L2, "CPR_CLD_2A")[0] == 0
    rows = client.get_tracker(*NAMES).load_urls_with_paths()
    assert [url for url, _ in rows] == urls and all(path.endswith(".h5") for _, path in rows)
    assert client.get_tracker(*NAMES).load_downloads_with_paths() == []


def test_failures_in_a_row_are_raised(client: MaapClient, archive: Archive) -> None:
    archive.faults.add(target="data", status=404)
    with pytest.raises(DownloadError):
        client.sync(*NAMES, **HOUR, max_consecutive_failures=1)


def test_dead_token_and_token_service(client: MaapClient, archive: Archive, home: Path) -> None:
    urls = client.search(*NAMES, **HOUR, max_items=1).urls
    archive.faults.add(target="token", status=503)
    with pytest.raises(AuthServiceUnavailable):
        client.download(urls, L2)
    archive.faults.clear()
    archive.faults.add(target="token", status=401)
    with pytest.raises(AuthenticationError, match="401"):
        client.download(urls, L2)
    archive.faults.clear()
    (home / "credentials.txt").unlink()
    client.close()
    with pytest.raises(CredentialsError, match="Credentials file not found"):
        client.download(urls, L2)


def test_catalogues(client: MaapClient, archive: Archive, home: Path) -> None:
    found = client.update_catalogs([AUX])
    assert json.loads(found[AUX].read_text())["collection"] == AUX
    asked = requests_of(archive, "catalogue")
    assert client.update_catalogs([AUX]) == found and requests_of(archive, "catalogue") == asked
    client.update_catalogs([AUX], force=True)
    assert requests_of(archive, "catalogue") == asked + 1
    assert client.update_catalogs([AUX], out_dir=home / "c")[AUX].parent == home / "c"
    failures: list[tuple[str, str, str, str]] = []
    built = client.build_catalog(AUX, "AUX_MET_1D", latest_baseline=True, failures_out=failures)
    assert failures == [] and list(built) == [AUX]
    assert client.list_products(AUX, from_built=True) == ["AUX_MET_1D"]
    assert client.list_baselines(AUX, "AUX_MET_1D", from_built=True) == ["BC"]
    info = client.get_baseline_info(AUX, "AUX_MET_1D", "bc", from_built=True)
    assert isinstance(info, BaselineInfo) and info.count > 10_000
    part = client.get_baseline_info(*NAMES, **HOUR)
    assert part is not None and part.time_start is not None and part.time_start >= DAY
    assert client.get_baseline_info(L2, "CPR_CLD_2A", "AG") is None


def test_catalogue_that_fails(client: MaapClient, archive: Archive) -> None:
    archive.faults.add(target="catalogue", status=503)
    with pytest.raises(CatalogError, match="503"):
        client.build_catalog(AUX)
    failures: list[tuple[str, str, str, str]] = []
    assert client.build_catalog(AUX, failures_out=failures) == {}
    assert failures[0][:3] == (AUX, "*", "*")


def test_configuration(archive: Archive, home: Path) -> None:
    config = MaapConfig.load(home / "config.toml")
    assert config.catalog_url == archive.catalog_url and config.data_dir == home / "data"
    assert config.mission == "EarthCARE" and config.mission_start == "2024-05-28T00:00:00Z"
    assert config.collections is not None and L2 in config.collections
    with MaapClient(MaapConfig(data_dir=home / "other")) as client:
        assert client.config.data_dir == home / "other"
        assert client.config.catalog_url == archive.catalog_url
    with MaapClient(replace(config, collections=["One"])) as client:
        assert client.list_collections() == ["One"]
    start, end = MaapClient(config).normalize_time_range(datetime(2000, 1, 1, tzinfo=UTC))
    assert start == datetime(2024, 5, 28, tzinfo=UTC) < end
    MaapConfig(registry_dir=home / "deep" / "er").ensure_directories()
    assert (home / "deep" / "er").is_dir()


async def test_works_inside_a_running_loop(client: MaapClient) -> None:
    assert client.search(*NAMES, **HOUR).urls
    elsewhere = await asyncio.to_thread(client.search, *NAMES, **HOUR)
    assert elsewhere.urls


def test_closed_client_can_be_used_again(client: MaapClient) -> None:
    urls = client.search(*NAMES, **HOUR, max_items=1).urls
    client.close()
    client.close()
    assert len(client.download(urls, L2).downloaded) == 1
    client.close()
    assert sorted(client.download(urls, L2).skipped) == sorted(urls)


def test_events_reach_the_listener_and_its_calls_back_are_refused(home: Path) -> None:
    heard: list[events.Event] = []
    with MaapClient(on_event=heard.append) as client:
        client.get(*NAMES, **HOUR, max_items=1)
    assert {events.PageFetched, events.FileStarted, events.FileFinished} <= set(map(type, heard))


PEER = """
import json, sys
from pathlib import Path
from maap_client import MaapClient
from maap_client.config import MaapConfig

home, action, rows = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
config = MaapConfig.load()
config.data_dir, config.registry_dir = home / "data", home / "registry"
client = MaapClient(config)
tracker = client.get_tracker(*sys.argv[4:7])
if action == "write":
    tracker.add_urls(rows["urls"])
    for url in rows["done"]:
        tracker.mark_downloaded(url)
    tracker.mark_error(rows["urls"][-1], "it broke")
    for path in sorted(tracker.get_pending_mark_paths())[:1]:
        tracker.mark(path)
print(json.dumps([tracker.get_stats(), sorted(tracker.get_pending_downloads()),
                  sorted(tracker.get_pending_mark_paths())]))
"""


def test_what_is_not_recorded_is_logged(client: MaapClient, caplog: pytest.LogCaptureFixture) -> None:
    tracker = client.get_tracker(*NAMES)
    with caplog.at_level(logging.WARNING, "maap_tui"):
        assert not tracker.mark("/no/day/here.h5")
        assert not tracker.mark_downloaded("https://127.0.0.1/here.h5")
        assert tracker.add_urls(["https://127.0.0.1/here.h5"]) == 0
    assert [record.message for record in caplog.records] == [
        "Not marked: '/no/day/here.h5': neither its name nor its folders give a sensing day",
        "Not recorded as downloaded: 'https://127.0.0.1/here.h5': its name gives no sensing day",
        "Not registered: 'https://127.0.0.1/here.h5': its name gives no sensing day",
    ]
    assert tracker.get_stats()["downloaded"] == 0


def test_what_cannot_be_recorded_raises(client: MaapClient) -> None:
    url = client.search(*NAMES, **HOUR).urls[0]
    tracker = client.get_tracker(*NAMES)
    with pytest.raises(InvalidRequestError, match="line"):
        tracker.mark(f"/two\nlines/{url.rpartition('/')[2]}")
    with pytest.raises(InvalidRequestError, match="line"):
        tracker.mark_downloaded(url, "/data/two\nlines")
    tracker.registry.folder("dwl").parent.mkdir(parents=True)
    tracker.registry.folder("dwl").write_bytes(b"")
    with pytest.raises(StorageError):
        tracker.mark_downloaded(url)


@pytest.mark.skipif(not PEER_PYTHON, reason="MAAP_CLIENT_PYTHON names no interpreter with maap-client 0.2.1")
@pytest.mark.parametrize("writer", ["maap_tui", "maap_client"])
def test_registry_reads_alike_in_maap_client(client: MaapClient, home: Path, writer: str) -> None:
    urls = client.search(*NAMES, **HOUR).urls
    if writer == "maap_tui":
        client.sync(*NAMES, **HOUR, max_items=3)
        tracker = client.get_tracker(*NAMES)
        tracker.mark(sorted(tracker.get_pending_mark_paths())[0])
        tracker.mark_error(urls[-1], "it broke")
    action, rows = ("write" if writer == "maap_client" else "read"), {"urls": urls, "done": urls[:3]}
    done = subprocess.run(
        [PEER_PYTHON, "-c", PEER, str(home), action, json.dumps(rows), *NAMES],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=True,
        env={**os.environ, "HOME": str(home)},
    )
    stats, downloads, marks = json.loads(done.stdout.splitlines()[-1])
    ours = client.get_tracker(*NAMES)
    assert ours.get_stats() == stats and stats["downloaded"] == 3 and stats["errors"] == 1
    assert sorted(ours.get_pending_downloads()) == downloads
    assert sorted(ours.get_pending_mark_paths()) == marks and len(marks) == 2


def test_urls_that_cannot_be_registered_are_logged(
    client: MaapClient, caplog: pytest.LogCaptureFixture
) -> None:
    good = client.search(*NAMES, **HOUR).urls[0]
    undated, long = "https://archive.example/notes.h5", good.replace("://", f"://{'x' * 9000}")
    with caplog.at_level(logging.WARNING, "maap_tui"):
        assert client.save_to_registry([good, undated, long], *NAMES[:2])[0] == 1
        assert client.get_tracker(*NAMES).add_urls([undated, long]) == 0
    said = [record.message for record in caplog.records if record.message.startswith("Not registered: ")]
    assert [message.rpartition(": ")[2] for message in said] == [
        "its name gives no baseline",
        "the URL is longer than 8192 characters",
        "its name gives no sensing day",
        "the URL is longer than 8192 characters",
    ]


PEER_READS = r"""
import json, sys
from pathlib import Path
from maap_client.tracker import StateTracker
home, names = Path(sys.argv[1]), sys.argv[2:]
tracker = StateTracker(home / "registry", "EarthCARE", *names, home / "data")
print(json.dumps([
    tracker.get_stats(), sorted(tracker.get_error_urls()), sorted(map(str, tracker.get_deletable_files())),
    sorted(tracker.get_marked_paths()), sorted(tracker.get_pending_downloads()),
]))
tracker.mark_error("https://archive.example/x.h5", "broken\tor \x1b[31mred|here\nand there")
"""


@pytest.mark.skipif(not PEER_PYTHON, reason="MAAP_CLIENT_PYTHON names no interpreter with maap-client 0.2.1")
def test_maap_client_reads_our_skipped_lines_and_a_registry_after_a_clean_up(
    client: MaapClient, home: Path
) -> None:
    client.sync(*NAMES, **HOUR, max_items=3)
    tracker = client.get_tracker(*NAMES)
    first, second, _ = sorted(tracker.get_pending_mark_paths())
    tracker.mark(first)
    tracker.mark(second)
    Path(second).rename(home / "away")
    tracker.cleanup_marked()
    (home / "away").rename(second)
    assert tracker.get_deleted_paths() == {first}
    skipped = "https://archive.example/collections/c/items/one"
    tracker.registry.record_skipped({skipped: "has no file that can be used"})
    done = subprocess.run(
        [PEER_PYTHON, "-c", PEER_READS, str(home), *NAMES],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=True,
        env={**os.environ, "HOME": str(home)},
    )
    stats, errors, deletable, marked, pending = json.loads(done.stdout.splitlines()[-1])
    assert stats == tracker.get_stats() | {"errors": 1}
    assert stats["downloaded"] == 3 and stats["marked"] == 2
    assert errors == [skipped], "our line is one of its lines"
    assert deletable == [second], "what is deleted is not on disk, and nothing is deleted again"
    assert marked == sorted([first, second])
    assert set(pending) == tracker.get_pending_downloads()
    assert tracker.get_error_urls() == {skipped, "https://archive.example/x.h5"}
    assert tracker.damaged == [], "what it writes is not damage"


def test_parts_together_are_everything(client: MaapClient, home: Path) -> None:
    names = (L2, "CPR_CLD_2A", "BC")
    every = client.search(*names, **HOUR).urls
    parts = [client.search(*names, **HOUR, shard=f"{n}/2").urls for n in (1, 2)]
    assert all(parts) and sorted(parts[0] + parts[1]) == sorted(every)
    assert sorted(client.get(*names, **HOUR, dry_run=True, shard="1/2").skipped) == sorted(parts[0])
    done = client.sync(*names, **HOUR, shard="1/2")
    assert done.urls_downloaded == len(parts[0])
    client.search(*names, **HOUR)
    assert client.download_from_registry(*names, dry_run=True, shard="2/2").skipped == []
    with pytest.raises(InvalidRequestError, match="no part 3 of 2"):
        client.search(*names, **HOUR, shard="3/2")


def test_disclaimed_granules_are_left_out(client: MaapClient, home: Path) -> None:
    assert client.update_quality() == {}
    every = client.search(*NAMES, **HOUR)
    assert [one.id for one in client.notices(every.urls)] == ["DEMO-1"]
    flagged = {one.id for one in every.granules if client.notices(one)}
    kept = client.search(*NAMES, **HOUR, skip_disclaimed=True).granules
    assert flagged and {one.id for one in every.granules} - {one.id for one in kept} == flagged
    assert len(client.get(*NAMES, **HOUR, dry_run=True, skip_disclaimed=True).skipped) == len(kept)
    assert client.sync(*NAMES, **HOUR, skip_disclaimed=True).urls_downloaded == len(kept)
    client.save_to_registry(every.urls, *NAMES[:2])
    assert len(client.download_from_registry(*NAMES, dry_run=True).skipped) == len(flagged)
    assert client.download_from_registry(*NAMES, dry_run=True, skip_disclaimed=True).skipped == []


def test_a_study_is_frozen_thawed_and_compared(client: MaapClient, home: Path, tmp_path: Path) -> None:
    study, out = tmp_path / "study", tmp_path / "out"
    done = client.freeze(study, products=[f"{L2}/CPR_CLD_2A:BC"], **HOUR, get=True, authors=["A. Author"])
    assert done.study.files and (done.not_here, done.bad, done.is_new) == ([], [], True)
    again = client.freeze(study, products=[f"{L2}/CPR_CLD_2A:BC"], **HOUR, authors=["A. Author"])
    assert not again.is_new
    assert set(client.needed_granules()) == done.study.granules
    thawed = client.thaw(study, out)
    assert len(thawed.downloads.downloaded) == len(done.study.files) and thawed.gone == []
    assert {one.state for one in client.verify_against(study, out)} == {"good"}
    assert client.cite(study).text.startswith("The data are available from the ESA MAAP archive")
    assert client.cite(collection=L2).bibtex.count("@misc") == 1


def test_every_version_is_given_where_it_is_asked_for(client: MaapClient, home: Path) -> None:
    names = (AUX, "AUX_MET_1D", None)
    newest = client.search(*names, **HOUR).urls
    every = client.search(*names, **HOUR, all_versions=True).urls
    assert set(newest) < set(every)
    assert sorted(client.get(*names, **HOUR, dry_run=True).skipped) == sorted(newest)
    assert sorted(client.get(*names, **HOUR, dry_run=True, all_versions=True).skipped) == sorted(every)
    client.sync(*names, **HOUR, all_versions=True, max_items=1)
    pending = [
        client.download_from_registry(*names, dry_run=True, all_versions=all_) for all_ in (False, True)
    ]
    assert len(pending[0].skipped) < len(pending[1].skipped) == len(every) - 1


def test_verbose_logs_each_file(client: MaapClient, caplog: pytest.LogCaptureFixture, home: Path) -> None:
    with caplog.at_level(logging.INFO, logger="maap_tui"):
        client.get(*NAMES, orbit="08574D", out_dir=home / "quiet")
        assert "Downloaded" not in caplog.text
        client.get(*NAMES, orbit="08574D", out_dir=home / "loud", verbose=True)
        client.get(*NAMES, orbit="08574D", out_dir=home / "loud", verbose=True)
    assert caplog.text.count("Downloaded ") == 1
    assert "Already exists: " in caplog.text


def test_numbers_of_tracks_are_arguments_everywhere(client: MaapClient, home: Path) -> None:
    names = ("BiomassLevel1a", "S1_SCS__1S", "01")
    day = datetime(2025, 12, 12, tzinfo=UTC)
    span = {"start": day, "end": day.replace(hour=23)}
    found = client.search(*names, **span, tracks=[1], frames=["222"])
    assert {path.rpartition("_f222_")[2] for path in found.urls} == {"i_abs.tiff", "i_phase.tiff"}
    assert client.search(*names, **span, tracks=["002"]).urls == []
    only = {"baseline": names[2], **span, "tracks": ["1"], "frames": ["222"]}
    assert client.searcher.search_urls(*names[:2], **only) == found.urls
    days = client.searcher.search_urls_iter_day(*names[:2], **only)
    assert [url for urls in days for url in urls] == found.urls
    dry = client.get(*names, **span, tracks=[1], frames=["222"], out_dir=home, dry_run=True)
    assert dry.skipped == found.urls
    synced = client.sync(*names, **span, tracks=["1"], frames=["222"])
    assert synced.urls_downloaded == 2
    client.save_to_registry(client.search(*names, **span, tracks=[1]).urls, *names[:2])
    some = client.download_from_registry(*names, **span, tracks=[2], dry_run=True)
    rest = client.download_from_registry(*names, **span, tracks=[1], dry_run=True)
    assert some.skipped == [] and rest.skipped and not set(rest.skipped) & set(found.urls)
    with pytest.raises(InvalidRequestError, match="does not number its ground tracks"):
        client.search(*NAMES, **HOUR, tracks=[1])


def test_news_and_a_sync_since_the_last_one(client: MaapClient) -> None:
    since = datetime(2026, 1, 14, 18, tzinfo=UTC)
    start = datetime(2026, 1, 14, 12, tzinfo=UTC)
    (news,) = client.news(*NAMES, since=since, format="hdr")
    assert (news.baseline, news.here, news.failed, news.reprocessed) == ("BC", 0, [], [])
    assert news.new and all(one.updated is not None and one.updated >= since for one in news.new + news.late)
    result = client.sync(*NAMES, start=start, format="hdr", since_last=True)
    assert result.arrived == {"new": result.urls_downloaded} and result.errors == []
    again = client.sync(*NAMES, start=start, format="hdr", since_last=True)
    assert (again.arrived, again.urls_downloaded) == ({}, 0)
    (news,) = client.news(since=since, format="hdr", collection=L2)
    assert news.here > 0


def test_files_here_are_verified_with_what_shows_them_to_be_right(client: MaapClient, home: Path) -> None:
    assert client.verify() == []
    client.sync(*NAMES, **HOUR)
    first, *rest = found = client.verify(*NAMES)
    assert {one.state for one in found} == {"good"} and {one.evidence for one in found} == {"header size"}
    assert len(found) == len(list((home / "data").rglob("*.h5")))
    assert client.verify(*NAMES, start=HOUR["end"] + timedelta(days=1)) == []
    data = bytearray(Path(first.path).read_bytes())
    data[len(data) // 2] ^= 1
    Path(first.path).write_bytes(data)
    assert {one.state for one in client.verify(L2, quick=True)} == {"good"}
    bad = [one for one in client.verify() if one.is_bad]
    assert [(one.path, one.state) for one in bad] == [(first.path, "changed")] and rest


def test_hooks_run_and_what_failed_is_said_and_run_again(
    client: MaapClient, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ran = home / "ran"
    fails = client.sync(*NAMES, **HOUR, format="hdr", hook="false {path}")
    assert fails.hook_failures and all(": " in one for one in fails.hook_failures)
    assert "Hook failed: " in caplog.text and fails.errors == []
    say = f"sh -c 'echo \"$@\" >> {ran}' hook"
    again = client.sync(*NAMES, **HOUR, format="hdr", hook=f"{say} {{path}}")
    assert again.hook_failures == [] and again.urls_downloaded == 0
    assert sorted(ran.read_text().split()) == sorted(map(str, (home / "data").rglob("*.HDR")))
    # By day, and of a set, which is a purpose of its own.
    ran.unlink()
    client.sync(*NAMES, **HOUR, format="h5", hook=f"{say} {{day}}", hook_per="day")
    assert ran.read_text() == "2025-12-01\n"
    ran.unlink()
    start = datetime(2025, 12, 1, tzinfo=UTC)
    pair = [f"{L2}/CPR_CLD_2A:BC", f"{L2}/MSI_COP_2A"]
    done = client.sync_set(pair, start, start + timedelta(minutes=20), hook=f"{say} {{orbit}}{{frame}}")
    assert len(ran.read_text().split()) == done.completed > 0 and done.hook_failures == []
    for wrong, words in (
        ({"hook": "no-such-program"}, "was not found"),
        ({"hook": "true", "hook_per": "set"}, "hook_per cannot be 'set'"),
        ({"hook_per": "day"}, "hook_per needs hook"),
    ):
        with pytest.raises(InvalidRequestError, match=words):
            client.sync(*NAMES, **HOUR, **wrong)


def test_sets_are_looked_at_and_completed(client: MaapClient, home: Path) -> None:
    start = datetime(2025, 12, 1, tzinfo=UTC)
    span = start, start + timedelta(minutes=20)
    pair = [f"{L2}/CPR_CLD_2A:BC", f"{L2}/MSI_COP_2A"]
    before = client.set_table(pair, *span)
    assert {row.state for row in before.rows} == {"waiting"} and client.sets() == {}
    done = client.sync_set(pair, *span, max_items=1)
    assert (done.completed, done.held_back, len(done.downloads.downloaded)) == (1, len(before.rows) - 1, 2)
    assert done.chosen == [before.rows[0].spot]
    assert [row.state for row in client.set_table(pair, *span, local=True).rows] == ["complete"]
    with pytest.raises(InvalidRequestError, match="No set is called 'clouds'"):
        client.set_table("clouds")


def test_a_baseline_is_swapped_and_swapped_back(client: MaapClient, home: Path) -> None:
    names = L2, "CPR_CLD_2A", "AB", "BB"
    start = datetime(2025, 3, 14, tzinfo=UTC)
    assert client.sync(*names[:3], start=start, end=start + timedelta(minutes=30)).urls_downloaded == 2
    plan = client.plan_swap(*names, format="h5")
    assert plan.counts == {"archive": 2} and plan.fetch_bytes > 0 and client.swaps() == []
    done = client.swap(*names, max_items=1)
    assert (len(done.swapped), done.held_back, done.retired, done.kept) == (1, 1, [], [])
    assert len(done.downloads.downloaded) == 1 and done.plan.counts == {"swapped": 1, "archive": 1}
    ended = client.swap(*names, keep_days=0)
    assert sorted(ended.retired) == [row.name for row in plan.rows]
    refused = client.undo_swap(*names)
    assert refused.undone == [] and all("--get" in reason for reason in refused.kept)
    back = client.undo_swap(*names, fetch=True)
    assert sorted(back.undone) == sorted(ended.retired) and len(back.downloads.downloaded) == 2
    (status,) = client.swaps(L2)
    assert status.counts == {"undone": 2} and status.next_due is None


def test_an_orbit_that_could_not_be_searched_is_an_error(client: MaapClient, archive: Archive) -> None:
    assert client.search(*NAMES, orbit="08574C").urls
    archive.faults.add(target="search", status=503)
    calls: list[Callable[[], object]] = [
        lambda: client.search(*NAMES, orbit="08574C"),
        lambda: client.get(*NAMES, orbit="08574C"),
        lambda: client.searcher.search_urls_by_orbit(*NAMES[:2], 8574, baseline="BC"),
    ]
    for call in calls:
        with pytest.raises(CatalogError, match=r"Orbit 08574 could not be searched: .*503"):
            call()


def test_news_of_each_baseline_whatever_the_others_are(
    client: MaapClient, home: Path, archive: Archive
) -> None:
    since = datetime(2026, 1, 14, 18, tzinfo=UTC)
    client.sync(*NAMES, start=datetime(2026, 1, 14, 12, tzinfo=UTC), format="hdr")
    by_name = client.news(*NAMES, since=since, format="hdr")
    assert by_name[0].here > 0
    assert [one.here for one in client.news(since=since, format="hdr")] == [by_name[0].here]
    with pytest.raises(InvalidRequestError, match="'since' must be timezone-aware"):
        client.news(*NAMES, since=since.replace(tzinfo=None))


def test_a_time_without_a_zone_is_refused(client: MaapClient) -> None:
    naive = datetime(2025, 12, 1)
    calls: list[Callable[[], object]] = [
        lambda: client.overpasses("hyytiala", start=naive),
        lambda: client.overpasses("hyytiala", end=naive),
        lambda: client.freeze("study", products=[f"{L2}/CPR_CLD_2A:BC"], start=naive),
        lambda: client.plan_cover("BiomassLevel1b", "S2_DGM__1S", start=naive),
        lambda: client.set_table([f"{L2}/CPR_CLD_2A:BC", f"{L2}/MSI_COP_2A"], naive),
        lambda: client.sync(*NAMES, start=naive),
        lambda: client.plan_swap(L2, "CPR_CLD_2A", "AB", "BB", naive),
    ]
    for call in calls:
        with pytest.raises(InvalidRequestError, match="must be timezone-aware"):
            call()


@pytest.mark.parametrize(
    "given", [{"title": "Another"}, {"products": ["a/b"]}, {"orbit": 0}, {"authors": ["A"]}]
)
def test_a_declared_study_is_not_declared_again(client: MaapClient, given: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError, match=f"{next(iter(given))} cannot be given with a study"):
        client.freeze("study", "study.toml", **given)


def test_a_study_is_cited_whole(client: MaapClient) -> None:
    with pytest.raises(InvalidRequestError, match="cited whole"):
        client.cite("study", collection=L2)


def test_no_folder_is_named_after_an_address(
    client: MaapClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    address = "s3://bucket/prefix"
    calls: list[Callable[[], object]] = [
        lambda: client.freeze(address, products=[f"{L2}/CPR_CLD_2A:BC"], orbit="08574C", local=True),
        lambda: client.thaw("study", out_dir=address),
        lambda: client.update_catalogs([L2], force=True, out_dir=address),
        lambda: client.build_catalog(L2, "CPR_CLD_2A", "BC", out_dir=address),
        lambda: client.cut("granule.h5", address),
        lambda: client.download_from_registry(*NAMES, out_dir=address),
    ]
    for call in calls:
        with pytest.raises(InvalidRequestError):
            call()
    assert [one.name for one in tmp_path.iterdir()] == ["home"]


def test_settings_are_those_of_the_commands(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MAAP_SEARCH_MAX_ITEMS", "3")
    monkeypatch.setenv("MAAP_DOWNLOADS_PRODUCT_DIR", "true")
    caplog.set_level(logging.WARNING, "maap_tui")
    with MaapClient() as client:
        found = client.search(*NAMES, **HOUR)
        assert len(found.urls) == 3 and caplog.text.count("Only the first 3 granules are taken") == 1
        assert len(client.searcher.search_urls(*NAMES, **HOUR)) == 3
        caplog.clear()
        assert len(client.search(*NAMES, **HOUR, max_items=3).urls) == 3 and not caplog.text
        done = client.get(*NAMES, **HOUR, out_dir=home / "flat")
        assert len(done.downloaded) == 3 and "Only the first 3" in caplog.text
        assert {path.parent.name for path in done.downloaded.values()} == {
            path.stem for path in done.downloaded.values()
        }
        caplog.clear()
        synced = client.sync(*NAMES, **HOUR)
        assert synced.urls_downloaded == 3 and "3 files left for another run" in caplog.text
        rest = client.download_from_registry(*NAMES, **HOUR, product_dir=False)
        assert {path.parent.name for path in rest.downloaded.values()} == {"01"}
        again = client.download(found.urls[:1], L2, skip_existing=False)
        assert [path.parent.name for path in again.downloaded.values()] == [Path(found.urls[0]).stem]
