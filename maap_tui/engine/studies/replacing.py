"""Several files of a folder replaced as one: all of them are the old ones, or all become the new ones.

The new ones are written whole into a folder beside, which then gets the name `NEXT`: from there on they are
what counts. They take their places one by one after that, and whoever comes next finishes what a process that
was killed has left.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator, Mapping
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
_TAKEN: Final = (errno.ENOTEMPTY, errno.EEXIST)


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


def replace_files(folder: Path, texts: Mapping[str, str]) -> None:
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
            files.write_atomic(beside / name, text, mode=mode)
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
