"""What the README shows is what happens: its blocks run, its tables are the program's own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from maap_tui.demo.archive import Archive
from maap_tui.engine import settings
from maap_tui.tui import keys

README = Path(__file__).parent.parent / "README.md"
TEXT = README.read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, flags=re.S | re.M)


@pytest.fixture(scope="module")
def archive() -> Iterator[Archive]:
    with Archive.start(now="2026-01-15T00:00:00Z", offline_days=3650) as started:
        yield started


@pytest.fixture
def environment(archive: Archive, tmp_path: Path) -> dict[str, str]:
    archive.prepare(tmp_path)
    folder = tmp_path / "bin"
    folder.mkdir()
    command = folder / "maap"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -W error -m maap_tui "$@"\n')
    command.chmod(0o755)
    python = folder / "python3"
    python.symlink_to(sys.executable)
    root = str(README.parent)
    return {
        **archive.environment(tmp_path),
        "HOME": str(tmp_path),
        "PATH": f"{folder}:{os.environ['PATH']}",
        "PYTHONPATH": root,
        "LANG": "C.UTF-8",
    }


def run(command: list[str], environment: dict[str, str], where: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env=environment,
        cwd=where,
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@pytest.mark.parametrize("number", range(len(blocks("sh"))))
def test_shell_block_runs(number: int, environment: dict[str, str], tmp_path: Path) -> None:
    if "to-process.txt" in blocks("sh")[number]:
        assert "state mark -f to-process.txt" in blocks("sh")[number]
    done = run(["bash", "-euo", "pipefail", "-c", blocks("sh")[number]], environment, tmp_path)

    assert done.returncode in (0, -13, 141), done.stderr
    assert "Error" not in done.stderr and "Traceback" not in done.stderr
    assert done.stdout.strip()


@pytest.mark.parametrize("number", range(len(blocks("python"))))
@pytest.mark.parametrize("loop", ["script", "running loop"])
def test_python_block_runs(number: int, loop: str, environment: dict[str, str], tmp_path: Path) -> None:
    code = blocks("python")[number]
    if loop == "running loop":
        # As a notebook cell: the code runs while a loop of its own is running in the same thread.
        code = (
            "import asyncio\nasync def cell():\n" + textwrap.indent(code, "    ") + "\nasyncio.run(cell())\n"
        )
    done = run([sys.executable, "-W", "error", "-c", code], environment, tmp_path)

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_settings_table_is_the_program_s() -> None:
    shown = re.search(r"<!-- settings -->\n(.*?)\n<!-- /settings -->", TEXT, flags=re.S)

    assert shown is not None
    assert shown[1].strip() == settings.as_markdown_table().strip()


def test_pictures_and_links_exist() -> None:
    for target in re.findall(r"\]\((?!https?://|#)([^)]+)\)", TEXT):
        assert (README.parent / target).exists(), target


def test_keys_table_is_the_program_s() -> None:
    shown = re.search(r"<!-- keys -->\n(.*?)\n<!-- /keys -->", TEXT, flags=re.S)

    assert shown is not None
    assert shown[1].strip() == keys.as_markdown_table().strip()


def test_every_picture_is_there_and_is_shown() -> None:
    # The list is read from the script itself: importing it would need the embedded archive.
    script = (README.parent / "screenshots" / "take.py").read_text(encoding="utf-8")
    listed = re.search(r"^PICTURES: .*? = \{\n(.*?)^\}", script, flags=re.S | re.M)
    assert listed is not None
    names = re.findall(r'^    "(\w+)":', listed[1], flags=re.M)

    assert len(names) >= 10
    for name in names:
        picture = README.parent / "screenshots" / f"{name}.svg"
        assert picture.read_text(encoding="utf-8").startswith("<svg"), name
        assert f"](screenshots/{name}.svg)" in TEXT, f"{name}.svg is not shown"
    assert {path.stem for path in picture.parent.glob("*.svg")} == set(names)
