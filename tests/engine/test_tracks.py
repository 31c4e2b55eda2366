"""Tracks of platforms as files have them: tables, GPX, netCDF; what cannot be used is named and counted."""

from __future__ import annotations

import struct
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.overpass import tracks
from maap_tui.engine.overpass.meeting import Way
from maap_tui.engine.overpass.tracks import PlatformTrack, pieces, read_csv, read_gpx
from maap_tui.engine.workflows.match import read_track

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
WANTED = [(NOON, (20.5, -30.25)), (NOON + timedelta(minutes=1), (20.75, -30.0))]


def plain(track: PlatformTrack) -> list[tuple[datetime, tuple[float, float]]]:
    return [(one.time, one.at) for one in track.fixes]


@pytest.mark.parametrize(
    "text",
    [
        "time,lat,lon\n2026-01-02T12:00:00Z,-30.25,20.5\n2026-01-02T12:01:00Z,-30,20.75\n",
        "time,lat,lon\r\n2026-01-02 12:00:00,-30.25,20.5\r\n2026-01-02 12:01,-30,20.75",
        "\ufeff# a ship\n\nLongitude (deg E);LATITUDE [deg];Date Time;T\n20,5;-30,25;2026-01-02 12:00;1\n"
        "20,75;-30,0;2026/01/02 12:01:00 UTC;2\n",
        "x\ty\ttimestamp\n20.5\t-30.25\t1767355200\n20.75\t-30\t1767355260.0\n",
        "date|time|lon|lat\n2026-01-02|12:00:00|20.5|-30.25\n2026-01-02|12:01|20.75|-30.0\n",
        "name, utc , latitude,longitude\n\"a, b\",2026-01-02T13:00:00+01:00,-30.25,380.5\n"
        "c,20260102T120100Z,-30,20.75\n".replace("380.5", "20.5"),
        "date,lat,lon\n2026-01-02T12:01:00Z,-30,20.75\n2026-01-02T12:00:00Z,-30.25,20.5\n"
        "2026-01-02T12:00:00Z,-30.25,20.5\n",
        "Date/Time,Latitude,Longitude\n2026-01-02T12:00:00Z,-30.25,20.5\n2026-01-02T12:01:00Z,-30,20.75\n",
    ],
)  # fmt: skip
def test_tables(text: str) -> None:
    track = read_csv(text.encode("utf-8"), "ship.csv")
    assert plain(track) == WANTED
    assert (track.skipped, track.left_out) == ([], 0)


def test_rows_that_cannot_be_used_are_named_by_their_line() -> None:
    text = (
        "# made by hand\ntime,lat,lon\n2026-01-02T12:00:00Z,-30.25,20.5\nnever,1,2\n"
        "2026-01-02T12:05:00Z,95,2\n2026-01-02T12:06:00Z,5,999\n2026-01-02T12:07:00Z,north,2\n"
        "2026-01-02T12:08:00Z,5\n2026-01-02T12:09:00Z,nan,2\n2026-01-02T12:01:00Z,-30,20.75\n"
        "2026-01-02T12:01:00Z,-31,20.75\n"
    )
    track = read_csv(text.encode(), "ship.csv")
    assert plain(track) == WANTED
    assert track.skipped == [
        "line 4: 'never' is not a time; write 2026-01-31T12:00:00Z",
        "line 5: 95 is not a latitude",
        "line 6: 999 is not a longitude",
        "line 7: 'north' is not a number",
        "line 8: it has 2 fields",
        "line 9: nan is not a latitude",
        "2026-01-02T12:01:00Z: another position has the same time",
    ]
    many = "time,lat,lon\n2026-01-02T12:00:00Z,1,1\n" + "x,1,1\n" * 500
    assert (len(read_csv(many.encode(), "a").skipped), read_csv(many.encode(), "a").left_out) == (10, 500)


def test_text_of_a_spreadsheet_in_utf_16() -> None:
    text = "time\tlat\tlon\r\n2026-01-02 12:00\t-30.25\t20.5\r\n2026-01-02 12:01\t-30\t20.75\r\n"
    for encoding in ("utf-16-le", "utf-16-be"):
        data = f"\ufeff{text}".encode(encoding)
        assert plain(read_csv(data, "ship.txt")) == WANTED
        assert plain(read_csv(data[:-1], "ship.txt")) == WANTED, "cut in the middle of a letter"


