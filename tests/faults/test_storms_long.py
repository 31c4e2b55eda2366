from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.storms import measure_storm


@pytest.mark.long
@pytest.mark.fault("N16")
def test_a_thousand_pauses_and_cancels_leave_nothing(tmp_path: Path) -> None:
    figure = measure_storm(1000, tmp_path)
    assert figure.kept, figure
