"""Aeolus: its names, collections and product types (docs/service.md, File names)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from maap_tui.engine.file_names import FileName, parse_stamp
from maap_tui.engine.missions.base import Mission, Observation, Product

_LEVEL1 = (
    r"AE_(?P<class>[A-Z]{4})_(?P<type>[A-Z0-9_]{10})_(?P<start>\d{8}T\d{9})_(?P<duration>\d{9})_"
    r"(?P<orbit>\d{6})_(?P<version>\d{4})(?:\.[A-Za-z0-9]{1,5})?"
)
_SPAN = (
    r"AE_(?P<class>[A-Z]{4})_(?P<type>[A-Z0-9_]{10})_(?P<start>\d{8}T\d{6})_(?P<stop>\d{8}T\d{6})_"
    r"(?P<version>\d{4})(?:\.[A-Za-z0-9]{1,5})?"
)
_FOLDER = r"/(?P<type>[A-Z0-9_]{10})/(?P<baseline>[A-Za-z0-9]{2,8})/\d{4}/\d{2}/\d{2}/"


def parse(name: str, url: str) -> FileName | None:
    """Read `AE_OPER_ALD_U_N_1B_20230422T165721033_005543989_027018_0001`.

    The baseline is not in the name: it is the folder after the product type in the URL or path.
    """
    match = re.fullmatch(_LEVEL1, name) or re.fullmatch(_SPAN, name)
    if match is None:
        return None
    parts = match.groupdict()
    try:
        if "duration" in parts:
            stamp = parts["start"]
            start = parse_stamp(stamp[:15]) + timedelta(milliseconds=int(stamp[15:]))
            end = start + timedelta(milliseconds=int(parts["duration"]))
        else:
            start, end = parse_stamp(parts["start"]), parse_stamp(parts["stop"])
    except ValueError:
        return None
    product_type = parts["type"]
    folder = next((found for found in re.finditer(_FOLDER, url) if found["type"] == product_type), None)
    return FileName(
        stem=name.split(".", 1)[0],
        mission="Aeolus",
        product_type=product_type,
        baseline=folder["baseline"] if folder else None,
        sensing_start=start,
        sensing_end=end,
        orbit=int(parts["orbit"]) if "orbit" in parts else None,
        agency="ESA",
    )


def observation_of(name: FileName) -> Observation:
    """The lower levels have an orbit in their names, which may be cut; the others have the sensing start."""
    return Observation("" if name.orbit is None else f"{name.orbit:06d}")


MISSION = Mission(
    name="Aeolus",
    formats=("dbl", "nc", "bufr", "eef"),
    all_formats=("dbl", "nc", "bufr", "eef", "hdr", "zip"),
    collections=(
        "AeolusL0ProductsB16",
        "AeolusL1AProducts",
        "AeolusL1ANetCDFProducts",
        "AeolusL1BProducts",
        "AeolusEOLL1BProducts",
        "AeolusL2AProducts",
        "AeolusEOLL2AProducts",
        "AeolusL2BProducts",
        "AeolusEOLL2BProducts",
        "AeolusL2BBUFRProducts",
        "AeolusL2CProducts",
        "AeolusEOLL2CProducts",
        "AeolusAuxProducts",
        "AeolusAdditionalProducts",
    ),
    prefixes=("Aeolus",),
    start=datetime(2018, 8, 22, tzinfo=UTC),
    end=datetime(2023, 8, 1, tzinfo=UTC),
    orbit_digits=6,
    observation_of=observation_of,
    products={
        "ALD_U_N_1A": Product("", "1A", "ALADIN", "engineering-corrected measurements"),
        "ALD_U_N_1B": Product("", "1B", "ALADIN", "calibrated wind lines of sight"),
        "ALD_U_N_2A": Product("", "2A", "ALADIN", "aerosol and cloud optical properties"),
        "ALD_U_N_2B": Product("", "2B", "ALADIN", "scientific wind profiles"),
        "ALD_U_N_2C": Product("", "2C", "ALADIN", "assisted wind profiles"),
    },
    parse=parse,
)
