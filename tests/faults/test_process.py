"""What becomes of work when its process is killed, stopped, starved, or loses its terminal (P1 to P13)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults import crashes
from tests.faults.preloaded import Untraceable


@pytest.mark.fault("P1")
@pytest.mark.fault("D3")
def test_kills_and_errors_at_any_call_leave_nothing_wrong(tmp_path: Path) -> None:
    try:
        figure = crashes.measure_injections(20, tmp_path)
    except Untraceable as missing:
        pytest.skip(f"needs {missing}")
    assert figure.kept, str(figure)


@pytest.mark.fault("P1")
def test_kills_at_any_moment_lose_double_and_corrupt_nothing(tmp_path: Path) -> None:
    figure = crashes.measure_kills(25, tmp_path, frame="D")
    assert figure.kept, str(figure)
