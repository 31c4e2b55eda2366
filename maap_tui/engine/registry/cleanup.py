"""Clean-up: deletes marked files, and nothing else.

The rule: only a regular file below the data folder goes, found without following a link, and the journal
has its line before it goes. The marks stay.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.registry.baseline import BaselineRegistry
from maap_tui.engine.storage import files
from maap_tui.engine.swaps.book import held


@dataclass(frozen=True, slots=True)
class Deletable:
    """What a cleanup would do."""

    files: list[tuple[Path, int]]
    """Marked files below the data folder that exist, with their size in bytes."""
    refused: list[tuple[str, str]]
    """Marked paths that exist and must stay, each with the reason."""
    held: list[tuple[str, str]]
    """Marked files that a swap of baselines keeps, each with until when."""

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
    held: list[tuple[str, str]]
    """Marked files that a swap of baselines keeps, each with until when."""


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
    held = _take_held(registry, found)
    return Deletable(
        sorted((resolved, size) for resolved, (size, _) in found.items()), sorted(refused.items()), held
    )


def _take_held(
    registry: BaselineRegistry, found: dict[Path, tuple[int, list[tuple[str, date]]]]
) -> list[tuple[str, str]]:
    """Take out what a swap keeps; to be called after the marks were read, as a swap writes its line first."""
    kept = held(registry.root, registry.key)
    taken = []
    if kept:
        for resolved, (_, marks) in list(found.items()):
            why = next((kept[text] for text, _ in marks if text in kept), "")
            if why:
                del found[resolved]
                taken.append((str(resolved), why))
    return sorted(taken)


def _marked_on_disk(
    registry: BaselineRegistry,
    data_dir: Path,
    start: date | None,
    end: date | None,
    only: Collection[Path] | None = None,
) -> tuple[dict[Path, tuple[int, list[tuple[str, date]]]], dict[str, str]]:
    """Find marked files, each with its bytes and marks, and those that must stay with the reason."""
    base = _data_root(data_dir)
    own = Path(os.path.realpath(registry.root))
    found: dict[Path, tuple[int, list[tuple[str, date]]]] = {}
    refused: dict[str, str] = {}
    # Few of many: the others are not looked for on disk.
    names = None if only is None else {path.name for path in only}
    for text, day in registry.marked(start, end):
        if names is not None and os.path.basename(text) not in names:
            continue
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
    only: Collection[Path] | None = None,
    is_swapped: bool = False,
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
        is_swapped: Whether it is a swap that asks, which keeps files from every other clean-up.

    Raises:
        InvalidRequestError: the data folder is the root of the file system.
        StorageError: the journal cannot be written; the file in question was kept.
    """
    found, kept = _marked_on_disk(registry, data_dir, start, end, only)
    by_swap = [] if is_swapped else _take_held(registry, found)
    plan = sorted((path, *about) for path, about in found.items() if only is None or path in only)
    refused = sorted(kept.items())
    if dry_run:
        return CleanupReport([path for path, *_ in plan], sum(size for _, size, _ in plan), refused, by_swap)
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
    return CleanupReport(deleted, freed, refused, by_swap)


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
