"""Several files of a folder replaced as one: all of them are the old ones, or all become the new ones.

The new ones are written whole into a folder beside, which then gets the name `NEXT`: from there on they are
what counts. They take their places one by one after that, and whoever comes next finishes what a process that
was killed has left.
"""

from __future__ import annotations

import collections
import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from maap_tui.engine.errors import StorageError
from maap_tui.engine.storage import files

NEXT: Final = f"{files.SIBLING_PREFIX}study.next"
"""Name of the folder of new files that have not all taken their places."""
LAST: Final = "study.json"
"""The file that takes its place last."""
_SUFFIX: Final = ".study"
"""End of the name of a folder that is being written."""
_PIECE: Final = 1 << 18
"""Characters that are written at once."""
_TAKEN: Final = (errno.ENOTEMPTY, errno.EEXIST)


class Text:
    """What a file is to hold, made part by part whenever it is asked for: of many files it is long."""

    def __init__(self, parts: Callable[[], Iterable[str]]) -> None:
        """Take what makes the parts, the same ones each time."""
        self._parts = parts
        self._size: int | None = None

    def __iter__(self) -> Iterator[str]:
        size = 0
        for part in self._parts():
            size += len(part) if part.isascii() else len(part.encode())
            yield part
        self._size = size

    def __str__(self) -> str:
        return "".join(self)

    @property
    def size(self) -> int:
        """Its bytes."""
        if self._size is None:
            collections.deque(self, maxlen=0)
        assert self._size is not None
        return self._size

    def lines(self) -> Iterator[str]:
        """Its lines without their ends; behind the last end there is one more."""
        rest: list[str] = []
        for part in self:
            first, *others = part.split("\n")
            rest.append(first)
            for other in others:
                yield "".join(rest)
                rest = [other]
        yield "".join(rest)

    def write(self, path: Path, *, mode: int | None = None) -> None:
        """Replace a file by it, as `files.replacing` does."""
        with files.replacing(path, mode=mode) as write:
            waiting: list[str] = []
            length = 0
            for part in self:
                waiting.append(part)
                length += len(part)
                if length >= _PIECE:
                    write("".join(waiting))
                    waiting, length = [], 0
            write("".join(waiting))


@contextlib.contextmanager
def written_beside(folder: Path, parent: Path) -> Iterator[Path]:
    """A folder to be written and renamed; what is left of it then, and by killed writers, is removed.

    Args:
        folder: what it is for; the errors name it.
        parent: where it is made.

    Raises:
        StorageError: it cannot be written.
    """
    for left in parent.glob(f"{files.SIBLING_PREFIX}*{_SUFFIX}"):
        if files.is_orphan(left.name):
            shutil.rmtree(left, ignore_errors=True)
    writer = f"{files.machine()}-{os.getpid()}-{os.urandom(8).hex()}"
    beside = parent / f"{files.SIBLING_PREFIX}{writer}{_SUFFIX}"
    try:
        yield beside
    except StorageError as error:
        cause = error.__cause__
        raise files.storage_error(folder, cause) if isinstance(cause, OSError) else error from cause
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def is_ours(name: str) -> bool:
    """Whether a name is that of what is being written, or was left by a killed writer."""
    return name == NEXT or (name.startswith(files.SIBLING_PREFIX) and name.endswith(_SUFFIX))


def replace_files(folder: Path, texts: Mapping[str, Text]) -> None:
    """Replace files of a folder that is there; the others stay.

    Args:
        folder: the folder.
        texts: the new content of each, by name.

    Raises:
        StorageError: it cannot be written; either all are as they were, or `settle` finishes it.
    """
    settle(folder)
    with written_beside(folder, folder) as beside:
        for name, text in texts.items():
            mode = None
            with contextlib.suppress(OSError):
                mode = (folder / name).stat().st_mode & 0o777
            text.write(beside / name, mode=mode)
        while True:
            try:
                os.replace(beside, folder / NEXT)
                break
            except OSError as error:
                if error.errno not in _TAKEN:
                    raise files.storage_error(folder, error) from error
            settle(folder)  # another process was quicker
        files.fsync_folder(folder)
    settle(folder)


def settle(folder: Path) -> None:
    """Have new files take their places, where some have not.

    Raises:
        StorageError: it cannot be written; it may be called again.
    """
    beside = folder / NEXT
    # A folder that came from elsewhere must not have files moved from where a link leads.
    if beside.is_symlink():
        return
    try:
        names = sorted(os.listdir(beside), key=lambda name: (name == LAST, name))
    except OSError:
        return
    try:
        for name in names:
            # Another process may have done it.
            with contextlib.suppress(FileNotFoundError):
                os.replace(beside / name, folder / name)
        files.fsync_folder(folder)
        with contextlib.suppress(FileNotFoundError):
            beside.rmdir()
    except OSError as error:
        if error.errno not in _TAKEN:
            raise files.storage_error(folder, error) from error


def settle_if_possible(folder: Path) -> None:
    """As `settle`; a folder that cannot be written is left as it is."""
    with contextlib.suppress(StorageError):
        settle(folder)


def newest(folder: Path) -> Path:
    """Where the file is that takes its place last, and says what counts."""
    beside = folder / NEXT
    return beside / LAST if not beside.is_symlink() and (beside / LAST).is_file() else folder / LAST
