"""Slots: never more transfers at once than there are, whoever asks; what ends gives its own back."""

import asyncio
import sys
from pathlib import Path

import pytest

from maap_tui.engine.download.slots import Slots
from maap_tui.engine.errors import StorageError

HOLDER = """
import asyncio, sys
from pathlib import Path
from maap_tui.engine.download.slots import Slots

async def hold():
    async with Slots(Path(sys.argv[1]), int(sys.argv[2])).one():
        print("held", flush=True)
        await asyncio.sleep(600)

asyncio.run(hold())
"""


async def test_no_more_at_once_than_there_are_whoever_asks(tmp_path: Path) -> None:
    shares: list[float] = []
    several = [Slots(tmp_path, 3, shares.append) for _ in range(3)]
    running = most = done = 0

    async def transfer(slots: Slots) -> None:
        nonlocal running, most, done
        async with slots.one():
            running += 1
            most = max(most, running)
            await asyncio.sleep(0)
            running -= 1
            done += 1

    await asyncio.gather(*(transfer(slots) for slots in several for _ in range(4)))
    assert (most <= 3, done, running) == (True, 12, 0)
    assert max(shares) <= 1.0 and shares[-1] == 0.0


async def test_a_share_is_of_all_slots(tmp_path: Path) -> None:
    shares: list[float] = []
    slots = Slots(tmp_path, 4, shares.append)
    async with slots.one(), slots.one():
        assert shares == [0.25, 0.5]
    assert shares == [0.25, 0.5, 0.25, 0.0]


async def test_a_process_that_is_killed_gives_its_slot_back(tmp_path: Path) -> None:
    words = [sys.executable, "-c", HOLDER, str(tmp_path), "1"]
    holder = await asyncio.create_subprocess_exec(
        *words, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    assert holder.stdout is not None
    assert await holder.stdout.readline() == b"held\n"
    begun = asyncio.Event()
    waiting = asyncio.ensure_future(_hold(Slots(tmp_path, 1, on_wait=begun.set)))
    await begun.wait()
    assert not waiting.done()
    holder.kill()
    await asyncio.wait_for(waiting, 20)
    await holder.wait()


async def _hold(slots: Slots) -> None:
    async with slots.one():
        pass


async def test_who_gives_up_waiting_keeps_nothing(tmp_path: Path) -> None:
    begun = asyncio.Event()
    first, other = Slots(tmp_path, 1), Slots(tmp_path, 1, on_wait=begun.set)
    async with first.one():
        waiting = asyncio.ensure_future(_hold(other))
        await begun.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    await asyncio.wait_for(_hold(first), 20)
    await asyncio.wait_for(_hold(other), 20)


async def test_a_folder_that_cannot_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError):
        await _hold(Slots(tmp_path / "file" / "slots", 2))
