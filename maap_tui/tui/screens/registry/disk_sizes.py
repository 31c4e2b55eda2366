"""DiskSizes: sums what the files of baselines take on disk, one baseline after the other, in a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable
from typing import Protocol

from maap_tui.engine.errors import MaapError
from maap_tui.engine.registry import view
from maap_tui.engine.registry.entries import Key
from maap_tui.tui.host import Host
from maap_tui.tui.problems import problem_of
from maap_tui.tui.screens.registry.shares import BaselineRow
from maap_tui.tui.workers import RunsWorkers, start_worker


class Table(RunsWorkers, Protocol):
    """What has the baselines and shows them; the worker is its own."""

    rows: dict[Key, BaselineRow]

    @property
    def maap(self) -> Host: ...

    def show_row(self, key: Key) -> None: ...


class DiskSizes:
    """The baselines whose bytes on disk may have changed, and the worker that sums them again."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._unsized: set[Key] = set()
        self._is_sizing = False
        self._disk_use = view.DiskUse()
        self._left = threading.Event()

    def outdate(self, keys: Iterable[Key]) -> None:
        """Note that bytes of these baselines may have come or gone."""
        self._unsized.update(keys)

    def start(self) -> None:
        """Sum again what is out of date, unless that goes on."""
        if self._unsized and not self._is_sizing:
            self._is_sizing = True
            start_worker(self._table, self._sum, group="sizes")

    def stop(self) -> None:
        """Let the thread end with the file that it looks at."""
        self._left.set()

    async def _sum(self) -> None:
        table = self._table
        try:
            while self._unsized and not self._left.is_set():
                key = min(self._unsized)
                self._unsized.discard(key)
                row = table.rows.get(key)
                if row is None or row.summary is None:
                    continue
                size = await asyncio.to_thread(
                    self._disk_use.measure,
                    table.maap.backend.session.registry.baseline(key),
                    row.summary.days,
                    lambda: not self._left.is_set(),
                )
                if size is not None and size != row.size:
                    row.size = size
                    table.show_row(key)
        except (MaapError, OSError) as error:
            table.maap.backend.write_log("warning", f"Bytes on disk are not known: {problem_of(error)}")
        finally:
            self._is_sizing = False
