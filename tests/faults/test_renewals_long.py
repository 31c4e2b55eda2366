from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.renewals import measure_renewals, measure_renewals_over_time

pytestmark = [pytest.mark.long, pytest.mark.fault("A7")]


def test_a_hundred_tasks_renew_once_ten_times_over(tmp_path: Path) -> None:
    for number in range(10):
        figure = measure_renewals(100, tmp_path / f"{number}")
        assert figure.kept, figure


@pytest.mark.parametrize("lifetime_s", [300.0, 2.0])
def test_a_thousand_files_renew_as_often_as_needed(lifetime_s: float, tmp_path: Path) -> None:
    figure = measure_renewals_over_time(1000, tmp_path, lifetime_s)
    assert figure.kept, figure
