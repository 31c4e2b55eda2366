"""The collector of cyclic garbage, kept from looking at everything while very much arrives.

A full look stops every thread, the longer the more there is: 0.2 s with 50,000 transfers in the queue.
Without this, `bench/queueing.py` with 20,000 files has turns of the app's loop that take 99 ms of processor
time instead of 29 while they are queued, and 167 ms instead of 91 when interrupted ones are taken over.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

NEVER = 1_000_000
"""Looks at younger objects before a full one, where none is wanted."""

MANY = 2000
"""Transfers at once from which it is worth while."""

_holders: list[tuple[int, int, int]] = []


@contextmanager
def held(count: int = MANY) -> Iterator[None]:
    """Make no full look meanwhile, and take what has come as here to stay: later looks leave it out.

    What stays is still let go of as soon as nobody has it; only a cycle among it is not found any more.
    Call it in the app's thread.

    Args:
        count: how many transfers come; for few of them nothing is held.
    """
    if count < MANY:
        yield
        return
    _holders.append(gc.get_threshold())
    gc.set_threshold(*_holders[0][:2], NEVER)
    try:
        yield
    finally:
        before = _holders.pop()
        if not _holders:
            gc.collect(1)  # of what is young there is little, and it goes before the rest is left alone
            gc.freeze()
            gc.set_threshold(*before)
