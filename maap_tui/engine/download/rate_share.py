"""Rate share: what a process may take of a rate that all processes of a registry have, on every host.

Each process that fetches has a lease: a small file that says which rate it takes, rewritten at each beat.
Nobody takes more than an equal part, nor more than the others have left, so that the sum never exceeds the
total; the lease of a process that is gone from this host, or one that has not changed for a while, belongs to
nobody any more. There is no server and no lock,
and no clock is compared with that of another machine.
"""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from maap_tui.engine.download.connections import Spare
from maap_tui.engine.download.remote import Fetcher
from maap_tui.engine.download.requests import DownloadOutcome, DownloadRequest, TransferRules
from maap_tui.engine.errors import StorageError
from maap_tui.engine.events import Emit, Noted
from maap_tui.engine.storage import files

T = TypeVar("T")

BEAT_S = 2.0
"""Seconds between two looks at the leases of the others, while they are few."""
_FEW = 20
"""Leases from which on beats are rarer, so that a look at all of them stays cheap for the file system."""
_EXPIRY = 8
"""Beats after which a lease that has not changed belongs to nobody."""
_LINGER = 2
"""Beats that a lease is kept while nothing is fetched."""
_LEASE_BYTES = 64
LEAST = 1
"""Bytes a second while there is no share: 0 would be no limit."""


