"""Durable writes, whole-line appends and locks: nothing else in the package writes state.

The rule: what a caller was told is written survives a crash, and a file is never seen half changed.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import json
import os
import secrets
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from maap_tui.engine.errors import DiskFullError, LockedError, NoLockError, StorageError
from maap_tui.engine.events import LONG_WAIT_S

if TYPE_CHECKING:
    from filelock import BaseFileLock

SIBLING_PREFIX: Final = ".maap-"
SIBLING_SUFFIX: Final = ".tmp"

_POLL_S: Final = 0.01
_NOTE_BYTES: Final = 1024
_NO_LOCKS: Final = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP})
_LOCK_TRIES: Final = 3
_UNSUPPORTED: Final = frozenset({errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS})
"""What network and FUSE file systems answer to a call that they do not have."""

_REASONS: Final = {
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
    errno.EIO: ("the disk reported an error", "Check the disk; what was being written may be lost."),
    errno.ESTALE: ("the network folder went away", "Check the mount, then run again."),
    errno.ENOLCK: ("the file system gives no locks", "Check its lock service, or set a folder elsewhere."),
}


def storage_error(path: Path | str, error: OSError) -> StorageError:
    """Say in one sentence why a path cannot be written or read, with what to do about it.

    Returns:
        DiskFullError when no space or quota is left, StorageError otherwise.
    """
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        left = "No space left on" if error.errno == errno.ENOSPC else "The disk quota is used up for"
        return DiskFullError(f"{left} {path}", "Free space or set another data_dir, then run again.")
    reason, hint = _REASONS.get(error.errno or 0, (error.strerror or str(error), "Set another folder."))
    return StorageError(f"Cannot use {path}: {reason}", hint)


def is_out_of_files(error: BaseException | None) -> bool:
    """Whether an error, or what caused it, is that as many files are open as may be."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
            return True
        error = error.__cause__ or error.__context__
    return False


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


def free_bytes(path: Path) -> int | None:
    """Bytes that are free where a folder is; None where the file system does not tell.

    Raises:
        OSError: the folder cannot be looked at.
    """
    try:
        return shutil.disk_usage(path).free
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        return None


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
            _flock(other)
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
    writer = f"{_machine()}-{os.getpid()}-{secrets.token_hex(8)}"
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
    """Replace a whole file, or leave it as it was: sibling, fsync, rename, folder fsync.

    A symbolic link stays one; the file it names is replaced.

    Args:
        path: The file; its folder is created if need be.
        data: The content; text is written as UTF-8.
        mode: Permission bits. None keeps those of the present file, or takes the umask's for a new one.

    Raises:
        DiskFullError: no space; the present file is untouched.
        StorageError: not writable for another reason; the present file is untouched.
    """
    payload = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
    target = Path(os.path.realpath(path)) if os.path.islink(path) else path
    make_folder(target.parent)
    sweep_siblings(target.parent)
    sibling = _sibling_in(target.parent)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    replaced = False
    try:
        if mode is None:
            with contextlib.suppress(FileNotFoundError):
                mode = target.stat().st_mode & 0o777
        # A secret must never be readable by others, not even while it is written.
        descriptor = os.open(sibling, flags, 0o666 if mode is None else mode & 0o600)
        try:
            if mode is not None:
                os.fchmod(descriptor, mode)
            view = memoryview(payload)
            while view:
                view = view[os.write(descriptor, view) :]
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
                if old or _is_orphan(item.name):
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
def _machine() -> str:
    """What tells the processes of this machine, or of this container, from all others."""
    names = socket.gethostname()
    with contextlib.suppress(OSError):
        names += os.readlink("/proc/self/ns/pid")
    return hashlib.sha256(names.encode()).hexdigest()[:8]


def _is_orphan(name: str) -> bool:
    """Whether a sibling's writer was a process of this machine that is gone."""
    machine, _, rest = name.removeprefix(SIBLING_PREFIX).partition("-")
    pid = rest.partition("-")[0]
    if machine != _machine() or not pid.isdecimal():
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
        # The kernel tells why it stopped only when asked to go on.
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


class Gate:
    """The queue of this process's threads for one lock file, and the lock object they hand on."""

    def __init__(self) -> None:
        self.turn = threading.Lock()
        self.native: BaseFileLock | None = None


_gates: dict[str, Gate] = {}
_gates_guard = threading.Lock()


