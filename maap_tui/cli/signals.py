"""Runs a coroutine so that the first signal ends it in order and a second one at once."""

from __future__ import annotations

import signal
from collections.abc import Coroutine
from typing import Any

from maap_tui.cli.report import Reporter, ends_at_once

INTERRUPTED = {
    signal.SIGINT: "Interrupted",
    signal.SIGTERM: "Terminated",
    signal.SIGHUP: "Hung up",
}
"""The signals that end a command, and the word for each."""


def run_async(work: Coroutine[Any, Any, int | None], report: Reporter) -> int | None:
    """Run a command on a loop of its own; the first signal ends it in order, a second one at once."""
    import asyncio

    received: list[signal.Signals] = []

    async def supervise() -> int | None:
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(work)

        def stop(number: signal.Signals) -> None:
            if received:
                ends_at_once(128 + number)
            received.append(number)
            task.cancel()

        for number in INTERRUPTED:
            # nohup and a shell's background jobs ignore some of them, and that is meant.
            if signal.getsignal(number) is not signal.SIG_IGN:
                try:
                    loop.add_signal_handler(number, stop, number)
                except (ValueError, RuntimeError, NotImplementedError):
                    break  # not the main thread: signals are somebody else's there
        return await task

    try:
        return asyncio.run(supervise())
    except asyncio.CancelledError:
        number = received[0] if received else signal.SIGINT
    report.interrupted(INTERRUPTED[number])
    return 128 + number
