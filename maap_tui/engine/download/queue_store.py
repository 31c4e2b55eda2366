"""The queue on disk: what waits, runs and has ended, in this process and in every other of this user.

It is a view and a control, never the truth: what is downloaded stands in the registry and on disk. When
the file cannot be used, one warning says so and everything else goes on.
"""

from __future__ import annotations

import contextlib
import operator
import os
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from maap_tui.engine.download.tally import sum_sizes
from maap_tui.engine.errors import StorageError
from maap_tui.engine.events import Emit, Warned, ignore
from maap_tui.engine.storage import files

T = TypeVar("T")

KEEP_ENDED_S = 7 * 86400.0
"""Seconds that ended transfers stay in the queue."""

SILENT_S = 3600.0
"""Seconds without news after which a process of another machine is taken to be gone: it cannot be asked."""

BUSY_S = 5.0
"""Seconds that a write waits for other processes that write."""

LIVE = frozenset({"waiting", "running", "paused"})
"""States of a transfer that has not ended."""

Process = tuple[int, str, float]
"""Pid, host and birth: what distinguishes one process from all others."""


@dataclass(frozen=True, slots=True)
class QueueRow:
    """One transfer as the queue keeps it."""

    path: str
    """The file's final path; the key."""
    url: str
    state: str
    """waiting, running, paused, finished, skipped, failed or cancelled."""
    size: int | None = None
    """Bytes announced, None when unknown."""
    received: int = 0
    """Bytes in the part or the file."""
    reason: str = ""
    tries: int = 0
    mission: str = ""
    collection: str = ""
    product_type: str = ""
    baseline: str = ""
    day: str = ""
    """Sensing day YYYY-MM-DD; '' for a file that no registry follows."""
    root: str = ""
    """Folder that the path must stay in."""
    position: float = 0.0
    """Order in the queue, lowest first."""
    pid: int = 0
    """The process that has it; 0 when that let go of it before it ended."""
    host: str = ""
    born: float = 0.0
    """When the process started, as its system counts; distinguishes a reused pid from the old one."""
    verb: str = ""
    """The command that queued it."""
    changed: float = 0.0
    """Seconds since 1970."""
    again: bool = False
    """Whether it is fetched also when it is here whole."""
    checksum: str = ""
    """Multihash that the catalogue announced, hex; '' when it did not."""
    frozen: str = ""
    """SHA-256 that it has to have, hex, as a study froze it; '' for any."""

    @property
    def is_live(self) -> bool:
        """Whether it has not ended."""
        return self.state in LIVE

    @property
    def is_mine(self) -> bool:
        """Whether this process has it."""
        return self.pid == os.getpid() and self.host == HOST

    @property
    def process(self) -> Process:
        """The process that has it."""
        return self.pid, self.host, self.born


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed in the queue since it was read before."""

    serial: int
    """What to ask with the next time."""
    rows: list[QueueRow]
    """Rows written since, in the order of their writing."""
    count: int | None
    """Rows in the queue, fewer than the reader knows when some were removed; None when it cannot be read."""


@dataclass(frozen=True, slots=True)
class Share:
    """What one process has in the queue, added up; cancelled files are left out."""

    process: Process
    verb: str
    """The command that queued it."""
    changed: float
    """When it wrote last, seconds since 1970."""
    running: int
    """Files being fetched."""
    queued: int
    """Files, the ended ones included."""
    done: int
    """Files that have ended, failed ones included."""
    size: int
    """Bytes of the files that have not failed and whose size is known."""
    unknown: int
    """Files whose size is not among them."""
    received: int
    """Bytes of these that are here."""


_COLUMNS = tuple(one.name for one in fields(QueueRow))
_NAMES = ",".join(_COLUMNS)
_NEEDED = {"serial", *(one.name for one in fields(QueueRow) if one.default is MISSING)}
_DEFAULTS = {one.name: one.default for one in fields(QueueRow) if one.default is not MISSING}
_SAVE_SQL = f"INSERT OR REPLACE INTO transfers ({_NAMES}) VALUES ({','.join('?' * len(_COLUMNS))})"
_LIVE_SQL = "state IN ('waiting','running','paused')"
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_LARGEST = (1 << 63) - 1
HOST = socket.gethostname()
"""This machine's name, as rows have it."""


def born_at(pid: int) -> float:
    """When a process started, in clock ticks since boot; 0.0 where the system does not say."""
    return _state_of(pid)[1]


def _state_of(pid: int) -> tuple[str, float]:
    """The letter of a process's state, and when it started; '' and 0.0 where the system does not say."""
    try:
        values = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return values[0], float(values[19])
    except (OSError, ValueError, IndexError):
        return "", 0.0


