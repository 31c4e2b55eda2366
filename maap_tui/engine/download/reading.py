"""Limits on what is read of files in parts: the connections and the rate that transfers have, kept alike."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from maap_tui.engine.download.pacing import Pace
from maap_tui.engine.download.rate_share import LEAST, RateShare, at_most, waits_for_rate
from maap_tui.engine.download.requests import TransferRules
from maap_tui.engine.download.slots import Slots, of_share, waits_for_slot
from maap_tui.engine.events import Emit, Noted, Waits


class ReadLimits:
    """What all files that one session reads in parts may take together. For one loop."""

    def __init__(self, rules: TransferRules, parallel: int, emit: Emit) -> None:
        """Take the limits of this process; open nothing.

        Args:
            rules: say the rate.
            parallel: requests at once, 1 or more.
            emit: takes an event when other processes have all that there is.
        """
        self._rules = self._applied = rules
        self._most = parallel
        self._running = 0
        self._changed = asyncio.Event()
        """A request ended, or more of them may run."""
        self._emit = emit
        self._waits = Waits(emit)
        self._pace = Pace(rules.limit_rate, time.monotonic)
        self._slots: Slots | None = None
        self._count = 0
        """Slots of all processes; 0 where they have none."""
        self._part = 0.0
        """The part of them that is held here."""
        self.share: RateShare | None = None
        """The share of a rate of all processes; None where there is no such rate."""
        self._rate = LEAST
        self._is_wait_reported = False

    def share_connections(self, folder: Path, count: int) -> None:
        """Hold a slot for each request from now on, as transfers do, and take that part of the rate.

        Args:
            folder: where the slots are.
            count: how many there are, 1 or more.
        """
        self._slots = Slots(folder, count, self._take_part, self._report_slot_wait)
        self._count = count
        self._apply()

    def share_rate(self, folder: Path, total: int) -> None:
        """Keep to a share of a rate of all processes from now on, as transfers do.

        Args:
            folder: where the leases are.
            total: bytes a second of all processes together.
        """
        self.share = RateShare(folder, total, self._take_rate, lambda: self._emit(Noted(waits_for_rate())))
        self._apply()

    @property
    def parallel(self) -> int:
        """Requests at once."""
        return min(self._most, self._count or self._most)

    def set_parallel(self, count: int) -> None:
        """Have at most so many requests at once; what runs now is finished."""
        self._most = count
        self._changed.set()

    def set_rules(self, rules: TransferRules) -> None:
        """Read by other rules from now on."""
        self._rules = rules
        self._apply()

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Make one request, once there is a connection for it and a share of the rate.

        Raises:
            StorageError: the folder that all processes share cannot be used.
        """
        while self._running >= self.parallel:
            self._changed.clear()
            await self._changed.wait()
        self._running += 1
        try:
            async with AsyncExitStack() as stack:
                if self._slots is not None:
                    await stack.enter_async_context(self._slots.one())
                if self.share is not None:
                    await stack.enter_async_context(self.share.one())
                yield
        finally:
            self._running -= 1
            self._changed.set()

    async def take(self, count: int) -> float:
        """Hold back for as long as bytes that came take at the rate; returns the seconds it took."""
        if not self._pace.is_limited:
            return 0.0
        self._waits.report("", f"{self._applied.limited_by} holds reading back", self._pace.hold_s(count))
        return await self._pace.take(count)

    def _take_part(self, part: float) -> None:
        self._part = part
        self._apply()

    def _take_rate(self, rate: int) -> None:
        self._rate = rate
        self._apply()

    def _apply(self) -> None:
        rules = self._rules
        if self._slots is not None:
            rules = of_share(rules, self._part, self._count)
        if self.share is not None:
            rules = at_most(rules, self._rate)
        self._applied = rules
        self._pace.set_rate(rules.limit_rate)

    def _report_slot_wait(self) -> None:
        if not self._is_wait_reported:
            self._is_wait_reported = True
            self._emit(Noted(waits_for_slot(self._count)))
