"""Parts of data files: equal to a slice of the whole, fetched by ranges, of one version, never half there."""

from __future__ import annotations

import asyncio
import io
import os
import sys
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from maap_tui.demo import Archive
from maap_tui.engine.cuts.hints import following
from maap_tui.engine.cuts.points import inside_box, inside_circle
from maap_tui.engine.cuts.remote import FIRST, ChangedError, NoRangesError
from maap_tui.engine.cuts.request import Cut
from maap_tui.engine.cuts.stretches import BLOCK, Stretches, joined
from maap_tui.engine.download.requests import DownloadOutcome, DownloadRequest
from maap_tui.engine.download.transfer import Transfer
from maap_tui.engine.errors import DownloadError, InvalidRequestError, NothingInsideError, exit_code_of
from maap_tui.engine.geometry import EARTH_RADIUS_KM, angle, vector
from maap_tui.engine.model import TimeRange
from maap_tui.engine.query import Box, Circle
from maap_tui.engine.session import Session
from maap_tui.engine.workflows.cut import Source, remote_file
from tests.engine.cut_files import BARE, ROWS, chunk_bytes, data_bytes, latitudes, write_all
from tests.engine.raw_files import FileServer, RawFile, Request, answer
from tests.engine.transfer_kit import Remote

Make = Callable[..., Session]
EQUATOR = Box(-180, -5, 180, 5)
START = datetime(2025, 12, 1, tzinfo=UTC)
KEPT = np.flatnonzero(np.abs(latitudes()) <= 5)
COUNT = 108
"""Variables of the file of everything."""
BEGIN, END = int(KEPT[0]), int(KEPT[-1]) + 1
L2 = "EarthCAREL2Validated_MAAP"


