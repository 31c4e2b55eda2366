"""Run the engine's tests and those in a real terminal on each Python that this machine has.

Called by `make test-pythons` with the folder that takes an environment for each.
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


def main(environments: Path) -> int:
    """Test on each Python found; 0 when there is one and all pass."""
    results = {}
    for minor in range(OLDEST, NEWEST_LOOKED_FOR + 1):
        python = find(minor)
        if python is not None:
            print(f"== Python 3.{minor}: {python}", flush=True)
            results[minor] = test(python, environments / f"python3.{minor}")
        elif minor <= NEWEST_NAMED:
            results[minor] = None
    words = {True: "passed", False: "FAILED", None: "not found on this machine"}
    for minor, result in results.items():
        print(f"Python 3.{minor}: {words[result]}")
    return 0 if True in results.values() and False not in results.values() else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
