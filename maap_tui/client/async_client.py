"""AsyncMaapClient: the methods of MaapClient to await, for programs that have an event loop of their own.

The work runs in the engine's thread, as that of MaapClient does; the caller's loop is free meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Concatenate, ParamSpec, TypeVar

from maap_tui.client.client import MaapClient
from maap_tui.client.config import MaapConfig
from maap_tui.client.connection import on_begin
from maap_tui.client.searcher import Searcher
from maap_tui.engine.events import Event

P = ParamSpec("P")
T = TypeVar("T")

_CALLS = 16
"""Calls of one client that run at a time; others wait for their turn."""
_END = object()


def _awaited(
    method: Callable[Concatenate[MaapClient, P], T],
) -> Callable[Concatenate[AsyncMaapClient, P], Coroutine[Any, Any, T]]:
    async def call(self: AsyncMaapClient, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.run(functools.partial(method, self.client, *args, **kwargs))

    functools.update_wrapper(call, method)
    return call


def _iterated(
    method: Callable[Concatenate[Searcher, P], Iterator[T]],
) -> Callable[Concatenate[AsyncMaapClient, P], AsyncIterator[T]]:
    async def call(self: AsyncMaapClient, /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
        values: Any = method(self.client.searcher, *args, **kwargs)
        self._iterators[values] = asyncio.Lock()
        try:
            while (value := await self.run(functools.partial(next, values, _END))) is not _END:
                yield value
        finally:
            await self._finish(values)

    functools.update_wrapper(call, method)
    return call


class AsyncMaapClient:
    """MaapClient to await. Use it with `async with`, or `await close()` it.

    Arguments, results and errors are those of `MaapClient`. Several calls may run at a time. A call that is
    cancelled stops its work: what was downloaded stays, and the part of a file is gone on with next time.
    """

    def __init__(
        self,
        config: MaapConfig | None = None,
        *,
        on_event: Callable[[Event], None] | None = None,
        transport: Any = None,
        progress: bool = False,
    ) -> None:
        """Take the configuration; open nothing. The arguments are those of `MaapClient`."""
        self.client = MaapClient(config, on_event=on_event, transport=transport, progress=progress)
        """The client whose methods are awaited; it may be used by itself too."""
        self._iterators: dict[Any, asyncio.Lock] = {}
        """Those that nobody has read to their end, each with what lets one at a time close it."""
        self._threads = ThreadPoolExecutor(_CALLS, thread_name_prefix="maap-call")

    async def __aenter__(self) -> AsyncMaapClient:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Stop what runs and let go of the connections; the client can be used again afterwards."""
        # A loop that was left by `break` closes its iterator some time later, perhaps after the engine.
        for values in list(self._iterators):
            with contextlib.suppress(ValueError):  # a pull of it runs, which the end of the engine cancels
                await self._finish(values)
        await self.run(self.client.close)

    async def _finish(self, values: Any) -> None:
        """Close an iterator, once."""
        lock = self._iterators.get(values)
        if lock is None:
            return
        async with lock:
            if values in self._iterators:
                await self.run(values.close)
                self._iterators.pop(values, None)

    @property
    def config(self) -> MaapConfig:
        """The configuration in force; what is set here holds from the next operation."""
        return self.client.config

    list_collections = _awaited(MaapClient.list_collections)
    list_products = _awaited(MaapClient.list_products)
    list_baselines = _awaited(MaapClient.list_baselines)
    get_baseline_info = _awaited(MaapClient.get_baseline_info)
    get_tracker = _awaited(MaapClient.get_tracker)
    search = _awaited(MaapClient.search)
    download = _awaited(MaapClient.download)
    download_from_registry = _awaited(MaapClient.download_from_registry)
    get = _awaited(MaapClient.get)
    sync = _awaited(MaapClient.sync)
    news = _awaited(MaapClient.news)
    save_to_registry = _awaited(MaapClient.save_to_registry)
    load_from_registry = _awaited(MaapClient.load_from_registry)
    update_catalogs = _awaited(MaapClient.update_catalogs)
    build_catalog = _awaited(MaapClient.build_catalog)
    plan_cover = _awaited(MaapClient.plan_cover)
    match = _awaited(MaapClient.match)
    overpasses = _awaited(MaapClient.overpasses)
    cut = _awaited(MaapClient.cut)
    estimate_cut = _awaited(MaapClient.estimate_cut)
    open = _awaited(MaapClient.open)
    sets = _awaited(MaapClient.sets)
    set_table = _awaited(MaapClient.set_table)
    sync_set = _awaited(MaapClient.sync_set)
    update_quality = _awaited(MaapClient.update_quality)
    notices = _awaited(MaapClient.notices)
    freeze = _awaited(MaapClient.freeze)
    thaw = _awaited(MaapClient.thaw)
    cite = _awaited(MaapClient.cite)
    needed_granules = _awaited(MaapClient.needed_granules)
    verify = _awaited(MaapClient.verify)
    verify_against = _awaited(MaapClient.verify_against)
    plan_swap = _awaited(MaapClient.plan_swap)
    swap = _awaited(MaapClient.swap)
    undo_swap = _awaited(MaapClient.undo_swap)
    swaps = _awaited(MaapClient.swaps)
    search_urls_iter_day = _iterated(Searcher.search_urls_iter_day)

    async def run(self, call: Callable[[], T]) -> T:
        """Run a call of `client` that blocks, outside the caller's loop; to be cancelled with this."""
        begun: list[Future[Any]] = []
        is_cancelled = False

        def note(future: Future[Any]) -> None:
            begun.append(future)
            if is_cancelled:
                future.cancel()

        def work() -> T:
            on_begin.set(note)
            return call()

        context = contextvars.copy_context()
        running = asyncio.get_running_loop().run_in_executor(self._threads, context.run, work)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            is_cancelled = True
            for future in begun:
                future.cancel()
            # The call has ended before the caller goes on: a second one does not meet it.
            await asyncio.wait([running])
            if not running.cancelled():
                running.exception()
            raise
