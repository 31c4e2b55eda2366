"""What data files say of themselves: HDF5 and netCDF as their own libraries write them, and damaged ones."""

from __future__ import annotations

import os
import struct
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from maap_tui.demo import hdf5
from maap_tui.engine import headers
from maap_tui.engine.apart import run_apart
from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.headers import HeaderObject, headers_of, lines_of

pytestmark = pytest.mark.usefixtures("apart_at_once")


def write_science(path: Path) -> None:
    """A file with what headers of real ones have, and what could lead a reader astray."""
    with h5py.File(path, "w", libver="latest") as file:
        file.attrs["mission"] = "EarthCARE"
        file.attrs["bounds"] = np.array([1.5, float("nan")])
        group = file.create_group("ScienceData")
        data = group.create_dataset("cloud", (3, 4), "f4", maxshape=(None, 4))
        data.attrs["units"] = "g m-3"
        data.attrs["long_name"] = "water content"
        data.attrs["many"] = np.arange(100)
        data.attrs.create("huge", np.zeros(100_000, "u1"))
        data.attrs["DIMENSION_LIST"] = "left out"
        group["label"] = "words"
        group["nothing"] = h5py.Empty("f8")
        group["kind"] = np.dtype("i2")
        group["itself"] = group
        group["soft"] = h5py.SoftLink("/ScienceData/cloud")
        group["far"] = h5py.ExternalLink("/etc/passwd", "/data")
        group[b"\xff\xfe"] = 1  # a name that is no text


async def test_an_hdf5_file_is_described_without_its_data(tmp_path: Path) -> None:
    write_science(tmp_path / "a.h5")
    found = await headers_of(tmp_path / "a.h5")
    by_name = {one.name: one for one in found.objects}
    assert (found.format, found.left_out, found.size) == ("HDF5", 0, (tmp_path / "a.h5").stat().st_size)
    assert by_name["/"].attributes == {"mission": "EarthCARE", "bounds": [1.5, "nan"]}
    cloud = by_name["/ScienceData/cloud"]
    assert (cloud.kind, cloud.shape, cloud.dtype, cloud.units) == ("variable", [3, 4], "float32", "g m-3")
    assert cloud.attributes["many"] == [*range(16), "... 100 in all"]
    assert cloud.attributes["huge"] == "(100,000 bytes)"
    assert set(cloud.attributes) == {"units", "long_name", "many", "huge"}
    assert by_name["/ScienceData/label"].dtype == "text" and by_name["/ScienceData/label"].shape == []
    assert by_name["/ScienceData/nothing"].shape is None
    assert by_name["/ScienceData/kind"].kind == "type"
    # Links are named, not followed; a group within itself is listed once more, and not entered.
    assert by_name["/ScienceData/far"] == HeaderObject(
        "/ScienceData/far", "link", None, "", "", {"to": "/etc/passwd:/data"}
    )
    assert by_name["/ScienceData/soft"].attributes == {"to": "/ScienceData/cloud"}
    assert by_name["/ScienceData/itself"].kind == "group"
    assert not any(name.startswith("/ScienceData/itself/") for name in by_name)
    lines = list(lines_of(found))
    assert lines[0][0].endswith(", 3 variables")
    assert ("    cloud  float32  3 x 4  g m-3", False) in lines
    assert ("      long_name: water content", True) in lines


