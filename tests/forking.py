"""The program on a terminal at once: a fork of a process that has imported it, and no new interpreter.

What the interpreter itself decides when it starts (its encoding, its warnings) is that of the server; a test
of those starts an interpreter.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import functools
import json
import os
import pty
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).parents[1]
PR_SET_CHILD_SUBREAPER = 36
"""Of prctl(2): a process whose parent has gone becomes a child of this one."""
LOCALE = ("LC_ALL", "LC_CTYPE", "LANG", "PYTHONUTF8", "PYTHONIOENCODING")
"""Variables that an interpreter reads when it starts."""
SERVER_LOCALE = {"LANG": "C.UTF-8"}


def can_fork(environ: Mapping[str, str]) -> bool:
    """Whether a fork behaves as an interpreter started with these variables would."""
    asked = {name: environ[name] for name in LOCALE if name in environ}
    return sys.platform == "linux" and asked == SERVER_LOCALE


_making = threading.Lock()


@functools.cache
def _server() -> ForkServer:
    return ForkServer()


def server() -> ForkServer:
    """The one of this process."""
    with _making:
        return _server()


class ForkServer:
    """Forks on demand; what it forks is a child of the process that made the server."""

    def __init__(self) -> None:
        if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl")
        self._socket, there = socket.socketpair()
        self._turn = threading.Lock()
        clean = {name: text for name, text in os.environ.items() if name not in LOCALE}
        # Its own streams are a terminal's, so that those of its forks are made as for one.
        self._terminal, inner = pty.openpty()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.forking", str(there.fileno())],
            cwd=ROOT,
            env={**clean, **SERVER_LOCALE, "PYTHONPATH": str(ROOT)},
            pass_fds=[there.fileno()],
            stdin=inner,
            stdout=inner,
            stderr=inner,
        )
        os.close(inner)
        there.close()
        atexit.register(self._close)

    def start(
        self,
        words: Sequence[str],
        environ: Mapping[str, str],
        terminal: int,
        ignored: Sequence[signal.Signals] = (),
    ) -> int:
        """Run a command line with `terminal`, an open one, as its controlling terminal; returns its pid."""
        asked = {
            "words": list(words),
            "environ": dict(environ),
            "folder": os.getcwd(),
            "ignored": list(ignored),
        }
        with self._turn:
            socket.send_fds(self._socket, [json.dumps(asked).encode() + b"\n"], [terminal])
            return int(self._socket.recv(64))

    def _close(self) -> None:
        self._socket.close()
        self._process.wait()
        os.close(self._terminal)


def _serve(connection: socket.socket) -> None:
    """Start a command for each request until the connection ends."""
    _import_everything()
    while True:
        request, descriptors, _, _ = socket.recv_fds(connection, 1 << 20, 1)
        if not request:
            return
        while not request.endswith(b"\n"):
            request += connection.recv(1 << 20)
        (terminal,) = descriptors
        asked = json.loads(request)
        reader, writer = os.pipe()
        between = os.fork()
        if between == 0:
            # The command loses its parent at once, and is adopted by the process of the tests.
            pid = os.fork()
            if pid == 0:
                for one in (reader, writer, connection.fileno()):
                    os.close(one)
                _be_command(asked, terminal)
            os.write(writer, str(pid).encode())
            os._exit(0)
        os.close(terminal)
        os.waitpid(between, 0)
        connection.send(os.read(reader, 64))
        os.close(reader)
        os.close(writer)


def _be_command(asked: dict[str, Any], terminal: int) -> None:
    os.login_tty(terminal)
    for number in asked["ignored"]:
        signal.signal(number, signal.SIG_IGN)
    os.environ.clear()
    os.environ.update(asked["environ"])
    os.chdir(asked["folder"])
    sys.argv = ["maap", *asked["words"]]
    from maap_tui.cli.main import main

    end_with(main)


def end_with(run: Callable[[], int | None]) -> NoReturn:
    """Run this and end as an interpreter does, but for taking apart what a fork has from its parent.

    That writes to every page that holds an object, so that each is copied first: 40 MiB a fork.
    """
    try:
        code = run()
    except SystemExit as ended:
        if not isinstance(ended.code, int | None):
            raise
        code = ended.code
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            code = code or 120
    os._exit(code or 0)


def _import_everything() -> None:
    import gc
    import importlib
    import pkgutil

    import maap_tui

    for module in pkgutil.walk_packages(maap_tui.__path__, "maap_tui."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name in (
        "httpx",
        "httpx_aiohttp",
        "aiohttp",
        "sqlite3",
        "tomlkit",
        "filelock",
        "textual.drivers.linux_driver",
    ):
        importlib.import_module(name)
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        _serve(socket.socket(fileno=int(sys.argv[1])))
