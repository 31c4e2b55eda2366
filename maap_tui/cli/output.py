"""Everything that goes to stdout: data, a line or a JSON object at a time, and nothing else."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any, TextIO

from maap_tui.engine.errors import DiskFullError, StorageError
from maap_tui.text import clean

_PRINTABLE = bytes(range(0x20, 0x7F))


class PipeClosed(Exception):
    """Who read stdout has gone, as `head` does."""


class Output:
    """Writes data to stdout."""

    def __init__(self, *, as_json: bool = False) -> None:
        """Choose the form.

        Args:
            as_json: whether `record` prints JSON; otherwise commands print lines.
        """
        self.as_json = as_json
        self.goes_on = False
        """Whether stdout that takes no more is not a reason to stop, for commands that do work."""
        self.lost: StorageError | None = None
        """Why something was not printed that should have been, where that did not stop the command."""
        self._is_closed = False
        # A terminal that cannot show a character gets its escape instead of an error.
        if hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(errors="backslashreplace")

    def line(self, text: str) -> None:
        """Print one line, made safe."""
        self._write(clean(text) + "\n")

    def lines(self, texts: Iterable[str]) -> None:
        """Print lines, made safe."""
        several = list(texts)
        joined = "".join(several)
        # As most are: nothing to make safe. `isprintable` takes three times as long.
        if joined.isascii() and not joined.encode().translate(None, _PRINTABLE):
            self._write("".join(f"{text}\n" for text in several))
            return
        for text in several:
            self.line(text)

    @property
    def is_terminal(self) -> bool:
        """Whether somebody reads it as it comes."""
        return sys.stdout is not None and sys.stdout.isatty()

    def record(self, values: Mapping[str, Any], *, at_once: bool = True) -> None:
        """Print one JSON object on a line of its own; `at_once` hands it on right away."""
        self.written(json_line(values))
        if at_once:
            self.flush()

    def written(self, line: str) -> None:
        """Print what `json_line` has made."""
        self._write(line)

    def table(self, rows: Sequence[Sequence[str]]) -> None:
        """Print rows with their columns aligned, two spaces apart."""
        cleaned = [[clean(cell) for cell in row] for row in rows]
        widths = [max(map(len, column)) for column in zip(*cleaned, strict=True)]
        for row in cleaned:
            cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
            self._write("  ".join(cells).rstrip() + "\n")

    def flush(self) -> None:
        """Hand on what was printed.

        Raises:
            PipeClosed: when nobody reads it.
            StorageError: when it cannot be written, to a full disk for instance.
        """
        self._attempt("")

    def finish(self) -> None:
        """Hand on the last of it; errors as `flush`, and what was lost on the way."""
        self.flush()
        if self.lost is not None:
            raise self.lost

    def _write(self, text: str) -> None:
        self._attempt(text)

    def _attempt(self, text: str) -> None:
        if self._is_closed:
            return
        if sys.stdout is None:
            if text:
                self._lose(StorageError("Standard output is closed", "Open it, or send it to /dev/null."))
            return
        try:
            if text:
                sys.stdout.write(text)
            else:
                sys.stdout.flush()
        except BrokenPipeError:
            self._is_closed = True
            discard(sys.stdout)
            if not self.goes_on:
                raise PipeClosed from None
        except OSError as error:
            discard(sys.stdout)
            kind = DiskFullError if error.errno in (errno.ENOSPC, errno.EDQUOT) else StorageError
            self._lose(kind(f"Standard output cannot be written: {error.strerror}"))
        except ValueError as error:
            self._lose(StorageError(f"Standard output cannot be written: {error}"))

    def _lose(self, error: StorageError) -> None:
        self._is_closed = True
        if not self.goes_on:
            raise error
        self.lost = error


def json_line(values: Mapping[str, Any]) -> str:
    """A JSON object as a line."""
    return json.dumps(values, default=_plain) + "\n"


def discard(stream: TextIO) -> None:
    """Point a stream at nothing, so that the interpreter's own last flush does not fail again."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        descriptor = os.open(os.devnull, os.O_WRONLY)
        os.dup2(descriptor, stream.fileno())
        os.close(descriptor)


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        from maap_tui.engine.model import to_zulu

        return to_zulu(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
