"""How much work something is, counted in calls: the same on a busy machine as on an idle one."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Calls:
    """Calls of Python functions and of built-in ones."""

    def __init__(self) -> None:
        self.count = 0

    def note(self, frame: FrameType, event: str, arg: object) -> None:
        if event in ("call", "c_call"):
            self.count += 1


_opened: list[str] | None = None


def _note(event: str, args: tuple[object, ...]) -> None:
    if _opened is not None and event == "open" and isinstance(args[0], str):
        _opened.append(args[0])


@functools.cache
def _watch() -> None:
    """Begin to note, once a process: nothing takes such a hook away again."""
    sys.addaudithook(_note)


@contextmanager
def opened() -> Iterator[list[str]]:
    """The paths of all files that any thread opens meanwhile, to read or to write."""
    global _opened
    _watch()
    _opened = found = []
    try:
        yield found
    finally:
        _opened = None


@contextmanager
def counted() -> Iterator[Calls]:
    """Count the calls that this thread makes meanwhile, those of other tasks on its loop included."""
    calls = Calls()
    sys.setprofile(calls.note)
    try:
        yield calls
    finally:
        sys.setprofile(None)
