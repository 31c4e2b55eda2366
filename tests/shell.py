"""`maap` and `python3` at once: each is a fork of a process that has imported the program.

A script finds two small programs on its PATH, and the engine may be given `Shell.python` as its interpreter.
Each hands its open files, words and variables to the server, which forks, and ends as the fork ended.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.forking import end_with
from tests.homes import PATIENCE_S

ROOT = Path(__file__).parents[1]
MOST_GIVEN = 16
"""Descriptors that a program has at its start."""
CLIENT = """\
import json, os, signal, socket, sys
there = socket.socket(socket.AF_UNIX)
there.connect(sys.argv[1])
given = []
for number in range(256):
    try:
        os.fstat(number)
    except OSError:
        continue
    if number != there.fileno():
        given.append(number)
asked = {"words": sys.argv[2:], "environ": dict(os.environ), "folder": os.getcwd(), "given": given}
socket.send_fds(there, [json.dumps(asked).encode() + b"\\n"], given)
for descriptor in given:
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
        self.python = self._bin / "python3"
        """Takes `-c CODE` and `-P -m MODULE`; anything else is given to an interpreter."""
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(address))
            listening.listen(8)
            self._process = subprocess.Popen(
                [sys.executable, "-W", "error", "-m", "tests.shell", str(listening.fileno())],
                cwd=ROOT,
                env={
                    "PATH": os.environ["PATH"],
                    "LANG": "C.UTF-8",
                    "PYTHONPATH": str(ROOT),
                    # Threads of numpy would not be in its forks.
                    "OPENBLAS_NUM_THREADS": "1",
                    "OMP_NUM_THREADS": "1",
                },
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
        return self._run([str(self.python), "-c", code], environ, where)

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
    while True:
        connection, _ = listening.accept()
        # Those that have ended: their time counts as that of the tests.
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if os.fork() == 0:
            listening.close()
            _answer(connection)
        connection.close()


def _answer(connection: socket.socket) -> None:
    request, descriptors, _, _ = socket.recv_fds(connection, 1 << 16, MOST_GIVEN)
    while not request.endswith(b"\n"):
        request += connection.recv(1 << 16)
    pid = os.fork()
    if pid == 0:
        connection.close()
        _be_program(json.loads(request), descriptors)
    for descriptor in descriptors:
        os.close(descriptor)
    if sys.platform == "linux":
        # Who kills the program has killed what stands in for it.
        ended = os.pidfd_open(pid)
        if ended not in select.select([ended, connection], [], [])[0]:
            os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    with contextlib.suppress(BrokenPipeError):
        connection.send(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def _be_program(asked: dict[str, Any], descriptors: list[int]) -> None:
    """Be what was asked for; SystemExit ends the fork as it ends an interpreter."""
    # First away from the numbers that they are to have.
    moved = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, 100) for descriptor in descriptors]
    for descriptor in descriptors:
        os.close(descriptor)
    for number, descriptor in zip(asked["given"], moved, strict=True):
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
    if words[:2] == ["-P", "-m"]:
        sys.argv = words[2:]
        warnings.simplefilter("ignore" if os.environ.get("PYTHONWARNINGS") == "ignore" else "default")
        sys.modules.pop(words[2], None)
        end_with(lambda: runpy.run_module(words[2], run_name="__main__", alter_sys=True) and None)
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
    for name in (
        "PIL.JpegImagePlugin",
        "PIL.PngImagePlugin",
        "httpx",
        "httpx_aiohttp",
        "aiohttp",
        "sqlite3",
        "tomlkit",
        "tomllib",
        "filelock",
    ):
        importlib.import_module(name)
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        _serve(socket.socket(fileno=int(sys.argv[1])))
