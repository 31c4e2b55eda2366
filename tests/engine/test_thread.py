"""The engine's own thread: work handed over, iterators pulled, interrupts and ends."""

from __future__ import annotations

import asyncio
import concurrent.futures
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from maap_tui.engine.session import Session
from maap_tui.engine.thread import EngineThread
from tests.homes import PATIENCE_S

Make = Callable[..., Session]


@pytest.fixture
def engine(session: Make) -> Iterator[EngineThread]:
    started = EngineThread(session)
    yield started
    started.close()


class Counter:
    """Counts for ever, and says when it was closed and how many tasks were left."""

    def __init__(self) -> None:
        self.closed = 0
        self.waiting = threading.Event()

    async def numbers(self, stop: int = 1_000_000) -> AsyncIterator[int]:
        try:
            for number in range(stop):
                yield number
        finally:
            await asyncio.sleep(0)
            self.closed += 1

    async def stuck(self) -> AsyncIterator[int]:
        try:
            yield 0
            self.waiting.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            self.closed += 1


async def where(session: Session) -> int:
    return threading.get_ident()


def test_work_runs_in_one_thread_of_its_own(engine: EngineThread) -> None:
    assert engine.run(where) == engine.run(where) != threading.get_ident()


def test_session_is_made_once_and_in_that_thread(session: Make) -> None:
    made: list[int] = []

    def make() -> Session:
        made.append(threading.get_ident())
        return session()

    engine = EngineThread(make)
    assert made == []
    assert engine.run(where) == engine.run(where) == made[0] and len(made) == 1
    engine.close()


def test_errors_come_back(engine: EngineThread) -> None:
    async def fail(session: Session) -> None:
        raise ValueError("this")

    with pytest.raises(ValueError, match="this"):
        engine.run(fail)


async def test_works_beside_a_running_loop(engine: EngineThread) -> None:
    assert await asyncio.wrap_future(engine.submit(where)) == engine.run(where)


def test_iterator_is_pulled_and_closed_when_it_ends(engine: EngineThread) -> None:
    counter = Counter()
    assert list(engine.iterate(lambda _: counter.numbers(4))) == [0, 1, 2, 3]
    assert counter.closed == 1


def test_iterator_is_closed_when_the_caller_stops(engine: EngineThread) -> None:
    counter = Counter()
    for number in engine.iterate(lambda _: counter.numbers()):
        if number == 3:
            break
    pulled = engine.iterate(lambda _: counter.numbers())
    next(pulled)
    pulled.close()
    assert counter.closed == 2


def test_interrupt_of_a_pull_closes_the_iterator(
    engine: EngineThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter = Counter()
    pulled = engine.iterate(lambda _: counter.stuck())
    assert next(pulled) == 0
    result = concurrent.futures.Future.result

    def interrupted(self: concurrent.futures.Future[object], timeout: float | None = None) -> object:
        counter.waiting.wait(PATIENCE_S)
        monkeypatch.setattr(concurrent.futures.Future, "result", result)
        raise KeyboardInterrupt

    monkeypatch.setattr(concurrent.futures.Future, "result", interrupted)
    with pytest.raises(KeyboardInterrupt):
        next(pulled)
    assert counter.closed == 1
    assert engine.run(where)


async def test_iterator_is_pulled_from_a_running_loop_and_closed_when_it_ends(engine: EngineThread) -> None:
    counter = Counter()
    assert [number async for number in engine.aiterate(lambda _: counter.numbers(4))] == [0, 1, 2, 3]
    assert counter.closed == 1


async def test_cancelled_pull_cleans_up_before_its_iterator_is_closed(engine: EngineThread) -> None:
    counter = Counter()
    pulled = engine.aiterate(lambda _: counter.stuck())
    unheard: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: unheard.append(context))

    async def read() -> None:
        async for _ in pulled:
            pass

    reader = asyncio.create_task(read())
    await asyncio.to_thread(counter.waiting.wait, PATIENCE_S)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    await pulled.aclose()  # type: ignore[attr-defined]
    assert counter.closed == 1 and unheard == []
    assert engine.run(where)


def test_interrupt_of_a_call_cancels_its_work(engine: EngineThread, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, cancelled = threading.Event(), threading.Event()

    async def wait(session: Session) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    def interrupted(self: concurrent.futures.Future[object], timeout: float | None = None) -> object:
        begun.wait(PATIENCE_S)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        engine.start()
        patch.setattr(concurrent.futures.Future, "result", interrupted)
        with pytest.raises(KeyboardInterrupt):
            engine.run(wait)
    assert cancelled.wait(PATIENCE_S)


def test_iterator_given_up_in_the_engines_thread_does_not_wait_for_itself(engine: EngineThread) -> None:
    counter = Counter()
    pulled = engine.iterate(lambda _: counter.numbers())
    next(pulled)

    async def drop(session: Session) -> None:
        pulled.close()

    engine.submit(drop).result(timeout=PATIENCE_S)
    assert engine.run(where) and counter.closed == 1


def test_waiting_for_itself_is_refused(engine: EngineThread) -> None:
    async def nested(session: Session) -> None:
        engine.run(where)

    with pytest.raises(RuntimeError, match="own thread"):
        engine.run(nested)


def test_close_cancels_what_runs_and_allows_another_start(engine: EngineThread) -> None:
    begun = threading.Event()

    async def wait(session: Session) -> None:
        begun.set()
        await asyncio.Event().wait()

    running = engine.submit(wait)
    assert begun.wait(PATIENCE_S)
    engine.close()
    engine.close()
    with pytest.raises(concurrent.futures.CancelledError):
        running.result(timeout=PATIENCE_S)
    assert engine.run(where)


def test_process_ends_without_a_word_though_nobody_closed() -> None:
    code = """
from maap_tui.engine.session import Session
from maap_tui.engine.thread import EngineThread
engine = EngineThread(lambda: Session.load(environ={"HOME": "/nowhere"}))
async def nothing(session): return session.http
engine.run(nothing)
held = engine.iterate(lambda s: numbers())
async def numbers():
    while True: yield 1
next(held)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
