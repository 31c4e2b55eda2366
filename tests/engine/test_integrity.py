"""Integrity: what the bytes of a file say of it, and the one verdict on a file that was downloaded."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from datetime import date
from pathlib import Path

import h5py
import pytest

from maap_tui.engine.events import Event, Warned
from maap_tui.engine.integrity.content import hdf5_end, is_whole
from maap_tui.engine.integrity.hashes import PIECE, Hashes
from maap_tui.engine.integrity.verify import Judge, verify
from maap_tui.engine.registry.entries import Key
from maap_tui.engine.registry.registry import Registry

KEY = Key("EarthCARE", "EarthCAREL2Validated_MAAP", "CPR_CLD_2A", "BC")
DAY = date(2025, 12, 1)


def superblock(version: int, width: int, end: int) -> bytes:
    head = b"\x89HDF\r\n\x1a\n"
    if version < 2:
        head += bytes([version, 0, 0, 0, 0, width, 8, 0, 4, 0, 16, 0, 0, 0, 0, 0])
        head += bytes(4) if version == 1 else b""
    else:
        head += bytes([version, width, 8, 0])
    return head + bytes(2 * width) + end.to_bytes(width, "little") + bytes(64)


@pytest.mark.parametrize("offset", [0, 512, 1024, 2048])
@pytest.mark.parametrize(("version", "width"), [(0, 8), (1, 8), (2, 8), (3, 8), (0, 4), (3, 4), (2, 2)])
def test_the_end_address_is_found(version: int, width: int, offset: int, tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    path.write_bytes(bytes(offset) + superblock(version, width, 12345))
    with open(path, "rb") as handle:
        assert hdf5_end(handle.fileno()) == 12345


@pytest.mark.parametrize("content", [b"", b"\x89HDF", bytes(4096), superblock(9, 8, 1), superblock(2, 3, 1)])
def test_what_is_no_hdf5_has_no_end(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    path.write_bytes(content)
    with open(path, "rb") as handle:
        assert hdf5_end(handle.fileno()) is None
    assert not is_whole(path)


def test_a_file_written_by_the_hdf5_library_is_whole(tmp_path: Path) -> None:
    for libver in ("earliest", "v110", "latest"):
        path = tmp_path / f"{libver}.h5"
        with h5py.File(path, "w", libver=libver) as file:
            file["data"] = list(range(1000))
        assert is_whole(path)
        os.truncate(path, path.stat().st_size - 1)
        assert not is_whole(path)


def hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["data"] = list(range(1000))


def netcdf(path: Path) -> None:
    path.write_bytes(b"CDF\x01" + bytes(1999))


def zipped(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "text " * 100)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 3)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"more")


def link(path: Path) -> None:
    path.rename(path.with_suffix(".moved"))
    path.symlink_to(path.with_suffix(".moved"))


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def blocked(path: Path) -> None:
    """The folder of the file is a file now."""
    path.unlink()
    path.parent.rmdir()
    path.parent.write_bytes(b"")


def keep(path: Path) -> None:
    pass


def page(path: Path) -> None:
    path.write_text("<!DOCTYPE html><title>Sign in</title>")


CASES = [
    (keep, "good", "good"),
    (flip, "changed", "good"),
    (cut, "truncated", "truncated"),
    (empty, "truncated", "truncated"),
    (lengthen, "changed", "changed"),
    (Path.unlink, "missing", "missing"),
    (blocked, "missing", "missing"),
    (link, "changed", "changed"),
    (folder, "changed", "changed"),
]


@pytest.mark.parametrize(("damage", "state", "quick"), CASES)
@pytest.mark.parametrize(("make", "name"), [(hdf5, "a.h5"), (netcdf, "a.nc"), (zipped, "a.zip")])
def test_a_recorded_file_is_held_against_what_came(
    make: Callable[[Path], None],
    name: str,
    damage: Callable[[Path], None],
    state: str,
    quick: str,
    tmp_path: Path,
) -> None:
    import hashlib

    path = tmp_path / "day" / name
    path.parent.mkdir()
    make(path)
    data = path.read_bytes()
    registry, hashes = Registry(tmp_path / "registry"), Hashes(tmp_path / "state")
    registry.baseline(KEY).record(f"https://host/{name}", path, DAY)
    hashes.record(KEY, DAY, path, len(data), [hashlib.sha256(data).hexdigest()])
    assert len(data) < PIECE
    damage(path)
    for read_all, expected in ((True, state), (False, quick)):
        (found,) = verify(registry, hashes, [KEY], read_all=read_all)
        assert (found.file.key, found.file.path, found.verdict.state) == (KEY, str(path), expected)
        assert found.verdict.is_bad is (expected != "good")
        assert bool(found.verdict.reason) is found.verdict.is_bad


@pytest.mark.parametrize(
    ("make", "name", "damage", "size", "state"),
    [
        (hdf5, "a.h5", keep, None, "good"),
        (hdf5, "a.h5", cut, None, "truncated"),
        (hdf5, "a.h5", lengthen, None, "changed"),
        (hdf5, "a.h5", page, None, "changed"),
        (hdf5, "a.nc", cut, None, "truncated"),
        (netcdf, "a.nc", cut, None, "good"),
        (netcdf, "a.nc", cut, 2003, "truncated"),
        (netcdf, "a.nc", keep, 2003, "good"),
        (netcdf, "a.nc", lengthen, 2003, "changed"),
        (zipped, "a.zip", cut, None, "truncated"),
        (zipped, "a.zip", page, None, "changed"),
    ],
)
def test_a_file_that_nothing_was_recorded_of_is_judged_by_size_and_structure(
    make: Callable[[Path], None],
    name: str,
    damage: Callable[[Path], None],
    size: int | None,
    state: str,
    tmp_path: Path,
) -> None:
    path = tmp_path / name
    make(path)
    damage(path)
    judge = Judge(Registry(tmp_path / "registry"), Hashes(tmp_path / "state"))
    found = judge.judge(path, f"https://host/{name}", size=size)
    assert (found.state, found.is_hashed) == (state, False)


@pytest.mark.parametrize(("lines", "words"), [(1, "1 hash of"), (2, "2 hashes of")])
def test_hashes_that_cannot_be_read_are_reported(lines: int, words: str, tmp_path: Path) -> None:
    heard: list[Event] = []
    hashes = Hashes(tmp_path / "state", heard.append)
    hashes.record(KEY, DAY, tmp_path / "whole.h5", 3, ["ab"])
    assert len(hashes.load(KEY, DAY)) == 1 and heard == []
    (file,) = (tmp_path / "state").rglob("sha_*.txt")
    with file.open("a") as ledger:
        ledger.write("/data/torn.h5|20\n" * lines)
    assert list(hashes.load(KEY, DAY)) == [str(tmp_path / "whole.h5")]
    (warned,) = heard
    assert isinstance(warned, Warned)
    assert words in warned.message and str(file) in warned.message


@pytest.mark.parametrize("path", ["/dev/null\0x", "/" + "a" * 300])
def test_a_path_that_no_file_can_have_is_unreadable(path: str, tmp_path: Path) -> None:
    judge = Judge(Registry(tmp_path / "registry"), Hashes(tmp_path / "state"))
    assert judge.judge(path, "").state == "unreadable"