def is_alive(pid: int, host: str, born: float) -> bool:
    """Whether a process still runs; one on another machine is taken to."""
    if pid <= 0:
        return False
    if host != HOST:
        return bool(host)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    state, now_born = _state_of(pid)
    # One whose end nobody takes note of has ended all the same, as below some containers' first process.
    return state != "Z" and not (born and now_born and born != now_born)


def has_ended(process: Process, silent_s: float) -> bool:
    """Whether a process that last wrote so many seconds ago is gone."""
    return not is_alive(*process) or (process[1] != HOST and silent_s > SILENT_S)


def dead_processes(rows: Iterable[QueueRow], now: float) -> set[Process]:
    """The processes that are gone though rows of theirs have not ended; each is looked at once.

    Args:
        rows: rows of any state.
        now: seconds since 1970.
    """
    news: dict[Process, float] = {}
    live: set[Process] = set()
    for row in rows:
        process = row.process
        news[process] = max(news.get(process, 0.0), row.changed)
        if row.is_live:
            live.add(process)
    return {process for process in live if has_ended(process, now - news[process])}


def left_behind(rows: Sequence[QueueRow], now: float) -> list[QueueRow]:
    """The rows that have not ended and whose process is gone, in the order given."""
    dead = dead_processes(rows, now)
    return [row for row in rows if row.is_live and row.process in dead]


def missing_bytes(rows: Iterable[QueueRow]) -> tuple[int, int, int]:
    """Bytes that transfers still have to bring, with the unknown and the guessed as in `sum_sizes`."""
    rows = list(rows)
    total, unknown, guessed = sum_sizes(
        ((row.collection, row.product_type, row.baseline), row.size) for row in rows
    )
    return max(0, total - sum(row.received for row in rows)), unknown, guessed


