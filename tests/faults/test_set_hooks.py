"""Granules of sets arrive in random orders, are processed again, runs are killed: the hook runs once for each
complete set, and never on a mixed one.
"""

from __future__ import annotations

import asyncio
import os
import random
import shlex
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from maap_tui.engine.hooks import read_hook
from maap_tui.engine.session import Session
from tests.conftest import ROOT
from tests.engine.raw_server import RawServer
from tests.faults.set_archive import SPAN, SPOTS, SetArchive, arrivals, line_of, wanted

pytestmark = [pytest.mark.anyio, pytest.mark.fault("P14")]


class Checked:
    """The lines that the hook wrote so far, and what has to be true of them."""

    def __init__(self, archive: SetArchive, rule: str, file: Path) -> None:
        self.archive = archive
        self.rule = rule
        self.file = file
        self.seen: Counter[tuple[str, tuple[str, ...]]] = Counter()

    def hook(self, *, fails: bool) -> str:
        say = f'echo "$*" >> {shlex.quote(str(self.file))}'
        return shlex.join(["sh", "-c", "exit 1" if fails else say, "hook", "{orbit}{frame}", "{paths}"])

    def look(self, *, is_whole: bool) -> None:
        """After a run nothing mixed, nothing twice; after one that came to its end nothing left either."""
        lines = self.file.read_text().splitlines() if self.file.exists() else []
        fresh = Counter(map(line_of, lines)) - self.seen
        self.seen += fresh
        due = {
            (f"{orbit:05d}{frame}", baselines)
            for spot, (orbit, frame) in enumerate(SPOTS)
            if (baselines := self.archive.due(spot, self.rule)) is not None
        }
        assert set(fresh) <= due, "it ran on what is no complete set of the rule"
        assert set(self.seen.values()) <= {1}, "it ran twice"
        if is_whole:
            assert due <= set(self.seen), "it did not run on a complete set"


@pytest.mark.parametrize("rule", ["newest", "same"])
async def test_once_for_each_complete_set_in_any_order(
    rule: str, session: Callable[..., Session], tmp_path: Path
) -> None:
    chance = random.Random(f"orders {rule}")
    archive = SetArchive()
    checked = Checked(archive, rule, tmp_path / "ran")
    left = list(arrivals(chance))
    async with RawServer(archive.answer) as server:
        archive.base = server.url
        while left:
            for _ in range(chance.randint(1, 6)):
                archive.published += left[:1]
                del left[:1]
            fails = bool(left) and chance.random() < 0.3
            hook = read_hook(checked.hook(fails=fails), "set", 60)
            async with session(server.url, bulk=True) as opened:
                done = await opened.sync_set(wanted(rule), SPAN, hook=hook)
            assert done.downloads.failed == [] and done.table.failed_days == []
            checked.look(is_whole=not fails)
    assert len(checked.seen) > len(SPOTS)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("rule", ["newest", "same"])
async def test_kills_at_any_event_change_nothing_of_it(
    rule: str, seed: int, home: Path, tmp_path: Path
) -> None:
    chance = random.Random(f"kills {rule} {seed}")
    archive = SetArchive()
    checked = Checked(archive, rule, tmp_path / "ran")
    left = list(arrivals(chance))
    kills = 0
    async with RawServer(archive.answer) as server:
        archive.base = server.url
        environ = {**os.environ, "PYTHONPATH": str(ROOT), "MAAP_CATALOG_URL": server.url}
        while left or chance.random() < 0.9:
            for _ in range(chance.randint(0, 4)):
                archive.published += left[:1]
                del left[:1]
            # Each run has two events at least: a page of each product.
            kill_at = chance.randint(1, 40) if chance.random() < 0.6 and left else 0
            kill_at = kill_at if kills else 2
            fails = chance.random() < 0.2 and bool(left)
            words = [str(kill_at), rule, checked.hook(fails=fails)]
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.faults.set_runs", *words, env=environ, cwd=ROOT
            )
            code = await process.wait()
            kills += code == -9
            assert code in (0, 3, -9)
            checked.look(is_whole=code == 0 and not fails)
            if not left and code == 0:
                break
    assert kills > 0 and len(checked.seen) > len(SPOTS)
