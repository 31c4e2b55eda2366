from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.resuming import CASES, measure_killed, measure_mixed, measure_refetched

pytestmark = pytest.mark.long


@pytest.mark.fault("N5")
@pytest.mark.fault("N6")
@pytest.mark.fault("N7")
def test_of_a_hundred_resumes_none_is_mixed(tmp_path: Path) -> None:
    assert len(CASES) == 100
    figure = measure_mixed(100, tmp_path)
    assert figure.kept, figure


@pytest.mark.fault("N1")
def test_ten_cuts_of_a_gibibyte_cost_at_most_a_hundredth(tmp_path: Path) -> None:
    figure = measure_refetched(10, tmp_path)
    assert figure.kept, figure


@pytest.mark.fault("N4")
def test_ten_kills_cost_at_most_a_fiftieth(tmp_path: Path) -> None:
    figure = measure_killed(10, tmp_path)
    assert figure.kept, figure
