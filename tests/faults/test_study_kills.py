"""Freeze and thaw that are killed, or fail, at any system call that changes the disk (P16)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.preloaded import Missing
from tests.faults.studies import STEPS, measure_studies

pytestmark = [pytest.mark.long, pytest.mark.fault("P16")]


@pytest.mark.parametrize("step", STEPS)
def test_a_kill_at_any_call_leaves_a_whole_study(step: str, tmp_path: Path) -> None:
    try:
        figure = measure_studies(tmp_path, [step])
    except Missing as missing:
        pytest.skip(f"needs {missing}")
    assert figure.holds, str(figure)
