"""Durable writes, appends and locks, also where disks are full and holders die."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from maap_tui.engine.errors import DiskFullError, LockedError, StorageError
from maap_tui.engine.storage import files, locks
from tests.homes import PATIENCE_S

ROOT = Path(__file__).resolve().parents[2]


def child(code: str, *arguments: object) -> subprocess.Popen[str]:
    """Run Python code in another process that can import the package."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def siblings(folder: Path) -> list[str]:
    return [name for name in os.listdir(folder) if name.startswith(files.SIBLING_PREFIX)]


def test_write_atomic_makes_folders_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file.txt"
    files.write_atomic(path, "один\n")
    assert path.read_bytes() == "один\n".encode()
    files.write_atomic(path, b"two")
    assert path.read_bytes() == b"two"
    assert os.listdir(path.parent) == ["file.txt"]


def test_mode_is_set_or_kept(tmp_path: Path) -> None:
    secret = tmp_path / "credentials.txt"
    files.write_atomic(secret, "x", mode=0o600)
    assert secret.stat().st_mode & 0o777 == 0o600
    shared = tmp_path / "shared.txt"
    shared.write_text("x")
    shared.chmod(0o664)
    files.write_atomic(shared, "y")
    assert shared.stat().st_mode & 0o777 == 0o664


def test_symbolic_link_stays_a_link(tmp_path: Path) -> None:
    real = tmp_path / "dotfiles" / "config.toml"
    files.write_atomic(real, "old")
    link = tmp_path / "config.toml"
    link.symlink_to(real)
    files.write_atomic(link, "new")
    assert link.is_symlink()
    assert real.read_text() == "new"


def test_a_pipe_is_written_to_and_never_replaced(tmp_path: Path) -> None:
    """As root, an output named /dev/null would else leave the machine without one."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    got: list[bytes] = []
    for name in ("pipe", "link"):
        reader = threading.Thread(target=lambda: got.append((tmp_path / "pipe").read_bytes()), daemon=True)
        reader.start()
        files.write_atomic(tmp_path / name, "some rows\n")
        reader.join(PATIENCE_S)
    with (
        pytest.raises(StorageError, match="is a device or a pipe"),
        files.written_elsewhere(tmp_path / "pipe"),
    ):
        pass
    assert got == [b"some rows\n"] * 2
    assert (tmp_path / "pipe").is_fifo() and (tmp_path / "link").is_symlink()
    assert len(list(tmp_path.iterdir())) == 2


def test_failed_write_leaves_the_file_and_no_sibling(tmp_path: Path) -> None:
    path = tmp_path / "big.txt"
    path.write_text("before")
    code = """
import resource, signal, sys
from pathlib import Path
from maap_tui.engine.storage import files
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    files.write_atomic(Path(sys.argv[1]), b"x" * 5000)
except files.StorageError as error:
    print(error.message)
"""
    message, _ = child(code, path).communicate(timeout=PATIENCE_S)
    assert str(path) in message
    assert "larger" in message
    assert path.read_text() == "before"
    assert siblings(tmp_path) == []


def test_left_behind_siblings_are_swept(tmp_path: Path) -> None:
    left = tmp_path / f"{files.SIBLING_PREFIX}0123{files.SIBLING_SUFFIX}"
    left.write_text("half")
    (tmp_path / "mine.tmp").write_text("keep")
    assert files.sweep_siblings(tmp_path) == 0
    os.utime(left, (0, 0))
    assert files.sweep_siblings(tmp_path) == 1
    assert os.listdir(tmp_path) == ["mine.tmp"]
    assert files.sweep_siblings(tmp_path / "none") == 0


@pytest.mark.fault("P1")
def test_the_next_write_removes_what_a_killed_one_left_and_nothing_of_one_that_lives(tmp_path: Path) -> None:
    code = """
import os, signal, sys
from pathlib import Path
from maap_tui.engine.storage import files
os.replace = lambda *paths: (print(flush=True), sys.stdin.readline(), os.kill(os.getpid(), signal.SIGKILL))
files.write_atomic(Path(sys.argv[1]), "new")
"""
    path = tmp_path / "state.json"
    writer = child(code, path)
    writer.stdout.readline()
    files.write_atomic(path, "one")
    assert len(siblings(tmp_path)) == 1
    writer.communicate("\n", timeout=PATIENCE_S)
    assert (len(siblings(tmp_path)), path.read_text()) == (1, "one")
    files.write_atomic(path, "two")
    assert (siblings(tmp_path), path.read_text()) == ([], "two")


def test_append_adds_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "new" / "lines.txt"
    files.append_lines(path, [])
    assert not path.exists()
    files.append_lines(path, ["a", "b\n"])
    files.append_lines(path, ["ü"], sync=False)
    assert path.read_bytes() == "a\nb\nü\n".encode()
    with pytest.raises(ValueError, match="line end"):
        files.append_lines(path, ["forged\nline"])


@pytest.mark.fault("R1")
def test_append_after_every_truncation(tmp_path: Path) -> None:
    whole = b"first|1\nsecond|2\n"
    path = tmp_path / "lines.txt"
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        files.append_lines(path, ["third|3"])
        kept = whole[:length]
        if kept and not kept.endswith(b"\n"):
            kept += b"\n"
        assert path.read_bytes() == kept + b"third|3\n"


@pytest.mark.fault("D2")
def test_short_append_is_undone(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    before = b"0123456789\n" * 90
    path.write_bytes(before)
    code = """
