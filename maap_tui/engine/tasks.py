"""Tasks: one file fetched in a worker process of an executor, and the executor of a dask cluster.

A worker needs this package, the folders of the settings on a file system that it shares with who asked, and
the credentials file or MAAP_TOKEN. It writes data only: the registry, the hashes and the queue belong to who
asked.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, InvalidStateError
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from maap_tui.engine.config.dirs import AppDirs
from maap_tui.engine.config.settings import Settings
from maap_tui.engine.download.remote import Fetcher
from maap_tui.engine.download.requests import DownloadOutcome, DownloadRequest
from maap_tui.engine.errors import CatalogError, ClusterLostError, InvalidRequestError
from maap_tui.engine.thread import EngineThread
from maap_tui.engine.workflows.parts import Parts

if TYPE_CHECKING:
    from distributed import Client

_LOGGERS = ("distributed", "distributed.client", "tornado", "tornado.application")

CONNECT_S = 20
"""Seconds that the scheduler of a cluster has to answer."""
_WATCH_S = 1.0
"""Seconds between two looks whether it is lost."""


class _Worker(NamedTuple):
    """What fetches in this process for one asker."""

    engine: EngineThread
    transfers: list[Fetcher]
    """The one transfer, once it was made; its files share a rate, pauses and batches."""


_guard = threading.Lock()
_workers: dict[tuple[int, bytes], _Worker] = {}
"""By process, as a fork has none of its parent's threads, and settings."""


def use(parts: Parts, executor: Executor) -> None:
    """Have the files of a session fetched by an executor from now on.

    Args:
        parts: the engine that asks, and records.
        executor: any of `concurrent.futures`, of dask, Parsl or MPI; its workers see the same file system.
    """
    config, where = parts.settings, parts.dirs
    parts.hand_over = lambda wanted: executor.submit(fetch, config, where, wanted)


def fetch(config: Settings, where: AppDirs, wanted: DownloadRequest) -> DownloadOutcome:
    """Fetch a file in this process, with connections and tokens that its other tasks share.

    Args:
        config: the settings of who asked.
        where: the folders of who asked.
        wanted: the file.

    Raises:
        MaapError: as `Fetcher.fetch`.
    """
    from maap_tui.engine.session import Session

    name = (os.getpid(), pickle.dumps((config, where)))
    with _guard:
        worker = _workers.get(name)
        if worker is None:
            engine = EngineThread(partial(Session, config, where, bulk=True))
            worker = _workers[name] = _Worker(engine, [])
    return worker.engine.run(partial(_fetch, worker.transfers, wanted))


async def _fetch(transfers: list[Fetcher], wanted: DownloadRequest, parts: Parts) -> DownloadOutcome:
    if not transfers:
        transfers.append(parts.transfer())
    return await transfers[0].fetch(wanted)


@contextlib.contextmanager
def dask_executor(address: str) -> Iterator[Executor]:
    """The executor of a dask cluster.

    Args:
        address: `tcp://HOST:PORT` of a scheduler, or `local:N` for N processes on this machine.

    Raises:
        InvalidRequestError: dask is not installed, or the address is not one.
        CatalogError: the scheduler does not answer.
    """
    hint = "Give tcp://HOST:PORT, or local:N for N processes."
    local = re.fullmatch(r"local:([1-9]\d{0,3})", address)
    if local is None and not re.match(r"(tcp|tls|ws|wss|ucx)://.", address):
        raise InvalidRequestError(f"--dask {address[:80]!r} names no cluster", hint)
    if local is None and not _has_port(address):
        raise InvalidRequestError(f"--dask {address[:80]!r} has no port", hint)
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise InvalidRequestError(
            f"--dask needs a package that is not installed ({error.name})",
            "Run: pip install 'maap-tui[dask]'",
        ) from error
    for name in _LOGGERS:
        # What goes wrong is said by us; dask would add tracebacks to it.
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with contextlib.ExitStack() as held:
        if local is not None:
            cluster = held.enter_context(
                LocalCluster(n_workers=int(local[1]), threads_per_worker=4, dashboard_address=None)
            )
            client = held.enter_context(Client(cluster))
        else:
            client = held.enter_context(_connected(partial(Client, address, timeout=CONNECT_S), address))
        executor = _Cluster(client, address)
        held.callback(executor.end)
        yield executor


class _Cluster(Executor):
    """The executor of a client of dask, whose futures end also when the scheduler is lost."""

    def __init__(self, client: Client, address: str) -> None:
        self._client = client
        self._inner = client.get_executor(pure=False)
        self._address = address
        self._guard = threading.Lock()
        self._open: set[Future[Any]] = set()
        self._ended = threading.Event()
        threading.Thread(target=self._watch, name="maap-dask-watch", daemon=True).start()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have something run on a worker.

        Raises:
            ClusterLostError: the scheduler is lost.
        """
        if self._is_lost:
            raise self._error
        made: Future[Any] = Future()
        with self._guard:
            self._open.add(made)
        # What is handed over while the connection breaks never ends by itself.
        inner = self._inner.submit(fn, *args, **kwargs)
        made.add_done_callback(lambda ended: inner.cancel() if ended.cancelled() else None)
        inner.add_done_callback(partial(self._end, made))
        return made

    def end(self) -> None:
        """Watch no more."""
        self._ended.set()

    @property
    def _is_lost(self) -> bool:
        return self._client.status in ("closing", "closed")

    @property
    def _error(self) -> ClusterLostError:
        return ClusterLostError(
            f"The scheduler {self._address} is lost",
            "Parts of files are kept: start the cluster again, then run the same command again.",
        )

    def _watch(self) -> None:
        while not self._ended.wait(_WATCH_S):
            if self._is_lost:
                with self._guard:
                    left = list(self._open)
                for made in left:
                    self._settle(made, self._error, None)

    def _end(self, made: Future[Any], inner: Future[Any]) -> None:
        if not inner.cancelled():
            error = inner.exception()
            self._settle(made, error, None if error is not None else inner.result())
        elif self._client.status != "running":
            # A scheduler that is lost cancels all, some seconds before the client is closed.
            self._settle(made, self._error, None)
        else:
            with self._guard:
                self._open.discard(made)
            made.cancel()

    def _settle(self, made: Future[Any], error: BaseException | None, result: Any) -> None:
        with self._guard:
            if made not in self._open:
                return
            self._open.discard(made)
        with contextlib.suppress(InvalidStateError):
            if error is not None:
                made.set_exception(error)
            else:
                made.set_result(result)


def _has_port(address: str) -> bool:
    try:
        return bool(urlsplit(address).port)
    except ValueError:
        return False


def _connected(connect: Callable[[], Client], address: str) -> Client:
    """Connect to a scheduler; what answers in another language is not waited for without end.

    Raises:
        InvalidRequestError: it has versions that do not go together with those here.
        CatalogError: it does not answer.
    """
    made: Future[Client] = Future()

    def run() -> None:
        try:
            made.set_result(connect())
        except BaseException as error:
            made.set_exception(error)

    threading.Thread(target=run, name="maap-dask", daemon=True).start()
    try:
        return made.result(2 * CONNECT_S)
    except ImportError as error:
        raise InvalidRequestError(
            f"The scheduler {address} runs other versions: {str(error)[:300]}",
            "Install the same versions of Python, dask and distributed here and there.",
        ) from error
    except Exception as error:
        reason = str(error)[:200] or "what is there is not a scheduler, or is stuck"
        raise CatalogError(
            f"The scheduler {address} does not answer: {reason}",
            "Check that it runs and can be reached from here, and that the port is not its dashboard's; then "
            "run again.",
        ) from error
