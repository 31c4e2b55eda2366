"""What a clean-up deleted is not here any more, in every count, until it comes again."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from maap_tui import MaapClient

L2 = "EarthCAREL2Validated_MAAP"
CLD = (L2, "CPR_CLD_2A", "BC")
FEW = ("--date", "2025-12-01", "--frame", "D", "-n", "4")


@pytest.fixture
def paths(maap: Callable, home: Path) -> list[str]:
    """Four files, of which the first two were marked and cleaned up."""
    assert maap("sync", *CLD, *FEW).code == 0
    found = maap("state", "pending", *CLD, "--type", "marks").lines
    assert maap("state", "mark", *found[:2]).code == 0
    assert maap("state", "cleanup", *CLD).code == 0
    return found


def counts(maap: Callable, *words: str) -> tuple[int, ...]:
    """Downloaded, marked, here, deleted."""
    (line,) = maap("state", "show", *CLD, *words, "--json").lines
    row = json.loads(line)
    return tuple(row[name] for name in ("downloaded", "marked", "here", "deleted"))


@pytest.mark.parametrize(
    "words",
    [(), ("--date", "2025-12-01"), ("--start", "2025-12-01T00:00:01Z", "--end", "2025-12-01T23:00:00Z")],
)
def test_deleted_files_are_not_here(maap: Callable, paths: list[str], words: tuple[str, ...]) -> None:
    assert counts(maap, *words) == (4, 2, 2, 2)
    shown = maap("state", "show", *CLD, *words).lines
    assert shown[-2:] == ["Here:                2", "Deleted:             2"]
    (head, row) = maap("state", "show", L2, *words).lines
    assert head.split()[-2:] == ["HERE", "DELETED"] and row.split()[-2:] == ["2", "2"]


def test_the_python_api_tells_what_was_deleted(home: Path, paths: list[str]) -> None:
    with MaapClient() as client:
        tracker = client.get_tracker(*CLD)
        assert tracker.get_deleted_paths() == set(paths[:2])
        assert tracker.get_stats()["downloaded"] == 4, "as maap-client counts"


def test_what_comes_again_is_here_and_still_marked(maap: Callable, paths: list[str]) -> None:
    Path(paths[0]).write_bytes(b"put back by hand")
    assert counts(maap) == (4, 2, 2, 2), "no file is looked at to count"
    assert maap("verify", *CLD).code == 3, "it is not what came"
    assert counts(maap) == (4, 2, 3, 1)
    assert maap("verify", *CLD, "--repair").code == 0
    assert counts(maap) == (4, 2, 3, 1)
    assert maap("state", "cleanup", *CLD).code == 0
    assert counts(maap) == (4, 2, 2, 2)


def test_a_file_that_is_downloaded_again_is_here(maap: Callable, home: Path, paths: list[str]) -> None:
    (registry,) = (home / "registry").rglob("dwl_20251201.txt")
    url = next(line.split("|")[0] for line in registry.read_text().splitlines() if paths[0] in line)
    assert maap("download", *CLD, "-u", url).code == 0
    assert counts(maap) == (4, 2, 3, 1)


def test_unmarked_means_missing_and_not_deleted(maap: Callable, paths: list[str]) -> None:
    assert maap("state", "unmark", paths[0]).code == 0
    assert counts(maap) == (4, 1, 3, 1)
    ended = maap("verify", *CLD)
    assert ended.code == 3 and ended.out.startswith(f"missing: {paths[0]}")


def test_without_the_state_folder_verify_learns_it_again(
    maap: Callable, home: Path, paths: list[str]
) -> None:
    shutil.rmtree(home / "state")
    assert counts(maap) == (4, 2, 4, 0)
    ended = maap("verify", *CLD)
    assert ended.code == 0 and "2 deleted by a clean-up" in ended.err
    assert counts(maap) == (4, 2, 2, 2)


def deletions_of(home: Path) -> Path:
    return next((home / "state/cleaned").rglob("cln_20251201.txt"))


def test_a_damaged_list_of_deletions_is_said_and_counts(maap: Callable, home: Path, paths: list[str]) -> None:
    file = deletions_of(home)
    file.write_text(f"deleted|{paths[0]}\nremoved{paths[1]}\n")
    words = f"1 line of {file} cannot be read and is left out (the line does not start with deleted| or "
    for _ in range(2):
        ended = maap("state", "show", *CLD)
        assert ended.code == 3 and ended.err.count(words) == 1
        assert ended.lines[-2:] == ["Here:                3", "Deleted:             1"]
    assert f"{file}:2 (" in maap("doctor", "--offline").out
    assert "1 damaged lines of" in maap("doctor", "--offline", "--repair").out
    assert maap("state", "show", *CLD).code == 0
    assert file.read_text().startswith(f"deleted|{paths[0]}\n# damaged line set aside: removed/")


@pytest.mark.parametrize("which", ["file", "folder"])
def test_a_list_of_deletions_that_cannot_be_read_is_said_once_and_counts(
    maap: Callable, home: Path, paths: list[str], which: str
) -> None:
    file = deletions_of(home)
    spoiled = file if which == "file" else home / "state/cleaned"
    shutil.rmtree(home / "state/cleaned")
    if which == "file":
        file.mkdir(parents=True)
    else:
        spoiled.write_bytes(b"")
    ended = maap("state", "show", *CLD)
    assert (ended.code, ended.err.count(f"Warning: {spoiled}")) == (3, 1) and "is ignored: " in ended.err
    assert ended.lines[-2:] == ["Here:                4", "Deleted:             0"]
    ended = maap("verify", *CLD)
    assert ended.code == 3 and "2 deleted by a clean-up" in ended.err
    ended = maap("sync", *CLD, *FEW)
    assert ended.code == 3 and "4 files" in ended.err, "nothing of it is needed to fetch"
    shutil.rmtree(home / "state/cleaned") if which == "file" else spoiled.unlink()
    assert maap("verify", *CLD).code == 0
    assert counts(maap) == (8, 2, 6, 2)


def test_a_list_of_deletions_that_cannot_be_written_is_said_and_counts(
    maap: Callable, home: Path, paths: list[str]
) -> None:
    folder = deletions_of(home).parent
    shutil.rmtree(folder)
    folder.symlink_to(home / "nowhere")
    ended = maap("verify", *CLD)
    assert ended.code == 3 and ended.err.count("cannot be written: ") == 1
    assert "count as here until `maap verify` can write it" in ended.err
    assert maap("state", "mark", *maap("state", "pending", *CLD, "--type", "marks").lines).code == 0
    ended = maap("state", "cleanup", *CLD)
    assert ended.code == 3 and ended.err.count("cannot be written: ") == 1
    folder.unlink()
    assert maap("verify", *CLD).code == 0
    assert counts(maap) == (4, 4, 0, 4)


def test_the_python_api_says_what_of_the_deletions_it_cannot_read(
    home: Path, paths: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    deletions_of(home).write_text("nothing of this\n")
    with MaapClient() as client, caplog.at_level(logging.WARNING, "maap_tui"):
        tracker = client.get_tracker(*CLD)
        assert tracker.get_deleted_paths() == set()
        assert len(tracker.damaged) == 1
    assert [record.message for record in caplog.records] == [f"{tracker.damaged[0]}; see `maap doctor`"]
