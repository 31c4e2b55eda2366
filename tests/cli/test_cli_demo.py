import builtins
import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

CLD = ("EarthCAREL2Validated_MAAP", "CPR_CLD_2A", "BC")
SYNC = ("--", "sync", *CLD, "--date", "2025-12-01", "--frame", "D")


def test_a_command_runs_in_an_archive_of_its_own(maap: Callable, tmp_path: Path) -> None:
    home = tmp_path / "demo home"
    before = dict(os.environ)
    first = maap("demo", "--home", home, *SYNC)
    assert first.code == 0
    assert first.err.startswith("Downloaded 16 files")
    assert len(list((home / "data").rglob("*.h5"))) == 16
    second = maap("demo", "--home", home, *SYNC)
    assert second.code == 0
    assert "Nothing new" in second.err
    shown = maap("demo", "--home", home, "--", "state", "show", *CLD)
    assert "Downloaded:          16" in shown.lines
    assert dict(os.environ) == before


def test_the_exit_code_is_the_commands(maap: Callable) -> None:
    assert maap("demo", "--", "search", *CLD, "--date", "x").code == 4
    ended = maap("demo", "--failing-day", "2025-12-01", "--", "search", *CLD, "--date", "2025-12-01")
    assert ended.code == 3


def test_the_tour_shows_each_command_before_its_output(maap: Callable, tmp_path: Path) -> None:
    ended = maap("demo", "--now", "2026-01-15T00:00:00Z", "--offline-days", "36500", "--home", tmp_path / "h")
    assert ended.code == 0
    shown = [line for line in ended.lines if line.startswith("$ maap ")]
    assert [line.split()[2] for line in shown] == ["list", "list", "list", "search", "sync", "state", "sync"]
    assert "Downloaded:          125" in ended.lines
    assert "Nothing new" in ended.err


@pytest.mark.parametrize("now", ["2020-01-15", "2100-01-15"])
def test_its_token_is_valid_in_any_frozen_year(maap: Callable, now: str) -> None:
    ended = maap("demo", "--now", now, "--", "token")
    assert ended.code == 0
    assert "Warning" not in ended.err
    assert re.search(r"\b(89|90) days\b", ended.out), ended.out
    expired = maap("demo", "--now", now, "--offline-days", "-1", "--", "token")
    assert expired.code == 2


def test_a_real_home_is_not_taken(maap: Callable, tmp_path: Path) -> None:
    (tmp_path / "credentials.txt").write_text("OFFLINE_TOKEN=mine\n")
    ended = maap("demo", "--home", tmp_path, "--", "list")
    assert ended.code == 4
    assert (tmp_path / "credentials.txt").read_text() == "OFFLINE_TOKEN=mine\n"


@pytest.mark.parametrize(
    "words", [["--port", "70000"], ["--port", "x"], ["--now", "never"], ["--serve", "--", "list"]]
)
def test_wrong_options_are_4(maap: Callable, words: list[str]) -> None:
    assert maap("demo", *words).code == 4


def test_without_its_packages_one_sentence(maap: Callable, monkeypatch) -> None:
    whole = builtins.__import__

    def lacking(name: str, *rest: object) -> object:
        if name == "maap_tui.demo.archive":
            raise ModuleNotFoundError("No module named 'uvicorn'", name="uvicorn")
        return whole(name, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", lacking)
    ended = maap("demo", "--", "list")
    assert ended.code == 4
    assert "pip install 'maap-tui[demo]'" in ended.err


@pytest.mark.parametrize("way", ["app", "module"])
def test_a_home_that_cannot_be_used_is_one_sentence(way: str, tmp_path: Path, maap: Callable) -> None:
    home = tmp_path / "home"
    assert maap("demo", "--home", home, "--", "list").code == 0
    config = home / "config.toml"
    config.write_text("quality = 3\n" + config.read_text().partition("[quality]")[0])
    program = {"app": ["maap_tui", "demo"], "module": ["maap_tui.demo"]}[way]
    code, said = in_terminal([sys.executable, "-m", *program, "--home", str(home)])
    assert code == 4 and "config.toml" in said and "quality" in said and said.count("\n") == 1, said


def in_terminal(words: list[str]) -> tuple[int, str]:
    """Run a command in a terminal: its exit code, and all that it printed there."""
    inner, outer = os.openpty()
    process = subprocess.Popen(
        words, stdin=outer, stdout=outer, stderr=outer, env={**os.environ, "TERM": "xterm"}
    )
    os.close(outer)
    said = b""
    with contextlib.suppress(OSError):  # so ends a terminal that nobody has open any more
        while piece := os.read(inner, 4096):
            said += piece
    os.close(inner)
    return process.wait(), said.decode()
