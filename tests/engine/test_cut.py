"""Parts of data files: equal to a slice of the whole, fetched by ranges, of one version, never half there."""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from maap_tui.demo import Archive
from maap_tui.engine.cuts.remote import FIRST
from maap_tui.engine.cuts.request import Cut
from maap_tui.engine.cuts.stretches import BLOCK
from maap_tui.engine.errors import InvalidRequestError, NothingInsideError, exit_code_of
from maap_tui.engine.model import TimeRange
from maap_tui.engine.query import Box, Circle
from tests.engine.cut_files import BARE, ROWS, chunk_bytes, data_bytes, write_all
from tests.engine.cut_kit import BEGIN, COUNT, END, EQUATOR, START, Make, at_server, compare, here, there
from tests.engine.raw_files import FileServer, RawFile

pytestmark = pytest.mark.usefixtures("apart_at_once")


async def test_a_file_of_the_newest_format_is_cut(session: Make, raw: FileServer, tmp_path: Path) -> None:
    write_all(tmp_path / "new.h5", "latest")
    file = RawFile((tmp_path / "new.h5").read_bytes())
    async with at_server(session, raw) as engine:
        found = await engine.cut(there(raw.at("/new.h5", file)), Cut(box=EQUATOR), tmp_path / "a.nc")
    assert compare(tmp_path / "new.h5", tmp_path / "a.nc", BEGIN, END) == COUNT and found.left_out == []
    positions = chunk_bytes(tmp_path / "new.h5", 0, ROWS, names=("latitude", "longitude", "time"))
    headers = len(file.body) - data_bytes(tmp_path / "new.h5")
    needed = chunk_bytes(tmp_path / "new.h5", BEGIN, END) + positions
    assert file.served <= needed + headers + BLOCK * len(file.starts) + FIRST


async def test_a_part_is_equal_to_a_slice_of_the_whole(
    everything: Path, session: Make, raw: FileServer, tmp_path: Path
) -> None:
    file = RawFile(everything.read_bytes())
    source = there(raw.at("/all.h5", file))
    async with at_server(session, raw) as engine:
        told: list[Any] = []
        found = await engine.cut(
            source, Cut(box=EQUATOR), tmp_path / "a.nc", command="maap cut x", before=told.append
        )
    assert compare(everything, tmp_path / "a.nc", BEGIN, END) == len(found.variables) == COUNT
    assert found.left_out == [] and [span.kept for span in found.spans] == [[[BEGIN, END]]]
    # No byte came but those of the chunks that are needed, of positions and times, and of headers.
    positions = chunk_bytes(everything, 0, ROWS, names=("latitude", "longitude", "time"))
    headers = len(file.body) - data_bytes(everything)
    limit = chunk_bytes(everything, BEGIN, END) + positions + headers + BLOCK * len(file.starts) + FIRST
    assert found.received == file.served <= limit < len(file.body)
    assert told[0].needed + told[0].asked <= found.received
    with h5py.File(tmp_path / "a.nc") as result:
        said = dict(result.attrs)
        assert said["history"].splitlines()[1:] == ["made for a test"] and said["mission"] == "EarthCARE"
        assert (said["maap_source"], said["maap_source_etag"]) == (source.url, '"one"')
        assert (said["maap_source_id"], said["maap_baseline"]) == ("G", "BC")
        assert said["maap_source_size"] == str(len(file.body)) and said["maap_command"] == "maap cut x"
        assert said["maap_kept"] == f"/ScienceData/along_track [[{BEGIN}, {END}]]"
        assert result["ScienceData/along_track"].attrs["NAME"] == (BARE % (END - BEGIN)).encode()


async def test_a_file_here_is_cut_without_the_archive(
    everything: Path, session: Make, archive: Archive, tmp_path: Path
) -> None:
    async with session() as engine:
        found = await engine.cut(here(everything), Cut(box=EQUATOR), tmp_path / "a.nc")
    assert compare(everything, tmp_path / "a.nc", BEGIN, END) == COUNT
    assert (found.needed, found.asked, found.received) == (0, 0, 0)
    assert archive.stats.show()["bytes_by_kind"] == {}
    with h5py.File(tmp_path / "a.nc") as result:
        assert len(result.attrs["maap_source_sha256"]) == 64


async def test_named_variables_bring_positions_and_dimensions(
    everything: Path, session: Make, raw: FileServer, tmp_path: Path
) -> None:
    file = RawFile(everything.read_bytes())
    async with at_server(session, raw) as engine:
        found = await engine.cut(
            there(raw.at("/all.h5", file)),
            Cut(("holes", "/HeaderData/small"), box=EQUATOR),
            tmp_path / "a.nc",
        )
    names = {one.name for one in found.variables}
    along = {
        f"/ScienceData/{name}" for name in ("holes", "latitude", "longitude", "time", "along_track", "height")
    }
    assert names == along | {"/HeaderData/small"}
    with h5py.File(tmp_path / "a.nc") as result, h5py.File(everything) as whole:
        assert np.array_equal(result["ScienceData/holes"][:], whole["ScienceData/holes"][BEGIN:END])
        assert result["HeaderData/small"].shape == (12,)


