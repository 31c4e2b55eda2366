"""One archive with a frozen clock, an empty home that points at it, and `maap` as a function."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from maap_tui.cli.main import main
from maap_tui.demo import Archive

NOW = "2026-01-15T00:00:00Z"
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


@pytest.fixture(scope="session")
def shared_archive() -> Iterator[Archive]:
    # The token has to be good for the real clock too, whenever the tests run.
    with Archive.start(now=NOW, offline_days=36500) as started:
        yield started


@pytest.fixture
def archive(shared_archive: Archive) -> Iterator[Archive]:
    """The archive without faults, its counters at zero."""
    shared_archive.faults.clear()
    shared_archive.stats.reset()
    yield shared_archive
    shared_archive.faults.clear()


@pytest.fixture
def asked(archive: Archive) -> Callable[[str], int]:
    """How many requests of a kind have arrived; the archive counts the finished ones a moment later."""

    def count(kind: str) -> int:
        return sum(request["kind"] == kind for request in archive.stats.show()["last_requests"])

    return count


@pytest.fixture
def home(archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A prepared home, and the environment that points at it; tries follow one another quickly."""
    folder = tmp_path / "home"
    archive.prepare(folder)
    for name, value in archive.environment(folder).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MAAP_RETRY_WAIT", "0.01")
    monkeypatch.setenv("MAAP_DOWNLOADS_RETRY_WAIT", "0.01")
    monkeypatch.setenv("MAAP_OUTAGE_WAIT", "0")
    monkeypatch.setenv("MAAP_RETRIES", "1")
    monkeypatch.setenv("MAAP_DOWNLOADS_RETRIES", "1")
    monkeypatch.setenv("MAAP_DOWNLOADS_MIN_FREE", "0")
    monkeypatch.setenv("MAAP_DOWNLOADS_SPACE_WAIT", "0")
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def maap(home: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Run a command line in this process."""

    def run(*words: Any) -> Ended:
        capsys.readouterr()
        code = main([str(word) for word in words])
        captured = capsys.readouterr()
        return Ended(code, captured.out, captured.err)

    return run


@pytest.fixture
def start(home: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start a command line as a process of its own."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(*words: Any, **options: Any) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **options.pop("environ", {})}
        options = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
        } | options
        process = subprocess.Popen(
            [sys.executable, "-m", "maap_tui", *map(str, words)], env=environment, **options
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()
