"""Holds back full runs of the garbage collector while very many transfers are queued.

A full run stops every thread, longer the more objects there are: 0.2 s with 50,000 transfers in the queue.
Without this, `bench/queueing.py` with 20,000 files has turns of the app's loop that take 99 ms of processor
time instead of 29 while they are queued, and 167 ms instead of 91 when interrupted ones are taken over.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

NEVER = 1_000_000
"""Runs over younger objects before a full one: so many that a full one does not come."""

MANY = 2000
"""Transfers queued at once from which it is worth the effort."""

_holders: list[tuple[int, int, int]] = []


@dataclass
class Held:
    """What full runs are held back for."""

    count: int
    """How many transfers there are; few of them are not excluded from later runs."""


@contextmanager
def held(count: int = MANY) -> Iterator[Held]:
    """Make no full run meanwhile, and exclude from later runs the objects that exist at the end.

    An excluded object is still freed when its last reference goes; only cycles among them are not found.
    Call it in the app's thread.

    Args:
        count: how many transfers are queued; few of them hold nothing back. Who learns it only meanwhile
            changes that of what is given.
    """
    holding = Held(count)
    if count < MANY:
        yield holding
        return
    _holders.append(gc.get_threshold())
    gc.set_threshold(*_holders[0][:2], NEVER)
    try:
        yield holding
    finally:
        before = _holders.pop()
        if holding.count >= MANY:
            exclude()
        if not _holders:
            gc.set_threshold(*before)


def exclude() -> None:
    """Exclude the objects that exist from later runs: a million granules make a full one take 0.7 s."""
    gc.collect(1)  # frees the young garbage, which freezing would keep
    gc.freeze()
