"""Durable writes and whole-line appends: nothing else in the package writes state.

The rule: what was reported to a caller as written survives a crash, and a file is never seen half changed.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from maap_tui.engine.errors import DiskFullError, StorageError, causes_of, is_out_of_memory

SIBLING_PREFIX: Final = ".maap-"
SIBLING_SUFFIX: Final = ".tmp"

_UNSUPPORTED: Final = frozenset({errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS})
"""What network and FUSE file systems answer to a call that they do not have."""

REASONS: Final = {
    errno.EROFS: ("the file system is read-only", "Set another folder, or have it mounted for writing."),
    errno.EACCES: ("permission denied", "Change its permissions, or set another folder."),
    errno.EPERM: ("permission denied", "Change its permissions, or set another folder."),
    errno.ENAMETOOLONG: ("the name is too long for this file system", "Set a folder with a shorter path."),
    errno.EFBIG: ("the file would be larger than is allowed here", "Raise the file size limit (ulimit -f)."),
    errno.ENOTDIR: (
        "a part of the path is a file, not a folder",
        "Move that file away or set another folder.",
    ),
    errno.EISDIR: ("it is a folder", "Move that folder away, or set another path."),
    errno.ENOENT: ("a folder of the path does not exist", "Create it, or set another folder."),
    errno.ELOOP: ("it is a symbolic link that leads nowhere usable", "Remove the link, or set another path."),
    errno.EMFILE: ("too many files are open", "Raise the limit of open files (ulimit -n)."),
    errno.ENFILE: ("too many files are open on this machine", "Run again when the machine is less busy."),
    errno.ENOMEM: ("there is not enough memory", "Raise its limit (ulimit -v, or the memory of the job)."),
    errno.EIO: ("the disk reported an error", "Check the disk; what was being written may be lost."),
    errno.ESTALE: ("the network folder went away", "Check the mount, then run again."),
    errno.ENOLCK: (
        "the file system does not support locks",
        "Check its lock service, or set another folder.",
    ),
}


def storage_error(path: Path | str, error: OSError) -> StorageError:
    """Say in one sentence why a path cannot be written or read, with what to do about it.

    Returns:
        DiskFullError when no space or quota is left, StorageError otherwise.
    """
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        left = "No space left on" if error.errno == errno.ENOSPC else "The disk quota is used up for"
        return DiskFullError(f"{left} {path}", "Free space or set another data_dir, then run again.")
    reason, hint = REASONS.get(error.errno or 0, (error.strerror or str(error), "Set another folder."))
    return StorageError(f"Cannot use {path}: {reason}", hint)


def is_out_of_files(error: BaseException | None) -> bool:
    """Whether an error, or what caused it, is that as many files are open as may be."""
    full = (errno.EMFILE, errno.ENFILE)
    return any(isinstance(one, OSError) and one.errno in full for one in causes_of(error))


def is_starved(error: BaseException | None) -> bool:
    """Whether an error is of this process alone: it may not have more open files or memory."""
    return is_out_of_files(error) or is_out_of_memory(error)


def most_open() -> int:
    """Files that this process may have open at once, as far as the system says."""
    try:
        import resource
    except ImportError:
        return 512
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1 << 20 if soft == resource.RLIM_INFINITY else soft


def fsync_folder(path: Path) -> None:
    """Make the names in a folder survive a power cut.

    Raises:
        StorageError: the names may be lost.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fsync_file(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise storage_error(path, error) from error


def fsync_file(descriptor: int) -> None:
    """Make what was written to an open file survive a power cut, as far as its file system can.

    Raises:
        OSError: what was written may be lost.
    """
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Where there is no fsync there is nothing more to ask for.
        if error.errno not in _UNSUPPORTED:
            raise


def size_of(path: Path) -> int | None:
    """Bytes of a file; None when it is not there or cannot be looked at."""
    try:
        return path.stat().st_size
    except OSError:
        return None


def free_bytes(path: Path) -> int | None:
    """Bytes that are free where a folder is; None where the file system does not say.

    Raises:
        OSError: the folder cannot be looked at.
    """
    import shutil

    try:
        return shutil.disk_usage(path).free
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        return None


def free_bytes_for(folder: Path) -> int | None:
    """Bytes that are free where a folder is or would be made; None when that is not known."""
    for parent in (folder, *folder.parents):
        try:
            return free_bytes(parent)
        except OSError:
            continue
    return None


def flock(descriptor: int) -> None:
    """Take the flock of an open file at once; BlockingIOError when another has it."""
    try:
        import fcntl
    except ImportError:
        raise OSError(errno.ENOSYS, "no flock") from None
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def empty(descriptor: int, path: Path) -> None:
    """Empty an open file; where it cannot be cut, an empty one takes its place, flock and all.

    Args:
        descriptor: The open file; it stands for the new one afterwards.
        path: Its name.

    Raises:
        OSError: it is as it was.
    """
    try:
        os.ftruncate(descriptor, 0)
        return
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
    if not os.fstat(descriptor).st_size:
        return
    sibling = _sibling_in(path.parent)
    other = os.open(sibling, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    try:
        with contextlib.suppress(OSError):
            flock(other)
        os.replace(sibling, path)
        os.dup2(other, descriptor, inheritable=False)
    except OSError:
        with contextlib.suppress(OSError):
            sibling.unlink()
        raise
    finally:
        os.close(other)


def _sibling_in(folder: Path) -> Path:
    """A new name for what takes the place of another file there."""
    writer = f"{machine()}-{os.getpid()}-{os.urandom(8).hex()}"
    return folder / f"{SIBLING_PREFIX}{writer}{SIBLING_SUFFIX}"


def make_folder(path: Path) -> None:
    """Create a folder and its parents, each new name made durable.

    Raises:
        StorageError: it cannot be created.
    """
    if os.path.isdir(path):
        return
    if path.parent != path:
        make_folder(path.parent)
    try:
        path.mkdir()
    except FileExistsError:
        if not os.path.isdir(path):
            raise storage_error(path, OSError(errno.ENOTDIR, "")) from None
        return
    except OSError as error:
        raise storage_error(path, error) from error
    fsync_folder(path.parent)


def write_atomic(path: Path, data: bytes | str, *, mode: int | None = None) -> None:
    """Replace a whole file, or leave it as it was; see `replacing`.

    Args:
        path: The file; its folder is created if need be.
        data: The content; text is written as UTF-8.
        mode: Permission bits. None keeps those of the present file, or takes the umask's for a new one.

    Raises:
        DiskFullError: no space; the present file is untouched.
        StorageError: not writable for another reason; the present file is untouched.
    """
    with replacing(path, mode=mode) as write:
        write(data)


@contextlib.contextmanager
def replacing(path: Path, *, mode: int | None = None) -> Iterator[Callable[[bytes | str], None]]:
    """Replace a whole file part by part, or leave it as it was: sibling, fsync, rename, folder fsync.

    It gives what writes a part. A symbolic link stays one; the file it names is replaced. An error within
    leaves the file as it was. A pipe or a device, such as /dev/null, is written to and stays.

    Args:
        path: The file; its folder is created if need be.
        mode: Permission bits. None keeps those of the present file, or takes the umask's for a new one.

    Raises:
        DiskFullError: no space; the present file is untouched.
        StorageError: not writable for another reason; the present file is untouched.
    """
    if is_device(path):
        with _written_through(path) as write_through:
            yield write_through
        return
    target = _target_of(path)
    sibling = _sibling_in(target.parent)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = -1
    replaced = False

    def write(data: bytes | str) -> None:
        _write_all(descriptor, path, data)

    try:
        if mode is None:
            with contextlib.suppress(FileNotFoundError):
                mode = target.stat().st_mode & 0o777
        # A secret must never be readable by others, not even while it is written.
        descriptor = os.open(sibling, flags, 0o666 if mode is None else mode & 0o600)
        try:
            if mode is not None:
                os.fchmod(descriptor, mode)
            yield write
            fsync_file(descriptor)
        finally:
            os.close(descriptor)
        os.replace(sibling, target)
        replaced = True
    except OSError as error:
        raise storage_error(path, error) from error
    finally:
        if not replaced:
            with contextlib.suppress(OSError):
                sibling.unlink()
    fsync_folder(target.parent)


def is_device(path: Path) -> bool:
    """Whether a path is, or leads to, a pipe, a terminal or a device: nothing may take its place."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


@contextlib.contextmanager
def _written_through(path: Path) -> Iterator[Callable[[bytes | str], None]]:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError as error:
        raise storage_error(path, error) from error
    try:
        yield lambda data: _write_all(descriptor, path, data)
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, path: Path, data: bytes | str) -> None:
    view = memoryview(data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data)
    try:
        while view:
            view = view[os.write(descriptor, view) :]
    except OSError as error:
        raise storage_error(path, error) from error


@contextlib.contextmanager
def written_elsewhere(path: Path) -> Iterator[Path]:
    """Replace a whole file by one that another process writes, or leave it as it was; see `replacing`.

    It gives the name to write to, where there is an empty file.

    Raises:
        DiskFullError: no space; the present file is untouched.
        StorageError: not writable for another reason, or a device; the present file is untouched.
    """
    if is_device(path):
        raise StorageError(f"{path} is a device or a pipe, and this is written to a file", "Name a file.")
    target = _target_of(path)
    sibling = _sibling_in(target.parent)
    try:
        mode = target.stat().st_mode & 0o777 if target.exists() else None
        os.close(os.open(sibling, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666))
        yield sibling
        with open(sibling, "r+b") as file:
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            fsync_file(file.fileno())
        if target.is_dir():
            raise OSError(errno.EISDIR, "")
        os.replace(sibling, target)
    except OSError as error:
        raise storage_error(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            sibling.unlink()
    fsync_folder(target.parent)


def _target_of(path: Path) -> Path:
    """The file to replace, where its folder now is; raises StorageError before anything is written for it."""
    target = Path(os.path.realpath(path)) if os.path.islink(path) else path
    if os.path.isdir(target):
        raise storage_error(path, OSError(errno.EISDIR, ""))
    make_folder(target.parent)
    sweep_siblings(target.parent)
    return target


def sweep_siblings(folder: Path, *, older_than_s: float = 3600.0) -> int:
    """Remove the siblings that a killed writer left in a folder.

    Those of a process of this machine go as soon as it is gone, whatever their age.

    Args:
        folder: Where to look; not below it.
        older_than_s: Age from which a sibling counts as left behind; 0 only where a lock keeps others out.

    Returns:
        How many were removed.
    """
    removed = 0
    limit = time.time() - older_than_s
    with contextlib.suppress(OSError), os.scandir(folder) as found:
        for item in found:
            if not (item.name.startswith(SIBLING_PREFIX) and item.name.endswith(SIBLING_SUFFIX)):
                continue
            with contextlib.suppress(OSError):
                old = older_than_s <= 0 or item.stat(follow_symlinks=False).st_mtime < limit
                if old or is_orphan(item.name):
                    os.unlink(item.path)
                    removed += 1
    return removed


def boot_id() -> str:
    """What this start of the machine is called; '' where it has no name."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


@functools.cache
def machine() -> str:
    """What distinguishes the processes of this machine, or of this container, from all others."""
    import hashlib
    import socket

    names = socket.gethostname()
    with contextlib.suppress(OSError):
        names += os.readlink("/proc/self/ns/pid")
    return hashlib.sha256(names.encode()).hexdigest()[:8]


def is_orphan(name: str) -> bool:
    """Whether a file named after `machine`, its process and more is of a process that is gone from here."""
    where, _, rest = name.removeprefix(SIBLING_PREFIX).partition("-")
    pid = rest.partition("-")[0]
    if where != machine() or not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False


def append_lines(path: Path, lines: Sequence[str], *, sync: bool = True) -> None:
    """Add whole lines at the end of a file, in one write: all of them are there afterwards, or none.

    A last line without its line end, as a crash leaves it, is ended first. Writers of one file hold
    one lock while they call this: undoing a short write cuts the file back to its length before.

    Args:
        path: The file; it and its folder are created if need be.
        lines: The lines, with or without their line end.
        sync: Whether to wait until the lines would survive a power cut.

    Raises:
        ValueError: a line holds a line end inside.
        DiskFullError: no space; nothing was added.
        StorageError: not writable for another reason; after a failed fsync the lines may be lost.
    """
    if not lines:
        return
    bare = [line[:-1] if line.endswith("\n") else line for line in lines]
    if any("\n" in line or "\r" in line for line in bare):
        raise ValueError("a line must not hold a line end")
    payload = ("\n".join(bare) + "\n").encode("utf-8", "surrogateescape")
    flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC
    created = False
    try:
        try:
            descriptor = os.open(path, flags)
        except FileNotFoundError:
            make_folder(path.parent)
            descriptor = os.open(path, flags | os.O_CREAT, 0o666)
            created = True
        try:
            length = os.fstat(descriptor).st_size
            if length and os.pread(descriptor, 1, length - 1) != b"\n":
                payload = b"\n" + payload
            _write_whole(descriptor, payload, length, path)
            if sync:
                fsync_file(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise storage_error(path, error) from error
    if created and sync:
        fsync_folder(path.parent)


def _write_whole(descriptor: int, payload: bytes, length: int, path: Path) -> None:
    """Write at the end in one call; on a short write take it back to `length` and raise the reason."""
    written = os.write(descriptor, payload)
    if written == len(payload):
        return
    try:
        # The kernel says why it stopped only when asked to go on.
        while written < len(payload):
            written += os.write(descriptor, payload[written:])
    except OSError:
        try:
            os.ftruncate(descriptor, length)
        except OSError:
            # Where a file cannot be cut, empty lines say nothing; their bytes are there already.
            with contextlib.suppress(OSError), open(path, "r+b", buffering=0) as file:
                os.pwrite(file.fileno(), b"\n" * written, length)
        raise


def read_data(path: Path) -> bytes:
    """Read a whole file; empty when there is none.

    Raises:
        StorageError: it is there and cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise storage_error(path, error) from error


def read_lines(path: Path) -> list[str]:
    """Read the lines of a UTF-8 text file without their ends; none when there is no file.

    A BOM is dropped, CRLF counts as one line end, bytes that are not UTF-8 arrive as lone surrogates.

    Raises:
        StorageError: it is there and cannot be read.
    """
    data = read_data(path).removeprefix(b"\xef\xbb\xbf")
    return [line.decode("utf-8", "surrogateescape") for line in data.splitlines()]
