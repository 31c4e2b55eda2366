from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.faults.waiting import measure_outages, measure_poor_line, measure_stalls

pytestmark = pytest.mark.long


@pytest.mark.fault("N9")
@pytest.mark.fault("N10")
@pytest.mark.fault("N18")
@pytest.mark.fault("A1")
def test_outages_stalls_and_drips_with_the_default_settings(tmp_path: Path) -> None:
    # They wait for minutes and do nothing meanwhile, hence side by side.
    with ThreadPoolExecutor() as threads:
        outages = threads.submit(measure_outages, 1, tmp_path / "outages")
        stalls = threads.submit(measure_stalls, 1, tmp_path / "stalls")
    for figure in (stalls.result(), outages.result()):
        assert figure.kept, figure


@pytest.mark.fault("N19")
def test_all_comes_over_a_poor_line(tmp_path: Path) -> None:
    figure = measure_poor_line(12, tmp_path)
    assert figure.kept, figure
