"""Marks of processed files, and the clean-up of what is marked."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from maap_tui.engine.config import dirs
from maap_tui.engine.registry.baseline import BaselineRegistry, mark_fault
from maap_tui.engine.registry.cleanup import CleanupReport, delete_marked
from maap_tui.engine.registry.entries import Key
from maap_tui.engine.storage import layout
from maap_tui.engine.workflows.parts import Parts


@dataclass(slots=True)
class MarkReport:
    """What came of marking files."""

    new: int = 0
    already: int = 0
    """Marked before."""
    refused: list[tuple[str, str]] = field(default_factory=list)
    """Paths that could not be marked, and why."""


def mark(parts: Parts, paths: Sequence[str]) -> MarkReport:
    """Mark downloaded files as processed, whichever baseline they belong to."""
    return _change_marks(parts, paths, BaselineRegistry.mark)


def unmark(parts: Parts, paths: Sequence[str]) -> MarkReport:
    """Take marks away; `new` counts those taken, `already` the files that had none."""
    return _change_marks(parts, paths, BaselineRegistry.unmark)


def _change_marks(
    parts: Parts,
    paths: Sequence[str],
    change: Callable[[BaselineRegistry, Iterable[tuple[str, date]]], int],
) -> MarkReport:
    groups: dict[Key, list[tuple[str, date]]] = {}
    report = MarkReport()
    for text in paths:
        path = _absolute(text)
        if fault := mark_fault(path):
            report.refused.append((text, fault))
            continue
        location = layout.collection_of(path)
        if location is None:
            report.refused.append(
                (text, "it is not of the layout .../COLLECTION/PRODUCT/BASELINE/YYYY/MM/DD/FILE")
            )
            continue
        collection, product_type, baseline, day = location
        key = Key(parts.mission_of(collection).name, collection, product_type, baseline)
        groups.setdefault(key, []).append((path, day))
    for key, found in groups.items():
        changed = change(parts.registry.baseline(key), found)
        report.new += changed
        report.already += len(found) - changed
    return report


def cleanup(
    parts: Parts, collection: str, product_type: str, baseline: str, *, dry_run: bool = False
) -> CleanupReport:
    """Delete the marked files of a baseline; with a dry run only find them."""
    tracker = parts.tracker(collection, product_type, baseline)
    return delete_marked(tracker, parts.dirs.data_dir, parts.dirs.journal_file, dry_run)


def _absolute(text: str) -> str:
    dirs.absolute(Path(text))
    return os.path.abspath(text)
