"""Files fetched and followed by the client: the registry as maap-client reads and writes it."""

from __future__ import annotations

import json
import logging
import os
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from maap_tui import (
    DownloadError,
    InvalidRequestError,
    MaapClient,
)
from maap_tui.demo import Archive
from maap_tui.engine.errors import StorageError
from tests.client.conftest import DAY, HOUR, L2, NAMES
from tests.faults.figure import PEER_PYTHON
from tests.homes import PATIENCE_S


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


def test_verbose_logs_each_file(client: MaapClient, caplog: pytest.LogCaptureFixture, home: Path) -> None:
    with caplog.at_level(logging.INFO, logger="maap_tui"):
        client.get(*NAMES, orbit="08574D", out_dir=home / "quiet")
        assert "Downloaded" not in caplog.text
        client.get(*NAMES, orbit="08574D", out_dir=home / "loud", verbose=True)
        client.get(*NAMES, orbit="08574D", out_dir=home / "loud", verbose=True)
    assert caplog.text.count("Downloaded ") == 1
    assert "Already exists: " in caplog.text


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
