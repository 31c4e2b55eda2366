"""Who works on the queue, and what one process asks of the transfers of another.

Both stand beside the transfers in the queue's file, so that no server is needed: whoever asks writes a
request, whoever has the transfers sees within a second that the file changed, does it, and takes it out.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from maap_tui.engine.download.queue_store import HOST, Process, Queue, QueueRow, born_at, has_ended

if TYPE_CHECKING:
    from maap_tui.engine.download.downloads import Downloads

WORKER = "queue"
"""The verb of the worker's transfers, and of those that are left to it."""

OBEDIENT = frozenset({WORKER, "app"})
"""Verbs of the processes that do what is asked of them; others are controlled where they run."""

FORGOTTEN_S = 3600.0
"""Seconds after which a request is dropped that nobody took out."""


@dataclass(frozen=True, slots=True)
class Worker:
    """The process that works on the queue."""

    process: Process
    since: float
    """When it began, seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What another process asks of the transfers of this one."""

    id: int
    action: str
    """pause, resume, cancel or top; parallel, or setting."""
    paths: tuple[str, ...]
    """Final paths of files, () for all of them; of parallel, how many more at once; of setting, its key."""


class Control:
    """The control of one queue, for this process. Every method may be called from any thread."""

    def __init__(self, queue: Queue, *, clock: Callable[[], float] = time.time) -> None:
        """Take the queue and a clock of seconds since 1970."""
        self._queue = queue
        self._clock = clock
        self._me = (os.getpid(), HOST, born_at(os.getpid()))
        self._out: set[int] = set()
        """Requests that are done, and could not be taken out."""

    def sign_in(self) -> bool:
        """Say that this process works on the queue; False when others keep the file busy."""
        now = self._clock()
        done = self._queue.do(
            lambda connection: connection.execute(
                "INSERT OR REPLACE INTO worker (one, pid, host, born, since, changed)"
                " VALUES (1, ?, ?, ?, ?, ?)",
                (*self._me, now, now),
            )
        )
        return done is not None or bool(self._queue.problem)

    def show_life(self) -> None:
        """Let other hosts know that it still does."""
        self._queue.do(
            lambda connection: connection.execute(
                "UPDATE worker SET changed = ? WHERE pid = ? AND host = ? AND born = ?",
                (self._clock(), *self._me),
            )
        )

    def sign_off(self, *, refused: Collection[str] = (), anyway: bool = False) -> bool:
        """Say that this process works on it no more.

        Args:
            refused: final paths of files that it cannot fetch.
            anyway: whether to go also when files were left to it.

        Returns:
            False when somebody has left it files meanwhile, or when others keep the file busy.
        """

        def leave(connection: sqlite3.Connection) -> bool:
            connection.execute("BEGIN IMMEDIATE")
            left = connection.execute(
                "SELECT path FROM transfers WHERE pid = 0 AND verb = ? AND state IN ('waiting','running')",
                (WORKER,),
            )
            if not anyway and any(path not in refused for (path,) in left):
                return False
            connection.execute("DELETE FROM worker WHERE pid = ? AND host = ? AND born = ?", self._me)
            return True

        done = self._queue.do(leave)
        return bool(self._queue.problem) if done is None else done

    def worker(self) -> Worker | None:
        """The process that works on the queue; None when there is none, or it is gone."""
        found = self._queue.do(
            lambda connection: connection.execute(
                "SELECT pid, host, born, since, changed FROM worker"
            ).fetchone()
        )
        if found is None:
            return None
        with contextlib.suppress(TypeError, ValueError, OverflowError):
            pid, host, born, since, changed = found
            process = (int(pid), str(host), float(born))
            if not has_ended(process, self._clock() - float(changed)):
                return Worker(process, float(since))
        return None

    def ask(self, process: Process, action: str, paths: Sequence[str] = ()) -> int | None:
        """Ask something of a process; returns the number of the request, None when that cannot be written.

        Args:
            process: whose transfers are meant.
            action: as `Asked.action`.
            paths: as `Asked.paths`.
        """
        now = self._clock()

        def write(connection: sqlite3.Connection) -> int | None:
            connection.execute("DELETE FROM requests WHERE made < ?", (now - FORGOTTEN_S,))
            return connection.execute(
                "INSERT INTO requests (pid, host, born, action, paths, made) VALUES (?, ?, ?, ?, ?, ?)",
                (*process, action, json.dumps(list(paths)), now),
            ).lastrowid

        return self._queue.do(write)

    def is_open(self, number: int) -> bool:
        """Whether a request was not done yet, as far as that can be read just now."""
        rows = self._queue.do(
            lambda connection: connection.execute("SELECT 1 FROM requests WHERE id = ?", (number,)).fetchall()
        )
        return rows is None or bool(rows)

    def take_out(self, numbers: Iterable[int]) -> None:
        """Take requests out: they are done, or not wanted any more."""
        out = self._out.union(numbers)
        values = [(number,) for number in out]
        done = self._queue.do(
            lambda connection: connection.executemany("DELETE FROM requests WHERE id = ?", values)
        )
        # What is done and stands there still must not be done twice.
        self._out = out if done is None else set()

    def asked(self) -> list[Asked] | None:
        """What is asked of this process, in the order of asking; None when that cannot be read just now."""
        found = self._queue.do(
            lambda connection: connection.execute(
                "SELECT id, action, paths FROM requests WHERE pid = ? AND host = ? AND born = ? ORDER BY id",
                self._me,
            ).fetchall()
        )
        if found is None:
            return None
        if self._out:
            found = [row for row in found if row[0] not in self._out]
            self.take_out(())
        asked = []
        for number, action, paths in found:
            with contextlib.suppress(TypeError, ValueError, RecursionError):
                asked.append(Asked(int(number), str(action), tuple(map(str, json.loads(paths)))))
        return asked


async def obey(run: Downloads, asked: Sequence[Asked]) -> None:
    """Do what is asked of the transfers of this process, and write what became of them.

    Call it in the loop of the run; taking the requests out is the caller's.
    """
    for one in asked:
        if one.action == "parallel":
            with contextlib.suppress(ValueError):
                run.set_parallel(run.parallel + sum(map(int, one.paths)))
            continue
        urls = None
        if one.paths:
            paths = set(one.paths)
            urls = [job.wanted.url for job in run.job_list() if str(job.wanted.place) in paths]
        if one.action == "pause":
            run.pause(urls)
        elif one.action == "resume":
            run.resume(urls)
        elif one.action == "cancel":
            run.cancel(urls)
        elif one.action == "top" and urls:
            run.move_to_top(urls)
    await run.flush()


def is_left_to_worker(row: QueueRow) -> bool:
    """Whether a transfer is the worker's to go on with, if no other process has it."""
    return row.verb == WORKER and row.state in ("waiting", "running")