def _forget_gates() -> None:
    """Start without gates in a forked child: a thread that held one does not exist there."""
    global _gates_guard
    _gates.clear()
    _gates_guard = threading.Lock()


os.register_at_fork(after_in_child=_forget_gates)


@contextlib.contextmanager
def lock(
    path: Path,
    *,
    timeout_s: float,
    purpose: str = "",
    what: str = "",
    on_wait: Callable[[str], None] | None = None,
) -> Iterator[None]:
    """Hold a lock that only one thread of one process has at a time; it ends with its holder.

    The lock file stays: a removed one would let a second holder in. Beside it a note
    `{name}.holder` tells others who holds it. Not reentrant. Where the file system has no locks, the
    existence of `{name}.soft` is the lock.

    Args:
        path: The lock file; its folder is created if need be.
        timeout_s: Longest wait in seconds; 0 tries once.
        purpose: What the holder does, for the message others see.
        what: What the lock is for, as its message names it; '' names the folder.
        on_wait: Told, in a sentence, once the wait is longer than `events.LONG_WAIT_S`.

    Raises:
        LockedError: another one held it all that time.
        NoLockError: the disk has trouble that may pass.
        StorageError: the lock file cannot be used.
    """
    deadline = time.monotonic() + timeout_s
    with _gates_guard:
        gate = _gates.setdefault(os.path.abspath(path), Gate())
    # Threads of this process queue here, in order, rather than poll the file.
    first = deadline if on_wait is None else min(deadline, time.monotonic() + LONG_WAIT_S)
    if not gate.turn.acquire(timeout=max(first - time.monotonic(), 0.0)):
        _tell_wait(path, what, first, deadline, on_wait)
        if not gate.turn.acquire(timeout=max(deadline - time.monotonic(), 0.0)):
            raise _locked(path, what)
    try:
        try:
            held = _acquire(path, gate, first, what)
        except NoLockError:
            raise
        except LockedError:
            _tell_wait(path, what, first, deadline, on_wait)
            held = _acquire(path, gate, deadline, what)
        try:
            _write_note(path, purpose)
            yield
        finally:
            _let_go(held)
    finally:
        gate.turn.release()


def _tell_wait(
    path: Path, what: str, first: float, deadline: float, on_wait: Callable[[str], None] | None
) -> None:
    """Say that the wait is a long one; where it was the whole of it, the lock is not had.

    Raises:
        LockedError: nothing of the time is left.
    """
    error = _locked(path, what)
    if on_wait is None or first >= deadline:
        raise error
    on_wait(f"{error.message}; still waiting, up to {deadline - time.monotonic():.0f} s more")


def _let_go(held: BaseFileLock) -> None:
    """Release a lock; what was done under it is done, whether or not the file system takes it back."""
    for _ in range(2):
        with contextlib.suppress(OSError):
            held.release()
            return


def _acquire(path: Path, gate: Gate, deadline: float, what: str) -> BaseFileLock:
    """Take the lock file, by flock, or by existence of a marker where the file system has none.

    Whoever has flock looks for a marker, and whoever has a marker looks for a flock, so that two
    holders keep apart also where only one of them is refused it.
    """
    # filelock takes longer to import than most commands take to run.
    from filelock import FileLock

    make_folder(path.parent)
    if gate.native is None:
        gate.native = FileLock(os.path.abspath(path), thread_local=False, fallback_to_soft=False)
    native, marker = gate.native, _marker(path)
    stale = 0
    while True:
        try:
            _take(native, path, deadline, what)
        except OSError as error:
            if error.errno in _NO_LOCKS:
                break
            stale += 1
            # A network file that went stale is another one when it is opened again.
            if error.errno != errno.ESTALE or stale == _LOCK_TRIES:
                raise _lock_failure(path, error) from error
            continue
        if not os.path.lexists(marker):
            return native
        native.release()
        try:
            soft = _soft_lock(path)
            _take(soft, path, deadline, what)
            soft.release()
        except OSError as error:
            raise _lock_failure(marker, error) from error
    try:
        soft = _soft_lock(path)
        _take(soft, path, deadline, what)
    except OSError as error:
        raise _lock_failure(marker, error) from error
    while _is_flocked(path):
        if time.monotonic() >= deadline:
            soft.release()
            raise _locked(path, what)
        time.sleep(_POLL_S)
    return soft


