"""EarthCARE: its names, frames, collections and product types (docs/service.md, File names)."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from maap_tui.engine.file_names import FileName, parse_stamp
from maap_tui.engine.missions.base import Mission, OrbitFiles, Product, Repeat

_NAME = (
    r"ECA_(?P<agency>[EJ])(?P<latency>[A-Z])(?P<baseline>[A-Z]{2})_(?P<type>[A-Z0-9_]{10})_"
    r"(?P<start>\d{8}T\d{6})Z_(?P<second>\d{8}T\d{6})Z_(?P<orbit>\d{4,6})(?P<frame>[A-Z]?)"
    r"(?:\.[A-Za-z0-9]{1,5})?"
)


def _time(text: str) -> datetime | None:
    try:
        return parse_stamp(text)
    except ValueError:
        return None  # 99999999T999999 stands for an open end; anything else impossible says nothing


def parse(name: str, url: str) -> FileName | None:
    """Read `ECA_EXBA_MSI_COP_2A_20250316T133058Z_20250912T203345Z_04537E`."""
    match = re.fullmatch(_NAME, name)
    if match is None:
        return None
    start = _time(match["start"])
    if start is None:
        return None
    second = _time(match["second"])
    # Orbit files (AUX_ORB*, MPL_ORB*) carry the stop time and a version where others carry the
    # creation time and the orbit; they have no frame letter and four digits.
    is_orbit_file = not match["frame"] and len(match["orbit"]) == 4
    return FileName(
        stem=name.split(".", 1)[0],
        mission="EarthCARE",
        product_type=match["type"].rstrip("_") if is_orbit_file else match["type"],
        baseline=match["baseline"],
        sensing_start=start,
        sensing_end=second if is_orbit_file else None,
        created=None if is_orbit_file else second,
        orbit=None if is_orbit_file else int(match["orbit"]),
        frame=match["frame"] or None,
        agency="JAXA" if match["agency"] == "J" else "ESA",
    )


def orbit_time(orbit: int) -> datetime:
    """About when an orbit was flown: 389 orbits in 25 days, orbit 6675 on 2025-08-01."""
    anchor = datetime(2025, 8, 1, tzinfo=UTC)
    return datetime.fromtimestamp(anchor.timestamp() + (orbit - 6675) * 25 * 86400 / 389, tz=UTC)


def frame_at(latitude: float, is_ascending: bool) -> tuple[str, int]:
    """The frame that a place below the satellite is in, and 1 where it belongs to the orbit of the next node.

    Frames are cut at 22.5 and 67.5 degrees; A begins before the node that gives its orbit the number.
    """
    if abs(latitude) > 67.5:
        return ("C" if latitude > 0 else "G"), 0
    if abs(latitude) <= 22.5:
        return ("A", int(latitude < 0)) if is_ascending else ("E", 0)
    rising, falling = ("B", "D") if latitude > 0 else ("H", "F")
    return (rising if is_ascending else falling), 0


def _products() -> dict[str, Product]:
    rows = """
