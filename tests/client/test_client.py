"""MaapClient: what users of maap-client write, in scripts and beside a running loop."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
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
    InvalidRequestError,
    MaapClient,
    MaapConfig,
)
from maap_tui.client import GlobalStateTracker, Searcher, StateTracker
from maap_tui.demo import Archive
from maap_tui.engine import events
from tests.client.conftest import AUX, DAY, HOUR, L2, NAMES
from tests.homes import requests_of

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


def test_errors_by_kind(client: MaapClient, archive: Archive) -> None:
    urls = client.search(*NAMES, **HOUR, max_items=1).urls
    archive.faults.add(target="data", status=404)
    assert [line.split(": ")[0] for line in client.download(urls, L2).permanent_errors] == urls
    archive.faults.clear()
    archive.faults.add(target="data", status=500)
    assert [line.split(": ")[0] for line in client.download(urls, L2).errors] == urls
    archive.faults.clear()
    assert "cannot parse" in client.download(["http://127.0.0.1:9/x.h5"], L2).permanent_errors[0]


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
