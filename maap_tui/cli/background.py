"""A command that goes on without its terminal: forked, in a session of its own, its streams elsewhere."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable


class Ended(Exception):
    """It ended before it could go on without its terminal; `code` is its exit code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def go_to_background() -> tuple[int, bytes] | Callable[[bytes], None]:
    """Fork; what the fork says goes to the terminal until it is ready.

    Returns:
        Where the command was started, the fork's pid and what it said when it was ready. In the fork, what
        says it: from then on the terminal is not needed.

    Raises:
        Ended: where it was started, if the fork ended before that.
    """
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        os.setsid()
        _replace(0)
        return lambda word: _be_ready(writer, word)
    os.close(writer)
    try:
        with open(reader, "rb") as waiting:
            word = waiting.read()
    except KeyboardInterrupt:
        os.kill(pid, signal.SIGTERM)
        raise
    if word:
        return pid, word
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    raise Ended(status if status >= 0 else 128 - status)


def _be_ready(writer: int, word: bytes) -> None:
    for number in (1, 2):
        _replace(number)
    os.write(writer, word)
    os.close(writer)


def _replace(number: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, number)
    os.close(null)