class RateShare:
    """The share of one process; to be used in one event loop."""

    def __init__(
        self,
        folder: Path,
        total: int,
        on_rate: Callable[[int], None],
        on_wait: Callable[[], None] | None = None,
        beat_s: float = BEAT_S,
    ) -> None:
        """Take what there is; open nothing.

        Args:
            folder: where the leases are, the same for all processes.
            total: bytes a second of all processes together.
            on_rate: is called with the bytes a second that this process may take, 1 or more.
            on_wait: is called when others have all of it at the first look.
            beat_s: seconds between two looks at the others.
        """
        self._folder = folder
        self._total = total
        self._on_rate = on_rate
        self._on_wait = on_wait
        self._beat_s = beat_s
        self._file = folder / f"{files.machine()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._writes = 0
        self._rate = 0
        """Bytes a second that are ours now."""
        self._others: dict[str, tuple[bytes, float]] = {}
        """What each of the other leases says, and since when, on our own clock."""
        self._heard = 0.0
        """When the others could last see that we live."""
        self._users = 0
        self._keeping: asyncio.Task[None] | None = None
        self._settled = asyncio.Event()
        """There is a share, or there can be none."""
        self._failure: StorageError | None = None

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Fetch a file at the rate that `on_rate` was given, once there is a share.

        Raises:
            StorageError: the folder cannot be used.
        """
        self._users += 1
        try:
            if self._keeping is None or self._keeping.done():
                self._settled.clear()
                self._failure = None
                self._keeping = asyncio.ensure_future(self._keep())
            await self._settled.wait()
            if self._failure is not None:
                raise self._failure
            yield
        finally:
            self._users -= 1

    async def close(self) -> None:
        """Give the share back; the next use takes one again."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait({self._keeping})

    async def _keep(self) -> None:
        """Hold the lease while files are fetched, and for a moment after."""
        idle = 0
        try:
            try:
                await self._beat()
            except StorageError as error:
                self._failure = error
                return
            if not self._rate and self._on_wait is not None:
                self._on_wait()
            # Who came while the last beat went on counts on the share.
            while self._users or idle <= _LINGER:
                if self._rate:
                    self._settled.set()
                # Who has nothing yet looks more often.
                await asyncio.sleep(self._pause_s * random.uniform(0.75, 1.25) / (1 if self._rate else 4))
                idle = 0 if self._users else idle + 1
                with suppress(StorageError):
                    await self._beat()
        finally:
            self._rate = 0
            with suppress(OSError):
                self._file.unlink()
            self._settled.set()

    @property
    def _pause_s(self) -> float:
        return self._beat_s * max(1.0, len(self._others) / _FEW)

    async def _beat(self) -> None:
        """Say that we live, and take what is ours by what the others take.

        Raises:
            StorageError: the leases cannot be read or written.
        """
        if self._rate and time.monotonic() - self._heard > self._pause_s * _EXPIRY / 2:
            # The others take us for dead, or soon will, and share what we have.
            self._take(0)
        fair, free = await _finished(self._exchange, self._rate)
        rate = min(fair, free)
        if rate < self._rate:
            # Slower first, then said; faster the other way round.
            self._take(rate)
            await _finished(self._exchange, rate)
        elif rate > self._rate:
            _, free = await _finished(self._exchange, rate)
            if rate <= free:
                self._take(rate)
            else:
                await _finished(self._exchange, self._rate)

    def _take(self, rate: int) -> None:
        self._rate = rate
        self._on_rate(max(rate, LEAST))

    def _exchange(self, rate: int) -> tuple[int, int]:
        """Write what we take, and read what the others do.

        Returns:
            An equal part of the total, and what the others leave of it.
        """
        files.make_folder(self._folder)
        self._writes += 1
        try:
            descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
            try:
                os.pwrite(descriptor, f"{self._writes} {rate}\n".ljust(_LEASE_BYTES).encode(), 0)
            finally:
                os.close(descriptor)
            now = time.monotonic()
            rates = self._read(os.listdir(self._folder), now)
        except OSError as error:
            raise files.storage_error(self._file, error) from error
        self._heard = now
        return max(self._total // (len(rates) + 1), 1), max(self._total - sum(rates), 0)

    def _read(self, names: list[str], now: float) -> list[int]:
        """The rates of the others that live; whose lease has not changed for long is removed."""
        rates, seen = [], {}
        expiry_s = self._pause_s * _EXPIRY
        for name in names:
            if name == self._file.name or name.startswith("."):
                continue
            if files.is_orphan(name):
                with suppress(OSError):
                    os.unlink(self._folder / name)
                continue
            try:
                descriptor = os.open(self._folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
                try:
                    text = os.pread(descriptor, _LEASE_BYTES, 0)
                finally:
                    os.close(descriptor)
            except OSError:
                continue
            before = self._others.get(name)
            seen[name] = before if before is not None and before[0] == text else (text, now)
            if now - seen[name][1] <= expiry_s:
                rates.append(_rate_in(text))
            else:
                with suppress(OSError):
                    os.unlink(self._folder / name)
        self._others = seen
        return rates


def _rate_in(lease: bytes) -> int:
    try:
        return max(int(lease.split()[1]), 0)
    except (ValueError, IndexError):
        return 0


async def _finished(call: Callable[[int], T], rate: int) -> T:
    """Run something in a thread; it has ended also when its task is cancelled."""
    running = asyncio.ensure_future(asyncio.to_thread(call, rate))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait({running})
        raise


def at_most(rules: TransferRules, rate: int) -> TransferRules:
    """The rules with no more bytes a second than a share of `downloads.rate_total`."""
    if rules.limit_rate and rules.limit_rate <= rate:
        return rules
    return replace(rules, limit_rate=rate, limited_by="downloads.rate_total")


def waits_for_rate() -> str:
    """What is said when others have all of the rate."""
    return "Other processes have all of downloads.rate_total; waiting for a share"


class RatedTransfer:
    """A `Fetcher` that keeps to this process's share of a rate of all processes."""

    def __init__(self, inner: Fetcher, folder: Path, total: int, rules: TransferRules, emit: Emit) -> None:
        """Take what there is; open nothing.

        Args:
            inner: fetches the files.
            folder: where the leases are.
            total: bytes a second of all processes together.
            rules: those of this process.
            emit: takes an event when others have all of it at first.
        """
        self._inner = inner
        self._rules = rules
        self._total = total
        self._rate = LEAST
        self._emit = emit
        self.share = RateShare(folder, total, self._take, self._report_wait)

    async def fetch(self, wanted: DownloadRequest) -> DownloadOutcome:
        """Have the file under its final name; errors as those of `inner`."""
        async with self.share.one():
            return await self._inner.fetch(wanted)

    def has_room(self, wanted: DownloadRequest) -> bool:
        """Whether the disk has room for it."""
        return self._inner.has_room(wanted)

    def set_rules(self, rules: TransferRules) -> None:
        """Fetch by other rules from now on."""
        self._rules = rules
        self._inner.set_rules(at_most(rules, self._rate))

    def set_connections(self, count: int, spare: Spare | None = None) -> None:
        """Have at most so many connections for files and their ranges, as `Connections.set_most`."""
        self._inner.set_connections(count, spare)

    def _take(self, rate: int) -> None:
        self._rate = rate
        self.set_rules(self._rules)

    def _report_wait(self) -> None:
        self._emit(Noted(waits_for_rate()))
