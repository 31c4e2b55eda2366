"""A reader beside a writer that appends, rewrites and removes: row C3."""

from __future__ import annotations

import os
from pathlib import Path

from maap_tui.engine.registry.baseline import BaselineRegistry
from tests.faults.forks import Forks
from tests.faults.writers import DAY, KEY, entry

STEADY = [entry(0, number) for number in range(40)]
"""Marked before the reader begins, and for good."""
BLINKING = [entry(1, number) for number in range(40)]
"""Marked and unmarked all the time."""
FAILING = entry(2, 0)
"""Its failure is listed and leaves, all the time."""
STAYING = entry(2, 1)
"""Its failure stays listed."""


def prepare(root: Path) -> None:
    registry = BaselineRegistry(root, KEY)
    registry.add([*STEADY, *BLINKING, FAILING, STAYING])
    for one in STEADY:
        registry.record(one.url, one.path, DAY)
    registry.mark([(one.path, DAY) for one in STEADY])
    registry.record_error(STAYING.url, "time-out")


def churn(root: str, parent: int) -> None:
    """Change the files until the process that reads them is gone or says so."""
    registry = BaselineRegistry(Path(root), KEY)
    blinking = [(one.path, DAY) for one in BLINKING]
    number = 0
    while os.getppid() == parent and not Path(root, "enough").exists():
        registry.mark(blinking)
        registry.add([entry(3, number % 200)])
        registry.unmark(blinking)
        registry.record_error(FAILING.url, "time-out " + "x" * (number % 50))
        registry.unmark([(STEADY[0].path, DAY)])
        registry.mark([(STEADY[0].path, DAY)])
        registry.record(FAILING.url, FAILING.path, DAY)
        number += 1
    print(number)


def read_beside_writer(reads: int, folder: Path) -> tuple[list[str], int]:
    """Read while another process writes; views that never were, and how often the writer went round."""
    root = folder / "registry"
    prepare(root)
    odd: list[str] = []
    steady = {one.path for one in STEADY[1:]}
    known = {one.path for one in [*STEADY, *BLINKING]}
    with Forks(folder / "told") as forks:
        writer = forks.begin("tests.faults.reader:churn", str(root), forks.pid)
        registry = BaselineRegistry(root, KEY)
        discovered = 0
        for number in range(reads):
            if number % 2:
                marked = {path for path, _ in registry.marked()}
                if not steady <= marked <= known:
                    odd.append(f"marked: {len(steady - marked)} gone, strange: {marked - known}")
            elif number % 4:
                failed = registry.errors()
                if not {STAYING.url} <= failed.keys() <= {STAYING.url, FAILING.url}:
                    odd.append(f"failed: {failed}")
            else:
                urls = [one.url for one in registry.urls()]
                strange = [url for url in urls if not url.endswith("C.h5")]
                if len(urls) < discovered or strange:
                    odd.append(f"discovered: {len(urls)} after {discovered}, strange: {strange}")
                discovered = len(urls)
        (root / "enough").touch()
        writer.wait()
        return odd, int(writer.told())