def test_times_and_fields_that_no_track_has() -> None:
    rows = "".join(f"{year}-01-01T00:00:00Z,1,1\n" for year in ("0001", "1899", "2150", "9999"))
    text = f"time,lat,lon\n2026-01-02T12:00:00Z,-30.25,{'1' * 200_000}\n{rows}"
    track = read_csv((text + "2026-01-02T12:00:00Z,-30.25,20.5\n2026-01-02T12:01,-30,20.75\n").encode(), "a")
    assert plain(track) == WANTED
    assert track.skipped == [
        "line 2: a field that is too long",
        *(f"line {number}: no satellite flies in the year {year}"
          for number, year in enumerate((1, 1899, 2150, 9999), 3)),
    ]  # fmt: skip


def test_a_track_that_is_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracks, "MOST_FIXES", 3)
    rows = [(f"2026-01-02T12:0{minute}:00Z", minute) for minute in range(4)]
    table = "time,lat,lon\n" + "".join(f"{time},{at},{at}\n" for time, at in rows)
    points = "".join(f'<wpt lat="{at}" lon="{at}"><time>{time}</time></wpt>' for time, at in rows)
    for read, data in ((read_csv, table), (read_gpx, f"<gpx>{points}</gpx>")):
        with pytest.raises(InvalidRequestError, match=r"^ship has more than 3 positions$") as raised:
            read(data.encode(), "ship")
        assert raised.value.hint.startswith("Thin it out")


def test_a_long_track_takes_little_memory() -> None:
    """A million positions are possible: each may take some hundred bytes, from the file to the way."""
    count = 10_000
    lines = [
        f"{(NOON + timedelta(seconds=n)).isoformat()},{n / count:.5f},{n / count:.5f}" for n in range(count)
    ]
    data = "\n".join(["time,lat,lon", *lines]).encode()
    tracemalloc.start()
    try:
        way = Way(read_csv(data, "ship.csv").fixes)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(way.fixes) == count and most / count < 400


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"time,lat,lon,{'x' * 200_000}\n", "is not a table: line 1 has a field that is too long"),
        ("2026-01-02T12:00:00Z,1,2\n2026-01-02T12:01:00Z,1,2\n", "no column for time"),
        ("time,lat,lon\n0001-01-01,1,2\n", "no position with a time (line 2: no satellite flies"),
        ("", "ship.csv is empty"),
        ("# only this\n", "ship.csv is empty"),
        ("time,lat\n1,2\n", "no column for longitude (it has time, lat)"),
        ("when,lat,lon\n1,2,3\n", "no column for time"),
        ("time,lat,lon\n", "no position with a time"),
        ("time,lat,lon\nx,1,1\n", "line 2: 'x' is not a time"),
        ("\x00\x01\x02", "no column for time"),
    ],
)
def test_tables_that_say_nothing(text: str, said: str) -> None:
    with pytest.raises(InvalidRequestError) as raised:
        read_csv(text.encode(), "ship.csv")
    assert said in raised.value.message


def gpx(inner: str) -> bytes:
    head = '<?xml version="1.0"?><gpx xmlns="http://www.topografix.com/GPX/1/1" version="1.1">'
    return f"{head}{inner}</gpx>".encode()


POINT = '<{0} lat="{1}" lon="{2}"><ele>3</ele><time>{3}</time><name>a</name></{0}>'


def points(kind: str) -> str:
    rows = ((-30.25, 20.5, "2026-01-02T12:00:00Z"), (-30, 20.75, "2026-01-02T12:01:00.000Z"))
    return "".join(POINT.format(kind, *row) for row in rows)


@pytest.mark.parametrize(
    "inner",
    [
        f"<trk><name>t</name><trkseg>{points('trkpt')}</trkseg></trk>",
        f"<rte>{points('rtept')}</rte>",
        f"<metadata><time>2020-01-01T00:00:00Z</time></metadata>{points('wpt')}",
        f"<wpt lat='1' lon='2'/><trk><trkseg>{points('trkpt')}</trkseg></trk>",
    ],
)
def test_gpx(inner: str) -> None:
    track = read_gpx(gpx(inner), "flight.gpx")
    assert plain(track) == WANTED and track.left_out == 0