@pytest.mark.parametrize(
    ("cut", "begin", "end"),
    [
        (Cut(circle=Circle(0, 13.33, 300)), 455, 545),
        (Cut(time=TimeRange(START + timedelta(seconds=60), START + timedelta(seconds=120))), 240, 480),
        (Cut(("time",)), 0, ROWS),
        (Cut(box=EQUATOR, time=TimeRange(START + timedelta(seconds=125), START + timedelta(1))), 500, END),
    ],
    ids=["circle", "time", "variables", "box and time"],
)  # fmt: skip
async def test_points_are_chosen_by_place_and_time(
    cut: Cut, begin: int, end: int, everything: Path, session: Make, tmp_path: Path
) -> None:
    async with session() as engine:
        found = await engine.cut(here(everything), cut, tmp_path / "a.nc")
        assert await engine.estimate_cut(here(everything), cut)
    with h5py.File(tmp_path / "a.nc") as result:
        time = result["ScienceData/time"][:]
    if cut.circle is None:
        assert (time[0] * 4, time[-1] * 4 + 1) == (begin, end)
    else:
        assert abs(time[0] * 4 - begin) < 6 and abs(time[-1] * 4 + 1 - end) < 6
    assert all(span.size == ROWS for span in found.spans)


async def test_a_track_that_comes_back_is_kept_in_stretches(session: Make, tmp_path: Path) -> None:
    latitude = np.concatenate([np.linspace(0, 80, 100), np.linspace(80, 0, 100)])
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["lat"], file["lon"] = latitude, np.full(200, 359.0)
        file["value"] = np.arange(200)
    async with session() as engine:
        found = await engine.cut(here(tmp_path / "a.h5"), Cut(box=Box(-2, 10, 0, 20)), tmp_path / "b.nc")
    kept = np.flatnonzero((latitude >= 10) & (latitude <= 20))
    assert len(found.spans[0].kept) == 2 and found.spans[0].points == len(kept)
    with h5py.File(tmp_path / "b.nc") as result:
        assert np.array_equal(result["value"][:], kept)


async def test_an_imager_is_cut_across_its_track_too(session: Make, tmp_path: Path) -> None:
    along, across = np.mgrid[0:60, 0:40]
    latitude, longitude = along * 1.0, across * 0.5
    with h5py.File(tmp_path / "a.h5", "w") as file:
        group = file.create_group("ScienceData")
        group["latitude"], group["longitude"] = latitude, longitude
        group["bands"] = np.arange(60 * 40 * 3).reshape(60, 3, 40)
        group["line"] = np.arange(60)
        group["column"] = np.arange(40)
        group["other"] = np.arange(7)
    async with session() as engine:
        await engine.cut(here(tmp_path / "a.h5"), Cut(box=Box(5, 10, 8, 20)), tmp_path / "b.nc")
    with h5py.File(tmp_path / "a.h5") as whole, h5py.File(tmp_path / "b.nc") as part:
        assert np.array_equal(part["ScienceData/bands"], whole["ScienceData/bands"][10:21, :, 10:17])
        assert np.array_equal(part["ScienceData/line"], np.arange(10, 21))
        assert np.array_equal(part["ScienceData/column"], np.arange(10, 17))
        assert part["ScienceData/other"].shape == (7,)


MEASURED = """
import asyncio, resource, sys
from pathlib import Path
from maap_tui.engine.cuts.request import Cut
from maap_tui.engine.query import Box
from maap_tui.engine.session import Session
from maap_tui.engine.workflows.cut import Source

async def cut(path, wanted):
    async with Session.load() as engine:
        await engine.cut(Source(path.name, "", path), wanted, path.with_suffix(".nc"))
        print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)

asyncio.run(cut(Path(sys.argv[1]), eval(sys.argv[2])))
"""
"""Cuts a file, and prints the most memory that what read it had, in KiB."""


