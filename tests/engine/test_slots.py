"""Slots: never more transfers at once than there are, whoever asks; what ends gives its own back."""

import asyncio
import errno
import os
import sys
from pathlib import Path

import pytest

from maap_tui.engine.download.slots import Slots
from maap_tui.engine.errors import StorageError
from maap_tui.engine.storage import locks
from tests.homes import PATIENCE_S

HOLDER = """
import asyncio, errno, fcntl, sys
from pathlib import Path
from maap_tui.engine.download.slots import Slots

async def hold():
    async with Slots(Path(sys.argv[1]), int(sys.argv[2])).one():
        print("held", flush=True)
        await asyncio.sleep(600)

def refuse(descriptor, operation):
    raise OSError(errno.ENOLCK, "No locks available")

if sys.argv[3:]:
    fcntl.flock = refuse
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


@pytest.mark.parametrize("kind", ["flock", "no flock"])
async def test_a_process_that_is_killed_gives_its_slot_back(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    words = [sys.executable, "-c", HOLDER, str(tmp_path), "1"]
    if kind == "no flock":
        request.getfixturevalue("no_flock")
        words.append(kind)
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
    await asyncio.wait_for(waiting, PATIENCE_S)
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
    await asyncio.wait_for(_hold(first), PATIENCE_S)
    await asyncio.wait_for(_hold(other), PATIENCE_S)


async def test_a_folder_that_cannot_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError):
        await _hold(Slots(tmp_path / "file" / "slots", 2))


@pytest.fixture
def no_flock(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)


@pytest.mark.usefixtures("no_flock")
async def test_slots_without_locks_are_never_more(tmp_path: Path) -> None:
    await test_no_more_at_once_than_there_are_whoever_asks(tmp_path)
    assert not list(tmp_path.glob("*.soft"))


@pytest.mark.usefixtures("no_flock")
async def test_a_slot_of_a_host_that_is_gone_ends_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "LEASE_S", 1.5)
    begun = asyncio.Event()
    async with Slots(tmp_path, 1).one():
        (marker,) = tmp_path.glob("*.soft")
        left = marker.read_text()
    here = [line for line in left.splitlines() if line.startswith("host=")]
    assert len(here) == 1, left
    marker.write_text(left.replace(here[0], "host=node-that-is-gone"))
    waiting = asyncio.ensure_future(_hold(Slots(tmp_path, 1, on_wait=begun.set)))
    await begun.wait()
    assert not waiting.done()
    await asyncio.wait_for(waiting, PATIENCE_S)
    assert not marker.exists()


@pytest.mark.usefixtures("no_flock")
async def test_a_slot_whose_holder_lives_does_not_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "LEASE_S", 2.4)
    begun = asyncio.Event()
    async with Slots(tmp_path, 1).one():
        waiting = asyncio.ensure_future(_hold(Slots(tmp_path, 1, on_wait=begun.set)))
        await begun.wait()
        done, _ = await asyncio.wait({waiting}, timeout=3.0)
        assert not done
    await asyncio.wait_for(waiting, PATIENCE_S)


async def test_what_is_to_spare_is_given_back_to_who_waits(tmp_path: Path) -> None:
    shares: list[float] = []
    generous, other = Slots(tmp_path, 2, shares.append), Slots(tmp_path, 2)
    taken = asyncio.Event()
    refused: list[bool] = []

    async def take_spare() -> None:
        async with generous.spare() as is_free:
            taken.set()
            assert is_free
            async with generous.spare() as is_free:
                refused.append(is_free)
            await asyncio.sleep(600)

    async with generous.one():
        spare = asyncio.ensure_future(take_spare())
        await taken.wait()
        assert shares == [0.5, 1.0]
        await asyncio.wait_for(_hold(other), PATIENCE_S)
        with pytest.raises(asyncio.CancelledError):
            await spare
    assert (refused, shares) == ([False], [0.5, 1.0, 0.5, 0.0])


@pytest.mark.parametrize("moment", [1, 2**32], ids=["clock behind", "clock ahead"])
async def test_nothing_is_to_spare_while_somebody_waits(
    moment: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots, begun = Slots(tmp_path, 2), asyncio.Event()
    async with slots.one(), Slots(tmp_path, 2).one():
        waiting = asyncio.ensure_future(_hold(Slots(tmp_path, 2, on_wait=begun.set)))
        await begun.wait()
    mark = tmp_path / "waiting"
    await asyncio.wait_for(waiting, PATIENCE_S)
    os.utime(mark, (moment, moment))  # as if it still waited
    async with slots.spare() as is_free:
        assert not is_free
    monkeypatch.setattr("maap_tui.engine.download.slots.POLL_S", 0)  # as if it had not for long
    async with slots.spare() as is_free:
        assert is_free


async def test_who_takes_one_for_each_of_many_requests_gives_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maap_tui.engine.download.slots._TURN_S", 0)  # as if it had been at it for long
    begun, busy, other = asyncio.Event(), Slots(tmp_path, 1), Slots(tmp_path, 1)
    async with busy.one():
        waiting = asyncio.ensure_future(_hold(Slots(tmp_path, 1, on_wait=begun.set)))
        await begun.wait()
    taken = 0
    while not waiting.done():
        async with busy.one():
            taken += 1
    assert taken < 3
    await asyncio.wait_for(_hold(other), PATIENCE_S)


async def test_requests_of_one_process_follow_each_other_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maap_tui.engine.download.slots._TURN_S", 0)
    monkeypatch.setattr("maap_tui.engine.download.slots.POLL_S", PATIENCE_S)
    begun = asyncio.Event()
    slots = Slots(tmp_path, 1, on_wait=begun.set)
    async with slots.one():
        waiting = asyncio.ensure_future(_hold(slots))
        await begun.wait()
    await asyncio.wait_for(waiting, PATIENCE_S / 4)
