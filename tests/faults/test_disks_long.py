"""Full disks at twenty points, and power cuts on file systems of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults import disks, power
from tests.faults.preloaded import Missing

pytestmark = pytest.mark.long


@pytest.mark.fault("D1")
@pytest.mark.fault("D2")
def test_a_disk_that_fills_at_any_of_twenty_points_loses_nothing(tmp_path: Path) -> None:
    try:
        figure = disks.measure_full_disk(20, tmp_path)
    except Missing as missing:
        pytest.skip(f"needs {missing}")
    assert figure.kept, str(figure)


@pytest.mark.fault("D5")
@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_power_cuts_lose_nothing_that_was_told(tmp_path: Path, kind: str) -> None:
    try:
        figure = power.measure_power_cuts(40, tmp_path, kind)
    except Missing as missing:
        pytest.skip(f"needs {missing}")
    assert figure.kept, str(figure)
