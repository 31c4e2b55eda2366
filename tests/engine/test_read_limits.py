"""Parts of files are read within the limits of transfers: those of the process, and those of all of them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from maap_tui.engine.cuts.request import Cut
from maap_tui.engine.download.slots import Slots
from maap_tui.engine.events import Event, Noted
from maap_tui.engine.query import Box
from maap_tui.engine.session import Session
from maap_tui.engine.workflows.cut import Source, remote_file
from tests.engine.conftest import told
from tests.engine.raw_files import FileServer, RawFile, Request
from tests.homes import PATIENCE_S

Make = Callable[..., Session]
EQUATOR = Box(-180, -5, 180, 5)
CUTTER = """
import asyncio, sys
from pathlib import Path
from maap_tui.engine.cuts.request import Cut
from maap_tui.engine.query import Box
from maap_tui.engine.session import Session
from maap_tui.engine.workflows.cut import Source

async def cut(url, out):
    origin = url.rpartition("/")[0]
    async with Session.load(bulk=True, overrides={"api.data_origins": [origin]}) as engine:
        source = Source("all.h5", url, None)
        print((await engine.cut(source, Cut(box=Box(-180, -5, 180, 5)), Path(out))).received)

asyncio.run(cut(*sys.argv[1:]))
"""
"""A process that cuts a file at an address."""


@dataclass
class Counted:
    """A file whose requests are counted while they are answered; no answer comes before others may ask."""

    file: RawFile
    allowed: int
    patience_s: float = 0.05
    """Seconds that an answer waits for as many requests as are allowed; after that it waits for one more."""
    now: int = 0
    most: int = 0
    begun: float = 0.0
    _came: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def __call__(self, request: Request, writer: asyncio.StreamWriter) -> None:
        self.begun = self.begun or time.monotonic()
        self.now += 1
        self.most = max(self.most, self.now)
        async with self._came:
            self._came.notify_all()
            for wanted, wait_s in ((self.allowed, self.patience_s), (self.allowed + 1, 0.05)):
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(
                        self._came.wait_for(lambda count=wanted: self.now >= count), wait_s
                    )
        self.now -= 1
        await self.file(request, writer)


def write_file(path: Path, variables: int, columns: int) -> None:
    """A file whose parts at the equator take a request a variable."""
    with h5py.File(path, "w") as whole:
        whole["lat"], whole["lon"] = np.linspace(-50, 50, 300), np.zeros(300)
        for number in range(variables):
            whole[f"value_{number}"] = np.random.default_rng(number).random((300, columns), "f4")


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A file whose parts take many requests."""
    path = tmp_path_factory.mktemp("limits") / "all.h5"
    write_file(path, 12, 100)
    return path.read_bytes()


