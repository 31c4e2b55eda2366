"""Parts of data files from Python: cut out, opened as a file, opened as a dataset."""

from __future__ import annotations

import io
import os
import pickle
import random
import subprocess
import sys
import tomllib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import h5py
import numpy as np
import pytest

from maap_tui import AsyncMaapClient, AuthenticationError, DownloadError, InvalidRequestError, MaapClient
from maap_tui.client.filesystem import MaapFileSystem
from maap_tui.demo import Archive
from tests.engine.raw_files import FileServer, RawFile
from tests.engine.transfer_kit import Remote, remote
from tests.homes import PATIENCE_S

pytestmark = pytest.mark.usefixtures("apart_at_once")

__all__ = ["remote"]

NAMES = ("EarthCAREL2Validated_MAAP", "CPR_CLD_2A", "BC")
ID = "ECA_EXBC_CPR_CLD_2A_20251204T231625Z_20251204T235951Z_08636B"


@pytest.fixture
def file(remote: Callable[..., Remote], home: Path) -> Remote:
    return remote(product="ATL_EBD_2A", baseline="BA")


def test_a_granule_of_a_search_is_cut(home: Path, tmp_path: Path) -> None:
    with MaapClient() as client:
        found = client.search("EarthCAREL2Validated_MAAP", "CPR_CLD_2A", "BC", orbit="08636B")
        (granule,) = found.granules
        estimate = client.estimate_cut(granule, variables="signal", around=(61.84, 24.29), km=200)
        result = client.cut(granule, tmp_path / "a.nc", variables="signal", around=(61.84, 24.29), km=200)
    assert estimate.needed + estimate.asked == result.received < result.size
    assert result.path == tmp_path / "a.nc" and result.bytes == result.path.stat().st_size


async def test_a_cut_is_awaited(home: Path, tmp_path: Path) -> None:
    async with AsyncMaapClient() as client:
        result = await client.cut(ID, tmp_path / "a.nc", variables=["time"])
        with await client.open(tmp_path / "a.nc") as file:
            assert file.read(4) == b"\x89HDF"
    assert {one.name for one in result.variables} >= {"/ScienceData/time", "/ScienceData/latitude"}


def test_an_open_file_reads_as_one_that_is_here(file: Remote, archive: Archive) -> None:
    here = io.BytesIO(file.content)
    draw = random.Random(4)
    with MaapClient() as client, client.open(file.url) as there:
        assert (there.size, there.info()["size"], there.blocksize) == (file.size, file.size, 65536)
        for _ in range(60):
            if draw.random() < 0.7:
                whence = draw.choice([0, 1, 2])
                offset = draw.randrange(file.size) - {0: 0, 1: here.tell(), 2: file.size}[whence]
                assert there.seek(offset, whence) == here.seek(offset, whence)
            count = draw.choice([0, 1, 100, 70_000, 300_000])
            assert there.read(count) == here.read(count)
            assert there.tell() == here.tell()
        assert there.seek(0) == 0 and there.read() == file.content
        assert there.read(1) == b""
        with pytest.raises(ValueError, match="position"):
            there.seek(-1)
    with pytest.raises(ValueError, match="closed"):
        there.read(1)
    # Blocks that were read are kept: nothing is asked for twice.
    assert archive.stats.show()["bytes_by_kind"]["data"] == file.size


def test_an_open_file_is_a_binary_file_of_python(file: Remote) -> None:
    with MaapClient() as client, client.open(file.url) as there:
        assert isinstance(there, io.BufferedIOBase) and there.readable() and not there.writable()
        assert there.seek(file.size + 100) == file.size + 100
        assert (there.read(10), there.read(), there.read1(4), there.readinto(bytearray(9))) == (
            b"",
            b"",
            b"",
            0,
        )
        there.seek(-10, io.SEEK_END)
        assert there.read(None) == file.content[-10:]
        there.seek(-3, io.SEEK_END)
        values = np.full((2, 3), 7, "u1")
        assert there.readinto1(values) == 3 and values.tobytes() == file.content[-3:] + b"\7\7\7"
        there.seek(0)
        assert there.readline() == b"\x89HDF\r\n"
        for whence, error in ((7, ValueError), (None, ValueError)):
            with pytest.raises(error, match="whence"):
                there.seek(0, whence)
        with pytest.raises(TypeError):
            there.seek(1.5)
        for refused in (lambda: there.write(b"x"), there.fileno, there.truncate):
            with pytest.raises(io.UnsupportedOperation):
                refused()
        assert file.name in repr(there)
    for ended in (there.tell, there.readable, there.seekable, lambda: there.seek(0), there.readline):
        with pytest.raises(ValueError, match="closed"):
            ended()
    with pytest.raises(ValueError, match="closed"):
        pickle.dumps(there)
    there.close()


