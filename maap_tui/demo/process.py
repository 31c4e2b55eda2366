"""The archive in a process of its own, which ends with the one that started it, however that one ends.

The two talk over the child's stdin and stdout: one JSON line there says what to serve, one line back says
where. The end of stdin ends the child; a byte before it says that the other one cleans up itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from maap_tui.engine.errors import MaapError, NoMemoryError, exit_code_of, is_out_of_memory
from maap_tui.heap import share_one_heap

END_S = 3.0
"""Seconds that the archive may take to end."""


class StartError(Exception):
    """The archive did not start; `report` is what the child said of it."""

    def __init__(self, report: dict[str, Any]) -> None:
        super().__init__(report.get("words", ""))
        self.report = report


class ArchiveProcess:
    """An archive in a child process, begun at once and ready after `wait`."""

    def __init__(
        self, port: int, home: Path, *, is_throwaway: bool, options: dict[str, Any], is_lived_in: bool = False
    ) -> None:
        """Begin.

        Args:
            port: port on 127.0.0.1; 0 takes any free one.
            home: the home to prepare.
            is_throwaway: whether the child deletes the home when this process dies.
            options: as for `Archive.start`.
            is_lived_in: whether a home without a past gets one.
        """
        root = str(Path(__file__).parents[2])
        paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
        self._process = subprocess.Popen(
            # -P: what lies in the folder of the user is none of its modules.
            [sys.executable, "-P", "-m", "maap_tui.demo.process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
            # The keys of a terminal and its hang-up are for the app alone.
            start_new_session=True,
        )
        what = {"port": port, "home": str(home), "is_throwaway": is_throwaway, "options": options}
        what["is_lived_in"] = is_lived_in
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended already: `wait` says how
            self._process.stdin.write(json.dumps(what).encode() + b"\n")
            self._process.stdin.flush()

    def wait(self) -> dict[str, str]:
        """Wait until it serves; the variables that point every command at it.

        Raises:
            StartError: when it cannot.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        report: dict[str, Any]
        if line:
            report = json.loads(line)
        else:
            report = {"words": f"its process ended with {self._process.wait()}"}
        if "environment" not in report:
            raise StartError(report)
        environment: dict[str, str] = report["environment"]
        return environment

    def __enter__(self) -> ArchiveProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._process
        with contextlib.suppress(OSError):
            process.communicate(b"\n", timeout=END_S)
        if process.poll() is None:
            process.kill()
            process.wait()


def serve() -> None:
    """Serve as the child, until the end of stdin."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    what = json.loads(sys.stdin.buffer.readline())
    home = Path(what["home"])
    try:
        from maap_tui.demo.archive import Archive

        archive = Archive.start(what["port"], **what["options"])
    except ImportError as error:
        _send(missing=error.name)
        return
    except (OSError, TypeError, ValueError) as error:
        _send(words=getattr(error, "strerror", None) or str(error), is_port=isinstance(error, OSError))
        return
    with archive:
        try:
            archive.prepare(home)
            if what["is_lived_in"]:
                from maap_tui.demo.past import furnish, has_past

                if not has_past(home):
                    furnish(archive, home)
        except OSError as error:
            _send(errno=error.errno, words=error.strerror, file=str(error.filename or home))
            return
        except MaapError as error:
            _send(words=error.message, hint=error.hint, exit=exit_code_of(error))
            return
        _send(environment=archive.environment(home))
        is_ended_by_parent = bool(sys.stdin.buffer.read(1))
    if what["is_throwaway"] and not is_ended_by_parent:
        shutil.rmtree(home, ignore_errors=True)


def _send(**words: Any) -> None:
    print(json.dumps(words), flush=True)


if __name__ == "__main__":
    share_one_heap()
    try:
        serve()
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        few = NoMemoryError()
        _send(words=few.message, hint=few.hint, exit=exit_code_of(few))
