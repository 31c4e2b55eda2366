"""`maap quality`, and what gaps and disclaimers change in the commands that list granules."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from maap_tui.demo import Archive

L2 = "EarthCAREL2Validated_MAAP"
CLD = (L2, "CPR_CLD_2A", "BC")
HOUR = ("-s", "2025-12-01T00:00", "-e", "2025-12-01T00:59")
HEAD = "id,start,stop,first_frame,last_frame,products,baseline,text\n"


@pytest.fixture
def sheet(maap: Callable, home: Path) -> Callable[..., None]:
    """Write a sheet and have it read."""

    def write(text: str, kind: str = "disclaimers") -> None:
        (home / f"{kind}.csv").write_text(HEAD + text)
        assert maap("config", "set", f"quality.{kind}", f"{kind}.csv").code == 0
        ended = maap("quality", "update")
        assert ended.code == 0, ended.err

    return write


def orbits(text: str) -> list[str]:
    rows = [json.loads(line) for line in text.splitlines()]
    return [f"{row['orbit']:05d}{row['frame']}" for row in rows]


def flagged(text: str) -> list[str]:
    rows = [json.loads(line) for line in text.splitlines()]
    return [f"{row['orbit']:05d}{row['frame']}" for row in rows if row["quality"]]


def test_the_sheets_of_the_archive_are_read_and_listed(maap: Callable, archive: Archive) -> None:
    none = maap("quality", "list")
    assert (none.code, none.out) == (0, "") and "No gap and no disclaimer is known" in none.err
    archive.stats.reset()
    ended = maap("quality", "update")
    assert ended.code == 0
    assert [line.partition(" in ")[0] for line in ended.lines] == ["2 known gaps", "3 disclaimers"]
    asked = [one for one in archive.stats.show()["last_requests"] if one["path"].startswith("/quality/")]
    assert [one["authorization"] for one in asked] == [False, False]
    rows = [json.loads(line) for line in maap("quality", "list", *CLD, "--json").lines]
    assert [row["id"] for row in rows] == ["", "", "DEMO-1", "DEMO-2"]
    assert "DEMO-3" in maap("quality", "list").out
    dated = maap("quality", "list", "--date", "2025-12-01").out
    assert "DEMO-1" in dated and "DEMO-3" not in dated


def test_frames_of_the_archive_are_flagged_at_both_borders(maap: Callable, sheet: Callable) -> None:
    every = orbits(maap("search", *CLD, *HOUR, "--json").out)
    assert len(every) >= 5
    sheet(f"1,,,{every[1]},{every[3]},CPR_CLD_2A,BC,\n")
    ended = maap("search", *CLD, *HOUR, "--json")
    assert flagged(ended.out) == every[1:4]
    assert "Of these granules 3 with a disclaimer" in ended.err
    rows = [json.loads(line) for line in ended.lines]
    # From the last second of one to the first of another.
    sheet(f"1,{rows[1]['sensing_end']},{rows[3]['sensing_start']},,,CPR_CLD_2A,BC,\n")
    touched = flagged(maap("search", *CLD, *HOUR, "--json").out)
    assert touched == every[1:4]
    sheet("1,2025-12-01,2025-12-01,,,MSI_COP_2A,all,\n2,2025-12-01,2025-12-01,,,C-CLD,BA,\n")
    assert flagged(maap("search", *CLD, *HOUR, "--json").out) == []
    shown = [json.loads(line) for line in maap("show", rows[0]["id"], "--json").lines]
    assert all(row["quality"] == [] for row in shown)


@pytest.mark.parametrize("command", ["search", "get", "sync", "download", "plan"])
def test_skipping_changes_no_exit_code(maap: Callable, sheet: Callable, home: Path, command: str) -> None:
    every = orbits(maap("search", *CLD, *HOUR, "--json").out)
    options = {"get": ("-o", "flat"), "plan": ("-o", "plan.jsonl"), "search": ("-o", "urls.txt")}
    words = (command, *CLD, *HOUR, *options.get(command, ()), "--skip-disclaimed")
    unknown = maap(*words)
    assert unknown.code == 0 and "No disclaimers are known here" in unknown.err
    for path in home.rglob("*.h5"):
        path.unlink()
    sheet(f"1,,,{every[0]},{every[1]},CPR_CLD_2A,BC,\n")
    ended = maap(*words)
    assert ended.code == 0 and "Left out 2 granules with a disclaimer" in ended.err
    sheet(f"1,,,{every[0]},{every[-1]},all,all,\n")
    nothing = maap(*words)
    assert nothing.code == 0, nothing.err
    assert f"Left out {len(every)} granules with a disclaimer" in nothing.err


def test_what_was_skipped_is_fetched_without_the_option(maap: Callable, sheet: Callable, home: Path) -> None:
    every = maap("search", *CLD, *HOUR).lines
    sheet("1,,,08574E,08574E,CPR_CLD_2A,BC,\n")
    assert maap("sync", *CLD, *HOUR, "--skip-disclaimed").code == 0
    assert not list(home.rglob("*08574E.h5"))
    assert maap("search", *CLD, *HOUR, "--registry-save").code == 0
    ended = maap("download", *CLD, "--registry", "--skip-disclaimed")
    assert ended.code == 0 and "Nothing pending" in ended.err and "Left out 1 granule" in ended.err
    assert maap("sync", *CLD, *HOUR).code == 0
    (path,) = home.rglob("*08574E.h5")
    shown = maap("quality", "show")
    assert shown.lines == [f"{path}: disclaimer 1"] and f"1 file of {len(every)} here affected" in shown.err
    nothing = maap("quality", "show", L2, "NOPE")
    assert nothing.code == 4 and "tracks nothing of this" in nothing.err


def test_coverage_says_what_is_known_of_days(maap: Callable, sheet: Callable) -> None:
    days = ("-s", "2025-11-17", "-e", "2025-11-19")
    sheet("g,2025-11-17,2025-11-17,,,CPR_CLD_2A,all,Standby\n", "gaps")
    sheet("7,2025-11-18T12:00,2025-11-18T13:00,,,all,BC,Noise\n")
    ended = maap("coverage", *CLD, *days, "--days")
    assert ["disclaimer 7" in line for line in ended.lines[1:]] == [True, False]
    rows = [json.loads(line) for line in maap("coverage", *CLD, *days, "--json").lines]
    assert [[one["id"] for one in row["quality"]] for row in rows] == [["7"], []]
    calendar = maap("coverage", *CLD, *days, "--calendar").out
    assert "known gap" in calendar


def test_a_set_does_not_wait_for_a_known_gap(maap: Callable, sheet: Callable) -> None:
    assert maap("config", "set", "sets.pair", "CPR_CLD_2A:BC,MSI_COP_2A:BA").code == 0
    assert maap("sync", *CLD, *HOUR, "--quiet").code == 0
    before = maap("set", "show", "pair", *HOUR, "--check")
    assert before.code == 3 and "waiting for MSI_COP_2A:BA" in before.out
    sheet("g,2025-12-01,2025-12-01,,,MSI_COP_2A,BA,Off\n", "gaps")
    after = maap("set", "show", "pair", *HOUR, "--check")
    assert after.code == 0, after.out
    assert "known gap" in after.out and "waiting" not in after.out
    rows = [json.loads(line) for line in maap("set", "show", "pair", *HOUR, "--json").lines]
    assert {(row["state"], row["products"][1]["state"]) for row in rows} == {("gap", "gap")}


@pytest.mark.parametrize(
    ("value", "code", "said"),
    [
        ("nowhere.csv", 4, "nowhere.csv cannot be read: there is no such file"),
        ("{url}/nowhere.csv", 4, "/nowhere.csv cannot be read: 404 Not Found. Check the address"),
        ("http://127.0.0.1:1/x.csv", 3, "127.0.0.1:1"),
        ("http://", 4, ""),
    ],
)
def test_a_setting_that_is_wrong_is_named_and_4(
    maap: Callable, archive: Archive, value: str, code: int, said: str
) -> None:
    assert maap("config", "set", "quality.gaps", value.format(url=archive.url)).code == 0
    ended = maap("quality", "update")
    assert ended.code == code and said in ended.err and "3 disclaimers" in ended.out, ended.err
    assert ("Warning: quality.gaps: " in ended.err) is (code == 4)


@pytest.mark.parametrize("page", ["<html>no</html>", "a,b\n1,2\n"])
def test_a_sheet_that_cannot_be_read_is_a_warning(
    maap: Callable, sheet: Callable, home: Path, page: str
) -> None:
    sheet("1,,,08574E,08574E,CPR_CLD_2A,BC,\n")
    (home / "disclaimers.csv").write_text(page)
    ended = maap("quality", "update")
    words = f"Warning: quality.disclaimers: {home / 'disclaimers.csv'} cannot be read"
    assert ended.code == 4 and words in ended.err
    assert "what was read before stays" in ended.err and "2 known gaps" in ended.out
    assert flagged(maap("search", *CLD, *HOUR, "--json").out) == ["08574E"]
    (home / "state" / "quality" / "disclaimers.json").write_text("x")
    damaged = maap("search", *CLD, *HOUR, "--skip-disclaimed")
    assert damaged.code == 0 and "cannot be read; `maap quality update` writes it again" in damaged.err


def test_lines_that_cannot_be_used_are_named(maap: Callable, home: Path) -> None:
    (home / "disclaimers.csv").write_text(
        HEAD + "1,,,08574E,,CPR_CLD_2A,BC,\n2,soon,later,,,,,\n" + "3,,,,,,,\n" * 20
    )
    assert maap("config", "set", "quality.disclaimers", "disclaimers.csv").code == 0
    ended = maap("quality", "update")
    assert ended.code == 4 and "Refused: line 3 of disclaimers.csv: 'soon' is not a time" in ended.err
    assert "11 more lines of disclaimers.csv cannot be used" in ended.err
    assert "1 disclaimer in disclaimers.csv" in ended.out


@pytest.mark.parametrize(("status", "code"), [(404, 4), (503, 3)])
def test_an_address_that_does_not_answer(maap: Callable, archive: Archive, status: int, code: int) -> None:
    archive.faults.add(target="all", match="/quality/gaps", status=status)
    ended = maap("quality", "update")
    assert ended.code == code and f"{status}" in ended.err and "3 disclaimers" in ended.out


def test_an_address_that_leads_elsewhere_gets_no_token(maap: Callable, archive: Archive) -> None:
    with Archive.start() as other:
        archive.faults.add(target="all", match="/quality/", redirect=other.url)
        ended = maap("quality", "update")
        assert ended.code == 4 and "is refused" in ended.err
        assert other.stats.show()["requests"] == 0


def test_without_a_sheet_it_is_said_how_to_name_one(maap: Callable) -> None:
    for kind in ("gaps", "disclaimers"):
        assert maap("config", "set", f"quality.{kind}", "").code == 0
    ended = maap("quality", "update")
    assert ended.code == 4 and "maap config set quality.disclaimers" in ended.err
    refused = maap("search", *CLD, *HOUR, "--count", "--skip-disclaimed")
    assert refused.code == 4 and "--skip-disclaimed" in refused.err
