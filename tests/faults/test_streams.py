"""A standard stream that is closed, full or not there: every command still ends with a code that is true."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.raw_files import answer
from tests.engine.raw_server import COLLECTION
from tests.faults.preloaded import ROOT, Ended, Preloaded
from tests.faults.stage import DAY, NAMES, OFFLINE, SYNC, Stage
from tests.homes import PATIENCE_S

MARKED = f"/data/EarthCARE/{'/'.join(NAMES)}/{DAY:%Y/%m/%d}/file.h5"

COMMANDS: dict[str, tuple[object, ...]] = {
    "version": ("--version",),
    "help": ("-h",),
    "help_sync": ("sync", "-h"),
    "unknown": ("frobnicate",),
    "none": (),
    "tui": ("tui",),
    "list": ("list",),
    "list_collection": ("list", COLLECTION),
    "search": ("search", *SYNC[1:]),
    "search_json": ("search", *SYNC[1:], "--json"),
    "search_file": ("search", *SYNC[1:], "-o", "-"),
    "count": ("search", *SYNC[1:], "--count"),
    "get": ("get", *SYNC[1:]),
    "get_json": ("get", *SYNC[1:], "--json"),
    "get_dry": ("get", *SYNC[1:], "--dry-run"),
    "get_failing": ("get", *SYNC[1:], "--format", "nc"),
    "download": ("download", *SYNC[1:], "-v"),
    "download_stdin": ("download", *NAMES, "-f", "-"),
    "plan": ("plan", *SYNC[1:]),
    "plan_curl": ("plan", *SYNC[1:], "--print", "curl"),
    "import_stdin": ("state", "import", "-"),
    "sync_print": (*SYNC, "--print", "sbatch"),
    "sync": SYNC,
    "sync_json": (*SYNC, "--json"),
    "sync_dry": (*SYNC, "--dry-run"),
    "show": ("state", "show", *NAMES),
    "pending": ("state", "pending", *NAMES),
    "mark": ("state", "mark", MARKED),
    "mark_stdin": ("state", "mark", "-f", "-"),
    "cleanup": ("state", "cleanup", *NAMES, "--dry-run"),
    "update": ("catalog", "update", COLLECTION),
    "build": ("catalog", "build", *NAMES),
    "config": ("config",),
    "config_path": ("config", "path"),
    "config_set": ("config", "set", "downloads.parallel", "4"),
    "token": ("token",),
    "token_days": ("token", "--days-left"),
    "login": ("login",),
    "login_file": ("login", "--token-file", "TOKEN"),
    "coverage": ("coverage", *NAMES, "--date", "2025-12-01"),
    "sites": ("sites",),
    "runs": ("runs",),
    "verify": ("verify", *NAMES),
    "verify_json": ("verify", *NAMES, "--json"),
    "doctor": ("doctor", "--offline"),
}
FAULTS: dict[str, dict[int, str]] = {
    "stdin closed": {0: "closed"},
    "stdout closed": {1: "closed"},
    "stdout full": {1: "full"},
    "stdout none": {1: "none"},
    "stderr closed": {2: "closed"},
    "stderr full": {2: "full"},
    "stderr none": {2: "none"},
    "all closed": {0: "closed", 1: "closed", 2: "closed"},
}
READS_STDIN = {"download_stdin", "import_stdin", "mark_stdin", "login"}
QUICK = ("stdout full", "stderr closed")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with Stage(tmp_path_factory.mktemp("streams") / "stage") as stage:
        stage.add_good(3)
        stage.server.at("/catalogue/collections?limit=1", answer("200 OK", b'{"collections": []}'))
        (stage.folder.parent / "token.txt").write_text(OFFLINE)
        yield stage


def run(stage: Stage, server: Preloaded, command: str, streams: dict[int, str], quiet: bool) -> Ended:
    for name in ("data", "registry"):
        shutil.rmtree(stage.home / name, ignore_errors=True)
    words = [stage.folder.parent / "token.txt" if word == "TOKEN" else word for word in COMMANDS[command]]
    if quiet:
        words.insert(0, "--quiet")
    return server.run(words, stage.environment, streams=streams)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("faults", "how"),
    [
        pytest.param(QUICK, (False,), id="quick"),
        pytest.param(tuple(FAULTS), (False, True), id="whole", marks=pytest.mark.long),
    ],
)
def test_every_command_ends_with_a_code_that_is_true(
    faults: tuple[str, ...], how: tuple[bool, ...], command: str, stage: Stage, server: Preloaded
) -> None:
    wrong = []
    for quiet in how:
        usual = run(stage, server, command, {}, quiet)
        assert usual.code in (0, 2, 3, 4), usual
        finals = len(stage.finals)
        for fault in faults:
            ended = run(stage, server, command, FAULTS[fault], quiet)
            expected = usual.code
            if fault in ("stdin closed", "all closed") and command in READS_STDIN:
                expected = 4
            elif "stdout" in fault or fault == "all closed":
                if usual.out and expected == 0:
                    expected = 3 if "full" in fault else 4
            if ended.code != expected:
                wrong.append(f"{fault}, quiet {quiet}: {ended.code} instead of {expected}: {ended.err}")
            if fault.startswith("stderr") and len(ended.out.splitlines()) != len(usual.out.splitlines()):
                wrong.append(f"{fault}, quiet {quiet}: {ended.out!r} instead of {usual.out!r}")
            if fault.startswith("stdout") and expected > usual.code and "Standard output" not in ended.err:
                wrong.append(f"{fault}, quiet {quiet}: not told: {ended.err!r}")
            if "json" in command and len(stage.finals) != finals:
                wrong.append(f"{fault}, quiet {quiet}: {len(stage.finals)} of {finals} files are here")
    assert wrong == []


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("command", ["sync", "get_json"])
def test_quiet_work_is_done_whatever_the_streams(
    command: str, fault: str, stage: Stage, server: Preloaded
) -> None:
    ended = run(stage, server, command, FAULTS[fault], quiet=True)
    is_lost = command == "get_json" and ("stdout" in fault or fault == "all closed")
    assert ended.code == (0 if not is_lost else 3 if "full" in fault else 4)
    assert len(stage.finals) == 3


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("--version > /dev/full", 3),
        ("list > /dev/full", 3),
        ("list >&-", 4),
        ("list 2> /dev/full", 0),
        ("nonsense 2> /dev/full", 4),
        ("nonsense 2>&-", 4),
    ],
)
def test_the_interpreter_itself_adds_nothing(line: str, code: int, stage: Stage) -> None:
    environ = {**stage.environment, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(
        ["sh", "-c", f'exec "{sys.executable}" -m maap_tui {line}'],
        env=environ,
        capture_output=True,
        timeout=PATIENCE_S,
    )
    assert ended.returncode == code
    assert b"Traceback" not in ended.stderr and b"Exception ignored" not in ended.stderr


def test_a_file_never_gets_the_number_of_a_closed_stream(
    stage: Stage, server: Preloaded, tmp_path: Path
) -> None:
    every = {number: "closed" for number in range(3)}
    ended = server.run(("sync", *SYNC[1:]), stage.environment, streams=every)
    assert ended.code == 0
    assert stage.wrong_files() == []
