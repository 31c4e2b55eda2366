"""`maap cut`: what it needs is said first, its result is named on stdout, its failures are one sentence."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest

from maap_tui.demo import Archive
from tests.homes import Ended

pytestmark = pytest.mark.usefixtures("apart_at_once")

Maap = Callable[..., Ended]
ID = "ECA_EXBC_CPR_CLD_2A_20251204T231625Z_20251204T235951Z_08636B"


def test_a_part_of_a_granule_is_written(maap: Maap, archive: Archive, tmp_path: Path) -> None:
    near = ("--point", "hyytiala", "--radius", "200", "--var", "signal")
    estimate = maap("cut", ID, *near, "--estimate")
    assert estimate.code == 0, estimate.err
    assert "/ScienceData/signal" in estimate.out and "points of along_track" in estimate.out
    assert not list(tmp_path.glob("*.nc"))
    archive.stats.reset()
    done = maap("cut", f"https://me:secret@anywhere.example/{ID}.h5", *near, "-o", "near.nc")
    assert (done.code, done.lines) == (0, ["near.nc"])
    needs, wrote = done.err.splitlines()
    assert needs.startswith("Needs ") and wrote.startswith("Wrote 6 variables, ")
    served = archive.stats.show()["bytes_by_kind"]["data"]
    (record,) = [json.loads(line) for line in maap("cut", ID, *near, "--json", "-o", "b.nc").lines]
    assert record["received"] == record["asked"] + record["needed"] == served < record["size"]
    with h5py.File("near.nc") as part:
        assert part.attrs["maap_command"].startswith(f"maap cut https://anywhere.example/{ID}.h5 --point")
        assert part.attrs["maap_source"].startswith(archive.url) and part.attrs["maap_baseline"] == "BC"
    again = maap("cut", "near.nc", "--bbox=20,60,30,62", "-o", "near.nc")
    assert again.code == 4 and "near.nc is the file that is cut" in again.err
    again = maap("cut", "near.nc", "--bbox=20,60,30,62", "-o", "nearer.nc")
    assert (again.code, again.lines) == (0, ["nearer.nc"]) and "nothing is fetched" in again.err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--var", "signal"], 4, "Nothing says where the result goes"),
        (["-o", "a.nc"], 4, "Nothing says what to cut"),
        (["--var", "signals", "-o", "a.nc"], 4, "no variable 'signals'; did you mean signal"),
        (["--var", ",", "-o", "a.nc"], 4, "--var has an empty name"),
        (["--radius", "5", "-o", "a.nc"], 4, "--radius needs --point"),
        (["--point", "1,2", "--bbox=1,2,3,4", "-o", "a.nc"], 4, "--point cannot be used with --bbox"),
        (["--around", "1,2", "--bbox=1,2,3,4", "-o", "a.nc"], 4, "--around cannot be used with --bbox"),
        (["--km", "5", "-o", "a.nc"], 4, "--km needs --point"),
        (["--around", "nowhere", "-o", "a.nc"], 4, "--around 'nowhere' is neither LAT,LON nor"),
        (["--around=1,2", "--km", "far", "-o", "a.nc"], 4, "--km 'far'"),
        (["--point=-80,2", "--radius", "1", "-o", "a.nc"], 4, "no point of it is inside"),
        (["--time", "2025-11", "-o", "a.nc"], 4, "no point of it is inside"),
        (["--time", "missing 3d", "-o", "a.nc"], 4, "is for searches"),
        (["--var", "signal", "-o", "s3://bucket/a.nc"], 4, "is an address and not a path"),
        (["--var", "signal", "-o", ""], 4, "'' is not the name of a file to write"),
        (["--var", "signal", "-o", "-"], 4, "not to standard output"),
        (["--var", "signal", "-o", "later/"], 4, "'later/' names a folder"),
        (["--var", "signal", "-o", "home"], 4, "Cannot use home: it is a folder"),
        (["--var", "ScienceData", "-o", "a.nc"], 4, "is a group of it; name its variables as ScienceData/*"),
        (["--var", "Data/signal", "-o", "a.nc"], 4, "did you mean ScienceData/signal?"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_cannot_be_cut_is_one_sentence(
    words: list[str], code: int, said: str, maap: Maap, home: Path, tmp_path: Path
) -> None:
    ended = maap("cut", ID, *words)
    assert (ended.code, ended.out) == (code, "") and said in ended.err, ended.err
    assert ended.err.count("\n") == 1 and not list(tmp_path.glob("*.nc"))


def test_what_the_result_lacks_is_said_and_no_other_run_changes_it(maap: Maap, home: Path) -> None:
    with h5py.File("a.h5", "w") as file:
        file["value"], file["lat"], file["lon"] = [1.0, 2.0], [0.0, 1.0], [0.0, 1.0]
        file["far"] = h5py.ExternalLink("b.h5", "/x")
    ended = maap("cut", "a.h5", "--bbox=0,0,5,5", "-o", "a.nc")
    assert (ended.code, ended.lines) == (4, ["a.nc"]) and "Left out: /far is a link" in ended.err


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nothing", "is neither a file here nor the name of a granule. Check the name"),
        ("home", "home is a folder, and a file is read"),
        ("/dev/null", "/dev/null is a device or a pipe, and a file is read"),
        ("BIO_S2_DGM__1S_20251212T000000_20251212T000021_T_G01_M01_C01_T001_F001_01_D00000", "has it"),
        ("FLX_L1B_OBS____20230712T080232_20230712T080510_20260110T131702_0158_100_064_0022_01", "a zip file"),
        ("AE_OPER_ALD_U_N_1B_20230430T231334006_005543989_027149_0001", "An HDF5 file is cut, and"),
        ("CS_OFFL_SIR_SIN_1B_20220917T114112_20220917T114240_E001.nc", "a classic netCDF format"),
        ("x" * 400, "is neither a file here nor the name of a granule"),
    ],
)
def test_a_name_that_means_nothing_is_said(name: str, said: str, maap: Maap, home: Path) -> None:
    ended = maap("cut", name, "--var", "a", "-o", "a.nc")
    assert ended.code == 4 and said in ended.err


def test_a_result_that_has_no_room_is_said_before_its_data_come(
    maap: Maap, archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    estimate = json.loads(maap("cut", ID, "--var", "signal", "--estimate", "--json").out)
    archive.stats.reset()
    monkeypatch.setenv("MAAP_DOWNLOADS_MIN_FREE", "1000T")
    ended = maap("cut", ID, "--var", "signal", "-o", "a.nc")
    assert (
        ended.code == 3 and "Too little space for" in ended.err and "name a file on another disk" in ended.err
    )
    assert archive.stats.show()["bytes_by_kind"]["data"] == estimate["asked"]
    assert not list(tmp_path.glob("*.nc"))


def test_variables_may_be_named_one_by_one(maap: Maap, home: Path) -> None:
    found = maap("cut", ID, "--var", "signal", "--var", "quality_status,time", "--estimate", "--json")
    names = {one["name"] for one in json.loads(found.out)["variables"]}
    assert names >= {"/ScienceData/signal", "/ScienceData/quality_status", "/ScienceData/time"}


def test_a_folder_in_the_place_of_the_result_costs_nothing(
    maap: Maap, archive: Archive, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    assert maap("cut", ID, "--var", "signal", "-o", "folder").code == 4
    assert "data" not in archive.stats.show()["bytes_by_kind"]


@pytest.mark.parametrize("how", [["--estimate"], ["-o", "a.nc"]])
def test_a_file_that_may_not_be_read_is_said(
    how: list[str], maap: Maap, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.h5").touch()
    opened = Path.open

    def refuse(path: Path, *words: object, **named: object) -> object:
        if path.name == "a.h5":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opened(path, *words, **named)

    monkeypatch.setattr(Path, "open", refuse)
    ended = maap("cut", "a.h5", "--var", "a", *how)
    assert (ended.code, ended.out) == (4, "") and ended.err == "Error: Cannot use a.h5: Permission denied\n"


def test_a_full_folder_for_temporary_files_is_named(
    maap: Maap, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*words: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", refuse)
    ended = maap("cut", ID, "--var", "signal", "--estimate")
    assert ended.code == 3 and ended.err.endswith("Free space there, or set TMPDIR to another folder.\n")
