"""What names say, mission by mission, and which mission a collection belongs to."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.missions import (
    MISSIONS,
    all_formats,
    default_collections,
    earthcare,
    format_of,
    mission_named,
    mission_of_collection,
    parse_name,
)


@pytest.mark.parametrize(
    ("name", "product", "baseline", "orbit", "frame", "agency"),
    [
        (
            "ECA_EXBA_MSI_COP_2A_20250316T133058Z_20250912T203345Z_04537E",
            "MSI_COP_2A",
            "BA",
            4537,
            "E",
            "ESA",
        ),
        (
            "ECA_EXAD_AC__TC__2B_20250628T152631Z_20250628T174754Z_06157A.h5",
            "AC__TC__2B",
            "AD",
            6157,
            "A",
            "ESA",
        ),
        (
            "ECA_JXDA_CPR_NOM_1B_20250320T195315Z_20250320T223619Z_04603H.HDR",
            "CPR_NOM_1B",
            "DA",
            4603,
            "H",
            "JAXA",
        ),
    ],
)
def test_earthcare_names(name: str, product: str, baseline: str, orbit: int, frame: str, agency: str) -> None:
    found = parse_name(f"https://host/data/x/{name}?token=1")
    assert found is not None and found.mission == "EarthCARE" and found.stem == name.split(".")[0]
    assert (found.product_type, found.baseline, found.orbit, found.frame, found.agency) == (
        product,
        baseline,
        orbit,
        frame,
        agency,
    )
    assert found.created is not None and found.sensing_start < found.created


def test_earthcare_orbit_file_has_a_stop_and_no_orbit() -> None:
    found = parse_name("ECA_EXAA_AUX_ORBPRE_20250601T000000Z_99999999T999999Z_0001.EOF")
    assert found is not None and found.product_type == "AUX_ORBPRE"
    assert (found.sensing_end, found.created, found.orbit, found.frame) == (None, None, None, None)
    found = parse_name("ECA_EXAA_AUX_ORBRES_20250601T000000Z_20250602T000000Z_0001.EOF")
    assert found is not None and found.sensing_end == datetime(2025, 6, 2, tzinfo=UTC)


def test_aeolus_names() -> None:
    stem = "AE_OPER_ALD_U_N_1B_20230422T165721033_005543989_027018_0001"
    found = parse_name(f"https://h/data/aeolus/ALD_U_N_1B/1B16/2023/04/22/{stem}/{stem}.DBL")
    assert found is not None and found.mission == "Aeolus" and found.baseline == "1B16"
    assert found.sensing_start == datetime(2023, 4, 22, 16, 57, 21, 33000, tzinfo=UTC)
    assert found.sensing_end is not None and found.orbit == 27018
    assert (found.sensing_end - found.sensing_start).total_seconds() == 5543.989
    alone = parse_name("AE_OPER_ALD_U_N_2B_20191216T070123_20191216T083159_0001.DBL")
    assert alone is not None and alone.baseline is None and alone.orbit is None


@pytest.mark.parametrize(
    "name",
    [
        "",
        "readme.txt",
        "ECA_EXBA_MSI_COP_2A_20251316T133058Z_20250912T203345Z_04537E",
        "ECA_EXBA_MSI_COP_2A_20250316T133058Z_20250912T203345Z_04537E/evil",
        "AE_OPER_ALD_U_N_1B_20230431T165721033_005543989_027018_0001",
        "CS_OFFL_SIR_SIN_1B_20220917T082319_20220917T082404_E001.nc",
    ],
)
def test_names_that_say_nothing(name: str) -> None:
    assert parse_name(name) is None


@given(st.text(max_size=80))
def test_any_text_is_a_name_or_none(text: str) -> None:
    parse_name(text)
    format_of(text)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("x.h5", "h5"),
        ("x.HDR", "hdr"),
        ("x.EOF?a=b.h5", "eof"),
        ("x.BUFR4", "bufr"),
        ("x.jpeg", ""),
        ("https://h/data/zipper/a/b", "zip"),
        ("x.zip", "zip"),
        ("", ""),
    ],
)
def test_formats(name: str, kind: str) -> None:
    assert format_of(name) == kind
    assert kind == "" or kind in all_formats()


@pytest.mark.parametrize(
    ("collection", "setting", "mission"),
    [
        ("EarthCAREL2Validated_MAAP", "Aeolus", "EarthCARE"),
        ("JAXAL2Validated_MAAP", "", "EarthCARE"),
        ("AeolusL2BProducts", "EarthCARE", "Aeolus"),
        ("BiomassLevel1b", "", "Biomass"),
        ("CryoSatIceL110", "", "CryoSat"),
        ("sentinel_1", "", "Other"),
        ("sentinel_1", "Sentinel", "Sentinel"),
        ("sentinel_1", "aeolus", "Aeolus"),
    ],
)
def test_mission_of_a_collection(collection: str, setting: str, mission: str) -> None:
    assert mission_of_collection(collection, setting).name == mission


def test_impossible_mission_name() -> None:
    with pytest.raises(InvalidRequestError, match="mission"):
        mission_named("../up")


def test_every_default_collection_is_owned_by_its_mission() -> None:
    names = default_collections(["Extra", "Extra"])
    assert len(names) == len(set(names)) and names[-1] == "Extra"
    for mission in MISSIONS.values():
        assert all(mission_of_collection(name) is mission for name in mission.collections)
        assert mission.start < mission.end and mission.formats


def test_orbit_tells_the_day() -> None:
    assert abs((earthcare.orbit_time(8574) - datetime(2025, 12, 1, tzinfo=UTC)).days) <= 1
    assert abs((earthcare.orbit_time(1525) - datetime(2024, 9, 3, tzinfo=UTC)).days) <= 3