def test_gpx_with_prefixes_and_points_without_a_time() -> None:
    data = (
        b'<g:gpx xmlns:g="http://www.topografix.com/GPX/1/0"><g:trk><g:trkseg>'
        b'<g:trkpt lat="1" lon="2"/><g:trkpt lon="2"><g:time>2026-01-02T12:00:00Z</g:time></g:trkpt>'
        b'<g:trkpt lat="1" lon="2"><g:time>2026-01-02T12:00:00Z</g:time></g:trkpt></g:trkseg></g:trk></g:gpx>'
    )
    track = read_gpx(data, "a.gpx")
    assert plain(track) == [(NOON, (2.0, 1.0))]
    assert track.skipped == ["trkpt 1: it has no time", "trkpt 2: '' is not a number"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b'<!DOCTYPE gpx [<!ENTITY a "b"><!ENTITY c "&a;&a;">]><gpx>&c;</gpx>', "declares a document type"),
        (b'<!DOCTYPE gpx SYSTEM "file:///etc/passwd"><gpx/>', "declares a document type"),
        (b"<gpx><trkpt>", "is not XML"),
        (gpx(""), "no position with a time"),
        (b"\xff\xfe\x00", "is not XML"),
    ],
)
def test_gpx_that_is_not_read(data: bytes, said: str) -> None:
    with pytest.raises(InvalidRequestError) as raised:
        read_gpx(data, "a.gpx")
    assert said in raised.value.message and raised.value.message.count("a.gpx") == 1


def make_hdf5(path: Path, units: str, times: Any, **attributes: Any) -> None:
    with h5py.File(path, "w") as file:
        time = file.create_dataset("obs_time", data=times)
        time.attrs["units"] = units
        time.attrs["standard_name"] = "time"
        for name, value in attributes.items():
            time.attrs[name] = value
        lat = file.create_dataset("a", data=np.array([-3025, -3000], "i2"))
        lat.attrs["units"], lat.attrs["scale_factor"] = "degrees_north", 0.01
        lon = file.create_dataset("LON", data=np.array([20.5, 20.75], "f4"))
        lon.attrs["_FillValue"] = np.float32(-999)
        file.create_dataset("height", data=np.zeros((2, 3)))


@pytest.mark.parametrize(
    ("units", "times"),
    [
        ("seconds since 1970-01-01", np.array([1767355200, 1767355260], "i8")),
        ("days since 2026-01-01 00:00:00", np.array([1.5, 1.5 + 1 / 1440])),
        ("hours since 2026-1-2T0:00:00Z", np.array([12.0, 12 + 1 / 60])),
        ("minutes since 2026-01-02 12:00:00 UTC", np.array([0, 1], "u1")),
        ("milliseconds since 2026-01-02T13:00:00+01:00", np.array([0, 60_000], "i4")),
        ("seconds since 2026-01-02 6:00:00. -6:00", np.array([0, 60], "i4")),
    ],
)
async def test_netcdf_4(units: str, times: Any, tmp_path: Path) -> None:
    make_hdf5(tmp_path / "ship.nc", units, times, calendar="standard")
    track = await read_track(tmp_path / "ship.nc")
    assert [one.at for one in track.fixes] == [pytest.approx(at, abs=1e-6) for _, at in WANTED]
    for one, (moment, _) in zip(track.fixes, WANTED, strict=True):
        assert abs(one.time - moment) < timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("units", "attributes", "said"),
    [
        ("fortnights since 2026-01-01", {}, "the units of its time"),
        ("seconds since yesterday", {}, "is not a time"),
        ("days since 2026-01-01", {"calendar": "360_day"}, "calendar 360_day"),
        ("days since 1-1-1", {}, "before the calendar in use began"),
    ],
)
async def test_netcdf_with_times_that_are_not_read(
    units: str, attributes: dict[str, str], said: str, tmp_path: Path
) -> None:
    make_hdf5(tmp_path / "ship.nc", units, np.array([1.0, 2.0]), **attributes)
    with pytest.raises(InvalidRequestError) as raised:
        await read_track(tmp_path / "ship.nc")
    assert said in raised.value.message