@pytest.fixture
async def raw() -> AsyncIterator[FileServer]:
    async with FileServer() as server:
        yield server


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of all types and layouts; not to be written to."""
    path = tmp_path_factory.mktemp("cut") / "all.h5"
    write_all(path)
    return path


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


def here(path: Path) -> Source:
    return Source(path.name, "", path)


def there(url: str) -> Source:
    return Source(url.rpartition("/")[2], url, None, granule="G", baseline="BC")


def at_server(session: Make, server: FileServer, **settings: object) -> Session:
    """A session that trusts a server with the token."""
    return session(bulk=True, **{"api.data_origins": [server.url], **settings})


def same(one: Any, other: Any) -> bool:
    if one.dtype == object:
        pairs = zip(np.atleast_1d(one), np.atleast_1d(other), strict=True)
        return one.shape == other.shape and all(np.array_equal(a, b) for a, b in pairs)
    return one.dtype == other.dtype and one.tobytes() == other.tobytes()


def compare(whole: Path, part: Path, begin: int, end: int, *, lacking: set[str] = frozenset()) -> int:
    """Compare each variable of a part with the slice of the whole; returns how many there are."""
    count = 0
    with h5py.File(whole) as old, h5py.File(part) as new:

        def look(name: str, thing: Any) -> None:
            nonlocal count
            if name.rpartition("/")[2] in lacking:
                assert name not in new
                return
            made = new[name]
            own = {"CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST"}
            assert set(thing.attrs) - own == set(made.attrs) - own
            for key in set(thing.attrs) - own:
                assert same(np.asarray(thing.attrs[key]), np.asarray(made.attrs[key])), (name, key)
            if not isinstance(thing, h5py.Dataset):
                return
            count += 1
            assert thing.id.get_type() == made.id.get_type(), name
            if thing.shape is None:
                assert made.shape is None
                return
            kept = tuple(slice(begin, end) if size == ROWS else slice(None) for size in thing.shape)
            wanted = thing[kept] if thing.shape else thing[()]
            assert same(np.asarray(wanted), np.asarray(made[()])), name
            assert same(np.asarray(thing.fillvalue), np.asarray(made.fillvalue))
            for axis in range(len(thing.shape)):
                assert thing.dims[axis].keys() == made.dims[axis].keys() or thing.dims[axis].keys() == [
                    BARE % ROWS
                ]
                assert [scale.name for scale in thing.dims[axis].values()] == [
                    scale.name for scale in made.dims[axis].values()
                ]

        old.visititems(look)
    return count


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


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9])
async def test_a_damaged_file_is_an_error_and_no_result(
    share: float, everything: Path, session: Make, tmp_path: Path
) -> None:
    body = bytearray(everything.read_bytes())
    at = int(len(body) * share)
    (tmp_path / "a.h5").write_bytes(body[:at] + os.urandom(4000) if share else b"CDF\1" + bytes(100))
    async with session() as engine:
        with pytest.raises(InvalidRequestError, match=r"^a\.h5: "):
            await engine.cut(here(tmp_path / "a.h5"), Cut(box=EQUATOR), tmp_path / "a.nc")
    assert not (tmp_path / "a.nc").exists()


async def test_a_file_replaced_meanwhile_is_read_from_scratch(
    session: Make, archive: Archive, remote: Callable[..., Remote], tmp_path: Path
) -> None:
    file = remote(product="ATL_EBD_2A", baseline="BA")
    source = Source(file.name, file.url, None, file.size)
    replaced: list[int] = []

    def replace(needs: Any) -> None:
        if not replaced:
            archive.control(replace=file.name)
        replaced.append(needs.needed)

    async with session(bulk=True) as engine:
        found = await engine.cut(
            source, Cut(("signal",), box=Box(-180, -90, 180, 0)), tmp_path / "a.nc", before=replace
        )
    assert len(replaced) == 2
    (tmp_path / "whole.h5").write_bytes(file.content)
    ((begin, end),) = found.spans[0].kept
    with h5py.File(tmp_path / "whole.h5") as whole, h5py.File(tmp_path / "a.nc") as part:
        assert np.array_equal(part["ScienceData/signal"], whole["ScienceData/signal"][begin:end])


async def test_a_file_that_changes_each_time_is_a_transient_failure(
    session: Make, archive: Archive, remote: Callable[..., Remote], tmp_path: Path
) -> None:
    file = remote()
    async with session(bulk=True, **{"downloads.retries": 2}) as engine:
        with pytest.raises(DownloadError, match="was replaced at the archive") as caught:
            await engine.cut(
                Source(file.name, file.url, None),
                Cut(("signal",)),
                tmp_path / "a.nc",
                before=lambda needs: archive.control(replace=file.name),
            )
    assert exit_code_of(caught.value) == 3 and not (tmp_path / "a.nc").exists()


async def test_bytes_served_by_the_archive_are_those_of_the_estimate(
    session: Make, archive: Archive, remote: Callable[..., Remote], tmp_path: Path
) -> None:
    file = remote(product="ATL_EBD_2A", baseline="BA")
    async with session(bulk=True) as engine:
        source = await engine.cut_source(file.name, L2)
        assert (source.url, source.size, source.baseline) == (file.url, file.size, "BA")
        latitude = float(np.median([at for _, at in file.granule.series.axis.track(file.granule.number)]))
        cut = Cut(("signal",), box=Box(-180, latitude - 1, 180, latitude + 1))
        estimate = await engine.estimate_cut(source, cut)
        assert archive.stats.show()["bytes_by_kind"]["data"] == estimate.asked
        archive.stats.reset()
        found = await engine.cut(source, cut, tmp_path / "a.nc")
    served = archive.stats.show()["bytes_by_kind"]["data"]
    assert served == found.received == estimate.asked + estimate.needed < file.size / 4
    signal = next(one for one in found.variables if one.name == "/ScienceData/signal")
    assert 0 < signal.bytes < file.size / 10 and found.spans[0].points > 0


@pytest.mark.parametrize(
    "fault", [{"cut_after": 9000}, {"status": 503}, {"status": 401}, {"html_login": True}]
)
async def test_a_range_that_fails_is_asked_for_again(
    fault: dict[str, Any], session: Make, archive: Archive, remote: Callable[..., Remote], tmp_path: Path
) -> None:
    file = remote()
    archive.faults.add(**fault, target="data", times=1, after=1)
    async with session(bulk=True) as engine:
        await engine.cut(Source(file.name, file.url, None), Cut(("signal",)), tmp_path / "a.nc")
    (tmp_path / "whole.h5").write_bytes(file.content)
    with h5py.File(tmp_path / "whole.h5") as whole, h5py.File(tmp_path / "a.nc") as part:
        assert np.array_equal(part["ScienceData/signal"], whole["ScienceData/signal"])


async def test_a_server_without_ranges_needs_the_whole_file(
    everything: Path, session: Make, raw: FileServer, tmp_path: Path
) -> None:
    file = RawFile(everything.read_bytes(), ranges=False)
    source = there(raw.at("/all.h5", file))
    async with at_server(session, raw) as engine:
        for work in (
            engine.cut(source, Cut(box=EQUATOR), tmp_path / "a.nc"),
            engine.estimate_cut(source, Cut(box=EQUATOR)),
        ):
            with pytest.raises(NoRangesError, match="only whole files") as caught:
                await work
            assert exit_code_of(caught.value) == 4 and "--whole" in caught.value.hint
        found = await engine.cut(source, Cut(box=EQUATOR), tmp_path / "a.nc", whole=True)
    assert compare(everything, tmp_path / "a.nc", BEGIN, END) == COUNT
    assert found.received == len(file.body)
    assert not list((tmp_path / "home").rglob("all.h5*"))


async def test_several_cuts_of_one_whole_file_at_once(
    everything: Path, session: Make, raw: FileServer, tmp_path: Path
) -> None:
    """Whoever is done first removes the file that all of them fetched, which the others still read."""
    source = there(raw.at("/all.h5", RawFile(everything.read_bytes(), ranges=False)))
    names = [tmp_path / f"{number}.nc" for number in range(5)]
    async with at_server(session, raw) as one, at_server(session, raw) as other:
        await asyncio.gather(
            *(
                engine.cut(source, Cut(box=EQUATOR), name, whole=True)
                for engine, name in zip([one, other, one, other, one], names, strict=True)
            )
        )
    for name in names:
        assert compare(everything, name, BEGIN, END) == COUNT
    assert not list((tmp_path / "home").rglob("all.h5*"))


async def test_a_whole_file_that_goes_before_it_is_read_is_fetched_again(
    everything: Path, session: Make, raw: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by a cut of another process that is done with it at that moment."""
    source = there(raw.at("/all.h5", RawFile(everything.read_bytes(), ranges=False)))
    fetch, gone = Transfer.fetch, []

    async def beside(transfer: Transfer, wanted: DownloadRequest) -> DownloadOutcome:
        outcome = await fetch(transfer, wanted)
        if not gone:
            outcome.path.unlink()
            gone.append(outcome.path)
        return outcome

    monkeypatch.setattr(Transfer, "fetch", beside)
    async with at_server(session, raw) as engine:
        found = await engine.cut(source, Cut(box=EQUATOR), tmp_path / "a.nc", whole=True)
    assert compare(everything, tmp_path / "a.nc", BEGIN, END) == COUNT and gone
    assert found.received == 2 * everything.stat().st_size


