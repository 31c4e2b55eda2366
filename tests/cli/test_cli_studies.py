"""`maap freeze`, `thaw`, `cite` and `verify --against`: the same files again, or named."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from maap_tui import MaapClient
from maap_tui.demo import Archive
from tests.counting import opened

L2 = "EarthCAREL2Validated_MAAP"
CLD = (L2, "CPR_CLD_2A", "BC")
HOUR = ("-s", "2025-12-01T00:00", "-e", "2025-12-01T00:40")
STUDY = """\
[study]
title = "Half an orbit"
authors = ["A. Author <0000-0002-1825-0097>", {name = "B. Author", affiliation = "An Institute"}]
license = "https://creativecommons.org/licenses/by/4.0/"
[select]
collection = "EarthCAREL2Validated_MAAP"
products = ["CPR_CLD_2A:BC"]
start = 2025-12-01T00:00:00Z
end = 2025-12-01T00:40:00Z
"""


def hashes_below(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*.h5")
    }


def rows_of(study: Path) -> list[dict]:
    return json.loads((study / "study.json").read_text())["files"]


@pytest.fixture
def here(maap: Callable, home: Path) -> dict[str, str]:
    """Files that were downloaded, with their hashes."""
    assert maap("sync", *CLD, *HOUR).code == 0
    return hashes_below(home / "data")


@pytest.fixture
def study(maap: Callable, here: dict[str, str], tmp_path: Path) -> Path:
    """A frozen study of them."""
    (tmp_path / "STUDY.toml").write_text(STUDY)
    ended = maap("freeze", "STUDY.toml", "-o", "study", "--datalad")
    assert (ended.code, ended.out) == (0, ""), ended.err
    assert f"Froze {len(here)} files of {len(here)} granules" in ended.err
    return tmp_path / "study"


@pytest.fixture
def clean(archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another home, in which nothing is; to be asked for once the first has done its part."""
    folder = tmp_path / "clean"
    archive.prepare(folder)
    for name, value in archive.environment(folder).items():
        monkeypatch.setenv(name, value)
    return folder


def test_what_thaws_in_a_clean_home_has_equal_hashes(
    maap: Callable, here: dict[str, str], study: Path, clean: Path
) -> None:
    ended = maap("thaw", study)
    assert ended.code == 0, ended.err
    assert hashes_below(clean / "data") == here
    assert maap("verify", *CLD).code == 0
    assert f"Downloaded:          {len(here)}" in maap("state", "show", *CLD).lines
    again = maap("thaw", study)
    assert again.code == 0 and f"{len(here)} files here, each with its hash" in again.err


