"""Processes that begin at once: forked from one that has imported everything already."""

from __future__ import annotations

import fcntl
import importlib
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).parents[2]
IMPORTED = (
    "filelock",
    "maap_tui.cli.dispatch",
    "maap_tui.cli.context",
    *(f"maap_tui.cli.commands.{name}" for name in ("download", "search", "state", "sync")),
    "maap_tui.engine.session",
    "httpx",
    "httpx_aiohttp",
)


@dataclass
class Child:
    """One forked process."""

    server: Forks
    pid: int
    out: Path

    def wait(self) -> int:
        """Its exit code, or minus the signal that ended it."""
        return int(self.server.ask({"wait": self.pid})["code"])

    def told(self) -> str:
        """What it has written to stdout and stderr."""
        return self.out.read_text()


class Forks:
    """A process that forks on demand; of one thread at a time."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._begun = 0

    def __enter__(self) -> Forks:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("MAAP_")}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.forks"],
            cwd=ROOT,
            env={**environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate(timeout=60)

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        print(json.dumps(question), file=self._process.stdin, flush=True)
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def begin(self, call: str, *args: Any, environ: Mapping[str, str] | None = None) -> Child:
        """Fork a process that calls `module:function` with these arguments and ends with its result."""
        self._begun += 1
        out = self._folder / f"{self._begun}.txt"
        question = {"call": call, "args": args, "environ": dict(environ or {}), "out": str(out)}
        return Child(self, int(self.ask(question)["pid"]), out)


@contextmanager
def closed_gate(gate: Path) -> Iterator[None]:
    """Hold back whoever comes to `pass_gate` until the end of the block."""
    with gate.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def pass_gate(gate: Path) -> None:
    with gate.open() as held:
        fcntl.flock(held, fcntl.LOCK_SH)


def _serve() -> None:
    for name in IMPORTED:
        importlib.import_module(name)
    for line in sys.stdin:
        question = json.loads(line)
        if "wait" in question:
            answer = {"code": os.waitstatus_to_exitcode(os.waitpid(question["wait"], 0)[1])}
        else:
            # Imported here, the next ones have it from the start.
            importlib.import_module(question["call"].partition(":")[0])
            pid = os.fork()
            if pid == 0:
                os._exit(_be(question))
            answer = {"pid": pid}
        print(json.dumps(answer), flush=True)


def _be(question: Mapping[str, Any]) -> int:
    """Do in the forked process what was asked; returns its exit code."""
    out = os.open(question["out"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    null = os.open(os.devnull, os.O_RDONLY)
    for descriptor, stream in ((null, 0), (out, 1), (out, 2)):
        os.dup2(descriptor, stream)
    os.environ.update(question["environ"])
    module, _, name = question["call"].partition(":")
    code = 70
    try:
        code = getattr(importlib.import_module(module), name)(*question["args"]) or 0
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    return code


if __name__ == "__main__":
    _serve()
