"""TransferOrder: always what sorting all of it would give, whatever comes, changes and goes."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from maap_tui.engine.download.jobs import DownloadJob
from maap_tui.engine.download.requests import DownloadRequest
from maap_tui.tui.screens.downloads.transfer_order import TransferOrder
from maap_tui.tui.screens.downloads.transfers import Line

STATES = ("waiting", "running", "paused", "finished", "skipped", "failed", "cancelled")


def line_of(number: int, chance: random.Random) -> Line:
    wanted = DownloadRequest(f"https://a/{number}", Path(f"/data/{number:04}"), None, None)
    job = DownloadJob(wanted, position=float(chance.randrange(20)))
    return Line(str(wanted.path), wanted.url, job=job)


@pytest.mark.parametrize("seed", range(8))
def test_it_is_what_sorting_would_give(seed: int) -> None:
    chance = random.Random(seed)
    order = TransferOrder()
    there: list[Line] = []
    for number in range(600):
        if not there or chance.random() < 0.4:
            there.append(line_of(number, chance))
            order.put(there[-1])
        elif chance.random() < 0.8:
            line = chance.choice(there)
            assert line.job is not None
            line.job.state = chance.choice(STATES)
            line.job.position = float(chance.randrange(20))
            before = line.position
            line.update(set())
            assert order.put(line) is (line.order != before)
        elif chance.random() < 0.9:
            order.take(there.pop(chance.randrange(len(there))))
        else:
            gone = chance.sample(there, len(there) // 3)
            order.take_all(gone)
            there = [line for line in there if line not in gone]
        assert order.lines == sorted(there, key=lambda line: line.order)
        assert +order.counts == Counter(line.state for line in there)


def test_what_is_not_there_is_taken_out_without_harm() -> None:
    order = TransferOrder()
    line = line_of(1, random.Random(1))

    order.take(line)
    order.take_all([line])
    order.put(line)
    order.take(line)
    order.take(line)

    assert order.lines == [] and not +order.counts