def test_the_lists_agree_with_the_files(here: dict[str, str], home: Path, study: Path) -> None:
    assert {one["path"]: one["sha256"] for one in rows_of(study)} == here
    done = subprocess.run(
        ["sha256sum", "-c", "--strict", study / "SHA256SUMS"], cwd=home / "data", check=False
    )
    assert done.returncode == 0
    with (study / "files.csv").open(newline="") as file:
        assert {row["path"]: row["sha256"] for row in csv.DictReader(file)} == here
    with (study / "addurls.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            size = (home / "data" / row["path"]).stat().st_size
            assert row["key"] == f"SHA256-s{size}--{here[row['path']]}"
            assert row["url"].endswith(row["path"].rpartition("/")[2])
    crate = json.loads((study / "ro-crate-metadata.json").read_text())["@graph"]
    by_id = {one["@id"]: one for one in crate}
    assert len(by_id) == len(crate)
    root = by_id["./"]
    assert {one["sha256"] for one in crate if "sha256" in one} == set(here.values())
    linked = [*root["hasPart"], *root["author"], root["citation"], root["license"]]
    assert all(one["@id"] in by_id for one in linked)
    parts = [by_id[one["@id"]] for one in root["hasPart"]]
    assert all(one["description"] for one in parts)
    lists = [one for one in parts if "://" not in one["@id"]]
    assert {one["@id"]: one["contentSize"] for one in lists} == {
        path.name: str(path.stat().st_size)
        for path in study.iterdir()
        if path.name != "ro-crate-metadata.json"
    }
    (doi,) = {one["doi"] for one in rows_of(study)}
    assert f"https://doi.org/{doi}" in " ".join((study / "data-availability.txt").read_text().split())
    assert f"doi = {{{doi}}}" in (study / "references.bib").read_text()


def test_a_byte_that_changed_at_the_server_is_named(
    maap: Callable, archive: Archive, study: Path, clean: Path
) -> None:
    rows = rows_of(study)
    changed = rows[1]["path"].rpartition("/")[2]
    archive.control(replace=changed)

    ended = maap("thaw", study)

    assert ended.code == 4
    assert f"Failed: {changed}: the file changed at the archive" in ended.err
    assert len(hashes_below(clean / "data")) == len(rows) - 1
    assert list((clean / "data").rglob(f"{changed}*")) == []
    assert maap("thaw", study).code == 4


def test_what_the_archive_has_no_more_is_named_and_what_it_moved_is_found(
    maap: Callable, here: dict[str, str], study: Path, clean: Path
) -> None:
    file = study / "study.json"
    text = file.read_text()
    rows = rows_of(study)
    moved = rows[0]["url"]
    file.write_text(text.replace(moved, moved.replace("/data/", "/data/old/")))
    ended = maap("thaw", study)
    assert ended.code == 0, ended.err
    assert hashes_below(clean / "data") == here

    gone = rows[1]["id"]
    file.write_text(text.replace(gone, gone.replace("ECA_EXBC", "ECA_EXBB")))
    ended = maap("thaw", study)
    assert ended.code == 4
    assert "The archive does not have 1 file of the study any more" in ended.err


def test_a_catalogue_that_is_down_says_nothing_of_what_moved(
    maap: Callable, archive: Archive, here: dict[str, str], study: Path, clean: Path
) -> None:
    file = study / "study.json"
    moved = [one["url"] for one in rows_of(study)[:2]]
    for url in moved:
        file.write_text(file.read_text().replace(url, url.replace("/data/", "/data/old/")))
    archive.faults.add(target="catalogue", status=503)
    ended = maap("thaw", study)
    assert ended.code == 3 and "any more" not in ended.err, ended.err
    assert len(hashes_below(clean / "data")) == len(here) - len(moved)
    archive.faults.clear()
    assert maap("thaw", study).code == 0
    assert hashes_below(clean / "data") == here


def test_what_is_here_with_other_bytes_is_fetched_again(
    maap: Callable, here: dict[str, str], home: Path, study: Path
) -> None:
    path = home / "data" / rows_of(study)[0]["path"]
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    refused = maap("freeze", "STUDY.toml", "-o", "study")
    assert refused.code == 4 and "would lose 1 file" in refused.err
    assert maap("thaw", study, "--dry-run").lines == [rows_of(study)[0]["url"]]

    ended = maap("thaw", study)

    assert ended.code == 0 and f"{path}: it is not what the study froze, and was fetched again" in ended.err
    assert hashes_below(home / "data") == here


def test_an_area_of_several_products_is_read_once(
    maap: Callable, here: dict[str, str], tmp_path: Path
) -> None:
    """A file that changes meanwhile would mean another area for the second of them."""
    for name, east in (("one", 180), ("two", 170)):
        ring = [[-east, -90], [east, -90], [east, 90], [-east, 90], [-east, -90]]
        (tmp_path / f"{name}.geojson").write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    head, common = STUDY.split("[select]\n")
    areas = {"a": "one", "b": "two", "c": "one"}
    tables = "".join(f'[select.{at}]\narea = "{name}.geojson"\n' for at, name in areas.items())
    (tmp_path / "STUDY.toml").write_text(f"{head}[select]\n{common}{tables}")
    with opened() as paths:
        assert maap("freeze", "STUDY.toml", "-o", "study").code in (0, 3)
    assert paths.count(str(tmp_path / "one.geojson")) == 1
    found = [one["area"] for one in json.loads((tmp_path / "study/study.json").read_text())["select"]]
    assert found[0] == found[2] != found[1]


def test_a_dry_run_looks_where_the_registry_says(
    maap: Callable, here: dict[str, str], home: Path, study: Path
) -> None:
    path = home / "data" / rows_of(study)[0]["path"]
    other = home / "data" / "moved" / path.name
    other.parent.mkdir()
    path.rename(other)
    (lines,) = home.rglob("dwl_*.txt")
    lines.write_text(lines.read_text().replace(str(path), str(other)))
    assert maap("thaw", study, "--dry-run").lines == []
    ended = maap("thaw", study)
    assert ended.code == 0 and f"{len(here)} files here, each with its hash" in ended.err
    other.write_bytes(b"other")
    (row,) = map(json.loads, maap("thaw", study, "--dry-run", "--json").lines)
    assert row["path"] == str(other), "it is fetched to where it is"


def test_a_file_that_is_not_what_came_is_not_frozen(maap: Callable, here: dict[str, str], home: Path) -> None:
    first, *_ = sorted(here)
    path = home / "data" / first
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    ended = maap("freeze", *CLD, *HOUR, "-o", "study")
    assert ended.code == 3
    assert ended.lines == [f"bad: {path.name} (its bytes from 0 on differ from what was downloaded)"]
    assert len(rows_of(Path("study"))) == len(here) - 1


def unreadable(home: Path, *names: str) -> Path:
    """Make the downloads of a baseline something that cannot be listed, for root too."""
    folder = home.joinpath("registry", "downloads", "EarthCARE", *names)
    if folder.exists():
        shutil.rmtree(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.symlink_to(folder)
    return folder


@pytest.mark.parametrize("lost", [0, 1])
def test_a_baseline_that_cannot_be_read_stops_no_freeze(
    maap: Callable, home: Path, here: dict[str, str], lost: int
) -> None:
    """The files of the other one are frozen, and those of this one are looked for where they belong."""
    both = (CLD, (L2, "CPR_TC__2A", "BC"))
    assert maap("sync", *both[1], *HOUR).code == 0
    text = STUDY.replace('["CPR_CLD_2A:BC"]', json.dumps([":".join(one[1:]) for one in both]))
    Path("STUDY.toml").write_text(text)
    folder = unreadable(home, *both[lost])
    ended = maap("freeze", "STUDY.toml", "-o", "study")
    assert (ended.code, ended.out) == (3, ""), ended.err
    assert ended.err.count(f"{folder} is ignored") == 1
    assert {one["path"]: one["sha256"] for one in rows_of(Path("study"))} == hashes_below(home / "data")


def test_frozen_twice_gives_equal_bytes_but_for_the_date(maap: Callable, study: Path, tmp_path: Path) -> None:
    stamps = {path.name: path.stat().st_mtime_ns for path in study.iterdir()}
    assert "Nothing has changed" in maap("freeze", "STUDY.toml", "-o", "study", "--datalad").err
    assert {path.name: path.stat().st_mtime_ns for path in study.iterdir()} == stamps
    assert maap("freeze", "STUDY.toml", "-o", "second", "--datalad").code == 0
    for path in study.iterdir():
        pairs = zip(
            path.read_text().splitlines(),
            (tmp_path / "second" / path.name).read_text().splitlines(),
            strict=True,
        )
        assert len([one for one, other in pairs if one != other]) <= 1, path.name


def test_what_is_not_here_is_named_and_fetched_when_asked(maap: Callable, home: Path) -> None:
    nothing = maap("freeze", *CLD, *HOUR, "-o", "study")
    assert nothing.code == 3 and "Nothing was frozen" in nothing.err and not Path("study").exists()
    assert {line.partition(":")[0] for line in nothing.lines} == {"not here"}
    assert maap("sync", *CLD, *HOUR, "-n", "1").code == 0
    some = maap("freeze", *CLD, *HOUR, "-o", "study")
    assert some.code == 3 and "--get fetches them" in some.err
    assert len(rows_of(Path("study"))) == 1
    thawed = maap("thaw", "study")
    assert thawed.code == 4 and "had no hash and are left out" in thawed.err, "no other run gets them"
    every = maap("freeze", *CLD, *HOUR, "-o", "study", "--get")
    assert (every.code, every.out) == (0, "")
    assert {one["path"] for one in rows_of(Path("study"))} == set(hashes_below(home / "data"))


def test_what_a_freeze_fetches_goes_where_the_settings_say_and_is_read_once(
    maap: Callable, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert maap("sync", *CLD, *HOUR, "-n", "1").code == 0
    (first,) = (home / "data").rglob("*.h5")
    monkeypatch.setenv("MAAP_DOWNLOADS_PRODUCT_DIR", "true")
    with opened() as paths:
        assert maap("freeze", *CLD, *HOUR, "-o", "study", "--get").code == 0
    fetched = [path for path in (home / "data").rglob("*.h5") if path != first]
    assert fetched and all(path.parent.name == path.stem for path in fetched)
    assert len(rows_of(Path("study"))) == len(fetched) + 1
    assert paths.count(str(first)) == 1, "what was here is read before the others come, and that is all"


def test_a_list_that_was_written_stays_up_to_date(maap: Callable, home: Path) -> None:
    assert maap("sync", *CLD, *HOUR, "-n", "1").code == 0
    assert maap("freeze", *CLD, *HOUR, "-o", "study", "--datalad").code == 3
    assert maap("freeze", *CLD, *HOUR, "-o", "study", "--get").code == 0
    with Path("study", "addurls.csv").open(newline="") as file:
        assert [row["path"] for row in csv.DictReader(file)] == [
            one["path"] for one in rows_of(Path("study"))
        ]


def test_a_place_that_cannot_be_written_is_named_as_it_was_given(
    maap: Callable, here: dict[str, str]
) -> None:
    Path("loop").symlink_to("loop")
    Path("file").touch()
    for place, said in (
        ("loop", "a symbolic link"),
        ("file/study", "file: a part"),
        ("/proc/x", "/proc/x: "),
    ):
        ended = maap("freeze", *CLD, *HOUR, "-o", place)
        assert ended.code == 4 and said in ended.err and ".maap-" not in ended.err, ended.err
    assert {path.name for path in Path().iterdir()} == {"home", "loop", "file"}


def test_another_study_is_not_replaced(maap: Callable, study: Path, tmp_path: Path) -> None:
    before = (study / "study.json").read_bytes()
    other = maap("freeze", *CLD, *HOUR, "-o", "study")
    assert other.code == 4 and "another study" in other.err
    assert (study / "study.json").read_bytes() == before
    assert maap("freeze", *CLD, *HOUR, "-o", "study", "--force").code == 0
    full = tmp_path / "full"
    full.mkdir()
    (full / "notes.txt").write_text("mine")
    assert maap("freeze", *CLD, *HOUR, "-o", "full", "--force").code == 4
    assert [path.name for path in full.iterdir()] == ["notes.txt"]


def test_what_the_archive_dropped_is_frozen_from_here(
    maap: Callable, home: Path, here: dict[str, str]
) -> None:
    first = home / "data" / sorted(here)[0]
    earlier = first.with_name(first.name.replace("Z_2025", "Z_2024"))
    earlier.write_bytes(first.read_bytes())
    (file,) = home.rglob("dwl_*.txt")
    line = next(line for line in file.read_text().splitlines() if line.endswith(first.name))
    with file.open("a") as lines:
        lines.write(line.replace(first.stem, earlier.stem) + "\n")

    ended = maap("freeze", *CLD, *HOUR, "-o", "study")

    assert ended.code == 0, ended.err
    assert "1 file here that the archive does not list any more" in ended.err
    assert {one["path"]: one["sha256"] for one in rows_of(Path("study"))} == hashes_below(home / "data")


def test_a_day_that_cannot_be_searched_freezes_nothing(
    maap: Callable, archive: Archive, here: dict[str, str], asked: Callable[[str], int]
) -> None:
    archive.faults.add(failing_day="2025-12-01")
    ended = maap("freeze", *CLD, *HOUR, "-o", "study")
    assert ended.code == 3 and "nothing is frozen" in ended.err and not Path("study").exists()
    archive.faults.clear()
    archive.stats.reset()
    assert maap("freeze", *CLD, *HOUR, "-o", "study", "--local").code == 0
    assert asked("search") == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("freeze", "-o", "x"), "COLLECTION, PRODUCT"),
        (("freeze", "none.toml", "-o", "x"), "Study not found: none.toml. Check its path."),
        (("freeze", *CLD, *HOUR, "-o", ""), "The path is empty"),
        (("freeze", *CLD, "-o", "x"), "as it grows"),
        (("freeze", *CLD, *HOUR, "-o", "x", "--shard", "1/2"), "--shard"),
        (("freeze", *CLD, *HOUR, "-o", "x", "--get", "--local"), "--local"),
        (("freeze", *CLD, *HOUR, "-o", "x", "--author", "<x>"), "not an author"),
        (("freeze", *CLD, "--date", "2020-01-01", "-o", "x"), "means no file"),
        (("thaw", "nowhere"), "not a frozen study"),
        (("cite", "no/where"), "not a frozen study"),
        (("verify", "--root", "."), "--against"),
        (("verify", "--against", "none"), "cannot be read"),
    ],
)
def test_what_cannot_be_asked(maap: Callable, words: tuple[str, ...], said: str) -> None:
    ended = maap(*words)
    assert ended.code == 4 and said in ended.err, ended.err
    assert not Path("x").exists()


