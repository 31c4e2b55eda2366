"""Built catalogues: read, built, resumed, recounted, damaged."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from maap_tui import __version__
from maap_tui.demo import Archive
from maap_tui.engine.catalogue import built
from maap_tui.engine.errors import BuiltCatalogMissing, CatalogError
from maap_tui.engine.events import BaselineCounted, Event, Warned
from maap_tui.engine.model import BaselineInfo
from maap_tui.engine.query import Query
from maap_tui.engine.session import Session
from maap_tui.engine.workflows import build
from tests.engine.conftest import told
from tests.homes import requests_of

Make = Callable[..., Session]
L2 = "EarthCAREL2Validated_MAAP"
AUX = "EarthCAREXMETL1DProducts10_MAAP"
WRITTEN_BY_MAAP_CLIENT = Path(__file__).parents[1] / "data" / f"{L2}_collection.json"


@pytest.fixture
def file(home: Path) -> Path:
    return home / "built_catalogs" / f"{L2}_collection.json"


async def test_reads_what_maap_client_wrote(session: Make, file: Path) -> None:
    file.write_bytes(WRITTEN_BY_MAAP_CLIENT.read_bytes())
    catalogue = built.load(session().dirs, L2)
    assert catalogue is not None and catalogue.generated_at is not None
    info = catalogue.baseline("CPR_CLD_2A", "bc")
    assert info is not None and info.count == 5431 and info.frame_start == "08374A"
    span = catalogue.span("CPR_CLD_2A", None)
    assert span is not None and span.start == datetime(2024, 6, 12, 11, 50, 42, tzinfo=UTC)
    assert catalogue.span("CPR_CLD_2A", "ZZ") is None and catalogue.baseline("NOPE", "BC") is None


async def test_builds_at_the_same_time_keep_what_each_other_counted(session: Make, file: Path) -> None:
    products = ["CPR_CLD_2A", "CPR_FMR_2A", "AC__TC__2B"]
    async with session() as one, session() as other, session() as third:
        ended = await asyncio.gather(
            *(
                opened.build_catalogue(L2, product_type=product, baseline="BC")
                for opened, product in zip((one, other, third), products, strict=True)
            )
        )
    catalogue = built.load(one.dirs, L2)
    assert catalogue is not None and sorted(catalogue.products) == sorted(products)
    assert [failures for _, failures in ended] == [[], [], []]


async def test_a_build_by_force_leaves_nothing_else(session: Make, home: Path) -> None:
    file = home / "built_catalogs" / f"{AUX}_collection.json"
    old = built.BuiltCatalogue(AUX, {"GONE": {"BC": BaselineInfo(None, None, None, None, 1, None)}})
    async with session() as opened:
        built.save(file, old)
        await opened.build_catalogue(AUX, product_type="AUX_MET_1D", baseline="BC", force=True)
        assert "GONE" in json.loads(file.read_bytes())["products"]
        await opened.build_catalogue(AUX, baseline="BC", force=True)
    assert list(json.loads(file.read_bytes())["products"]) == ["AUX_MET_1D"]


@pytest.mark.parametrize(
    ("product_type", "last"),
    [
        # Valid for thirty days each.
        ("AUX_ORBPRE", datetime(2026, 1, 14, tzinfo=UTC)),
        # Valid for ever, long before the range ends.
        ("MPL_ORBSCT", datetime(2024, 5, 28, 21, 49, 17, tzinfo=UTC)),
    ],
)
async def test_products_of_long_validity_have_a_time_end(
    session: Make, product_type: str, last: datetime
) -> None:
    async with session() as opened:
        info = await opened.baseline_at_archive("EarthCAREOrbitData_MAAP", product_type, "AA")
    assert info is not None and info.count > 0
    assert (info.time_end, info.frame_end) == (last, None)


async def test_builds_one_baseline_and_says_where_it_begins_and_ends(
    session: Make, file: Path, events: list[Event]
) -> None:
    async with session() as opened:
        path, failures = await opened.build_catalogue(L2, product_type="CPR_CLD_2A", baseline="bc")
        info = await opened.baseline_at_archive(L2, "CPR_CLD_2A", "BC")
    assert path == file and failures == []
    data = json.loads(file.read_text())
    assert (data["schema"], data["collection"]) == ("1.0", L2)
    assert data["client"] == {"name": "maap_tui", "version": __version__}
    entry = data["products"]["CPR_CLD_2A"]["baselines"]["BC"]
    assert entry["time_start"] == "2025-11-18T02:57:58Z" and entry["time_end"] == "2026-01-14T19:28:45Z"
    assert (entry["frame_start"], entry["frame_end"], entry["count"]) == ("08374A", "09271F", 6966)
    assert set(entry) == {"time_start", "time_end", "frame_start", "frame_end", "count", "updated_at"}
    assert info is not None and info.count == 6966
    assert [event.done for event in told(events, BaselineCounted)] == [1, 1]


async def test_known_baseline_is_recounted_with_one_request(
    session: Make, file: Path, archive: Archive
) -> None:
    async with session() as opened:
        await opened.build_catalogue(L2, product_type="CPR_CLD_2A", baseline="BC")
        before = json.loads(file.read_text())
        archive.stats.reset()
        await opened.build_catalogue(L2, product_type="CPR_CLD_2A", baseline="BC")
        assert requests_of(archive, "search") == 1
        after = json.loads(file.read_text())
        for data in (before, after):
            data.pop("generated_at")
            data["products"]["CPR_CLD_2A"]["baselines"]["BC"].pop("updated_at")
        assert before == after
        archive.stats.reset()
        await opened.build_catalogue(L2, product_type="CPR_CLD_2A", baseline="BC", force=True)
        assert requests_of(archive, "search") > 1


async def test_build_goes_on_from_what_is_there_and_saves_after_each(
    session: Make, file: Path, archive: Archive
) -> None:
    file.write_bytes(WRITTEN_BY_MAAP_CLIENT.read_bytes())
    async with session() as opened:
        catalogue = built.demand(opened.dirs, L2)
        builder = build.builder(opened, L2, catalogue, where=opened.dirs)
        pairs = [("CPR_CLD_2A", "BC"), ("CPR_CLD_2A", "ZZ")]
        async for product, baseline, info in builder.build(pairs):
            saved = json.loads(file.read_text())["products"][product]["baselines"]
            assert saved[baseline]["count"] == info.count == 6966
    saved = json.loads(file.read_text())["products"]
    assert set(saved["CPR_CLD_2A"]["baselines"]) == {"BA", "BC"} and "ATL_EBD_2A" in saved


async def test_whole_collection_and_its_latest_baseline(session: Make, home: Path) -> None:
    async with session() as opened:
        path, failures = await opened.build_catalogue(AUX, latest_baseline=True, out_dir=home / "else")
    assert failures == [] and path.parent == home / "else"
    products = json.loads(path.read_text())["products"]
    assert {name: list(one["baselines"]) for name, one in products.items()} == {"AUX_MET_1D": ["BC"]}


async def test_failing_baseline_is_reported_and_the_rest_is_kept(
    session: Make, file: Path, archive: Archive, events: list[Event]
) -> None:
    file.write_bytes(WRITTEN_BY_MAAP_CLIENT.read_bytes())
    async with session(**{"api.retries": 0}) as opened:
        await opened.catalogue.queryables(L2)
        archive.faults.add(target="search", status=503)
        _, failures = await opened.build_catalogue(L2, product_type="CPR_CLD_2A", baseline="BC")
    assert [(one.product_type, one.baseline) for one in failures] == [("CPR_CLD_2A", "BC")]
    assert "503" in failures[0].reason and "BC could not be counted" in told(events, Warned)[0].message
    assert json.loads(file.read_text())["products"]["CPR_CLD_2A"]["baselines"]["BC"]["count"] == 5431


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"products": []}',
        '{"products": {"P": {}}}',
        "[" * 100_000,
        '{"products": {"P": {"baselines": {"B": 5}}}}',
        '{"products": {"P": {"baselines": {"B": {"count": Infinity}}}}}',
        '{"products": {"P": {"baselines": {"B": {"count": "many"}}}}}',
    ],
)
def test_damaged_file_says_how_to_mend_it(session: Make, file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(CatalogError, match="damaged") as caught:
        built.load(session().dirs, L2)
    assert f"maap catalog build {L2} --force" in caught.value.hint


async def test_absent_file_says_how_to_make_one(session: Make) -> None:
    opened = session()
    assert built.load(opened.dirs, L2) is None
    with pytest.raises(
        BuiltCatalogMissing, match="Built catalog not found for EarthCAREL2Validated"
    ) as caught:
        built.demand(opened.dirs, L2)
    assert isinstance(caught.value, FileNotFoundError) and "maap catalog build" in caught.value.hint


async def test_built_catalogue_narrows_a_search(session: Make, file: Path, archive: Archive) -> None:
    file.write_bytes(WRITTEN_BY_MAAP_CLIENT.read_bytes())
    data: Any = json.loads(file.read_text())
    entry = data["products"]["CPR_CLD_2A"]["baselines"]["BC"]
    entry["time_start"], entry["time_end"] = "2025-12-01T00:00:00Z", "2025-12-01T02:00:00Z"
    file.write_text(json.dumps(data))
    async with session() as opened:
        search = opened.search(Query(L2, "CPR_CLD_2A", "bc", use_catalog=True))
        found = await search.granules()
        assert requests_of(archive, "search") == 1
        assert search.range is not None and search.range.end == datetime(2025, 12, 1, 2, 0, 1, tzinfo=UTC)
        assert 8 <= len(found) <= 12
        heard: list[Event] = []
        opened.emit = heard.append
        opened.search(Query(L2, "CPR_CLD_2A", "ZZ", use_catalog=True))
        assert "has no CPR_CLD_2A ZZ; the whole range is searched" in told(heard, Warned)[0].message


async def test_baselines_that_hold_something(session: Make) -> None:
    async with session() as opened:
        assert set(await opened.baselines_at_archive(AUX, "AUX_MET_1D")) == {"AA", "BC"}
        assert await opened.baseline_at_archive(L2, "CPR_CLD_2A", "AG") is None
