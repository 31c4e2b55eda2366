"""What the actions of Downloads ask of chosen transfers: which obey, their sizes, texts and verdicts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from maap_tui.engine.download.jobs import of_row
from maap_tui.engine.download.queue_store import QueueRow
from maap_tui.engine.download.tally import sum_sizes
from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.integrity.verify import Judge, Verdict
from maap_tui.text import format_bytes, format_sum
from maap_tui.tui.screens.downloads.transfers import Line, state_word

SLICE = 500
"""Rows processed before keys are handled."""


def obeying(lines: Iterable[Line], *states: str) -> list[QueueRow]:
    """The rows in these states of processes that do what they are asked."""
    return [line.row for line in lines if line.row is not None and line.obeys and line.state in states]


def verdict_of(judge: Judge, line: Line) -> Verdict:
    """The verdict on a line's file on disk."""
    if line.job is not None:
        tracked = line.job.wanted.tracked
    else:
        try:
            tracked = of_row(line.row).tracked if line.row is not None else None
        except InvalidRequestError:
            tracked = None  # the queue's row cannot be read: judged without the registry
    where = (tracked.key, tracked.day) if tracked is not None else None
    return judge.judge(line.key, line.url, tracked=where, size=line.source.size)


def size_of(lines: Iterable[Line]) -> str:
    total, unknown, guessed = sum_sizes((line.kind, line.source.size) for line in lines)
    return format_sum(total, unknown=unknown, guessed=guessed)


async def texts_of(lines: Iterable[Line]) -> list[str]:
    """A line of text for each of them, handling keys in between."""
    texts = []
    for line in lines:
        texts.append(_line_text(line))
        if len(texts) % SLICE == 0:
            await asyncio.sleep(0)
    return texts


def _line_text(line: Line) -> str:
    size = "?" if line.source.size is None else format_bytes(line.source.size)
    return f"{state_word(line):<12}{size:>10}  {line.name}"