async def test_an_estimate_of_a_whole_file_fetches_nothing(
    everything: Path, session: Make, raw: FileServer, tmp_path: Path
) -> None:
    body = everything.read_bytes()
    source = there(raw.at("/all.h5", RawFile(body, ranges=False)))
    async with at_server(session, raw) as engine:
        found = await engine.estimate_cut(source, Cut(box=EQUATOR), whole=True)
        assert (found.size, found.needed, found.requests, found.asked) == (len(body), len(body), 1, 0)
        assert found.variables == [] and "whole file" in found.needs
    assert not list((tmp_path / "home").rglob("all.h5*"))


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"ranges": False}, DownloadError, "the whole file came where a range was asked for"),
        ({"ranges": False, "etag": '"two"'}, ChangedError, "was replaced at the archive"),
        ({"if_range": False, "etag": '"two"'}, ChangedError, "was replaced at the archive"),
        ({"body": bytes(50_000), "etag": '"two"'}, ChangedError, "was replaced at the archive"),
        ({"body": bytes(20_000), "etag": '"two"'}, ChangedError, "was replaced at the archive"),
        ({"body": bytes(90_000)}, ChangedError, "was replaced at the archive"),
        ({"shift": 5}, DownloadError, "another range than the one asked for"),
        ({"cuts": [10] * 9}, DownloadError, "broke|ended before"),
    ],
    ids=str,
)
async def test_a_server_that_changes_between_two_reads(
    changes: dict[str, Any], error: type[Exception], said: str, session: Make, raw: FileServer
) -> None:
    file = RawFile(bytes(60_000))
    came: dict[int, bytes] = {}
    async with at_server(session, raw, **{"downloads.retries": 2}) as engine:
        remote = remote_file(engine, there(raw.at("/a.h5", file)))
        await remote.open(came.__setitem__)
        for name, value in changes.items():
            setattr(file, name, value)
        with pytest.raises(error, match=said):
            await remote.read([(40_000, 45_000)], came.__setitem__)


