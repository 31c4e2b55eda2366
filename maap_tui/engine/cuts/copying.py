"""Copies what is kept of an HDF5 file into another: the same bytes of each value, whatever its type.

For the process apart. The result is netCDF-4 where its source is: dimension scales stay dimension scales.
Variables that were packed are packed again by the filters that every reader has.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import h5py
import numpy

from maap_tui.engine.cuts.contents import (
    DAMAGE,
    Contents,
    Dimension,
    Slices,
    Variable,
    has_class,
    kept_of,
    size_of,
)

BATCH = 32 << 20
"""Bytes of values that are copied at a time."""
LEVEL = 4
"""How hard values are packed that were packed in another way than deflate."""

_OF_DIMENSIONS = {
    "CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST", "DIMENSION_LABELS", "_Netcdf4Dimid",
    "_Netcdf4Coordinates", "_NCProperties", "_nc3_strict",
}  # fmt: skip
"""Attributes by which the libraries find dimensions again; those of the result are its own."""
_BARE = b"This is a netCDF dimension but not a netCDF variable."
"""What the netCDF library names a scale that has no values, its length behind it."""


class Copy:
    """One file on its way into another."""

    def __init__(
        self, source: Any, target: Any, contents: Contents, kept: Mapping[Dimension, Slices]
    ) -> None:
        """Take both files, open, and what of each dimension is kept."""
        self._source = source
        self._target = target
        self._contents = contents
        self._kept = kept
        self.left_out: list[str] = []
        """Sentences on what could not be copied."""

    def run(self, variables: Sequence[Variable], *, all_groups: bool) -> None:
        """Copy variables, with the groups that they are in or all groups."""
        names = {one.path for one in variables}
        for path in self._contents.groups:
            if path == "/" or all_groups or any(name.startswith(f"{path}/") for name in names):
                group = self._target.require_group(path)
                self._copy_attributes(self._source[path], group, path)
        for one in variables:
            made = self._make(one)
            self._copy_attributes(one.data, h5py.Dataset(made), one.path)
            # What was never written has its fill value here too, and may be larger than any disk.
            is_written = one.data.id.get_storage_size() or one.data.id.get_offset() is not None
            if one.data.shape is not None and is_written and math.prod(self._target[one.path].shape):
                self._copy_values(one, made)
            h5py.Dataset(made).flush()
        self._join(variables)

    def _make(self, one: Variable) -> Any:
        shape = None if one.data.shape is None else size_of(kept_of(one, self._kept))
        if shape is None:
            space = h5py.h5s.create(h5py.h5s.NULL)
        else:
            most = tuple(self._most(one, shape))
            space = h5py.h5s.create_simple(tuple(shape), most) if shape else h5py.h5s.create(h5py.h5s.SCALAR)
        kind = one.data.id.get_type()
        kind = kind.copy() if kind.committed() else kind
        name = one.path.encode("utf-8", "surrogateescape")
        return h5py.h5d.create(self._target.id, name, kind, space, _plan_of(one, shape))

    def _most(self, one: Variable, shape: Sequence[int]) -> Iterator[int]:
        """What each dimension may grow to: as in the file where it is not cut."""
        for key, size, most in zip(one.keys, shape, one.data.maxshape, strict=True):
            yield h5py.h5s.UNLIMITED if most is None and key not in self._kept else size

    def _copy_values(self, one: Variable, made: Any) -> None:
        source, kind = one.data.id, one.data.id.get_type()
        is_plain = not has_class(kind, h5py.h5t.VLEN) and not _has_long_text(kind)
        for begins, counts, into in _batches(one, kept_of(one, self._kept)):
            if not is_plain:
                # In memory such values are elsewhere: the library moves them as Python's own.
                here = tuple(slice(at, at + count) for at, count in zip(begins, counts, strict=True))
                there = tuple(slice(at, at + count) for at, count in zip(into, counts, strict=True))
                h5py.Dataset(made)[there] = one.data[here]
                continue
            # As raw bytes of the type in the file nothing is converted, so that nothing can be lost.
            values = numpy.empty(counts, dtype=f"V{kind.get_size()}")
            memory = h5py.h5s.create_simple(counts) if counts else h5py.h5s.create(h5py.h5s.SCALAR)
            from_space, to_space = source.get_space(), made.get_space()
            if counts:
                from_space.select_hyperslab(begins, counts)
                to_space.select_hyperslab(into, counts)
            source.read(memory, from_space, values, kind)
            made.write(memory, to_space, values, kind)

    def _copy_attributes(self, source: Any, target: Any, path: str) -> None:
        for number in range(h5py.h5a.get_num_attrs(source.id)):
            attribute = h5py.h5a.open(source.id, index=number)
            name = attribute.name.decode("utf-8", "replace")
            kind = attribute.get_type()
            if name in _OF_DIMENSIONS:
                continue
            if has_class(kind, h5py.h5t.REFERENCE):
                self.left_out.append(f"the attribute {name} of {path} refers to other places of the file")
                continue
            try:
                if has_class(kind, h5py.h5t.VLEN) or _has_long_text(kind):
                    target.attrs.create(name, source.attrs[name], dtype=attribute.dtype)
                    continue
                made = h5py.h5a.create(target.id, attribute.name, kind, attribute.get_space())
                if attribute.get_space().get_simple_extent_type() != h5py.h5s.NULL:
                    values = numpy.empty(attribute.shape, dtype=f"V{kind.get_size()}")
                    attribute.read(values, kind)
                    made.write(values, kind)
            except DAMAGE as error:
                self.left_out.append(f"the attribute {name} of {path} ({' '.join(str(error).split())[:80]})")

    def _join(self, variables: Sequence[Variable]) -> None:
        """Make scales of those that were, and attach them to the dimensions that have them."""
        for one in variables:
            if one.is_scale:
                label = h5py.h5ds.get_scale_name(one.data.id) or b""
                made = self._target[one.path]
                if label.startswith(_BARE):
                    label = _BARE + b"%10d" % made.shape[0]
                h5py.h5ds.set_scale(made.id, label)
        paths = {one.path for one in variables}
        for one in variables:
            for axis, key in enumerate(one.keys):
                scale = self._contents.scales.get(key[1]) if key[0] == "scale" else None
                if scale in paths and scale != one.path:
                    h5py.h5ds.attach_scale(self._target[one.path].id, self._target[scale].id, axis)


def _has_long_text(kind: Any) -> bool:
    """Whether a type, or a part of it, is text of variable length."""
    if isinstance(kind, h5py.h5t.TypeStringID):
        return bool(kind.is_variable_str())
    if isinstance(kind, h5py.h5t.TypeCompoundID):
        return any(_has_long_text(kind.get_member_type(at)) for at in range(kind.get_nmembers()))
    return isinstance(kind, h5py.h5t.TypeArrayID) and _has_long_text(kind.get_super())


def _plan_of(one: Variable, shape: list[int] | None) -> Any:
    """How a variable of the result is laid out: in chunks as it was, packed by what every reader unpacks."""
    old = one.data.id.get_create_plist()
    plan = old.copy()
    codes = {}
    for number in range(old.get_nfilters()):
        code, _, values, _ = old.get_filter(number)
        codes[code] = values
        plan.remove_filter(code)
    can_grow = [most is None for most in one.data.maxshape or ()]
    if one.data.chunks is None or not shape or (0 in shape and not any(can_grow)):
        if old.get_layout() != h5py.h5d.COMPACT:
            plan.set_layout(h5py.h5d.CONTIGUOUS)
        return plan
    plan.set_chunk(tuple(min(size, max(most, 1)) for size, most in zip(one.data.chunks, shape, strict=True)))
    standard = {h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32, h5py.h5z.FILTER_DEFLATE}
    is_other = bool(codes.keys() - standard)
    if h5py.h5z.FILTER_SHUFFLE in codes or is_other:
        plan.set_shuffle()
    if h5py.h5z.FILTER_DEFLATE in codes:
        plan.set_deflate(codes[h5py.h5z.FILTER_DEFLATE][0])
    elif is_other:
        plan.set_deflate(LEVEL)
    if h5py.h5z.FILTER_FLETCHER32 in codes:
        plan.set_fletcher32()
    return plan


def _batches(
    one: Variable, slices: Sequence[Slices]
) -> Iterator[tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]]:
    """What is kept in boxes of at most `BATCH` bytes: where each begins, its size, where it goes.

    Inside of a stretch each begins with a chunk, so that no chunk is unpacked twice.
    """
    if not one.shape:
        yield (), (), ()
        return
    most = _most_of(one, size_of(slices))
    placed: list[list[tuple[int, int, int]]] = []
    for some, step, length in zip(slices, one.data.chunks or (1,) * len(slices), most, strict=True):
        at, pieces = 0, []
        for begin, end in some:
            while begin < end:
                until = min(begin // step * step + length, end)
                pieces.append((begin, until - begin, at))
                begin, at = until, at + until - begin
        placed.append(pieces)
    for parts in itertools.product(*placed):
        begins, counts, into = zip(*parts, strict=True)
        yield begins, counts, into


def _most_of(one: Variable, shape: Sequence[int]) -> list[int]:
    """How many points along each dimension are copied at a time, in whole chunks: of the last ones first."""
    steps = [
        min(step, max(size, 1))
        for step, size in zip(one.data.chunks or (1,) * len(shape), shape, strict=True)
    ]
    left = max(BATCH // one.data.id.get_type().get_size(), 1)
    found: list[int] = []
    for axis in range(len(shape) - 1, -1, -1):
        allowed = left // max(math.prod(steps[:axis]), 1)
        step = (one.data.chunks or (1,) * len(shape))[axis]
        length = max(allowed // step, 1) * step
        found.insert(0, length)
        left = max(left // min(length, max(shape[axis], 1)), 1)
    return found
