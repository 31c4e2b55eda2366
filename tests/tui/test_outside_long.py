"""Programs of the user on a real terminal, opened where the files and logs are listed."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from terminal_kit import HERE, Terminal

from maap_tui.engine.runs import Counts, Runs
from maap_tui.engine.session import Session

pytestmark = pytest.mark.long

PAGER = """\
import os, sys
text = sys.stdin.read()
here = os.open("/dev/tty", os.O_RDWR)
os.write(here, f"READ {'503' in text} ".encode() + text.split()[2].encode() + b"\\n")
while os.read(here, 1) != b"\\n":
    pass
"""
EDITOR = """\
import sys
with open(sys.argv[1], "a") as file:
    file.write('[frames]\\ncollection = "EarthCAREL2Validated_MAAP"\\nproduct = "CPR_CLD_2A"\\n')
"""


def program(tmp_path: Path, text: str) -> str:
    """The words of a program that does what a text says."""
    script = tmp_path / "a program.py"
    script.write_text(text)
    return shlex.join([sys.executable, str(script)])


def test_what_a_run_said_is_shown_in_the_pager(
    terminal: Callable[..., Terminal], environ: dict[str, str], tmp_path: Path
) -> None:
    run = Runs(Session.load(environ=environ).dirs).begin("sync", ["sync", "A", "B"])
    assert run is not None
    run.say("FAILED DAY: 2025-12-01 (503)")
    run.end(3, Counts(failed=1))
    one = terminal(changes={"PAGER": program(tmp_path, PAGER)})
    one.wait_for(b"Last sync")  # it opens at what ran
    seen = one.type(b"p")
    one.wait_for(b"READ True sync", after=seen)
    seen = one.type(b"\n")
    one.wait_for(b"Rerun", after=seen)
    one.type(b"q")
    assert one.ended() == 0
    assert one.is_restored()


def test_saved_searches_are_edited_in_the_editor(terminal: Callable[..., Terminal], tmp_path: Path) -> None:
    one = terminal(changes={"EDITOR": program(tmp_path, EDITOR), "VISUAL": None})
    one.wait_for(HERE)
    seen = one.type(b"2")
    one.wait_for(b"Form", after=seen)
    seen = one.type(b"\x0f")
    one.wait_for(b"No search yet.", after=seen)
    seen = one.type(b"e")
    one.wait_for(b"frames", after=seen)
    one.type(b"\x11")
    assert one.ended() == 0
    assert one.is_restored()


ASKS = """\
import os, sys
here = os.open("/dev/tty", os.O_RDWR)
os.write(here, b"ASKS " + sys.argv[1].encode() + b"\\n")
while os.read(here, 1) != b"\\n":
    pass
"""


@pytest.mark.parametrize("output", ["terminal", "pager"])
def test_a_command_of_the_user_has_the_terminal(
    terminal: Callable[..., Terminal], environ: dict[str, str], tmp_path: Path, output: str
) -> None:
    run = program(tmp_path, ASKS) if output == "terminal" else "printf x%s--503"
    config = Path(environ["MAAP_HOME"]) / "config.toml"
    words = f"run = {json.dumps(run + ' {collection}')}\nkey = '#'\noutput = {output!r}\n"
    config.write_text(f"{config.read_text()}[commands.ask]\n{words}")
    changes = {} if output == "terminal" else {"PAGER": program(tmp_path, PAGER.replace(".split()[2]", ""))}
    one = terminal(changes=changes)
    one.wait_for(HERE)
    one.type(b"j")
    one.wait_for(b"EarthCAREL1Validated_MAAP")
    seen = one.type(b"#")
    wanted = b"ASKS EarthCARE" if output == "terminal" else b"READ True xEarthCARE"
    one.wait_for(wanted, after=seen)
    assert b"\x1b[?1049l" in one.shown[seen:], "the app's screen was left"
    seen = one.type(b"\n")
    one.wait_for(b"\x1b[?1049h", after=seen)
    one.type(b"q")
    assert one.ended() == 0
    assert one.is_restored()
