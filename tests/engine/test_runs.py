"""The list of runs while they end: each is in it at every moment, and with its own end."""

from __future__ import annotations

from pathlib import Path

import pytest

from maap_tui.engine.runs import Counts, Run, Runs
from maap_tui.engine.session import Session
from maap_tui.engine.storage.bounded_lines import BoundedLines


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(Session.load(environ={"HOME": str(tmp_path), "MAAP_HOME": str(tmp_path)}).dirs)


@pytest.mark.parametrize("before", [True, False])
def test_a_run_that_ends_while_the_list_is_read_is_in_it(
    runs: Runs, monkeypatch: pytest.MonkeyPatch, before: bool
) -> None:
    run = runs.begin("sync", ["sync", "A", "B"])
    assert run is not None
    assert [one.state for one in runs.known()] == ["running"]
    read, seen = BoundedLines.read, list[str]()

    def read_while_it_ends(lines: BoundedLines) -> list[str]:
        found = [] if before else read(lines)
        if not seen:
            seen.append("once")
            run.end(0, Counts(found=3))
        return read(lines) if before else found

    monkeypatch.setattr(BoundedLines, "read", read_while_it_ends)
    (known,) = runs.known()
    assert isinstance(known, Run)
    assert (known.state, known.exit, known.counts.found) == ("done", 0, 3)
