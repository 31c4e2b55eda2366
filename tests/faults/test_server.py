from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.scenarios import SERVER, Scenario
from tests.faults.stage import Stage
from tests.faults.test_network import cases


@pytest.mark.parametrize("scenario", cases(SERVER))
def test_a_sync_ends_as_promised(scenario: Scenario, tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        _, wrong = scenario.play(stage)
    assert wrong == []
