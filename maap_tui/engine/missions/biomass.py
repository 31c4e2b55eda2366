"""Biomass: its names, tracks, frames, collections and product types (docs/service.md, File names)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from maap_tui.engine.file_names import MEASUREMENT, FileName, parse_stamp
from maap_tui.engine.missions.base import Mission, Observation, Product

_HEAD = r"BIO_(?P<type>[A-Z0-9_]{10})_(?P<start>\d{8}T\d{6})_(?P<stop>\d{8}T\d{6})_"
_GRANULE = _HEAD + r"(?P<middle>(?:[A-Z0-9_]*_)?)(?P<baseline>\d{2})_(?P<code>[0-9A-Z]{6})"
_HEAD_LENGTH = 47
"""Characters that a name begins with before what `_PLACE` describes."""
_FILE = _HEAD + r"[A-Z0-9_]*(?:\.[A-Z0-9]{1,5})?"
"""A file of a granule, whose name goes on after the frame as it likes."""
_TRACK = r"(?:^|_)T(\d{3})(?:_|$)"
_FRAME = r"(?:^|_)F(\d{3})(?:_|$)"
_PLACE = (
    r"(?P<spot>[A-Z]_G[0-9_]{2}_M[0-9_]{2}_C[0-9A-Z_]{2}_T(?:\d{3}_F[0-9_]{3}|[A-Z0-9]+_B[A-Z0-9]+))(?:_|$)"
)
"""Phase, global coverage, major cycle and repeat cycle, then track and frame, or tile and basin."""
_UNIQUE = r"[A-Z]_G\d{2}_M\d{2}_C(?:\d{2}|__)_T\d{3}_F\d{3}"
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


def parse(name: str, url: str) -> FileName | None:
    """Read `BIO_S2_DGM__1S_20251212T011542_20251212T011603_T_G01_M01_C01_T001_F222_01_DJJDIM`.

    The files of a granule have lower-case names that may lack baseline and creation code; the folder that
    they are in has the name of the granule.
    """
    # Files named after nothing, such as a schema, are known by their folder alone.
    if "bio_" not in url.lower():
        return None
    segments = [part for part in re.split(r"[/\\]", url.split("?", 1)[0]) if part]
    for segment in (name, *reversed(segments[:-1])):
        found = re.fullmatch(_GRANULE, segment.split(".", 1)[0].upper())
        if found is not None:
            return _name_of(found[0], found.groupdict())
    found = re.fullmatch(_FILE, name.upper())
    if found is None:
        return None
    return _name_of(name.split(".", 1)[0].upper(), found.groupdict() | {"middle": name.upper()})


def _name_of(stem: str, parts: dict[str, str]) -> FileName | None:
    try:
        start, stop = parse_stamp(parts["start"]), parse_stamp(parts["stop"])
        code = parts.get("code", "")
        created = _EPOCH + timedelta(seconds=int(code, 36)) if code else None
    except (ValueError, OverflowError):
        return None
    track, frame = re.search(_TRACK, parts["middle"]), re.search(_FRAME, parts["middle"])
    return FileName(
        stem=stem,
        mission="Biomass",
        product_type=parts["type"],
        baseline=parts.get("baseline"),
        sensing_start=start,
        sensing_end=stop,
        created=created,
        frame=frame[1] if frame else None,
        agency="ESA",
        track=track[1] if track else None,
        processing=code,
    )


def version_of(name: FileName) -> tuple[tuple[object, ...], tuple[Any, ...]]:
    """Granules that differ in the last six characters alone are processings of one; the code counts time."""
    code = name.processing
    return (name.stem.removesuffix(f"_{code}") if code else name.stem,), (code,)


def observation_of(name: FileName) -> Observation:
    """Coverage, cycles, track and frame say it, `T_G01_M01_C01_T001_F222`.

    A stack has no repeat cycle, as it has all of a major cycle. Without a frame, or where the orbit drifts,
    there may be several, which begin at different times.
    """
    found = re.search(_PLACE, name.stem[_HEAD_LENGTH:])
    if found is None:
        return Observation("")
    return Observation(found["spot"], is_unique=re.fullmatch(_UNIQUE, found["spot"]) is not None)


_CONTENT = {
    "RAW": ("0", "raw packets"),
    "SCS": ("1A", "single-look complex, slant range"),
    "DGM": ("1B", "detected, ground range, multi-looked"),
    "STA": ("1C", "coregistered stack"),
}


def _products() -> dict[str, Product]:
    found = {}
    for swath in ("S1", "S2", "S3"):
        for kind, (level, content) in _CONTENT.items():
            head = f"{swath}_{kind}__{level[0]}"
            found[f"{head}S"] = Product("", level, "P-band SAR", content)
            found[f"{head}M"] = Product("", level, "P-band SAR", f"{content}, metadata only")
    found["FP_FH__L2A"] = Product("FH", "2A", "P-band SAR", "forest height")
    found["FP_GN__L2A"] = Product("GN", "2A", "P-band SAR", "ground-notched backscatter")
    found["FP_FD__L2A"] = Product("FD", "2A", "P-band SAR", "forest disturbance")
    return found


MISSION = Mission(
    name="Biomass",
    # What has no measurement, such as level 0 and auxiliary files, is only had whole.
    formats=(MEASUREMENT, "zip"),
    all_formats=(MEASUREMENT, "tiff", "nc", "xml", "kml", "png", "zip"),
    collections=(
        "BiomassLevel0",
        "BiomassLevel0IOC",
        "BiomassLevel1a",
        "BiomassLevel1aIOC",
        "BiomassLevel1b",
        "BiomassLevel1bIOC",
        "BiomassLevel1c",
        "BiomassLevel1cIOC",
        "BiomassLevel2a",
        "BiomassLevel2aIOC",
        "BiomassLevel2b",
        "BiomassLevel2bIOC",
        "BiomassAux",
        "BiomassAuxIOC",
        "BiomassAuxRest",
        "BiomassSimulated",
    ),
    prefixes=("Biomass",),
    start=datetime(2025, 4, 29, tzinfo=UTC),
    # Simulated products carry times from before the launch.
    starts={"BiomassSimulated": datetime(2015, 1, 1, tzinfo=UTC)},
    frame_digits=3,
    track_digits=3,
    has_folders=True,
    has_versions=True,
    version_of=version_of,
    observation_of=observation_of,
    products=_products(),
    no_repeat="drifts: it passes over an area a few times, three days apart, and goes on to another one",
    parse=parse,
)
