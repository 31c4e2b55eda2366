"""What is handed to a queue that goes on: files found, lines of the registry, rows that a process left."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from maap_tui.engine.download.downloads import Downloads, Tracked, of_row
from maap_tui.engine.download.queue_store import QueueRow
from maap_tui.engine.download.requests import DownloadRequest
from maap_tui.engine.errors import (
    InvalidRequestError,
)
from maap_tui.engine.events import Warned
from maap_tui.engine.registry.entries import Entry, Key
from maap_tui.engine.workflows.parts import Parts

_QUEUED_AT_ONCE = 100
"""Files queued between two turns of others."""


async def enqueue(
    parts: Parts, files: Sequence[tuple[DownloadRequest, Tracked | None]], into: Downloads
) -> int:
    """Queue files, those that are tracked once the registry has them; returns how many are new there.

    What the registry refuses is reported as a `Warned` and left out.
    """
    entries: dict[Key, list[Entry]] = defaultdict(list)
    for wanted, tracked in files:
        if tracked is not None:
            entries[tracked.key].append(Entry(wanted.url, str(wanted.path), tracked.day))
    refused: set[str] = set()
    for key, found in entries.items():
        added = await asyncio.to_thread(parts.registry.baseline(key).add, found)
        for entry, reason in added.refused:
            refused.add(entry.url)
            parts.emit(Warned(f"Not registered: {entry.url[:120]!a} ({reason})"))
    into.resume_run()
    count = 0
    for number, (wanted, tracked) in enumerate(files, 1):
        if wanted.url not in refused:
            count += into.add(wanted, tracked)
        if number % _QUEUED_AT_ONCE == 0:
            # Not only other tasks get their turn but also other threads, a screen's among them.
            await asyncio.sleep(0.002)
    return count


async def enqueue_lines(
    parts: Parts, lines: Sequence[tuple[Key, Entry]], into: Downloads, *, again: bool = False
) -> tuple[int, list[str]]:
    """Queue lines of the registry.

    Args:
        parts: the engine.
        lines: with the baselines that they are of.
        into: the queue.
        again: whether their files are damaged or missing, and are fetched where they were.

    Returns:
        How many files are new there, and why others cannot be fetched, a sentence each.
    """
    product_dir = parts.settings.downloads.product_dir
    files: list[tuple[DownloadRequest, Tracked | None]] = []
    refused = []
    for key, entry in lines:
        try:
            if again:
                wanted = parts.filing.lost_file(key, entry)
            else:
                wanted = parts.filing.wanted_of_entry(key, entry, product_dir=product_dir)
            files.append((wanted, Tracked(key, entry.day)))
        except InvalidRequestError as error:
            refused.append(f"{entry.url[:120]!a} ({error.message})")
    return await enqueue(parts, files, into), refused


async def take_over(
    parts: Parts, rows: Sequence[QueueRow], into: Downloads, *, again: bool = False
) -> tuple[int, list[str]]:
    """Go on with what a process that is gone left in the queue.

    Args:
        parts: the engine.
        rows: its files.
        into: the queue that goes on with them.
        again: whether their files are damaged, and are fetched again.

    Returns:
        How many files are queued, and why others cannot be, a sentence each.
    """

    def read() -> tuple[list[tuple[DownloadRequest, Tracked | None]], list[str]]:
        files, refused = [], []
        for row in rows:
            try:
                wanted, tracked = of_row(row)
                files.append((replace(wanted, again=again), tracked))
            except InvalidRequestError as error:
                refused.append(error.message)
        return files, refused

    files, refused = await asyncio.to_thread(read)
    count = await enqueue(parts, files, into)
    for row in rows:
        job = into.jobs.get(row.url)
        if job is not None and job.state == "waiting":
            job.received = row.received
    into.pause([row.url for row in rows if row.state == "paused"])
    return count, refused