def classic(*, records: bool) -> bytes:
    """A netCDF file of the first format: time, lat, lon along one dimension, which may grow."""

    def text(value: str) -> bytes:
        data = value.encode()
        return struct.pack(">i", len(data)) + data + b"\0" * (-len(data) % 4)

    def attribute(name: str, value: str) -> bytes:
        return text(name) + struct.pack(">i", 2) + text(value)

    columns = {
        "time": (6, ">d", [0.0, 60.0], attribute("units", "seconds since 2026-01-02 12:00:00")),
        "lat": (5, ">f", [-30.25, -30.0], attribute("units", "degrees_north")),
        "flag": (3, ">h", [7, 8], attribute("long_name", "a flag")),
        "lon": (5, ">f", [20.5, 20.75], attribute("units", "degrees_east")),
    }
    sizes = {name: struct.calcsize(form) * (1 if records else 2) for name, (_, form, _, _) in columns.items()}
    padded = {name: size + -size % 4 for name, size in sizes.items()}

    def head(begins: dict[str, int]) -> bytes:
        found = b"CDF\x01" + struct.pack(">i", 2 if records else 0)
        found += struct.pack(">ii", 10, 1) + text("obs") + struct.pack(">i", 0 if records else 2)
        found += struct.pack(">ii", 0, 0) + struct.pack(">ii", 11, len(columns))
        for name, (kind, _, _, own) in columns.items():
            found += text(name) + struct.pack(">ii", 1, 0) + struct.pack(">ii", 12, 1) + own
            found += struct.pack(">iii", kind, padded[name], begins[name])
        return found

    at = len(head(dict.fromkeys(columns, 0)))
    begins = {}
    for name in columns:
        begins[name] = at
        at += padded[name]
    data = head(begins)
    if records:
        for number in range(2):
            for _, form, values, _ in columns.values():
                one = struct.pack(form, values[number])
                data += one + b"\0" * (-len(one) % 4)
    else:
        for _, form, values, _ in columns.values():
            one = b"".join(struct.pack(form, value) for value in values)
            data += one + b"\0" * (-len(one) % 4)
    return data


@pytest.mark.parametrize("records", [True, False], ids=["growing", "fixed"])
async def test_classic_netcdf(records: bool, tmp_path: Path) -> None:
    (tmp_path / "ship.nc").write_bytes(classic(records=records))
    track = await read_track(tmp_path / "ship.nc")
    assert plain(track) == WANTED


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "ship.nc: "),
        (b"CDF\x01" + b"\xff" * 60, "netCDF header is damaged"),
        (classic(records=True)[:-9], "ends too early"),
        (
            classic(records=True).replace(b"degrees_east", b"metres_going").replace(b"lon", b"far"),
            "no variable",
        ),
        (b"\x89HDF\r\n\x1a\n" + b"\0" * 100, "ship.nc: "),
    ],
)
async def test_netcdf_that_is_not_read(data: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "ship.nc").write_bytes(data)
    with pytest.raises(InvalidRequestError) as raised:
        await read_track(tmp_path / "ship.nc")
    assert said in raised.value.message


async def test_missing_values_are_skipped(tmp_path: Path) -> None:
    make_hdf5(tmp_path / "ship.nc", "seconds since 1970-01-01", np.array([1767355200.0, np.nan]))
    track = await read_track(tmp_path / "ship.nc")
    assert (len(track.fixes), track.skipped) == (1, ["position 2: it has a missing value"])


async def test_what_is_not_netcdf_is_said_plainly(tmp_path: Path) -> None:
    (tmp_path / "ship.nc").write_bytes(b"time,lat,lon\n")
    with pytest.raises(InvalidRequestError, match=r"^ship\.nc: it is not a netCDF file, or not all of one$"):
        await read_track(tmp_path / "ship.nc")


@pytest.mark.parametrize("name", ["nowhere.csv", "folder", "nowhere.nc"])
async def test_files_that_are_not_there(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(InvalidRequestError, match=name):
        await read_track(tmp_path / name)


def test_a_gap_parts_a_track() -> None:
    text = "time,lat,lon\n" + "".join(f"2026-01-{day:02}T00:00:00Z,{day},1\n" for day in (1, 2, 3, 9, 10))
    track = read_csv(text.encode(), "a")
    assert [len(piece) for piece in pieces(track, timedelta(days=1))] == [3, 2]
    assert [len(piece) for piece in pieces(track, timedelta(days=7))] == [5]
    assert [len(piece) for piece in pieces(track, timedelta(hours=1))] == [1] * 5
