"""Sixty days of an archive that publishes late and again: nothing is missed, and nothing comes twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.arrivals import measure_arrivals


@pytest.mark.long
def test_nothing_that_arrives_is_missed(tmp_path: Path) -> None:
    figure = measure_arrivals(60, tmp_path)
    assert figure.holds, str(figure)
