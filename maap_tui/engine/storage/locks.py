"""Locks between threads, processes and hosts, also where a file system has none of its own.

The rule: one holder at a time, and a lock ends with its holder.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from maap_tui.engine.errors import LockedError, NoLockError, StorageError
from maap_tui.engine.events import LONG_WAIT_S
from maap_tui.engine.storage import files

if TYPE_CHECKING:
    from filelock import BaseFileLock

_POLL_S: Final = 0.01
_NOTE_BYTES: Final = 1024
_NO_LOCKS: Final = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP})
_LOCK_TRIES: Final = 3
LEASE_S = 30.0
"""Seconds without a sign of life of its holder after which a marker of `Leases` is nobody's."""


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
    `{name}.holder` names the holder to others. Not reentrant. Where the file system has no locks, the
    existence of `{name}.soft` is the lock.

    Args:
        path: The lock file; its folder is created if need be.
        timeout_s: Longest wait in seconds; 0 tries once.
        purpose: What the holder does, for the message others see.
        what: What the lock is for, as its message names it; '' names the folder.
        on_wait: Called with a sentence once the wait is longer than `events.LONG_WAIT_S`.

    Raises:
        LockedError: another one held it all that time.
        NoLockError: the disk has a problem that may pass.
        StorageError: the lock file cannot be used.
    """
    deadline = time.monotonic() + timeout_s
    with _gates_guard:
        gate = _gates.setdefault(os.path.abspath(path), Gate())
    # Threads of this process queue here, in order, rather than poll the file.
    first = deadline if on_wait is None else min(deadline, time.monotonic() + LONG_WAIT_S)
    if not gate.turn.acquire(timeout=max(first - time.monotonic(), 0.0)):
        _report_wait(path, what, first, deadline, on_wait)
        if not gate.turn.acquire(timeout=max(deadline - time.monotonic(), 0.0)):
            raise _locked(path, what)
    try:
        try:
            held = _acquire(path, gate, first, what)
        except NoLockError:
            raise
        except LockedError:
            _report_wait(path, what, first, deadline, on_wait)
            held = _acquire(path, gate, deadline, what)
        try:
            _write_note(path, purpose)
            yield
        finally:
            _let_go(held)
    finally:
        gate.turn.release()


def _report_wait(
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

    files.make_folder(path.parent)
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
        return files.storage_error(path, error)
    reason, hint = files.REASONS.get(
        error.errno, ("the file system does not support locks", "Set another folder.")
    )
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
    """Whether a process of this machine has a flock on a file, as far as the system says."""
    try:
        status = os.stat(path)
        held = Path("/proc/locks").read_text()
    except OSError:
        return False
    device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino} "
    return any(" FLOCK " in line and device in line for line in held.splitlines())


class Leases:
    """Markers for `hold` that end with a holder on another host too: it shows signs of life, or they end.

    How long it has shown none is counted from one try to the next of the same object.
    """

    def __init__(self) -> None:
        self._made: dict[Path, BaseFileLock] = {}

    def __call__(self, path: Path) -> BaseFileLock:
        """The marker of a file."""
        from filelock import SoftFileLease

        if path not in self._made:
            self._made[path] = SoftFileLease(_marker(path), lease_duration=LEASE_S, thread_local=False)
        return self._made[path]


def hold(
    descriptor: int, path: Path, marker: Callable[[Path], BaseFileLock] | None = None
) -> Callable[[], None] | None:
    """Hold an open file for this process alone, without waiting; it ends with the process.

    Where the file system has no locks, the existence of `{name}.soft` is the lock, as in `lock`.

    Args:
        descriptor: The open file; a lock on it ends when it is closed.
        path: Its name.
        marker: Makes the marker; None for one that ends with its process as far as this host can see.

    Returns:
        What lets go of it before the descriptor is closed; None when another one holds it.

    Raises:
        OSError: the lock cannot be asked for.
    """
    try:
        files.flock(descriptor)
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
        marked = _mark(path, marker)
        if marked is not None:
            marked.release()
            return partial(_unflock, descriptor)
        _unflock(descriptor)
        return None
    marked = _mark(path, marker)
    if marked is not None and _is_flocked(path):
        marked.release()
        marked = None
    return None if marked is None else marked.release


def open_held(
    path: Path, marker: Callable[[Path], BaseFileLock] | None = None
) -> tuple[int, Callable[[], None]] | None:
    """Open a file, made if need be, and hold it as `hold` does, by that marker.

    Returns:
        The open file and what lets go of it; None when another one holds it.

    Raises:
        StorageError: it cannot be opened or held.
    """
    descriptor = -1
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        let_go = hold(descriptor, path, marker)
    except OSError as error:
        if descriptor >= 0:
            os.close(descriptor)
        raise files.storage_error(path, error) from error
    if let_go is None:
        os.close(descriptor)
        return None
    return descriptor, let_go


def _mark(path: Path, marker: Callable[[Path], BaseFileLock] | None) -> BaseFileLock | None:
    """Take the marker of a file if nobody has it; one that a dead process left is nobody's."""
    from filelock import Timeout

    soft = (marker or _soft_lock)(path)
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
    """Name the holder as far as its note says."""
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
