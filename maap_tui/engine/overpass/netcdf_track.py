"""The track of a platform in a netCDF file, by the CF conventions. Run as a program, it reads its argument.

Time, latitude and longitude are found by `standard_name`, by their units, or by their name; each has one
dimension, the same for all.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from maap_tui.engine.apart import CannotRead, demand, finish, run_apart
from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.model import parse_zulu
from maap_tui.engine.netcdf import clock_of, counts_times, is_classic, read_classic, values_of
from maap_tui.engine.overpass.tracks import LATITUDES, LONGITUDES, TIMES, PlatformTrack

_MOST = 400_000
"""Positions of a file."""


async def read_netcdf(path: Path) -> PlatformTrack:
    """Read the track of a file here, in a process apart.

    Raises:
        InvalidRequestError: it cannot be read, in a sentence that names it; or the package is not installed.
    """
    try:
        with path.open("rb") as file:
            is_old = is_classic(file.read(8))
    except OSError as error:
        raise InvalidRequestError(f"{path} cannot be read ({error.strerror})") from error
    if not is_old:
        demand("h5py", "hdf5", "Reading netCDF-4")
    try:
        found = json.loads(await run_apart(__name__, str(path)))
    except InvalidRequestError as error:
        raise InvalidRequestError(f"{path.name}: {error.message}", error.hint) from None
    origin, scale = parse_zulu(found["origin"]), found["scale"]
    track = PlatformTrack(path.name)
    rows = zip(found["time"], found["latitude"], found["longitude"], strict=True)
    for number, (seconds, latitude, longitude) in enumerate(rows, 1):
        where = f"position {number}"
        if None in (seconds, latitude, longitude):
            track.skip(where, "it has a missing value")
            continue
        try:
            moment = origin + timedelta(seconds=seconds * scale)
        except OverflowError:
            track.skip(where, f"{seconds:g} is not a time")
            continue
        track.add(where, moment, latitude, longitude)
    return track.finished()


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        if is_classic(file.read(8)):
            file.seek(0)
            _, variables = read_classic(file)
            listed = {one.name: (one.attributes, one.shape) for one in variables}
            by_name = {one.name: one for one in variables}
            return _chosen(listed, lambda name: values_of(file, by_name[name]))
    import h5py

    try:
        opened = h5py.File(path, "r", locking=False)
    except OSError:
        raise CannotRead("it is not a netCDF file, or not all of one") from None
    with opened:
        listed = {}
        for name, one in opened.items():
            if isinstance(one, h5py.Dataset) and one.dtype.kind in "iuf":
                listed[name] = ({key: _plain(one.attrs[key]) for key in one.attrs}, list(one.shape))
        return _chosen(listed, lambda name: [float(value) for value in opened[name][()]])


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if getattr(value, "shape", None) == (1,):
        return _plain(value[0])
    return value


def _chosen(
    listed: Mapping[str, tuple[Mapping[str, Any], Sequence[int]]], values: Callable[[str], Sequence[float]]
) -> bytes:
    """Time, latitude and longitude of a file as JSON; null for what is missing."""
    tests: dict[str, tuple[Callable[[str], bool], Sequence[str]]] = {
        "time": (counts_times, TIMES),
        "latitude": (lambda units: units in ("degrees_north", "degree_north", "degrees_n"), LATITUDES),
        "longitude": (lambda units: units in ("degrees_east", "degree_east", "degrees_e"), LONGITUDES),
    }
    names = {kind: _find(listed, kind, fits, known) for kind, (fits, known) in tests.items()}
    shapes = {tuple(listed[name][1]) for name in names.values()}
    if len(shapes) > 1 or any(len(shape) != 1 for shape in shapes):
        raise CannotRead("its time, latitude and longitude do not have one and the same dimension")
    if next(iter(shapes))[0] > _MOST:
        raise CannotRead(f"it has more than {_MOST:,} positions; thin it out, or write it as a table")
    own = listed[names["time"]][0]
    clock = clock_of(str(own.get("units", "")), str(own.get("calendar", "")))
    found: dict[str, Any] = {"origin": clock.origin.isoformat(), "scale": clock.seconds}
    for kind, name in names.items():
        found[kind] = [_value(one, listed[name][0]) for one in values(name)]
    return json.dumps(found).encode()


def _find(
    listed: Mapping[str, tuple[Mapping[str, Any], Sequence[int]]],
    kind: str,
    fits: Callable[[str], bool],
    known: Sequence[str],
) -> str:
    """The variable of a kind."""
    by_standard = [name for name, (own, _) in listed.items() if own.get("standard_name") == kind]
    by_name = [name for wanted in known for name in listed if name.lower() == wanted]
    by_units = [name for name, (own, _) in listed.items() if fits(str(own.get("units", "")).lower())]
    for name in (*by_standard, *(name for name in by_name if name in by_units), *by_units, *by_name):
        return name
    raise CannotRead(f"it has no variable for {kind} (by standard_name, units or name)")


def _value(value: float, attributes: Mapping[str, Any]) -> float | None:
    """What a number of the file means; None where it stands for a missing one."""
    missing = [attributes.get(name) for name in ("_FillValue", "missing_value")]
    if not math.isfinite(value) or any(one is not None and value == one for one in missing):
        return None
    scaled = value * float(attributes.get("scale_factor", 1.0)) + float(attributes.get("add_offset", 0.0))
    return scaled if math.isfinite(scaled) else None


if __name__ == "__main__":
    finish(lambda: _read(sys.argv[1]))
