"""`--shard`: jobs that share one command do each granule once, and all of them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from maap_tui.demo import Archive
from maap_tui.engine.query import Query
from maap_tui.engine.registry.entries import Key
from maap_tui.engine.registry.registry import Registry
from maap_tui.engine.shard import Shard
from tests.homes import PATIENCE_S

CLD = ("EarthCAREL2Validated_MAAP", "CPR_CLD_2A", "BC")
DAY = ("--date", "2025-12-01")


def test_the_parts_of_a_search_are_the_search(maap: Callable) -> None:
    every = maap("search", *CLD, *DAY, "--format", "all").lines
    parts = [maap("search", *CLD, *DAY, "--format", "all", "--shard", f"{n}/3").lines for n in (1, 2, 3)]
    assert all(parts)
    assert sorted(url for urls in parts for url in urls) == sorted(every)
    granules = [{url.rpartition(".")[0] for url in urls} for urls in parts]
    assert sum(map(len, granules)) == len(set.union(*granules)) == 125


def test_syncs_of_four_processes_share_a_day(start: Callable, maap: Callable, home: Path) -> None:
    runs = [start("sync", *CLD, *DAY, "--json", "--shard", f"{n}/4") for n in (1, 2, 3, 4)]
    fetched: list[str] = []
    for run in runs:
        out, err = run.communicate(timeout=PATIENCE_S)
        assert run.returncode == 0, err
        fetched += [row["url"] for row in map(json.loads, out.splitlines()) if row["state"] == "finished"]
    assert len(fetched) == len(set(fetched)) == 125
    assert maap("state", "pending", *CLD).lines == []
    (shown,) = [json.loads(line) for line in maap("state", "show", *CLD, "--json").lines]
    assert (shown["total_urls"], shown["downloaded"], shown["pending_downloads"]) == (125, 125, 0)
    assert len(list((home / "data").rglob("*.h5"))) == 125
    checked = [maap("verify", "--quick", "--json", "--shard", f"{n}/2").lines for n in (1, 2)]
    assert all(checked) and sum(map(len, checked)) == 125


def test_a_part_is_synced_by_one_process_at_a_time(maap: Callable, home: Path) -> None:
    assert maap("sync", *CLD, *DAY, "-n", "1").code == 0
    registry = Registry(home / "registry")
    with registry.sync_lock(Key("EarthCARE", *CLD), "sync", "1/2"):
        other = maap("sync", *CLD, *DAY, "--shard", "1/2")
        assert other.code == 3 and "part 1/2" in other.err
        assert maap("sync", *CLD, *DAY, "--shard", "2/2", "-n", "1").code == 0


def test_lists_of_urls_and_pending_files_have_parts(maap: Callable, tmp_path: Path) -> None:
    file = tmp_path / "urls.txt"
    assert maap("search", *CLD, *DAY, "--registry-save", "-o", file).code == 0
    listed = [maap("download", *CLD, "-f", file, "--shard", f"{n}/2", "--dry-run") for n in (1, 2)]
    waiting = [maap("download", *CLD, "--registry", "--shard", f"{n}/2", "--dry-run") for n in (1, 2)]
    for ended in (listed, waiting):
        assert [one.code for one in ended] == [0, 0]
        assert len(ended[0].lines) + len(ended[1].lines) == 125
        assert not set(ended[0].lines) & set(ended[1].lines)
    assert f"{len(listed[1].lines)} URLs of {file} left to other parts" in listed[0].err


def test_a_job_array_gives_the_part(maap: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("ID", "4"), ("MIN", "3"), ("MAX", "4")):
        monkeypatch.setenv(f"SLURM_ARRAY_TASK_{name}", value)
    given = maap("search", *CLD, *DAY, "--shard", "slurm")
    assert given.code == 0 and given.lines == maap("search", *CLD, *DAY, "--shard", "2/2").lines


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("search", *CLD, *DAY, "--shard", "3/2"), "There is no part 3 of 2"),
        (("search", *CLD, *DAY, "--shard", "slurm"), "SLURM_ARRAY_TASK_ID, which is not set"),
        (("search", *CLD, *DAY, "--shard", "1/2", "--count"), "--count cannot be used with --shard"),
        (("verify", "--shard", "x"), "names no part"),
        (("sync", *CLD, "--shard", "0/1"), "There is no part 0 of 1"),
    ],
)
def test_what_is_no_part_is_4(maap: Callable, words: tuple[str, ...], says: str) -> None:
    ended = maap(*words)
    assert ended.code == 4 and says in ended.err and not ended.out


def test_verify_of_an_empty_part_says_what_it_did(maap: Callable) -> None:
    assert maap("sync", *CLD, *DAY, "-n", "1").code == 0
    ended = [maap("verify", "--shard", f"{n}/2") for n in (1, 2)]
    assert {one.code for one in ended} == {0}
    assert sorted(one.err.split(" (")[0] for one in ended) == ["Verified 0 files", "Verified 1 file"]


def test_a_part_is_in_the_command_line_of_a_query() -> None:
    assert "--shard 2/16" in Query(*CLD, shard=Shard(2, 16)).to_command()


def test_processes_keep_to_limits_and_to_one_access_token_together(
    start: Callable, archive: Archive, home: Path
) -> None:
    (home / "credentials.txt").unlink()
    archive.stats.reset()
    archive.faults.add(target="data", latency_s=0.05)
    environ = {"MAAP_DOWNLOADS_PARALLEL_TOTAL": "3", "MAAP_TOKEN": archive.offline_token}
    words = ("sync", *CLD, *DAY, "--frame", "D", "--shard")
    runs = [start(*words, f"{n}/4", environ=environ) for n in (1, 2, 3, 4)]
    for run in runs:
        _, err = run.communicate(timeout=PATIENCE_S)
        assert run.returncode == 0, err
    assert archive.stats.count("data") == 16, "each file once, whichever job it is of"
    assert 1 <= archive.stats.show()["most_data_at_once"] <= 3
    assert archive.stats.count("token") == 1


def test_a_share_of_a_rate_is_given_back(maap: Callable, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setenv("MAAP_DOWNLOADS_RATE_TOTAL", "100M")
    assert maap("sync", *CLD, *DAY, "-n", "2").code == 0
    rates = home / "registry" / ".locks" / "rates"
    assert rates.is_dir() and list(rates.iterdir()) == []


def test_a_url_of_another_part_is_left_to_it(maap: Callable, home: Path) -> None:
    (url, *_) = maap("search", *CLD, *DAY, "-n", "1").lines
    (home / "credentials.txt").unlink()
    codes = set()
    for part in ("1/2", "2/2"):
        ended = maap("download", CLD[0], CLD[1], "--url", url, "--shard", part)
        codes.add(ended.code)
        if ended.code == 0:
            assert ended.err.splitlines()[0] == "1 URL of --url left to other parts (--shard)"
            assert ended.err.splitlines()[1].startswith("No URL in --url [")
    # Who has nothing to fetch needs no token.
    assert codes == {0, 2}
