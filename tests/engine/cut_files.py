"""HDF5 files with every type, layout and filter that a product may have, to cut parts of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

ROWS, LEVELS = 1500, 6
"""Points along the track, and heights."""
BARE = "This is a netCDF dimension but not a netCDF variable.%10d"


def latitudes(rows: int = ROWS) -> Any:
    """Along a track to the north: degrees."""
    return np.linspace(-30, 60, rows).astype("<f4")


def kinds() -> Iterator[tuple[str, Any]]:
    """Values of every type along the track, with a name."""
    rng = np.random.default_rng(1)
    numbers = rng.integers(0, 100, (ROWS, LEVELS))
    for kind in ("i1", "u1", "<i2", ">i2", "<u4", ">i8", "<f2", "<f4", ">f4", "<f8", ">f8", "<c8", "?"):
        yield (
            f"of_{kind.replace('<', 'little_').replace('>', 'big_').replace('?', 'bool')}",
            numbers.astype(kind),
        )
    yield "of_fixed_text", np.array([b"%d km" % one for one in numbers[:, 0]], dtype="S7")
    yield "of_enum", numbers[:, 0].astype("u1") % 3
    yield (
        "of_compound",
        np.array(
            list(zip(numbers[:, 0], numbers[:, 1] / 7, numbers[:, 2:5], strict=True)),
            dtype=[("count", ">i4"), ("share", "<f8"), ("three", "<i2", (3,))],
        ),
    )
    yield "of_opaque", numbers[:, 0].astype("<u2").view("V2")
    yield "of_three", rng.random((ROWS, 3, LEVELS)).astype("<f4")


LAYOUTS: dict[str, dict[str, Any]] = {
    "contiguous": {},
    "chunked": {"chunks": True},
    "gzip": {"chunks": True, "compression": "gzip", "compression_opts": 9},
    "shuffled": {"chunks": True, "compression": "gzip", "shuffle": True, "fletcher32": True},
    "lzf": {"chunks": True, "compression": "lzf"},
}
"""How h5py is asked for each."""


def write_all(path: Path, libver: str = "earliest") -> None:
    """A netCDF-4 file with everything that is cut, each thing in one layout or another.

    Args:
        path: the file.
        libver: the version of HDF5 whose indexes and headers it has, as h5py names it.
    """
    with h5py.File(path, "w", libver=libver, track_order=libver != "earliest") as file:
        file.attrs["mission"] = "EarthCARE"
        file.attrs["history"] = "made for a test"
        header = file.create_group("HeaderData")
        header.attrs["numbers"] = np.arange(5, dtype=">i2")
        header["name"] = "a text of variable length"
        header["nothing"] = h5py.Empty("f8")
        header["empty"] = np.zeros((0, 3), "f4")
        header.create_dataset("small", data=np.arange(12), dtype="i2")
        science = file.create_group("ScienceData")
        along = science.create_dataset("along_track", (ROWS,), "f4")
        along.make_scale(BARE % ROWS)
        height = science.create_dataset("height", data=np.arange(LEVELS, dtype="f4") * 100)
        height.make_scale("height")

        def dims(made: Any) -> None:
            for axis, size in enumerate(made.shape):
                if size in (ROWS, LEVELS):
                    made.dims[axis].attach_scale(along if size == ROWS else height)

        where = {"latitude": latitudes(), "longitude": np.linspace(10, 20, ROWS).astype("<f4")}
        where["time"] = np.arange(ROWS, dtype="<f8") / 4
        for name, values in where.items():
            made = science.create_dataset(name, data=values, chunks=(100,), compression="gzip")
            dims(made)
        science["time"].attrs["units"] = b"seconds since 2025-12-01 00:00:00.0"
        for name, values in kinds():
            for layout, how in LAYOUTS.items():
                options = dict(how)
                if options.get("chunks"):
                    options["chunks"] = (64, *values.shape[1:2], *values.shape[2:])
                if name == "of_enum":
                    options["dtype"] = h5py.enum_dtype({"clear": 0, "cloud": 1, "rain": 2}, "u1")
                made = science.create_dataset(f"{name}_{layout}", data=values, **options)
                made.attrs["units"] = "1"
                made.attrs["valid_range"] = np.array([0, 100], ">f4")
                dims(made)
        _write_odd(science, dims)


def _write_odd(science: Any, dims: Any) -> None:
    """What has a layout, a filter or values of its own."""
    numbers = np.arange(ROWS * LEVELS).reshape(ROWS, LEVELS)
    texts = science.create_dataset("long_texts", (ROWS,), h5py.string_dtype(), chunks=(100,))
    texts[:] = [f"point {number} é" for number in range(ROWS)]
    dims(texts)
    lists = science.create_dataset("lists", (ROWS,), h5py.vlen_dtype("<i4"))
    for number in range(ROWS):
        lists[number] = np.arange(number % 4)
    dims(lists)
    scaled = science.create_dataset("scaleoffset", data=numbers.astype("i4"), chunks=(64, 6), scaleoffset=0)
    dims(scaled)
    rounded = science.create_dataset(
        "rounded", data=np.sin(numbers).astype("f4"), chunks=(64, LEVELS), scaleoffset=3
    )
    dims(rounded)
    holes = science.create_dataset("holes", (ROWS, LEVELS), "f4", chunks=(64, LEVELS), fillvalue=-999)
    holes[:200] = 1
    dims(holes)
    growing = science.create_dataset("growing", data=numbers, maxshape=(None, LEVELS), chunks=(64, LEVELS))
    dims(growing)
    early = science.create_dataset("never_written", (ROWS,), "i4", fillvalue=7)
    dims(early)
    dims(science.create_dataset("turned", data=numbers.T.astype("f4"), chunks=(LEVELS, 64)))
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_layout(h5py.h5d.COMPACT)
    space = h5py.h5s.create_simple((ROWS,))
    compact = h5py.Dataset(h5py.h5d.create(science.id, b"compact", h5py.h5t.STD_I16BE, space, plan))
    compact[:] = np.arange(ROWS)
    dims(compact)


def chunk_bytes(path: Path, begin: int, end: int, *, names: tuple[str, ...] = ()) -> int:
    """Bytes in a file of all that lies along the track from a row to another, chunks whole; all of the rest.

    Args:
        path: the file.
        begin: first row.
        end: the one after the last.
        names: variables of ScienceData; () for all.
    """
    total = 0
    with h5py.File(path) as file:

        def count(name: str, thing: Any) -> None:
            nonlocal total
            if not isinstance(thing, h5py.Dataset) or thing.shape is None:
                return
            if names and name.rpartition("/")[2] not in names:
                return
            axis = next((at for at, size in enumerate(thing.shape) if size == ROWS), None)
            if thing.chunks is None or axis is None:
                storage = thing.id.get_storage_size()
                share = (end - begin) / ROWS if axis == 0 else 1
                total += int(storage * share)
                return
            rows = thing.chunks[axis]
            for number in range(thing.id.get_num_chunks()):
                chunk = thing.id.get_chunk_info(number)
                at = chunk.chunk_offset[axis]
                total += chunk.size if at < end and at + rows > begin else 0

        file.visititems(count)
    return total


def data_bytes(path: Path) -> int:
    """Bytes of all values in a file, packed as they are there."""
    with h5py.File(path) as file:
        sizes: list[int] = []
        file.visititems(
            lambda name, thing: (
                sizes.append(thing.id.get_storage_size()) if isinstance(thing, h5py.Dataset) else None
            )
        )
    return sum(sizes)
