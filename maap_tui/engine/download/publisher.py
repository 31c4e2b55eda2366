"""Publisher: gives files their final names, those that are whole at about the same time together.

Rule: the bytes of a file are durable before it has its name, and the name before it is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from maap_tui.engine.download.batch import Batches, Failures
from maap_tui.engine.download.part import HELD, Part, run_to_end
from maap_tui.engine.storage import files

BATCH = 64
"""Most files that are published together."""

GATHER_S = 0.02
"""Seconds from one batch to the next: a thread and an fsync of the folder cost what many renames cost."""


@dataclass(slots=True, eq=False)
class _Ready:
    """A file whose bytes are all here."""

    part: Part
    path: Path
    error: Exception | None = None

    def step(self, function: Callable[[], None]) -> None:
        """Do one thing more, unless something went wrong before."""
        if self.error is None:
            try:
                function()
            except Exception as error:
                self.error = error


class Publisher:
    """The files of one Transfer that wait for their names. For one loop."""

    def __init__(self) -> None:
        self._batches: Batches[_Ready] = Batches(_publish, BATCH, gather_s=GATHER_S)

    async def publish(self, part: Part, path: Path) -> None:
        """Give a file its final name for good; to its end also when cancelled.

        Args:
            part: all its bytes, written and found whole.
            path: its final name.

        Raises:
            StorageError: it may be lost.
            OSError: it could not be written.
        """
        ready = _Ready(part, path)
        if part.length <= HELD:
            await self._batches.do(ready)
            return
        # A large one takes long; nothing small waits for it.
        (error,) = await run_to_end(_publish, [ready])
        if error is not None:
            raise error


def _publish(batch: Sequence[_Ready]) -> Failures:
    """fsync, rename, and fsync of each folder: after this the files stay, whatever happens."""
    for one in batch:
        one.step(one.part.make_durable)
    for one in batch:
        one.step(partial(one.part.rename, one.path))
    folders: dict[Path, list[_Ready]] = {}
    for one in batch:
        if one.error is None:
            folders.setdefault(one.path.parent, []).append(one)
    for folder, named in folders.items():
        try:
            files.fsync_folder(folder)
        except Exception as error:
            for one in named:
                one.error = error
    return [one.error for one in batch]
