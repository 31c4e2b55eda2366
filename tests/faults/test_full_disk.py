import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from maap_tui.demo import Archive
from tests.homes import PATIENCE_S

EBD = ("EarthCAREL2Validated_MAAP", "ATL_EBD_2A", "BC", "--date", "2025-12-01", "-n", "4")
MIB = 1 << 20
SIZES = [1_190_133, 1_426_063, 1_113_587, 1_148_190]
"""Bytes of the files of EBD."""

pytestmark = [pytest.mark.fault("D1"), pytest.mark.long]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 6 MiB, of which 3 MiB are in use by `filler`."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs root, to mount a small disk")
    (folder / "filler").write_bytes(bytes(3 * MIB))
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def finals(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.h5") if path.is_file())


def arrived(archive: Archive) -> int:
    return archive.stats.show()["bytes_by_kind"].get("data", 0)


def test_a_full_disk_holds_the_queue_until_there_is_room(
    start: Callable, small_disk: Path, archive: Archive
) -> None:
    process = start("get", *EBD, "-o", small_disk, environ={"MAAP_DOWNLOADS_SPACE_WAIT": "120"})
    said = process.stderr.readline().decode()
    assert "No space left" in said and str(small_disk) in said
    assert "the queue waits up to 120 s for room" in said
    assert all(path.stat().st_size in SIZES for path in finals(small_disk))
    assert process.poll() is None
    (small_disk / "filler").unlink()
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    assert "Downloaded 4 files" in err.decode()
    assert [path.stat().st_size for path in finals(small_disk)] == SIZES
    assert not list(small_disk.glob("*.part*"))
    assert arrived(archive) < sum(SIZES) * 1.5


def test_a_disk_that_stays_full_ends_the_command_with_3_and_keeps_the_part(
    start: Callable, maap: Callable, small_disk: Path, archive: Archive
) -> None:
    process = start("get", *EBD, "-o", small_disk, environ={"MAAP_DOWNLOADS_SPACE_WAIT": "0"})
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 3
    assert "No space left" in err.decode() and "not tried" in err.decode()
    assert all(path.stat().st_size in SIZES for path in finals(small_disk))
    kept = sum(path.stat().st_size for path in small_disk.glob("*.part"))
    before = arrived(archive)
    (small_disk / "filler").unlink()
    assert maap("get", *EBD, "-o", small_disk).code == 0
    assert [path.stat().st_size for path in finals(small_disk)] == SIZES
    assert kept > 0
    assert arrived(archive) - before < sum(SIZES)


def test_the_space_kept_free_is_looked_at_while_a_file_grows(
    start: Callable, small_disk: Path, archive: Archive
) -> None:
    archive.control(stall_after=900_000, target="data", times=1)
    process = start(
        "get", *EBD[:-1], "1", "-o", small_disk,
        environ={"MAAP_DOWNLOADS_MIN_FREE": "1M", "MAAP_DOWNLOADS_SPACE_WAIT": "120",
                 "MAAP_DOWNLOADS_STALL_TIMEOUT": "3"},
    )  # fmt: skip
    while not any(path.stat().st_size >= 900_000 for path in small_disk.glob("*.part")):
        assert process.poll() is None
    # Somebody else takes the room meanwhile.
    (small_disk / "other").write_bytes(bytes(2 * MIB))
    said = process.stderr.readline().decode()
    assert "Too little space" in said and "the queue waits" in said
    assert finals(small_disk) == []
    (small_disk / "other").unlink()
    assert process.wait(PATIENCE_S) == 0
    assert [path.stat().st_size for path in finals(small_disk)] == SIZES[:1]
