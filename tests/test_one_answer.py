"""Questions that several faces ask have one answer each.

Whether a file is whole: `tests/tui/test_verdicts.py` asks `maap verify`, Registry and Downloads about the
same damage. Here: the names of the archive, what a query means, and which versions of a granule it takes.
"""

from __future__ import annotations

import asyncio
import json
import shlex
from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from maap_tui.cli.dispatch import build_parser
from maap_tui.cli.options import overrides_of, query_of
from maap_tui.engine.catalogue import built, local_names
from maap_tui.engine.events import Noted
from maap_tui.engine.model import BaselineInfo, TimeRange
from maap_tui.engine.quality.notices import Disclaimed, Notices
from maap_tui.engine.query import Box, Circle, Query
from maap_tui.engine.session import Session
from maap_tui.engine.shard import Shard
from maap_tui.tui.screens.search.terms import ANY, NEWEST, Terms, find_matches

Make = Callable[..., Session]
NOW = datetime(2026, 1, 15, tzinfo=UTC)
DAY = TimeRange.of_day(date(2025, 12, 1))
AUX = Query(
    "EarthCAREXMETL1DProducts10_MAAP",
    "AUX_MET_1D",
    "BC",
    time=TimeRange(DAY.start, DAY.start + timedelta(hours=1)),
)
EARTHCARE = ("EarthCAREL2Validated_MAAP", "CPR_CLD_2A")
BIOMASS = ("BiomassLevel1c", "S1_DGM__1S")

GIVEN: dict[str, list[dict[str, Any]]] = {
    "baseline": [{"baseline": "BC"}],
    "time": [{"time": DAY}, {"time": TimeRange(DAY.start, DAY.start + timedelta(hours=5, seconds=7))}],
    "orbits": [{"orbits": ((7655, 7655), (7700, 7710))}],
    "frames": [{"frames": ("C", "D")}, {"orbits": ((7655, 7655),), "frames": ("C",)}],
    "box": [{"box": Box(-10.5, -20, 30, 40)}],
    "circle": [{"circle": Circle(-50.5, 6.25, 300)}],
    "area": [{"area": {"type": "Point", "coordinates": [6.25, -50.5]}}],
    "area_file": [{"area": {"type": "Point", "coordinates": [6.25, -50.5]}, "area_file": "FILE"}],
    "formats": [{"formats": ("h5", "hdr")}, {"formats": ("all",)}],
    "newest_first": [{"newest_first": True}],
    "max_items": [{"max_items": 5}],
    "use_catalog": [{"use_catalog": True}],
    "every_version": [{"every_version": True}],
    "tracks": [{"tracks": ("014", "015")}],
    "shard": [{"shard": Shard(2, 16)}],
    "disclaimed": [{"disclaimed": Disclaimed(Notices())}],
    "days_back": [{"time": TimeRange(NOW - timedelta(days=3), NOW), "days_back": 3}],
    "missing": [
        {"missing": True, "time": DAY},
        {"missing": True, "time": TimeRange(NOW - timedelta(days=30), NOW), "days_back": 30},
        {"missing": True, "time": TimeRange(DAY.start, NOW), "open_end": True},
    ],
    "open_end": [{"time": TimeRange(DAY.start, NOW), "open_end": True}],
}
"""Examples of every field of a query."""

WRITTEN_AS = ("days_back", "open_end", "area_file")
"""Fields that say how the time is written on a command line; what is read of that is the time."""


UNWRITTEN = ("arrived",)
"""Fields that the engine sets by itself, which no command line says."""


def test_every_field_of_a_query_has_an_example() -> None:
    assert {one.name for one in fields(Query)} == {"collection", "product_type", *UNWRITTEN, *GIVEN}
    for name, examples in GIVEN.items():
        for changes in examples:
            assert getattr(Query(*EARTHCARE, **changes), name) != getattr(Query(*EARTHCARE), name)


@pytest.mark.parametrize(
    "changes",
    [pytest.param(one, id=f"{name}{number}") for name in GIVEN for number, one in enumerate(GIVEN[name])],
)
async def test_the_command_of_a_query_is_read_as_that_query(changes: dict[str, Any], tmp_path: Path) -> None:
    names = BIOMASS if "tracks" in changes else EARTHCARE
    if "area_file" in changes:
        (tmp_path / "area.json").write_text(json.dumps(changes["area"]))
        changes = {**changes, "area_file": str(tmp_path / "area.json")}
    query = Query(*names, **changes)
    _, *words = shlex.split(query.to_command())
    args = build_parser({"search"}).parse_args(words)
    environ = {"HOME": str(tmp_path), "MAAP_HOME": str(tmp_path)}
    opened = Session.load(environ=environ, overrides=overrides_of(args), now=lambda: NOW)
    read = await query_of(args, opened)
    assert read == query.replace(**{name: getattr(Query(*names), name) for name in WRITTEN_AS})


