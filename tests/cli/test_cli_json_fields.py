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

CLD = ("EarthCAREL2Validated_MAAP", "CPR_CLD_2A", "BC")
DAY = ("--date", "2025-12-01")
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
    "boolean": lambda value: isinstance(value, bool),
    "time": is_time,
    "date": lambda value: isinstance(value, str) and date.fromisoformat(value) is not None,
    "geometry": lambda value: {"type", "coordinates"} <= set(value),
    "numbers": is_numbers,
    "points": lambda value: all(is_numbers(one) for one in value),
    "null": lambda value: value is None,
}

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
            ("download", *CLD, *HOUR, "-n", "2"),
        ],
    ),
    (
        "maap get, download and sync --dry-run",
        [(command, *CLD, *HOUR, "--dry-run") for command in ("get", "sync", "download")],
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
    ("maap state import", [("state", "import", "plan.jsonl")]),
    ("maap state cleanup", [("state", "cleanup", *CLD, "--dry-run"), ("state", "cleanup", *CLD)]),
    ("maap verify", [("verify", *CLD)]),
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
    archive: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if commands[0][0] in ("state", "verify"):
        assert maap("sync", *CLD, *HOUR, "-n", "2").code == 0
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
