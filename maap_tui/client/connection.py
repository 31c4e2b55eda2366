"""What stands behind one client: its configuration, the session made from it, and the thread it runs in.

A changed configuration, a fork and an unpickled copy each get a session of their own at the next operation.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

from maap_tui.client.config import KEYS, MaapConfig
from maap_tui.engine.events import (
    BaselineCounted,
    DayFailed,
    Event,
    FileFailed,
    FileFinished,
    FileSkipped,
    HookFailed,
    HookSaid,
    ItemSkipped,
    Noted,
    PageFetched,
    RegistryDamaged,
    Warned,
)
from maap_tui.engine.session import Session
from maap_tui.engine.thread import EngineThread

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from maap_tui.client.progress import ProgressBar

T = TypeVar("T")

logger = logging.getLogger("maap_tui")
logger.addHandler(logging.NullHandler())

_inherited: list[object] = []
"""What a forked child has of its parent: kept, as its end would touch the parent's sockets."""


on_begin: ContextVar[Callable[[Future[Any]], None] | None] = ContextVar("on_begin", default=None)
"""Takes what is begun in this context, to cancel it; None lets it run."""


def _note(future: Future[Any]) -> None:
    """Hand on what is begun to whoever pulls an item, not to whoever pulled the first one."""
    note = on_begin.get()
    if note is not None:
        note(future)


