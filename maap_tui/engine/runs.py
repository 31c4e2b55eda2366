"""What ran: each sync, download, get, queue run, clean-up and build, by cron or by hand, and how it ended.

Below `runs/` of the state folder: `runs.jsonl`, a line a run that has ended; `ID.run` while one runs, locked
by it, so that one whose process died is known for killed; and `ID.log`, what it said. All of it is mode 0600,
bounded, and may be deleted at any time; a folder that refuses it stops no run.
"""

from __future__ import annotations

import json
import os
import secrets
import shlex
import socket
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from maap_tui.engine.errors import InvalidRequestError, MaapError
from maap_tui.engine.storage import files, locks
from maap_tui.engine.storage.bounded_lines import BoundedLines
from maap_tui.text import format_count, without_tokens

if TYPE_CHECKING:
    from maap_tui.engine.config.dirs import AppDirs

RUNS_BYTES = 2 * 1024 * 1024
"""Bytes of the list of runs, after which the older half goes: some 4,000 runs."""
LOG_BYTES = 256 * 1024
"""Bytes of one run's log; later lines are left out."""
LOGS = 200
"""Logs that are kept, the newest."""
LONGEST = 300
"""Characters of one word of a command line that are kept."""

RUNNING, DONE, KILLED = "running", "done", "killed"
"""States of a run: it runs; it ended by itself; its process died."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What a run did."""

    found: int | None = None
    """Files it was about, with those that were here already; None where that is not known."""
    downloaded: int = 0
    here: int = 0
    """Files that were here already."""
    failed: int = 0
    failed_days: int = 0
    deleted: int = 0
    bytes: int = 0
    """Bytes of what was downloaded or deleted."""

    @property
    def moved(self) -> str:
        """Files that came, and with a minus those that went: `5`, `-5`, `3 -5`."""
        came = [format_count(self.downloaded)] if self.downloaded or not self.deleted else []
        return " ".join([*came, f"-{format_count(self.deleted)}"] if self.deleted else came)


@dataclass(frozen=True, slots=True)
class Run:
    """One run."""

    id: str
    """When it began and four letters: `20260115T060003Z-3f2a`."""
    verb: str
    """What it does, as `sync`, `queue`, `cleanup` or `build`; `app` for transfers of the app."""
    words: tuple[str, ...]
    """Its command line after `maap`, without tokens."""
    folder: str
    """The folder it ran in."""
    host: str
    pid: int
    begun: datetime
    """UTC."""
    ended: datetime | None = None
    """UTC; None while it runs and when its process died."""
    exit: int | None = None
    """None while it runs and when its process died."""
    state: str = RUNNING
    counts: Counts = Counts()
    error: str = ""
    """The last error it reported; '' without one."""

    @property
    def seconds(self) -> float | None:
        """How long it took; None where its end is not known."""
        return None if self.ended is None else max((self.ended - self.begun).total_seconds(), 0.0)

    @property
    def has_counts(self) -> bool:
        """Whether what it did is known: only a run that ended by itself wrote it down."""
        return self.state == DONE

    @property
    def command(self) -> str:
        """Its command line, or a name for what moves files that others queued."""
        return _NAMED.get(self.verb) or shlex.join(self.words)


_NAMED = {"app": "the app's transfers", "queue": "the worker's transfers"}


class OpenRun:
    """The run of this process, until it ends."""

    def __init__(self, book: Runs, run: Run, let_go: Callable[[], None]) -> None:
        self._book = book
        self._run = run
        self._let_go = let_go
        self._log: IO[bytes] | None = None
        self._room = LOG_BYTES

    @property
    def id(self) -> str:
        """The run's, as `Run.id`."""
        return self._run.id

    def say(self, line: str) -> None:
        """Add a line to its log."""
        if self._room <= 0:
            return
        payload = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {line}\n".encode("utf-8", "backslashreplace")
        self._room -= len(payload)
        if self._room <= 0:
            payload = b"More lines were left out here.\n"
        with suppress(OSError):
            if self._log is None:
                self._log = open(self._book.log_file(self._run.id), "ab", buffering=0, opener=_private)
            self._log.write(payload)

    def end(self, code: int, counts: Counts, error: str = "") -> None:
        """Write down how it ended."""
        done = replace(
            self._run,
            ended=datetime.now(UTC),
            exit=code,
            state=DONE,
            counts=counts,
            error=without_tokens(error)[:LONGEST],
        )
        if self._log is not None:
            with suppress(OSError):
                self._log.close()
        if self._book.add(done):
            with suppress(OSError):
                self._book.run_file(done.id).unlink()
        self._let_go()


