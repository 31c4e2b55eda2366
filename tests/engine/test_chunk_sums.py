"""Fletcher-32 of HDF5 chunks: a wrong byte is found under every index, and what is whole is never refused."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from maap_tui.engine.download.requests import DownloadRequest
from maap_tui.engine.integrity import sums
from maap_tui.engine.integrity.fletcher import fletcher_fault
from maap_tui.engine.integrity.hdf5 import Broken, HdfFile
from tests.engine.raw_files import FileServer, answer
from tests.engine.transfer_kit import Kit

FILE = tuple[bytes, list[tuple[int, int]]]
"""An HDF5 file, and where each of its chunks is: first byte and bytes."""


def whole(*shape: int) -> Any:
    import numpy

    return numpy.random.default_rng(1).random(shape).astype("<f4")


def made(path: Path, libver: str, build: Callable[[Any], None]) -> FILE:
    import h5py

    chunks = []

    def note(name: str, thing: Any) -> None:
        if isinstance(thing, h5py.Dataset) and thing.fletcher32:
            found = [thing.id.get_chunk_info(number) for number in range(thing.id.get_num_chunks())]
            chunks.extend((one.byte_offset, one.size) for one in found)

    with h5py.File(path, "w", libver=(libver, "latest")) as file:
        build(file)
    with h5py.File(path) as file:
        file.visititems(note)
    return path.read_bytes(), chunks


def dense(*shape: int, **how: Any) -> Callable[[Any], None]:
    """A dataset that has all its values."""
    return lambda file: file.create_dataset("a/signal", data=whole(*shape), fletcher32=True, **how)


def sparse(shape: tuple[int, ...], places: Iterable[Any], **how: Any) -> Callable[[Any], None]:
    """A dataset of one value a chunk that has a few of them."""

    def build(file: Any) -> None:
        chunk = (1,) * len(shape)
        data = file.create_dataset("signal", shape, "<f4", chunks=chunk, fletcher32=True, **how)
        for place in places:
            data[place] = 1.5

    return build


def many(file: Any) -> None:
    """So many datasets in a group that their links are in a heap of several rows."""
    for number in range(400):
        file.create_dataset(
            f"a_variable_with_a_long_name_{number}", data=whole(6), chunks=(3,), fletcher32=True
        )


EXTENSIBLE = [0, 3, 4, 19, 20, 200, 5000, 131_059, 131_060, 150_000, 199_999]
"""In the index block, in blocks that it knows, in those of super blocks, and in such as are in pages."""

INDEXES: dict[str, Callable[[Any], None]] = {
    "single": dense(40, 40, chunks=(40, 40)),
    "single deflated": dense(40, 40, chunks=(40, 40), compression="gzip"),
    "fixed array": dense(40, 40, chunks=(7, 9)),
    "fixed array deflated": dense(40, 40, chunks=(7, 9), compression="gzip", shuffle=True),
    "fixed array in pages": sparse((30_000,), [0, 1, 5000, 20_480, 29_999]),
    "extensible array": dense(40, 40, chunks=(7, 9), maxshape=(None, 40)),
    "extensible array in pages": sparse((200_000,), EXTENSIBLE, maxshape=(None,)),
    "B-tree 2": dense(20, 30, 4, chunks=(7, 9, 2), maxshape=(None, None, 4)),
    "B-tree 2 with nodes": sparse(
        (60, 70), [(i, j) for i in range(60) for j in range(70)], maxshape=(None, None)
    ),
    "links in a heap": many,
}


def fault_of(path: Path) -> tuple[int, str]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return fletcher_fault(descriptor)
    finally:
        os.close(descriptor)


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.mark.parametrize("libver", ["v110", "latest"])
@pytest.mark.parametrize("index", INDEXES)
def test_a_wrong_byte_is_found_under_every_index(tmp_path: Path, index: str, libver: str) -> None:
    path = tmp_path / "a.h5"
    data, chunks = made(path, libver, INDEXES[index])
    assert fault_of(path) == (len(chunks), "")
    chance = random.Random(1)
    ends = [chunks[0], chunks[-1]]
    for begin, size in [*ends, *(chance.choice(chunks) for _ in range(3))]:
        path.write_bytes(flipped(data, begin + chance.randrange(size)))
        assert fault_of(path)[1] == f"a chunk at byte {begin:,} does not have its Fletcher-32"


def test_links_in_a_heap_of_older_files(tmp_path: Path) -> None:
    """As netCDF-4 files have them: groups that know the order of their members."""

    def build(file: Any) -> None:
        many(file.create_group("ScienceData", track_order=True))

    path = tmp_path / "a.h5"
    data, chunks = made(path, "earliest", build)
    assert fault_of(path) == (len(chunks), "") == (800, "")
    begin, _ = chunks[-1]
    path.write_bytes(flipped(data, begin + 1))
    assert f"{begin:,}" in fault_of(path)[1]


@pytest.mark.parametrize("index", ["single", "fixed array", "extensible array", "B-tree 2"])
async def test_a_file_with_a_wrong_byte_is_fetched_again(
    kit: Callable[..., Kit], tmp_path: Path, index: str
) -> None:
    good, chunks = made(tmp_path / "made.h5", "latest", INDEXES[index])
    async with FileServer() as server:
        bad = flipped(good, chunks[-1][0] + 5)
        url = server.at("/data/a.h5", answer("200 OK", bad), answer("200 OK", good))
        outcome = await kit(server).transfer().fetch(DownloadRequest(url, tmp_path / "a.h5"))
        assert (tmp_path / "a.h5").read_bytes() == good and len(server.asked("/data/a.h5")) == 2
        assert outcome.agreed == sums.Sum("", "", sums.FLETCHER)


def test_chunks_without_sums_are_left_alone(tmp_path: Path) -> None:
    """Each index has a form for chunks without filters; an implicit one has no other."""
    import h5py

    path = tmp_path / "a.h5"
    with h5py.File(path, "w", libver="latest") as file:
        for number, most in enumerate([(40, 40), (None, 40), (None, None)]):
            file.create_dataset(f"plain{number}", data=whole(40, 40), chunks=(7, 9), maxshape=most)
            file.create_dataset(
                f"packed{number}", data=whole(40, 40), chunks=(7, 9), maxshape=most, compression="gzip"
            )
        early = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        early.set_chunk((7, 9))
        early.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        space = h5py.h5s.create_simple((40, 40))
        h5py.h5d.create(file.id, b"implicit", h5py.h5t.IEEE_F32LE, space, early)
        file.create_dataset("empty", (0, 9), "<f4", chunks=(3, 3), maxshape=(None, 9), fletcher32=True)
    assert fault_of(path) == (0, "")


def test_chunks_at_the_edges_may_have_no_sums(tmp_path: Path) -> None:
    """A flag of the layout says so, and which ones those are is not worked out: none is compared."""
    path = tmp_path / "a.h5"
    data, _ = made(path, "v110", INDEXES["fixed array"])
    head, layout = bytes.fromhex("0402"), bytes.fromhex("0301070904")
    assert data.count(head + b"\0" + layout) == 1
    path.write_bytes(data.replace(head + b"\0" + layout, head + b"\1" + layout))
    assert fault_of(path) == (0, "")


def test_no_file_is_read_over_and_over(tmp_path: Path) -> None:
    """Blocks that hold one another are not what a library wrote."""
    path = tmp_path / "a.h5"
    path.write_bytes(bytes(1 << 20))
    descriptor = os.open(path, os.O_RDONLY)
    data = HdfFile(descriptor)
    with pytest.raises(Broken):
        for _ in range(1000):
            assert len(data[0 : 1 << 20]) == 1 << 20
    os.close(descriptor)


def test_a_damaged_file_is_read_as_far_as_it_makes_sense(tmp_path: Path) -> None:
    """Any byte of an index may be wrong: nothing is raised, and nothing takes forever."""

    def build(file: Any) -> None:
        for number, index in enumerate(INDEXES):
            if index != "links in a heap" and "pages" not in index and "nodes" not in index:
                INDEXES[index](file.create_group(f"group{number}", track_order=True))
        for number in range(20):
            file.create_dataset(f"more{number}", data=whole(6), chunks=(3,), fletcher32=True)

    path = tmp_path / "a.h5"
    data, chunks = made(path, "latest", build)
    assert fault_of(path) == (len(chunks), "")
    values = {at for begin, size in chunks for at in range(begin, begin + size)}
    others = [at for at in range(8, len(data)) if at not in values]
    chance = random.Random(1)
    for number in range(300):
        bad = bytearray(data)
        for _ in range(1 + number % 8):
            bad[chance.choice(others)] = chance.choice((0, 1, 0x7F, 0xFF, chance.randrange(256)))
        path.write_bytes(bad[: len(bad) if number % 4 else chance.randrange(9, len(bad))])
        assert fault_of(path)[0] >= 0
