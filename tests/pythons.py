"""Run the engine's tests and those in a real terminal on each other Python that this machine has.

Called by `make test-pythons` with the environment of `make test`, whose Python is left out: that runs all
tests on it. A folder in it takes an environment for each of the others.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
OLDEST = 11
NEWEST_NAMED = 14
"""Minor versions from here to there are reported as missing where they are not found."""
NEWEST_LOOKED_FOR = 20
TESTS = ("tests/engine", "tests/tui/test_terminal.py")
FAILED = "FAILED"
NEEDS = "import ctypes, ensurepip, sqlite3, ssl, sys, venv; print(sys.version_info[1])"
"""What an interpreter must be able to do to be used."""


def candidates(minor: int) -> Iterator[Path]:
    """Where an interpreter of this version may be: on the PATH, or among those that pyenv keeps."""
    name = f"python3.{minor}"
    for folder in os.get_exec_path():
        yield Path(folder, name)
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from sorted(pyenv.glob(f"versions/3.{minor}.*/bin/{name}"))


def find(minor: int) -> Path | None:
    """The first of them that runs, is of this version, and can make an environment."""
    for path in candidates(minor):
        if not os.access(path, os.X_OK):
            continue
        asked = subprocess.run([path, "-c", NEEDS], capture_output=True, text=True, check=False)
        if asked.returncode == 0 and asked.stdout.strip() == str(minor):
            return path
    return None


def test(python: Path, folder: Path) -> bool:
    """Make an environment with this interpreter and run the tests in it."""
    shutil.rmtree(folder, ignore_errors=True)
    setup = ["make", "setup", f"PYTHON={python}", f"VENV={folder}"]
    tests = ["-m", "pytest", "-q", "--numprocesses", "auto", "--dist", "worksteal", "--tb=native", *TESTS]
    return all(
        subprocess.run(command, cwd=ROOT, check=False).returncode == 0
        for command in (setup, [folder / "bin/python", *tests])
    )


def minor_of(environment: Path) -> int:
    """The minor version of an environment's Python."""
    return int(subprocess.check_output([environment / "bin/python", "-c", NEEDS]))


def main(environment: Path) -> int:
    """Test on each other Python found; 0 unless tests fail."""
    tested = minor_of(environment)
    results = {}
    for minor in range(OLDEST, NEWEST_LOOKED_FOR + 1):
        if minor == tested:
            results[minor] = "`make test` runs on it"
        elif (python := find(minor)) is not None:
            print(f"== Python 3.{minor}: {python}", flush=True)
            results[minor] = "passed" if test(python, environment / f"python3.{minor}") else FAILED
        elif minor <= NEWEST_NAMED:
            results[minor] = "not found on this machine"
    for minor, result in results.items():
        print(f"Python 3.{minor}: {result}")
    return 1 if FAILED in results.values() else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
