"""Manual pages: one for each command and action, with all its options, without a fault for formatters."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from maap_tui.cli.dispatch import COMMANDS
from maap_tui.cli.man import main, pages
from tests.cli.test_cli_help import PATHS, help_of
from tests.homes import PATIENCE_S

ROOT = Path(__file__).parents[2]


def test_each_command_has_a_page() -> None:
    assert set(pages()) == {"-".join(("maap", *path)) + ".1" for path in PATHS}
    assert all(f"\n.B {command}\n" in pages()["maap.1"] for command in COMMANDS)


@pytest.mark.parametrize("path", [("get",), ("state", "pending")], ids=" ".join)
def test_a_page_has_what_the_help_has(path: tuple[str, ...]) -> None:
    page = pages()["-".join(("maap", *path)) + ".1"].replace("\\-", "-")
    options = set(re.findall(r"(?<![\w-])--[a-z-]+", help_of(*path)))
    assert options and [option for option in sorted(options) if option not in page] == []
    assert ".SH SYNOPSIS" in page and re.search(r'^\.SH "EXAMPLES?"$', page, re.MULTILINE)
    assert f"\n.BR maap{'-state' if len(path) > 1 else ''} (1)" in page


def test_pages_are_made_where_no_other_package_is(tmp_path: Path) -> None:
    """A wheel is built where nothing is installed that the program needs."""
    command = [sys.executable, "-S", "-m", "maap_tui.cli.man", tmp_path]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert {path.name for path in tmp_path.iterdir()} == set(pages())


@pytest.mark.parametrize(
    "formatter", ["mandoc -T lint -W warning", "groff -man -ww -z -T utf8"], ids=["mandoc", "groff"]
)
def test_formatters_find_nothing_wrong(formatter: str, tmp_path: Path) -> None:
    words = formatter.split()
    if shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]} is not installed")
    main(tmp_path / "man1")
    files = sorted((tmp_path / "man1").iterdir())
    done = subprocess.run([*words, *files], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
