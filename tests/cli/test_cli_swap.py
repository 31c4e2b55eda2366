"""`maap swap`: what it prints and says, and its exit codes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from maap_tui.demo import Archive

L2 = "EarthCAREL2Validated_MAAP"
NAMES = (L2, "CPR_CLD_2A", "AB", "BB")
HALF = ("-s", "2025-03-14T00:00", "-e", "2025-03-14T00:40")


@pytest.fixture
def old(maap: Callable, home: Path) -> list[str]:
    """Paths of three granules of AB, one of them marked."""
    assert maap("sync", *NAMES[:3], *HALF, "--quiet").code == 0
    paths = maap("state", "pending", *NAMES[:3], "--type", "marks").lines
    assert len(paths) == 3 and maap("state", "mark", paths[0]).code == 0
    return paths


def rows(maap: Callable, action: str, *words: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in maap("swap", action, *NAMES, *words, "--json").lines]


def test_a_swap_from_its_plan_to_its_end(maap: Callable, old: list[str]) -> None:
    plan = maap("swap", "plan", *NAMES)
    assert plan.code == 0 and len(plan.lines) == 4
    assert "CPR_CLD_2A AB for BB: 3 granules: 3 to fetch\n" in plan.err and "free in" in plan.err
    assert maap("swap", "run", *NAMES, "--dry-run").out == plan.out
    begun = maap("swap", "run", *NAMES, "-n", "2")
    assert begun.code == 0 and "Swapped 2 granules; `maap swap undo` is possible until" in begun.err
    assert "1 granule left for another run" in begun.err and f"[{' '.join(NAMES)}," in begun.err
    assert [row["state"] for row in rows(maap, "status")] == ["swapped", "swapped"]
    assert [row["was_marked"] for row in rows(maap, "plan")] == [True, False, False]
    kept = maap("state", "cleanup", *NAMES[:3])
    assert kept.code == 3 and "Kept 2 files: the swap for BB keeps files until" in kept.err
    assert "Swapped 1 granule" in maap("swap", "run", *NAMES).err
    ended = maap("swap", "run", *NAMES, "--keep-days", "0")
    assert ended.code == 0 and "Deleted 3 files of AB" in ended.err
    assert not any(map(Path.exists, map(Path, old)))
    assert maap("verify", "--quiet").code == 0
    assert maap("swap", "list").lines[1].split()[:5] == [*NAMES, "3"]
    assert len(maap("state", "pending", *NAMES[:2], "BB", "--type", "marks").lines) == 3


def test_a_dry_run_judges_as_the_run_does(
    maap: Callable, old: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = maap("swap", "run", *NAMES, "--dry-run").err
    part = maap("swap", "run", *NAMES, "--dry-run", "-n", "1").err
    assert "2 granules left for another run (--max-items)" in part and "left for" not in whole
    one, three = (re.search(r"Would fetch ([0-9]+) KiB", text) for text in (part, whole))
    assert one is not None and three is not None and int(one[1]) < int(three[1])
    monkeypatch.setenv("MAAP_DOWNLOADS_MIN_FREE", "1000T")
    planned, dry, run = (
        maap("swap", *words) for words in (("plan", *NAMES), ("run", *NAMES, "--dry-run"), ("run", *NAMES))
    )
    assert "Warning" in planned.err and (planned.code, dry.code, run.code) == (3, 3, 3)
    assert all("has no room for both versions" in one.err for one in (planned, dry, run))


def test_undo_says_what_it_cannot_do(maap: Callable, old: list[str]) -> None:
    assert maap("swap", "run", *NAMES).code == 0
    undone = maap("swap", "undo", *NAMES, "-s", "2025-03-14", "-e", "2025-03-14T00:20")
    assert undone.code == 0 and undone.err.startswith("1 granule as before the swap")
    rows = [json.loads(line) for line in maap("swap", "status", *NAMES, "--json").lines]
    # What is as before the swap is kept for good.
    assert [(row["state"], row["kept_until"] is None) for row in rows] == [("undone", True)] + 2 * [
        ("swapped", False)
    ]
    assert maap("swap", "run", *NAMES, "--keep-days", "0").code == 0
    refused = maap("swap", "undo", *NAMES)
    assert refused.code == 4 and "3 granules cannot be undone" in refused.err and "--get" in refused.err
    again = maap("swap", "undo", *NAMES, "--get")
    assert again.code == 0 and all(map(Path.exists, map(Path, old)))
    assert "Kept until" not in maap("swap", "status", *NAMES).out
    assert maap("state", "pending", *NAMES[:3], "--type", "marks").lines == old[1:]
    assert maap("verify", "--quiet").code == 0
    nothing = maap("swap", "undo", L2, "MSI_COP_2A", "AB", "BA")
    assert nothing.code == 4 and "was not swapped" in nothing.err


def test_what_has_no_successor_stays_and_is_an_exit_code_when_asked(maap: Callable, old: list[str]) -> None:
    names = (*NAMES[:3], "BC")
    for action in ("plan", "run"):
        plain = maap("swap", action, *names)
        assert plain.code == 0 and "3 have no granule in BC yet, and stay in AB" in plain.err
        assert maap("swap", action, *names, "--check").code == 3
    assert all(map(Path.exists, map(Path, old)))


def test_new_files_whose_names_are_refused_are_an_exit_code(
    maap: Callable, old: list[str], home: Path
) -> None:
    deep = home.joinpath(*["x" * 200] * 21)
    ended = maap("--data-dir", deep, "swap", "run", *NAMES)
    assert ended.code == 4 and "the path is too long" in ended.err and "Swapped" not in ended.err
    assert all(map(Path.exists, map(Path, old)))


def test_a_day_that_cannot_be_searched_is_an_exit_code(
    maap: Callable, old: list[str], archive: Archive
) -> None:
    archive.faults.add(target="search", status=503)
    ended = maap("swap", "run", *NAMES)
    assert ended.code == 3 and "FAILED DAY: 2025-03-14" in ended.err
    assert "3 on days that could not be searched" in ended.err and "no granule in" not in ended.err


def test_a_file_that_does_not_come_is_left_for_the_next_run(
    maap: Callable, old: list[str], archive: Archive
) -> None:
    archive.faults.add(target="data", status=503, match="_04497H")
    first = maap("swap", "run", *NAMES)
    assert first.code == 3 and "Swapped 2 granules" in first.err
    assert "1 to fetch, 2 swapped" in first.err
    assert maap("swap", "status", *NAMES, "--check").code == 3
    archive.faults.clear()
    assert "Swapped 1 granule" in maap("swap", "run", *NAMES).err
    assert maap("swap", "status", *NAMES, "--check").code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("plan", *NAMES[:3], "AB"), "cannot be swapped for itself"),
        (("plan", *NAMES[:3], "ZZ"), "There is no baseline 'ZZ'"),
        (("run", L2, "MSI_COP_2A", "AB", "BA"), "Nothing of MSI_COP_2A AB is tracked"),
        (("run", *NAMES, "--keep-days", "-1"), "a number of days, 0 to"),
        (("run", *NAMES, "--keep-days", "soon"), "a number of days, 0 to"),
        (("plan", "BiomassLevel1b", "S2_DGM__1S", "01", "02"), "Nothing of S2_DGM__1S 01 is tracked"),
        (
            ("plan", "SwarmLevel1b", "MAGx_LR_1B", "0605", "0606"),
            "SwarmLevel1b belongs to a mission whose file names are not known",
        ),
        (("status", *NAMES), "was not swapped"),
    ],
)
def test_what_cannot_be(maap: Callable, old: list[str], words: tuple[str, ...], said: str) -> None:
    ended = maap("swap", *words)
    assert said in ended.err and ended.code == (0 if words[0] == "status" else 4)


def test_a_plan_of_nothing_says_why(maap: Callable, old: list[str]) -> None:
    for words in (("--date", "2025-03-15"), ("--format", "hdr")):
        ended = maap("swap", "plan", *NAMES, *words)
        assert ended.code == 0 and not ended.out
        assert "Nothing of AB was downloaded, or none of it is of the time and formats" in ended.err


def test_a_damaged_journal_is_said_until_a_run_sets_it_aside(
    maap: Callable, old: list[str], home: Path
) -> None:
    assert maap("swap", "run", *NAMES).code == 0
    (journal,) = home.rglob("swaps/**/BB.jsonl")
    with journal.open("a") as file:
        file.write("garbage\n")
    plan = maap("swap", "plan", *NAMES)
    assert plan.code == 3 and "1 line of " in plan.err and "cannot be read; a run sets them aside" in plan.err
    assert maap("swap", "status", *NAMES).code == 3
    run = maap("swap", "run", *NAMES)
    assert run.code == 0 and "could not be read and were set aside" in run.err
    assert maap("swap", "plan", *NAMES).code == 0


def test_baselines_in_the_wrong_order_are_a_warning(maap: Callable, old: list[str]) -> None:
    assert "older" not in maap("swap", "plan", *NAMES).err
    assert maap("sync", *NAMES[:2], "BB", *HALF, "--quiet").code == 0
    for action in ("plan", "run"):
        ended = maap("swap", action, *NAMES[:2], "BB", "AB")
        assert ended.code == 0 and ended.err.count("By its name AB is older than BB") == 1


def test_granules_without_an_orbit_in_their_names_are_shown_by_their_start(
    maap: Callable, home: Path
) -> None:
    names = ("CryoSatIceL110", "SIR_SIN_1B", "D001")
    assert maap("sync", *names, "--date", "2022-09-17", "--quiet").code == 0
    plan = maap("swap", "plan", *names, "E001")
    assert plan.lines[1].startswith("2022-09-17 08:23:19  archive") and "Orbit" not in plan.out
    assert "granules belong together that begin and end within 10 s of each other" in plan.err
    (row,) = [json.loads(line) for line in maap("swap", "run", *names, "E001", "--json").lines]
    assert (row["state"], row["orbit"], row["frame"], row["observation"]) == ("swapped", None, None, None)
    assert maap("swap", "status", *names, "E001", "--check").code == 0
    assert maap("swap", "undo", *names, "E001").code == 0


def test_granules_of_several_files_are_shown_by_what_identifies_them(maap: Callable, home: Path) -> None:
    names = ("BiomassLevel2a", "FP_GN__L2A", "01")
    assert maap("sync", *names, "--date", "2025-12-12", "--quiet").code == 0
    plan = maap("swap", "plan", *names, "02")
    assert plan.lines[0].startswith("Observation ") and plan.lines[1].startswith("T_G01_M01_C___T014_F190  ")
    assert max(map(len, plan.lines)) <= 80
    ended = maap("swap", "run", *names, "02", "--keep-days", "0")
    assert ended.code == 0 and "Deleted 12 files of 01" in ended.err
    assert maap("verify", "--quiet").code == 0


def test_newest_stands_for_the_newest_baseline(maap: Callable, old: list[str]) -> None:
    assert "CPR_CLD_2A AB for BC: 3 granules" in maap("swap", "plan", *NAMES[:3], "newest").err


STUDY = """
[study]
title = "Half an hour"
[select]
collection = "EarthCAREL2Validated_MAAP"
products = ["CPR_CLD_2A:AB"]
start = 2025-03-14T00:00:00Z
end = 2025-03-14T00:30:00Z
"""


def test_what_a_frozen_study_needs_is_a_warning_until_it_is_gone(
    maap: Callable, old: list[str], tmp_path: Path, archive: Archive
) -> None:
    (tmp_path / "STUDY.toml").write_text(STUDY)
    study = tmp_path / "study"
    assert maap("freeze", tmp_path / "STUDY.toml", "-o", study).code == 0
    warning = f"Warning: 2 granules of AB in the study {study} are to be deleted here"
    planned = maap("swap", "plan", *NAMES)
    # The archive of this demonstration has AB, BA, BB and BC.
    assert planned.code == 0 and f"{warning}, and the archive is about to drop AB" in planned.err
    assert f"`maap thaw {study} -o DIR` makes a copy" in planned.err
    assert [row["needed_by"] for row in rows(maap, "plan")] == [[str(study)], [str(study)], []]
    copy = tmp_path / "copy"
    assert maap("thaw", study, "-o", copy).code == 0 and len(list(copy.rglob("*.h5"))) == 2
    ended = maap("swap", "run", *NAMES, "--keep-days", "0")
    assert ended.code == 0 and warning in ended.err
    assert "Warning" not in maap("swap", "run", *NAMES).err


def test_what_a_study_froze_after_the_swap_is_a_warning_before_it_is_deleted(
    maap: Callable, old: list[str], tmp_path: Path, archive: Archive
) -> None:
    assert maap("swap", "run", *NAMES).code == 0
    (tmp_path / "STUDY.toml").write_text(STUDY)
    study = tmp_path / "study"
    assert maap("freeze", tmp_path / "STUDY.toml", "-o", study).code == 0
    ended = maap("swap", "run", *NAMES, "--keep-days", "0")
    assert ended.code == 0 and "Deleted 3 files of AB" in ended.err
    assert ended.err.count(f"Warning: 2 granules of AB in the study {study} are to be deleted here") == 1


def test_the_doctor_names_studies_that_the_archive_is_about_to_lose(
    maap: Callable, old: list[str], tmp_path: Path, archive: Archive
) -> None:
    def of_studies() -> list[tuple[str, str]]:
        rows = [json.loads(line) for line in maap("doctor", "--json").lines]
        return [
            (row["state"], f"{row['message']} {row['hint']}") for row in rows if row["subject"] == "studies"
        ]

    assert of_studies() == []
    newer = STUDY.replace(":AB", ":BC").replace("2025-03-14", "2025-12-01")
    for name, text in (("old", STUDY), ("new", newer)):
        (tmp_path / f"{name}.toml").write_text(text)
        maap("freeze", tmp_path / f"{name}.toml", "-o", tmp_path / name, "--get")
    found = dict(of_studies())
    study = tmp_path / "old"
    assert f"{study} needs 2 granules of CPR_CLD_2A AB: the archive is about to drop AB" in found["warning"]
    assert f"`maap thaw {study} -o DIR` makes a copy" in found["warning"]
    assert str(tmp_path / "new") in found["ok"] and "which the archive keeps" in found["ok"]
    archive.faults.set(status=503, target="search")
    assert [state for state, _ in of_studies()] == ["warning"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"granule": "x", "sta', "1 line of its journal cannot be read"),
        (
            '{"granule": "NAME", "state": "undoing", "at": "2026-01-15T00:00:00Z"}',
            "1 granule between two steps",
        ),
    ],
    ids=["torn", "interrupted"],
)
def test_the_doctor_names_a_swap_that_was_interrupted(
    maap: Callable, home: Path, old: list[str], line: str, words: str
) -> None:
    assert maap("swap", "run", *NAMES).code == 0
    sound = maap("doctor", "--offline")
    assert "CPR_CLD_2A AB for BB: 3 kept, 0 retired" in sound.out
    (journal,) = (home / "registry" / "swaps").rglob("BB.jsonl")
    with journal.open("a") as file:
        file.write(line.replace("NAME", Path(old[0]).stem) + "\n")
    ill = maap("doctor", "--offline")
    assert f"CPR_CLD_2A AB for BB: {words}" in ill.out and f"maap swap run {' '.join(NAMES)}" in ill.out
    assert maap("swap", "run", *NAMES).code == 0
    assert "CPR_CLD_2A AB for BB: 3 kept, 0 retired" in maap("doctor", "--offline").out


def test_what_needs_you_is_said_by_a_plan_as_by_the_run(maap: Callable, old: list[str], home: Path) -> None:
    """Two granules of one orbit and frame, each within a minute of the new one: it may replace either."""
    first = Path(old[0])
    begin = first.name.split("_")[5]
    (file,) = [one for one in home.rglob("dwl_*.txt") if first.name in one.read_text()]
    lines = file.read_text().splitlines()
    (line,) = [one for one in lines if first.name in one]
    lines.remove(line)
    for seconds in (-40, 40):
        moved = datetime.strptime(begin, "%Y%m%dT%H%M%SZ") + timedelta(seconds=seconds)
        name = first.name.replace(begin, f"{moved:%Y%m%dT%H%M%SZ}", 1)
        first.with_name(name).write_bytes(first.read_bytes())
        lines.append(line.replace(first.name, name))
    file.write_text("\n".join(lines) + "\n")
    plan, dry = maap("swap", "plan", *NAMES), maap("swap", "run", *NAMES, "--dry-run")
    run = maap("swap", "run", *NAMES)
    assert (plan.code, dry.code, run.code) == (4, 4, 4), plan.err + run.err
    assert plan.err.count("Warning: ECA_") == run.err.count("Skipped: ECA_") == 2