@pytest.mark.parametrize(("words", "said"), [(["CPR_CLD_2A"], "PRODUCT"), (["--date", "2025-12"], "--date")])
def test_a_study_is_cited_whole(maap: Callable, study: Path, words: list[str], said: str) -> None:
    ended = maap("cite", study, *words)
    assert ended.code == 4 and f"{said} cannot be used with {study}" in ended.err, ended.err


def test_cite_says_what_is_here(maap: Callable, archive: Archive, here: dict[str, str], study: Path) -> None:
    ended = maap("cite")
    assert ended.code == 0 and "The data are available from the ESA MAAP archive" in ended.out
    (row,) = [json.loads(line) for line in maap("cite", "--json").lines]
    assert (row["files"], row["granules"]) == (len(here), len(here))
    assert maap("cite", study, "--bibtex").out.startswith("@misc{CPR_CLD_2A_BC_")
    assert maap("cite", study, "--json").lines == maap("cite", *CLD, "--json").lines
    archive.faults.add(target="catalogue", status=503)
    silent = maap("cite")
    assert silent.code == 3 and "The DOI of CPR_CLD_2A BC is not known" in silent.err


def test_a_folder_is_compared_with_its_list(maap: Callable, study: Path, tmp_path: Path) -> None:
    assert maap("thaw", study, "-o", "out").code == 0
    assert maap("verify", "--against", study / "SHA256SUMS", "--root", "out").code == 0
    paths = sorted((tmp_path / "out").rglob("*.h5"))
    paths[0].unlink()
    paths[1].write_bytes(b"other")
    (tmp_path / "out" / "extra.h5").write_bytes(b"more")
    ended = maap("verify", "--against", study / "SHA256SUMS", "--root", "out")
    assert ended.code == 3
    assert [line.partition(":")[0] for line in ended.lines] == ["missing", "changed", "unlisted"]
    assert "1 changed; 1 missing; 1 unlisted" in ended.err
    assert maap("verify", "--against", study, "-v").code == 0