async def cut_apart(url: str, out: Path, **environ: str) -> tuple[int, float]:
    """Cut in a process of its own; returns the bytes that came, and when it ended."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CUTTER, url, str(out),
        stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2], env={**os.environ, **environ},
    )  # fmt: skip
    said, _ = await process.communicate()
    assert process.returncode == 0
    return int(said), time.monotonic()


async def test_several_processes_keep_to_the_connections_of_all(
    everything: bytes, home: Path, raw: FileServer, tmp_path: Path
) -> None:
    file = Counted(RawFile(everything), 2)
    url = raw.at("/all.h5", file)
    ends = [
        cut_apart(url, tmp_path / f"{number}.nc", MAAP_DOWNLOADS_PARALLEL_TOTAL="2") for number in range(3)
    ]
    await asyncio.gather(*ends)
    assert file.most <= 2
    assert len({(tmp_path / f"{number}.nc").stat().st_size for number in range(3)}) == 1


async def test_several_processes_keep_to_the_rate_of_all(home: Path, raw: FileServer, tmp_path: Path) -> None:
    write_file(tmp_path / "all.h5", 1, 2500)
    file = Counted(RawFile((tmp_path / "all.h5").read_bytes()), 100)
    url = raw.at("/all.h5", file)
    rate = 400_000
    ends = await asyncio.gather(
        *(cut_apart(url, tmp_path / f"{number}.nc", MAAP_DOWNLOADS_RATE_TOTAL=str(rate)) for number in (0, 1))
    )
    took_s = max(end for _, end in ends) - file.begun
    assert sum(count for count, _ in ends) > 600_000
    assert took_s > 0.95 * sum(count for count, _ in ends) / rate


async def test_a_cut_waits_for_a_slot_that_others_have(
    everything: bytes, session: Make, raw: FileServer, events: list[Event], tmp_path: Path
) -> None:
    file = RawFile(everything)
    source = Source("all.h5", raw.at("/all.h5", file), None)
    settings: dict[str, Any] = {"api.data_origins": [raw.url], "downloads.parallel_total": 1}
    async with session(bulk=True, **settings) as engine:
        async with Slots(engine.registry.slots_folder, 1).one():
            running = asyncio.ensure_future(engine.cut(source, Cut(box=EQUATOR), tmp_path / "a.nc"))
            async with asyncio.timeout(PATIENCE_S):
                while not told(events, Noted) and not running.done():  # noqa: ASYNC110 - nothing tells it
                    await asyncio.sleep(0)
            assert [event.message for event in told(events, Noted)] == [
                "All 1 transfers of downloads.parallel_total run; waiting for one"
            ]
            assert file.starts == []
        assert (await running).received == file.served


async def test_a_whole_file_that_is_fetched_for_a_cut_needs_a_slot_too(
    everything: bytes, session: Make, raw: FileServer, events: list[Event], tmp_path: Path
) -> None:
    file = RawFile(everything, ranges=False)
    source = Source("all.h5", raw.at("/all.h5", file), None)
    settings: dict[str, Any] = {"api.data_origins": [raw.url], "downloads.parallel_total": 1}
    async with session(bulk=True, **settings) as engine:
        slots = Slots(engine.registry.slots_folder, 1)
        waits: list[int] = []

        async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
            async with slots.spare() as is_free:
                waits.append(is_free)
            await file(request, writer)

        raw.at("/all.h5", answer)
        await engine.cut(source, Cut(box=EQUATOR), tmp_path / "a.nc", whole=True)
    assert waits == [False, False]


async def test_all_files_that_a_session_reads_have_its_connections_and_its_rate(
    session: Make, raw: FileServer
) -> None:
    file = Counted(RawFile(bytes(30_000)), 2, 2.0)
    url = raw.at("/a.h5", file)
    settings: dict[str, Any] = {
        "api.data_origins": [raw.url],
        "downloads.parallel": 2,
        "downloads.limit_rate": 400_000,
    }
    async with session(bulk=True, **settings) as engine:

        async def read() -> int:
            remote = remote_file(engine, Source("a.h5", url, None))
            await remote.open(lambda at, data: None)
            await remote.read([(at, at + 10_000) for at in (0, 10_000, 20_000)], lambda at, data: None)
            return remote.received

        came = await asyncio.gather(*(read() for _ in range(8)))
        took_s = time.monotonic() - file.begun
    assert file.most == 2 and came == [30_000 + 16_384] * 8
    assert took_s > 0.95 * sum(came) / 400_000


async def test_connections_that_are_set_meanwhile_count_at_once(session: Make, raw: FileServer) -> None:
    file = Counted(RawFile(bytes(30_000)), 3, 2.0)
    url = raw.at("/a.h5", file)
    async with session(bulk=True, **{"api.data_origins": [raw.url], "downloads.parallel": 1}) as engine:
        remotes = [remote_file(engine, Source("a.h5", url, None)) for _ in range(6)]

        async def most_at_once(parallel: int) -> int:
            engine.apply_setting("downloads.parallel", session(**{"downloads.parallel": parallel}).settings)
            file.most, file.allowed = 0, parallel
            await asyncio.gather(*(remote.open(lambda at, data: None) for remote in remotes))
            return file.most

        assert [await most_at_once(count) for count in (3, 1, 2)] == [3, 1, 2]