import resource, signal, sys
from pathlib import Path
from maap_tui.engine.storage import files
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    files.append_lines(Path(sys.argv[1]), ["a line longer than what is left"])
except files.StorageError as error:
    print(error.message)
"""
    message, _ = child(code, path).communicate(timeout=PATIENCE_S)
    assert str(path) in message
    assert path.read_bytes() == before


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Path:
    """A file system of 64 KiB."""
    place = tmp_path / "tiny"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    if (
        sys.platform != "linux"
        or os.geteuid() != 0
        or subprocess.run(command, capture_output=True).returncode
    ):
        pytest.skip("needs Linux and the right to mount a tmpfs")
    return place


@pytest.mark.fault("D2")
def test_full_disk(tiny_disk: Path) -> None:
    try:
        path = tiny_disk / "lines.txt"
        kept = 0
        with pytest.raises(DiskFullError, match="No space left on") as failure:
            while True:
                files.append_lines(path, ["x" * 3001])
                kept += 1
        assert str(path) in failure.value.message
        assert "data_dir" in failure.value.hint
        assert path.read_bytes() == (b"x" * 3001 + b"\n") * kept
        with pytest.raises(DiskFullError):
            files.write_atomic(path, b"y" * 60000)
        assert path.read_bytes() == (b"x" * 3001 + b"\n") * kept
        assert siblings(tiny_disk) == []
    finally:
        subprocess.run(["umount", str(tiny_disk)], check=True)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "No space left on"),
        (errno.EDQUOT, "quota"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "permission denied"),
        (errno.EPERM, "permission denied"),
        (errno.ENAMETOOLONG, "too long"),
        (errno.EFBIG, "larger than"),
        (errno.EIO, "disk reported an error"),
        (errno.EXDEV, os.strerror(errno.EXDEV)),
    ],
)
def test_errors_name_the_path_and_what_to_do(number: int, words: str) -> None:
    error = files.storage_error("/data/x", OSError(number, os.strerror(number)))
    assert words in error.message
    assert "/data/x" in error.message
    assert error.hint
    assert isinstance(error, DiskFullError) == (number in (errno.ENOSPC, errno.EDQUOT))


def test_a_file_where_a_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for write in (files.write_atomic, lambda path, text: files.append_lines(path, [text])):
        with pytest.raises(StorageError, match="not a folder"):
            write(tmp_path / "file" / "below.txt", "x")
    with pytest.raises(StorageError, match="too long"):
        files.write_atomic(tmp_path / ("n" * 300), "x")


@pytest.mark.fault("D3")
def test_failed_fsync_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    path = tmp_path / "lines.txt"
    path.write_text("before\n")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StorageError, match="disk reported"):
        files.append_lines(path, ["x"])
    with pytest.raises(StorageError, match="disk reported"):
        files.write_atomic(tmp_path / "other.txt", "x")
    assert not (tmp_path / "other.txt").exists()
    assert siblings(tmp_path) == []


def test_read_lines_takes_any_bytes(tmp_path: Path) -> None:
    path = tmp_path / "any.txt"
    assert files.read_lines(path) == []
    path.write_bytes(b"\xef\xbb\xbfone\r\ntwo\n\xff\x00\n" + b"x" * (1 << 20) + b"\ntorn")
    lines = files.read_lines(path)
    assert lines[:3] == ["one", "two", "\udcff\x00"]
    assert len(lines[3]) == 1 << 20
    assert lines[4] == "torn"
    with pytest.raises(StorageError):
        files.read_lines(tmp_path)


HOLD = """
import sys
from pathlib import Path
from maap_tui.engine.storage import locks
with locks.lock(Path(sys.argv[1]), timeout_s=10, purpose="sync"):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.mark.fault("C5")
def test_lock_names_its_holder_and_ends_with_it(tmp_path: Path) -> None:
    path = tmp_path / "base" / ".lock"
    holder = child(HOLD, path)
    assert holder.stdout is not None and holder.stdin is not None
    with holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LockedError) as failure, locks.lock(path, timeout_s=0.05):
            pass
        note = json.loads((tmp_path / "base" / ".lock.holder").read_text())
        assert note["pid"] == holder.pid
        for part in (str(holder.pid), note["host"], note["since"], "sync", str(path.parent)):
            assert part in failure.value.message
        holder.send_signal(signal.SIGKILL)
        holder.wait(timeout=PATIENCE_S)
        with locks.lock(path, timeout_s=5):
            pass
    assert path.exists()


def test_lock_excludes_threads(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    inside: list[int] = []
    seen: list[int] = []

    def work() -> None:
        for _ in range(20):
            with locks.lock(path, timeout_s=10):
                inside.append(1)
                seen.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [1] * 80


def test_waiting_thread_gives_up_with_the_holder_named(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    errors: list[LockedError] = []

    def wait() -> None:
        try:
            with locks.lock(path, timeout_s=0.02):
                pass
        except LockedError as error:
            errors.append(error)

    with locks.lock(path, timeout_s=1, purpose="marking"):
        thread = threading.Thread(target=wait)
        thread.start()
        thread.join()
    assert str(os.getpid()) in errors[0].message
    with locks.lock(path, timeout_s=0):
        pass


@pytest.mark.fault("D9")
def test_lock_where_the_file_system_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    path = tmp_path / ".lock"
    with locks.lock(path, timeout_s=1):
        assert (tmp_path / ".lock.soft").exists()
    assert not (tmp_path / ".lock.soft").exists()


@pytest.mark.fault("D9")
def test_lock_in_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError), locks.lock(tmp_path / "file" / ".lock", timeout_s=0):
        pass
