"""What the client does beyond maap-client: news, parts, studies, hooks, sets, swaps."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from maap_tui import (
    CatalogError,
    InvalidRequestError,
    MaapClient,
)
from maap_tui.demo import Archive
from tests.client.conftest import AUX, HOUR, L2, NAMES


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
