"""`maap`: where the program begins."""

from __future__ import annotations

import gc
import os
import sys

from maap_tui.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


COLLECT_EVERY = 50_000
"""Objects made, less those that are gone, from one look for garbage in cycles to the next.

There is little of it here, and each look goes through all that is new: with Python's own 700 that takes 70 ms
of a command that fetches 2,000 files.
"""

NAMES_WORD = "__names"
"""Asks for names that may come next, for the shells' completion; it is in no help."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line, the process's own for None; returns its exit code."""
    if argv is not None:
        return _run(list(argv))
    gc.set_threshold(COLLECT_EVERY)
    _insist_on_utf8()
    _fill_closed_descriptors()
    words = sys.argv[1:]
    if os.path.basename(sys.argv[0]) == "maap-tui" and words != ["--version"]:
        words.insert(0, "tui")
    try:
        return _run(words)
    finally:
        # Python looks for garbage twice more before it ends, through all that is left: a seventh of the
        # CPU of a command that uses the network. All of it goes with the process.
        gc.freeze()


def _run(words: list[str]) -> int:
    if words == ["--version"]:
        # Asked for by scripts at every turn: not worth loading the command line for.
        try:
            sys.stdout.write(f"maap {__version__}\n")
            sys.stdout.flush()
            return 0
        except (OSError, ValueError, AttributeError):
            pass  # closed or full: the command line says so
    from maap_tui.heap import share_one_heap

    share_one_heap()
    if words[:1] == [NAMES_WORD]:
        from maap_tui.cli.completion import print_names

        return print_names(words[1:])
    try:
        from maap_tui.cli.dispatch import run_words

        return run_words(words)
    # Before a command has its own way to end: nothing was begun.
    except MemoryError:
        _say("Error: There is not enough memory to begin. Raise its limit (ulimit -v).\n")
        return 4
    except KeyboardInterrupt:
        _say("Interrupted\n")
        return 130


def _say(line: str) -> None:
    """Write a line to stderr, unless it is closed or full."""
    try:
        sys.stderr.write(line)
    except (OSError, ValueError, AttributeError):
        pass


def _fill_closed_descriptors() -> None:
    """Keep the numbers of standard streams that are closed from the files that are opened next.

    What a library says on stderr would be written into a file that got its number.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _insist_on_utf8() -> None:
    """Begin again where the locale is of another encoding: names on disk are UTF-8 everywhere."""
    environ = dict(os.environ)
    if sys.getfilesystemencoding() == "utf-8" or environ.get("PYTHONUTF8") == "1" or not sys.executable:
        return
    environ["PYTHONUTF8"] = "1"
    if sys.stdout is not None:
        # What is printed stays in the encoding of the terminal.
        environ.setdefault("PYTHONIOENCODING", f"{sys.stdout.encoding}:backslashreplace")
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environ)


if __name__ == "__main__":
    sys.exit(main())
