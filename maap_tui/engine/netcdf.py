"""The header of a netCDF file of the classic formats (netCDF-4 is HDF5), its numbers, units of times.

CDF-1, CDF-2 and CDF-5, as the netCDF file format specification has them; times and calendars of any netCDF
file, as the CF conventions have them (4.4).
"""

from __future__ import annotations

import math
import re
import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, BinaryIO, NamedTuple

from maap_tui.engine.apart import CannotRead

MOST_HEADER = 16 << 20
"""Bytes of a header that is read."""

_TYPES = {
    1: ("int8", "b", 1), 2: ("char", "s", 1), 3: ("int16", "h", 2), 4: ("int32", "i", 4),
    5: ("float32", "f", 4), 6: ("float64", "d", 8), 7: ("uint8", "B", 1), 8: ("uint16", "H", 2),
    9: ("uint32", "I", 4), 10: ("int64", "q", 8), 11: ("uint64", "Q", 8),
}  # fmt: skip
"""Number of a type -> its name, its letter in `struct`, its bytes."""
_SECONDS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
    **dict.fromkeys(("ms", "msec", "millisecond", "milliseconds"), 1e-3),
    **dict.fromkeys(("us", "microsecond", "microseconds"), 1e-6),
    **dict.fromkeys(("ns", "nanosecond", "nanoseconds"), 1e-9),
}
_SINCE = re.compile(r"\s*(\w+)\s+since\s+(.+?)\s*", re.I)
_ORIGIN = re.compile(
    r"(?P<year>\d{1,4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})"
    r"(?:(?:\s+|T)(?P<hour>\d{1,2}):(?P<minute>\d{1,2})(?::(?P<second>\d{1,2}(?:\.\d*)?))?)?"
    r"\s*(?:Z|UTC|GMT|(?P<sign>[+-])(?P<hours>\d{1,2})(?::?(?P<minutes>\d{2}))?)?",
    re.I,
)
_CALENDARS = frozenset({"", "standard", "gregorian", "proleptic_gregorian", "utc"})
"""The names of the calendar in use; that before 1582-10-15 is another one to the first three."""
_GREGORIAN = datetime(1582, 10, 15, tzinfo=UTC)
_DIMENSION, _VARIABLE, _ATTRIBUTE = 10, 11, 12


@dataclass(slots=True)
class Variable:
    """A variable of a classic file."""

    name: str
    dimensions: list[str]
    shape: list[int]
    dtype: str
    attributes: dict[str, Any] = field(default_factory=dict)
    begins: int = 0
    """Where its first number is in the file."""
    stride: int = 0
    """Bytes from a record to the next one; 0 for a variable that does not grow with the records."""


def is_classic(head: bytes) -> bool:
    """Whether a file begins as one of the classic formats."""
    return head[:3] == b"CDF" and head[3:4] in (b"\1", b"\2", b"\5")


def read_classic(file: BinaryIO) -> tuple[dict[str, Any], list[Variable]]:
    """The attributes of a file and its variables.

    Raises:
        CannotRead: it is damaged.
    """
    reader = _Reader(file.read(MOST_HEADER))
    try:
        return reader.header()
    except (struct.error, IndexError, KeyError, ValueError) as error:
        raise CannotRead("its netCDF header is damaged") from error


def values_of(file: BinaryIO, variable: Variable) -> list[float]:
    """The numbers of a variable of one dimension.

    Raises:
        CannotRead: it has none, or the file ends before the last of them.
    """
    letter, size = next((letter, size) for name, letter, size in _TYPES.values() if name == variable.dtype)
    if letter == "s" or len(variable.shape) != 1:
        raise CannotRead(f"{variable.name} is not a list of numbers")
    count = variable.shape[0]
    stride = variable.stride or size
    if not 0 <= count * size <= MOST_HEADER:
        raise CannotRead(f"{variable.name} has too many numbers")
    found: list[float] = []
    file.seek(variable.begins)
    data = file.read(count * stride)
    if len(data) < (count - 1) * stride + size and count:
        raise CannotRead(f"{variable.name} ends too early")
    for number in range(count):
        found.append(float(struct.unpack_from(f">{letter}", data, number * stride)[0]))
    return found


class Clock(NamedTuple):
    """What the numbers of a variable of times mean."""

    origin: datetime
    """The time of 0, UTC."""
    seconds: float
    """Seconds from one number to the next."""


def counts_times(units: str) -> bool:
    """Whether units are those of times, read here or not: `days since 2000-01-01`."""
    return _SINCE.fullmatch(units) is not None


