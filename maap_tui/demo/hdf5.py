"""Valid HDF5 files of an exact size whose bytes depend on the file name alone.

They are laid out as the products of the archive: a header, and measurements along the track with their
positions and times, the profiles in chunks that are packed. h5py builds one template for sizes that differ by
less than an eighth; a file is that template with its data blocks overwritten in place, and space behind
them that nothing uses, as in files that were rewritten.
"""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

END_OF_FILE_OFFSET = 40
"""Where a version 0 superblock stores the end-of-file address (HDF5 file format specification, II.A)."""

OVERHEAD = 14_000
"""Bytes that a file has beyond its data, and a little more."""

LEVELS = 104
"""Heights of a profile."""
CHUNK_ROWS = 32
"""Profiles in a chunk."""
_CHUNK_BYTES = CHUNK_ROWS * LEVELS * 2
_PACKED = 11
"""Bytes that a chunk has more than its values: they are stored, since noise cannot be made smaller."""
_ROW_BYTES = LEVELS * 2 + 17
"""Bytes of one point along the track in all variables."""
_BARE_SCALE = b"This is a netCDF dimension but not a netCDF variable.%10d"
"""What netCDF names a dimension without values."""


@dataclass(frozen=True)
class Template:
    """A whole file of zeros and where its data blocks lie."""

    image: bytes
    offsets: dict[str, int]
    """Dataset name to the offset of its first byte."""
    chunks: list[int]
    """Offset of each chunk of the profiles."""
    rows: int
    """Points along the track."""


def template_for(size: int) -> Template:
    """The largest file of at most `size` bytes, which are at least 24 KiB, that few sizes have alone."""
    most = (size - OVERHEAD) // (_ROW_BYTES * CHUNK_ROWS)
    step = 1 << max(most.bit_length() - 4, 0)
    # The index of the chunks grows with them, so that the first guess may be too large.
    for count in range(max(most // step * step, 1), 0, -step):
        built = template(count * CHUNK_ROWS)
        if len(built.image) <= size:
            return built
    raise ValueError(f"no HDF5 file of {size} bytes can be built")


@lru_cache(maxsize=16)
def template(rows: int) -> Template:
    """A file with so many points along the track."""
    import h5py

    memory = io.BytesIO()
    offsets: dict[str, int] = {}
    with h5py.File(memory, "w", track_order=False) as file:
        header = file.create_group("HeaderData")
        header.attrs["mission"] = "EarthCARE (synthetic)"
        science = file.create_group("ScienceData")

        def plan() -> Any:
            made = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            made.set_obj_track_times(False)
            return made

        def dataset(group: Any, name: str, count: int, kind: str, units: str) -> Any:
            how = plan()
            how.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
            how.set_layout(h5py.h5d.CONTIGUOUS)
            space = h5py.h5s.create_simple((count,))
            low = h5py.h5d.create(group.id, name.encode(), h5py.h5t.py_create(kind), space, how)
            made = h5py.Dataset(low)
            made.attrs["units"] = units
            offsets[name] = low.get_offset() or 0
            return made

        along = h5py.h5d.create(
            science.id, b"along_track", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((rows,)), plan()
        )
        h5py.h5ds.set_scale(along, _BARE_SCALE % rows)
        height = dataset(science, "height", LEVELS, "<f4", "m")
        h5py.h5ds.set_scale(height.id, b"height")
        for name, kind, units in (
            ("latitude", "<f4", "degrees_north"),
            ("longitude", "<f4", "degrees_east"),
            ("time", "<f8", "seconds since 2000-01-01 00:00:00.0"),
            ("quality_status", "u1", "1"),
        ):
            h5py.h5ds.attach_scale(dataset(science, name, rows, kind, units).id, along, 0)
        how = plan()
        how.set_chunk((CHUNK_ROWS, LEVELS))
        how.set_deflate(1)
        space = h5py.h5s.create_simple((rows, LEVELS))
        profiles = h5py.h5d.create(science.id, b"signal", h5py.h5t.STD_U16LE, space, how)
        h5py.Dataset(profiles).attrs["units"] = "1"
        h5py.h5ds.attach_scale(profiles, along, 0)
        h5py.h5ds.attach_scale(profiles, height.id, 1)
        empty = _stored(bytes(_CHUNK_BYTES))
        for row in range(0, rows, CHUNK_ROWS):
            profiles.write_direct_chunk((row, 0), empty)
        chunks: list[int] = []
        profiles.chunk_iter(lambda chunk: chunks.append(chunk.byte_offset))
    image = memory.getvalue()
    # The library leaves unwritten blocks at the end out of the file: the superblock says where it ends.
    (length,) = struct.unpack_from("<Q", image, END_OF_FILE_OFFSET)
    return Template(image.ljust(length, b"\0"), offsets, chunks, rows)


def _stored(data: bytes) -> bytes:
    """A zlib stream of one block that is stored as it is (RFC 1950, RFC 1951 section 3.2.4)."""
    size = len(data)
    head = b"\x78\x01\x01" + struct.pack("<HH", size, size ^ 0xFFFF)
    return head + data + struct.pack(">I", zlib.adler32(data))


def content(
    name: str, generation: int, size: int, track: list[tuple[float, float]] | None, start: float, end: float
) -> bytes:
    """The bytes of one file.

    `generation` counts how often the file was replaced on the server: each has other bytes of the same
    length. `start` and `end` are seconds since 2000-01-01, `track` the ground track or None.
    """
    import numpy

    plan = template_for(size)
    image = bytearray(plan.image)
    unused = size - len(image)
    struct.pack_into("<Q", image, END_OF_FILE_OFFSET, size)
    rows = plan.rows
    part = numpy.arange(rows) / (rows - 1)
    lons, lats = _along(track, part) if track else (numpy.zeros(rows), numpy.zeros(rows))
    count = rows * LEVELS * 2
    noise = hashlib.shake_128(f"{name}#{generation}".encode()).digest(count + rows + unused)
    blocks = {
        "height": numpy.arange(LEVELS, dtype="<f4") * 200 - 500,
        "latitude": lats.astype("<f4"),
        "longitude": ((lons + 180) % 360 - 180).astype("<f4"),
        "time": (start + (end - start) * part).astype("<f8"),
        "quality_status": numpy.frombuffer(noise, "u1", rows, count) & 3,
    }
    for block, values in blocks.items():
        image[plan.offsets[block] : plan.offsets[block] + values.nbytes] = values.tobytes()
    for number, offset in enumerate(plan.chunks):
        packed = _stored(noise[number * _CHUNK_BYTES : (number + 1) * _CHUNK_BYTES])
        image[offset : offset + _CHUNK_BYTES + _PACKED] = packed
    image += noise[count + rows :]
    return bytes(image)


def _along(track: list[tuple[float, float]], part: Any) -> tuple[Any, Any]:
    """Longitude and latitude of points, by their part of the way, 0 to 1."""
    import numpy

    lons, lats = numpy.array(track, dtype="f8").T
    position = numpy.arange(len(track)) / (len(track) - 1)
    return numpy.interp(part, position, lons), numpy.interp(part, position, lats)
