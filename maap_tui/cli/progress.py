"""A live line on a terminal: files, bytes, rate and time left, sampled from the tally."""

from __future__ import annotations

import asyncio
import contextlib

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.progress import Progress as Bar
from rich.text import Text

from maap_tui.engine.download.tally import Tally

PERIOD_S = 0.2
"""Seconds between two looks at the tally."""


class _Words(ProgressColumn):
    """The state in words, never read as markup."""

    def render(self, task: Task) -> Text:
        return Text(str(task.fields["words"]), no_wrap=True, overflow="ellipsis")


class Progress:
    """The live line; an async context manager around the work."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        self._bar = Bar(
            SpinnerColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            BarColumn(bar_width=24),
            _Words(),
            console=self._console,
            auto_refresh=False,
            transient=True,
            # Data goes to stdout while the line is shown, to a file for instance.
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._row = self._bar.add_task("", total=None, words="")
        self.phase = ""
        """What to say instead of the tally's counts; '' says these."""

    def print(self, line: str) -> None:
        """Print a line above the live one."""
        with contextlib.suppress(OSError, ValueError):
            self._console.print(line, soft_wrap=True, style=None)

    async def __aenter__(self) -> Progress:
        self._bar.start()
        self._looking = asyncio.create_task(self._look())
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._looking.cancel()
        await asyncio.gather(self._looking, return_exceptions=True)
        with contextlib.suppress(OSError, ValueError):
            self._bar.stop()

    async def _look(self) -> None:
        while True:
            now = self._tally.snapshot()
            total = now.bytes_total or None
            self._bar.update(self._row, total=total, completed=now.bytes_done, words=self.phase or now.words)
            self._bar.refresh()
            await asyncio.sleep(PERIOD_S)
