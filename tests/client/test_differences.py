"""What differs from maap-client 0.2.1 on purpose, each seen in both programs.

The table is in docs/moving-from-maap-client.md.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from maap_tui.demo import Archive
from tests.faults.figure import PEER_PYTHON
from tests.homes import PATIENCE_S

PROBE = """
import importlib, json, os, sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
library = importlib.import_module(sys.argv[1])
os.chdir(sys.argv[2])
client = library.MaapClient(library.MaapConfig.load(Path("config.toml")))
names = ("EarthCAREL2Validated_MAAP", "CPR_CLD_2A", "BC")
day = datetime(2025, 12, 1, tzinfo=timezone.utc)
hour = {"start": day, "end": day + timedelta(minutes=59, seconds=59)}
found = client.search(*names, **hour)
few = client.search(*names, **hour, max_items=2).urls
info = client.get_baseline_info(*names, **hour)
try:
    built = str(client.get_baseline_info(*names, from_built=True))
except FileNotFoundError:
    built = "FileNotFoundError"
client.download(found.urls[:1], names[0])
again = client.download(found.urls[:1], names[0])
flat = client.download(found.urls[:1], names[0], out_dir=Path("flat"))
print(json.dumps([
    callable(info.time_range), type(info.time_start).__name__, built,
    [len(again.downloaded), len(again.skipped)],
    all(path.is_absolute() for path in flat.downloaded.values()),
    few == found.urls[:2], found.end.isoformat(),
]))
"""

OURS = [False, "datetime", "FileNotFoundError", [0, 1], True, True, "2025-12-01T01:00:00+00:00"]
THEIRS = [True, "str", "None", [1, 0], False, False, "2025-12-01T00:59:59+00:00"]


@pytest.mark.parametrize(
    ("python", "library", "facts"),
    [(sys.executable, "maap_tui", OURS), (PEER_PYTHON, "maap_client", THEIRS)],
    ids=["here", "there"],
)
def test_differences(archive: Archive, home: Path, python: str, library: str, facts: list[object]) -> None:
    if not python:
        pytest.skip("MAAP_CLIENT_PYTHON names no interpreter with maap-client 0.2.1")
    done = subprocess.run(
        [python, "-c", PROBE, library, str(home)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=True,
        env={**os.environ, "HOME": str(home)},
    )
    assert json.loads(done.stdout.splitlines()[-1]) == facts