ATL_NOM_0_||0|ATLID|raw packets
BBR_NOM_0_||0|BBR|raw packets
CPR_NOM_0_||0|CPR|raw packets
MSI_NOM_0_||0|MSI|raw packets
TLM_NOM_0_||0|GPS, star tracker|raw telemetry
ATL_NOM_1B|A-NOM|1B|ATLID|calibrated attenuated backscatter
ATL_DCC_1B||1B|ATLID|dark current calibration
ATL_CSC_1B||1B|ATLID|coarse spectral calibration
ATL_FSC_1B||1B|ATLID|fine spectral calibration
BBR_NOM_1B|B-NOM|1B|BBR|radiances per domain
BBR_SNG_1B|B-SNG|1B|BBR|single-pixel radiances
BBR_SOL_1B||1B|BBR|solar calibration
BBR_LIN_1B||1B|BBR|linearity calibration
CPR_NOM_1B|C-NOM|1B|CPR|radar reflectivity and Doppler velocity
MSI_NOM_1B|M-NOM|1B|MSI|calibrated radiances
MSI_RGR_1C|M-RGR|1C|MSI|re-gridded radiances
MSI_BBS_1B||1B|MSI|black body calibration
MSI_SD1_1B||1B|MSI|sun diffuser calibration
MSI_SD2_1B||1B|MSI|sun diffuser calibration
MSI_DRK_1B||1B|MSI|dark calibration
MSI_TRF_1B||1B|MSI|telemetry calibration
AUX_JSG_1D|X-JSG|1D||joint standard grid
AUX_MET_1D|X-MET|1D|ECMWF|meteorology along the swath
ATL_FM__2A|A-FM|2A|ATLID|feature mask
ATL_AER_2A|A-AER|2A|ATLID|aerosol extinction and backscatter
ATL_EBD_2A|A-EBD|2A|ATLID|extinction, backscatter, depolarisation
ATL_ICE_2A|A-ICE|2A|ATLID|ice cloud properties
ATL_TC__2A|A-TC|2A|ATLID|target classification
ATL_ALD_2A|A-ALD|2A|ATLID|aerosol layers
ATL_CTH_2A|A-CTH|2A|ATLID|cloud top height
CPR_FMR_2A|C-FMR|2A|CPR|feature mask and reflectivity
CPR_CD__2A|C-CD|2A|CPR|Doppler velocity
CPR_TC__2A|C-TC|2A|CPR|target classification
CPR_CLD_2A|C-CLD|2A|CPR|cloud and precipitation properties
CPR_APC_2A|C-APC|2A|CPR|antenna pointing
MSI_CM__2A|M-CM|2A|MSI|cloud mask
MSI_COP_2A|M-COP|2A|MSI|cloud optical properties
MSI_AOT_2A|M-AOT|2A|MSI|aerosol optical thickness
AC__TC__2B|AC-TC|2B|ATLID, CPR|merged target classification
AM__ACD_2B|AM-ACD|2B|ATLID, MSI|aerosol column
AM__CTH_2B|AM-CTH|2B|ATLID, MSI|cloud top height
AM__MO__2B|AM-MO|2B|ATLID, MSI|merged observations
ACM_CAP_2B|ACM-CAP|2B|ATLID, CPR, MSI|best-estimate cloud, aerosol and precipitation
ACM_COM_2B|ACM-COM|2B|ATLID, CPR, MSI|composite of cloud, aerosol and precipitation
ACM_RT__2B|ACM-RT|2B|ATLID, CPR, MSI|radiative transfer
BM__RAD_2B|BM-RAD|2B|BBR, MSI|unfiltered radiances
BMA_FLX_2B|BMA-FLX|2B|BBR, MSI, ATLID|top-of-atmosphere fluxes
ALL_3D__2B|ACMB-3D|2B|all four|scene construction
ALL_DF__2B|ACMB-DF|2B|all four|radiative closure assessment
CPR_ECO_2A||2A|CPR|echo product (JAXA)
CPR_CLP_2A||2A|CPR|cloud product (JAXA)
ATL_CLA_2A||2A|ATLID|cloud and aerosol product (JAXA)
MSI_CLP_2A||2A|MSI|cloud product (JAXA)
AC__CLP_2B||2B|ATLID, CPR|synergy cloud product (JAXA)
ACM_CLP_2B||2B|ATLID, CPR, MSI|synergy cloud product (JAXA)
ALL_RAD_2B||2B|all four|radiation budget (JAXA)
AUX_ORBPRE||AUX||predicted orbit
AUX_ORBRES||AUX||restituted orbit
MPL_ORBSCT||AUX||orbit scenario
GEO_ATTOBS||AUX||observed attitude
GEO_ORBOBS||AUX||observed orbit
AUX_STAT_M||AUX|MSI|static tables
AUX_TBBL_M||AUX|MSI|black body tables
AUX_TSCO_M||AUX|MSI|telescope coefficients
AUX_VRAD_M||AUX|MSI|radiance tables
AUX_CSMO_M||AUX|MSI|spectral model tables
"""
    return {row[0]: Product(*row[1:]) for row in (line.split("|") for line in rows.strip().splitlines())}


MISSION = Mission(
    name="EarthCARE",
    formats=("h5", "eof", "dbl"),
    all_formats=("h5", "eof", "dbl", "hdr", "zip"),
    # Of each level first what everybody may have: the same granules are in all of its collections.
    collections=(
        "EarthCAREL1Validated_MAAP",
        "EarthCAREL1InstChecked_MAAP",
        "EarthCAREL0L1Products_MAAP",
        "EarthCAREL2Validated_MAAP",
        "EarthCAREL2InstChecked_MAAP",
        "EarthCAREL2Products_MAAP",
        "EarthCAREAuxiliary_MAAP",
        "EarthCAREOrbitData_MAAP",
        "EarthCAREXMETL1DProducts10_MAAP",
        "JAXAL2Validated_MAAP",
        "JAXAL2InstChecked_MAAP",
        "JAXAL2Products_MAAP",
    ),
    prefixes=("EarthCARE", "JAXAL"),
    start=datetime(2024, 5, 28, tzinfo=UTC),
    end=datetime(2046, 1, 1, tzinfo=UTC),
    frames="ABCDEFGH",
    products=_products(),
    repeat=Repeat(25, 389),
    orbit_files=OrbitFiles("EarthCAREOrbitData_MAAP", "AUX_ORBPRE", "MPL_ORBSCT"),
    frame_at=frame_at,
    track_product=("EarthCAREL1Validated_MAAP", "ATL_NOM_1B"),
    unindexed=frozenset({"AUX_MET_1D", "AUX_JSG_1D"}),
    newest_only=frozenset({"AUX_MET_1D"}),
    parse=parse,
    orbit_time=orbit_time,
)
