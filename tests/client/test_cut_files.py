"""Parts of data files from Python: cut out, opened as a file, opened as a dataset."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from maap_tui import AsyncMaapClient, DownloadError, InvalidRequestError, MaapClient
from maap_tui.demo import Archive
from tests.engine.transfer_kit import Remote, remote

__all__ = ["remote"]

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
        with pytest.raises(DownloadError, match="was replaced at the archive"):
            there.read(10)


def test_a_dataset_has_the_values_of_the_file(file: Remote) -> None:
    pytest.importorskip("xarray")
    pytest.importorskip("h5netcdf")
    with h5py.File(io.BytesIO(file.content)) as whole:
        wanted = whole["ScienceData/signal"][10:20, 5]
    with MaapClient() as client, client.open_dataset(file.url) as dataset:
        assert dataset["signal"].dims == ("along_track", "height")
        assert np.array_equal(dataset["signal"][10:20, 5].values, wanted)
        assert str(dataset["time"].dtype).startswith("datetime64")


def test_without_xarray_a_dataset_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "xarray" else found(name, *rest)
    )
    with MaapClient() as client, pytest.raises(InvalidRequestError) as caught:
        client.open_dataset(ID)
    assert caught.value.hint == "Run: pip install 'maap-tui[xarray]'"
