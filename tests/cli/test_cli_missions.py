"""Biomass, CryoSat and FLEX by the public commands: files, formats, tracks, versions, the registry."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

L1A = ("BiomassLevel1a", "S1_SCS__1S")
L1B = ("BiomassLevel1b", "S2_DGM__1S")
DAY = ("--date", "2025-12-12")
FRAME = (*DAY, "--track", "1", "--frame", "222")


def names(lines: list[str]) -> set[str]:
    return {line.rpartition("/")[2].rpartition("_f222_")[2] for line in lines}


def test_a_biomass_granule_is_its_measurement(maap: Callable) -> None:
    ended = maap("search", *L1A, "01", *FRAME)
    assert (ended.code, names(ended.lines)) == (0, {"i_abs.tiff", "i_phase.tiff"})
    assert "Found 2 files of 1 granule" in ended.err
    ended = maap("search", *L1B, *FRAME)
    assert (ended.code, names(ended.lines)) == (0, {"i_abs.tiff"})
    ended = maap("search", "BiomassLevel2a", "FP_FH__L2A", *DAY, "--frame", "192")
    assert [line.rpartition("_i_")[2] for line in ended.lines] == ["fh.tiff", "quality.tiff"]


def test_all_is_every_file_of_the_product(maap: Callable) -> None:
    ended = maap("search", *L1A, *FRAME, "--format", "all")
    assert ended.code == 0 and len(ended.lines) == 7
    assert {Path(line).suffix for line in ended.lines} == {".tiff", ".xml", ".kml", ".png"}
    whole = maap("search", *L1A, *FRAME, "--format", "zip")
    assert len(whole.lines) == 1 and "/data/zipper/biomass-pdgs-01/BiomassLevel1a/2025/12/12/" in whole.out


def test_metadata_only_granules_are_had_whole(maap: Callable, tmp_path: Path) -> None:
    ended = maap("get", "BiomassLevel1b", "S2_DGM__1M", *FRAME, "--out-dir", tmp_path / "out")
    assert ended.code == 0
    (file,) = (tmp_path / "out").iterdir()
    assert file.name.endswith("_01_DJJDIM.zip")
    assert len(zipfile.ZipFile(file).namelist()) == 1


def test_sync_tracks_each_file_of_a_granule(maap: Callable, home: Path) -> None:
    dry = maap("sync", *L1A, "01", *FRAME, "--dry-run")
    assert dry.code == 0 and len(dry.lines) == 2
    ended = maap("sync", *L1A, "01", *FRAME)
    assert ended.code == 0 and "Downloaded 2 files" in ended.err
    granule = "BIO_S1_SCS__1S_20251212T011542_20251212T011603_T_G01_M01_C01_T001_F222_01_DJJDIM"
    place = home / "data" / "Biomass" / "BiomassLevel1a" / "S1_SCS__1S" / "01"
    stem = granule.rpartition("_01_")[0].lower()
    files = [place / "2025" / "12" / "12" / granule / f"{stem}_i_{one}.tiff" for one in ("abs", "phase")]
    assert sorted(place.rglob("*.tiff")) == files
    listed = home / "registry" / "downloads" / "Biomass" / "BiomassLevel1a" / "S1_SCS__1S" / "01" / "2025"
    lines = (listed / "dwl_20251212.txt").read_text().splitlines()
    assert [line.rpartition("|")[2] for line in sorted(lines)] == [str(file) for file in files]
    again = maap("sync", *L1A, "01", *FRAME)
    assert again.code == 0 and "Nothing new" in again.err
    assert maap("verify", *L1A, "01").code == 0
    assert maap("state", "mark", files[0]).code == 0
    pending = maap("state", "pending", *L1A, "01", "--type", "marks")
    assert pending.lines == [str(files[1])]
    assert maap("state", "cleanup", *L1A, "01").code == 0
    assert [file.exists() for file in files] == [False, True]


@pytest.mark.parametrize("layout", ["dated", "flat"])
def test_a_granule_that_has_a_folder_gets_no_second_one(maap: Callable, tmp_path: Path, layout: str) -> None:
    where = ["--out-dir", tmp_path / "out"] if layout == "flat" else ["--data-dir", tmp_path / "out"]
    assert maap("get", *L1A, "01", *FRAME, "--product-dir", *where).code == 0
    files = sorted(path for path in (tmp_path / "out").rglob("*.tiff"))
    granule = "BIO_S1_SCS__1S_20251212T011542_20251212T011603_T_G01_M01_C01_T001_F222_01_DJJDIM"
    assert len(files) == 2 and {path.parent.name for path in files} == {granule}
    above = tmp_path / "out"
    if layout == "dated":
        above = above.joinpath("Biomass", *L1A, "01", "2025", "12", "12")
    assert {path.parent.parent for path in files} == {above}


def test_pending_files_and_a_maximum_count_granules(maap: Callable) -> None:
    assert maap("search", *L1A, "01", *DAY, "--track", "001", "--registry-save").code == 0
    assert len(maap("state", "pending", *L1A, "01").lines) == 12
    ended = maap("download", *L1A, "01", "--registry", "--max-items", "2", "--dry-run")
    assert ended.code == 0 and len(ended.lines) == 4
    ended = maap("sync", *L1A, "01", *DAY, "--track", "1", "--max-items", "1")
    assert ended.code == 0 and "Downloaded 2 files" in ended.err


def test_count_says_that_granules_are_no_files(maap: Callable) -> None:
    ended = maap("search", *L1A, "01", *FRAME, "--count")
    assert ended.code == 0 and int(ended.out) >= 1
    assert "a granule may have several files" in ended.err


def test_of_biomass_processings_the_newest_is_taken(maap: Callable) -> None:
    newest = maap("search", *L1B, *FRAME)
    assert [line.count("_DJJDIM/") for line in newest.lines] == [2]
    assert len(maap("search", *L1B, *FRAME, "--all-versions").lines) == 2


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (("--date", "2022-09-17"), ["OFFL", "OFFL", "OFFL"]),
        (("D001", "--date", "2022-09-17"), ["LTA_"]),
        (("--date", "2022-09-17", "--all-versions"), ["LTA_", "OFFL", "OFFL", "OFFL", "OFFL"]),
    ],
)
def test_of_cryosat_twins_one_is_taken(maap: Callable, options: tuple[str, ...], found: list[str]) -> None:
    ended = maap("search", "CryoSatIceL110", "SIR_SIN_1B", *options)
    assert ended.code == 0
    assert sorted(line.rpartition("/CS_")[2][:4] for line in ended.lines) == found


def test_flex_is_had_whole_without_a_length(maap: Callable, tmp_path: Path) -> None:
    out = tmp_path / "flex"
    ended = maap(
        "get", "FLEXL1Products", "L1B_OBS___", "--date", "2023-07-12", "--frame", "21", "--out-dir", out
    )
    assert ended.code == 0
    (file,) = out.iterdir()
    assert file.suffix == ".zip" and len(zipfile.ZipFile(file).namelist()) == 2


def test_an_absolute_orbit_of_biomass(maap: Callable) -> None:
    rows = [json.loads(line) for line in maap("search", *L1B, "--orbit", "3017", "--json").lines]
    assert len(rows) == 6 and {row["orbit"] for row in rows} == {3017}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("CryoSatIceL110", "SIR_SIN_1B", "--orbit", "5"), "cannot be searched by orbit"),
        (("CryoSatIceL110", "SIR_SIN_1B", "--frame", "C"), "not cut into frames"),
        (("EarthCAREL2Validated_MAAP", "CPR_CLD_2A", "--track", "3"), "does not number its ground tracks"),
        ((*L1A, "--orbit", "3017C"), "not cut into lettered frames"),
        # The name of the collection is judged before what depends on it.
        (("EarthCAREL2Validatd_MAAP", "CPR_CLD_2A", "--frame", "Z"), "There is no collection"),
        (("BiomasLevel1a", "S1_SCS__1S", "--orbit", "3017C"), "There is no collection"),
        ((*L1A, *FRAME, "--format", "h5"), "has no file in h5; it has kml, png, tiff, xml, zip"),
    ],
)
def test_what_means_nothing_is_refused(maap: Callable, words: tuple[str, ...], said: str) -> None:
    ended = maap("search", *words)
    assert (ended.code, ended.out) == (4, "")
    assert said in ended.err


@pytest.mark.parametrize(
    ("collection", "product", "last"),
    [
        ("EarthCAREAuxiliary_MAAP", "GEO_ATTOBS", "_08574D.EOF"),
        ("EarthCAREXMETL1DProducts10_MAAP", "AUX_MET_1D", "_08574D.h5"),
    ],
)
def test_an_orbit_in_a_time_range_where_there_is_no_index(
    maap: Callable, collection: str, product: str, last: str
) -> None:
    ended = maap("search", collection, product, "--orbit", "08574D", "--date", "2025-12-01")
    assert ended.code == 0 and len(ended.lines) == 1 and ended.out.strip().endswith(last)


def test_a_cover_has_each_frame_once_and_is_a_plan(maap: Callable, tmp_path: Path) -> None:
    plan = tmp_path / "plan.jsonl"
    ended = maap("plan", "cover", *L1B, "--date", "2025-12", "--json", "-o", plan)
    (row,) = [json.loads(line) for line in ended.lines]
    every = {json.loads(line)["frame"] for line in maap("search", *L1B, "--date", "2025-12", "--json").lines}
    assert ended.code == 0 and row["tracks"] == ["001", "014"]
    assert len(row["frames"]) == len({*row["frames"]}) == len(row["granules"]) == 12
    assert {name.partition("_F")[2] for name in row["frames"]} == every
    assert [json.loads(line)["url"] for line in plan.read_text().splitlines()] == row["urls"]
    assert "1 date within 1 day cover 12 frames" in ended.err and "not needed" in ended.err

    passes = maap("cover", *L1B, "--date", "2025-12", "--passes", "--closest-dates")
    assert [line.split()[1] for line in passes.lines[1:]] == ["T001", "T014"]


def test_a_cover_of_nothing_and_of_a_mission_without_tracks(maap: Callable) -> None:
    nothing = maap("plan", "cover", *L1B, "--date", "2025-11-01")
    assert (nothing.code, nothing.out) == (0, "") and "Nothing found" in nothing.err
    refused = maap("plan", "cover", "EarthCAREL2Validated_MAAP", "CPR_CLD_2A", "--date", "2025-12-01")
    assert refused.code == 4 and "does not number its ground tracks" in refused.err


def test_a_cover_of_everything_has_to_be_meant(maap: Callable) -> None:
    refused = maap("cover", *L1B)
    assert refused.code == 4 and "--everything if all of it is meant" in refused.err
    whole = maap("cover", *L1B, "--everything", "--quiet")
    assert whole.code == 0 and whole.lines, whole.err


def test_a_cover_of_a_part_says_so(maap: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    some = maap("cover", *L1B, "--date", "2025-12", "-n", "3")
    assert some.code == 0 and "; of the first 3 granules (--max-items)" in some.err
    monkeypatch.setenv("MAAP_SEARCH_MAX_ITEMS", "3")
    cut = maap("cover", *L1B, "--date", "2025-12")
    assert cut.code == 3 and "Only the first 3 granules are taken (search.max_items)" in cut.err
    # A granule without a file in the format asked for counts among those that were found.
    none = maap("cover", *L1B, "--date", "2025-12", "--format", "h5")
    assert none.code == 3 and "None of 3 granules found has a file in h5" in none.err
    assert "Only the first 3 granules" in none.err and "Nothing found" not in none.err
