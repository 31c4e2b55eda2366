"""Two processes at once, a damaged registry, odd times and settings: rows C, R and T."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.faults.writers import let_write

L2 = "EarthCAREL2Validated_MAAP"
CLD = (L2, "CPR_CLD_2A", "BC")
ROOT = Path(__file__).parents[2]
NAMES = f"EarthCARE/{L2}/CPR_CLD_2A/BC"


@pytest.mark.fault("C2")
def test_sixteen_writers_lose_and_repeat_nothing(tmp_path: Path) -> None:
    done = let_write(3, tmp_path, writers=16)
    assert done.is_right, done


@pytest.mark.fault("C2")
@pytest.mark.fault("D9")
@pytest.mark.parametrize(
    "flock_errors",
    [
        pytest.param([errno.ENOSYS], id="no flock at all"),
        pytest.param([errno.EOPNOTSUPP], id="not on this file system"),
        pytest.param([errno.ENOLCK, 0], id="half of the processes are refused"),
    ],
)
def test_writers_without_flock_lose_and_repeat_nothing(tmp_path: Path, flock_errors: list[int]) -> None:
    done = let_write(12, tmp_path, writers=4, flock_errors=flock_errors)
    assert done.is_right, done
    folder = tmp_path / "registry/downloads" / NAMES
    assert not (folder / ".lock.soft").exists()


LOCKER = """
import sys
from pathlib import Path
from maap_tui.engine import files
from maap_tui.engine.errors import LockedError
from tests.faults.writers import refuse_flock
if int(sys.argv[2]):
    refuse_flock(int(sys.argv[2]))
try:
    with files.lock(Path(sys.argv[1]), timeout_s=float(sys.argv[3])):
        print("held", flush=True)
        sys.stdin.readline()
    print("let go", flush=True)
except LockedError:
    print("locked", flush=True)
"""


def locker(path: Path, flock_error: int, timeout_s: float = 10.0, **options: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", LOCKER, str(path), str(flock_error), str(timeout_s)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **options,  # type: ignore[call-overload]
    )


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.fault("C5")
@pytest.mark.parametrize("first", [0, errno.ENOLCK, errno.ENOSYS], ids=["flock", "no locks", "no flock"])
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
    begun = time.monotonic()
    with locker(tmp_path / ".lock", first) as next_one:
        assert line_of(next_one) == "held"
        assert time.monotonic() - begun < 5
        next_one.communicate("\n")
