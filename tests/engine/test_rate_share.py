"""Rate share: the rates of all processes together never exceed the total, and nothing of it stays unused."""

import asyncio
import os
import sys
import threading
from pathlib import Path

import pytest

from maap_tui.engine.download.rate_share import RateShare
from maap_tui.engine.errors import StorageError
from tests.homes import PATIENCE_S

TOTAL = 1000
BEAT_S = 0.05
SAFE_BEAT_S = 0.2
"""Where a process that a busy machine holds up must not be taken for dead."""
HOLDER = """
import asyncio, sys
from pathlib import Path
from maap_tui.engine.download.rate_share import RateShare

async def hold():
    async with RateShare(Path(sys.argv[1]), int(sys.argv[2]), print, beat_s=float(sys.argv[3])).one():
        print("held", flush=True)
        await asyncio.sleep(600)

asyncio.run(hold())
"""


class Rates:
    """The rates of several processes, and the most that they ever were together."""

    def __init__(self) -> None:
        self.now: dict[int, int] = {}
        self.most = 0
        self._changed = asyncio.Event()

    def share(self, folder: Path, number: int, beat_s: float = BEAT_S) -> RateShare:
        def take(rate: int) -> None:
            self.now[number] = rate
            self.most = max(self.most, sum(rate for rate in self.now.values() if rate > 1))
            self._changed.set()

        return RateShare(folder, TOTAL, take, beat_s=beat_s)

    async def reach(self, *wanted: int) -> None:
        """Wait until the first of them have these rates."""
        async with asyncio.timeout(PATIENCE_S):
            while [self.now.get(number) for number in range(len(wanted))] != list(wanted):
                self._changed.clear()
                await self._changed.wait()


async def test_all_together_take_the_total_and_never_more(tmp_path: Path) -> None:
    rates = Rates()
    shares = [rates.share(tmp_path, number, SAFE_BEAT_S) for number in range(5)]
    first, *rest = shares
    async with first.one():
        assert rates.now == {0: TOTAL}, "who is alone has all of it at once"

        async def fetch(share: RateShare, until: asyncio.Event) -> None:
            async with share.one(), share.one():
                await until.wait()

        ended = asyncio.Event()
        others = [asyncio.ensure_future(fetch(share, ended)) for share in rest]
        await rates.reach(*[TOTAL // 5] * 5)
        assert rates.most == TOTAL
        ended.set()
        await asyncio.gather(*others)
        await rates.reach(TOTAL)
    for share in shares:
        await share.close()
    assert list(tmp_path.iterdir()) == []


async def test_what_a_killed_process_had_goes_to_the_others(tmp_path: Path) -> None:
    words = [sys.executable, "-c", HOLDER, str(tmp_path), str(TOTAL), str(BEAT_S)]
    holder = await asyncio.create_subprocess_exec(
        *words, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    assert holder.stdout is not None
    assert [await holder.stdout.readline() for _ in range(2)] == [b"1000\n", b"held\n"]
    rates = Rates()
    share = rates.share(tmp_path, 0)
    async with share.one():
        await rates.reach(TOTAL // 2)
        holder.kill()
        await holder.wait()
        await rates.reach(TOTAL)
        assert len(list(tmp_path.iterdir())) == 1
    await share.close()


async def test_who_comes_while_the_share_is_about_to_end_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another file begins during the last look at the others: two make the share, three keep it unused."""
    loop = asyncio.get_running_loop()
    looks: asyncio.Queue[int] = asyncio.Queue()
    goes_on = threading.Event()
    seen: list[int] = []
    listdir = os.listdir

    def look(folder: Path) -> list[str]:
        seen.append(len(seen))
        loop.call_soon_threadsafe(looks.put_nowait, seen[-1])
        if seen[-1] == 4:
            goes_on.wait(PATIENCE_S)
        return listdir(folder)

    monkeypatch.setattr(os, "listdir", look)
    share = RateShare(tmp_path, TOTAL, lambda rate: None, beat_s=BEAT_S)
    async with share.one():
        assert await looks.get() == 0
    while await looks.get() < 4:
        pass
    async with asyncio.timeout(PATIENCE_S), share.one():
        goes_on.set()
        assert await looks.get() == 5, "its lease is written on"
    await share.close()


async def test_who_comes_after_a_process_that_was_killed_has_all_at_once(tmp_path: Path) -> None:
    words = [sys.executable, "-c", HOLDER, str(tmp_path), str(TOTAL), "600"]
    holder = await asyncio.create_subprocess_exec(
        *words, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    assert holder.stdout is not None
    assert [await holder.stdout.readline() for _ in range(2)] == [b"1000\n", b"held\n"]
    holder.kill()
    await holder.wait()
    rates: list[int] = []
    share = RateShare(tmp_path, TOTAL, rates.append, beat_s=600)
    async with share.one():
        assert rates == [TOTAL]
    await share.close()


@pytest.mark.parametrize("moment", [0, 4_000_000_000])
@pytest.mark.parametrize("lease", [b"7 1000\n", b"", b"\xff\x00", b"9 -5"])
async def test_a_lease_that_stands_still_is_nobody_s_whatever_its_clock(
    moment: int, lease: bytes, tmp_path: Path
) -> None:
    left = tmp_path / "elsewhere-1-0"
    left.write_bytes(lease)
    os.utime(left, (moment, moment))
    (tmp_path / ".nfs0001").touch()
    rates = Rates()
    share = rates.share(tmp_path, 0)
    async with share.one():
        await rates.reach(TOTAL)
    await share.close()
    assert [path.name for path in tmp_path.iterdir()] == [".nfs0001"]


async def test_a_lease_that_moves_counts_whatever_its_clock(tmp_path: Path) -> None:
    other, number = tmp_path / "elsewhere-1-0", 0

    def beat() -> None:
        nonlocal number
        number += 1
        other.write_text(f"{number} 600\n")
        os.utime(other, (0, 0))

    beat()
    rates = Rates()
    share = rates.share(tmp_path, 0)
    async with share.one():
        (ours,) = (path for path in tmp_path.iterdir() if path != other)
        # More beats than a lease lives that stands still.
        for _ in range(15):
            beat()
            said = ours.read_bytes()
            while ours.read_bytes() == said:  # noqa: ASYNC110 - nothing tells it
                await asyncio.sleep(0)
        await rates.reach(400)
    await share.close()
    assert other.exists()


async def test_a_folder_that_cannot_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    share = RateShare(tmp_path / "file" / "rates", TOTAL, lambda rate: None)
    for _ in range(2):
        with pytest.raises(StorageError):
            async with share.one():
                pass
