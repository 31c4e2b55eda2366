"""The log on disk: bounded, private, shared by several runs, and never a failure."""

from __future__ import annotations

import json
import os
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from maap_tui.engine.storage.log_file import LIMIT, LogFile, LogLine

THEN = datetime(2026, 1, 14, 23, 5, tzinfo=UTC)


def line(text: str, level: str = "info") -> LogLine:
    return LogLine(THEN, level, text)


def log_of(folder: Path, **options: int) -> LogFile:
    """The log as one run has it."""
    return LogFile(folder / "state" / "log.jsonl", folder / "state" / "log.lock", **options)


def test_lines_come_back_in_another_run_and_the_own_ones_do_not(tmp_path: Path) -> None:
    first = log_of(tmp_path)
    told = [line("Marked 2 files of CPR_CLD_2A BC"), line("café \x1b[31m \udc80\nnext", "error")]
    first.write(told)
    second = log_of(tmp_path)
    second.write([line("mine")])
    found = second.earlier()
    assert [one._replace(run="") for one in found] == told
    assert len({one.run for one in found}) == 1 and found[0].run, "lines of one run are known as such"
    (mine,) = first.earlier()
    assert mine.text == "mine" and mine.run != found[0].run
    file = tmp_path / "state" / "log.jsonl"
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.read_bytes().isascii() and len(file.read_bytes().splitlines()) == 3


def test_the_file_stays_small_and_keeps_the_newest_lines(tmp_path: Path) -> None:
    log = log_of(tmp_path, limit=2000)
    for number in range(200):
        log.write([line(f"line {number}")])
    file = tmp_path / "state" / "log.jsonl"
    assert file.stat().st_size <= 2000 and file.stat().st_mode & 0o777 == 0o600
    log.write([line(f"many {number}") for number in range(500)])
    assert file.stat().st_size <= 2000
    found = [one.text for one in log_of(tmp_path).earlier()]
    assert found == [f"many {number}" for number in range(500 - len(found), 500)] and found


def test_a_line_of_any_length_is_kept_in_part(tmp_path: Path) -> None:
    log_of(tmp_path).write([line("x" * 2 * LIMIT), line("after it")])
    first, second = log_of(tmp_path).earlier()
    assert 0 < len(first.text) < 10_000 and second.text == "after it"


def test_several_runs_at_once_lose_nothing(tmp_path: Path) -> None:
    def run(name: str) -> None:
        log = log_of(tmp_path)
        for number in range(20):
            log.write([line(f"{name}{number}")])

    runs = [threading.Thread(target=run, args=(name,)) for name in "abc"]
    for one in runs:
        one.start()
    for one in runs:
        one.join()
    found = [one.text for one in log_of(tmp_path).earlier()]
    assert sorted(found) == sorted(f"{name}{number}" for name in "abc" for number in range(20))


@pytest.mark.parametrize(
    "content",
    [
        b"\x00\xff\n[1]\n\n{}\nnull\n",
        b'{"time": "yesterday", "level": "info", "text": "x", "run": ""}\n',
        b'{"time": "2026-01-14T23:05:00+00:00", "level": "loud", "text": "x", "run": ""}\n',
        b'{"time": "2026-01-14T23:05:00+00:00", "level": ["info"], "text": 1, "run": ""}\n',
        b'{"time": "2026-01-14T23:05:00+00:00", "level": "info", "te',
        b"[" * 100_000,
    ],
)
def test_a_damaged_file_is_read_past_and_written_on(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "state" / "log.jsonl"
    file.parent.mkdir()
    file.write_bytes(content)
    log_of(tmp_path).write([line("good")])
    assert [one._replace(run="") for one in log_of(tmp_path).earlier()] == [line("good")]


def test_a_file_that_cannot_be_used_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("no folder")
    log = log_of(tmp_path)
    log.write([line("lost")])
    assert log.earlier() == []


def test_a_deleted_file_begins_again(tmp_path: Path) -> None:
    log = log_of(tmp_path)
    log.write([line("before")])
    os.unlink(tmp_path / "state" / "log.jsonl")
    log.write([line("after")])
    assert [one.text for one in log_of(tmp_path).earlier()] == ["after"]
    assert json.loads((tmp_path / "state" / "log.jsonl").read_text())["level"] == "info"
