"""Swaps, syncs, marks, stops, undoing and clean-ups in any order: granules keep a whole version."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from maap_tui.engine.events import Event
from maap_tui.engine.swaps.book import SwapBook
from tests.engine.raw_server import COLLECTION
from tests.engine.swap_kit import (
    NAMES,
    NEW,
    OLD,
    PRODUCT,
    Published,
    whole,
)
from tests.engine.swap_place import Place


class Random:
    """Operations in a random order, and what has to be true after each."""

    def __init__(self, place: Place, seed: int) -> None:
        self.place = place
        self.chance = random.Random(seed)
        self.left = [Published(spot, baseline) for baseline in ("BA", "BC") for spot in range(5)]
        self.left.insert(7, Published(1, "BA", version=1, shift_s=1))
        self.had: set[int] = set()
        """Spots of which the old baseline was downloaded."""

    async def begin(self, count: int, *more: Callable[[], Awaitable[None]]) -> None:
        """Do so many things of these and more."""
        own = (self.publish, self.publish, self.sync, self.mark, self.swap, self.swap, self.stop, self.undo)
        await self.publish()
        for _ in range(count):
            await self.chance.choice([*own, *more])()
            self.look()

    async def play(self, count: int) -> None:
        """Do so many things, then come to the end."""
        await self.begin(count)
        while self.left:
            await self.publish()
        self.place.now += timedelta(days=100)
        async with self.place.session() as session:
            await session.run_swap(NAMES, keep_days=0)
        self.look()
        assert list(self.place.states().values()).count("retired") == 5
        assert len(whole(self.place.session(), OLD)) == 1, "of all old files the duplicate is left"

    async def publish(self) -> None:
        for _ in range(self.chance.randint(1, 4)):
            self.place.archive.published += self.left[:1]
            del self.left[:1]
        await self.sync_old()

    async def sync_old(self) -> None:
        before = set(whole(self.place.session(), OLD))
        await self.place.sync("BA")
        self.had |= {self.spot_of(name) for name in whole(self.place.session(), OLD).keys() - before}

    async def sync(self) -> None:
        await self.place.sync(self.chance.choice(("BA", "BC")))

    async def mark(self) -> None:
        some = [one for one in self.place.archive.published if self.chance.random() < 0.5]
        self.place.mark(*some)

    async def swap(self) -> None:
        self.place.now += timedelta(days=self.chance.randint(0, 9))
        keep = self.chance.choice((None, None, 0, 5))
        async with self.place.session() as session:
            await session.run_swap(NAMES, keep_days=keep, max_items=self.chance.choice((None, 2)))

    async def stop(self) -> None:
        """A run that is stopped at an event; what it did not come to is done by another one."""
        at = self.chance.randint(1, 25)
        task: asyncio.Task[object] | None = None

        def count(event: Event) -> None:
            nonlocal at
            at -= 1
            if at == 0 and task is not None:
                task.get_loop().call_soon_threadsafe(task.cancel)

        async with self.place.session() as session:
            self.place.on_event = count
            task = asyncio.create_task(session.run_swap(NAMES, keep_days=self.chance.choice((None, 0))))
            await asyncio.gather(task, return_exceptions=True)
            self.place.on_event = self.place.events.append

    async def undo(self) -> None:
        fetch = self.chance.random() < 0.5
        async with self.place.session() as session:
            if SwapBook(session.registry.root, OLD, NEW).read().entries:
                await session.undo_swap(NAMES, fetch=fetch)

    async def clean_up(self) -> None:
        """What a user deletes need not have another version; what a swap keeps is not among it."""
        session = self.place.session()
        report = [
            path
            for baseline in ("BA", "BC")
            for path in session.cleanup(COLLECTION, PRODUCT, baseline).deleted
        ]
        self.had -= {self.spot_of(path.stem) for path in report}

    def look(self) -> None:
        assert self.place.wrong == []
        session = self.place.session()
        here = {self.spot_of(name) for key in (OLD, NEW) for name in whole(session, key)}
        assert here >= self.had, "a granule has no whole version"

    def spot_of(self, name: str) -> int:
        return next(one.spot for one in self.place.archive.published if one.name == name)


@pytest.mark.anyio
@pytest.mark.parametrize("seed", [0, *(pytest.param(n, marks=pytest.mark.long) for n in range(1, 30))])
async def test_random_operations_leave_every_granule_one_whole_version(place: Place, seed: int) -> None:
    await Random(place, seed).play(25 if seed else 8)


@pytest.mark.anyio
@pytest.mark.long
@pytest.mark.parametrize("seed", range(30, 50))
async def test_clean_ups_among_them_delete_nothing_that_a_swap_keeps(place: Place, seed: int) -> None:
    played = Random(place, seed)
    await played.begin(40, played.clean_up)