def clock_of(units: str, calendar: str) -> Clock:
    """What units and calendar say of times.

    Args:
        units: the attribute of that name, such as `seconds since 2000-01-01 00:00:00`.
        calendar: the attribute of that name; '' where there is none.

    Raises:
        CannotRead: they are of another calendar than the one in use, or cannot be read.
    """
    calendar = calendar.strip().lower()
    if calendar not in _CALENDARS:
        raise CannotRead(f"its times are of the calendar {calendar[:30]}, not of the one in use")
    match = _SINCE.fullmatch(units)
    if match is None or match[1].lower() not in _SECONDS:
        raise CannotRead(f"the units of its time ('{units[:40]}') are not as in 'seconds since 1970-01-01'")
    origin = _origin_of(match[2])
    if origin is None:
        raise CannotRead(f"'{match[2][:40]}' in the units of its time is not a time")
    if origin < _GREGORIAN and calendar != "proleptic_gregorian":
        raise CannotRead(f"its times count from {match[2][:40]}, before the calendar in use began")
    return Clock(origin, _SECONDS[match[1].lower()])


def _origin_of(text: str) -> datetime | None:
    found = _ORIGIN.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, hours, minutes = (
        int(found[name] or 0) for name in ("year", "month", "day", "hour", "minute", "hours", "minutes")
    )
    second = float(found["second"] or 0)
    # A leap second is the second before it.
    second = second - 1 if 60 <= second < 61 else second
    east = timedelta(hours=hours, minutes=minutes) * (-1 if found["sign"] == "-" else 1)
    try:
        whole = datetime(year, month, day, hour, minute, int(second), tzinfo=UTC)
        return whole + timedelta(seconds=second - int(second)) - east
    except (ValueError, OverflowError):
        return None


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 4
        self._is_64 = data[3] == 5
        """Whether counts have eight bytes."""
        self._has_far_data = data[3] != 1

    def header(self) -> tuple[dict[str, Any], list[Variable]]:
        records = self._count()
        if records == (1 << (64 if self._is_64 else 32)) - 1:
            records = 0  # it was being written
        dimensions = [(self._name(), self._count()) for _ in range(self._list(_DIMENSION))]
        attributes = self._attributes()
        variables: list[Variable] = []
        grows: list[tuple[Variable, int]] = []
        for _ in range(self._list(_VARIABLE)):
            name = self._name()
            of = [dimensions[self._count()] for _ in range(self._limited(self._count(), 4))]
            own = self._attributes()
            kind, _, size = _TYPES[self._int()]
            self._count()  # the size of its data
            begins = int.from_bytes(self._take(8 if self._has_far_data else 4), "big")
            # A dimension without a length grows with the records.
            shape = [length or records for _, length in of]
            variables.append(Variable(name, [one for one, _ in of], shape, kind, own, begins))
            if of and not of[0][1]:
                grows.append((variables[-1], math.prod(shape[1:]) * size))
        # A record has one part of each of these, padded to four bytes unless it is the only one.
        stride = sum(size + (-size % 4 if len(grows) > 1 else 0) for _, size in grows)
        for variable, _ in grows:
            variable.stride = stride
        return attributes, variables

    def _take(self, count: int) -> bytes:
        found = self._data[self._at : self._at + count]
        if len(found) < count:
            raise ValueError("it ends too early")
        self._at += count
        return found

    def _int(self) -> int:
        return int.from_bytes(self._take(4), "big")

    def _count(self) -> int:
        return int.from_bytes(self._take(8 if self._is_64 else 4), "big")

    def _limited(self, count: int, least: int) -> int:
        """A count of things that have so many bytes at least each."""
        if count * least > len(self._data):
            raise ValueError("more than there can be")
        return count

    def _list(self, wanted: int) -> int:
        kind, count = self._int(), self._limited(self._count(), 8)
        if kind not in (wanted, 0) or (not kind and count):
            raise ValueError("another list")
        return count

    def _name(self) -> str:
        count = self._count()
        name = self._take(count).decode("utf-8", "replace")
        self._take(-count % 4)
        return name

    def _attributes(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for _ in range(self._list(_ATTRIBUTE)):
            name = self._name()
            _, letter, size = _TYPES[self._int()]
            count = self._count()
            data = self._take(count * size)
            self._take(-len(data) % 4)
            if letter == "s":
                found[name] = data.decode("utf-8", "replace").rstrip("\0")
            else:
                values = list(struct.unpack(f">{count}{letter}", data))
                found[name] = values[0] if count == 1 else values
        return found
