"""Where the studies are that were frozen or thawed on this machine, and which granules they need.

A text file in the state folder, one folder a line, the last used last. It may be deleted at any time: what
it lists is then only not warned about.
"""

from __future__ import annotations

from pathlib import Path

from maap_tui.engine.config import dirs
from maap_tui.engine.config.dirs import AppDirs
from maap_tui.engine.errors import InvalidRequestError, LockedError, StorageError
from maap_tui.engine.storage import files, locks
from maap_tui.engine.storage.names import is_writable
from maap_tui.engine.studies.study import Study, is_study, read_study

MOST = 500
"""Studies that are remembered, those used last."""

_HEAD = "# Folders of the studies that were frozen or thawed here; it may be deleted.\n"


def places_file(where: AppDirs) -> Path:
    """The file that lists them."""
    return where.state_dir / "studies.txt"


def remember(where: AppDirs, folder: Path) -> None:
    """Write down where a study is; one whose path cannot be a line is left out.

    Raises:
        StorageError: it cannot be written.
        LockedError: another process has held the list for long.
    """
    folder = dirs.absolute(folder)
    if not is_writable(folder):
        return
    file = places_file(where)
    with locks.lock(where.lock_file(file), timeout_s=10, purpose="freeze", what="The list of studies"):
        known = _read(file)
        if known[-1:] == [folder]:
            return
        kept = [*[one for one in known if one != folder][1 - MOST :], folder]
        files.write_atomic(file, _HEAD + "".join(f"{one}\n" for one in kept))


def remember_quietly(where: AppDirs, folder: Path) -> str:
    """As `remember`; returns a sentence where it could not be done, '' where it was."""
    try:
        remember(where, folder)
    except (StorageError, LockedError) as error:
        return f"The place of the study is not remembered: {error.message}"
    return ""


def last_study(where: AppDirs) -> Path | None:
    """The folder of the study that was frozen or thawed last and is still there; None without one."""
    return next((folder for folder in reversed(_read(places_file(where))) if is_study(folder)), None)


def studies_here(where: AppDirs) -> dict[Path, Study]:
    """The studies that are remembered, still there and can be read, by their folder.

    It reads each of them: call it from a thread.
    """
    found = {}
    for folder in _read(places_file(where)):
        try:
            if is_study(folder):
                found[folder] = read_study(folder)
        except InvalidRequestError:
            continue
    return found


def needed_granules(where: AppDirs) -> dict[str, list[Path]]:
    """Ids of the granules that studies on this machine need, each with the folders of those studies.

    It reads each of them: call it from a thread.
    """
    found: dict[str, list[Path]] = {}
    for folder, study in studies_here(where).items():
        for identity in study.granules:
            found.setdefault(identity, []).append(folder)
    return found


def _read(file: Path) -> list[Path]:
    try:
        lines = files.read_lines(file)
    except StorageError:
        return []
    paths = [Path(line) for line in lines if line.startswith("/")]
    return list(dict.fromkeys(paths))[-MOST:]
