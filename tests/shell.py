"""`maap` and `python3` for shell scripts at once: each is a fork of a process that has imported the program.

A script finds two small programs on its PATH. Each hands its streams, words and variables to the server,
which forks, and ends as the fork ended.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.forking import end_with
from tests.homes import PATIENCE_S

ROOT = Path(__file__).parents[1]
CLIENT = """\
import json, os, signal, socket, sys
there = socket.socket(socket.AF_UNIX)
there.connect(sys.argv[1])
asked = {"words": sys.argv[2:], "environ": dict(os.environ), "folder": os.getcwd()}
socket.send_fds(there, [json.dumps(asked).encode() + b"\\n"], [0, 1, 2])
for descriptor in (0, 1, 2):
    os.close(descriptor)
code = int(there.recv(64))
if code < 0:
    signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
os._exit(code)
"""


class Shell:
    """Runs scripts of bash, and code of Python, in which the program starts at once.

    Args:
        folder: an empty one with a short path, for the programs and the socket.
    """

    def __init__(self, folder: Path) -> None:
        self._bin = folder / "bin"
        self._bin.mkdir()
        client, address = folder / "client.py", folder / "socket"
        client.write_text(CLIENT)
        for name in ("maap", "python3"):
            program = self._bin / name
            program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -IS "{client}" "{address}" {name} "$@"\n')
            program.chmod(0o755)
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(address))
            listening.listen(8)
            self._process = subprocess.Popen(
                [sys.executable, "-W", "error", "-m", "tests.shell", str(listening.fileno())],
                cwd=ROOT,
                env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "PYTHONPATH": str(ROOT)},
                pass_fds=[listening.fileno()],
                stdin=subprocess.DEVNULL,
            )

    def __enter__(self) -> Shell:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait()

    def run(self, script: str, environ: Mapping[str, str], where: Path) -> subprocess.CompletedProcess[str]:
        """Run a script with bash, as strictly as it can be."""
        return self._run(["bash", "-euo", "pipefail", "-c", script], environ, where)

    def run_python(
        self, code: str, environ: Mapping[str, str], where: Path
    ) -> subprocess.CompletedProcess[str]:
        """Run code as `python3 -c` does."""
        return self._run([str(self._bin / "python3"), "-c", code], environ, where)

    def _run(
        self, command: list[str], environ: Mapping[str, str], where: Path
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            env={**environ, "PATH": f"{self._bin}:{os.environ['PATH']}", "LANG": "C.UTF-8"},
            cwd=where,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            stdin=subprocess.DEVNULL,
        )


def _serve(listening: socket.socket) -> None:
    """Fork for each connection, so that the programs of a pipeline run beside one another."""
    _import_everything()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        connection, _ = listening.accept()
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            listening.close()
            _answer(connection)
        connection.close()


def _answer(connection: socket.socket) -> None:
    request, descriptors, _, _ = socket.recv_fds(connection, 1 << 16, 3)
    while not request.endswith(b"\n"):
        request += connection.recv(1 << 16)
    pid = os.fork()
    if pid == 0:
        connection.close()
        _be_program(json.loads(request), descriptors)
    for descriptor in descriptors:
        os.close(descriptor)
    _, status = os.waitpid(pid, 0)
    connection.send(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def _be_program(asked: dict[str, Any], descriptors: list[int]) -> None:
    """Be what was asked for; SystemExit ends the fork as it ends an interpreter."""
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)
    sys.stderr = open(2, "w", buffering=1, closefd=False)
    os.environ.clear()
    os.environ.update(asked["environ"])
    os.chdir(asked["folder"])
    name, *words = asked["words"]
    if name == "maap":
        sys.argv = ["maap", *words]
        from maap_tui.cli.main import main

        end_with(main)
    if words[0] == "-c":
        sys.argv = ["-c", *words[2:]]
        end_with(lambda: exec(compile(words[1], "<string>", "exec"), {"__name__": "__main__"}))
    # Another program of Python, such as `python3 -m json.tool`.
    os.execv(sys.executable, [sys.executable, *words])


def _import_everything() -> None:
    import gc
    import importlib
    import pkgutil

    import maap_tui.cli
    import maap_tui.client
    import maap_tui.engine

    for package in (maap_tui.cli, maap_tui.client, maap_tui.engine):
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            importlib.import_module(module.name)
    for name in ("httpx", "httpx_aiohttp", "aiohttp", "sqlite3", "tomlkit", "tomllib", "filelock"):
        importlib.import_module(name)
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        _serve(socket.socket(fileno=int(sys.argv[1])))
