"""Valid HDF5 files of an exact size whose bytes depend on the file name alone.

h5py builds one template a size; a file is that template with its data blocks overwritten in place.
"""

from __future__ import annotations

import hashlib
import io
import struct
from array import array
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

END_OF_FILE_OFFSET = 40
"""Where a version 0 superblock stores the end-of-file address (HDF5 file format specification, II.A)."""

OVERHEAD = 12_240
"""Bytes of a file beyond the dataset that fills it up: a first guess."""

POINTS = 256
"""Along-track positions in latitude, longitude and time."""


@dataclass(frozen=True)
class Template:
    """A whole file of zeros and where its data blocks lie."""

    image: bytes
    offsets: dict[str, int]
    """Dataset name to the offset of its first byte."""
    payload: int
    """Bytes of the dataset that fills the file up."""


@lru_cache(maxsize=4)
def template(size: int) -> Template:
    """A file of exactly `size` bytes, at least 16 KiB."""
    filler = size - OVERHEAD
    for _ in range(4):
        image, offsets = _build(filler)
        if len(image) == size:
            return Template(image, offsets, filler)
        filler += size - len(image)
    raise ValueError(f"no HDF5 file of {size} bytes can be built")


def _build(filler: int) -> tuple[bytes, dict[str, int]]:
    import h5py

    memory = io.BytesIO()
    offsets: dict[str, int] = {}
    with h5py.File(memory, "w", track_order=False) as file:
        header = file.create_group("HeaderData")
        header.attrs["mission"] = "EarthCARE (synthetic)"
        science = file.create_group("ScienceData")

        def dataset(name: str, count: int, kind: str, units: str) -> None:
            plan: Any = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            plan.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
            plan.set_obj_track_times(False)
            plan.set_layout(h5py.h5d.CONTIGUOUS)
            space = h5py.h5s.create_simple((count,))
            low = h5py.h5d.create(science.id, name.encode(), h5py.h5t.py_create(kind), space, plan)
            h5py.Dataset(low).attrs["units"] = units
            offsets[name] = low.get_offset()

        dataset("latitude", POINTS, "<f4", "degrees_north")
        dataset("longitude", POINTS, "<f4", "degrees_east")
        dataset("time", POINTS, "<f8", "seconds since 2000-01-01")
        dataset("signal", filler, "u1", "1")
    image = memory.getvalue()
    # The library leaves unwritten blocks at the end out of the file: the superblock says where it ends.
    (length,) = struct.unpack_from("<Q", image, END_OF_FILE_OFFSET)
    return image.ljust(length, b"\0"), offsets


def content(
    name: str, generation: int, size: int, track: list[tuple[float, float]] | None, start: float, end: float
) -> bytes:
    """The bytes of one file.

    `generation` counts how often the file was replaced on the server: each has other bytes of the same
    length. `start` and `end` are seconds since 2000-01-01, `track` the ground track or None.
    """
    plan = template(size)
    image = bytearray(plan.image)
    lats, lons = array("f"), array("f")
    for i in range(POINTS):
        lon, lat = _along(track, i / (POINTS - 1)) if track else (0.0, 0.0)
        lats.append(lat)
        lons.append((lon + 180) % 360 - 180)
    times = array("d", (start + (end - start) * i / (POINTS - 1) for i in range(POINTS)))
    noise = hashlib.shake_128(f"{name}#{generation}".encode()).digest(plan.payload)
    blocks = {
        "latitude": lats.tobytes(),
        "longitude": lons.tobytes(),
        "time": times.tobytes(),
        "signal": noise,
    }
    for block, data in blocks.items():
        image[plan.offsets[block] : plan.offsets[block] + len(data)] = data
    return bytes(image)


def _along(track: list[tuple[float, float]], part: float) -> tuple[float, float]:
    position = part * (len(track) - 1)
    i = min(int(position), len(track) - 2)
    (x0, y0), (x1, y1) = track[i], track[i + 1]
    return x0 + (x1 - x0) * (position - i), y0 + (y1 - y0) * (position - i)