async def peak_kib(path: Path, cut: Cut) -> int:
    """Cut a file that is here into one of its name with the suffix `.nc`; returns the most memory."""
    ended = await asyncio.create_subprocess_exec(
        sys.executable, "-c", MEASURED, str(path), repr(cut),
        stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    said, _ = await ended.communicate()
    return int(said)


async def test_memory_does_not_grow_with_the_rows_of_an_imager(home: Path, tmp_path: Path) -> None:
    peaks = []
    for rows in (2000, 8000):
        path = tmp_path / f"{rows}.h5"
        with h5py.File(path, "w") as file:
            how = {"chunks": (50, 1000), "compression": "gzip", "fillvalue": -999}
            latitude, longitude = (
                file.create_dataset(name, (rows, 1000), "f4", **how) for name in ("lat", "lon")
            )
            latitude[rows // 2 :: rows // 4], longitude[rows // 2] = 15, 0
            file.create_dataset("whole", (rows, 1000), "f4", **how)[rows // 2] = 1
        peaks.append(await peak_kib(path, Cut(box=Box(-10, 10, 10, 20))))
        with h5py.File(path.with_suffix(".nc")) as part:
            assert part["lat"].shape == (1, 1000) and part["whole"][0, 0] == 1
    assert peaks[1] < peaks[0] + 30_000


async def test_memory_does_not_grow_with_the_columns_that_are_copied(home: Path, tmp_path: Path) -> None:
    peaks = []
    for size in (1000, 3500):
        path = tmp_path / f"{size}.h5"
        with h5py.File(path, "w") as file:
            far = file.create_dataset("far", (2, size, size), "f8", chunks=(2, 500, 500), compression="gzip")
            far[1, 498:502, size - 1] = [1, 2, 3, 4]
        peaks.append(await peak_kib(path, Cut(("far",))))
        with h5py.File(path.with_suffix(".nc")) as part:
            assert part["far"][1, 497:503, size - 1].tolist() == [0, 1, 2, 3, 4, 0]
    assert peaks[1] < peaks[0] + 60_000


async def test_groups_of_equal_lengths_have_points_of_their_own(session: Make, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for number, name in enumerate(("north", "south")):
            group = file.create_group(f"data/{name}")
            group["latitude"] = np.linspace(0, 9, 10) * (1 - 2 * number)
            group["longitude"] = np.zeros(10)
            group["deep/value"] = np.arange(10)
        file["data/other/value"] = np.arange(10)
        # These have positions in one group only, which hold for all that is below the same one.
        file["one/where/lat"], file["one/where/lon"] = np.arange(10.0), np.zeros(10)
        file["one/what/value"] = np.arange(10)
    async with session() as engine:
        await engine.cut(here(tmp_path / "a.h5"), Cut(box=Box(-1, -4, 1, 2)), tmp_path / "b.nc")
    with h5py.File(tmp_path / "b.nc") as part:
        assert part["data/north/deep/value"][:].tolist() == [0, 1, 2]
        assert part["data/south/deep/value"][:].tolist() == [0, 1, 2, 3, 4]
        assert part["data/other/value"].shape == (10,)
        assert part["one/what/value"][:].tolist() == [0, 1, 2]


async def test_groups_of_equal_lengths_have_times_of_their_own(session: Make, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for number, name in enumerate(("early", "late")):
            group = file.create_group(f"data/{name}")
            group["time"] = np.arange(10.0) + 5 * number
            group["time"].attrs["units"] = "seconds since 2025-12-01"
            group["value"] = np.arange(10)
    async with session() as engine:
        cut = Cut(time=TimeRange(START, START + timedelta(seconds=7)))
        await engine.cut(here(tmp_path / "a.h5"), cut, tmp_path / "b.nc")
    with h5py.File(tmp_path / "b.nc") as part:
        assert [part[f"data/{name}/value"].shape for name in ("early", "late")] == [(7,), (2,)]


@pytest.mark.parametrize(
    ("units", "calendar", "words"),
    [
        ("days since 2025-12-01", "360_day", "of the calendar 360_day, not of the one in use"),
        ("days since 0001-01-01", "standard", "before the calendar in use began"),
        ("months since 2025-12-01", "", "are not as in 'seconds since 1970-01-01'"),
        ("days since 2025-13-01", "", "is not a time"),
    ],
)
async def test_times_that_are_not_read_are_refused(
    units: str, calendar: str, words: str, session: Make, tmp_path: Path
) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for group in ("one", "two"):
            file[f"{group}/time"] = np.arange(10.0)
            file[f"{group}/time"].attrs["units"] = "days since 2025-12-01"
            file[f"{group}/value"] = np.arange(10)
        file["one/time"].attrs["units"] = units
        file["one/time"].attrs["calendar"] = calendar
    cut = Cut(time=TimeRange(START, START + timedelta(days=7)))
    async with session() as engine:
        with pytest.raises(InvalidRequestError, match=words) as caught:
            await engine.cut(here(tmp_path / "a.h5"), cut, tmp_path / "b.nc")
        assert "/one/time" in caught.value.message and exit_code_of(caught.value) == 4
        # Another variable along the same dimension that is read will do.
        with h5py.File(tmp_path / "a.h5", "a") as file:
            file["one/time_utc"] = np.arange(10.0)
            file["one/time_utc"].attrs["units"] = "days since 2025-12-01 01:00:00.00 +1:00"
        await engine.cut(here(tmp_path / "a.h5"), cut, tmp_path / "b.nc")
    with h5py.File(tmp_path / "b.nc") as part:
        assert part["one/value"].shape == part["two/value"].shape == (7,)


async def test_no_position_is_not_a_place(session: Make, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["lat"] = np.array([10, 10, -999, 10, np.nan, 9.97e36, 10], "f4")
        file["lon"] = np.array([81, -999, 81, 9.97e36, 81, 81, np.nan], "f4")
    async with session() as engine:
        for where in (Cut(box=Box(-180, -90, 180, 90)), Cut(circle=Circle(10, 81, 15_000))):
            found = await engine.estimate_cut(here(tmp_path / "a.h5"), where)
            assert found.spans[0].kept == [[0, 1]]


async def test_packed_positions_of_two_resolutions_and_a_grid(session: Make, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for end, rows in (("20_ku", 400), ("01", 20)):
            for name, values in (("lat", np.linspace(0, 40, rows)), ("lon", np.full(rows, -5.0))):
                made = file.create_dataset(f"{name}_{end}", data=(values * 1e6).astype("i4"))
                made.attrs["scale_factor"] = 1e-6
            file[f"value_{end}"] = np.arange(rows)
    with h5py.File(tmp_path / "grid.h5", "w") as file:
        file["latitude"], file["longitude"] = np.linspace(-90, 90, 19), np.arange(0, 360, 10.0)
        file["field"] = np.arange(19 * 36).reshape(19, 36)
    async with session() as engine:
        await engine.cut(here(tmp_path / "a.h5"), Cut(box=Box(-10, 10, 0, 20)), tmp_path / "b.nc")
        await engine.cut(here(tmp_path / "grid.h5"), Cut(box=Box(10, 0, 30, 20)), tmp_path / "c.nc")
    with h5py.File(tmp_path / "b.nc") as part:
        assert part["value_20_ku"].shape == (100,) and part["value_01"].shape == (5,)
    with h5py.File(tmp_path / "c.nc") as part:
        assert part["field"].shape == (3, 3) and part["field"][0, 0] == 9 * 36 + 1


async def test_what_leads_out_of_the_file_is_left_out(session: Make, tmp_path: Path) -> None:
    secret = tmp_path / "secret.bin"
    secret.write_bytes(b"\1" * 80)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["value"] = np.arange(3)
        file.create_dataset("outside", (10,), "f8", external=[(str(secret), 0, 80)])
        file["far"] = h5py.ExternalLink(str(tmp_path / "b.h5"), "/x")
        file["soft"] = h5py.SoftLink("/value")
        layout = h5py.VirtualLayout((3,), "i8")
        layout[:] = h5py.VirtualSource(str(tmp_path / "b.h5"), "x", (3,))
        file.create_virtual_dataset("made_of", layout)
        file["ref"] = file["value"].ref
        file["itself"] = file["/"]
    async with session() as engine:
        with pytest.raises(InvalidRequestError, match="has its data in another file"):
            await engine.cut(here(tmp_path / "a.h5"), Cut(("outside",)), tmp_path / "c.nc")
        found = await engine.cut(here(tmp_path / "a.h5"), Cut(("value",)), tmp_path / "c.nc")
        assert [one.name for one in found.variables] == ["/value"]
        with h5py.File(tmp_path / "a.h5", "a") as file:
            file["lat"], file["lon"] = np.arange(3.0), np.arange(3.0)
        found = await engine.cut(here(tmp_path / "a.h5"), Cut(box=Box(0, 0, 5, 5)), tmp_path / "c.nc")
    assert len(found.left_out) == 5 and not any("itself" in words for words in found.left_out)
    with h5py.File(tmp_path / "c.nc") as part:
        assert set(part) == {"value", "lat", "lon"}


@pytest.mark.parametrize(
    ("cut", "error", "words"),
    [
        (Cut(("lattitude",)), InvalidRequestError, "no variable 'lattitude'; did you mean latitude"),
        (Cut(box=Box(-180, 80, 180, 90)), NothingInsideError, "no point of it is inside"),
        (Cut(("holes",), circle=Circle(80, 0, 1)), NothingInsideError, "no point of it is inside"),
    ],
)
async def test_what_cannot_be_cut_is_said_and_leaves_no_file(
    cut: Cut, error: type[Exception], words: str, everything: Path, session: Make, tmp_path: Path
) -> None:
    async with session() as engine:
        for work in (
            engine.cut(here(everything), cut, tmp_path / "a.nc"),
            engine.estimate_cut(here(everything), cut),
        ):
            with pytest.raises(error, match=words) as caught:
                await work
            assert exit_code_of(caught.value) == 4
    assert [path.name for path in tmp_path.iterdir()] == ["home"]
