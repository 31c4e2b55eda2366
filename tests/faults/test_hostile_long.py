from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.hostile import BY_HAND, measure_by_hand, measure_generated

pytestmark = [pytest.mark.long, pytest.mark.fault("H10"), pytest.mark.fault("H11"), pytest.mark.fault("H12")]


@pytest.mark.parametrize("on_terminal", [False, True], ids=["piped", "terminal"])
def test_all_hand_made_strings_are_harmless(on_terminal: bool, tmp_path: Path) -> None:
    assert len(set(BY_HAND)) >= 300
    figure = measure_by_hand(len(BY_HAND), tmp_path, on_terminal=on_terminal)
    assert figure.kept, figure


def test_twenty_thousand_generated_strings_are_harmless(tmp_path: Path) -> None:
    figure = measure_generated(20_000, tmp_path)
    assert figure.kept, figure
    assert figure.what.startswith("20000 ")
