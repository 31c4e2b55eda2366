"""The network breaks, stalls or goes away: no byte is wrong, few come twice, and the exit code says it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.scenarios import NETWORK, Scenario
from tests.faults.stage import Stage


def cases(scenarios: list[Scenario]) -> list[object]:
    return [pytest.param(one, id=str(one), marks=pytest.mark.fault(one.row)) for one in scenarios]


@pytest.mark.parametrize("scenario", cases(NETWORK))
def test_a_sync_ends_as_promised(scenario: Scenario, tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        _, wrong = scenario.play(stage)
    assert wrong == []
