"""What the commands write, as the programs of others read it.

`MAAP_READERS_PYTHON` names an interpreter whose environment has datalad, git-annex, rocrate, icalendar and
geopandas; what it lacks is left out.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from maap_tui.demo import Archive
from tests.homes import QUICK_ENVIRON

PYTHON = os.environ.get("MAAP_READERS_PYTHON", "")
L2 = "EarthCAREL2Validated_MAAP"
CLD = (L2, "CPR_CLD_2A", "BC")
HOUR = ("-s", "2025-12-01T00:00", "-e", "2025-12-01T00:40")


@pytest.fixture
def home(archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home whose commands ask the embedded archive."""
    folder = tmp_path / "home"
    archive.prepare(folder)
    for name, value in (archive.environment(folder) | QUICK_ENVIRON).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return folder


def read(module: str, text: str, *words: str) -> list[str]:
    """Run a few lines of Python that use what others wrote; returns what they print."""
    if not PYTHON:
        pytest.skip("MAAP_READERS_PYTHON names no interpreter")
    if subprocess.run([PYTHON, "-c", f"import {module}"], check=False, capture_output=True).returncode:
        pytest.skip(f"{module} is not in the environment of MAAP_READERS_PYTHON")
    done = subprocess.run([PYTHON, "-c", text, *words], check=True, capture_output=True, text=True)
    return done.stdout.splitlines()


@pytest.fixture
def study(maap: Callable, home: Path, tmp_path: Path) -> Path:
    """A frozen study of four files."""
    words = ("freeze", *CLD, *HOUR, "-o", "study", "--get", "--datalad", "--author", "Ä. Author")
    ended = maap(*words)
    assert ended.code == 0, ended.err
    return tmp_path / "study"


def test_datalad_knows_the_files_of_a_study_and_takes_them_in(
    maap: Callable, study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lines of docs/studies.md."""
    read("datalad", "")
    monkeypatch.setenv("PATH", f"{Path(PYTHON).parent}:{os.environ['PATH']}")
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "A")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "a@example.org")

    def run(*words: str, place: Path = tmp_path / "dataset") -> str:
        return subprocess.run(words, cwd=place, check=True, capture_output=True, text=True).stdout

    run("datalad", "create", "dataset", place=tmp_path)
    made = run("datalad", "addurls", "../study/addurls.csv", "{url}", "{path}", "--key", "et:{key}")
    assert "fromkey (ok: 4)" in made
    assert maap("thaw", study, "-o", "fetched").code == 0
    paths = sorted(map(str, (tmp_path / "fetched").rglob("*.h5")))
    run("git", "annex", "reinject", "--known", *paths)
    assert len(run("git", "annex", "find", "--in", "here").splitlines()) == len(paths) == 4
    assert run("git", "annex", "fsck").count("ok") >= 4
    assert list((tmp_path / "fetched").rglob("*.h5")) == []


def test_rocrate_reads_a_study(study: Path) -> None:
    text = (
        "import sys; from rocrate.rocrate import ROCrate; crate = ROCrate(sys.argv[1]); print(crate.name);"
        "print(crate.root_dataset['author']['name']); print(len(list(crate.data_entities)))"
    )
    assert read("rocrate", text, str(study)) == [
        "CPR_CLD_2A BC of EarthCAREL2Validated_MAAP",
        "Ä. Author",
        "10",
    ]


def test_icalendar_reads_overpasses(maap: Callable) -> None:
    ended = maap(
        "overpass", "--point=-70.7,-8.3", "--radius", "200km", "--date", "2025-12", "-o", "passes.ics"
    )
    assert ended.code == 0, ended.err
    text = (
        "import sys, icalendar; found = icalendar.Calendar.from_ical(open(sys.argv[1], 'rb').read());"
        "events = list(found.walk('VEVENT')); print(len(events), len({one['UID'] for one in events}));"
        "print(any(one.errors for one in [found, *events]), all(one.end > one.start for one in events))"
    )
    counts, state = read("icalendar", text, "passes.ics")
    assert len(set(counts.split())) == 1 and int(counts.split()[0]) > 10 and state == "False True"


@pytest.mark.parametrize("suffix", ["parquet", "geojson", "csv"])
def test_geopandas_reads_what_was_found(maap: Callable, suffix: str) -> None:
    assert maap("search", *CLD, *HOUR, "-o", f"found.{suffix}").code == 0
    reader = {"parquet": "read_parquet", "geojson": "read_file", "csv": "read_file"}[suffix]
    text = (
        f"import sys, geopandas; found = geopandas.{reader}(sys.argv[1]);"
        "print(len(found), found['id'].nunique());"
        "print(found.crs.to_authority()[1] if getattr(found, 'crs', None) else '')"
    )
    counts, crs = read("geopandas", text, f"found.{suffix}")
    assert counts == "4 4" and crs == {"parquet": "CRS84", "geojson": "4326", "csv": ""}[suffix]
