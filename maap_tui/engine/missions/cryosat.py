"""CryoSat: its names, collections and product types (docs/service.md, File names)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from maap_tui.engine.file_names import FileName, parse_stamp
from maap_tui.engine.missions.base import Mission, Observation, Product

_NAME = (
    r"CS_(?P<class>[A-Z_]{4})_(?P<type>[A-Z0-9_]{10})_(?P<start>\d{8}T\d{6})_(?P<stop>\d{8}T\d{6})_"
    r"(?P<baseline>[A-Z]\d{3})(?:\.[A-Za-z0-9]{1,5})?"
)


def parse(name: str, url: str) -> FileName | None:
    """Read `CS_OFFL_SIR_SIN_1B_20220917T082319_20220917T082404_E001`."""
    match = re.fullmatch(_NAME, name)
    if match is None:
        return None
    try:
        start, stop = parse_stamp(match["start"]), parse_stamp(match["stop"])
    except ValueError:
        return None
    return FileName(
        stem=name.split(".", 1)[0],
        mission="CryoSat",
        product_type=match["type"],
        baseline=match["baseline"],
        sensing_start=start,
        sensing_end=stop,
        agency="ESA",
        processing=match["class"],
    )


def version_of(name: FileName) -> tuple[tuple[object, ...], tuple[Any, ...]]:
    """One stretch may be there as OFFL and as LTA_, and in several baselines.

    The highest baseline is the newest, then its version, then the long-term archive's.
    """
    baseline = name.baseline or ""
    key = (name.product_type, name.sensing_start, name.sensing_end)
    return key, (baseline[:1], baseline[1:], name.processing == "LTA_", name.processing)


def observation_of(name: FileName) -> Observation:
    """Names have neither orbit nor frame: the sensing start says it."""
    return Observation("")


def _products() -> dict[str, Product]:
    modes = {"LRM": "low resolution mode", "SAR": "SAR mode", "SIN": "SARIn mode"}
    found = {}
    for mode, words in modes.items():
        found[f"SIR_{mode}_1B"] = Product("", "1B", "SIRAL", f"waveforms, {words}")
        found[f"SIR_{mode}_2_"] = Product("", "2", "SIRAL", f"elevations, {words}")
        found[f"SIR_{mode}I2_"] = Product("", "2", "SIRAL", f"elevations over ice, {words}")
    found["SIR_GDR_2_"] = Product("GDR", "2", "SIRAL", "geophysical data record, all modes")
    return found


MISSION = Mission(
    name="CryoSat",
    formats=("nc",),
    all_formats=("nc", "hdr", "dbl", "zip"),
    collections=("CryoSatIceL110",),
    prefixes=("CryoSat", "Cryosat", "cryosat"),
    start=datetime(2010, 4, 8, tzinfo=UTC),
    has_orbits=False,
    has_versions=True,
    version_of=version_of,
    observation_of=observation_of,
    # A stretch in one mode may be over after some seconds, and the next one begins.
    start_tolerance=timedelta(seconds=10),
    products=_products(),
    parse=parse,
)
