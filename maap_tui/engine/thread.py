"""A Session on an event loop in a thread of its own: what the app and MaapClient hold.

The engine never runs in the caller's loop, so that a screen stays quick and a notebook's running
loop does not matter.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import os
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from maap_tui.engine.errors import InvalidRequestError

if TYPE_CHECKING:
    from maap_tui.engine.session import Session

T = TypeVar("T")


_HOLD_S = 1.0
"""Longest that a fork waits for a loop to come to rest, in seconds."""

_engines: weakref.WeakSet[EngineThread] = weakref.WeakSet()
_held: list[threading.Event] = []


def _hold_all() -> None:
    """Bring the loops to rest before a fork: a lock held then would stay held in the child."""
    for engine in list(_engines):
        engine.hold(_held)


def _let_all_go() -> None:
    while _held:
        _held.pop().set()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_hold_all, after_in_parent=_let_all_go, after_in_child=_held.clear)


class _Pulled(Generic[T]):
    """An async iterator of the session that is pulled from another thread; runs in the engine's loop."""

    def __init__(self, begin: Callable[[Session], AsyncIterator[T]]) -> None:
        self._begin = begin
        self._iterator: AsyncIterator[T] | None = None
        # A pull that was cancelled may still be cleaning up when the iterator is to be closed.
        self._turn = asyncio.Lock()

    async def pull(self, session: Session) -> tuple[bool, T | None]:
        """Whether there was one more, and it."""
        async with self._turn:
            if self._iterator is None:
                self._iterator = self._begin(session)
            try:
                return True, await anext(self._iterator)
            except StopAsyncIteration:
                return False, None

    async def finish(self, session: Session) -> None:
        """Close the iterator, if it was begun."""
        async with self._turn:
            close = getattr(self._iterator, "aclose", None)
            if close is not None:
                await close()


class EngineThread:
    """Starts with its first use; stops with `close`, or with the process."""

    def __init__(self, make_session: Callable[[], Session]) -> None:
        """Take what makes the session; it is called in the engine's thread."""
        self._make_session = make_session
        self._pid = os.getpid()
        self._session: Session | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._guard = threading.Lock()

    def start(self) -> None:
        """Start the thread, if it does not run yet.

        Raises:
            InvalidRequestError: in a forked child, where the thread of its parent does not run.
        """
        self._refuse_inherited()
        with self._guard:
            if self._thread is not None:
                return
            ready: concurrent.futures.Future[asyncio.AbstractEventLoop] = concurrent.futures.Future()
            self._thread = threading.Thread(target=self._run, args=(ready,), name="maap-engine", daemon=True)
            self._thread.start()
            self._loop = ready.result()
            _engines.add(self)

    def _run(self, ready: concurrent.futures.Future[asyncio.AbstractEventLoop]) -> None:
        async def serve() -> None:
            self._stop = asyncio.Event()
            ready.set_result(asyncio.get_running_loop())
            await self._stop.wait()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            if self._session is not None:
                await self._session.close()

        asyncio.run(serve())

    def submit(self, work: Callable[[Session], Coroutine[Any, Any, T]]) -> concurrent.futures.Future[T]:
        """Run a coroutine of the session in the engine's loop."""
        self.start()
        assert self._loop is not None

        async def run() -> T:
            if self._session is None:
                self._session = self._make_session()
            return await work(self._session)

        return asyncio.run_coroutine_threadsafe(run(), self._loop)

    def run(
        self,
        work: Callable[[Session], Coroutine[Any, Any, T]],
        on_begin: Callable[[concurrent.futures.Future[Any]], None] | None = None,
    ) -> T:
        """As `submit`, waiting for the result; an interrupt cancels the work, and so may `on_begin`.

        Raises:
            RuntimeError: when called from the engine's own thread, which would wait for itself.
        """
        if self._is_here():
            raise RuntimeError("The engine's own thread cannot wait for the engine")
        future = self.submit(work)
        try:
            if on_begin is not None:
                on_begin(future)
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def iterate(
        self,
        begin: Callable[[Session], AsyncIterator[T]],
        on_begin: Callable[[concurrent.futures.Future[Any]], None] | None = None,
    ) -> Iterator[T]:
        """Pull an async iterator of the session item by item; it is closed when the caller stops.

        Args:
            begin: makes the iterator, in the engine's thread.
            on_begin: takes what is begun for each item, as for `run`; the iterator is closed in any case.
        """
        pulled = _Pulled(begin)
        try:
            while True:
                more, item = self.run(pulled.pull, on_begin)
                if not more:
                    return
                yield item  # type: ignore[misc]
        finally:
            if self._is_here():
                # An iterator that nobody holds any more can be closed by the collector in any thread.
                self.submit(pulled.finish)
            elif self._is_running:
                with contextlib.suppress(concurrent.futures.CancelledError):  # it is being closed: so is this
                    self.run(pulled.finish)

    async def aiterate(self, begin: Callable[[Session], AsyncIterator[T]]) -> AsyncIterator[T]:
        """As `iterate`, from the caller's own event loop, which is free while it waits."""
        pulled = _Pulled(begin)
        try:
            while True:
                more, item = await asyncio.wrap_future(self.submit(pulled.pull))
                if not more:
                    return
                yield item  # type: ignore[misc]
        finally:
            if self._is_running:
                await asyncio.wrap_future(self.submit(pulled.finish))

    @property
    def _is_running(self) -> bool:
        is_own = self._pid == os.getpid()
        return is_own and self._thread is not None and self._thread.is_alive()

    def hold(self, until: list[threading.Event]) -> None:
        """Let the loop rest between two steps of its tasks; the event added to `until` ends that."""
        loop = self._loop
        if loop is None or self._pid != os.getpid() or self._is_here():
            return
        is_at_rest, go_on = threading.Event(), threading.Event()

        def rest() -> None:
            is_at_rest.set()
            go_on.wait()

        with contextlib.suppress(RuntimeError):  # it has ended meanwhile
            loop.call_soon_threadsafe(rest)
            until.append(go_on)
            is_at_rest.wait(_HOLD_S)

    def _refuse_inherited(self) -> None:
        # The parent's thread does not exist in a forked child: waiting for it would never end.
        if self._pid != os.getpid():
            raise InvalidRequestError(
                f"This was begun in process {self._pid}, from which this one was forked",
                "Begin it again in this process.",
            )

    def _is_here(self) -> bool:
        return self._is_thread(self._thread)

    @staticmethod
    def _is_thread(thread: threading.Thread | None) -> bool:
        return threading.current_thread() is thread

    def close(self) -> None:
        """Cancel what runs, close the session, end the thread; in a forked child leave them to the parent."""
        if self._pid != os.getpid():
            return
        with self._guard:
            thread, loop = self._thread, self._loop
            self._thread = self._loop = None
        if thread is not None and loop is not None and thread.is_alive():
            loop.call_soon_threadsafe(self._stop.set)
            if not self._is_thread(thread):
                thread.join()
        self._session = None
