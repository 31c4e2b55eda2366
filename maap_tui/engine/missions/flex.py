"""FLEX: its names, collections and product types (docs/service.md, File names).

The names are those of simulated products, and what their groups of digits mean is our reading. The archive
has FLEX in pre-operations so far; the identifiers of its collections may still change.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from maap_tui.engine.file_names import FileName, parse_stamp
from maap_tui.engine.missions.base import Mission, Observation, Product

_HEAD = r"FLX_(?P<type>[A-Z0-9_]{10})_(?P<start>\d{8}T\d{6})_(?P<stop>\d{8}T\d{6})_(?P<created>\d{8}T\d{6})_"
_SUFFIX = r"_(?P<baseline>\d{2})(?:\.[A-Za-z0-9]{1,5})?"
_SEGMENT = _HEAD + r"\d{4}_\d{3}_(?P<track>\d{3})_(?P<frame>\d{4})" + _SUFFIX
_SPOT = (
    r"FLX_.{10}(?:_\d{8}T\d{6}){3}_(?:\d{4}_)?(?P<spot>(?:[0-9]{2}[A-Z]{3}_)?\d{3}_\d{3}(?:_\d{4})?)_\d{2}"
)
_TILE = _HEAD + r"[0-9]{2}[A-Z]{3}_\d{3}_(?P<track>\d{3})" + _SUFFIX


def parse(name: str, url: str) -> FileName | None:
    """Read `FLX_L1B_OBS____20230712T075954_20230712T080232_20260310T131535_0158_100_064_0021_01`.

    Level 2 has a tile in place of duration and frame. A file inside of a granule is known by its folder.
    """
    if "FLX_" not in url:
        return None
    for segment in (name, *reversed(url.split("?", 1)[0].split("/")[:-1])):
        match = re.fullmatch(_SEGMENT, segment) or re.fullmatch(_TILE, segment)
        if match is not None:
            break
    else:
        return None
    parts = match.groupdict()
    try:
        start, stop, created = (parse_stamp(parts[key]) for key in ("start", "stop", "created"))
    except ValueError:
        return None
    return FileName(
        stem=segment.split(".", 1)[0],
        mission="FLEX",
        product_type=parts["type"],
        baseline=parts["baseline"],
        sensing_start=start,
        sensing_end=stop,
        created=created,
        frame=parts.get("frame"),
        agency="ESA",
        track=parts["track"],
    )


def observation_of(name: FileName) -> Observation:
    """The cycle, the track and the frame or tile, `100_064_0021`, `36TYK_100_064`.

    The sensing start has to agree too, as what these groups mean is our reading.
    """
    found = re.fullmatch(_SPOT, name.stem)
    return Observation(found["spot"] if found is not None else "")


MISSION = Mission(
    name="FLEX",
    formats=("zip",),
    all_formats=("zip", "nc", "xml"),
    collections=("FLEXL1Products", "FLEXL2Products"),
    prefixes=("FLEX",),
    # Simulated products carry times from before the launch.
    start=datetime(2022, 1, 1, tzinfo=UTC),
    frame_digits=4,
    track_digits=3,
    has_orbits=False,
    observation_of=observation_of,
    has_folders=True,
    products={
        "L1B_OBS___": Product("", "1B", "FLORIS", "calibrated radiances"),
        "L1C_FLXSYN": Product("", "1C", "FLORIS", "radiances on the common grid with Sentinel-3"),
        "L2__FLXSYN": Product("", "2", "FLORIS", "fluorescence and vegetation"),
    },
    parse=parse,
)
