"""What every test gets: asyncio, an empty home, and no way to the network but loopback.

The archive, a home that points at it, and `maap` as a function are here; `homes.py` has what they share.
"""

from __future__ import annotations

import gc
import importlib.util
import itertools
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from maap_tui.cli.main import COLLECT_EVERY
from maap_tui.demo import Archive
from maap_tui.engine.events import Event
from maap_tui.engine.session import Session
from tests.homes import MOMENT, NOW, QUICK, QUICK_ENVIRON, Ended, requests_of, runner
from tests.shell import Shell

ROOT = Path(__file__).parents[1]
MEMORY = Path("/dev/shm")
"""A folder in memory, where the system has one."""
ROOM_BYTES = 2 << 30
"""What has to be free there; what a test that passed wrote is removed at once, and few need a tenth of it."""

# Thousands of test items and the modules of all tests live to the end: to go through them again and again
# for garbage takes a third of the collection, and as much of each full sweep after it.
gc.disable()

# httpcore tries to import it at each lock of a request, and to look through every folder is what takes long.
if importlib.util.find_spec("sniffio") is None:
    sys.modules["sniffio"] = None  # type: ignore[assignment]

# `make test-long` plays the whole number of examples.
hypothesis.settings.register_profile("quick", max_examples=25, deadline=None)
hypothesis.settings.register_profile("whole", max_examples=200, deadline=None)
hypothesis.settings.load_profile("quick")

# Under nohup, or in the background of a script, commands would inherit signals that are ignored.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Two a processor, as many tests wait for clocks and disks; one each for the long tests."""
    own = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return own if config.getoption("markexpr").startswith("long") else own * 2


def can_hold_the_tests(folder: Path) -> bool:
    """Whether there is room in it, and what is written there can be run."""
    try:
        its = os.statvfs(folder)
    except OSError:
        return False
    may_run = os.access(folder, os.W_OK) and not its.f_flag & os.ST_NOEXEC
    return may_run and its.f_bavail * its.f_frsize >= ROOM_BYTES


def pytest_configure(config: pytest.Config) -> None:
    """Put the folders of tests into memory, and let each worker load the tests in an order of its own.

    The program writes each line through to the disk, and a test that waits for the disk keeps its worker
    idle. What one worker has compiled, the others read: in a fresh clone that is most of the collection, and
    all would compile the same modules at once.
    """
    if "TMPDIR" not in os.environ and can_hold_the_tests(MEMORY):
        os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)
    own = getattr(config, "workerinput", None)
    if own and config.args == config.getini("testpaths"):
        files = [str(file.relative_to(ROOT)) for file in sorted(ROOT.glob("tests/**/test_*.py"))]
        start = len(files) * int(own["workerid"].removeprefix("gw")) // int(own["workercount"])
        config.args[:] = files[start:] + files[:start]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        # They have to agree on one order, that of a run without workers.
        items.sort(key=lambda item: item.path)


def pytest_collection_finish() -> None:
    # As commands and the app have it: sweeps through all objects took a fifth of the tests of the app.
    gc.set_threshold(COLLECT_EVERY)
    gc.freeze()
    gc.enable()


def pytest_unconfigure() -> None:
    # pytest looks through all objects five times then, for what garbage has to say.
    gc.collect()
    gc.freeze()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Folders to be made; pytest looks through all that there are for the number of the next."""
    return map(tmp_path_factory.mktemp("homes").joinpath, map(str, itertools.count()))


@pytest.fixture(autouse=True)
def clean_home(homes: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, no MAAP_, AWS_ or proxy variable of the developer's, UTC."""
    home = next(homes)
    home.mkdir(mode=0o700)
    for name in list(os.environ):
        if name.startswith(("MAAP_", "XDG_", "AWS_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("TZ", "UTC")
    return home


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse any connection that leaves this machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            host = str(address[0])  # type: ignore[index]
            if not (host.startswith("127.") or host in ("::1", "localhost")):
                raise AssertionError(f"a test tried to reach {host}")
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(scope="session")
def shared_archive() -> Iterator[Archive]:
    """The archive for what lives longer than a test, with a frozen clock."""
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
    """How many requests of a kind have arrived."""
    return lambda kind: requests_of(archive, kind)


@pytest.fixture
def home(archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A prepared home, and the environment that points at it; tries follow one another quickly."""
    folder = tmp_path / "home"
    archive.prepare(folder)
    for name, value in (archive.environment(folder) | QUICK_ENVIRON).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def events() -> list[Event]:
    """What the sessions of a test emitted."""
    return []


@pytest.fixture
def session(archive: Archive, home: Path, events: list[Event]) -> Callable[..., Session]:
    """Make a session on the archive; keywords with dots are settings, `url` another catalogue."""

    def make(url: str = "", bulk: bool = False, **overrides: object) -> Session:
        environ = archive.environment(home) | {"HOME": str(home)}
        if url:
            environ["MAAP_CATALOG_URL"] = url
        return Session.load(
            environ=environ,
            overrides=QUICK | overrides,
            emit=events.append,
            bulk=bulk,
            now=lambda: MOMENT,
        )

    return make


@pytest.fixture
def maap(home: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Run a command line in this process."""

    return runner(capsys)


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


@pytest.fixture(scope="session")
def shell() -> Iterator[Shell]:
    """The program and Python at once, for scripts."""
    # The path of a socket has to be short.
    with tempfile.TemporaryDirectory() as folder, Shell(Path(folder)) as started:
        yield started


@pytest.fixture
def apart_at_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the processes in which files are read begin at once, where forks can stand in for them."""
    if sys.platform == "linux":
        monkeypatch.setattr(sys, "executable", str(request.getfixturevalue("shell").python))
