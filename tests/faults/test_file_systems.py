"""File systems that lack a call: what cannot be asked of them is not asked for, and nothing is lost."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from maap_tui.engine.errors import DiskFullError
from maap_tui.engine.storage import files, locks
from tests.faults.preloaded import Ended, Missing, Preloaded, traced
from tests.faults.stage import SYNC, Stage


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path / "stage") as stage:
        yield stage


def run_without(
    server: Preloaded, stage: Stage, calls: str, error: str, *words: object, **more: str
) -> Ended:
    """Run a command where these system calls give that error."""
    options = ("-e", f"trace={calls}", "-e", f"inject={calls}:error={error}")
    try:
        with traced(server, words, {**stage.environment, **more}, *options) as running:
            pass
    except Missing as missing:
        pytest.skip(f"needs {missing}")
    return running.wait()


@pytest.mark.parametrize(
    ("calls", "error"),
    [
        ("fsync,fdatasync", "EINVAL"),
        ("fsync,fdatasync", "ENOSYS"),
        ("statfs,fstatfs", "ENOSYS"),
        ("ftruncate", "EOPNOTSUPP"),
    ],
)
def test_a_sync_works_without(calls: str, error: str, server: Preloaded, stage: Stage) -> None:
    url, *_ = stage.add_good(3)
    # What an earlier run left of another version has to go, all of it.
    folder = stage.data / "EarthCARE/EarthCAREL2Validated_MAAP/CPR_CLD_2A/BC/2025/12/01"
    folder.mkdir(parents=True)
    (folder / (url.rpartition("/")[2] + ".part")).write_bytes(b"x" * 20_000)
    ended = run_without(server, stage, calls, error, *SYNC, MAAP_DOWNLOADS_MIN_FREE="1G")
    assert ended.code == 0, ended.err
    assert "Error" not in ended.err
    assert len(stage.finals) == 3 and stage.wrong_files() == []
    assert [path for path in folder.iterdir() if ".part" in path.name or path.name.startswith(".")] == []
    doctor = run_without(server, stage, calls, error, "doctor", "--offline")
    assert "failure" not in doctor.out


def test_lines_that_cannot_be_taken_back_are_blotted_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "url_20251201.txt"
    files.append_lines(file, ["https://example.org/a|/data/a"])
    write = os.write
    left = [20]

    def until_full(descriptor: int, data: bytes) -> int:
        if not left:
            raise OSError(errno.ENOSPC, "full")
        return write(descriptor, data[: left.pop()])

    def no_cut(descriptor: int, length: int) -> None:
        raise OSError(errno.EOPNOTSUPP, "no ftruncate")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", until_full)
        patched.setattr(os, "ftruncate", no_cut)
        with pytest.raises(DiskFullError):
            files.append_lines(file, ["https://example.org/b|/data/b"])
    files.append_lines(file, ["https://example.org/c|/data/c"])
    lines = [line for line in files.read_lines(file) if line]
    assert lines == ["https://example.org/a|/data/a", "https://example.org/c|/data/c"]


def test_a_file_that_cannot_be_cut_stays_held_when_another_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_cut(descriptor: int, length: int) -> None:
        raise OSError(errno.EOPNOTSUPP, "no ftruncate")

    monkeypatch.setattr(os, "ftruncate", no_cut)
    path = tmp_path / "a.part"
    path.write_bytes(b"old")
    held, other = (os.open(path, os.O_RDWR) for _ in range(2))
    let_go = locks.hold(held, path)
    assert let_go is not None
    files.empty(held, path)
    assert path.read_bytes() == b"" and os.path.samestat(os.fstat(held), path.stat())
    again = os.open(path, os.O_RDWR)
    assert locks.hold(again, path) is None
    let_go()
    assert locks.hold(again, path) is not None
    for descriptor in (held, other, again):
        os.close(descriptor)
