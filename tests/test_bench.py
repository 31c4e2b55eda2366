"""Each script of bench/ measures: tried with little work, beside whatever peers are here."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SCRIPTS = sorted(path.name for path in (ROOT / "bench").glob("*.py") if path.name != "__init__.py")


def test_make_bench_plays_every_script() -> None:
    listed = re.search(r"^BENCHES := (.*)$", (ROOT / "Makefile").read_text("utf-8"), flags=re.M)

    assert listed is not None
    assert sorted(f"{name}.py" for name in listed[1].split()) == SCRIPTS


@pytest.mark.long
@pytest.mark.parametrize("script", [name for name in SCRIPTS if name != "faults.py"])
def test_script_prints_its_table(script: str, tmp_path: Path) -> None:
    """The figures of bench/faults.py are played, with fewer rounds, by tests of their own."""
    environ = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONWARNINGS": "error::SyntaxWarning"}
    done = subprocess.run(
        [sys.executable, f"bench/{script}", "--quick"], cwd=ROOT, env=environ, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr + done.stdout
    assert "failed:" not in done.stdout
    rows = re.findall(r"^\| maap.* \|$", done.stdout, flags=re.M)
    assert rows, done.stdout
