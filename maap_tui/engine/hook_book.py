"""What hooks are owed: written down before what they are owed for is recorded, settled once they have run.

The rule: a line is durable before the file, day or set that it is about counts as done, so that the end of
the process at any moment leaves the hook owed. The next run with the same purpose finds it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import threading
from collections.abc import Iterable, Iterator, Mapping

from maap_tui.engine.config.dirs import AppDirs
from maap_tui.engine.errors import LockedError
from maap_tui.engine.storage import files, locks

_COMPACT_FROM = 1000
"""Lines of a book that may be left out before it is written again without them."""


class HookBook:
    """The book of one purpose: what is owed, and as what sets were settled.

    `owe` may be called from any thread; a book is open in one process at a time.
    """

    def __init__(self, where: AppDirs, purpose: str) -> None:
        """Take where it is; nothing is opened.

        Args:
            where: the folders.
            purpose: the command and what it is about, the same for runs that go on with one another.
        """
        self.purpose = purpose
        shown = re.sub(r"[^A-Za-z0-9_+-]", "_", purpose)[:80]
        digest = hashlib.sha256(purpose.encode("utf-8", "surrogateescape")).hexdigest()[:12]
        self.file = where.state_dir / "hooks" / f"{shown}-{digest}.jsonl"
        self._lock_file = where.lock_file(self.file)
        self._guard = threading.Lock()
        self.owed: dict[str, dict[str, str]] = {}
        """What it is owed for -> what has to be known of it, oldest first."""
        self.failed: set[str] = set()
        """What is owed and has failed before."""
        self.settled: dict[str, set[str]] = {}
        """What was settled -> as what, where that was said."""

    @contextlib.contextmanager
    def opened(self) -> Iterator[None]:
        """Hold the book, and read it.

        Raises:
            LockedError: another process holds it.
            StorageError: it cannot be read or written.
        """
        what = f"The hook of {self.purpose}"
        try:
            held = contextlib.ExitStack()
            held.enter_context(locks.lock(self._lock_file, timeout_s=0, purpose="hook", what=what))
        except LockedError as error:
            raise LockedError(error.message, "Run again when it is over.") from None
        with held:
            self._read()
            yield

    def owe(self, entries: Mapping[str, dict[str, str]]) -> None:
        """Write down what a hook will be owed for; what is owed already stays as it is.

        Raises:
            StorageError: it cannot be written; nothing may count as done then.
        """
        with self._guard:
            fresh = {name: values for name, values in entries.items() if name not in self.owed}
            files.append_lines(self.file, [_owed(name, values) for name, values in fresh.items()])
            self.owed |= fresh

    def note_failed(self, names: Iterable[str]) -> None:
        """Write down that the hook failed for what it stays owed for.

        Raises:
            StorageError: it cannot be written.
        """
        with self._guard:
            fresh = [name for name in names if name in self.owed and name not in self.failed]
            files.append_lines(self.file, [_failed(name) for name in fresh])
            self.failed.update(fresh)

    def settle(self, names: Iterable[str], *, done_as: str = "") -> None:
        """Write down that hooks have run.

        Args:
            names: what they were owed for.
            done_as: what is remembered of it for good; '' for nothing.

        Raises:
            StorageError: it cannot be written; they run again.
        """
        names = list(names)
        with self._guard:
            files.append_lines(self.file, [_settled(name, done_as) for name in names])
            for name in names:
                self.owed.pop(name, None)
                self.failed.discard(name)
                if done_as:
                    self.settled.setdefault(name, set()).add(done_as)

    def _read(self) -> None:
        self.owed, self.failed, self.settled = {}, set(), {}
        written = files.read_lines(self.file)
        for line in written:
            # A line that a power cut tore is about something that never counted as done.
            with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError, RecursionError):
                row = {str(name): str(value) for name, value in json.loads(line).items()}
                if "owed" in row:
                    self.owed.setdefault(row.pop("owed"), row)
                elif "failed" in row:
                    self.failed |= {row["failed"]} & self.owed.keys()
                else:
                    self.owed.pop(row["done"], None)
                    self.failed.discard(row["done"])
                    if row.get("as"):
                        self.settled.setdefault(row["done"], set()).add(row["as"])
        lines = [_settled(name, one) for name, all_of in self.settled.items() for one in sorted(all_of)]
        lines += [_owed(name, values) for name, values in self.owed.items()]
        lines += map(_failed, sorted(self.failed))
        if len(written) > len(lines) + _COMPACT_FROM:
            files.write_atomic(self.file, "".join(f"{line}\n" for line in lines), mode=0o600)


def _owed(name: str, values: Mapping[str, str]) -> str:
    return json.dumps({"owed": name, **values})


def _failed(name: str) -> str:
    return json.dumps({"failed": name})


def _settled(name: str, done_as: str) -> str:
    return json.dumps({"done": name, "as": done_as} if done_as else {"done": name})
