"""Real commands in processes of their own that begin at once: everything is imported before they fork."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.homes import PATIENCE_S, Ended

ROOT = Path(__file__).parents[2]
USED_LATER = (
    "concurrent.futures.thread", "httpx", "httpx_aiohttp", "aiohttp", "certifi.core", "sqlite3",
    "tomlkit", "tomllib", "_strptime", "encodings.idna", "encodings.ascii", "encodings.utf_8_sig",
    "maap_tui.heap", "resource",
)  # fmt: skip
"""What a command imports on its way, so that none is left to a fork."""

NOBODY = 65534
"""User and group of no rights."""


class Running:
    """A command that was started; it waits until `go`."""

    def __init__(self, server: Preloaded, pid: int, out: Path, err: Path) -> None:
        self._server = server
        self.pid = pid
        self._out, self._err = out, err
        self.ended: Ended | None = None

    def go(self) -> None:
        """Let it begin."""
        os.write(self._server.gate, b".")

    def kill(self, number: int = signal.SIGKILL) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def has_ended_within(self, seconds: float) -> bool:
        return self.ended is not None or self._server.has_answer(seconds)

    def wait(self, seconds: float = PATIENCE_S) -> Ended:
        """Wait for its end; one that does not end is killed and is a failure."""
        if self.ended is None:
            if not self._server.has_answer(seconds):
                self.kill()
                self._server.answer()
                err = self._err.read_text("utf-8", "replace")
                raise AssertionError(f"the command did not end within {seconds:.0f} s: {err[-2000:]}")
            code = int(self._server.answer()["code"])
            out, err = (one.read_text("utf-8", "replace") for one in (self._out, self._err))
            self.ended = Ended(code, out, err)
        return self.ended


class Preloaded:
    """Starts commands one after the other, each in a fork of a process that imported the program.

    Args:
        folder: where what they print is kept, and their HOME where none is given.
        one_thread: whether the engine's work of other threads is done in the thread of its loop, so that
            the n-th system call is the same one each time.
    """

    def __init__(self, folder: Path, *, one_thread: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._gate_end, self.gate = os.pipe()
        clean = {name: text for name, text in os.environ.items() if not name.startswith("MAAP_")}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.preloaded", str(self._gate_end), str(int(one_thread))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            cwd=ROOT,
            env={**clean, "HOME": str(folder), "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
            pass_fds=[self._gate_end],
        )

    def __enter__(self) -> Preloaded:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(PATIENCE_S)
        self._process.stdout.close()
        os.close(self.gate)
        os.close(self._gate_end)

    def begin(
        self,
        words: Sequence[object],
        environ: Mapping[str, str],
        *,
        as_nobody: bool = False,
        streams: Mapping[int, str] | None = None,
        place: str = "",
    ) -> Running:
        """Start a command line, with these variables in its environment beside the usual ones.

        Args:
            words: the command line.
            environ: the variables.
            as_nobody: whether it runs without the rights that root has.
            streams: what is wrong with which standard stream: closed, full or none.
            place: a folder that it runs in and that is deleted before it begins; '' for the usual one.
        """
        while select.select([self._gate_end], [], [], 0)[0]:
            os.read(self._gate_end, 1)  # meant for one that was killed before it took it
        out, err = self._folder / "out.txt", self._folder / "err.txt"
        asked = {
            "words": [str(word) for word in words],
            "environ": dict(environ),
            "out": str(out),
            "err": str(err),
            "user": NOBODY if as_nobody and os.geteuid() == 0 else None,
            "streams": {str(number): kind for number, kind in (streams or {}).items()},
            "place": place,
        }
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asked).encode() + b"\n")
        return Running(self, int(self.answer()["pid"]), out, err)

    def run(self, words: Sequence[object], environ: Mapping[str, str], **options: Any) -> Ended:
        """Run a command line to its end; options as for `begin`."""
        running = self.begin(words, environ, **options)
        running.go()
        return running.wait()

    def has_answer(self, seconds: float) -> bool:
        return bool(select.select([self._process.stdout], [], [], seconds)[0])

    def answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        return dict(json.loads(self._process.stdout.readline()))


class Tracer:
    """strace on a process that waits at its gate, for as long as that lives.

    Raises:
        Missing: strace is missing, or may not attach.
    """

    def __init__(self, pid: int, *options: str, log: Path | None = None) -> None:
        command = ["strace", "-f", "-p", str(pid), "-o", str(log or os.devnull), *options]
        try:
            self._process = subprocess.Popen(command, stderr=subprocess.PIPE)
        except FileNotFoundError:
            raise Missing("strace") from None
        assert self._process.stderr is not None
        told = self._process.stderr.readline()
        if b"attached" not in told:
            self._process.communicate()
            raise Missing(f"strace that may attach ({told.decode(errors='replace').strip()})")

    def wait(self) -> None:
        """Wait until the process has gone."""
        self._process.communicate(timeout=PATIENCE_S)


class Missing(Exception):
    """Something that a system does not have; its text is the name of it."""


@contextlib.contextmanager
def traced(
    server: Preloaded,
    words: Sequence[object],
    environ: Mapping[str, str],
    *options: str,
    log: Path | None = None,
) -> Iterator[Running]:
    """Run a command line under strace with these options."""
    running = server.begin(words, environ)
    try:
        tracer = Tracer(running.pid, *options, log=log)
    except Missing:
        running.kill()
        running.wait()
        raise
    running.go()
    yield running
    running.wait()
    tracer.wait()


def _serve(gate: int, one_thread: bool) -> None:
    """Fork a child for each line of stdin, tell its pid, and how it ended."""
    _import_everything()
    if one_thread:
        _stay_in_one_thread()
    for line in sys.stdin.buffer:
        asked = json.loads(line)
        there, tell = os.pipe()
        pid = os.fork()
        if pid == 0:
            _be_command(asked, gate, tell)
        os.close(tell)
        os.read(there, 1)  # it stands at the gate, and all it does from there on is the command's
        os.close(there)
        print(json.dumps({"pid": pid}), flush=True)
        _, status = os.waitpid(pid, 0)
        print(json.dumps({"code": os.waitstatus_to_exitcode(status)}), flush=True)


def _import_everything() -> None:
    import gc
    import importlib
    import pkgutil

    import maap_tui.cli
    import maap_tui.engine

    for package in (maap_tui.cli, maap_tui.engine):
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            importlib.import_module(module.name)
    for name in USED_LATER:
        importlib.import_module(name)
    _use_each_lock()
    gc.collect()
    gc.freeze()


def _use_each_lock() -> None:
    """Take and release a lock of each kind: what filelock imports when it is first used is its own matter."""
    import tempfile

    from filelock import FileLock, SoftFileLock

    with tempfile.TemporaryDirectory() as folder:
        for kind in (FileLock, SoftFileLock):
            with kind(Path(folder, kind.__name__)):
                pass


def _stay_in_one_thread() -> None:
    import asyncio

    async def at_once(function: Any, /, *args: Any, **options: Any) -> Any:
        return function(*args, **options)

    asyncio.to_thread = at_once


def _be_command(asked: dict[str, Any], gate: int, tell: int) -> None:
    code = 70
    try:
        os.environ.update(asked["environ"])
        for number, path in ((1, asked["out"]), (2, asked["err"])):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o666)
            os.dup2(descriptor, number)
            os.close(descriptor)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        _let_be_traced()
        if asked["user"] is not None:
            os.setgroups([])
            os.setgid(asked["user"])
            os.setuid(asked["user"])
        from maap_tui.cli.main import main

        os.close(tell)
        os.read(gate, 1)
        os.close(gate)
        if asked["place"]:
            os.chdir(asked["place"])
            os.rmdir(asked["place"])
        _spoil(asked["streams"])
        sys.argv = ["maap", *asked["words"]]
        code = main()
        code = 120 if _cannot_flush() else code  # as the interpreter ends
    finally:
        os._exit(code)


def _spoil(streams: dict[str, str]) -> None:
    for number, kind in streams.items():
        if kind == "full":
            full = os.open("/dev/full", os.O_RDWR)
            os.dup2(full, int(number))
            os.close(full)
            continue
        if kind == "closed":
            os.close(int(number))
        setattr(sys, ("stdin", "stdout", "stderr")[int(number)], None)


def _cannot_flush() -> bool:
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except OSError:
        return True
    return False


def _let_be_traced() -> None:
    """Where a process may only trace its own children, allow any (prctl, PR_SET_PTRACER)."""
    import ctypes

    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(0x59616D61, ctypes.c_ulong(-1), 0, 0, 0)


if __name__ == "__main__":
    _serve(int(sys.argv[1]), sys.argv[2] == "1")
