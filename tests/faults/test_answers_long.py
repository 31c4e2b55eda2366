from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults import answers
from tests.faults.figure import Figure

pytestmark = pytest.mark.long


@pytest.mark.parametrize(
    "measure",
    [
        pytest.param(answers.measure_false_finals, marks=pytest.mark.fault("H1"), id="F8"),
        pytest.param(answers.measure_bearers, marks=pytest.mark.fault("H8"), id="F10"),
        pytest.param(answers.measure_secrets, marks=pytest.mark.fault("A9"), id="F11"),
        pytest.param(answers.measure_exit_codes, marks=pytest.mark.fault("P11"), id="F21"),
    ],
)
def test_every_scenario_keeps_its_promise(measure: Callable[[int, Path], Figure], tmp_path: Path) -> None:
    figure = measure(len(answers.EVERY), tmp_path)
    assert figure.kept, figure