@pytest.mark.parametrize("size", [0, -1, 1.5, None, "64K"])
def test_a_block_size_that_is_none_is_refused(size: Any, file: Remote) -> None:
    with MaapClient() as client, pytest.raises(InvalidRequestError, match="block_size is"):
        client.open(file.url, block_size=size)


def test_addresses_are_opened_by_fsspec(file: Remote, archive: Archive) -> None:
    MaapFileSystem.clear_instance_cache()
    fsspec.register_implementation("maap", MaapFileSystem, clobber=True)  # as the entry point of the package
    data = Path(__file__).parents[2] / "pyproject.toml"
    (listed,) = tomllib.loads(data.read_text())["project"]["entry-points"]["fsspec.specs"].values()
    assert listed == f"{MaapFileSystem.__module__}:{MaapFileSystem.__name__}"
    collection = "EarthCAREL2Validated_MAAP"
    name = file.name.rpartition(".")[0]
    for address in (f"maap://{name}", f"maap://{file.name}", f"maap://{collection}/{name}"):
        with fsspec.open(address) as opened:
            opened.seek(-100, io.SEEK_END)
            assert opened.read() == file.content[-100:]
    fs = fsspec.filesystem("maap")
    assert fs.size(file.name) == file.size and fs.exists(file.name) and fs.isfile(file.name)
    assert fs.ls(file.name, detail=False) == [file.name]
    assert fs.cat_file(file.name, 1000, 2000) == file.content[1000:2000]
    again = pickle.loads(pickle.dumps(fs))
    with again.open(file.name, block_size=4096) as opened, h5py.File(opened) as whole:
        assert "ScienceData" in whole


@pytest.mark.parametrize("address", ["no-such-granule.h5", "/etc/passwd", "../../etc/passwd", "a/b/c", ""])
def test_what_fsspec_cannot_find_is_not_found(address: str, home: Path) -> None:
    fs = MaapFileSystem(skip_instance_cache=True)
    assert not fs.exists(address)
    with pytest.raises(FileNotFoundError):
        fs.open(address)
    with pytest.raises(OSError, match="only be read"):
        fs.open(address, "wb")


def test_a_long_read_takes_few_requests(file: Remote, archive: Archive, asked: Callable[[str], int]) -> None:
    with MaapClient() as client, client.open(file.url) as there:
        assert there.read() == file.content
        assert asked("data") == 2
    # A block that is larger than all that is kept is asked for once, too.
    with MaapClient() as client, client.open(file.url, block_size=1 << 40) as there:
        assert there.read(10) + there.read() == file.content
        assert asked("data") == 3


async def test_a_server_without_parts_is_said(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with FileServer() as server:
        monkeypatch.setenv("MAAP_DATA_ORIGINS", server.url)
        served = server.at(f"/data/{ID}.h5", RawFile(bytes(100), ranges=False))

        async with AsyncMaapClient() as client:
            (granule,) = (await client.search(*NAMES, orbit="08636B")).granules
            assets = [replace(asset, href=served) for asset in granule.assets if asset.name == f"{ID}.h5"]
            with pytest.raises(DownloadError, match="sends only whole files") as caught:
                await client.open(replace(granule, assets=tuple(assets)))
    assert caught.value.hint == "Download the whole file, and open it here."


def test_threads_read_files_at_once(file: Remote) -> None:
    def read(number: int) -> bool:
        draw = random.Random(number)
        with client.open(file.url, block_size=4096) as there:
            for at in (draw.randrange(file.size) for _ in range(20)):
                there.seek(at)
                assert there.read(5000) == file.content[at : at + 5000]
        return True

    with MaapClient() as client, ThreadPoolExecutor(6) as threads:
        assert all(threads.map(read, range(6)))


GARBAGE = """
import gc, io, sys
import h5py
from maap_tui import MaapClient

class Ring:
    pass

gc.disable()
with MaapClient() as client, client.open(sys.argv[1], block_size=4096) as there, h5py.File(there) as part:
    signal = part["ScienceData/signal"]
    for row in range(0, signal.shape[0], signal.shape[0] // 8):
        ring = Ring()
        ring.me, ring.data = ring, h5py.File(io.BytesIO(), "w").create_dataset("a", data=[1])
        del ring
        gc.set_threshold(150)
        gc.enable()
        signal[row]
        gc.disable()
        gc.collect()
print("read", gc.isenabled())
"""
"""Reads where objects of h5py are collected in whichever thread makes more objects first."""


def test_garbage_of_h5py_does_not_stop_a_read(file: Remote) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", GARBAGE, file.url],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        text=True,
        timeout=PATIENCE_S,
    )
    assert ended.stdout == "read False\n"


ELSEWHERE = """
import pickle, sys, threading
data = open(sys.argv[1], "rb").read()
for _ in range(3):
    file = pickle.loads(data)
    at, here = file.tell(), file.read(5)
    file.seek(0)
    print(at, here == file.read()[at : at + 5], threading.active_count(), flush=True)
"""
"""Reads a pickled file several times, as the tasks of a cluster do."""


