"""Every way to end a command and the app in the middle of transfers, several times."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults import endings


@pytest.mark.long
@pytest.mark.fault("P2")
@pytest.mark.fault("P3")
@pytest.mark.fault("P4")
def test_signals_and_closed_terminals_end_everything_in_order(tmp_path: Path) -> None:
    figure = endings.measure_endings(5, tmp_path)
    assert figure.kept, str(figure)
