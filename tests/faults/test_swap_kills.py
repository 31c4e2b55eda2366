"""Swaps that are killed, or fail, at any system call that changes the disk, and several at once (P15)."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.preloaded import Missing
from tests.faults.swaps import PRODUCT, SPAN, STEPS, SUBJECTS, measure_swap

pytestmark = [pytest.mark.long, pytest.mark.fault("P15")]


@pytest.mark.parametrize("subject", SUBJECTS)
@pytest.mark.parametrize("step", STEPS)
def test_a_kill_at_any_call_leaves_every_granule_one_whole_version(
    step: str, subject: str, tmp_path: Path
) -> None:
    try:
        figure = measure_swap(tmp_path, [step], subject=subject)
    except Missing as missing:
        pytest.skip(f"needs {missing}")
    assert figure.holds, str(figure)


@pytest.mark.fault("C4")
def test_swaps_and_syncs_at_once_do_the_same_as_one_after_the_other(
    maap: Callable, start: Callable[..., subprocess.Popen[bytes]]
) -> None:
    """Each waits for the others: none fails, each file comes once, each granule is swapped once."""
    assert maap("sync", *PRODUCT, "AB", *SPAN, "--quiet").code == 0
    wait = ("--lock-wait", "100", "--json")
    swap = ("swap", "run", *PRODUCT, "AB", "BB", *wait)
    several = [start(*swap), start("sync", *PRODUCT, "BB", *SPAN, *wait), start(*swap)]
    ended = [one.communicate() for one in several]
    assert [one.returncode for one in several] == [0, 0, 0], ended
    for out, _ in (ended[0], ended[2]):
        assert [json.loads(line)["state"] for line in out.splitlines()] == ["swapped"] * 3
    words = b"".join(err for _, err in ended).decode()
    assert words.count("Swapped 3 granules") == 1, words
    assert maap("verify", "--quiet").code == 0
    assert len(maap("state", "pending", *PRODUCT, "BB", "--type", "marks").lines) == 3
    assert maap("state", "pending", *PRODUCT, "AB", "--type", "marks").lines == []
