"""`maap coverage`: gaps by name, days, exit codes, and what counts as missing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from maap_tui.demo import Archive

L2 = "EarthCAREL2Validated_MAAP"
CLD = (L2, "CPR_CLD_2A", "BC")
DAYS = ("-s", "2025-11-29", "-e", "2025-12-02")
HINT = f"Fetch a gap: maap sync {' '.join(CLD)} --start FIRST --end LAST\n"


def days(maap: Callable, *words: str) -> dict[str, dict[str, Any]]:
    return {one["day"]: one for one in map(json.loads, maap("coverage", *words, "--json").lines)}


def test_gaps_are_named_and_close_when_they_are_fetched(maap: Callable, archive: Archive) -> None:
    before = maap("coverage", *CLD, *DAYS)
    assert (before.code, before.err) == (0, HINT)
    assert before.lines == [
        f"{' '.join(CLD)}: archive 498, downloaded 0 (0 %), not here 498 in 1 gap",
        "2025-11-29 to 2025-12-02  498 of 498 not here",
    ]
    listed = maap("search", *CLD, *DAYS, "--count").out.strip()
    assert int(listed) - 498 in (0, 1)  # the archive counts what only reaches into the range too

    assert maap("sync", *CLD, "--date", "2025-11-30", "--quiet").code == 0
    assert maap("sync", *CLD, "--date", "2025-12-01", "-n", "3", "--quiet").code == 0
    after = maap("coverage", *CLD, *DAYS, "--check")
    assert (after.code, after.err) == (3, HINT)
    assert after.lines[1:] == [
        "2025-11-29                125 of 125 not here",
        "2025-12-01 to 2025-12-02  246 of 249 not here",
    ]
    assert maap("coverage", *CLD, *DAYS, "--days").lines[2] == "2025-11-30  0 of 124 not here"
    assert days(maap, *CLD, *DAYS) == days(maap, *CLD, *DAYS, "--verify")
    whole = maap("coverage", *CLD, "--date", "2025-11-30", "--check")
    assert (whole.code, whole.out, whole.err) == (
        0,
        f"{' '.join(CLD)}: archive 124, downloaded 124 (100 %)\n",
        "",
    )


def test_a_calendar_has_a_line_a_month_and_a_sign_a_day(maap: Callable) -> None:
    assert maap("sync", *CLD, "--date", "2025-11-30", "--quiet").code == 0
    assert maap("sync", *CLD, "--date", "2025-12-01", "-n", "3", "--quiet").code == 0
    shown = maap("coverage", *CLD, *DAYS, "--calendar")
    assert shown.code == 0
    signs = str.maketrans("█▓▒░·─", "#=+-._")
    assert [line.translate(signs) for line in shown.lines[1:]] == [
        "         1    6    11   16   21   26",
        "2025-11" + " " * 30 + ".#  125 of 249 not here",
        "2025-12  -." + " " * 30 + "246 of 249 not here",
        "# all here  - less  . none here",
    ]


def test_only_the_days_that_lack_something_are_searched_and_fetched(maap: Callable) -> None:
    when = ("--date", "missing 2025-11-29..2025-12-02")
    assert maap("sync", *CLD, "--date", "2025-11-30", "--quiet").code == 0
    assert maap("sync", *CLD, "--date", "2025-12-01", "-n", "3", "--quiet").code == 0
    found = maap("search", *CLD, *when)
    assert found.code == 0 and len(found.lines) == 125 + 249
    assert found.lines == [url for url in maap("search", *CLD, *DAYS).lines if "CLD_2A_20251130T" not in url]
    assert maap("search", *CLD, *when, "--newest-first").lines == found.lines[::-1]
    assert len(maap("search", *CLD, *when, "--missing").lines) == 125 + 246
    assert 0 <= int(maap("search", *CLD, *when, "--count").out) - (125 + 249) <= 4
    done = maap("sync", *CLD[:2], *when, "--frame", "A,B,C,D,E,F,G,H")
    assert done.code == 0 and " 371 " in done.err
    assert maap("coverage", *CLD, *DAYS, "--check").code == 0
    none = maap("search", *CLD, *when)
    assert (none.code, none.lines) == (0, []) and "Nothing found" in none.err
    assert maap("search", *CLD, *when, "--count").out == "0\n"
    refused = maap("state", "pending", *CLD, "--date", "missing 30d")
    assert (refused.code, refused.out) == (4, "") and "is for searches" in refused.err


def test_the_second_time_takes_few_requests(maap: Callable, asked: Callable[[str], int]) -> None:
    first = maap("coverage", *CLD, "-s", "2025-11-20", "-e", "2026-01-10").out
    requests = asked("search")
    assert maap("coverage", *CLD, "-s", "2025-11-20", "-e", "2026-01-10").out == first
    assert asked("search") - requests < requests / 4


def test_what_a_clean_up_deleted_is_not_missing_and_what_failed_is_said(
    maap: Callable, archive: Archive
) -> None:
    assert maap("sync", *CLD, "--date", "2025-12-01", "-n", "3", "--quiet").code == 0
    maap("state", "mark", *maap("state", "pending", *CLD, "--type", "marks").lines)
    assert maap("state", "cleanup", *CLD).code == 0
    archive.faults.add(target="data", status=404, match="CPR_CLD_2A")
    assert maap("sync", *CLD, "--date", "2025-12-01", "-n", "2", "--quiet").code == 4

    (day,) = days(maap, *CLD, "--date", "2025-12-01").values()

    assert (day["downloaded"], day["deleted"], day["failed"], day["missing"]) == (3, 3, 2, 122)
    assert "122 of 125 not here  2 files failed" in maap("coverage", *CLD, "--date", "2025-12-01").out


def test_a_granule_that_was_replaced_is_found_by_a_search(maap: Callable, home: Path) -> None:
    assert maap("sync", *CLD, "--date", "2025-12-01", "--quiet").code == 0
    tree = home / "registry/downloads/EarthCARE" / L2 / "CPR_CLD_2A/BC/2025/dwl_20251201.txt"
    lines = tree.read_text().splitlines()
    tree.write_text(
        "\n".join([lines[0].replace("_20251201T", "_20251201T0001")[:-1] + "x", *lines[1:]]) + "\n"
    )

    assert days(maap, *CLD, "--date", "2025-12-01")["2025-12-01"]["missing"] == 0
    assert days(maap, *CLD, "--date", "2025-12-01", "--verify")["2025-12-01"]["missing"] == 1


def test_older_versions_are_not_missing_where_the_newest_is_fetched(maap: Callable) -> None:
    words = ("BiomassLevel1b", "S2_DGM__1S")
    found = days(maap, *words)
    day = next(day for day, one in found.items() if one["archive"] > 1)
    assert maap("sync", *words, "--date", day, "--quiet").code == 0
    assert days(maap, *words, "--date", day)[day]["missing"] == 0


def test_without_a_baseline_those_that_are_tracked_or_the_newest(maap: Callable) -> None:
    assert [line.split(":")[0] for line in maap("coverage", *CLD[:2], "--date", "2025-12-01").lines[:1]] == [
        f"{' '.join(CLD)}"
    ]
    assert maap("sync", *CLD[:2], "BB", "--date", "2025-11-01", "-n", "1", "--quiet").code == 0
    assert " BB: " in maap("coverage", *CLD[:2], "--date", "2025-11-01").lines[0]


def test_an_archive_that_fails_is_said(maap: Callable, archive: Archive) -> None:
    archive.faults.add(target="search", status=503)
    ended = maap("coverage", *CLD, *DAYS)
    assert (ended.code, ended.out) == (3, "") and "503" in ended.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((L2, "CPR_CLD_9X"), "CPR_CLD_9X"),
        ((*CLD[:2], "ZZ"), "ZZ"),
        ((L2, "CPR_CLD_2A", "BC", "-e", "2025"), ""),
    ],
)
def test_wrong_names(words: tuple[str, ...], said: str, maap: Callable) -> None:
    ended = maap("coverage", *words)
    assert (ended.code, ended.out) == (4, "") and said in ended.err