def _lock_failure(path: Path, error: OSError) -> StorageError | NoLockError:
    """Say why a lock cannot be asked for; what may pass counts as locked, since nothing was written."""
    if error.errno not in (errno.EIO, errno.ESTALE, *_NO_LOCKS):
        return storage_error(path, error)
    reason, hint = _REASONS.get(error.errno, ("the file system gives no locks", "Set another folder."))
    return NoLockError(f"Cannot lock {path}: {reason}; nothing was written", hint)


def _take(candidate: BaseFileLock, path: Path, deadline: float, what: str) -> None:
    from filelock import Timeout

    try:
        candidate.acquire(timeout=max(deadline - time.monotonic(), 0.0), poll_interval=_POLL_S)
    except Timeout:
        raise _locked(path, what) from None
    except NotImplementedError as error:
        raise OSError(errno.ENOSYS, "no flock") from error


def _marker(path: Path) -> Path:
    return path.with_name(path.name + ".soft")


def _soft_lock(path: Path) -> BaseFileLock:
    from filelock import SoftFileLock

    return SoftFileLock(_marker(path), thread_local=False)


def _is_flocked(path: Path) -> bool:
    """Whether a process of this machine has a flock on a file, as far as the system tells."""
    try:
        status = os.stat(path)
        held = Path("/proc/locks").read_text()
    except OSError:
        return False
    device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino} "
    return any(" FLOCK " in line and device in line for line in held.splitlines())


def hold(descriptor: int, path: Path) -> Callable[[], None] | None:
    """Hold an open file for this process alone, without waiting; it ends with the process.

    Where the file system has no locks, the existence of `{name}.soft` is the lock, as in `lock`.

    Args:
        descriptor: The open file; a lock on it ends when it is closed.
        path: Its name.

    Returns:
        What lets go of it before the descriptor is closed; None when another one holds it.

    Raises:
        OSError: the lock cannot be asked for.
    """
    try:
        _flock(descriptor)
    except BlockingIOError:
        return None
    except OSError as error:
        if error.errno == errno.EACCES:
            return None
        if error.errno not in _NO_LOCKS:
            raise
    else:
        if not os.path.lexists(_marker(path)):
            return partial(_unflock, descriptor)
        marked = _mark(path)
        if marked is not None:
            marked.release()
            return partial(_unflock, descriptor)
        _unflock(descriptor)
        return None
    marked = _mark(path)
    if marked is not None and _is_flocked(path):
        marked.release()
        marked = None
    return None if marked is None else marked.release


def _flock(descriptor: int) -> None:
    try:
        import fcntl
    except ImportError:
        raise OSError(errno.ENOSYS, "no flock") from None
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _mark(path: Path) -> BaseFileLock | None:
    """Take the marker of a file if nobody has it; one that a dead process left is nobody's."""
    from filelock import Timeout

    soft = _soft_lock(path)
    try:
        soft.acquire(timeout=0)
    except Timeout:
        return None
    return soft


def _unflock(descriptor: int) -> None:
    """Let go of a flock, also where a forked process has inherited the open file."""
    import fcntl

    with contextlib.suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def _note(path: Path) -> Path:
    return path.with_name(path.name + ".holder")


def _write_note(path: Path, purpose: str) -> None:
    """Leave word of the holder; a convenience, so that a full disk does not stop the holder here."""
    note = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "purpose": purpose[:80],
    }
    # Padded rather than cut: file systems flush a file that is cut to nothing, at a millisecond each.
    payload = json.dumps(note).ljust(_NOTE_BYTES).encode()
    with contextlib.suppress(OSError):
        descriptor = os.open(_note(path), os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        try:
            os.pwrite(descriptor, payload, 0)
        finally:
            os.close(descriptor)


def _locked(path: Path, what: str) -> LockedError:
    """Name the holder as far as its note tells."""
    holder = "another process"
    with contextlib.suppress(OSError, ValueError):
        note = json.loads(_note(path).read_text(encoding="utf-8"))
        if isinstance(note, dict):
            holder = f"process {note.get('pid')} on {note.get('host')} since {note.get('since')}"
            if note.get("purpose"):
                holder += f" ({note['purpose']})"
    return LockedError(
        f"{what or path.parent} is in use by {holder}", "Wait until it ends, or stop it, then run again."
    )
