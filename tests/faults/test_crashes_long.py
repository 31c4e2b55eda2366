"""Crashes in numbers: every call of a sync fails or kills once, and a thousand kills at random."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults import crashes
from tests.faults.preloaded import Missing

pytestmark = pytest.mark.long


@pytest.mark.fault("P1")
@pytest.mark.fault("D3")
def test_no_kill_or_error_at_any_call_leaves_a_bad_state(tmp_path: Path) -> None:
    try:
        figure = crashes.measure_injections(0, tmp_path)
    except Missing as missing:
        pytest.skip(f"needs {missing}")
    assert figure.kept, str(figure)


@pytest.mark.fault("P1")
def test_a_thousand_kills_lose_double_and_corrupt_nothing(tmp_path: Path) -> None:
    figure = crashes.measure_kills(1000, tmp_path)
    assert figure.kept, str(figure)