def test_an_open_file_goes_to_another_process(file: Remote, home: Path, tmp_path: Path) -> None:
    with MaapClient(on_event=lambda event: None) as client, client.open(file.url) as there:
        there.seek(100_000)
        data = pickle.dumps(there)
    secrets = [line.partition("=")[2] for line in (home / "credentials.txt").read_text().splitlines()]
    assert len(data) < 20_000 and not [one for one in secrets if len(one) > 20 and one.encode() in data]
    (tmp_path / "file").write_bytes(data)
    ended = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, "file"],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_S,
    )
    # Each file that arrives would have a thread and connections of its own.
    assert ended.stdout == "100000 True 2\n" * 3


@pytest.mark.parametrize("is_here", [False, True])
def test_a_dataset_goes_to_another_process(is_here: bool, file: Remote, tmp_path: Path) -> None:
    pytest.importorskip("xarray")
    pytest.importorskip("h5netcdf")
    (tmp_path / "here.h5").write_bytes(file.content)
    with MaapClient() as client, client.open_dataset("here.h5" if is_here else file.url) as dataset:
        wanted = dataset["signal"].values
        with pickle.loads(pickle.dumps(dataset)) as copy:
            assert np.array_equal(copy["signal"].values, wanted)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"status": 401, "times": 1}, None),
        ({"html_login": True, "times": 1}, None),
        ({"cut_after": 1000, "times": 1}, None),
        ({"status": 401}, AuthenticationError),
        ({"status": 503}, DownloadError),
        ({"status": 404}, DownloadError),
    ],
    ids=str,
)
def test_a_failure_in_the_middle_ends_with_the_cause(
    fault: dict[str, Any], error: type[Exception] | None, file: Remote, archive: Archive
) -> None:
    with MaapClient() as client, client.open(file.url) as there, h5py.File(there) as part:
        signal = part["ScienceData/signal"]
        archive.faults.add(**fault, target="data")
        if error is not None:
            with pytest.raises(error):
                signal[:]
            archive.faults.clear()
        with h5py.File(io.BytesIO(file.content)) as whole:
            assert np.array_equal(signal[:], whole["ScienceData/signal"][:])


def test_h5py_reads_a_part_of_an_open_file(file: Remote, archive: Archive) -> None:
    with h5py.File(io.BytesIO(file.content)) as whole:
        wanted = whole["ScienceData/signal"][100:140]
    with MaapClient() as client, client.open(file.name) as there, h5py.File(there) as part:
        assert np.array_equal(part["ScienceData/signal"][100:140], wanted)
    assert archive.stats.show()["bytes_by_kind"]["data"] < file.size / 2


def test_two_versions_are_never_mixed(file: Remote, archive: Archive) -> None:
    with MaapClient() as client, client.open(file.url) as there:
        there.read(10)
        archive.control(replace=file.name)
        there.seek(500_000)
        with pytest.raises(DownloadError, match="was replaced at the archive") as caught:
            there.read(10)
        assert caught.value.hint == "Open it again."


def test_a_dataset_has_the_values_of_the_file(file: Remote) -> None:
    pytest.importorskip("xarray")
    pytest.importorskip("h5netcdf")
    with h5py.File(io.BytesIO(file.content)) as whole:
        wanted = whole["ScienceData/signal"][10:20, 5]
    with MaapClient() as client, client.open_dataset(file.url) as dataset:
        assert dataset["signal"].dims == ("along_track", "height")
        assert np.array_equal(dataset["signal"][10:20, 5].values, wanted)
        assert str(dataset["time"].dtype).startswith("datetime64")


@pytest.mark.parametrize(
    ("name", "group", "said"),
    [
        (ID, "Nothing", "cannot be opened as a dataset: group not found: Nothing"),
        ("text.h5", "", "cannot be opened as a dataset: Unable to synchronously open file"),
        ("classic.nc", "", "is of a classic netCDF format"),
        ("CS_OFFL_SIR_SIN_1B_20220917T114112_20220917T114240_E001.nc", "", "is of a classic netCDF format"),
    ],
)
def test_what_is_no_dataset_is_one_sentence(
    name: str, group: str, said: str, home: Path, tmp_path: Path
) -> None:
    pytest.importorskip("xarray")
    pytest.importorskip("h5netcdf")
    (tmp_path / "text.h5").write_text("a text")
    (tmp_path / "classic.nc").write_bytes(b"CDF\1" + bytes(100))
    with MaapClient() as client, pytest.raises(InvalidRequestError) as caught:
        client.open_dataset(name, group=group)
    assert said in caught.value.message and caught.value.message.startswith(name.partition(".")[0])


def test_without_xarray_a_dataset_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "xarray" else found(name, *rest)
    )
    with MaapClient() as client, pytest.raises(InvalidRequestError) as caught:
        client.open_dataset(ID)
    assert caught.value.hint == "Run: pip install 'maap-tui[xarray]'"
