"""Swaps of every mission: by what its names say of an observation, by the times where they say nothing."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from maap_tui.engine.events import Event, ItemSkipped
from maap_tui.engine.missions import parse_name
from maap_tui.engine.model import TimeRange, parse_zulu
from maap_tui.engine.query import Query
from maap_tui.engine.session import Session
from maap_tui.engine.swaps.book import SwapBook
from maap_tui.engine.swaps.plan import SwapNames, SwapPlan
from tests.engine.conftest import told
from tests.engine.raw_server import Answer, Asked, RawServer, page
from tests.homes import MOMENT, QUICK


class Published(NamedTuple):
    """A granule at the archive."""

    name: str
    baseline: str
    folder: str
    """Below `data`, with the baseline where the mission has it there."""
    files: tuple[str, ...]
    """Below the folder."""


@dataclass
class Case:
    """Two observations of a mission in two baselines."""

    collection: str
    product: str
    old: str
    new: str
    of: Callable[[str, str], Published]
    """(baseline, name) -> how it is published."""
    olds: tuple[str, ...]
    news: tuple[str, ...]
    """What takes the place of each of `olds`, in that order."""
    observations: tuple[str, ...]
    formats: tuple[str, ...] = ()
    files: int = 1
    """Files of a granule that are fetched."""
    others: tuple[str, ...] = ()
    """More of the new baseline, which take no place."""


def _biomass(baseline: str, name: str) -> Published:
    low = name.lower()
    files = (
        f"measurement/{low[:-10]}_i_abs.tiff",
        f"measurement/{low[:-10]}_i_phase.tiff",
        f"annotation/{low}_annot.xml",
        "schema/bio-l1-annotation.xsd",
    )
    return Published(name, baseline, f"biomass-pdgs-01/BiomassLevel1b/{name}/{name}", files)


def _flex(baseline: str, name: str) -> Published:
    return Published(name, baseline, f"zipper/flex-pdgs-01/{name}", (name,))


def _aeolus(baseline: str, name: str) -> Published:
    folder = f"aeolus-pdgs-01/{name[8:18]}/{baseline}/2023/04/22/{name}"
    return Published(name, baseline, folder, (f"{name}.DBL", f"{name}.HDR"))


def _cryosat(baseline: str, name: str) -> Published:
    return Published(
        name, baseline, f"cryosat-pdgs-01/CRYOSAT/SIR_SIN_1B/{baseline}/2022/09/17", (f"{name}.nc",)
    )


def _earthcare(baseline: str, name: str) -> Published:
    return Published(name, baseline, f"earthcare-pdgs-01/X/{baseline}/{name}/{name}", (f"{name}.EOF",))


_BIO = "BIO_S2_DGM__1S_20251212T0115"
_STACK = "BIO_FP_FH__L2A_202512"
_FLX = "FLX_L1B_OBS____20230712T0"
CASES = {
    "biomass": Case(
        "BiomassLevel1b", "S2_DGM__1S", "01", "02", _biomass,
        (f"{_BIO}42_20251212T011603_T_G01_M01_C01_T001_F222_01_DJJDIM",
         f"{_BIO}59_20251212T011622_T_G01_M01_C01_T001_F223_01_DJJDIN"),
        (f"{_BIO}43_20251212T011603_T_G01_M01_C01_T001_F222_02_DTZJH5",
         f"{_BIO}59_20251212T011622_T_G01_M01_C01_T001_F223_02_DTZJH7"),
        ("T_G01_M01_C01_T001_F222", "T_G01_M01_C01_T001_F223"), files=2,
    ),
    "biomass, all files": Case(
        "BiomassLevel1b", "S2_DGM__1S", "01", "02", _biomass,
        (f"{_BIO}42_20251212T011603_T_G01_M01_C01_T001_F222_01_DJJDIM",),
        (f"{_BIO}43_20251212T011603_T_G01_M01_C01_T001_F222_02_DTZJH5",),
        ("T_G01_M01_C01_T001_F222",), ("all",), 4,
    ),
    # Made without the first pass of the stack: it begins three days later.
    "biomass stack": Case(
        "BiomassLevel2a", "FP_FH__L2A", "01", "02", _biomass,
        (f"{_STACK}07T223212_20251219T223240_T_G01_M03_C___T014_F192_01_DTZJH5",),
        (f"{_STACK}10T223212_20251219T223240_T_G01_M03_C___T014_F192_02_DU0000",),
        ("T_G01_M03_C___T014_F192",), files=2,
    ),
    "flex": Case(
        "FLEXL1Products", "L1B_OBS___", "01", "02", _flex,
        (f"{_FLX}75954_20230712T080232_20260310T131535_0158_100_064_0021_01",
         f"{_FLX}80232_20230712T080510_20260310T131702_0158_100_064_0022_01"),
        (f"{_FLX}75955_20230712T080232_20261110T131535_0157_100_064_0021_02",
         f"{_FLX}80231_20230712T080510_20261110T131535_0159_100_064_0022_02"),
        ("100_064_0021", "100_064_0022"),
        # The same numbers a minute later: what they mean is our reading, and the start has to agree.
        others=(f"{_FLX}80132_20230712T080232_20261110T131535_0060_100_064_0021_02",),
    ),
    "aeolus level 1": Case(
        "AeolusL1BProducts", "ALD_U_N_1B", "1B15", "1B16", _aeolus,
        ("AE_OPER_ALD_U_N_1B_20230422T165721033_005543989_027018_0001",
         "AE_OPER_ALD_U_N_1B_20230422T182945022_005543989_027019_0001"),
        # The name is the same, or only the counter is another one: the baseline is in the folder.
        ("AE_OPER_ALD_U_N_1B_20230422T165721033_005543989_027018_0001",
         "AE_RPRO_ALD_U_N_1B_20230422T182945034_005543977_027019_0002"),
        ("027018", "027019"),
    ),
    "aeolus level 2": Case(
        "AeolusL2BProducts", "ALD_U_N_2B", "2B15", "2B16", _aeolus,
        ("AE_OPER_ALD_U_N_2B_20230422T070123_20230422T083159_0001",),
        ("AE_RPRO_ALD_U_N_2B_20230422T070125_20230422T083155_0001",),
        ("",), others=("AE_RPRO_ALD_U_N_2B_20230422T070232_20230422T083155_0001",),
    ),
    "cryosat": Case(
        "CryoSatIceL110", "SIR_SIN_1B", "D001", "E001", _cryosat,
        ("CS_LTA__SIR_SIN_1B_20220917T082319_20220917T082404_D001",
         "CS_OFFL_SIR_SIN_1B_20220917T100240_20220917T100341_D001"),
        # Of two chains the long-term archive's counts.
        ("CS_LTA__SIR_SIN_1B_20220917T082320_20220917T082404_E001",
         "CS_OFFL_SIR_SIN_1B_20220917T100240_20220917T100341_E001"),
        ("", ""),
        others=("CS_OFFL_SIR_SIN_1B_20220917T082320_20220917T082405_E001",
                "CS_OFFL_SIR_SIN_1B_20220917T082404_20220917T082430_E001"),
    ),
    "earthcare orbit files": Case(
        "EarthCAREOrbitData_MAAP", "AUX_ORBRES", "AA", "AB", _earthcare,
        ("ECA_EXAA_AUX_ORBRES_20250316T000000Z_20250317T000000Z_0001",),
        ("ECA_EXAB_AUX_ORBRES_20250316T000000Z_20250317T000000Z_0001",),
        ("",),
    ),
}  # fmt: skip


def _content(path: str) -> bytes:
    """A small file that is whole, another one for each path."""
    if "/zipper/" in path:
        memory = io.BytesIO()
        with zipfile.ZipFile(memory, "w") as file:
            file.writestr("manifest.xml", path)
        return memory.getvalue()
    head = {".nc": b"CDF\x01", ".tiff": b"II*\x00"}.get(Path(path).suffix, b"<a/>\n")
    return head + path.encode()


@dataclass
class Place:
    """A home and an archive that publishes a case."""

    case: Case
    home: Path
    published: list[Published] = field(default_factory=list)
    base: str = ""
    events: list[Event] = field(default_factory=list)
    now: Any = MOMENT

    def answer(self, asked: Asked) -> Answer:
        path = urlsplit(asked.path).path
        if "/data/" in path:
            return _content(path)
        if not path.rstrip("/").endswith("/search") or asked.body is None:
            return {"type": "Catalog", "links": []}
        text = json.dumps(asked.body).lower()
        start, end = map(parse_zulu, asked.body["datetime"].split("/"))
        found = []
        for one in self.published:
            name = parse_name(one.name)
            assert name is not None and name.sensing_end is not None
            # Services give what overlaps with the time that is asked for.
            if (
                f"'{one.baseline.lower()}'" in text
                and start <= name.sensing_end
                and name.sensing_start <= end
            ):
                found.append(self._item(one))
        return page(found, len(found))

    def _item(self, one: Published) -> dict[str, object]:
        assets = {}
        for number, file in enumerate(one.files):
            href = f"{self.base}data/{one.folder}/{file}"
            if one.folder.startswith("zipper/"):
                href = href.rpartition("/")[0]
            assets[f"enclosure_{number}"] = {"href": href, "roles": ["data"]}
        properties = {"product:type": self.case.product, "version": one.baseline}
        return {"type": "Feature", "id": one.name, "properties": properties, "assets": assets}

    def publish(self, baseline: str, *names: str) -> None:
        self.published += [self.case.of(baseline, name) for name in names]

    @property
    def names(self) -> SwapNames:
        return SwapNames(self.case.collection, self.case.product, self.case.old, self.case.new)

    def session(self) -> Session:
        environ = {**os.environ, "MAAP_CATALOG_URL": self.base, "HOME": str(self.home)}
        return Session.load(
            environ=environ, overrides=QUICK, emit=self.events.append, bulk=True, now=lambda: self.now
        )

    @property
    def server(self) -> RawServer:
        versions = [self.case.old.lower(), self.case.new.lower()]
        enums = {"product:type": {"enum": [self.case.product]}, "version": {"enum": versions}}
        return RawServer(self.answer, queryables={"properties": enums})

    async def sync_old(self, session: Session) -> None:
        days = sorted(parse_name(one.name).sensing_start for one in self.published)  # type: ignore[union-attr]
        span = TimeRange(days[0] - timedelta(hours=1), days[-1] + timedelta(hours=1))
        case = self.case
        await session.sync(Query(case.collection, case.product, case.old, time=span, formats=case.formats))

    def files_of(self, session: Session, baseline: str) -> list[Path]:
        tracker = session.tracker(self.case.collection, self.case.product, baseline)
        return sorted(Path(file.path) for file in tracker.downloads())


@pytest.mark.anyio
@pytest.mark.parametrize("name", CASES)
async def test_what_a_mission_calls_the_same_observation_is_swapped_undone_and_deleted(
    name: str, home: Path, archive: object
) -> None:
    case = CASES[name]
    place = Place(case, home)
    place.publish(case.old, *case.olds)
    place.publish(case.new, *case.others, *case.news)
    async with place.server as server:
        place.base = server.url
        async with place.session() as session:
            await place.sync_old(session)
            old = place.files_of(session, case.old)
            assert len(old) == case.files * len(case.olds) and all(map(Path.exists, old))
            assert session.mark([str(path) for path in old[: case.files]]).refused == []
            plan: SwapPlan = await session.plan_swap(place.names)
            assert [(row.name, row.successor) for row in plan.rows] == [
                *zip(case.olds, case.news, strict=True)
            ]
            assert tuple(row.observation for row in plan.rows) == case.observations
            assert (plan.tolerance is not None) == (case.observations[0] == "")
            done = await session.run_swap(place.names)
            assert len(done.swapped) == len(case.olds) and not done.left
            new = place.files_of(session, case.new)
            assert len(new) == len(old) and not set(new) & set(old) and all(map(Path.exists, new))
            assert not session.tracker(case.collection, case.product, case.old).pending_marks()
            assert len((await session.undo_swap(place.names)).undone) == len(case.olds)
            pending = session.tracker(case.collection, case.product, case.old).pending_marks()
            assert sorted(Path(file.path) for file in pending) == old[case.files :]
            again = await session.run_swap(place.names, keep_days=0)
            assert len(again.retired.done) == len(case.olds) and not again.downloads.downloaded
            assert not any(map(Path.exists, old)) and all(map(Path.exists, new))
            assert not told(place.events, ItemSkipped)
            keys = place.names.keys(session)
            # The journal is read again, orbits or not.
            book = SwapBook(session.registry.root, *keys).read()
            assert book.bad == 0 and {one.state for one in book.entries.values()} == {"retired"}
            # What is retired stays so, and its successor is nobody else's.
            assert {row.state for row in (await session.plan_swap(place.names)).rows} == {"retired"}
            fetched = await session.undo_swap(place.names, fetch=True)
            assert len(fetched.undone) == len(case.olds) and all(map(Path.exists, old))


@pytest.mark.anyio
async def test_what_could_take_the_place_of_two_is_reported_and_stays(home: Path, archive: object) -> None:
    case = CASES["cryosat"]
    place = Place(case, home)
    place.publish(case.old, "CS_OFFL_SIR_SIN_1B_20220917T082319_20220917T082404_D001", case.olds[1])
    # Cut otherwise: two short ones in the place of one.
    new = [
        "CS_OFFL_SIR_SIN_1B_20220917T082319_20220917T082325_E001",
        "CS_OFFL_SIR_SIN_1B_20220917T082325_20220917T082404_E001",
    ]
    place.publish(case.new, *new, case.news[1])
    async with place.server as server:
        place.base = server.url
        async with place.session() as session:
            await place.sync_old(session)
            plan = await session.plan_swap(place.names)
            assert [row.state for row in plan.rows] == ["ambiguous", "archive"]
            assert plan.unswapped == 1 and list(plan.ambiguous) == [plan.rows[0].name]
            done = await session.run_swap(place.names, keep_days=0)
            assert [entry.name for entry in done.swapped] == [case.olds[1]]
            assert [path.stem for path in place.files_of(session, case.old) if path.exists()] == [
                plan.rows[0].name
            ]
            (skipped,) = told(place.events, ItemSkipped)
            assert skipped.permanent and all(name in skipped.reason for name in new)


@pytest.mark.anyio
async def test_a_granule_whose_successor_is_taken_waits(home: Path, archive: object) -> None:
    """The orbit is swapped; another part of it comes later, and is not given the successor of the first."""
    case = CASES["aeolus level 1"]
    place = Place(case, home)
    place.publish(case.old, case.olds[0])
    place.publish(case.new, case.news[0])
    async with place.server as server:
        place.base = server.url
        async with place.session() as session:
            await place.sync_old(session)
            await session.run_swap(place.names)
            place.publish(case.old, "AE_OPER_ALD_U_N_1B_20230422T165801033_005503989_027018_0001")
            place.publish(case.old, "AE_OPER_ALD_U_N_1B_20230422T175721033_001943989_027018_0001")
            await place.sync_old(session)
            rows = (await session.plan_swap(place.names)).rows
            assert [row.state for row in rows] == ["swapped", "duplicate", "waiting"]