class _Engine:
    """A session and its thread; it ends when it is retired and nothing uses it any more. For any thread."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.thread = EngineThread(lambda: session)
        self._lock = threading.Lock()
        self._users = 0
        self._is_retired = False

    @contextmanager
    def used(self) -> Iterator[None]:
        with self._lock:
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                is_over = self._is_retired and not self._users
            if is_over:
                self.thread.close()

    def retire(self) -> None:
        """Close once nothing uses it; in a forked child its thread does not, and closing does nothing."""
        with self._lock:
            self._is_retired = True
            is_over = not self._users
        if is_over:
            self.thread.close()


class Connection:
    """The engine of one client, made when it is needed. For any thread."""

    def __init__(
        self,
        config: MaapConfig,
        on_event: Callable[[Event], None] | None,
        transport: Any,
        *,
        progress: bool = False,
    ) -> None:
        """Take the configuration, which is filled and followed from then on; open nothing.

        Raises:
            SettingsError: when the configuration is wrong.
        """
        self.on_event = on_event
        self._shows_progress = progress
        self._bar: ProgressBar | None = None
        self.transport = transport
        self.config = config
        self._overrides = config.overrides()
        self._file_level = logging.DEBUG
        self._engine: _Engine | None = None
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._session = self._load()
        self._seen = config.values()

    def __getstate__(self) -> dict[str, object]:
        session = self.session
        # The values in force go along, so that a copy elsewhere does not depend on the variables there.
        overrides = {**self.config.overrides(), **self._overrides}
        state = {**self.__dict__, "_session": session, "_overrides": overrides, "_engine": None}
        state["_bar"] = None
        del state["_lock"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._session.emit = self._handle_event

    def _load(self) -> Session:
        config = self.config
        session = Session.load(
            config.config_path,
            overrides=self._overrides,
            emit=self._handle_event,
            bulk=True,
            transport=self.transport,
        )
        config.take(MaapConfig.of(session).values())
        return session

    @property
    def session(self) -> Session:
        """The session of the configuration as it is now.

        Raises:
            SettingsError: when the configuration was changed to something wrong.
        """
        if self._pid != os.getpid():
            self._lock = (
                threading.RLock()
            )  # that of the parent may have been held by a thread that is not here
        with self._lock:
            return self._current()

    def _current(self) -> Session:
        values = self.config.values()
        changed = {name for name, value in values.items() if value != self._seen.get(name)}
        if changed:
            old_keys = {KEYS.get(name) for name in changed}
            kept = {key: value for key, value in self._overrides.items() if key not in old_keys}
            self._overrides = kept | self.config.overrides_of(changed)
            self._replace(self._load())
            self._seen = self.config.values()
        elif self._pid != os.getpid():
            self._replace(self._session.again())
        return self._session

    def _replace(self, session: Session) -> None:
        old, engine = self._session, self._engine
        self._session, self._engine = session, None
        if self._pid != os.getpid():
            self._pid = os.getpid()
            _inherited.append((old, engine))
        elif engine is not None:
            engine.retire()

    @contextmanager
    def _opened(self) -> Iterator[_Engine]:
        """The engine of the session, which does not end within."""
        with ExitStack() as stack:
            _ = self.session  # renews the lock in a forked child
            with self._lock:
                session = self.session
                if self._engine is None:
                    self._engine = _Engine(session)
                engine = self._engine
                stack.enter_context(engine.used())
            yield engine

    def run(
        self,
        work: Callable[[Session], Coroutine[Any, Any, T]],
        *,
        verbose: bool = False,
        executor: Executor | None = None,
    ) -> T:
        """Run in the engine.

        Args:
            work: what to run.
            verbose: whether each file and baseline is logged at INFO and not at DEBUG.
            executor: has the files fetched that are downloaded meanwhile, by any thread; None fetches them
                here.
        """
        if executor is not None:
            work = _fetched_by(executor, work)
        self._file_level = logging.INFO if verbose else logging.DEBUG
        try:
            with self._opened() as engine, self._shown():
                return engine.thread.run(work, on_begin.get())
        finally:
            self._file_level = logging.DEBUG

    def iterate(self, begin: Callable[[Session], AsyncIterator[T]]) -> Iterator[T]:
        """Pull an async iterator of the session item by item; it is closed when the caller stops."""
        with self._opened() as engine, self._shown():
            yield from engine.thread.iterate(begin, _note)

    @contextmanager
    def _shown(self) -> Iterator[None]:
        if not self._shows_progress:
            yield
            return
        from maap_tui.client.progress import ProgressBar

        with self._lock:
            bar = self._bar = self._bar or ProgressBar()
        with bar.shown():
            yield

    def close(self) -> None:
        """Stop what runs and let go of the connections; the next operation opens them again."""
        if self._pid != os.getpid():
            return
        with self._lock:
            engine, self._engine = self._engine, None
            if engine is not None:
                self._session = self._session.again()
        if engine is not None:
            engine.thread.close()

    def _handle_event(self, event: Event) -> None:
        if self._bar is not None:
            self._bar.apply(event)
        if isinstance(event, Warned):
            logger.warning("%s", event.message)
        elif isinstance(event, RegistryDamaged):
            logger.warning("%s; see `maap doctor`", event.words)
        elif isinstance(event, ItemSkipped):
            logger.warning("Skipped: %s: %s", event.name or event.url, event.reason)
        elif isinstance(event, DayFailed):
            logger.warning("FAILED DAY: %s (%s)", event.day, event.reason)
        elif isinstance(event, FileFailed):
            logger.warning("%s: %s", event.url, event.reason)
        elif isinstance(event, HookFailed):
            logger.warning("Hook failed: %s: %s; the next run starts it again", event.name, event.reason)
        elif isinstance(event, HookSaid):
            logger.info("%s: %s", event.name, event.line)
        elif isinstance(event, Noted):
            logger.info("%s", event.message)
        elif isinstance(event, FileFinished):
            logger.log(self._file_level, "Downloaded %s", event.path)
        elif isinstance(event, FileSkipped):
            logger.log(self._file_level, "Already exists: %s", event.path)
        elif isinstance(event, BaselineCounted):
            logger.log(
                self._file_level, "%s %s: %d granules", event.product_type, event.baseline, event.count
            )
        elif isinstance(event, PageFetched):
            logger.debug("page of %d items", event.items)
        if self.on_event is not None:
            self.on_event(event)


def _fetched_by(
    executor: Executor, work: Callable[[Session], Coroutine[Any, Any, T]]
) -> Callable[[Session], Coroutine[Any, Any, T]]:
    async def run(session: Session) -> T:
        from maap_tui.engine import tasks

        tasks.use(session, executor)
        try:
            return await work(session)
        finally:
            session.hand_over = None

    return run
