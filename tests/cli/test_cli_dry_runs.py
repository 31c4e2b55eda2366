"""A dry run of `sync` says what the run after it says: the same files, the same lines, the same exit code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from maap_tui.demo import Archive
from tests.homes import Ended

CLD = ("EarthCAREL2Validated_MAAP", "CPR_CLD_2A", "BC")
AUX = ("EarthCAREXMETL1DProducts10_MAAP", "AUX_MET_1D", "BC")
DAY = (*CLD, "--date", "2025-12-01", "--frame", "D")
SINCE = (*CLD, "--since-last", "--start", "2026-01-13", "--frame", "D")
LISTS = {"url": "urls", "dwl": "downloads"}


def compared(maap: Callable[..., Ended], *words: object) -> tuple[Ended, Ended]:
    """A dry run and the run after it, which have to agree on all but their last lines."""
    dry = maap("sync", *words, "--dry-run")
    run = maap("sync", *words, "--json")
    tried = [row["url"] for row in map(json.loads, run.lines) if row["path"]]
    assert sorted(dry.lines) == sorted(tried)
    assert dry.code == run.code
    assert said(dry) == said(run)
    return dry, run


def said(ended: Ended) -> list[str]:
    """The lines but the summary, and those of items that only registering refuses."""
    summary = ("Skipped", "Would download ")
    return [one for one in ended.err.splitlines() if not one.startswith(summary) and ", begun " not in one]


@pytest.mark.parametrize("words", [DAY, SINCE], ids=["of a day", "since the last"])
def test_a_format_that_no_granule_has_is_an_error(maap: Callable, words: tuple[str, ...]) -> None:
    dry, _ = compared(maap, *words, "--format", "eof")
    assert (dry.code, dry.lines) == (4, []) and "has a file in eof" in dry.err


def test_what_is_here_takes_no_place_among_the_granules(maap: Callable) -> None:
    assert maap("sync", *DAY, "-n", "4").code == 0
    dry, _ = compared(maap, *DAY, "-n", "4")
    assert len(dry.lines) == 4 and "files left for another run (--max-items)" in dry.err


@pytest.mark.parametrize("words", [DAY, SINCE], ids=["of a day", "since the last"])
def test_what_a_setting_holds_back_is_left(
    maap: Callable, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setenv("MAAP_SEARCH_MAX_ITEMS", "2")
    dry, _ = compared(maap, *words)
    assert dry.code == 3 and len(dry.lines) == 2 and "(search.max_items)" in dry.err


@pytest.mark.parametrize("words", [DAY, SINCE], ids=["of a day", "since the last"])
def test_what_the_archive_does_not_have_is_not_listed(
    maap: Callable, archive: Archive, words: tuple[str, ...]
) -> None:
    gone = maap("sync", *words, "--dry-run").lines[1]
    archive.faults.add(target="data", match=gone.rpartition("/")[2], status=404)
    assert maap("sync", *words, "-n", "2").code == 4
    dry, _ = compared(maap, *words)
    assert dry.code == 4 and gone not in dry.lines and "the archive does not have it" in dry.err


@pytest.mark.parametrize("kind", LISTS)
@pytest.mark.parametrize(
    ("words", "day"), [(DAY, "20251201"), (SINCE, "20260113")], ids=["of a day", "since the last"]
)
def test_a_day_whose_list_cannot_be_read_is_left_alone(
    maap: Callable, home: Path, words: tuple[str, ...], day: str, kind: str
) -> None:
    folder = Path(home, "registry", LISTS[kind], "EarthCARE", *CLD, day[:4])
    (folder / f"{kind}_{day}.txt").mkdir(parents=True)
    dry, _ = compared(maap, *words)
    assert dry.code == 3 and "files of days whose lists in the registry cannot be read" in dry.err
    assert not any(f"/{day[:4]}/{day[4:6]}/{day[6:]}/" in line for line in dry.lines)


def test_a_day_that_cannot_be_searched_is_reported(maap: Callable, archive: Archive) -> None:
    archive.faults.add(failing_day="2025-12-01")
    dry, _ = compared(maap, *DAY)
    assert dry.code == 3 and "FAILED DAY: BC 2025-12-01" in dry.err


def test_a_folder_whose_name_cannot_be_registered_is_refused(maap: Callable, tmp_path: Path) -> None:
    dry, run = compared(maap, *DAY, "-o", tmp_path / "a|b")
    assert (dry.code, dry.lines) == (4, [])
    assert [line for line in dry.err.splitlines() if line.startswith("Skipped: ")] == [
        line for line in run.err.splitlines() if line.startswith("Skipped: ")
    ]


def test_an_older_version_left_by_an_earlier_run_is_left_out(maap: Callable, home: Path) -> None:
    """The search finds a newer one, which the registry does not know yet."""
    hour = (*AUX, "--start", "2025-12-01T00:00", "--end", "2025-12-01T01:00")
    every = maap("search", *hour, "--all-versions").lines
    newest = maap("search", *hour).lines
    older = next(url for url in every if url not in newest)
    folder = Path(home, "registry", "urls", "EarthCARE", *AUX, "2025")
    folder.mkdir(parents=True)
    (folder / "url_20251201.txt").write_text(f"{older}|{home}/data/{older.rpartition('/')[2]}\n")
    dry, _ = compared(maap, *hour)
    assert sorted(dry.lines) == sorted(newest)


def test_a_set_leaves_out_what_the_archive_does_not_have(maap: Callable, archive: Archive) -> None:
    words = ("set", "sync", "clouds", "--start", "2025-12-01T00:00", "--end", "2025-12-01T00:59", "-n", "2")
    assert maap("config", "set", "sets.clouds", "CPR_CLD_2A:BC,MSI_COP_2A:BC").code == 0
    gone = maap(*words, "--dry-run").lines[0]
    archive.faults.add(target="data", match=gone.rpartition("/")[2], status=404)
    assert maap(*words).code == 4
    dry = maap(*words, "--dry-run")
    run = maap(*words)
    assert dry.code == run.code == 4 and gone not in dry.lines
    reason = "the archive does not have it; not asked for again before"
    assert reason in dry.err and reason in run.err