class Runs:
    """The runs below one state folder."""

    def __init__(self, where: AppDirs) -> None:
        """Take the folder; nothing is opened."""
        self._folder = where.state_dir / "runs"
        file = self._folder / "runs.jsonl"
        self._list = BoundedLines(file, where.lock_file(file), RUNS_BYTES, purpose="the list of runs")

    def run_file(self, run_id: str) -> Path:
        """What says that a run goes on."""
        return self._folder / f"{run_id}.run"

    def log_file(self, run_id: str) -> Path:
        """What a run said."""
        return self._folder / f"{run_id}.log"

    def begin(self, verb: str, words: Sequence[str]) -> OpenRun | None:
        """Write down that a run begins; None where the folder refuses it.

        Args:
            verb: what it does, as `Run.verb`.
            words: its command line after `maap`.
        """
        now = datetime.now(UTC)
        run = Run(
            id=f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}",
            verb=verb,
            words=tuple(without_tokens(word)[:LONGEST] for word in words),
            folder=_here(),
            host=socket.gethostname(),
            pid=os.getpid(),
            begun=now,
        )
        path = self.run_file(run.id)
        try:
            files.make_folder(self._folder)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except (OSError, MaapError):
            return None
        try:
            let_go = locks.hold(descriptor, path)
            os.write(descriptor, _line(run).encode() + b"\n")
        except (OSError, MaapError):
            os.close(descriptor)
            with suppress(OSError):
                path.unlink()
            return None
        self._drop_old_logs()

        def close() -> None:
            if let_go is not None:
                let_go()
            os.close(descriptor)

        return OpenRun(self, run, close)

    def add(self, run: Run) -> bool:
        """Add a run that has ended to the list; returns whether it is there."""
        return self._list.add([_line(run)])

    def stamp(self) -> object:
        """Changes when a run begins or ends; the death of a process changes nothing."""
        found = []
        for path in (self._folder, self._folder / "runs.jsonl"):
            try:
                stat = path.stat()
                found.append((stat.st_mtime_ns, stat.st_size))
            except OSError:
                found.append((0, 0))
        return tuple(found)

    def known(self) -> list[Run]:
        """Every run that is known, the newest first; one whose process died is put in the list as killed."""
        # The marks come first: what ends from here on is in the list, or its mark is found gone.
        marked = self._marked()
        found = self._ended()
        for path in marked:
            run = self._look(path, found)
            if run is not None:
                found[run.id] = run
        if any(path.stem not in found for path in marked):
            found |= self._ended()
        return sorted(found.values(), key=lambda run: (run.begun, run.id), reverse=True)

    def log_lines(self, run: Run) -> list[str]:
        """What a run said, oldest first; [] when it said nothing or its log is gone.

        Raises:
            StorageError: it cannot be read.
        """
        return files.read_lines(self.log_file(run.id))

    def find(self, name: str) -> Run:
        """The run of an id, or of its beginning or end; `last` is the newest one.

        Raises:
            InvalidRequestError: none has it, or several.
        """
        runs = self.known()
        if name == "last" and runs:
            return runs[0]
        matching = [run for run in runs if run.id == name]
        matching = matching or [run for run in runs if run.id.startswith(name) or run.id.endswith(name)]
        if len(matching) == 1:
            return matching[0]
        problem = f"{len(matching):,} runs are called {name!r}" if matching else f"No run is called {name!r}"
        raise InvalidRequestError(problem, "`maap runs` lists them.")

    def _ended(self) -> dict[str, Run]:
        return {run.id: run for run in _read(self._list.read())}

    def _marked(self) -> list[Path]:
        try:
            with os.scandir(self._folder) as entries:
                return sorted(Path(entry.path) for entry in entries if entry.name.endswith(".run"))
        except OSError:
            return []

    def _look(self, path: Path, ended: dict[str, Run]) -> Run | None:
        """What a run's file says: that it goes on, or that its process died; None when its end is known."""
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return None  # it has just ended
        let_go = None
        try:
            run = next(iter(_read([os.read(descriptor, 1 << 20).decode("ascii", "replace")])), None)
            with suppress(OSError, MaapError):
                let_go = locks.hold(descriptor, path)
                if let_go is None:
                    return run
            if run is None or run.id != path.stem:
                return None
            if run.id not in ended:
                if not os.fstat(descriptor).st_nlink:
                    return None  # it has just ended
                run = replace(run, state=KILLED)
            # A lock of another host need not be seen here: only runs of this one are written down.
            is_ours = run.host == socket.gethostname()
            if run.id in ended or (is_ours and os.fstat(descriptor).st_nlink and self.add(run)):
                path.unlink(missing_ok=True)
            return None if run.id in ended else run
        except OSError:
            return None
        finally:
            if let_go is not None:
                let_go()
            os.close(descriptor)

    def _drop_old_logs(self) -> None:
        """Keep the newest logs; names begin with the time."""
        with suppress(OSError):
            names = sorted(name for name in os.listdir(self._folder) if name.endswith(".log"))
            for name in names[:-LOGS]:
                with suppress(OSError):
                    os.unlink(self._folder / name)


def record_of(run: Run) -> dict[str, Any]:
    """A run as JSON has it: the fields of `Run`, its counts among them."""
    values = asdict(run)
    counts = values.pop("counts")
    for name in ("begun", "ended"):
        moment = getattr(run, name)
        if moment is not None:
            # Runs of one second stay in their order.
            values[name] = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {**values, "words": list(run.words), "seconds": run.seconds, **counts}


def _line(run: Run) -> str:
    return json.dumps(record_of(run), separators=(",", ":"))


def _read(lines: Iterable[str]) -> Iterable[Run]:
    """The runs of lines; a line that is cut or of a later version is left out."""
    names = {field.name for field in fields(Counts)}
    for line in lines:
        with suppress(ValueError, KeyError, TypeError, RecursionError, OverflowError):
            data = json.loads(line)
            counts = {name: data[name] for name in names}
            if not all(value is None or type(value) is int for value in counts.values()):
                continue
            yield Run(
                id=str(data["id"]),
                verb=str(data["verb"]),
                words=tuple(map(str, data["words"])),
                folder=str(data["folder"]),
                host=str(data["host"]),
                pid=int(data["pid"]),
                begun=datetime.fromisoformat(data["begun"]),
                ended=None if data["ended"] is None else datetime.fromisoformat(data["ended"]),
                exit=None if data["exit"] is None else int(data["exit"]),
                state=str(data["state"]),
                counts=Counts(**counts),
                error=str(data["error"]),
            )


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def _here() -> str:
    try:
        return os.getcwd()
    except OSError:
        return ""
