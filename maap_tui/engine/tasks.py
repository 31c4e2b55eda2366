"""Tasks: one file fetched in a worker process of an executor, and the executor of a dask cluster.

A worker needs this package, the folders of the settings on a file system that it shares with who asked, and
the credentials file or MAAP_TOKEN. It writes data only: the registry, the hashes and the queue belong to who
asked.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import re
import threading
from collections.abc import Iterator
from concurrent.futures import Executor
from functools import partial
from typing import NamedTuple

from maap_tui.engine.config.dirs import AppDirs
from maap_tui.engine.config.settings import Settings
from maap_tui.engine.download.requests import DownloadOutcome, DownloadRequest
from maap_tui.engine.download.transfer import Transfer
from maap_tui.engine.errors import CatalogError, InvalidRequestError
from maap_tui.engine.thread import EngineThread
from maap_tui.engine.workflows.parts import Parts

_CONNECT_S = 20
"""Seconds that the scheduler of a cluster has to answer."""


class _Worker(NamedTuple):
    """What fetches in this process for one asker."""

    engine: EngineThread
    transfers: list[Transfer]
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
        MaapError: as `Transfer.fetch`.
    """
    from maap_tui.engine.session import Session

    name = (os.getpid(), pickle.dumps((config, where)))
    with _guard:
        worker = _workers.get(name)
        if worker is None:
            engine = EngineThread(partial(Session, config, where, bulk=True))
            worker = _workers[name] = _Worker(engine, [])
    return worker.engine.run(partial(_fetch, worker.transfers, wanted))


async def _fetch(transfers: list[Transfer], wanted: DownloadRequest, parts: Parts) -> DownloadOutcome:
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
    local = re.fullmatch(r"local:([1-9]\d{0,3})", address)
    if local is None and not re.match(r"(tcp|tls|ws|wss|ucx)://.", address):
        raise InvalidRequestError(
            f"--dask {address[:80]!r} names no cluster", "Give tcp://HOST:PORT, or local:N for N processes."
        )
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise InvalidRequestError(
            f"--dask needs a package that is not installed ({error.name})",
            "Run: pip install 'maap-tui[dask]'",
        ) from error
    with contextlib.ExitStack() as held:
        if local is not None:
            cluster = held.enter_context(
                LocalCluster(n_workers=int(local[1]), threads_per_worker=4, dashboard_address=None)
            )
            client = held.enter_context(Client(cluster))
        else:
            try:
                client = held.enter_context(Client(address, timeout=_CONNECT_S))
            except (OSError, ValueError) as error:
                raise CatalogError(
                    f"The scheduler {address} does not answer: {str(error)[:200]}",
                    "Check that it runs and can be reached from here, then run again.",
                ) from error
        yield client.get_executor(pure=False)
