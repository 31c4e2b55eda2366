"""What `pip install .` alone gives: a program that works without any extra (`make test-install`)."""

from __future__ import annotations

import os
import re
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from maap_tui.demo.archive import Archive

BIN = Path(os.environ.get("MAAP_PLAIN_BIN", ""))
ROOT = Path(__file__).parent.parent
CLD = ("EarthCAREL2Validated_MAAP", "CPR_CLD_2A", "BC")
DAY = ("--date", "2025-12-01")
EVERY_MODULE = (
    "import importlib, pkgutil, maap_tui\n"
    "for one in pkgutil.walk_packages(maap_tui.__path__, 'maap_tui.'):\n"
    "    if not one.name.startswith('maap_tui.demo') and not one.name.endswith('__main__'):\n"
    "        importlib.import_module(one.name)\n"
)

pytestmark = pytest.mark.skipif(
    not os.environ.get("MAAP_PLAIN_BIN"), reason="MAAP_PLAIN_BIN names no environment with the program alone"
)
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(archive: Archive, tmp_path: Path) -> Run:
    """Run a program of that environment in a prepared home."""
    archive.prepare(tmp_path)

    def run(program: str, *words: str) -> subprocess.CompletedProcess[str]:
        environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **archive.environment(tmp_path)}
        return subprocess.run(
            [BIN / program, *words],
            cwd=tmp_path,
            env=environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def test_the_commands_work(run: Run) -> None:
    assert "CPR_CLD_2A" in run("maap", "list", CLD[0]).stdout
    found = run("maap", "search", *CLD, *DAY)
    assert (found.returncode, found.stdout.count(".h5\n")) == (0, 125)
    synced = run("maap", "sync", *CLD, *DAY, "-n", "2")
    assert synced.returncode == 0, synced.stderr
    shown = run("maap", "state", "show", *CLD, "--json")
    assert '"downloaded": 2' in shown.stdout


def test_every_module_but_the_archive_is_imported(run: Run) -> None:
    ended = run("python", "-W", "error", "-c", EVERY_MODULE)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_the_demo_says_what_it_needs(run: Run) -> None:
    ended = run("maap", "demo")
    assert ended.returncode == 4
    assert "pip install 'maap-tui[demo]'" in ended.stderr


def test_what_is_given_away_has_its_licence_and_its_pages() -> None:
    (wheel,) = BIN.parent.glob("dist/*.whl")
    (source,) = BIN.parent.glob("dist/*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        assert any(name.endswith(".dist-info/licenses/LICENSE") for name in archive.namelist())
    with tarfile.open(source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "Makefile", "constraints.txt"} <= names
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]:
        assert str(page.relative_to(ROOT)) in names
        for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text("utf-8")):
            assert os.path.relpath(page.parent / link, ROOT) in names, f"{page.name}: {link}"
