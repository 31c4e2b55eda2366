"""What names say, mission by mission, and which mission a collection belongs to."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.missions import (
    MISSIONS,
    all_formats,
    default_collections,
    earthcare,
    folder_of,
    format_of,
    granule_name,
    has_format,
    mission_named,
    mission_of_collection,
    parse_name,
)
from maap_tui.engine.query import parse_formats, read_frames, read_orbits, read_tracks


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


BIO = "BIO_S2_DGM__1S_20251212T011542_20251212T011603_T_G01_M01_C01_T001_F222_01_DJJDIM"
BIO_HOME = f"https://h/data/biomass-pdgs-01/BiomassLevel1b/2025/12/12/{BIO}/{BIO}"


@pytest.mark.parametrize(
    ("name", "mission", "product", "baseline", "track", "frame"),
    [
        (BIO, "Biomass", "S2_DGM__1S", "01", "001", "222"),
        (
            "BIO_S3_DGM__1S_20260609T211628_20260609T211648_T_G01_M03_C02_T043_F056_02_DSSCXA",
            "Biomass", "S3_DGM__1S", "02", "043", "056",
        ),
        (
            "BIO_S1_STA__1S_20260423T050928_20260423T050949_T_G01_M03_C01_T004_F001_02_DSQJ79",
            "Biomass", "S1_STA__1S", "02", "004", "001",
        ),
        (
            "BIO_S1_RAW__0M_20251121T094510_20251121T095758_T_G01_M01_C01_T006_F____01_DNGC54",
            "Biomass", "S1_RAW__0M", "01", "006", None,
        ),
        (
            "BIO_FP_FH__L2A_20260607T223212_20260619T223240_T_G01_M03_C___T014_F192_02_DTZJH5",
            "Biomass", "FP_FH__L2A", "02", "014", "192",
        ),
        (
            "BIO_AUX_ORB____20260607T223212_20260608T223240_01_DTZJH5",
            "Biomass", "AUX_ORB___", "01", None, None,
        ),
        (
            "CS_OFFL_SIR_SIN_1B_20220917T082319_20220917T082404_E001.nc",
            "CryoSat", "SIR_SIN_1B", "E001", None, None,
        ),
        (
            "CS_OFFL_SIR_GDR_2__20260630T222536_20260701T000451_E001.nc",
            "CryoSat", "SIR_GDR_2_", "E001", None, None,
        ),
        (
            "CS_LTA__SIR_SINI2__20110101T001140_20110101T001303_F012.nc",
            "CryoSat", "SIR_SINI2_", "F012", None, None,
        ),
        (
            "FLX_L1B_OBS____20230712T075954_20230712T080232_20260310T131535_0158_100_064_0021_01",
            "FLEX", "L1B_OBS___", "01", "064", "0021",
        ),
        (
            "FLX_L1C_FLXSYN_20230712T075954_20230712T080232_20260311T160418_0158_100_064_0021_01",
            "FLEX", "L1C_FLXSYN", "01", "064", "0021",
        ),
        (
            "FLX_L2__FLXSYN_20230712T075954_20230712T075958_20260326T210006_36TYK_100_064_01",
            "FLEX", "L2__FLXSYN", "01", "064", None,
        ),
    ],
)  # fmt: skip
def test_names_of_the_other_missions(
    name: str, mission: str, product: str, baseline: str, track: str | None, frame: str | None
) -> None:
    found = parse_name(f"https://host/data/x/{name}")
    assert found is not None and found.stem == name.split(".")[0]
    assert (found.mission, found.product_type, found.baseline) == (mission, product, baseline)
    assert (found.track, found.frame, found.orbit) == (track, frame, None)
    stamp = found.sensing_start.strftime("%Y%m%dT%H%M%S")
    assert f"_{stamp}_" in name and found.sensing_end is not None and found.sensing_start < found.sensing_end


@pytest.mark.parametrize(
    ("inside", "is_measurement"),
    [
        ("measurement/bio_s2_dgm__1s_20251212t011542_20251212t011603_t_g01_m01_c01_t001_f222_i_abs.tiff",
         True),
        ("annotation/bio_s2_dgm__1s_20251212t011542_20251212t011603_t_g01_m01_c01_t001_f222_01_djjdim_lut.nc",
         False),
        ("schema/bio-l1-annotation.xsd", False),
        ("preview/bio_s2_dgm__1s_20251212t011542_20251212t011603_t_g01_m01_c01_t001_f222_ql.png", False),
    ],
)  # fmt: skip
def test_a_file_inside_a_biomass_granule_is_known_by_its_folder(inside: str, is_measurement: bool) -> None:
    url = f"{BIO_HOME}/{inside}"
    found = parse_name(url)
    assert found is not None and (found.stem, found.baseline, found.track) == (BIO, "01", "001")
    assert found.created is not None and found.created.date() == datetime(2025, 12, 12).date()
    assert has_format(url, "measurement") is is_measurement and has_format(url, "all")
    assert folder_of(url) == granule_name(url) == BIO


def test_a_whole_granule_needs_no_folder() -> None:
    url = f"https://h/data/zipper/biomass-pdgs-01/BiomassLevel1b/2025/12/12/{BIO}/{BIO}"
    assert (format_of(url), has_format(url, "measurement"), folder_of(url)) == ("zip", False, "")


@pytest.mark.parametrize(
    "names",
    [
        # Oldest first.
        [f"{BIO[:-6]}{code}" for code in ("DJJDIM", "DJJDIZ", "DJK0AA")],
        [
            f"CS_{kind}_SIR_SIN_1B_20160404T162131_20160404T162445_{baseline}"
            for kind, baseline in (
                ("LTA_", "C001"), ("OFFL", "D001"), ("LTA_", "D001"), ("OFFL", "D002"), ("OFFL", "E001"),
            )
        ],
        [
            f"ECA_EXBC_AUX_MET_1D_20251201T000126Z_202512{day}T140308Z_08574D" for day in ("01", "02", "11")
        ],
    ],
)  # fmt: skip
def test_versions_of_one_granule_are_ranked(names: list[str]) -> None:
    versions = []
    for name in names:
        found = parse_name(name)
        assert found is not None and MISSIONS[found.mission].keeps_newest(found.product_type)
        versions.append(MISSIONS[found.mission].version_of(found))
    assert len({granule for granule, _ in versions}) == 1
    ranks = [rank for _, rank in versions]
    assert ranks == sorted(ranks) and len(set(ranks)) == len(ranks)


def test_granules_beside_one_another_are_no_versions() -> None:
    other = parse_name(BIO.replace("F222", "F223"))
    one = parse_name(BIO)
    assert one is not None and other is not None
    assert MISSIONS["Biomass"].version_of(one)[0] != MISSIONS["Biomass"].version_of(other)[0]


@pytest.mark.parametrize(
    ("mission", "frames", "tracks"),
    [("Biomass", ("005", "192"), ("014",)), ("FLEX", ("0005", "0192"), ("014",))],
)
def test_numbers_of_frames_and_tracks_have_their_zeros(
    mission: str, frames: tuple[str, ...], tracks: tuple[str, ...]
) -> None:
    assert read_frames("192, F005", MISSIONS[mission]) == frames
    assert read_tracks("T14", MISSIONS[mission]) == tracks


@pytest.mark.parametrize(
    ("read", "text", "mission", "words"),
    [
        (read_frames, "C", "Biomass", "not a list of frames"),
        (read_frames, "C", "CryoSat", "not cut into frames"),
        (read_tracks, "14", "EarthCARE", "does not number its ground tracks"),
        (read_tracks, "x", "Biomass", "not a list of tracks"),
        (read_orbits, "03017C", "Biomass", "not cut into lettered frames"),
    ],
)
def test_what_a_mission_does_not_have_is_refused(read: Any, text: str, mission: str, words: str) -> None:
    with pytest.raises(InvalidRequestError, match=words):
        read(text, MISSIONS[mission])


@pytest.mark.parametrize(
    ("mission", "formats"),
    [
        ("EarthCARE", ("h5", "eof", "dbl")),
        ("Aeolus", ("dbl", "nc", "bufr", "eef")),
        ("Biomass", ("measurement", "zip")),
        ("CryoSat", ("nc",)),
        ("FLEX", ("zip",)),
    ],
)
def test_formats_are_the_missions_own_in_order(mission: str, formats: tuple[str, ...]) -> None:
    assert MISSIONS[mission].formats == formats
    with pytest.raises(InvalidRequestError) as refused:
        parse_formats("docx", MISSIONS[mission])
    assert all(name in refused.value.hint for name in formats)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "readme.txt",
        "ECA_EXBA_MSI_COP_2A_20251316T133058Z_20250912T203345Z_04537E",
        "ECA_EXBA_MSI_COP_2A_20250316T133058Z_20250912T203345Z_04537E/evil",
        "AE_OPER_ALD_U_N_1B_20230431T165721033_005543989_027018_0001",
        "CS_OFFL_SIR_SIN_1B_20221317T082319_20220917T082404_E001.nc",
        "BIO_S2_DGM__1S_20251312T011542_20251212T011603_T_G01_M01_C01_T001_F222_01_DJJDIM",
        "FLX_L1B_OBS____20230712T075954_20231312T080232_20260310T131535_0158_100_064_0021_01",
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
        ("BiomassLevel2aIOC", "EarthCARE", "Biomass"),
        ("CryoSatIceL110", "", "CryoSat"),
        ("FLEXL1Products", "", "FLEX"),
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


@pytest.mark.parametrize(
    ("old", "new", "is_same"),
    [
        # Another processing of the same, then another observation that differs in one part alone.
        ("ECA_EXAB_CPR_CLD_2A_20250320T195315Z_20250320T223619Z_04603H",
         "ECA_EXBC_CPR_CLD_2A_20250320T195316Z_20250912T202910Z_04603H", True),
        ("ECA_EXAB_CPR_CLD_2A_20250320T195315Z_20250320T223619Z_04603H",
         "ECA_EXBC_CPR_CLD_2A_20250320T195316Z_20250912T202910Z_04603G", False),
        (BIO, BIO.replace("_01_DJJDIM", "_02_DTZJH5").replace("T011542", "T011543"), True),
        (BIO, BIO.replace("_01_DJJDIM", "_02_DTZJH5").replace("F222", "F223"), False),
        (BIO, BIO.replace("_01_DJJDIM", "_02_DTZJH5").replace("C01", "C02"), False),
        (BIO, BIO.replace("_01_DJJDIM", "_02_DTZJH5").replace("M01", "M02"), False),
        (BIO, BIO.replace("_01_DJJDIM", "_02_DTZJH5").replace("_T_G", "_I_G"), False),
        ("FLX_L1B_OBS____20230712T075954_20230712T080232_20260310T131535_0158_100_064_0021_01",
         "FLX_L1B_OBS____20230712T075955_20230712T080232_20270310T131535_0157_100_064_0021_02", True),
        ("FLX_L1B_OBS____20230712T075954_20230712T080232_20260310T131535_0158_100_064_0021_01",
         "FLX_L1B_OBS____20230712T075955_20230712T080232_20270310T131535_0157_101_064_0021_02", False),
        ("FLX_L2__FLXSYN_20230712T075954_20230712T075958_20260326T210006_36TYK_100_064_01",
         "FLX_L2__FLXSYN_20230712T075954_20230712T075958_20270326T210006_36TYK_100_064_02", True),
        ("FLX_L2__FLXSYN_20230712T075954_20230712T075958_20260326T210006_36TYK_100_064_01",
         "FLX_L2__FLXSYN_20230712T075954_20230712T075958_20270326T210006_36TYL_100_064_02", False),
        ("AE_OPER_ALD_U_N_1B_20230422T165721033_005543989_027018_0001",
         "AE_RPRO_ALD_U_N_1B_20230422T165721045_005543977_027018_0002", True),
    ],
)  # fmt: skip
def test_what_is_the_same_observation_in_two_baselines(old: str, new: str, is_same: bool) -> None:
    labels = []
    for text in (old, new):
        name = parse_name(text)
        assert name is not None
        labels.append(MISSIONS[name.mission].observation_of(name).label)
    assert all(labels) and (labels[0] == labels[1]) is is_same


@pytest.mark.parametrize(
    ("text", "label", "is_unique"),
    [
        (BIO, "T_G01_M01_C01_T001_F222", True),
        # A stack, level 0 without a frame, a drifting orbit, a tile.
        ("BIO_FP_FH__L2A_20260607T223212_20260619T223240_T_G01_M03_C___T014_F192_02_DTZJH5",
         "T_G01_M03_C___T014_F192", True),
        ("BIO_S1_RAW__0M_20251121T094510_20251121T095758_T_G01_M01_C01_T006_F____01_DNGC54",
         "T_G01_M01_C01_T006_F___", False),
        ("BIO_S1_DGM__1S_20251121T094510_20251121T094530_C_G___M___CDR_T006_F001_01_DNGC54",
         "C_G___M___CDR_T006_F001", False),
        ("BIO_FP_FH__L2B_20260607T223212_20260619T223240_T_G01_M03_C___TN01E012_B021_02_DTZJH5",
         "T_G01_M03_C___TN01E012_B021", False),
        # Nothing but the sensing start.
        ("BIO_AUX_ORB____20260607T223212_20260608T223240_01_DTZJH5", "", False),
        ("CS_OFFL_SIR_SIN_1B_20220917T082319_20220917T082404_E001", "", False),
        ("AE_OPER_ALD_U_N_2B_20191216T070123_20191216T083159_0001", "", False),
        ("ECA_EXAA_AUX_ORBPRE_20250316T000000Z_20250412T000000Z_0001.EOF", "", False),
    ],
)  # fmt: skip
def test_where_names_do_not_say_all_of_it_the_start_decides(text: str, label: str, is_unique: bool) -> None:
    name = parse_name(text)
    assert name is not None and MISSIONS[name.mission].observation_of(name) == (label, is_unique)
