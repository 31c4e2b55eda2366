"""What is in an HDF5 file: its variables, the dimensions that they share, and where their data lie.

For the process apart. Nothing outside of the file is followed: no links to other files, no data that is kept
in them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import h5py

from maap_tui.engine.apart import CannotRead
from maap_tui.engine.cuts.stretches import Stretch

MOST_OBJECTS = 5000
"""Groups and variables of a file that is cut."""

DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError)
"""What the library raises where a file is damaged."""

LATITUDE = re.compile(r"(?P<before>.*_)?(?P<word>latitude|lat)(?P<after>_.*)?", re.I)
"""The names of variables that say where points are."""
TIME = re.compile(r"(.*_)?(time|profiletime)(_.*)?", re.I)
"""The names of variables that say when they are."""

Dimension = tuple[Any, ...]
"""What distinguishes a dimension: where its scale is, or its length and the group that it is in."""
Slices = list[tuple[int, int]]
"""Of a dimension: first index and the one after the last of each stretch, in order."""


@dataclass(slots=True)
class Variable:
    """A variable of the file."""

    path: str
    data: Any
    """The h5py.Dataset."""
    keys: list[Dimension]
    """Of its dimensions, in order; [] where it has none."""
    is_scale: bool
    """Whether it is the scale of a dimension."""

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape or ()

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


@dataclass(slots=True)
class Contents:
    """A file that was gone through."""

    variables: dict[str, Variable] = field(default_factory=dict)
    """By path."""
    groups: list[str] = field(default_factory=list)
    """Paths, each after those that it is in."""
    left_out: list[str] = field(default_factory=list)
    """Sentences on what cannot be taken over."""
    scales: dict[int, str] = field(default_factory=dict)
    """Where a dimension scale is in the file -> its path."""

    def dimension(self, key: Dimension) -> str:
        """The name of a dimension: the path of its scale, or of a variable along it."""
        if key[0] == "scale" and key[1] in self.scales:
            return self.scales[key[1]]
        one = next(one for one in self.variables.values() if key in one.keys)
        # A file without scales has no names for its dimensions.
        return one.path if len(one.keys) == 1 else f"{one.path}, dimension {one.keys.index(key) + 1}"


def contents_of(file: Any) -> Contents:
    """Go through a file; raises CannotRead where it has more than may be or cannot be gone through."""
    found = Contents()
    seen = {h5py.h5o.get_info(file.id).addr}
    waiting = [("", file["/"])]
    count = 0
    while waiting:
        path, group = waiting.pop()
        found.groups.append(path or "/")
        for name in group:
            count += 1
            if count > MOST_OBJECTS:
                raise CannotRead(f"it has more than {MOST_OBJECTS:,} groups and variables")
            if not isinstance(name, str):
                found.left_out.append(f"{path}/{name!r} has a name that is not UTF-8")
                continue
            where = f"{path}/{name}"
            try:
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    found.left_out.append(f"{where} is a link")
                    continue
                thing = group[name]
                place = h5py.h5o.get_info(thing.id).addr
                if isinstance(thing, h5py.Group):
                    # A group may be in itself.
                    if place not in seen:
                        seen.add(place)
                        waiting.append((where, thing))
                elif isinstance(thing, h5py.Dataset):
                    _take(found, where, thing, place)
            except DAMAGE as error:
                found.left_out.append(f"{where} cannot be read ({_words(error)})")
    homes = _homes_of(found)
    for one in found.variables.values():
        one.keys = _keys_of(one, homes)
    return found


def longitude_name(match: re.Match[str]) -> str:
    """The name of the longitudes of some latitudes."""
    word = {"latitude": "longitude", "lat": "lon"}[match["word"].lower()]
    return f"{match['before'] or ''}{word}{match['after'] or ''}"


_Homes = dict[tuple[str, int], set[str]]
"""Of a group at the top and a length -> groups below it whose points of that length are their own."""


def _homes_of(contents: Contents) -> _Homes:
    """The groups that say themselves where their points are, or when, where no group says where."""
    places: _Homes = {}
    times: _Homes = {}
    names = {path.lower() for path in contents.variables}
    for path, one in contents.variables.items():
        group = path.rpartition("/")[0]
        match = LATITUDE.fullmatch(one.name)
        if match is not None and f"{group}/{longitude_name(match)}".lower() in names:
            for size in one.shape:
                places.setdefault((_top_of(path), size), set()).add(group)
        elif len(one.shape) == 1 and TIME.fullmatch(one.name):
            times.setdefault((_top_of(path), one.shape[0]), set()).add(group)
    return times | places


def _top_of(path: str) -> str:
    return path.split("/")[1] if path.count("/") > 1 else ""


def _home_of(path: str, size: int, homes: _Homes) -> str:
    """The group within which points of one length are the same, for a variable without scales."""
    several = homes.get((_top_of(path), size), set())
    above = group = path.rpartition("/")[0]
    if len(several) < 2:
        return _top_of(path)
    while above and above not in several:
        above = above.rpartition("/")[0]
    return above or group


def _take(found: Contents, path: str, data: Any, place: int) -> None:
    if why := _refusal(data):
        found.left_out.append(f"{path} {why}")
        return
    is_scale = bool(h5py.h5ds.is_scale(data.id))
    if is_scale:
        found.scales[place] = path
    found.variables[path] = Variable(path, data, [], is_scale)


def _refusal(data: Any) -> str:
    """Why a variable cannot be taken over; '' where it can."""
    plan = data.id.get_create_plist()
    if plan.get_layout() == h5py.h5d.VIRTUAL:
        return "is made of other variables"
    if plan.get_external_count():
        return "has its data in another file"
    for number in range(plan.get_nfilters()):
        code, _, _, name = plan.get_filter(number)
        if not h5py.h5z.filter_avail(code):
            shown = name.decode("utf-8", "replace")[:40]
            return f"is packed by a filter that is not installed here ({code} {shown})".rstrip()
    if has_class(data.id.get_type(), h5py.h5t.REFERENCE):
        return "refers to other places of the file"
    return ""


def has_class(kind: Any, wanted: int) -> bool:
    """Whether a type, or a part of it, is of a class."""
    if kind.get_class() == wanted:
        return True
    if isinstance(kind, h5py.h5t.TypeCompoundID):
        return any(has_class(kind.get_member_type(at), wanted) for at in range(kind.get_nmembers()))
    if isinstance(kind, h5py.h5t.TypeArrayID | h5py.h5t.TypeVlenID):
        return has_class(kind.get_super(), wanted)
    return False


def _keys_of(one: Variable, homes: _Homes) -> list[Dimension]:
    keys: list[Dimension] = []
    for axis, size in enumerate(one.shape):
        is_own = one.is_scale and axis == 0
        scale = h5py.h5o.get_info(one.data.id).addr if is_own else _scale_of(one.data, axis)
        # Without scales those of one length are one dimension, in what is below one group of the file.
        keys.append(("length", _home_of(one.path, size, homes), size) if scale is None else ("scale", scale))
    return keys


def _scale_of(data: Any, axis: int) -> int | None:
    """Where the scale of a dimension is in the file; None where it has none."""
    try:
        if h5py.h5ds.get_num_scales(data.id, axis) < 1:
            return None
        found: list[int] = []

        def note(scale: Any) -> None:
            found.append(h5py.h5o.get_info(scale).addr)

        h5py.h5ds.iterate(data.id, axis, note, 0)
    except DAMAGE:
        return None
    return found[0] if found else None


def whole(shape: Sequence[int]) -> list[Slices]:
    """All of every dimension."""
    return [[(0, size)] for size in shape]


def kept_of(one: Variable, kept: Mapping[Dimension, Slices]) -> list[Slices]:
    """What of each dimension of a variable is kept; of two that are the same, the first one is cut."""
    found: list[Slices] = []
    used: set[Dimension] = set()
    for key, size in zip(one.keys, one.shape, strict=True):
        found.append([(0, size)] if key in used or key not in kept else kept[key])
        used.add(key)
    return found


def size_of(slices: Sequence[Slices]) -> list[int]:
    """The shape of what is kept."""
    return [sum(end - begin for begin, end in some) for some in slices]


def stretches_of(one: Variable, slices: Sequence[Slices]) -> Iterator[Stretch]:
    """Where the data that are kept lie in the file, packed as they are there: whole chunks, or runs of rows.

    Those of texts of variable length lie elsewhere, and are found when they are read.
    """
    data, shape = one.data, one.shape
    layout = data.id.get_create_plist().get_layout()
    if data.shape is None or 0 in shape or layout == h5py.h5d.COMPACT:
        return
    if layout == h5py.h5d.CHUNKED:
        yield from _chunks(data, slices)
        return
    offset = data.id.get_offset()
    if offset is None:
        return  # nothing was ever written
    item = data.id.get_type().get_size()
    if not shape:
        yield offset, offset + item
        return
    row = math.prod(shape[1:]) * item
    inner_begin = inner_end = 0
    width = row
    for size, some in zip(shape[1:], slices[1:], strict=True):
        width //= size
        inner_begin += some[0][0] * width
        inner_end += (some[-1][1] - 1) * width
    for begin, end in slices[0]:
        yield offset + begin * row + inner_begin, offset + (end - 1) * row + inner_end + width


def _chunks(data: Any, slices: Sequence[Slices]) -> Iterator[Stretch]:
    sizes = data.chunks
    wanted = [
        {at for begin, end in some for at in range(begin // size, (end - 1) // size + 1)}
        for some, size in zip(slices, sizes, strict=True)
    ]
    found: list[Stretch] = []

    def note(chunk: Any) -> None:
        places = zip(chunk.chunk_offset, sizes, wanted, strict=True)
        if all(at // size in numbers for at, size, numbers in places):
            found.append((chunk.byte_offset, chunk.byte_offset + chunk.size))

    # One walk through the index: to look each chunk up would walk through it as often.
    data.id.chunk_iter(note)
    yield from found


def _words(error: BaseException) -> str:
    return " ".join(str(error).split())[:100] or type(error).__name__
