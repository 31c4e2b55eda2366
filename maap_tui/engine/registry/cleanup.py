"""Clean-up: deletes marked files, and nothing else.

The rule: only a regular file below the data folder goes, found without following a link, and the journal
has its line before it goes. The marks stay.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Container
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.registry.baseline import BaselineRegistry
from maap_tui.engine.storage import files


@dataclass(frozen=True, slots=True)
class Deletable:
    """What a cleanup would do."""

    files: list[tuple[Path, int]]
    """Marked files below the data folder that exist, with their size in bytes."""
    refused: list[tuple[str, str]]
    """Marked paths that exist and must stay, each with the reason."""

    @property
    def bytes(self) -> int:
        """Size of all the files together."""
        return sum(size for _, size in self.files)


@dataclass(frozen=True, slots=True)
class CleanupReport:
    """What a cleanup did, or would do when it was a dry run."""

    deleted: list[Path]
    bytes: int
    """Bytes freed."""
    refused: list[tuple[str, str]]
    """Marked paths that exist and were kept, each with the reason."""


def deletable(
    registry: BaselineRegistry, data_dir: Path, start: date | None = None, end: date | None = None
) -> Deletable:
    """List the marked files that a cleanup would delete, and those it would refuse to.

    Only regular files below the data folder are ever deleted: no links, nothing a link or `..`
    leads out to, nothing of the registry. Marked files that are gone are not listed.

    Args:
        registry: of the baseline.
        data_dir: nothing outside of it is ever deleted.
        start: first sensing day; None is the first there is.
        end: last sensing day; None is the last there is.

    Raises:
        InvalidRequestError: the data folder is the root of the file system.
    """
    found, refused = _marked_on_disk(registry, data_dir, start, end)
    return Deletable(
        sorted((resolved, size) for resolved, (size, _) in found.items()), sorted(refused.items())
    )


def _marked_on_disk(
    registry: BaselineRegistry, data_dir: Path, start: date | None, end: date | None
) -> tuple[dict[Path, tuple[int, list[tuple[str, date]]]], dict[str, str]]:
    """Find marked files, each with its bytes and marks, and those that must stay with the reason."""
    base = _data_root(data_dir)
    own = Path(os.path.realpath(registry.root))
    found: dict[Path, tuple[int, list[tuple[str, date]]]] = {}
    refused: dict[str, str] = {}
    for text, day in registry.marked(start, end):
        path = Path(text)
        try:
            status = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            refused[text] = error.strerror or str(error)
            continue
        resolved = Path(os.path.realpath(path.parent)) / path.name
        if stat.S_ISLNK(status.st_mode):
            refused[text] = "it is a symbolic link"
        elif path.name in ("", "..") or not resolved.is_relative_to(base) or resolved == base:
            refused[text] = f"it is not below {data_dir}"
        elif not stat.S_ISREG(status.st_mode):
            refused[text] = "it is not a regular file"
        elif resolved.is_relative_to(own):
            refused[text] = "it belongs to the registry"
        else:
            found.setdefault(resolved, (status.st_size, []))[1].append((text, day))
    return found, refused


def delete_marked(
    registry: BaselineRegistry,
    data_dir: Path,
    journal: Path,
    dry_run: bool = False,
    *,
    start: date | None = None,
    end: date | None = None,
    only: Container[Path] | None = None,
) -> CleanupReport:
    """Delete the marked files below the data folder; the marks stay.

    Args:
        registry: Of the baseline.
        data_dir: Nothing outside of it is touched.
        journal: Gets a line `time|bytes|path` before each deletion.
        dry_run: Only report what would be done.
        start: First sensing day; None is the first there is.
        end: Last sensing day; None is the last there is.
        only: The files, as `deletable` lists them, that may go; None for all of them.

    Raises:
        InvalidRequestError: the data folder is the root of the file system.
        StorageError: the journal cannot be written; the file in question was kept.
    """
    found, kept = _marked_on_disk(registry, data_dir, start, end)
    plan = sorted((path, *about) for path, about in found.items() if only is None or path in only)
    refused = sorted(kept.items())
    if dry_run:
        return CleanupReport([path for path, *_ in plan], sum(size for _, size, _ in plan), refused)
    base = _data_root(data_dir)
    deleted: list[Path] = []
    freed = 0
    for path, size, marks in plan:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        files.append_lines(journal, [f"{now}|{size}|{path}"])
        try:
            _unlink_below(base, path.relative_to(base))
        except OSError as error:
            reason = error.strerror or str(error)
            refused.append((str(path), reason))
            files.append_lines(journal, [f"# kept: {path}: {reason}"])
            continue
        deleted.append(path)
        freed += size
        for text, day in marks:
            registry.note_deleted(day, [text])
    return CleanupReport(deleted, freed, refused)


def _data_root(data_dir: Path) -> Path:
    base = Path(os.path.realpath(data_dir))
    if base == Path(base.anchor):
        raise InvalidRequestError(f"Will not clean up below {base}", "Set data_dir to a folder of its own.")
    return base


def _unlink_below(base: Path, relative: Path) -> None:
    """Delete a regular file below a folder, following no link that took a folder's place meanwhile."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    folder = os.open(base, flags)
    try:
        for name in relative.parts[:-1]:
            below = os.open(name, flags, dir_fd=folder)
            os.close(folder)
            folder = below
        status = os.stat(relative.name, dir_fd=folder, follow_symlinks=False)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(0, "it is no longer a regular file")
        os.unlink(relative.name, dir_fd=folder)
    finally:
        os.close(folder)
