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

from maap_tui.cli.man import pages
from maap_tui.demo.archive import Archive

BIN = Path(os.environ.get("MAAP_PLAIN_BIN", ""))
ROOT = Path(__file__).parent.parent
CLD = ("EarthCAREL2Validated_MAAP", "CPR_CLD_2A", "BC")
DAY = ("--date", "2025-12-01")
CUTS = tuple(f"maap_tui.engine.cuts.{name}" for name in ("contents", "copying", "points", "worker"))
"""What runs in the process that reads data files, which the extra `hdf5` is for."""
EXTRAS = (*CUTS, "maap_tui.client.filesystem")
"""Besides, what fsspec loads where the extra `fsspec` is; nothing of ours does."""
EVERY_MODULE = (
    "import importlib, pkgutil, maap_tui\n"
    "for one in pkgutil.walk_packages(maap_tui.__path__, 'maap_tui.'):\n"
    "    is_extra = one.name.startswith('maap_tui.demo') or one.name in " + repr(EXTRAS) + "\n"
    "    if not is_extra and not one.name.endswith('__main__'):\n"
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


def test_pages_and_completions_are_where_man_and_shells_look(run: Run) -> None:
    share = BIN.parent / "share"
    assert {path.name for path in share.glob("man/man1/maap*.1")} == set(pages())
    for shell, name in (
        ("bash", "bash-completion/completions/maap"),
        ("zsh", "zsh/site-functions/_maap"),
        ("fish", "fish/vendor_completions.d/maap.fish"),
    ):
        assert (share / name).read_text("utf-8") == run("maap", "completion", shell).stdout


def test_every_module_but_the_archive_is_imported(run: Run) -> None:
    ended = run("python", "-W", "error", "-c", EVERY_MODULE)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_the_demo_says_what_it_needs(run: Run) -> None:
    ended = run("maap", "demo")
    assert ended.returncode == 4
    assert "pip install 'maap-tui[demo]'" in ended.stderr


def test_a_cut_says_what_it_needs(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    ended = run("maap", "cut", tmp_path / "a.h5", "--var", "signal", "-o", tmp_path / "b.nc")
    assert ended.returncode == 4
    assert "pip install 'maap-tui[hdf5]'" in ended.stderr
    assert not (tmp_path / "b.nc").exists()


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
