"""Serve the archive in the foreground: `python -m maap_tui.demo --port 8765`."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
import tempfile
import threading
from pathlib import Path

from maap_tui.demo.archive import Archive
from maap_tui.demo.flags import add_arguments, options_of
from maap_tui.demo.home import real_file_of
from maap_tui.engine.errors import EXIT_NON_TRANSIENT, MaapError, exit_code_of


def main(argv: list[str] | None = None) -> int:
    """Print the variables that point at the archive, then serve until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m maap_tui.demo", description=__doc__)
    parser.add_argument(
        "--port", type=int, default=0, help="port on 127.0.0.1; 0: that of the home, or any free one"
    )
    parser.add_argument("--home", type=Path, help="home to prepare; a throw-away one by default")
    add_arguments(parser)
    arguments = parser.parse_args(argv)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with tempfile.TemporaryDirectory(prefix="maap-demo-") as folder:
        try:
            home = (arguments.home or Path(folder)).absolute()
            if (file := real_file_of(home)) is not None:
                raise ValueError(f"{file} does not belong to a demo and would be replaced")
            if arguments.port:
                archive = Archive.start(arguments.port, **options_of(arguments))
                archive.prepare(home)
            else:
                archive = Archive.start_for(home, **options_of(arguments))
        except (OSError, TypeError, ValueError, MaapError) as error:
            words = error.sentences if isinstance(error, MaapError) else str(error)
            print(f"The archive cannot start: {words}", file=sys.stderr)
            return exit_code_of(error) or EXIT_NON_TRANSIENT
        with archive:
            for name, value in archive.environment(home).items():
                print(f"export {name}={shlex.quote(value)}", flush=True)
            stop.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