@pytest.mark.parametrize("counted", [(), ("BA",), ("BA", "BC")])
@pytest.mark.parametrize("empty", [(), ("AA",)])
async def test_every_face_offers_the_same_baselines(
    session: Make, counted: tuple[str, ...], empty: tuple[str, ...]
) -> None:
    collection, product_type = EARTHCARE
    async with session() as opened:
        await opened.catalogue.queryables(collection)
        for baseline in counted:
            await opened.build_catalogue(collection, product_type=product_type, baseline=baseline)
        catalogue = built.load(opened.dirs, collection) or built.BuiltCatalogue(collection)
        entries = catalogue.products.setdefault(product_type, {})
        entries |= {baseline: BaselineInfo() for baseline in empty}
        built.save(opened.dirs.built_catalogue_file(collection), catalogue)
        known = opened.index.load()
        completion = local_names.baseline_names(opened.dirs, collection, product_type)
    browse = known.collections[collection].baselines_of(product_type)
    words = Terms(collection, product_type)
    search = [one.name for one in find_matches("baseline", words, known) if one.name not in (ANY, NEWEST)]
    assert browse == completion == search[::-1] != []
    assert not set(empty) & set(browse)
    assert known.newest_of(collection, product_type) == max(counted, default=None)


async def test_names_that_several_ask_for_are_fetched_once(session: Make, events: list[Any]) -> None:
    collection, _ = EARTHCARE
    async with session() as opened:

        async def ask() -> bool:
            await opened.index.fetch(collection)
            return opened.index.known.queryables_of(collection) is not None

        def fetches() -> int:
            return sum(isinstance(event, Noted) and "queryables" in event.message for event in events)

        assert all(await asyncio.gather(*(ask() for _ in range(5))))
        assert fetches() == 1
        await ask()
        assert fetches() == 2


async def test_names_are_learnt_from_the_copy_here_before_the_archive_is_asked(
    session: Make, events: list[Any]
) -> None:
    collection, product_type = EARTHCARE
    for fetches in (1, 0):
        events.clear()
        async with session() as opened:
            assert opened.index.known.queryables_of(collection) is None
            await opened.index.learn(collection)
            assert product_type in opened.index.known.products_of(collection)
        assert sum(isinstance(event, Noted) and "queryables" in event.message for event in events) == fetches


async def test_a_fetch_goes_on_for_others_when_the_first_to_ask_has_gone(session: Make) -> None:
    collection, _ = EARTHCARE
    async with session() as opened:
        first = asyncio.create_task(opened.index.fetch(collection))
        second = asyncio.create_task(opened.index.fetch(collection))
        await asyncio.sleep(0)
        first.cancel()
        await second
        assert opened.index.known.queryables_of(collection) is not None


async def test_every_workflow_takes_the_versions_that_a_query_means(session: Make, tmp_path: Path) -> None:
    every_version = AUX.replace(every_version=True)
    async with session(bulk=True) as opened:
        newest = await urls_of(opened, AUX)
        every = await urls_of(opened, every_version)
        assert newest < every
        await opened.save_to_registry(await opened.search(every_version).granules(), ("h5",))
        for query, meant in ((AUX, newest), (every_version, every)):
            assert {file.url for file in opened.pending(query).files} == meant
            assert {one.url for one in opened.would_download(opened.pending(query).files)} == meant
            assert set((await opened.would_sync(query)).wanted) == meant
            assert {one.url for one in (await opened.get(query, dry_run=True)).wanted} == meant
        assert opened.pending(AUX).older == len(every) - len(newest)
        got = await opened.get(AUX, out_dir=tmp_path / "newest")
        assert set(got.downloads.downloaded) == newest
        assert set((await opened.sync(AUX)).downloads.downloaded) == newest
        assert set((await opened.sync(every_version)).downloads.downloaded) == every - newest


async def urls_of(opened: Session, query: Query) -> set[str]:
    found = await opened.search(query).granules()
    return {asset.href for granule in found for asset in granule.files(opened.formats_of(query))}
