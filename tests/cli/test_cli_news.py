"""`maap news` and `sync --since-last`: what they print, and their exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from maap_tui.demo import Archive

L2 = "EarthCAREL2Validated_MAAP"
CLD = (L2, "CPR_CLD_2A", "BC")
SINCE = ("--since", "2026-01-14T18:00")
SYNC = ("sync", *CLD, "--since-last", "--start", "2026-01-14T12:00", "--format", "hdr")


def test_news_are_counted_listed_and_fetched(maap: Callable, home: Path, archive: Archive) -> None:
    counted = maap("news", *CLD, *SINCE)
    assert (counted.code, counted.err) == (0, "")
    assert counted.lines[0].split() == "Collection Product Base New Late Reprocessed Here Since".split()
    *_, new, late, again, here, day, time = counted.lines[1].split()
    assert int(new) > 0 and int(late) > 0 and (again, here, day, time) == ("0", "0", "2026-01-14", "18:00")
    listed = maap("news", *CLD, *SINCE, "--list").lines
    assert len(listed) == int(new) + int(late)
    assert archive.stats.count("data") == 0 and not (home / "state" / "cursors").exists()

    first = maap(*SYNC)
    assert first.code == 0
    said = first.err.splitlines()
    assert said[0] == "The first run of its kind: all of the time range"
    assert said[1].startswith("Arrived: ") and said[1].endswith(" new, 0 late, 0 reprocessed")
    again = maap(*SYNC)
    assert again.code == 0 and again.lines == []
    assert again.err.splitlines()[0].endswith(": 0 new, 0 late, 0 reprocessed")
    assert again.err.splitlines()[-1].startswith("Nothing to fetch [")
    record = json.loads(maap("news", "--format", "hdr", *SINCE, "--json").out)
    assert record["here"] > 0 and record["new"] + record["late"] + record["here"] == int(new) + int(late)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("sync", *CLD, "--since-last", "--date", "2026-01-14"), "--date cannot be used with --since-last"),
        (
            ("sync", *CLD, "--since-last", "--start", "2026-01-14", "--days-back", "2"),
            "--days-back with --start or --end cannot be used with --since-last",
        ),
        (("news", L2, "CPR_CLD_2X"), "There is no product type 'CPR_CLD_2X'"),
        (("news", *CLD, "--since", "soon"), "'soon'"),
        (("news", *CLD, "--since", "2026-01-10..2026-01-12"), "'2026-01-10..2026-01-12' is not a date"),
        (("news", *CLD, "--since", "missing 7d"), "'missing 7d' is not a date"),
        (("news", *CLD, "--since", "2099-01-01"), "--since (2099-01-01) lies in the future"),
    ],
)
def test_what_cannot_be_asked_is_refused(maap: Callable, words: tuple[str, ...], message: str) -> None:
    refused = maap(*words)
    assert refused.code == 4 and message in refused.err


def test_an_archive_that_does_not_answer_is_asked_again_later(maap: Callable, archive: Archive) -> None:
    assert maap("catalog", "update", L2).code == 0
    archive.faults.add(target="search", status=503)
    failed = maap("news", *CLD)
    assert failed.code == 3 and failed.err.startswith("FAILED DAY: BC arrived since ")
    assert failed.lines[1].split()[3:7] == ["0+"] * 4


@pytest.mark.parametrize(("status", "code"), [(500, 3), (422, 0)])
def test_a_filter_that_fails_or_is_refused(
    maap: Callable, home: Path, archive: Archive, status: int, code: int
) -> None:
    """What may pass ends with 3 and leaves the cursor; a refusal is got round by counting the days."""
    archive.faults.add(barred=f"updated:{status},created:{status}")
    asked = maap("news", *CLD, *SINCE)
    assert asked.code == code
    assert ("500 Internal Server Error" in asked.err) is (code == 3)
    synced = maap("sync", *CLD, "--since-last", "--frame", "D", "--format", "hdr")
    assert synced.code == code, synced.err
    assert any((home / "state").rglob("cursors/*/*/*.txt")) is (code == 0)


def test_nothing_is_tracked_yet(maap: Callable, archive: Archive) -> None:
    said = maap("news")
    assert said.code == 0 and "Nothing is tracked yet" in said.err and archive.stats.count("search") == 0


def test_a_baseline_that_the_archive_has_no_more_hides_no_other(maap: Callable, home: Path) -> None:
    assert maap(*SYNC).code == 0
    folder = home / "registry/urls/EarthCARE" / L2 / "CPR_CLD_2A/ZZ/2025"
    folder.mkdir(parents=True)
    (folder / "url_20251201.txt").write_text("")
    ended = maap("news", *SINCE, "--format", "hdr")
    assert ended.code == 4
    assert f"Error: {L2} CPR_CLD_2A ZZ: There is no baseline 'ZZ' in {L2}" in ended.err
    assert [line.split()[1:3] for line in ended.lines[1:]] == [["CPR_CLD_2A", "BC"]]
