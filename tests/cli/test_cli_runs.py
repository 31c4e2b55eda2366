"""`maap runs`: each run is listed with what it did, how it ended and what it said; killed ones too."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from maap_tui.demo import Archive
from tests.homes import Ended

CLD = ("EarthCAREL2Validated_MAAP", "CPR_CLD_2A", "BC")
HOUR = ("-s", "2025-12-01T00:00", "-e", "2025-12-01T00:59")
ROW = re.compile(r"(\w{4})  20\d\d-\d\d-\d\d \d\d:\d\d  (\w+) +(\d*) +(-?\d+) +(\d+)  (.*?B)  +(.*? s) +(.*)")


def runs(maap: Callable, *words: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in maap("runs", *words, "--json").lines]


def test_nothing_ran_yet(maap: Callable) -> None:
    assert maap("runs") == Ended(0, "", "Nothing ran yet\n")
    ended = maap("runs", "last")
    assert (ended.code, ended.err) == (4, "Error: No run is called 'last'. `maap runs` lists them.\n")


def test_each_run_is_listed_with_what_it_did(maap: Callable, archive: Archive) -> None:
    assert maap("sync", *CLD, *HOUR, "-n", "2", "--quiet").err == ""
    assert maap("sync", *CLD, *HOUR, "-n", "2").code == 0
    archive.faults.add(target="data", status=404, match="CPR_CLD_2A")
    assert maap("get", *CLD, *HOUR, "-n", "1", "-o", "flat").code == 4
    marks = maap("state", "pending", *CLD, "--type", "marks").lines
    assert maap("state", "mark", marks[0]).code == 0
    assert maap("state", "cleanup", *CLD).code == 0
    assert maap("catalog", "build", *CLD).code == 0
    # None of these is a run: they change nothing.
    for words in (
        ("sync", *CLD, "--dry-run"),
        ("search", *CLD, *HOUR),
        ("state", "cleanup", *CLD, "--dry-run"),
    ):
        assert maap(*words).code == 0

    listed = maap("runs").lines

    assert listed[0].split() == ["Run", "Start", "Exit", "Found", "Got", "Failed", "Bytes", "Took", "Command"]
    rows = [(*found.groups()[1:5], found[8]) for found in map(ROW.fullmatch, listed[1:]) if found]
    assert rows == [
        ("0", "1", "0", "0", f"catalog build {' '.join(CLD)}"),
        ("0", "0", "-1", "0", f"state cleanup {' '.join(CLD)}"),
        ("4", "1", "0", "1", f"get {' '.join((*CLD, *HOUR))} -n 1 -o flat"),
        ("0", "6", "2", "0", f"sync {' '.join((*CLD, *HOUR))} -n 2"),
        ("0", "6", "2", "0", f"sync {' '.join((*CLD, *HOUR))} -n 2 --quiet"),
    ]
    newest = runs(maap)
    assert [one["verb"] for one in newest] == ["build", "cleanup", "get", "sync", "sync"]
    assert newest[4]["bytes"] > 100_000 and newest[4]["seconds"] < 60
    assert [one["verb"] for one in runs(maap, "--failed")] == ["get"]
    assert len(runs(maap, "-n", "2")) == 2
    assert maap("runs", "-n", "2").err == "3 earlier runs left out; -n shows more\n"


def test_what_a_run_said_is_kept_though_it_was_quiet(maap: Callable, archive: Archive) -> None:
    archive.faults.add(target="data", status=404, match="CPR_CLD_2A")
    assert maap("get", *CLD, *HOUR, "-n", "1", "-o", "flat", "--quiet").code == 4
    (one,) = runs(maap)

    said = maap("runs", "last").lines

    assert said == maap("runs", one["id"]).lines == maap("runs", one["id"][-4:]).lines
    assert all(re.match(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ ", line) for line in said)
    assert "Failed: ECA_" in said[0] and "404" in said[0] and "1 failed" in said[-1]
    (whole,) = runs(maap, "last")
    assert whole["log"] == said
    refused = maap("runs", "last", "--failed")
    assert (refused.code, refused.out) == (4, "")


def test_a_run_that_could_not_begin_says_why(maap: Callable, home: Path) -> None:
    (home / "credentials.txt").unlink()
    assert maap("sync", *CLD).code == 2

    (one,) = runs(maap)

    assert (one["exit"], one["state"], one["downloaded"]) == (2, "done", 0)
    assert one["error"].startswith("Credentials file not found")


def test_a_token_in_a_command_line_is_not_kept(maap: Callable, home: Path) -> None:
    token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"
    maap("download", *CLD, "-u", f"https://example.org/x?token={token}")
    assert len(runs(maap)) == 1
    for file in (home / "state" / "runs").iterdir():
        assert token.encode() not in file.read_bytes() and file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_stopped(
    sent: signal.Signals, maap: Callable, start: Callable, archive: Archive
) -> None:
    archive.faults.add(target="data", stall_after=1000)
    process = start("sync", *CLD, *HOUR, "-v")
    assert process.stderr.readline()
    (running,) = runs(maap)
    assert (running["state"], running["exit"], running["pid"]) == ("running", None, process.pid)
    row = maap("runs").lines[1]
    assert row.split()[3:] == ["running", "sync", *CLD, *HOUR, "-v"], "what it found and got is not known yet"
    os.kill(process.pid, sent)
    process.communicate()

    (one,) = runs(maap)

    expected = ("done", 143) if sent == signal.SIGTERM else ("killed", None)
    took = maap("runs").lines[1].split()[4 : -len(("sync", *CLD, *HOUR, "-v"))]
    assert bool(took) == (sent == signal.SIGTERM), "of a process that died it is not known"
    assert (one["state"], one["exit"]) == expected and one["id"] == running["id"]
    assert runs(maap, "--failed") == [one] == runs(maap)


@pytest.mark.parametrize("text", ["", "{", "[]\n", '{"id": "x"}\n', "\x00\xff\n"])
def test_a_damaged_list_loses_only_what_is_damaged(text: str, maap: Callable, home: Path) -> None:
    folder = home / "state" / "runs"
    folder.mkdir(parents=True)
    (folder / "runs.jsonl").write_text(text, encoding="latin-1")
    (folder / "20260101T000000Z-abcd.run").write_text(text, encoding="latin-1")

    assert maap("catalog", "build", *CLD).code == 0

    assert [one["verb"] for one in runs(maap)] == ["build"]


def test_a_folder_that_refuses_it_stops_no_run(maap: Callable, home: Path) -> None:
    (home / "state").mkdir(exist_ok=True)
    (home / "state" / "runs").write_text("a file\n")
    ended = maap("catalog", "build", *CLD)
    assert (ended.code, "Warning" in ended.err) == (0, False)
    assert maap("runs").err == "Nothing ran yet\n"
