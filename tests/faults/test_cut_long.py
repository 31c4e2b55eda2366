"""What a cut leaves where the disk is full or the process is killed: the whole result, or none."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from maap_tui.demo import Archive

pytestmark = pytest.mark.long

ID = "ECA_EXBC_CPR_CLD_2A_20251201T000126Z_20251201T003736Z_08574D"
DISK = 256 * 1024


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs root, to mount a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def write_source(path: Path) -> None:
    draw = np.random.default_rng(5)
    with h5py.File(path, "w") as file:
        for number in range(12):
            values = draw.integers(0, 255, (1000, 8), "u1")
            chunks = {"chunks": (100, 8), "compression": "gzip"} if number % 2 else {}
            file.create_dataset(f"v{number}", data=values, **chunks)


@pytest.mark.parametrize("free", range(0, DISK, 16 * 1024))
def test_a_disk_that_gets_full_has_the_whole_result_or_none(
    free: int, maap: Callable, home: Path, small_disk: Path, tmp_path: Path
) -> None:
    write_source(tmp_path / "a.h5")
    (small_disk / "filler").write_bytes(bytes(DISK - free))
    ended = maap("cut", tmp_path / "a.h5", "--var", "v*", "-o", small_disk / "b.nc")
    left = sorted(path.name for path in small_disk.iterdir())
    if ended.code == 0:
        with h5py.File(tmp_path / "a.h5") as whole, h5py.File(small_disk / "b.nc") as part:
            assert all(np.array_equal(whole[name], part[name]) for name in whole)
    else:
        assert (ended.code, left) == (3, ["filler"]), ended.err
        assert "No space left on" in ended.err and len(ended.err) < 500


def test_a_killed_cut_leaves_no_result_and_the_next_one_tidies_up(
    start: Callable, maap: Callable, archive: Archive, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    archive.faults.add(target="data", stall_after=0, after=1, times=1)
    process = start("cut", ID, "--var", "signal", "-o", out / "a.nc")
    assert process.stderr is not None
    while not archive.faults.show()[0]["hits"]:
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (out / "a.nc").exists()
    assert maap("cut", ID, "--var", "signal", "-o", out / "a.nc").code == 0
    assert [path.name for path in out.iterdir()] == ["a.nc"]
