"""What is handed to a queue that goes on: files found, lines of the registry, rows that a process left."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import replace

from maap_tui.engine.download.downloads import Downloads
from maap_tui.engine.download.jobs import of_row
from maap_tui.engine.download.queue_store import HOST, QueueRow, born_at
from maap_tui.engine.download.requests import DownloadRequest
from maap_tui.engine.errors import (
    InvalidRequestError,
)
from maap_tui.engine.registry.entries import TrackedFile
from maap_tui.engine.storage.names import shown_url
from maap_tui.engine.workflows.parts import Parts
from maap_tui.engine.workflows.register import Refused, not_registered, refused_of

_QUEUED_AT_ONCE = 100
"""Files queued between two turns of others."""


async def enqueue(parts: Parts, requests: Sequence[DownloadRequest], into: Downloads) -> int:
    """Queue files, those that are tracked once the registry has them; returns how many are new there.

    What the registry refuses is reported as an `ItemSkipped` and left out.
    """
    tracked = [file for request in requests if (file := request.tracked) is not None]
    refused: dict[str, Refused] = {}
    if tracked:
        added = await asyncio.to_thread(parts.registry.add, tracked)
        refused = refused_of(parts.registry, added)
        for url, one in refused.items():
            parts.emit(not_registered(url, *one))
    into.resume_run()
    count = 0
    for number, request in enumerate(requests, 1):
        if request.url not in refused:
            count += into.add(request)
        if number % _QUEUED_AT_ONCE == 0:
            # Not only other tasks get their turn but also other threads, a screen's among them.
            await asyncio.sleep(0.002)
    return count


async def enqueue_tracked(
    parts: Parts, tracked: Sequence[TrackedFile], into: Downloads, *, again: bool = False
) -> tuple[int, list[str]]:
    """Queue files that the registry follows.

    Args:
        parts: the engine.
        tracked: the files.
        into: the queue.
        again: whether they are damaged or missing, and are fetched where they were.

    Returns:
        How many files are new there, and why others cannot be fetched, a sentence each.
    """
    product_dir = parts.settings.downloads.product_dir
    requests: list[DownloadRequest] = []
    refused = []
    for file in tracked:
        try:
            if again:
                requests.append(parts.filing.lost_file(file))
            else:
                requests.append(parts.filing.request_of_tracked(file, product_dir=product_dir))
        except InvalidRequestError as error:
            refused.append(f"{shown_url(file.url)} ({error.message})")
    return await enqueue(parts, requests, into), refused


async def take_over(
    parts: Parts, rows: Sequence[QueueRow], into: Downloads, *, again: bool = False
) -> tuple[int, list[str]]:
    """Go on with what a process that is gone left in the queue, as far as no other one was faster.

    Args:
        parts: the engine.
        rows: its files.
        into: the queue that goes on with them.
        again: whether their files are damaged, and are fetched again, whatever was asked before.

    Returns:
        How many files are queued, and why others cannot be, a sentence each.
    """

    def read() -> tuple[dict[QueueRow, DownloadRequest], list[str]]:
        requests, refused = {}, []
        for row in rows:
            try:
                wanted = of_row(row)
                requests[row] = replace(wanted, again=again or wanted.again)
            except InvalidRequestError as error:
                refused.append(error.message)
        return requests, refused

    def claim(rows: Sequence[QueueRow]) -> list[QueueRow]:
        me = (os.getpid(), HOST, born_at(os.getpid()))
        mine = [replace(row, pid=me[0], host=me[1], born=me[2]) for row in rows]
        written = parts.queue.replace(rows, mine)
        # A queue that is busy stops nobody: whose file is fetched already waits for its part.
        claimed = {row.path for row in (mine if written is None else written)}
        return [row for row in rows if row.path in claimed]

    requests, refused = await asyncio.to_thread(read)
    claimed = await asyncio.to_thread(claim, list(requests))
    count = await enqueue(parts, [requests[row] for row in claimed], into)
    for row in claimed:
        job = into.jobs.get(row.url)
        if job is not None and job.state == "waiting":
            job.received = row.received
    into.pause([row.url for row in claimed if row.state == "paused"])
    return count, refused
