"""Orders to transfers, whichever process has them; what no process has is changed in the queue itself.

All of it blocks, and may be called from any thread.
"""

from __future__ import annotations

import fnmatch
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from maap_tui.engine.download.queue_control import OBEDIENT, WORKER, Control
from maap_tui.engine.download.queue_store import LIVE, Process, Queue, QueueRow, has_ended
from maap_tui.engine.errors import LockedError

ANSWER_S = 10.0
"""Seconds that a process has to do what it was asked."""

POLL_S = 0.05
"""Seconds between two looks whether it was done."""

TAKES = {
    "pause": frozenset({"waiting", "running"}),
    "resume": frozenset({"paused"}),
    "cancel": LIVE,
    "retry": frozenset({"failed", "cancelled"}),
    "top": frozenset({"waiting"}),
}
"""Action -> states of the transfers that it is for."""

_MAKES = {"pause": "paused", "resume": "waiting", "cancel": "cancelled", "retry": "waiting", "top": "waiting"}

RATE_S = 1.6
"""Longest look at what runs, for its rates."""

LEAST_S = 0.4
"""Seconds that a rate is taken over at least."""


@dataclass(slots=True)
class Ordered:
    """What came of an order."""

    done: list[QueueRow] = field(default_factory=list)
    """Transfers that are as they should be, as the queue has them now."""
    held: list[QueueRow] = field(default_factory=list)
    """Those of processes that take no orders."""
    unanswered: list[QueueRow] = field(default_factory=list)
    """Those of processes that did not answer."""


def order(queue: Queue, action: str, rows: Sequence[QueueRow], *, everything: bool = False) -> Ordered:
    """Have something done with transfers, and wait until it is.

    Args:
        queue: the queue.
        action: one of `TAKES`; rows in other states are left out.
        rows: the transfers, as the queue has them.
        everything: whether they are all that the queue has; of what ended, `retry` then takes what failed.

    Raises:
        LockedError: others keep the queue's file busy, so that nobody knows whether it was done.
    """
    if everything and action == "retry":
        rows = [row for row in rows if row.state == "failed"]
    control, result = Control(queue), Ordered()
    loose: list[QueueRow] = []
    asked: dict[int, list[QueueRow]] = {}
    for process, its in _by_process(rows, TAKES[action]).items():
        if action == "retry" or _is_gone(process, its):
            loose += its  # of what has ended the queue's word holds, whoever had it
            continue
        result.held += [row for row in its if row.verb not in OBEDIENT]
        if mine := [row for row in its if row.verb in OBEDIENT]:
            number = control.ask(process, action, () if everything else [row.path for row in mine])
            if number is None:
                result.unanswered += mine
            else:
                asked[number] = mine
    end = time.monotonic() + ANSWER_S
    while asked:
        for number, its in list(asked.items()):
            is_gone = _is_gone(its[0].process, its)
            if not is_gone and control.is_open(number) and time.monotonic() < end:
                continue
            del asked[number]
            is_open = control.is_open(number)
            control.take_out([number])
            if is_open and not is_gone:
                result.unanswered += its
            elif is_gone:
                loose += its
        if asked:
            time.sleep(POLL_S)
    _change(queue, action, loose)
    left_out = {row.path for row in (*result.held, *result.unanswered)}
    meant = {row.path for row in rows if row.state in TAKES[action]} - left_out
    for row in demand_rows(queue):
        is_so = row.state not in TAKES[action]
        if action in ("pause", "cancel"):
            is_so = row.state == _MAKES[action]
        elif action == "top":
            is_so = row.state in ("waiting", "running")
        if row.path in meant and is_so:
            result.done.append(row)
    return result


def ask_worker(queue: Queue, action: str, *words: str) -> bool | None:
    """Ask something of the worker that is not about single transfers, and wait until it is done.

    Args:
        queue: the queue.
        action: `parallel` or `setting`.
        words: as `Asked.paths`.

    Returns:
        Whether it was done; None where no worker runs.
    """
    control = Control(queue)
    worker = control.worker()
    if worker is None:
        return None
    number = control.ask(worker.process, action, words)
    if number is None:
        return False
    end = time.monotonic() + ANSWER_S
    while control.is_open(number) and time.monotonic() < end and control.worker() == worker:
        time.sleep(POLL_S)
    is_done = not control.is_open(number)
    control.take_out([number])
    return is_done


def _by_process(rows: Iterable[QueueRow], states: frozenset[str]) -> dict[Process, list[QueueRow]]:
    found: dict[Process, list[QueueRow]] = {}
    for row in rows:
        if row.state in states:
            found.setdefault(row.process, []).append(row)
    return found


def _is_gone(process: Process, rows: Iterable[QueueRow]) -> bool:
    return has_ended(process, time.time() - max(row.changed for row in rows))


def _change(queue: Queue, action: str, rows: Sequence[QueueRow]) -> None:
    """Change transfers that no process has; those that go on are left to the worker."""
    if not rows:
        return
    now = time.time()
    first = min((row.position for row in demand_rows(queue, ended=False)), default=0.0)
    after = []
    for number, row in enumerate(rows):
        becomes = replace(row, state=_MAKES[action], pid=0, changed=now)
        if action in ("resume", "retry"):
            becomes = replace(becomes, verb=WORKER, reason="", tries=0)
        elif action == "top":
            becomes = replace(becomes, position=first - len(rows) + number)
        after.append(becomes)
    if queue.replace(rows, after) is None:
        raise _busy()


def demand_rows(queue: Queue, *, ended: bool = True) -> list[QueueRow]:
    """All rows of a queue, as `Queue.read`.

    Raises:
        LockedError: others keep its file busy.
    """
    rows = queue.read(ended=ended)
    if rows is None:
        raise _busy()
    return rows


def _busy() -> LockedError:
    return LockedError("Other processes keep the download queue busy", "Run the same command again.")


def named(rows: Sequence[QueueRow], name: str) -> list[QueueRow]:
    """The transfers that a name means: a path, an address, a file's name, with or without its ending, or a
    pattern of one with `*`, `?` or `[`.
    """
    path = os.path.abspath(name)
    found = [row for row in rows if name in (row.path, row.url) or row.path == path]
    if not found:
        names = [(row, row.path.rpartition("/")[2]) for row in rows]
        found = [row for row, own in names if name == own or name == own.partition(".")[0]]
        if not found and set(name) & set("*?["):
            found = [row for row, own in names if fnmatch.fnmatchcase(own, name)]
    return found


def rates_of(queue: Queue, rows: Iterable[QueueRow]) -> dict[str, float]:
    """Bytes a second of the transfers that run, by path, measured now; none of those that bring nothing."""
    first = {row.path: row for row in rows if row.state == "running"}
    found: dict[str, float] = {}
    end = time.monotonic() + RATE_S
    while first.keys() - found.keys() and time.monotonic() < end:
        time.sleep(0.2)
        for row in queue.load(ended=False):
            before = first.get(row.path)
            if before is not None and row.changed - before.changed >= LEAST_S:
                came = row.received - before.received
                found[row.path] = max(0.0, came / (row.changed - before.changed))
    return {path: rate for path, rate in found.items() if rate}
