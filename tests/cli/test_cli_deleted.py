"""What a clean-up deleted is not here any more, in every count, until it comes again."""

from __future__ import annotations

import json
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
