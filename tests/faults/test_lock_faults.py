"""Locks: holders that are killed, children that inherit, file systems that have none."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from maap_tui.engine.storage import locks
from tests.faults.registry_home import NAMES, granules, lines_of
from tests.homes import PATIENCE_S

ROOT = Path(__file__).parents[2]

LOCKER = """
import sys
from pathlib import Path
from maap_tui.engine.storage import locks
from maap_tui.engine.errors import LockedError
from tests.faults.writers import refuse_flock
if int(sys.argv[2]):
    refuse_flock(int(sys.argv[2]))
try:
    with locks.lock(Path(sys.argv[1]), timeout_s=float(sys.argv[3])):
        print("held", flush=True)
        sys.stdin.readline()
    print("let go", flush=True)
except LockedError:
    print("locked", flush=True)
"""


def started(script: str, *words: object) -> subprocess.Popen[str]:
    """A process that runs a script, spoken to by its lines."""
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, words)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def locker(path: Path, flock_error: int, timeout_s: float = 10.0) -> subprocess.Popen[str]:
    return started(LOCKER, path, flock_error, timeout_s)


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.fault("C5")
@pytest.mark.parametrize(
    "first",
    [0, errno.ENOLCK, pytest.param(errno.ENOSYS, marks=pytest.mark.long)],
    ids=["flock", "no locks", "no flock"],
)
@pytest.mark.parametrize("second", [0, errno.ENOLCK], ids=["flock", "no locks"])
def test_holders_keep_apart_whatever_the_file_system_gives_each(
    tmp_path: Path, first: int, second: int
) -> None:
    with locker(tmp_path / ".lock", first) as holder:
        assert line_of(holder) == "held"
        with locker(tmp_path / ".lock", second, 0.1) as other:
            assert line_of(other) == "locked"
        with locker(tmp_path / ".lock", second) as waiting:
            assert holder.stdin is not None
            print(file=holder.stdin, flush=True)
            assert line_of(holder) == "let go"
            assert line_of(waiting) == "held"
            waiting.kill()
    # The one that was killed holds nobody back.
    with locker(tmp_path / ".lock", first, 0.1) as next_one:
        assert line_of(next_one) == "held"
        next_one.communicate("\n")


@pytest.fixture
def lock_file(home: Path) -> Path:
    """Where commands lock the registry of CLD."""
    return home / "registry/.locks/write" / f"{NAMES}.lock"


@pytest.mark.fault("C5")
def test_a_killed_holder_holds_up_no_command(maap: Callable, home: Path, lock_file: Path) -> None:
    assert maap("state", "mark", granules(home, 1)[0]).code == 0
    inode = lock_file.stat().st_ino
    with locker(lock_file, 0) as holder:
        assert line_of(holder) == "held"
        holder.kill()
    assert maap("state", "mark", *granules(home, 2)).err == "Marked 1 file; 1 marked before\n"
    # The lock file is never removed: whoever waits for it waits for the same one.
    assert lock_file.stat().st_ino == inode


@pytest.mark.fault("C5")
def test_after_a_lock_file_was_removed_all_newcomers_agree_on_one(lock_file: Path) -> None:
    with locker(lock_file, 0) as holder:
        assert line_of(holder) == "held"
        with locker(lock_file, 0) as waiting:
            lock_file.unlink()
            assert line_of(waiting) == "held"
            # The end of the first one must not let a third one in beside the second.
            holder.communicate("\n")
            with locker(lock_file, 0, 0.2) as newcomer:
                assert line_of(newcomer) == "locked"
            waiting.communicate("\n")
    assert lock_file.exists()


FAMILY = """
import os, signal, subprocess, sys
from pathlib import Path
from maap_tui.engine.storage import locks
part = Path(sys.argv[1] + ".part")
with locks.lock(Path(sys.argv[1]), timeout_s=10):
    descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    let_go = locks.hold(descriptor, part)
    heir = subprocess.Popen(["sleep", "60"], close_fds=False, stdout=subprocess.DEVNULL)
    print(heir.pid, flush=True)
    sys.stdin.readline()
    let_go()
print("let go", flush=True)
sys.stdin.readline()
"""


@pytest.mark.fault("C6")
@pytest.mark.parametrize("ending", ["release", "kill"])
def test_a_child_does_not_inherit_the_lock(tmp_path: Path, ending: str) -> None:
    path = tmp_path / ".lock"
    parent = started(FAMILY, path)
    heir = int(line_of(parent))
    try:
        if ending == "kill":
            parent.kill()
        else:
            assert parent.stdin is not None
            print(file=parent.stdin, flush=True)
            assert line_of(parent) == "let go"
        with locks.lock(path, timeout_s=0.1), (tmp_path / ".lock.part").open("r+") as part:
            assert locks.hold(part.fileno(), tmp_path / ".lock.part") is not None
            os.kill(heir, 0)  # it is still there
    finally:
        os.kill(heir, signal.SIGKILL)
        parent.kill()
        parent.communicate()


FORKED = """
import os, sys
from pathlib import Path
from maap_tui.engine.storage import locks
with locks.lock(Path(sys.argv[1]), timeout_s=10):
    pid = os.fork()
    if pid == 0:
        print(os.getpid(), flush=True)
    sys.stdin.readline()
"""


@pytest.mark.fault("C6")
def test_a_forked_child_does_not_keep_the_lock_of_a_killed_parent(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    parent = started(FORKED, path)
    child = int(line_of(parent))
    try:
        parent.kill()
        parent.wait()
        with locks.lock(path, timeout_s=5):
            os.kill(child, 0)
    finally:
        os.kill(child, signal.SIGKILL)
        parent.communicate()


@pytest.mark.fault("D9")
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("EIO", "the disk reported an error"),
        ("ESTALE", "the network folder went away"),
    ],
)
def test_a_lock_that_cannot_be_asked_for_is_3_and_nothing_is_written(
    start: Callable, home: Path, lock_file: Path, name: str, said: str
) -> None:
    ended = traced(start, home, name, "state", "mark", granules(home, 1)[0])
    assert ended.returncode == 3
    assert said in ended.stderr and str(lock_file) in ended.stderr
    assert ended.stderr.count("Error: ") == 1
    assert lines_of(home, "marked", "mrk") == []


@pytest.mark.fault("D9")
@pytest.mark.parametrize("name", ["ENOLCK", "EOPNOTSUPP"])
def test_commands_work_on_a_file_system_without_locks(
    start: Callable, home: Path, lock_file: Path, name: str
) -> None:
    for path in granules(home, 2):
        ended = traced(start, home, name, "state", "mark", path)
        assert (ended.returncode, ended.stderr) == (0, "Marked 1 file\n")
    assert len(lines_of(home, "marked", "mrk")) == 2
    assert sorted(path.name for path in lock_file.parent.iterdir()) == ["BC.lock", "BC.lock.holder"]


def traced(start: Callable, home: Path, name: str, *words: object) -> subprocess.CompletedProcess[str]:
    """Run a command whose every flock fails."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("needs strace")
    inject = f"inject=flock:error={name}"
    return subprocess.run(
        [strace, "-f", "--seccomp-bpf", "-o", os.devnull, "-e", "trace=flock", "-e", inject,
         sys.executable, "-m", "maap_tui", *map(str, words)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )  # fmt: skip