async def test_a_long_file_is_cut_and_says_so(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for number in range(headers.MOST_OBJECTS + 50):
            file.create_group(f"g{number:05}")
    found = await headers_of(tmp_path / "a.h5")
    assert len(found.objects) == headers.MOST_OBJECTS and found.left_out == 51
    assert list(lines_of(found, 100))[-1][0].endswith(" more groups and variables")
    assert len(list(lines_of(found, 100))) < 110


async def test_attributes_beyond_those_that_are_listed_are_counted(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w", track_order=True) as file:
        for number in range(headers.MOST_ATTRIBUTES + 3):
            file.attrs[f"a{number:03}"] = number
    (root,) = (await headers_of(tmp_path / "a.h5")).objects
    assert len(root.attributes) == headers.MOST_ATTRIBUTES + 1
    assert root.attributes["..."] == "3 more attributes"


def netcdf(version: int) -> bytes:
    """A classic file as the specification has it: a dimension of records, one of 3, two attributes, data."""

    def count(value: int) -> bytes:
        return struct.pack(">Q" if version == 5 else ">I", value)

    def padded(data: bytes) -> bytes:
        return count(len(data)) + data + bytes(-len(data) % 4)

    def text(name: bytes, value: bytes) -> bytes:
        return padded(name) + struct.pack(">I", 2) + padded(value)

    dimensions = padded(b"time") + count(0) + padded(b"x") + count(3)
    units = text(b"units", b"m") + padded(b"valid") + struct.pack(">I", 3) + count(2)
    units += struct.pack(">hh", -5, 7)
    begin = struct.pack(">I" if version == 1 else ">Q", 1000)
    variable = padded(b"height") + count(2) + count(0) + count(1)
    variable += struct.pack(">I", 12) + count(2) + units + struct.pack(">I", 6) + count(24) + begin
    return (
        b"CDF"
        + bytes([version])
        + count(4)
        + struct.pack(">I", 10)
        + count(2)
        + dimensions
        + struct.pack(">I", 12)
        + count(1)
        + text(b"title", b"a track")
        + struct.pack(">I", 11)
        + count(1)
        + variable
        + bytes(200)
    )


@pytest.mark.parametrize("version", [1, 2, 5])
async def test_a_classic_netcdf_file_is_read_without_a_package(
    version: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    (tmp_path / "a.nc").write_bytes(netcdf(version))
    found = await headers_of(tmp_path / "a.nc")
    assert found.format == "netCDF"
    assert found.objects == [
        HeaderObject("/", "group", None, "", "", {"title": "a track"}),
        HeaderObject("/height", "variable", [4, 3], "float64", "m", {"units": "m", "valid": [-5, 7]}),
    ]


WHOLE = hdf5.content("a", 0, 30_000, [(0.0, 0.0), (10.0, 10.0)], 0, 1)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (WHOLE[:3000], "it is damaged or cut off: its header cannot be read"),
        (WHOLE[:600] + bytes(1500) + WHOLE[2100:], "damaged"),
        (b"", "it is neither HDF5 nor netCDF"),
        (b"<html>", "it is neither HDF5 nor netCDF"),
        (b"PK\x03\x04", "it is a zip file"),
        (b"CDF\x01" + os.urandom(40), "its netCDF header is damaged"),
        (netcdf(5)[:90], "its netCDF header is damaged"),
        # More dimensions than bytes.
        (b"CDF\x01" + struct.pack(">III", 0, 10, 0xFFFFFFFF), "its netCDF header is damaged"),
    ],
    ids=["cut", "damaged", "empty", "page", "zip", "noise", "short", "many"],
)
async def test_what_cannot_be_read_is_said_in_a_sentence(data: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_bytes(data)
    with pytest.raises(InvalidRequestError) as caught:
        await headers_of(tmp_path / "a.h5")
    assert caught.value.message.startswith("a.h5: ") and words in caught.value.message


async def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.h5")
    for path in (tmp_path / "pipe.h5", tmp_path, tmp_path / "gone.h5"):
        with pytest.raises(InvalidRequestError, match="is not a file that is here"):
            await headers_of(path)


async def test_reading_that_does_not_end_is_ended(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.h5")
    with pytest.raises(InvalidRequestError, match="longer than 1 s"):
        await run_apart("maap_tui.engine.headers", str(tmp_path / "pipe.h5"), time_s=1.0)


async def test_without_the_package_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    (tmp_path / "a.h5").write_bytes(WHOLE)
    with pytest.raises(InvalidRequestError) as caught:
        await headers_of(tmp_path / "a.h5")
    assert caught.value.hint == "Run: pip install 'maap-tui[hdf5]'"
