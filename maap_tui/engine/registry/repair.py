"""Repair: finds damaged lines in the files of a baseline, and turns them into comments."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from maap_tui.engine.errors import StorageError, UnreadableError
from maap_tui.engine.registry.baseline import BaselineRegistry
from maap_tui.engine.registry.entries import ListKind, Problem, Repaired
from maap_tui.engine.registry.lines import as_text, fix_lines, read
from maap_tui.engine.registry.tree import UNDATED, day_files_below, read_settled
from maap_tui.engine.storage import files

_KINDS: Final[tuple[ListKind, ...]] = ("url", "dwl", "mrk", "cln")


def problems_of(registry: BaselineRegistry) -> list[Problem]:
    """List what cannot be read: damaged lines, impossible dates, files without permission."""
    found: list[Problem] = []

    def step_over(error: UnreadableError) -> None:
        found.append(Problem(error.path, 0, error.message))

    for kind in _KINDS:
        folder = registry.deletions_folder if kind == "cln" else registry.folder(kind)
        if folder is None:
            continue
        try:
            for path, day in day_files_below(folder, kind, step_over):
                if day is None:
                    found.append(Problem(path, 0, f"{UNDATED}; the file is ignored"))
                else:
                    found.extend(_file_problems(path, kind))
        except StorageError as error:
            found.append(Problem(folder, 0, error.message))
    if os.path.exists(registry.errors_file):
        found.extend(_file_problems(registry.errors_file, "url"))
    return found


def repair_lines(registry: BaselineRegistry) -> list[Repaired]:
    """Turn lines that cannot be read into comments; each file is kept beside as it was.

    Raises:
        LockedError: another writer held the baseline too long.
        StorageError: the registry cannot be written; the file in question is as it was.
    """
    damaged = sorted({problem.file for problem in problems_of(registry) if problem.line})
    done: list[Repaired] = []
    if not damaged:
        return done
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    with registry.locked("repairing the registry"):
        for path in damaged:
            kind: ListKind = next((one for one in _KINDS if path.name.startswith(f"{one}_")), "url")
            data = read_settled(path)
            fixed, lines = fix_lines(as_text(data) if path == registry.errors_file else data, kind)
            if lines:
                backup = path.with_name(f"{path.name}.{now}.damaged")
                files.write_atomic(backup, data)
                files.write_atomic(path, fixed)
                done.append(Repaired(path, backup, lines))
    return done


def _file_problems(path: Path, kind: ListKind) -> list[Problem]:
    try:
        data = files.read_data(path)
    except StorageError as error:
        return [Problem(path, 0, error.message)]
    if path.name == "errors.txt":
        data = as_text(data)
    return [Problem(path, number, reason) for number, reason in sorted(read(data, kind).bad)]
