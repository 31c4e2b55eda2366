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
from typing import Any

from maap_tui.engine.errors import DiskFullError, StorageError
from maap_tui.text import clean


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
        """Whether a reader that has gone is no reason to stop, for commands that do work."""
        self._is_closed = sys.stdout is None
        # A terminal that cannot show a character gets its escape instead of an error.
        if hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(errors="backslashreplace")

    def line(self, text: str) -> None:
        """Print one line, made safe."""
        self._write(clean(text) + "\n")

    def lines(self, texts: Iterable[str]) -> None:
        """Print lines, made safe."""
        for text in texts:
            self.line(text)

    def record(self, values: Mapping[str, Any]) -> None:
        """Print one JSON object on a line of its own, at once."""
        self._write(json.dumps(values, default=_plain) + "\n")
        self.flush()

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

    def _write(self, text: str) -> None:
        self._attempt(text)

    def _attempt(self, text: str) -> None:
        if self._is_closed:
            return
        try:
            if text:
                sys.stdout.write(text)
            else:
                sys.stdout.flush()
        except BrokenPipeError:
            self._is_closed = True
            _discard_stdout()
            if not self.goes_on:
                raise PipeClosed from None
        except OSError as error:
            self._is_closed = True
            _discard_stdout()
            kind = DiskFullError if error.errno in (errno.ENOSPC, errno.EDQUOT) else StorageError
            raise kind(f"Standard output cannot be written: {error.strerror}") from error


def _discard_stdout() -> None:
    """Point stdout at nothing, so that the interpreter's own last flush does not fail again."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        descriptor = os.open(os.devnull, os.O_WRONLY)
        os.dup2(descriptor, sys.stdout.fileno())
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