async def test_an_empty_file_at_the_server_is_said(session: Make, raw: FileServer, tmp_path: Path) -> None:
    source = there(raw.at("/a.h5", RawFile(b"")))
    async with at_server(session, raw) as engine:
        with pytest.raises(DownloadError, match="it has no bytes"):
            await engine.cut(source, Cut(("x",)), tmp_path / "a.nc")


async def test_the_token_goes_to_no_other_origin(
    session: Make, archive: Archive, remote: Callable[..., Remote], raw: FileServer, tmp_path: Path
) -> None:
    async with session(bulk=True) as engine:
        with pytest.raises(DownloadError, match="not on the archive"):
            await engine.cut(there(f"{raw.url}/a.h5"), Cut(("x",)), tmp_path / "a.nc")
        assert raw.requests == []
        raw.at("/data/" + remote().url.partition("/data/")[2], answer("401 Unauthorized"))
        archive.faults.add(redirect=raw.url)
        with pytest.raises(DownloadError, match="is not trusted with it"):
            await engine.cut(there(remote().url), Cut(("x",)), tmp_path / "a.nc")
    assert [request.headers.get("authorization") for request in raw.requests] == [None]


async def test_a_cut_that_is_cancelled_leaves_nothing(
    session: Make, raw: FileServer, everything: Path, tmp_path: Path
) -> None:
    asked = asyncio.Event()
    file = RawFile(everything.read_bytes())

    async def hold(request: Request, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await asyncio.Event().wait()

    url = raw.at("/all.h5", file, hold)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.nc").write_bytes(b"before")
    async with at_server(session, raw) as engine:
        running = asyncio.create_task(engine.cut(there(url), Cut(box=EQUATOR), tmp_path / "out" / "a.nc"))
        await asked.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.nc"]
    assert (tmp_path / "out" / "a.nc").read_bytes() == b"before"


def test_stretches_know_what_is_missing() -> None:
    rng = np.random.default_rng(3)
    for _ in range(200):
        known, here = np.zeros(60, bool), Stretches()
        for begin, length in rng.integers(0, 30, (rng.integers(0, 9), 2)):
            here.add(int(begin), int(begin + length))
            known[begin : begin + length] = True
        wanted = [(int(begin), int(begin + length)) for begin, length in rng.integers(0, 30, (4, 2))]
        mask = np.zeros(60, bool)
        for begin, end in wanted:
            mask[begin:end] = True
        found = here.missing(wanted)
        assert found == joined(found)
        left = np.zeros(60, bool)
        for begin, end in found:
            left[begin:end] = True
        assert np.array_equal(left, mask & ~known)


def test_an_index_of_chunks_names_the_nodes_below_it(tmp_path: Path) -> None:
    reads: list[tuple[int, int]] = []

    class Watched(io.BytesIO):
        def readinto(self, buffer: Any) -> int:
            reads.append((self.tell(), self.tell() + len(buffer)))
            return super().readinto(buffer)

    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("value", data=np.ones((9000, 3), "i2"), chunks=(4, 3), compression="gzip")
    body = (tmp_path / "a.h5").read_bytes()
    with h5py.File(Watched(body)) as file:
        value = file["value"]
        reads.clear()
        value.id.chunk_iter(lambda chunk: None)
    begin, end = reads[0]
    below = following(body[begin:end])
    assert len(below) > 30 and set(reads[1:]) == set(below)
    leaf = body[slice(*below[0])]
    assert following(leaf) == [] and following(body[begin : begin + 40]) == [] and following(b"TREE\1") == []


@pytest.mark.parametrize("place", [(0.0, 0.0), (89.5, 30.0), (-90.0, 0.0), (12.0, 179.9), (-45.0, -180.0)])
def test_points_near_a_place_are_those_of_another_formula(place: tuple[float, float]) -> None:
    draw = np.random.default_rng(7)
    latitude = np.degrees(np.arcsin(draw.uniform(-1, 1, 4000)))
    longitude = draw.uniform(-180, 360, 4000)
    there = vector(place[1], place[0])
    km = (
        np.array([angle(vector(*at), there) for at in zip(longitude, latitude, strict=True)])
        * EARTH_RADIUS_KM
    )
    for radius in (50.0, 2000.0, 9000.0):
        found = inside_circle(latitude, longitude, (*place, radius))
        assert np.array_equal(found, km <= radius)
    assert not inside_circle(np.array([np.nan, 9.97e36]), np.array([0.0, 0.0]), (*place, 20_000.0)).any()


@pytest.mark.parametrize(
    ("box", "inside"),
    [
        ((-10, -5, 10, 5), [(0, 0), (-10, 5), (10, -5), (350, 0), (370, 0)]),
        ((170, -5, -170, 5), [(180, 0), (-180, 0), (175, 1), (-175, -1), (190, 5)]),
        ((170, -5, 180, 5), [(180, 0), (-180, 0), (170, 0)]),
        ((-180, -90, 180, 90), [(0, 90), (180, -90), (-180, 0), (359, 0)]),
    ],
)
def test_points_in_a_box_are_those_of_its_meridians(
    box: tuple[float, ...], inside: list[tuple[float, float]]
) -> None:
    longitude, latitude = np.array(inside, dtype="f8").T
    assert inside_box(latitude, longitude, box).all()
    assert not inside_box(np.array([6.0, 0.0, np.nan]), np.array([0.0, 60.0, 0.0]), (-10, -5, 10, 5)).any()


def test_a_cut_is_written_as_the_command_that_makes_it() -> None:
    time = TimeRange(START, START + timedelta(minutes=1))
    cut = Cut(("a", "ScienceData/b"), circle=Circle(-61.84, 24.29, 100), time=time)
    assert cut.command("X") == (
        "maap cut X --var=a,ScienceData/b --point=-61.84,24.29 --radius=100 "
        "--time=2025-12-01T00:00:00Z/2025-12-01T00:00:59Z"
    )
    assert Cut(box=Box(170, -5, -170, 5)).command("a b.h5") == "maap cut 'a b.h5' --bbox=170,-5,-170,5"
    with pytest.raises(InvalidRequestError, match="cannot be used with"):
        Cut(circle=Circle(0, 0), box=EQUATOR)
