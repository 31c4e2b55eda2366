"""The files of the registry on disk: how they are found, read while others write them, and locked."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Set
from datetime import date
from pathlib import Path
from typing import Final, NamedTuple

from maap_tui.engine.errors import RegistryError, StorageError, UnreadableError
from maap_tui.engine.registry.entries import Key, Kind, ListKind
from maap_tui.engine.registry.lines import BLANK, BOM, comment, judge_tail, tail_of
from maap_tui.engine.storage import files
from maap_tui.engine.storage.names import is_name

DAY_FILE: Final = re.compile(r"(?:url|dwl|mrk|cln)_(\d{8})\.txt")
UNDATED: Final = "the date in its name does not exist"
# A file that was cut short this recently may still be in the hands of its writer.
_SETTLE_NS: Final = 500_000_000
_SETTLE_S: Final = 0.02
_SETTLE_TRIES: Final = 50
_SETTLE_EMPTY: Final = 5

LOCKS = ".locks"
"""The one folder in the registry without data; programs that list the trees do not see it."""


class Contents(NamedTuple):
    """The files of one kind and day, as bytes."""

    parts: list[tuple[Path, bytes]]
    is_whole: bool
    """Whether all of them could be read."""

    @property
    def is_torn(self) -> bool:
        """Whether one ends without a line end."""
        return any(tail_of(data) for _, data in self.parts)

    def says_the_same(self, other: Contents) -> bool:
        """Whether both hold the same bytes and end with a line end."""
        mine, theirs = ([data for _, data in one.parts] for one in (self, other))
        return mine == theirs and not self.is_torn


def lock_file(root: Path, kind: str, key: Key) -> Path:
    """A lock of a baseline: in the registry, as every host that shares it has to see it, and out of sight."""
    names = (key.mission, key.collection, key.product_type, f"{key.baseline}.lock")
    return root.joinpath(LOCKS, kind, *names)


@contextlib.contextmanager
def locked(
    path: Path,
    earlier: Path,
    timeout_s: float,
    purpose: str,
    what: str,
    on_wait: Callable[[str], None] | None = None,
) -> Iterator[None]:
    """Hold a lock, and also the lock file of an earlier version where one exists: it may be running."""
    from maap_tui.engine.storage import locks  # reading needs none

    deadline = time.monotonic() + timeout_s

    def take(one: Path) -> contextlib.AbstractContextManager[None]:
        left_s = max(deadline - time.monotonic(), 0.0)
        return locks.lock(one, timeout_s=left_s, purpose=purpose, what=what, on_wait=on_wait)

    with contextlib.ExitStack() as held:
        is_held = False
        with contextlib.suppress(StorageError):
            held.enter_context(take(path))
            is_held = True
        # Who may write to a baseline alone, and not to the whole registry, locks it there.
        if not is_held or os.path.lexists(earlier):
            held.enter_context(take(earlier))
        yield


def folder_names(path: Path) -> list[str]:
    """List the folders of a folder whose names can be part of a key."""
    try:
        with os.scandir(path) as found:
            return [item.name for item in found if is_name(item.name) and item.is_dir()]
    except FileNotFoundError:
        return []
    except NotADirectoryError as error:
        blocking = next((one for one in reversed(path.parents) if one.exists() and not one.is_dir()), path)
        raise RegistryError(
            f"{blocking} is a file where a folder of the registry belongs",
            "Move that file away, or set paths.registry_dir to another folder.",
        ) from error
    except OSError as error:
        failure = files.storage_error(path, error)
        raise RegistryError(failure.message, failure.hint) from error


def day_files_below(
    folder: Path,
    kind: ListKind,
    step_over: Callable[[UnreadableError], None],
    start: date | None = None,
    end: date | None = None,
) -> Iterator[tuple[Path, date | None]]:
    """Find the day files of a tree, at any depth as maap-client does; the day is None if it does not exist.

    Args:
        folder: the tree.
        kind: of which files.
        step_over: called for each folder in it that cannot be listed.
        start: the first day that is meant; None is the first there is.
        end: the last one; None is the last there is.

    Raises:
        UnreadableError: the tree itself cannot be listed.
        StorageError: no folder can be listed now, for want of open files or memory.
    """

    def fail(error: OSError) -> None:
        if isinstance(error, FileNotFoundError):
            return
        where = Path(error.filename or folder)
        failure = files.storage_error(where, error)
        if files.is_starved(error):
            raise failure from error
        unreadable = UnreadableError(where, failure.message, failure.hint)
        if where == folder:
            raise unreadable from error
        step_over(unreadable)

    head = f"{kind}_"
    for parent, names, found in os.walk(folder, onerror=fail):
        names.sort()
        here = Path(parent)
        # A folder in place of a day's file is listed too: it hides that day, which is said when it is read.
        for name in sorted([*found, *filter(DAY_FILE.fullmatch, names)]):
            if name.startswith(head) and name.endswith(".txt"):
                match = DAY_FILE.fullmatch(name)
                day = None
                if match:
                    with contextlib.suppress(ValueError):
                        digits = match[1]
                        day = date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
                if day is None or ((start is None or day >= start) and (end is None or day <= end)):
                    yield here / name, day


def read_settled(path: Path) -> bytes:
    """Read a file once no other program is in the middle of writing it.

    maap-client cuts a file to nothing and fills it again, without a lock: what is written between
    the two is lost, and a last line without its end may only be waiting for the rest.
    """
    data = files.read_data(path)
    same = 0
    for _ in range(_SETTLE_TRIES):
        if data.endswith(b"\n"):
            break
        status = identity(path)
        if status is None or time.time_ns() - status[1] > _SETTLE_NS:
            break
        time.sleep(_SETTLE_S)
        before, data = data, files.read_data(path)
        same = same + 1 if data == before else 0
        # Between being cut and being filled a file may be held up by the disk.
        if same >= (1 if data else _SETTLE_EMPTY):
            break
    return data


def identity(path: Path) -> tuple[int, int, int] | None:
    """Return inode, time of change in ns and size in bytes; None for a file without a status."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def set_tail_aside(path: Path, data: bytes, kind: Kind, wanted: Iterable[str]) -> bool:
    """Turn a last line that was cut short into a comment, so that no new line is joined to it.

    Returns:
        Whether the file was rewritten.
    """
    tail = tail_of(data)
    if not tail.strip(BLANK) or tail.startswith(b"#"):
        return False
    judged = judge_tail(data, kind)
    # The beginning of a line about to be written is what is left of an earlier try at it.
    cut = any(line != tail and line.startswith(tail) for line in map(str.encode, wanted))
    if judged == tail and not cut:
        return False
    healed = data[: len(data) - len(tail)] + comment(tail, "torn")
    files.write_atomic(path, healed if cut or not judged else healed + judged + b"\n")
    return True


def drop_lines(path: Path, data: bytes, firsts: Set[bytes], instead: Iterable[str] = ()) -> None:
    """Rewrite a file without the lines of some first fields, with others at its end; keep all other bytes."""
    kept: list[bytes] = []
    for line in data.splitlines(keepends=True):
        text = line.strip(BLANK).removeprefix(BOM)
        if text.startswith(b"#") or text.partition(b"|")[0] not in firsts:
            kept.append(line if line.endswith((b"\n", b"\r")) else line + b"\n")
    kept += [line.encode() + b"\n" for line in instead]
    files.sweep_siblings(path.parent, older_than_s=0)
    files.write_atomic(path, b"".join(kept))
