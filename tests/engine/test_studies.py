"""What declares a study, what a frozen one may hold, and lists of sums as others write them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maap_tui.engine.errors import InvalidRequestError, SettingsError
from maap_tui.engine.integrity.sum_lists import Listed, compare_listed, read_sums, sum_line
from maap_tui.engine.storage.files import machine
from maap_tui.engine.studies.declaration import read_declaration
from maap_tui.engine.studies.folder import texts_of, write_study
from maap_tui.engine.studies.places import MOST, needed_granules, places_file, remember
from maap_tui.engine.studies.replacing import NEXT
from maap_tui.engine.studies.study import Author, Study, StudyFile, read_study, text_of
from tests.homes import MOMENT

GOOD = """\
[study]
title = "Half an orbit"
[select]
collection = "EarthCAREL2Validated_MAAP"
products = ["CPR_CLD_2A:BC"]
date = 2025-12-01
"""
ID = "ECA_EXBC_CPR_CLD_2A_20251201T000126Z_20251201T003736Z_08574D"
FILE = StudyFile(
    ID, f"https://example.org/data/{ID}.h5",
    f"EarthCARE/EarthCAREL2Validated_MAAP/CPR_CLD_2A/BC/2025/12/01/{ID}.h5", 3, "ab" * 32,
    "EarthCAREL2Validated_MAAP", "EarthCARE", "CPR_CLD_2A", "BC", date(2025, 12, 1),
    datetime(2025, 12, 1, 0, 1, 26, tzinfo=UTC), orbit=8574, frame="D", doi="10.57780/eca-94b4e53",
)  # fmt: skip
STUDY = Study("A title", MOMENT, (Author("A. Author", "0000-0002-1825-0097"),), files=(FILE,))


def declared(folder: Path, text: str) -> Any:
    file = folder / "STUDY.toml"
    file.write_text(text)
    return read_declaration(file, MOMENT)


def test_selections_share_what_stands_above_them(tmp_path: Path) -> None:
    found = declared(
        tmp_path,
        '[study]\ntitle = "T"\n[select]\ncollection = "L2"\ndate = "2025-12"\n'
        '[select.radar]\nproducts = ["CPR_CLD_2A:BC"]\n'
        '[select.imager]\nproducts = ["Other/MSI_COP_2A", "MSI_CM__2A"]\n'
        'frame = ["C", "D"]\nbaseline = "BA"\n',
    )
    assert list(found.select) == [
        {"collection": "L2", "product": "CPR_CLD_2A", "baseline": "BC", "date": "2025-12"},
        {"collection": "Other", "product": "MSI_COP_2A", "baseline": "BA", "date": "2025-12", "frame": "C,D"},
        {"collection": "L2", "product": "MSI_CM__2A", "baseline": "BA", "date": "2025-12", "frame": "C,D"},
    ]


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("title =", "titel =", 2, "did you mean 'title'?"),
        ('"Half an orbit"', "3", 2, "study.title must be a text"),
        ('title = "Half an orbit"', "", 1, "[study] has no title"),
        ("[study]", "[studie]", 1, "did you mean 'study'?"),
        ("[select]", "[selekt]", 3, "did you mean 'select'?"),
        ("date =", "dates =", 6, "did you mean 'date'?"),
        ("2025-12-01", '"7d"', 6, "means another time tomorrow"),
        ("2025-12-01", '"yesterday"', 6, "means another time tomorrow"),
        ("date = 2025-12-01", "start = 2025-12-01", 6, "means another time tomorrow"),
        ("2025-12-01", '"missing 2025-12"', 6, "missing"),
        ("2025-12-01", '"soon"', 6, "soon"),
        ("2025-12-01", "2025-12-01\nmax_items = 3", 7, "unknown key 'max_items'"),
        ("2025-12-01", "2025-12-01\nframe = { a = 1 }", 3, "unknown key"),
        ("2025-12-01", "2025-12-01\norbit = true", 7, "orbit must be"),
        ('["CPR_CLD_2A:BC"]', '"CPR_CLD_2A:BC"', 5, "needs products"),
        ('["CPR_CLD_2A:BC"]', '["a/b/c"]', 5, "is not a product"),
        ('collection = "EarthCAREL2Validated_MAAP"', "", 5, "names no collection"),
        ("[select]", 'authors = ["A <1234-5678>"]\n[select]', 3, "is not an ORCID"),
        ("[select]", 'authors = ["A <0000-0002-1825-0098>"]\n[select]', 3, "is not an ORCID"),
        ("[select]", 'authors = [{ nam = "A" }]\n[select]', 3, "unknown key 'nam'"),
        ("[select]", 'authors = "A"\n[select]', 3, "must be a list of authors"),
        ("[study]", "[study", 1, "not valid TOML"),
    ],
)
def test_what_is_wrong_is_reported_with_its_line(
    tmp_path: Path, old: str, new: str, line: int, said: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        declared(tmp_path, GOOD.replace(old, new))
    assert f"STUDY.toml:{line}: " in caught.value.message
    assert said in caught.value.sentences


def test_an_area_is_looked_for_beside_the_file(tmp_path: Path) -> None:
    found = declared(tmp_path, GOOD + 'area = "aoi.geojson"\n')
    assert found.select[0]["area"] == str(tmp_path / "aoi.geojson")


def test_a_study_is_read_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / "study.json").write_text("".join(text_of(STUDY)))
    assert read_study(tmp_path) == STUDY
    assert read_study(tmp_path / "study.json") == STUDY


def with_file(**values: object) -> Callable[[dict], None]:
    return lambda data: data["files"][0].update(values)


@pytest.mark.parametrize(
    "change",
    [
        with_file(path="../../etc/passwd"),
        with_file(path="EarthCARE/EarthCAREL2Validated_MAAP/CPR_CLD_2A/BC/2025/12/01/../../../x.h5"),
        with_file(path="EarthCARE/EarthCAREL2Validated_MAAP/CPR_CLD_2A/BC/2025/12/01/.bashrc"),
        with_file(path="EarthCARE/EarthCAREL2Validated_MAAP/CPR_CLD_2A/BC/2025/12/01/x.part"),
        with_file(path="EarthCARE/EarthCAREL2Validated_MAAP/CPR_CLD_2A/BC/2025/12/02/x.h5"),
        with_file(url="file:///etc/passwd"),
        with_file(url="https://example.org/a b"),
        with_file(sha256="AB" * 32),
        with_file(sha256=""),
        with_file(size=-1),
        with_file(size=None),
        with_file(size=True),
        with_file(mission="../x"),
        with_file(doi="not one\n"),
        with_file(day="yesterday"),
        with_file(orbit="8574"),
        lambda data: data.update(format="other"),
        lambda data: data.update(files={}),
        lambda data: data.update(title=""),
        lambda data: data.pop("frozen"),
    ],
)
def test_what_a_study_may_not_hold(tmp_path: Path, change: Callable[[dict], None]) -> None:
    data = json.loads("".join(text_of(STUDY)))
    change(data)
    (tmp_path / "study.json").write_text(json.dumps(data))
    with pytest.raises(InvalidRequestError, match="is not a study"):
        read_study(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "\0"])
def test_what_is_not_a_study_at_all(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidRequestError, match="is not a frozen study"):
        read_study(tmp_path)
    (tmp_path / "study.json").write_text(text)
    with pytest.raises(InvalidRequestError, match="is not JSON"):
        read_study(tmp_path)


def test_the_list_of_studies_is_bounded_and_forgiving(tmp_path: Path, session: Callable) -> None:
    where = session().dirs
    file = places_file(where)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(
        b"nonsense\n\xff\n" + b"".join(f"/nowhere/{number}\n".encode() for number in range(2 * MOST))
    )
    folder = tmp_path / "study"
    folder.mkdir()
    (folder / "study.json").write_text("".join(text_of(STUDY)))
    remember(where, folder)
    remember(where, folder)
    listed = [line for line in file.read_text().splitlines() if line.startswith("/")]
    assert len(listed) == MOST and listed[-1] == str(folder)
    assert needed_granules(where) == {ID: [folder]}


def test_what_a_killed_writer_left_beside_is_removed(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    mine, other = (f".maap-{machine()}-{pid}-abc.study" for pid in (gone.pid, os.getpid()))
    for name in (mine, other):
        (tmp_path / name).mkdir()
        (tmp_path / name / "study.json").write_text("{")
    assert write_study(tmp_path / "study", texts_of(STUDY))
    assert not write_study(tmp_path / "study", texts_of(STUDY))
    assert sorted(path.name for path in tmp_path.iterdir()) == [other, "study"]
    assert read_study(tmp_path / "study") == STUDY


OTHER = replace(STUDY, description="Now with a description.")


@pytest.mark.parametrize("moved", [0, 2])
def test_a_replacement_that_was_cut_is_finished_by_who_reads_next(tmp_path: Path, moved: int) -> None:
    folder = tmp_path / "study"
    write_study(folder, texts_of(STUDY))
    (folder / "notes.txt").write_text("mine")
    (folder / NEXT).mkdir()
    for number, (name, text) in enumerate(texts_of(OTHER).items()):
        (folder / ("" if number < moved else NEXT) / name).write_text(str(text))
    assert read_study(folder / "study.json") == OTHER
    assert {path.name: path.read_text() for path in folder.iterdir()} == {
        **{name: str(text) for name, text in texts_of(OTHER).items()},
        "notes.txt": "mine",
    }


def test_a_link_among_what_came_from_elsewhere_moves_nothing(tmp_path: Path) -> None:
    folder, outside = tmp_path / "study", tmp_path / "outside"
    write_study(folder, texts_of(STUDY))
    write_study(outside, texts_of(OTHER))
    before = sorted(outside.iterdir())
    (folder / NEXT).symlink_to(outside)
    assert read_study(folder) == STUDY and sorted(outside.iterdir()) == before


def test_a_folder_that_is_there_stays_the_same_folder(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.mkdir(mode=0o700)
    link.symlink_to(real)
    identity = real.stat().st_ino
    assert write_study(link, texts_of(STUDY))
    assert link.is_symlink() and real.stat().st_ino == identity and real.stat().st_mode & 0o777 == 0o700
    assert {path.name for path in real.iterdir()} == set(texts_of(STUDY))
    (tmp_path / "new").symlink_to(tmp_path / "later")
    assert write_study(tmp_path / "new", texts_of(STUDY)) and read_study(tmp_path / "later") == STUDY


def test_an_entity_of_a_crate_has_one_identity() -> None:
    author = STUDY.authors[0]
    terms = f"https://doi.org/{FILE.doi}"
    study = replace(STUDY, authors=(author, author), license=terms)
    graph = json.loads(str(texts_of(study)["ro-crate-metadata.json"]))["@graph"]
    by_id = {one["@id"]: one for one in graph}
    assert len(by_id) == len(graph)
    assert by_id["./"]["author"] == {"@id": f"https://orcid.org/{author.orcid}"}
    assert by_id["./"]["citation"] == by_id["./"]["license"] == {"@id": terms}


SUM = "ab" * 32


@pytest.mark.parametrize(
    ("line", "name"),
    [
        (f"{SUM}  a/b.h5", "a/b.h5"),
        (f"{SUM} *a/b.h5", "a/b.h5"),
        (f"{SUM.upper()}  a b.h5\r", "a b.h5"),
        (f"{SUM}   leading", " leading"),
        (f"{SUM} plain", "plain"),
        (f"\\{SUM}  a\\nb\\\\c\\rd", "a\nb\\c\rd"),
        (f"SHA256 (a (1).h5) = {SUM}", "a (1).h5"),
        (f"SHA2-256(a.h5)= {SUM}", "a.h5"),
        (f"\\SHA256 (a\\nb) = {SUM}", "a\nb"),
    ],
)
def test_lines_of_lists(line: str, name: str) -> None:
    read = read_sums(f"# a comment\n\n{line}\n".encode())
    assert (read.files, read.refused) == ([Listed(name, SUM)], [])


def test_lines_that_are_of_no_list() -> None:
    read = read_sums(b"\xef\xbb\xbfd41d8cd98f00b204e9800998ecf8427e  a\nnonsense\nMD5 (a) = " + b"ab" * 16)
    assert [(number, why) for number, _, why in read.refused] == [
        (1, "not a SHA-256 sum"),
        (2, "not a line of a list of sums"),
        (3, "not a SHA-256 sum"),
    ]


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_a_line_is_read_as_it_was_written(name: str) -> None:
    assert read_sums(f"{sum_line(SUM, name)}\n".encode()).files == [Listed(name, SUM)]


ODD_NAMES = (
    "with space.h5", " leading", "trailing ", "-dash", "back\\slash", "new\nline", "a (1).h5", "*star",
    "#hash",
    "tab\tname", "a\\nb", "quote\"d'", "Ünïcode.h5", "a = b", "x  y",
)  # fmt: skip


@pytest.fixture
def odd_files(tmp_path: Path) -> dict[str, str]:
    """Files with odd names below a folder `data`, each with its SHA-256."""
    (tmp_path / "data").mkdir()
    found = {}
    for name in ODD_NAMES:
        (tmp_path / "data" / name).write_bytes(name.encode())
        found[name] = hashlib.sha256(name.encode()).hexdigest()
    return found


def tool(*words: str | Path, folder: Path) -> subprocess.CompletedProcess[bytes]:
    """Run a tool that most machines have; the test is left out where this one has not."""
    if shutil.which(str(words[0])) is None:
        pytest.skip(f"{words[0]} is not here")
    return subprocess.run(words, cwd=folder, check=False, capture_output=True)


@pytest.mark.parametrize(
    "command", [("sha256sum", "-c", "--strict"), ("shasum", "-a", "256", "-c", "--strict")]
)
def test_the_tools_of_others_read_a_list(
    tmp_path: Path, odd_files: dict[str, str], command: tuple[str, ...]
) -> None:
    listed = tmp_path / "SHA256SUMS"
    listed.write_text("".join(f"{sum_line(one, name)}\n" for name, one in odd_files.items()))
    done = tool(*command, listed, folder=tmp_path / "data")
    assert done.returncode == 0, done
    (tmp_path / "data" / "-dash").write_bytes(b"other")
    assert tool(*command, listed, folder=tmp_path / "data").returncode == 1


@pytest.mark.parametrize(
    "command",
    [
        ("sha256sum", "--"), ("sha256sum", "-b", "--"), ("sha256sum", "--tag", "--"),
        ("shasum", "-a", "256", "--"), ("shasum", "-a", "256", "-b", "--"),
        ("shasum", "-a", "256", "--tag", "--"),
        ("openssl", "dgst", "-sha256"), ("openssl", "dgst", "-sha256", "-r"),
    ],
)  # fmt: skip
def test_lists_that_the_tools_of_others_write_are_read(
    tmp_path: Path, odd_files: dict[str, str], command: tuple[str, ...]
) -> None:
    # OpenSSL escapes nothing, and takes a name that begins with a dash for an option.
    if command[0] == "openssl":
        names = [name for name in odd_files if not {"\n", "\\"} & {*name} and name != "-dash"]
    else:
        names = list(odd_files)
    done = tool(*command, *names, folder=tmp_path / "data")
    assert done.returncode == 0, done
    read = read_sums(done.stdout)
    assert read.refused == []
    assert dict(read.files) == {name: odd_files[name] for name in names}


def test_names_of_another_machine_are_found_by_their_end(tmp_path: Path) -> None:
    sums = {}
    for name in ("one/a.h5", "two/a.h5", "b.h5"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(name.encode())
        sums[name] = hashlib.sha256(name.encode()).hexdigest()
    os.mkfifo(tmp_path / "pipe")
    listed = [
        Listed("/elsewhere/x/a.h5", sums["two/a.h5"]),
        Listed("C:\\data\\b.h5", sums["b.h5"]),
        Listed("pipe", SUM),
        Listed("none.h5", SUM),
        Listed("nul\0", SUM),
    ]
    found = list(compare_listed(listed, [tmp_path], root=tmp_path))
    assert [(one.state, Path(one.path).name) for one in found] == [
        ("good", "a.h5"),
        ("good", "b.h5"),
        ("unreadable", "pipe"),
        ("missing", ""),
        ("missing", ""),
        ("unlisted", "a.h5"),
    ]
    assert found[0].path == str(tmp_path / "two" / "a.h5") and found[-1].name == "one/a.h5"


def test_the_text_of_many_files_is_never_held(tmp_path: Path) -> None:
    """Of 1,500 files a folder has 3.6 MB; what is held of it is what one piece of a file takes."""
    study = replace(STUDY, files=tuple(replace(FILE, url=f"{FILE.url}?{number}") for number in range(1500)))
    tracemalloc.start()
    try:
        assert write_study(tmp_path / "study", texts_of(study, datalad=True))
        assert not write_study(tmp_path / "study", texts_of(study, datalad=True))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    written = sum(path.stat().st_size for path in (tmp_path / "study").iterdir())
    assert written > 3.5e6 and peak < 1.5e6, peak
    assert read_study(tmp_path / "study") == study
