"""Every figure with all its rounds: what `bench/faults.py` prints, as promises."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.figures import ROWS, Row
from tests.faults.preloaded import Missing
from tests.faults.reader import read_beside_writer

pytestmark = pytest.mark.long


@pytest.mark.parametrize(
    "row", [pytest.param(row, id=str(row), marks=[pytest.mark.alone] if row.is_alone else []) for row in ROWS]
)
def test_promises_are_kept(row: Row, tmp_path: Path) -> None:
    try:
        figure = row.measure(row.rounds, tmp_path)
    except Missing as missing:
        pytest.skip(f"needs {missing}")
    assert figure.holds, str(figure)


@pytest.mark.fault("C3")
def test_a_hundred_thousand_reads_beside_a_writer(tmp_path: Path) -> None:
    odd, went_round = read_beside_writer(100_000, tmp_path)
    assert odd == []
    assert went_round > 100
