"""What Today says of runs, disk and rate; no app is needed to see it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from maap_tui.engine.runs import DONE, KILLED, RUNNING, Counts, Run
from maap_tui.tui.screens.today import today_words as words

NOW = datetime(2026, 1, 15, 9, 30, tzinfo=UTC)
MIB = 1 << 20
L2 = "EarthCAREL2Validated_MAAP"
SYNC = Run(
    "20260115T060003Z-3f2a",
    "sync",
    ("sync", L2, "CPR_CLD_2A", "BC", "--quiet"),
    "/home/maap",
    "node1",
    17,
    datetime(2026, 1, 15, 6, 0, 3, tzinfo=UTC),
    datetime(2026, 1, 15, 6, 4, 15, tzinfo=UTC),
    0,
    DONE,
    Counts(found=378, downloaded=126, here=252, bytes=300 * MIB),
)


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (("sync", L2, "CPR_CLD_2A", "BC", "-d", "7"), "sync CPR_CLD_2A BC -d 7"),
        (("-c", "x.toml", "--quiet", "sync", L2, "CPR_CLD_2A"), "sync CPR_CLD_2A"),
        (("state", "cleanup", L2, "CPR_CLD_2A", "BC"), "cleanup CPR_CLD_2A BC"),
        (("catalog", "build"), "build"),
        (("download", "--plan", "plan.jsonl"), "download --plan plan.jsonl"),
        (("strange",), "strange"),
    ],
)
def test_a_command_is_shown_by_what_differs(line: tuple[str, ...], shown: str) -> None:
    assert words.short_command(replace(SYNC, words=line)) == shown
    assert words.short_command(replace(SYNC, verb="app", words=("tui",))) == "the app's transfers"
    assert words.short_command(replace(SYNC, verb="queue", words=("queue",))) == "the worker's transfers"


@pytest.mark.parametrize(
    ("state", "code", "shown", "tone"),
    [
        (DONE, 0, "0", "plain"),
        (DONE, 3, "3", "warning"),
        (DONE, 4, "4", "error"),
        (DONE, 2, "2", "error"),
        (DONE, 143, "143", "warning"),
        (KILLED, None, "dead", "error"),
        (RUNNING, None, "runs", "accent"),
    ],
)
def test_how_a_run_ended(state: str, code: int | None, shown: str, tone: str) -> None:
    run = replace(SYNC, state=state, exit=code)
    assert (words.ended_as(run), words.tone_of(run)) == (shown, tone)
    cells = (words.found(run), words.moved(run), words.failed(run), words.size(run))
    assert cells == (("378", "126", "0", "300 MiB") if state == DONE else ("",) * 4), "known in the end"


def test_the_last_run_is_the_last_sync() -> None:
    get = replace(SYNC, verb="get", begun=NOW - timedelta(hours=1))
    assert words.last_run_words([get, SYNC], NOW) == "Last sync 06:00 UTC, exit 0, +126 files 300 MiB"
    assert words.last_run_words([get], NOW).startswith("Last get 08:30 UTC")
    failed = replace(SYNC, exit=3, counts=replace(SYNC.counts, failed=2, failed_days=1))
    assert words.last_run_words([failed], NOW + timedelta(days=1)).startswith(
        "Last sync 2026-01-15 06:00 UTC"
    )
    assert words.last_run_words([failed], NOW).endswith("exit 3, +126 files 300 MiB, 3 failed")
    assert words.last_run_words([replace(SYNC, state=KILLED)], NOW) == "Last sync 06:00 UTC: its process died"
    assert words.last_run_words([replace(SYNC, state=RUNNING)], NOW).endswith("runs since 3 h 29 min")
    assert words.last_run_words([], NOW).startswith("No run yet")


def test_the_disk_lasts_as_long_as_the_last_days_say() -> None:
    week = [replace(SYNC, begun=SYNC.begun - timedelta(days=day)) for day in range(20)]
    assert words.growth_a_day(week, NOW) == pytest.approx(300 * MIB, rel=0.01)
    freed = replace(SYNC, verb="cleanup", counts=Counts(deleted=9, bytes=7 * 300 * MIB))
    assert words.growth_a_day([*week, freed], NOW) == pytest.approx(0, abs=MIB)
    assert words.growth_a_day([SYNC], NOW) == 300 * MIB
    assert words.growth_a_day([], NOW) == 0
    shown = words.disk_words(3000 * MIB, 9000 * MIB, 300 * MIB)
    assert shown == "2.9 GiB free of 8.8 GiB, +300 MiB a day: full in about 10 days"
    assert words.disk_words(3000 * MIB, None, -1) == "2.9 GiB free"
    assert words.disk_words(1 << 50, 1 << 51, 300 * MIB).endswith("room for years")
    assert words.disk_words(None, None, 0) == "Free space is not known"


def test_bytes_are_spread_over_the_hours_of_a_run() -> None:
    two = replace(SYNC, begun=NOW - timedelta(hours=2), ended=NOW, counts=Counts(downloaded=1, bytes=1000))
    assert words.bytes_by_hour([two], NOW) == [0] * 22 + [500, 500]
    moment = replace(two, begun=NOW - timedelta(minutes=30), ended=NOW - timedelta(minutes=30))
    assert words.bytes_by_hour([moment], NOW)[-1] == 1000
    old = replace(two, begun=NOW - timedelta(days=3), ended=NOW - timedelta(days=2))
    cleanup = replace(two, verb="cleanup")
    assert sum(words.bytes_by_hour([old, cleanup], NOW)) == 0
    assert words.graph([0, 1, 4, 8], "12345678", ".") == ".258"
    assert words.graph([0, 0], "12345678", ".") == ".."


def test_a_tall_graph_has_rows_of_eighths_over_its_hours() -> None:
    values = [0] * 22 + [400, 100]
    assert words.tall_graph(values, 2, 2, "▁▂▃▄▅▆▇█", "·") == [" " * 44 + "██  ", "··" * 22 + "██▄▄"]
    assert words.tall_graph([0] * 24, 2, 1, "▁▂▃▄▅▆▇█", "·") == [" " * 24, "·" * 24], "nothing came"
    (least,) = words.tall_graph([1, 1_000_000], 1, 1, "▁▂▃▄▅▆▇█", "·")
    assert least == "▁█", "a byte is seen beside much"
    # 09:30: the last hour has the name of the one that began in it, and so have all others.
    assert words.hour_marks(NOW, 2) == f"{'':4}12{'':10}18{'':10}00{'':10}06"


def test_the_runs_of_the_last_day_are_counted_with_those_that_did_not_end_well() -> None:
    def at(hours: float, code: int) -> Run:
        begun = NOW - timedelta(hours=hours)
        return replace(SYNC, begun=begun, ended=begun + timedelta(minutes=4), exit=code)

    assert words.recent_words([], NOW) == "0 runs in 24 h"
    assert words.recent_words([at(1, 0), at(23, 0), at(30, 2)], NOW) == "2 runs in 24 h"
    found = words.recent_words([at(1, 0), at(2, 3), at(3, 1)], NOW)
    assert found == "3 runs in 24 h, 2 did not end with 0"


@pytest.mark.parametrize(
    ("free", "total", "part"),
    [(50, 200, 0.75), (0, 200, 1.0), (300, 200, 0.0), (None, 200, None), (5, 0, None)],
)
def test_how_full_the_disk_is(free: int | None, total: int, part: float | None) -> None:
    assert words.part_used(free, total) == part
