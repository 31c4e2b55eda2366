"""`maap`: where the program begins, and the one door to the full-screen app."""

from __future__ import annotations

import sys

from maap_tui import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from maap_tui.engine.session import Session


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line, the process's own for None; returns its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words == ["--version"]:
        # Asked for by scripts at every turn: not worth loading the command line for.
        print(f"maap {__version__}")
        return 0
    try:
        from maap_tui.cli.program import run_words

        return run_words(words)
    except KeyboardInterrupt:
        # Before a command has its own way to end: nothing was begun.
        print("Interrupted", file=sys.stderr)
        return 130


def has_terminal() -> bool:
    """Whether a person can use the app here: all three streams are a terminal."""
    streams = (sys.stdin, sys.stdout, sys.stderr)
    return all(stream is not None and stream.isatty() for stream in streams)


def open_app(session: Session) -> int | None:
    """Open the full-screen app and give back its exit code; None when this installation has none."""
    try:
        from maap_tui.tui.app import run_app
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("maap_tui.tui"):
            raise
        return None
    return int(run_app(session) or 0)


if __name__ == "__main__":
    sys.exit(main())