class Queue:
    """The file, open for this process. Every method may be called from any thread."""

    def __init__(self, file: Path, *, emit: Emit = ignore, clock: Callable[[], float] = time.time) -> None:
        """Take the file; it is opened at the first use.

        Args:
            file: the sqlite3 database.
            emit: gets the one warning when it cannot be used.
            clock: seconds since 1970.
        """
        self._file = file
        self._emit = emit
        self._clock = clock
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._problem = ""
        self._set_aside: Path | None = None

    @property
    def set_aside(self) -> Path | None:
        """Where a damaged file was put when a new one was begun; None when that was not needed."""
        return self._set_aside

    @property
    def problem(self) -> str:
        """Why the file cannot be used, in a sentence; '' while it can."""
        return self._problem

    def save(self, rows: Iterable[QueueRow]) -> bool:
        """Write rows, each in the place of the one with its path; False when others kept the file busy."""
        values = [_storable(row) for row in rows]
        if not values:
            return True
        done = self.do(lambda connection: connection.executemany(_SAVE_SQL, values))
        return done is not None or bool(self._problem)

    def load(self, *, ended: bool = True) -> list[QueueRow]:
        """As `read`; [] when others keep the file busy, too, for those who look again."""
        return self.read(ended=ended) or []

    def read(self, *, ended: bool = True) -> list[QueueRow] | None:
        """All rows in order; without the ended ones on demand.

        Returns:
            The rows; [] when the file cannot be used, None when others keep it busy.
        """
        where = "" if ended else f" WHERE {_LIVE_SQL}"
        found = self.do(
            lambda connection: connection.execute(
                f"SELECT {_NAMES} FROM transfers{where} ORDER BY position, path"
            ).fetchall()
        )
        return None if found is None and not self._problem else _rows_of(found or [])

    def changes(self, serial: int = 0) -> Changes:
        """What was written after the last look, by whatever process; 0 asks for everything.

        When the file cannot be used, or others keep it busy, there is nothing.
        """

        def read(connection: sqlite3.Connection) -> tuple[list[tuple[object, ...]], int, int]:
            connection.execute("BEGIN")
            rows = connection.execute(
                f"SELECT {_NAMES} FROM transfers WHERE serial > ? ORDER BY serial", (serial,)
            ).fetchall()
            count, last = connection.execute("SELECT count(*), max(serial) FROM transfers").fetchone()
            return rows, int(count), int(last or 0)

        found = self.do(read)
        if found is None:
            return Changes(serial, [], None)
        rows, count, last = found
        return Changes(max(last, serial), _rows_of(rows), count)

    def shares(self) -> list[Share]:
        """What each process other than this one has, of those that have files which did not end."""
        # total() takes numbers of any size and whatever else stands in a column.
        found = self.do(
            lambda connection: connection.execute(
                f"""
                SELECT pid, host, born, max(verb), max(changed), total(state = 'running'),
                    total(state <> 'cancelled'), total(state IN ('finished','skipped','failed')),
                    total(CASE WHEN state IN ('failed','cancelled') THEN 0 ELSE size END),
                    total(size IS NULL AND state NOT IN ('failed','cancelled')),
                    total(CASE WHEN state IN ('failed','cancelled') THEN 0 ELSE received END)
                FROM transfers WHERE NOT (pid = ? AND host = ?)
                GROUP BY pid, host, born HAVING total({_LIVE_SQL}) > 0
                """,
                (os.getpid(), HOST),
            ).fetchall()
        )
        shares = []
        for pid, host, born, verb, changed, *counts in found or []:
            with contextlib.suppress(TypeError, ValueError, OverflowError):
                process = (int(pid), str(host), float(born))
                shares.append(Share(process, str(verb), float(changed), *(int(one) for one in counts)))
        return shares

    def remove(self, paths: Iterable[str]) -> bool:
        """Forget rows; False when others kept the file busy."""
        values = [(_text(path),) for path in paths]
        done = self.do(
            lambda connection: connection.executemany("DELETE FROM transfers WHERE path = ?", values)
        )
        return done is not None or bool(self._problem)

    def release(self, paths: Iterable[str]) -> None:
        """Let go of this process's rows that have not ended: another one may take them over at once."""
        values = [(_text(path), os.getpid(), HOST) for path in paths]
        self.do(
            lambda connection: connection.executemany(
                f"UPDATE transfers SET pid = 0 WHERE path = ? AND pid = ? AND host = ? AND {_LIVE_SQL}",
                values,
            )
        )

    def replace(self, before: Sequence[QueueRow], after: Sequence[QueueRow]) -> list[QueueRow] | None:
        """Write rows in the place of others, as far as nobody else has changed those meanwhile.

        Args:
            before: rows as they were read.
            after: as many, what each of them becomes.

        Returns:
            Those of `after` that were written; all of them when the file cannot be used, as it stops nobody.
            None when others keep it busy, and nothing was written.
        """

        def write(connection: sqlite3.Connection) -> list[QueueRow]:
            connection.execute("BEGIN IMMEDIATE")
            written = []
            for was, becomes in zip(before, after, strict=True):
                found = connection.execute(
                    # A row that was let go of says so by its pid alone.
                    "SELECT 1 FROM transfers WHERE path = ? AND state = ?"
                    " AND (pid = 0 OR (pid = ? AND host = ? AND born = ?))",
                    (_text(was.path), was.state, was.pid, was.host, was.born),
                ).fetchone()
                if found is not None:
                    connection.execute(_SAVE_SQL, _storable(becomes))
                    written.append(becomes)
            return written

        done = self.do(write)
        return list(after) if done is None and self._problem else done

    def stamp(self) -> int:
        """A number that changes when another process has written; 0 when the file cannot be used."""
        found = self.do(lambda connection: connection.execute("PRAGMA data_version").fetchone())
        return int(found[0]) if found else 0

    def prune(self) -> None:
        """Forget what ended long ago."""
        limit = self._clock() - KEEP_ENDED_S
        self.do(
            lambda connection: connection.execute(
                f"DELETE FROM transfers WHERE changed < ? AND NOT {_LIVE_SQL}", (limit,)
            )
        )

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._let_go()

    def __del__(self) -> None:
        # From Python 3.13 on a connection that nobody closed is warned of.
        self._let_go()

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    def do(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        """Do it in a transaction; None when the file is busy or cannot be used. It may be done twice."""
        with self._lock:
            if self._problem:
                return None
            for is_last in (False, True):
                try:
                    if self._connection is None:
                        self._connection = self._open()
                    with self._connection:
                        return work(self._connection)
                except (sqlite3.Error, OSError, StorageError) as error:
                    if getattr(error, "sqlite_errorcode", None) in _BUSY:
                        return None
                    is_damage = type(error) is sqlite3.DatabaseError
                    if is_last or not is_damage or not self._start_over():
                        self._give_up(error)
                        return None
            return None

    def _open(self) -> sqlite3.Connection:
        files.make_folder(self._file.parent)
        connection = sqlite3.connect(self._file, timeout=BUSY_S, check_same_thread=False)
        try:
            # Not WAL: that keeps its index in shared memory, and homes are shared between machines.
            with contextlib.suppress(sqlite3.OperationalError):
                connection.execute("PRAGMA journal_mode = TRUNCATE")
            connection.execute("PRAGMA synchronous = OFF")
            found = _columns_in(connection)
            if found and not found.issuperset(_NEEDED):
                connection.execute("DROP TABLE transfers")
            elif found and not found.issuperset(_COLUMNS):
                # Another version made it: what that queued stays, and a column that only that has.
                connection.execute("BEGIN IMMEDIATE")
                for name in set(_COLUMNS) - _columns_in(connection):
                    default = connection.execute("SELECT quote(?)", (_DEFAULTS[name],)).fetchone()[0]
                    connection.execute(f"ALTER TABLE transfers ADD COLUMN {name} DEFAULT {default}")
            columns = ",".join(name + " TEXT UNIQUE NOT NULL" * (name == "path") for name in _COLUMNS)
            # A serial is never given twice, so that a reader can ask for what is newer than its last.
            connection.execute(
                f"CREATE TABLE IF NOT EXISTS transfers (serial INTEGER PRIMARY KEY AUTOINCREMENT, {columns})"
            )
            # Of tables beside it a version that does not know them takes no notice.
            connection.execute(
                "CREATE TABLE IF NOT EXISTS requests (id INTEGER PRIMARY KEY AUTOINCREMENT,"
                " pid, host, born, action, paths, made)"
            )
            connection.execute(
                "CREATE TABLE IF NOT EXISTS worker (one INTEGER PRIMARY KEY, pid, host, born, since, changed)"
            )
            connection.execute("SELECT count(*), max(changed) FROM transfers").fetchone()
            connection.commit()
            with contextlib.suppress(OSError):
                os.chmod(self._file, 0o600)
            return connection
        except sqlite3.Error:
            connection.close()
            raise

    def _start_over(self) -> bool:
        """Keep a file that is not a database any more beside, and report it; whether that worked."""
        self._let_go()
        aside = self._file.with_name(self._file.name + ".damaged")
        try:
            os.replace(self._file, aside)
            # What belongs to the damaged file must not be played into the new one.
            for ending in ("-journal", "-wal", "-shm"):
                self._file.with_name(self._file.name + ending).unlink(missing_ok=True)
        except OSError:
            return False
        self._set_aside = aside
        self._emit(Warned(f"The download queue was damaged; it is kept as {aside}, and a new one is used"))
        return True

    def _give_up(self, error: Exception) -> None:
        self._problem = f"The download queue {self._file} cannot be used ({error})"
        self._let_go()
        self._emit(Warned(f"{self._problem}; downloads go on without it"))


def _storable(row: QueueRow) -> tuple[object, ...]:
    """The row's values as sqlite takes them, whatever a server announced."""
    # Nearly every row is storable as it is, and most of what is saved is looked at in vain.
    if "".join(_texts_of(row)).isascii() and all(
        one is None or abs(one) < _LARGEST for one in _wholes_of(row)
    ):
        return _values_of(row)
    return tuple(
        _text(value)
        if isinstance(value, str)
        else max(-_LARGEST, min(value, _LARGEST))
        if isinstance(value, int)
        else value
        for value in _values_of(row)
    )


def _text(text: str) -> str:
    """The text as UTF-8 can hold it; undecodable bytes of a path become escapes."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _columns_in(connection: sqlite3.Connection) -> set[str]:
    """The columns of the table of transfers; none where it is not there."""
    return {row[1] for row in connection.execute("PRAGMA table_info(transfers)")}


_values_of = operator.attrgetter(*_COLUMNS)
_texts_of = operator.attrgetter(*(one.name for one in fields(QueueRow) if one.type == "str"))
_wholes_of = operator.attrgetter(*(one.name for one in fields(QueueRow) if str(one.type).startswith("int")))


def _whole_or_none(value: Any) -> int | None:
    return None if value is None else int(value)


_KINDS: dict[str, Callable[[Any], object]] = {
    "str": str,
    "float": float,
    "int": int,
    "int | None": _whole_or_none,
    "bool": bool,
}
_CONVERTERS = tuple(_KINDS[str(one.type)] for one in fields(QueueRow))


def _rows_of(found: Iterable[tuple[object, ...]]) -> list[QueueRow]:
    """Rows of the file; what is none, whoever wrote it, is left out."""
    rows = []
    for values in found:
        try:
            made: list[Any] = [convert(one) for convert, one in zip(_CONVERTERS, values, strict=True)]
        except (TypeError, ValueError, OverflowError):
            continue
        rows.append(QueueRow(*made))
    return rows
