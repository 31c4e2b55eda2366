"""Runs a coroutine so that the first signal ends it in order and a second one at once."""

from __future__ import annotations

import os
import signal
from collections.abc import Coroutine, Mapping
from typing import Any

from maap_tui.cli.report import AGAIN, Reporter, ends_at_once
from maap_tui.text import format_duration

INTERRUPTED = {
    signal.SIGINT: "Interrupted",
    signal.SIGTERM: "Terminated",
    signal.SIGHUP: "Hung up",
    signal.SIGUSR1: "Ended by SIGUSR1",
}
"""The signals that end a command, and the words for each."""


def is_time_up(number: signal.Signals, environ: Mapping[str, str]) -> bool:
    """Whether a batch system says with a signal that a job's time is over: the rest is for another one.

    Slurm sends SIGTERM before it kills a job, and SIGUSR1 where it was asked to.
    """
    return number == signal.SIGUSR1 or (number == signal.SIGTERM and "SLURM_JOB_ID" in environ)


def run_async(
    work: Coroutine[Any, Any, int | None],
    report: Reporter,
    max_time_s: float | None = None,
    *,
    is_worker: bool = False,
) -> int | None:
    """Run a command on a loop of its own; the first signal ends it in order, a second one at once.

    Args:
        work: the command.
        report: takes the end.
        max_time_s: seconds after which it is ended in the same order; None for no such end.
        is_worker: whether it outlives its terminal, and SIGTERM leaves the rest to another one.
    """
    import asyncio

    received: list[signal.Signals | None] = []  # what ended it; None for its time

    async def supervise() -> int | None:
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(work)

        def stop(number: signal.Signals | None) -> None:
            if not received:
                received.append(number)
                task.cancel()
            elif number is not None:
                ends_at_once(128 + number)

        if max_time_s is not None:
            loop.call_later(max_time_s, stop, None)
        if is_worker:
            loop.add_signal_handler(signal.SIGHUP, lambda: None)
        for number in INTERRUPTED:
            if is_worker and number == signal.SIGHUP:
                continue
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
    if number is None:
        report.interrupted(f"Ended by --max-time after {format_duration(max_time_s)}")
        report.codes.add(AGAIN)
        return None
    report.interrupted(INTERRUPTED[number])
    if is_worker and number == signal.SIGTERM:
        if report.is_anything_left:
            report.codes.add(AGAIN)
        return None
    if is_time_up(number, os.environ):
        report.codes.add(AGAIN)
        return None
    return 128 + number
