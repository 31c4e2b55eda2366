"""Which points of a file are inside: by their latitude and longitude, and by their time.

For the process apart. The variables that say it are found by their names, as the missions of the archive and
the CF conventions have them; those of one dimension are preferred to those of two.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy

from maap_tui.engine.apart import CannotRead
from maap_tui.engine.cuts.contents import (
    DAMAGE,
    LATITUDE,
    TIME,
    Contents,
    Dimension,
    Slices,
    Variable,
    longitude_name,
)
from maap_tui.engine.geometry import EARTH_RADIUS_KM
from maap_tui.engine.netcdf import Clock, clock_of, counts_times

BLOCK_POINTS = 1 << 18
"""Points whose positions are looked at together."""
MOST_EAST = 540.0
"""Degrees of longitude, east or west, that a place may have."""


@dataclass(slots=True)
class Positions:
    """Two variables that say where the points along some dimensions are."""

    latitude: Variable
    longitude: Variable

    @property
    def keys(self) -> list[Dimension]:
        """The dimensions that they have together."""
        return list(dict.fromkeys([*self.latitude.keys, *self.longitude.keys]))


def positions_in(contents: Contents) -> list[Positions]:
    """The best pair for each first dimension."""
    found: dict[Dimension, tuple[tuple[Any, ...], Positions]] = {}
    for one in contents.variables.values():
        match = LATITUDE.fullmatch(one.name)
        if match is None or not one.shape or not _is_number(one):
            continue
        longitude = _longitude_of(contents, one, match)
        if longitude is None:
            continue
        pair = Positions(one, longitude)
        is_extra = bool(match["before"] or match["after"])
        rank = (is_extra, len(pair.keys), one.path.count("/"), one.path)
        if (best := found.get(one.keys[0])) is None or rank < best[0]:
            found[one.keys[0]] = rank, pair
    return [pair for _, pair in sorted(found.values(), key=lambda one: one[0])]


def _longitude_of(contents: Contents, latitude: Variable, match: re.Match[str]) -> Variable | None:
    name = longitude_name(match)
    group = latitude.path.rpartition("/")[0]
    for path, one in contents.variables.items():
        if path.lower() == f"{group}/{name}".lower() and one.shape and _is_number(one):
            is_grid = len(one.shape) == len(latitude.shape) == 1
            return one if is_grid or one.keys == latitude.keys else None
    return None


def times_in(contents: Contents) -> list[Variable]:
    """The best variable of times for each dimension."""
    found: dict[Dimension, tuple[tuple[Any, ...], Variable]] = {}
    for one in contents.variables.values():
        match = TIME.fullmatch(one.name)
        if match is None or len(one.shape) != 1 or not _is_number(one):
            continue
        if not counts_times(_text_of(one, "units")):
            continue
        rank = (not _is_read(one), bool(match[1] or match[3]), one.path.count("/"), one.path)
        if (best := found.get(one.keys[0])) is None or rank < best[0]:
            found[one.keys[0]] = rank, one
    return [one for _, one in sorted(found.values(), key=lambda one: one[0])]


def _is_number(one: Variable) -> bool:
    try:
        return one.data.dtype.kind in "fiu"
    except DAMAGE:
        return False


def _text_of(one: Variable, name: str) -> str:
    try:
        value = one.data.attrs.get(name, "")
    except DAMAGE:
        return ""
    if isinstance(value, numpy.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _clock_of(one: Variable) -> Clock:
    """What some times mean; CannotRead names them where they are of another calendar, or have other units."""
    try:
        return clock_of(_text_of(one, "units"), _text_of(one, "calendar"))
    except CannotRead as error:
        raise CannotRead(f"{error} ({one.path})") from None


def _is_read(one: Variable) -> bool:
    try:
        _clock_of(one)
    except CannotRead:
        return False
    return True


def values_of(one: Variable, raw: Any) -> Any:
    """The numbers of a variable as they are meant: NaN where there are none, scaled where they are packed.

    Args:
        one: the variable.
        raw: values of it as they are in the file.
    """
    values = numpy.asarray(raw, dtype="f8")
    for name in ("_FillValue", "missing_value"):
        fill = one.data.attrs.get(name)
        if fill is not None and numpy.size(fill) == 1:
            values = numpy.where(raw == numpy.reshape(fill, ()), numpy.nan, values)
    for name, use in (("scale_factor", numpy.multiply), ("add_offset", numpy.add)):
        by = one.data.attrs.get(name)
        if by is not None and numpy.size(by) == 1:
            values = use(values, float(numpy.reshape(by, ())))
    return values


def _rows_of(variables: Sequence[Variable]) -> Iterator[tuple[slice, list[Any]]]:
    """The rows of variables of one shape, some at a time: which they are, and the numbers of each.

    What is in memory does not depend on how many rows there are. Whole rows of chunks are read, so that none
    is unpacked twice, and become numbers in smaller steps.
    """
    shape = variables[0].shape
    rows = max(BLOCK_POINTS // max(math.prod(shape[1:]), 1), 1)
    chunk = max((one.data.chunks or (1,))[0] for one in variables)
    step = max(rows // chunk, 1) * chunk
    for begin in range(0, shape[0], step):
        end = min(begin + step, shape[0])
        raw = [one.data[begin:end] for one in variables]
        for at in range(begin, end, rows):
            here = slice(at, min(at + rows, end))
            inner = slice(here.start - begin, here.stop - begin)
            yield here, [values_of(one, some[inner]) for one, some in zip(variables, raw, strict=True)]


def inside_circle(latitude: Any, longitude: Any, circle: Sequence[float]) -> Any:
    """Whether points, in degrees, are within a circle of (latitude, longitude, km)."""
    here, there = numpy.radians(latitude), math.radians(circle[0])
    apart = numpy.radians(longitude - circle[1])
    half = numpy.sin((here - there) / 2) ** 2
    half = half + numpy.cos(here) * math.cos(there) * numpy.sin(apart / 2) ** 2
    km = 2 * EARTH_RADIUS_KM * numpy.arcsin(numpy.sqrt(numpy.clip(half, 0, 1)))
    is_place = (numpy.abs(latitude) <= 90) & (numpy.abs(longitude) <= MOST_EAST)
    return is_place & (km <= circle[2])


def inside_box(latitude: Any, longitude: Any, box: Sequence[float]) -> Any:
    """Whether points, in degrees, are in a box of (west, south, east, north); its edges belong to it."""
    west, south, east, north = box
    wrapped = (longitude + 180) % 360 - 180
    # 180 degrees east and west are one meridian.
    is_east = (wrapped <= east) | ((wrapped == -180) & (east == 180))
    is_west = (wrapped >= west) | ((wrapped == -180) & (east == 180))
    between = is_west & is_east if west <= east else is_west | is_east
    # What stands for no position, such as -999, would be somewhere too.
    between &= numpy.abs(longitude) <= MOST_EAST
    return (latitude >= south) & (latitude <= north) & between


def runs_of(mask: Any) -> Slices:
    """The stretches of a mask that are true."""
    edges = numpy.flatnonzero(numpy.diff(numpy.concatenate(([0], mask.astype("i1"), [0]))))
    return [(int(begin), int(end)) for begin, end in zip(edges[::2], edges[1::2], strict=True)]


def inside(
    contents: Contents,
    bring: Callable[[Sequence[Variable]], None],
    circle: Sequence[float] | None,
    box: Sequence[float] | None,
    time: Sequence[float] | None,
) -> dict[Dimension, Slices]:
    """What of each dimension is kept; [] where no point of it is inside.

    The first dimension of positions is cut into as many stretches as there are; a further one, as across the
    track of an imager, into one.

    Args:
        contents: the file.
        bring: has the data of variables here, before they are read.
        circle: latitude, longitude, km; None for none.
        box: west, south, east, north; None for none.
        time: seconds since 1970, the second of them not included; None for none.

    Raises:
        CannotRead: nothing in the file says where, or when, its points are, or not in a calendar we read.
    """
    masks: dict[Dimension, Any] = {}
    if time is not None:
        times = times_in(contents)
        if not times:
            raise CannotRead("it has no variable of times with units such as 'seconds since 2000-01-01'")
        clocks = [_clock_of(one) for one in times]
        bring(times)
        for one, clock in zip(times, clocks, strict=True):
            epoch = clock.origin.timestamp()
            mask = masks[one.keys[0]] = numpy.zeros(one.shape, dtype=bool)
            for here, (values,) in _rows_of([one]):
                moments = values * clock.seconds + epoch
                mask[here] = (moments >= time[0]) & (moments < time[1])
    kept = {key: runs_of(mask) for key, mask in masks.items()}
    if circle is None and box is None:
        return kept
    pairs = positions_in(contents)
    if not pairs:
        raise CannotRead("it has no variables of latitude and longitude")
    bring([one for pair in pairs for one in (pair.latitude, pair.longitude)])
    for pair in pairs:
        kept.update(_of_positions(pair, circle, box, masks))
    return kept


def _of_positions(
    pair: Positions, circle: Sequence[float] | None, box: Sequence[float] | None, masks: dict[Dimension, Any]
) -> Iterator[tuple[Dimension, Slices]]:
    found = [numpy.zeros(sizes, dtype=bool) for sizes in _sizes_of(pair)]
    for here, latitude, longitude in _pieces_of(pair):
        piece: Any = True
        if circle is not None:
            piece = inside_circle(latitude, longitude, circle)
        if box is not None:
            piece = piece & inside_box(latitude, longitude, box)
        for axis, key in enumerate(pair.keys):
            if key in masks:
                mask = masks[key][here] if axis == 0 else masks[key]
                piece = piece & mask.reshape([-1 if at == axis else 1 for at in range(piece.ndim)])
        for axis, along in enumerate(found):
            line = piece.any(axis=tuple(at for at in range(piece.ndim) if at != axis))
            if axis == 0:
                along[here] = line
            else:
                along |= line
    for axis, key in enumerate(pair.keys):
        runs = runs_of(found[axis])
        yield key, runs if axis == 0 or not runs else [(runs[0][0], runs[-1][1])]


def _sizes_of(pair: Positions) -> list[int]:
    """Points along each dimension of the positions."""
    is_grid = pair.latitude.keys != pair.longitude.keys
    return [*pair.latitude.shape, *(pair.longitude.shape if is_grid else ())]


def _pieces_of(pair: Positions) -> Iterator[tuple[slice, Any, Any]]:
    """Latitudes and longitudes, degrees, of some rows at a time, and which rows."""
    if pair.latitude.keys == pair.longitude.keys:
        for here, (latitude, longitude) in _rows_of([pair.latitude, pair.longitude]):
            yield here, latitude, longitude
        return
    # A grid: each row has all columns.
    longitude = numpy.concatenate([values for _, (values,) in _rows_of([pair.longitude])])[None, :]
    rows = max(BLOCK_POINTS // max(longitude.size, 1), 1)
    for some, (latitude,) in _rows_of([pair.latitude]):
        for at in range(0, len(latitude), rows):
            piece = latitude[at : at + rows, None]
            yield slice(some.start + at, some.start + at + len(piece)), piece, longitude
