"""A wait that takes long says what is waited for, once: for a busy service, a rate limit, a lock."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from maap_tui.demo import Archive
from maap_tui.engine import events as news
from maap_tui.engine.download import part
from maap_tui.engine.errors import LockedError
from maap_tui.engine.events import Event, Waits, Warned
from maap_tui.engine.net import tokens
from maap_tui.engine.query import Query
from maap_tui.engine.registry.entries import Key, TrackedFile
from maap_tui.engine.registry.registry import Registry
from maap_tui.engine.session import Session
from maap_tui.engine.storage import locks
from tests.homes import PATIENCE_S

L2 = "EarthCAREL2Validated_MAAP"
KEY = Key("EarthCARE", L2, "CPR_CLD_2A", "BC")
Make = Callable[..., Session]


async def first_warning(session: Session, work: Callable[[Session], Coroutine[Any, Any, Any]]) -> str:
    """Let it work until it warns of something, and end it there."""
    heard: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def hear(event: Event) -> None:
        if isinstance(event, Warned) and not heard.done():
            heard.get_loop().call_soon_threadsafe(heard.set_result, event.message)

    session.emit = hear
    async with session:
        task = asyncio.create_task(work(session))
        await asyncio.wait({task, heard}, return_when=asyncio.FIRST_COMPLETED)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert heard.done(), task
    return heard.result()


def test_long_waits_are_told_once_while_they_last() -> None:
    now = [0.0]
    told: list[Event] = []
    waits = Waits(told.append, lambda: now[0])
    waits.report("host", "503 from host", 10)
    waits.report("host", "503 from host", 30)
    waits.report("host", "503 from host", 40)
    waits.report("other", "429 from other", 12.4)
    now[0] = 31
    waits.report("host", "502 from host", 20)
    assert [one.message for one in told if isinstance(one, Warned)] == [
        "503 from host; waiting 30 s",
        "429 from other; waiting 12 s",
        "502 from host; waiting 20 s",
    ]


async def test_busy_catalogue_is_named(session: Make, archive: Archive) -> None:
    archive.faults.add(target="search", status=503, retry_after="40")
    query = Query(L2, "CPR_CLD_2A", "BC", orbits=((8574, 8574),))
    said = await first_warning(session(), lambda opened: opened.search(query).granules())
    assert said.startswith("503 Service Unavailable from 127.0.0.1:") and said.endswith("; waiting 40 s")


@pytest.mark.parametrize("target", ["data", "token"])
async def test_busy_archive_and_token_service_are_named(session: Make, archive: Archive, target: str) -> None:
    archive.faults.add(target=target, status=429, retry_after="50")
    query = Query(L2, "CPR_CLD_2A", "BC", orbits=((8574, 8574),), frames=("D",))
    said = await first_warning(session(bulk=True), lambda opened: opened.get(query))
    assert "429 Too Many Requests" in said and said.endswith("; waiting 50 s")


async def test_rate_limit_is_named(session: Make) -> None:
    query = Query(L2, "CPR_CLD_2A", "BC", orbits=((8574, 8574),), frames=("D",))
    opened = session(bulk=True, **{"downloads.limit_rate": "100"})
    said = await first_warning(opened, lambda opened: opened.get(query))
    assert said.startswith("downloads.limit_rate holds downloads back; waiting ")


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every wait for a lock counts as a long one at once."""
    for module in (locks, tokens, part, news):
        monkeypatch.setattr(module, "LONG_WAIT_S", 0.01)


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("holder", ["this process", "as another process"])
def test_writer_that_is_waited_for_is_named(tmp_path: Path, holder: str) -> None:
    told: list[str] = []
    asked = threading.Event()

    def hear(message: str) -> None:
        told.append(message)
        asked.set()

    (tmp_path / "registry").mkdir()
    registry = Registry(tmp_path / "registry", on_wait=hear)
    path = registry.baseline(KEY).lock_files[0]
    if holder != "this process":
        # Under another name the same file has another queue of threads, as in another process.
        (tmp_path / "link").symlink_to(tmp_path / "registry")
        path = tmp_path / "link" / path.relative_to(registry.root)
    with locks.lock(path, timeout_s=0, purpose="marking files"):
        entry = TrackedFile(KEY, date(2025, 12, 1), "https://h/a.h5", "/d/a.h5")
        writer = threading.Thread(target=registry.baseline(KEY).add, args=([entry],))
        writer.start()
        assert asked.wait(PATIENCE_S)
    writer.join()
    assert len(told) == 1 and "(marking files); still waiting, up to 30 s more" in told[0]
    assert len(list(registry.baseline(KEY).urls())) == 1


@pytest.mark.usefixtures("soon")
def test_a_lock_that_is_tried_once_is_not_waited_for(tmp_path: Path) -> None:
    told: list[str] = []
    with locks.lock(tmp_path / "lock", timeout_s=0), pytest.raises(LockedError):
        with locks.lock(tmp_path / "lock", timeout_s=0, on_wait=told.append):
            pass
    assert told == []


@pytest.mark.usefixtures("soon")
async def test_part_and_renewal_of_others_are_named(session: Make, home: Path) -> None:
    opened = session(bulk=True)
    query = Query(L2, "CPR_CLD_2A", "BC", orbits=((8574, 8574),), frames=("D",))
    shared = opened.dirs.access_token_file
    with locks.lock(opened.dirs.lock_file(shared), timeout_s=0, purpose="renewing the access token"):
        said = await first_warning(opened, lambda one: one.get(query))
        assert "(renewing the access token); still waiting for it" in said
    again = session(bulk=True)
    (wanted,) = (await again.get(query, dry_run=True)).wanted
    await again.close()
    wanted.path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = wanted.path.with_name(f"{wanted.path.name}.part")
    with unfinished.open("wb") as file:
        let_go = locks.hold(file.fileno(), unfinished)
        assert let_go is not None
        said = await first_warning(session(bulk=True), lambda one: one.get(query))
        assert said.startswith(f"{wanted.path.name} is being fetched by ") and "still waiting" in said
        let_go()
