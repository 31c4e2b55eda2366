"""Many processes share one product: all of it, nothing twice, within the limits of all together."""

from __future__ import annotations

import json
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from maap_tui.demo import Archive

pytestmark = pytest.mark.long

CLD = ("EarthCAREL2Validated_MAAP", "CPR_CLD_2A", "BC")
DAY = ("--date", "2025-12-01")
FILES = 125


@pytest.fixture(autouse=True)
def token(home: Path, archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has a credentials file; the token is in the environment."""
    (home / "credentials.txt").unlink()
    monkeypatch.setenv("MAAP_TOKEN", archive.offline_token)


def finished(out: bytes) -> list[str]:
    return [row["url"] for row in map(json.loads, out.splitlines()) if row["state"] == "finished"]


def check_all_is_here(maap: Callable, home: Path) -> None:
    """One `state show` counts all of them; lines are whole and unique, files are what came."""
    (shown,) = [json.loads(line) for line in maap("state", "show", *CLD, "--json").lines]
    assert (shown["total_urls"], shown["downloaded"], shown["pending_downloads"]) == (FILES, FILES, 0)
    lines = [
        line for file in (home / "registry").rglob("dwl_*.txt") for line in file.read_text().splitlines()
    ]
    assert len(lines) == len(set(lines)) == FILES
    assert maap("verify").code == 0
    assert not list((home / "data").rglob("*.part*"))


def test_four_processes_share_a_day_and_its_limits(
    start: Callable, maap: Callable, home: Path, archive: Archive
) -> None:
    environ = {"MAAP_DOWNLOADS_PARALLEL_TOTAL": "5", "MAAP_DOWNLOADS_RATE_TOTAL": "2M"}
    archive.faults.add(target="data", rate=1_000_000)
    begun = time.monotonic()
    runs = [start("sync", *CLD, *DAY, "--json", "--shard", f"{n}/4", environ=environ) for n in range(1, 5)]
    # The service calls all access tokens back in the middle: one job renews, the others take what it got.
    assert json.loads(runs[0].stdout.readline())["state"] == "finished"
    archive.control(expire_tokens=True)
    ended = [run.communicate(timeout=240) for run in runs]
    seconds = time.monotonic() - begun
    assert [run.returncode for run in runs] == [0] * 4, [err[-500:] for _, err in ended]
    urls = [url for out, _ in ended for url in finished(out)]
    assert len(urls) + 1 == len(set(urls)) + 1 == FILES
    counted = archive.stats.show()
    assert counted["most_data_at_once"] <= 5
    assert archive.stats.count("token") == 2
    # A second at most is let through before a share is known to be smaller.
    assert counted["bytes_by_kind"]["data"] <= 2 * 1024**2 * (seconds + 1)
    assert not list((home / "registry" / ".locks" / "rates").glob("*"))
    archive.faults.clear()
    check_all_is_here(maap, home)


def test_jobs_that_are_killed_lose_nothing_and_hold_nothing_up(
    start: Callable, maap: Callable, home: Path, archive: Archive
) -> None:
    environ = {"MAAP_DOWNLOADS_PARALLEL_TOTAL": "4", "MAAP_DOWNLOADS_RATE_TOTAL": "4M"}
    archive.faults.add(target="data", rate=500_000)

    def job(number: int) -> subprocess.Popen[bytes]:
        return start("sync", *CLD, *DAY, "--json", "--shard", f"{number}/4", environ=environ)

    runs = [job(number) for number in range(1, 5)]
    for run in runs[:2]:
        assert json.loads(run.stdout.readline())["state"] == "finished"
        run.kill()
        run.communicate()
    runs[:2] = [job(1), job(2)]
    ended = [run.communicate(timeout=240) for run in runs]
    assert [run.returncode for run in runs] == [0] * 4, [err[-500:] for _, err in ended]
    urls = [url for out, _ in ended for url in finished(out)]
    assert len(urls) == len(set(urls)) <= FILES - 2
    assert archive.stats.show()["most_data_at_once"] <= 4
    assert archive.stats.count("token") == 1
    # What the killed ones had begun was asked for once more, and nothing else.
    asked = Counter(one["path"] for one in archive.stats.show()["last_requests"] if one["kind"] == "data")
    assert len(asked) == FILES and sum(asked.values()) <= FILES + 2 * 4
    check_all_is_here(maap, home)


def test_64_processes_share_a_plan(
    start: Callable, maap: Callable, home: Path, archive: Archive, tmp_path: Path
) -> None:
    plan = tmp_path / "plan.jsonl"
    assert maap("plan", *CLD, *DAY, "-o", plan).code == 0
    archive.stats.reset()
    environ = {"MAAP_DOWNLOADS_PARALLEL_TOTAL": "6", "MAAP_DOWNLOADS_RATE_TOTAL": "50M"}
    runs = [
        start("download", "--plan", plan, "--json", "--shard", f"{n}/64", environ=environ)
        for n in range(1, 65)
    ]
    ended = [run.communicate(timeout=240) for run in runs]
    assert [run.returncode for run in runs] == [0] * 64, [err[-300:] for _, err in ended if b"Error" in err]
    urls = [url for out, _ in ended for url in finished(out)]
    assert len(urls) == len(set(urls)) == FILES
    counted = archive.stats.show()
    assert counted["most_data_at_once"] <= 6
    assert counted["by_kind"] == {"data": {"200": FILES}, "token": {"200": 1}}
    check_all_is_here(maap, home)