def test_a_thaw_that_was_cut_goes_on(
    maap: Callable, archive: Archive, here: dict[str, str], study: Path, clean: Path
) -> None:
    archive.faults.add(target="data", status=503, after=1)
    assert maap("thaw", study).code == 3
    archive.faults.clear()
    archive.stats.reset()
    assert maap("thaw", study).code == 0
    assert archive.stats.count("data", 200) == len(here) - 1
    assert hashes_below(clean / "data") == here


def test_studies_are_remembered_and_name_what_they_need(
    maap: Callable, home: Path, study: Path, session: Callable
) -> None:
    from maap_tui.engine.studies.places import needed_granules

    where = session().dirs
    needed = needed_granules(where)
    assert set(needed) == {one["id"] for one in rows_of(study)}
    assert set(map(tuple, needed.values())) == {(study,)}
    shutil.rmtree(study)
    assert needed_granules(where) == {}
    (home / "state" / "studies.txt").unlink()
    assert needed_granules(where) == {}


def test_a_place_that_cannot_be_remembered_stops_nothing(
    maap: Callable, home: Path, study: Path, caplog: pytest.LogCaptureFixture
) -> None:
    places = home / "state" / "studies.txt"
    places.unlink()
    places.mkdir()
    for ended in (maap("freeze", "STUDY.toml", "-o", "other"), maap("thaw", study)):
        assert ended.code == 0, ended.err
        assert ended.err.count("Warning: The place of the study is not remembered: Cannot ") == 1
    with MaapClient() as client:
        client.thaw(study)
    (said,) = [one.message for one in caplog.records if one.name == "maap_tui"]
    assert said.startswith("The place of the study is not remembered: Cannot ")
