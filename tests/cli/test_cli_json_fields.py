"""Each field that `--json` prints stands in docs/scripting.md, with its type, and nothing else does."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from maap_tui.cli.dispatch import COMMANDS
from maap_tui.demo import hdf5
from tests.queues import leave

CLD = ("EarthCAREL2Validated_MAAP", "CPR_CLD_2A", "BC")
DAY = ("--date", "2025-12-01")
SWAP = ("EarthCAREL2Validated_MAAP", "CPR_CLD_2A", "AB", "BB")
HOUR = ("-s", "2025-12-01T00:00", "-e", "2025-12-01T00:59")
TEXT = (Path(__file__).parents[2] / "docs" / "scripting.md").read_text("utf-8")
TABLES = {
    title: re.findall(r"^\| `(\w+)` \| ([^|]*?) \|", body, flags=re.M)
    for title, body in re.findall(r"^### (maap .*?)\n(.*?)(?=^### |\Z)", TEXT, flags=re.S | re.M)
}
"""(field, type) of each table, by its heading."""


def is_time(value: object) -> bool:
    return isinstance(value, str) and value.endswith("Z") and datetime.fromisoformat(value) is not None


def is_numbers(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, int | float) for one in value)


KINDS: dict[str, Callable[[Any], bool]] = {
    "text": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "texts": lambda value: isinstance(value, list) and all(isinstance(one, str) for one in value),
    "boolean": lambda value: isinstance(value, bool),
    "time": is_time,
    "date": lambda value: isinstance(value, str) and date.fromisoformat(value) is not None,
    "geometry": lambda value: {"type", "coordinates"} <= set(value),
    "numbers": is_numbers,
    "points": lambda value: all(is_numbers(one) for one in value),
    "objects": lambda value: isinstance(value, list) and all(isinstance(one, dict) for one in value),
    "values": lambda value: isinstance(value, dict),
    "null": lambda value: value is None,
}

CUT = "ECA_EXBC_CPR_CLD_2A_20251201T000126Z_20251201T003736Z_08574D"
CASES: list[tuple[str, list[tuple[str, ...]]]] = [
    (
        "maap search",
        [
            ("search", *CLD, *HOUR),
            ("search", "EarthCAREL2Validated_MAAP", "MSI_COP_2A", "--date", "2025-12-01", "-n", "1"),
            ("search", "AeolusL1BProducts", "ALD_U_N_1B", "--date", "2023-04-22", "-n", "1"),
            ("search", "BiomassLevel1b", "S2_DGM__1S", "--date", "2025-12-12", "-n", "1"),
        ],
    ),
    ("maap search --count", [("search", *CLD, *HOUR, "--count")]),
    (
        "maap get, download and sync",
        [
            ("get", *CLD, *HOUR, "-n", "1", "-o", "flat"),
            ("sync", *CLD, *HOUR, "-n", "2"),
            ("set", "sync", "clouds", *HOUR, "-n", "1"),
            ("download", *CLD, *HOUR, "-n", "2"),
            ("thaw", "study", "-o", "thawed"),
        ],
    ),
    (
        "maap get, download and sync --dry-run",
        [(command, *CLD, *HOUR, "--dry-run") for command in ("get", "sync", "download")],
    ),
    ("maap queue run", [("queue", "run")]),
    ("maap queue list", [("queue", "list"), ("queue", "list", "--all")]),
    (
        "maap queue pause, resume, cancel and retry",
        [("queue", action, "--all") for action in ("pause", "resume", "cancel")]
        + [("queue", "retry", "*CPR_CLD_2A*")],
    ),
    ("maap list", [("list",)]),
    ("maap list --verify", [("list", "--verify")]),
    ("maap list COLLECTION", [("list", CLD[0]), ("list", "EarthCAREOrbitData_MAAP")]),
    ("maap list COLLECTION PRODUCT", [("list", *CLD[:2]), ("list", *CLD[:2], "--verify")]),
    (
        "maap list COLLECTION PRODUCT BASELINE and maap catalog build",
        [("catalog", "build", *CLD), ("list", *CLD), ("list", *CLD, "--verify")],
    ),
    ("maap catalog update", [("catalog", "update", CLD[0])]),
    ("maap state show", [("state", "show", *CLD), ("state", "show")]),
    (
        "maap state pending",
        [("state", "pending", *CLD), ("state", "pending", *CLD, "--type", "marks")],
    ),
    ("maap plan", [("plan", *CLD, *HOUR)]),
    (
        "maap cut",
        [("cut", CUT, "--bbox=-180,-90,180,90", "--estimate"), ("cut", CUT, "--var=time", "-o", "a.nc")],
    ),
    ("maap cover", [("cover", "BiomassLevel1b", "S2_DGM__1S", "--date", "2025-12")]),
    ("maap state import", [("state", "import", "plan.jsonl")]),
    ("maap state cleanup", [("state", "cleanup", *CLD, "--dry-run"), ("state", "cleanup", *CLD)]),
    ("maap news", [("news", *CLD, "--since", "2026-01-14")]),
    ("maap news --list", [("news", *CLD, "--since", "2026-01-14T22:00", "--list")]),
    ("maap coverage", [("coverage", *CLD, "--date", "2025-12-01")]),
    ("maap set list", [("set", "list")]),
    ("maap set show", [("set", "show", "clouds", *HOUR)]),
    ("maap quality update", [("quality", "update")]),
    ("maap quality list", [("quality", "list")]),
    ("maap quality show", [("quality", "show")]),
    ("maap freeze", [("freeze", *CLD, *HOUR, "-n", "2", "-o", "other")]),
    ("maap cite", [("cite",), ("cite", "study")]),
    (
        "maap swap plan, run, undo and status",
        [("swap", action, *SWAP) for action in ("plan", "run", "status", "undo")],
    ),
    ("maap swap list", [("swap", "list")]),
    ("maap searches", [("searches",), ("searches", "--past")]),
    (
        "maap overpass",
        [
            ("overpass", "--point", "hyytiala", "--radius", "100km", "--date", "2025-12-04..2025-12-07"),
            ("overpass", CLD[0], "MSI_COP_2A", "--point", "hyytiala", "--date", "2025-12-04"),
        ],
    ),
    ("maap match", [("match", "ship.csv", "CPR_CLD_2A:BC", "MSI_COP_2A", "--dx", "500km")]),
    ("maap sites", [("sites",)]),
    ("maap show GRANULE", [("show", "ECA_EXBC_CPR_CLD_2A_20251201T000126Z_20251201T003736Z_08574D")]),
    ("maap show FILE", [("show", "here.h5")]),
    ("maap runs", [("runs",)]),
    ("maap verify", [("verify", *CLD)]),
    ("maap verify --against", [("verify", "--against", "study/SHA256SUMS")]),
    ("maap doctor", [("doctor", "--offline")]),
    ("maap token", [("token",)]),
    ("maap config", [("config",)]),
    ("maap config path", [("config", "path")]),
]


@pytest.mark.parametrize(("title", "commands"), CASES, ids=[title for title, _ in CASES])
def test_fields_are_those_of_the_page(
    title: str,
    commands: list[tuple[str, ...]],
    maap: Callable,
    home: Path,
    archive: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    is_of_study = any("study" in word for words in commands for word in words)
    if commands[0][0] in ("state", "verify", "runs", "freeze") or is_of_study:
        assert maap("sync", *CLD, *HOUR, "-n", "2").code == 0
    if commands[0][0] == "quality":
        assert maap("quality", "update").code == 0
        assert maap("sync", *CLD, *HOUR, "-n", "2").code == 0
    if is_of_study:
        assert maap("freeze", *CLD, *HOUR, "-n", "2", "-o", "study").code == 0
    if any(words[0] == "set" for words in commands):
        assert maap("config", "set", "sets.clouds", "CPR_CLD_2A:BC,MSI_COP_2A").code == 0
    if commands[0][0] == "swap":
        assert maap("sync", *SWAP[:3], "-s", "2025-03-14T00:00", "-e", "2025-03-14T00:30").code == 0
    if commands[0] == ("swap", "list"):
        assert maap("swap", "run", *SWAP).code == 0
    if commands[0][0] == "queue":
        leave(maap, home, 2)
    if commands[0] == ("show", "here.h5"):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "here.h5").write_bytes(hdf5.content("a", 0, 30_000, None, 0, 1))
    if commands[0][0] == "match":
        monkeypatch.chdir(tmp_path)
        rows = "2025-12-04T20:00Z,61.8,24.3\n2025-12-05T01:00Z,61.9,24.0\n"
        (tmp_path / "ship.csv").write_text(f"time,lat,lon\n{rows}")
    if commands[0] == ("searches",):
        assert maap("search", *CLD, *HOUR, "--save-as", "an hour").code == 0
    if "import" in commands[0]:
        monkeypatch.chdir(tmp_path)
        assert maap("plan", *CLD, *HOUR, "-n", "2", "-o", "plan.jsonl").code == 0
    if "cleanup" in commands[0]:
        marks = maap("state", "pending", *CLD, "--type", "marks").lines
        assert maap("state", "mark", marks[0]).code == 0
    fields = dict(TABLES[title])

    for words in commands:
        ended = maap(*words, "--json")
        records = [json.loads(line) for line in ended.lines]

        assert records and ended.code == 0, ended.err
        for record in records:
            assert list(record) == list(fields), words
            for name, value in record.items():
                assert any(KINDS[kind](value) for kind in fields[name].split(" or ")), (name, value)


def test_a_file_that_failed_has_the_same_fields(maap: Callable, archive: Any) -> None:
    archive.faults.add(target="data", status=404, match="CPR_CLD_2A")
    ended = maap("get", *CLD, *HOUR, "-n", "1", "-o", "flat", "--json")

    (record,) = [json.loads(line) for line in ended.lines]
    assert (ended.code, record["state"]) == (4, "failed")
    assert list(record) == [name for name, _ in TABLES["maap get, download and sync"]]


def test_every_command_that_prints_json_has_a_table(maap: Callable) -> None:
    lines: list[tuple[str, ...]] = []
    for command in COMMANDS:
        actions = re.search(r"There are (.*?)\.", maap(command, "no-such-action").err)
        lines += [
            (command, *action)
            for action in [(), *([one] for one in (actions[1].split(", ") if actions else []))]
        ]
    printing = [words for words in lines if re.search(r"^  --json\b", maap(*words, "-h").out, flags=re.M)]
    shown = {words[:length] for _, commands in CASES for words in commands for length in (1, 2)}

    assert len(printing) > 12
    assert [words for words in printing if words not in shown] == []
    assert set(TABLES) == {title for title, _ in CASES}
