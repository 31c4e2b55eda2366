"""`maap set`: what is complete, what it waits for, and exit codes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from maap_tui.demo import Archive

L2 = "EarthCAREL2Validated_MAAP"
HOUR = ("-s", "2025-12-01T00:00", "-e", "2025-12-01T00:59")


def declare(home: Path, text: str) -> None:
    with (home / "config.toml").open("a") as file:
        file.write(text)


@pytest.fixture
def clouds(home: Path) -> None:
    declare(home, '[sets.clouds]\nproducts = ["CPR_CLD_2A:BC", "MSI_COP_2A"]\n')


def rows(maap: Callable, *words: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in maap("set", "show", "clouds", *words, "--json").lines]


def states(found: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    return [(row["state"], *(one["state"] for one in row["products"])) for row in found]


def test_a_set_is_declared_listed_and_misspelled(maap: Callable, home: Path) -> None:
    none = maap("set", "list")
    assert (none.code, none.out) == (0, "") and "[sets.clouds]" in none.err
    declare(home, '[sets.clouds]\nproducts = ["CPR_CLD_2A:BC", "MSI_COP_2A"]\nbaseline = "same"\n')
    assert maap("set", "list").lines == ["Name    Rule  Products", "clouds  same  CPR_CLD_2A:BC, MSI_COP_2A"]
    assert json.loads(maap("set", "list", "--json").out) == {
        "name": "clouds",
        "products": ["CPR_CLD_2A:BC", "MSI_COP_2A"],
        "rule": "same",
    }
    wrong = maap("set", "show", "cloud")
    assert wrong.code == 4 and "Did you mean clouds?" in wrong.err


def test_what_is_here_and_what_it_waits_for(maap: Callable, clouds: None) -> None:
    before = rows(maap, *HOUR)
    assert 4 <= len(before) <= 8
    assert set(states(before)) == {("waiting", "archive", "archive")}
    assert maap("sync", L2, "CPR_CLD_2A", "BC", *HOUR, "--quiet").code == 0
    after = rows(maap, *HOUR)
    assert [row["orbit"] for row in after] == [row["orbit"] for row in before]
    assert set(states(after)) == {("waiting", "here", "archive")}
    assert all(len(row["waiting_for"]) == 1 and row["since"] for row in after)
    shown = maap("set", "show", "clouds", *HOUR, "--check")
    assert shown.code == 3
    assert f"clouds: {len(after)} orbits and frames: {len(after)} waiting" in shown.err
    assert "waiting for MSI_COP_2A:BC since" in shown.out
    baseline = after[0]["products"][1]["baseline"]
    assert maap("sync", L2, "MSI_COP_2A", baseline, *HOUR, "--quiet").code == 0
    assert set(states(rows(maap, *HOUR))) == {("complete", "here", "here")}
    assert maap("set", "show", "clouds", *HOUR, "--check").code == 0


def test_without_the_archive_only_what_is_registered_is_known(
    maap: Callable, clouds: None, asked: Callable[[str], int]
) -> None:
    assert maap("set", "show", "clouds", *HOUR, "--local").code == 4  # no collection is known to have it
    assert maap("sync", L2, "CPR_CLD_2A", "BC", *HOUR, "--quiet").code == 0
    assert maap("search", L2, "MSI_COP_2A", *HOUR, "--registry-save", "-n", "1", "--quiet").code == 0
    before = asked("search")
    found = rows(maap, *HOUR, "--local")
    assert asked("search") == before
    assert sorted(set(states(found))) == [("waiting", "here", "archive"), ("waiting", "here", "nowhere")]


@pytest.mark.parametrize(("rule", "newer"), [("newest", "BB"), ("same", "BA")])
def test_baselines_that_do_not_belong_together_are_mixed(
    maap: Callable, home: Path, rule: str, newer: str
) -> None:
    """With both here in AB, the archive has newer ones; one of them in a newer one does not make a set."""
    declare(home, f'[sets.clouds]\nproducts = ["CPR_CLD_2A", "MSI_COP_2A"]\nbaseline = "{rule}"\n')
    hour = ("-s", "2025-03-14T00:00", "-e", "2025-03-14T00:59")
    for product in ("CPR_CLD_2A", "MSI_COP_2A"):
        assert maap("sync", L2, product, "AB", *hour, "--quiet").code == 0
    assert set(states(rows(maap, *hour, "--local"))) == {("complete", "here", "here")}
    (older, *_) = rows(maap, *hour)
    assert older["state"] == "mixed" and older["waiting_for"] == [f"CPR_CLD_2A:{newer}", "MSI_COP_2A:BA"]
    assert {one["here_in"] for one in older["products"]} == {"AB"}
    assert maap("sync", L2, "CPR_CLD_2A", newer, *hour, "--quiet").code == 0
    found = rows(maap, *hour)
    assert set(states(found)) == {("mixed", "here", "archive")}
    assert "mixed baselines, waiting for MSI_COP_2A:BA since" in maap("set", "show", "clouds", *hour).out
    assert maap("sync", L2, "MSI_COP_2A", "BA", *hour, "--quiet").code == 0
    assert {row["state"] for row in rows(maap, *hour)} == {"complete"}


def test_names_that_do_not_exist(maap: Callable, home: Path) -> None:
    declare(home, '[sets.clouds]\nproducts = ["CPR_CLD_2A:BC", "MSI_COP_2A:ZZ"]\n')
    refused = maap("set", "show", "clouds", *HOUR)
    assert refused.code == 4 and "ZZ" in refused.err
    declare(home, '[sets.heights]\nproducts = ["BiomassLevel1b/S2_DGM__1S", "NO_SUCH_2A"]\n')
    assert maap("set", "show", "heights", *HOUR).code == 4


def test_what_a_clean_up_took_is_not_waited_for(maap: Callable, clouds: None) -> None:
    for product in ("CPR_CLD_2A", "MSI_COP_2A"):
        assert maap("sync", L2, product, "BC", *HOUR, "--quiet").code == 0
    maap("state", "mark", *maap("state", "pending", L2, "CPR_CLD_2A", "BC", "--type", "marks").lines)
    assert maap("state", "cleanup", L2, "CPR_CLD_2A", "BC").code == 0
    found = rows(maap, *HOUR)
    assert set(states(found)) == {("deleted", "deleted", "here")}
    assert maap("set", "show", "clouds", *HOUR, "--check").code == 0


def test_a_day_that_cannot_be_searched_is_an_exit_code(
    maap: Callable, clouds: None, archive: Archive
) -> None:
    archive.faults.add(failing_day="2025-12-01")
    failed = maap("set", "show", "clouds", "--date", "2025-12-01")
    assert failed.code == 3 and "FAILED DAY: 2025-12-01" in failed.err


def test_sync_fetches_what_completes_sets(maap: Callable, clouds: None, asked: Callable[[str], int]) -> None:
    planned = maap("set", "sync", "clouds", *HOUR, "--dry-run")
    assert planned.code == 0 and asked("data") == 0
    ended = maap("set", "sync", "clouds", *HOUR)
    assert ended.code == 0, ended.err
    count = len(planned.lines) // 2
    assert f"{count} orbits and frames completed of {count}" in ended.err
    assert f"Downloaded {2 * count} files" in ended.err and "[set clouds, " in ended.err
    assert {row["state"] for row in rows(maap, *HOUR)} == {"complete"}
    assert "Nothing to fetch for clouds" in maap("set", "sync", "clouds", *HOUR).err
    assert json.loads(maap("runs", "--json", "-n", "1").out)["words"][:3] == ["set", "sync", "clouds"]
    # The registry has them as if `maap sync` had fetched them.
    assert "all" in maap("sync", L2, "CPR_CLD_2A", "BC", *HOUR).err


def test_files_whose_names_are_refused_are_an_exit_code(maap: Callable, clouds: None, home: Path) -> None:
    deep = home.joinpath(*["x" * 200] * 21)
    ended = maap("--data-dir", deep, "set", "sync", "clouds", *HOUR)
    assert re.search(r"^Skipped: '[.]{3}.*/ECA_EXBC_MSI_COP_2A_\w+\.h5': not registered", ended.err, re.M)
    assert ended.code == 4 and "items: not registered: the path is too long (" in ended.err, ended.err


def test_sync_leaves_alone_what_the_archive_cannot_complete(maap: Callable, home: Path) -> None:
    declare(home, f'[sets.clouds]\nproducts = ["{L2}/CPR_CLD_2A:BC", "{L2}/ATL_CTH_2A:AE"]\n')
    ended = maap("set", "sync", "clouds", *HOUR)
    assert ended.code == 0 and "waiting for what the archive does not have" in ended.err
    assert "Nothing to fetch" in ended.err
    some = maap("set", "sync", "clouds", *HOUR, "--partial", "-n", "2")
    assert some.code == 0 and "Downloaded 2 files" in some.err and "left for another run" in some.err
    assert sum(state[1] == "here" for state in states(rows(maap, *HOUR))) == 2


def test_sync_goes_on_where_it_failed(maap: Callable, clouds: None, archive: Archive) -> None:
    archive.faults.add(target="data", status=503, match="MSI_COP_2A")
    failed = maap("set", "sync", "clouds", *HOUR)
    assert failed.code == 3 and "0 orbits and frames completed" in failed.err
    archive.faults.clear()
    assert maap("set", "sync", "clouds", *HOUR, "--quiet").code == 0
    assert {row["state"] for row in rows(maap, *HOUR)} == {"complete"}


def test_a_day_whose_lists_cannot_be_read_is_left_alone(maap: Callable, clouds: None, home: Path) -> None:
    """Nobody knows what of it is here: nothing of it is fetched again, and the exit code says so."""
    one = ("-s", "2025-12-01T00:00", "-e", "2025-12-01T00:05")
    assert maap("set", "sync", "clouds", *one, "--quiet").code == 0
    for file in (home / "registry").rglob("dwl_20251201.txt"):
        file.unlink()
        file.mkdir()
    ended = maap("set", "sync", "clouds", *one)
    assert ended.code == 3 and "Nothing to fetch" in ended.err
