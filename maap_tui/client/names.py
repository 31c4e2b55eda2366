"""What file names and URLs say, and where files go: the functions that scripts import from `paths`.

Each asks the engine's own rules. A name that no mission knows says nothing but its times.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from maap_tui.engine.file_names import FileName, parse_stamp
from maap_tui.engine.missions import aeolus, earthcare, mission_named, parse_name
from maap_tui.engine.storage import layout
from maap_tui.engine.storage.names import safe_name

EARTHCARE_DATA_URL = "https://catalog.maap.eo.esa.int/data/earthcare-pdgs-01/EarthCARE"
"""Root of EarthCARE's files at the archive; below it the layout follows from the file's name."""

_TIME = re.compile(r"_(\d{8}T\d{6})Z?_")


def _base(uri: str) -> str:
    return str(uri).rstrip("/").rpartition("/")[2]


def _of(uri: str, *missions: str) -> FileName | None:
    name = parse_name(str(uri))
    return name if name is not None and (not missions or name.mission in missions) else None


def extract_sensing_time(filename: str) -> datetime | None:
    """The sensing start, UTC; of a name that no mission knows, its first `_YYYYMMDDTHHMMSSZ_`."""
    name = _of(filename)
    if name is not None:
        return name.sensing_start
    found = _TIME.search(_base(filename))
    try:
        return parse_stamp(found[1]) if found else None
    except ValueError:
        return None


def extract_creation_time(filename: str) -> datetime | None:
    """The processing time, UTC; None for names without one, Aeolus and orbit files among them."""
    name = _of(filename)
    return name.created if name else None


def extract_orbit_frame(filename: str) -> str | None:
    """`07282E` for EarthCARE, six digits for Aeolus; None without an orbit."""
    name = _of(filename)
    if name is None or name.orbit is None:
        return None
    return f"{name.orbit:0{mission_named(name.mission).orbit_digits}d}{name.frame or ''}"


def extract_agency(filename: str) -> str | None:
    """`EX` (ESA) or `JX` (JAXA) and the like, agency and latency as the name has them; `EX` for Aeolus."""
    name = _of(filename, earthcare.MISSION.name, aeolus.MISSION.name)
    if name is None:
        return None
    return name.stem[4:6] if name.mission == earthcare.MISSION.name else "EX"


def extract_file_class(filename: str) -> str | None:
    """`OPER`, `RPRO` and the like of an Aeolus name; None for others."""
    name = _of(filename, aeolus.MISSION.name)
    return name.stem.split("_")[1] if name else None


def extract_duration_ms(filename: str) -> int | None:
    """The sensing duration in milliseconds of an Aeolus name that has one; None for others."""
    name = _of(filename, aeolus.MISSION.name)
    if name is None or name.orbit is None or name.sensing_end is None:
        return None
    return round((name.sensing_end - name.sensing_start).total_seconds() * 1000)


def extract_file_version(filename: str) -> str | None:
    """The four digits of version at the end of an Aeolus name; None for others."""
    name = _of(filename, aeolus.MISSION.name)
    return name.stem.rpartition("_")[2] if name else None


def extract_baseline(uri: str) -> str | None:
    """The baseline: in EarthCARE's names, and for Aeolus the folder after the product type in the URL."""
    name = _of(uri)
    return name.baseline if name else None


def extract_product(filename: str) -> str | None:
    """The product type, such as `BM__RAD_2B`."""
    name = _of(filename)
    return name.product_type if name else None


def extract_mission(filename: str) -> str | None:
    """`ECA` or `AE`, as the name begins; None for others."""
    return next((one for one in ("ECA", "AE") if _base(filename).startswith(f"{one}_")), None)


def extract_info(uri: str) -> dict[str, Any]:
    """All that a name or URL says, under the names of `GranuleInfo`'s fields."""
    return {
        "filename": _base(uri),
        "mission": extract_mission(uri),
        "agency": extract_agency(uri),
        "baseline": extract_baseline(uri),
        "product_type": extract_product(uri),
        "sensing_time": extract_sensing_time(uri),
        "creation_time": extract_creation_time(uri),
        "orbit_frame": extract_orbit_frame(uri),
    }


def extract_collection(path: str | Path) -> str | None:
    """The collection of a path in the dated layout that agrees with the file's name; None for others."""
    found = layout.collection_of(path)
    name = _of(str(path))
    if found is None or name is None:
        return None
    collection, product_type, baseline, day = found
    said = (name.product_type, name.baseline or baseline, name.sensing_start.date())
    return collection if said == (product_type, baseline, day) else None


def generate_data_path(
    data_dir: Path,
    mission: str,
    collection: str,
    product_type: str,
    baseline: str,
    dt: datetime,
    filename: str,
    product_dir: bool = False,
) -> Path:
    """Where a file goes; arguments as those of `layout.granule_path`, with the sensing start `dt`.

    Raises:
        InvalidRequestError: when a name is not safe as part of a path.
    """
    day = dt.date()
    names = (mission, collection, product_type, baseline)
    return layout.granule_path(Path(data_dir), *names, day, filename, product_dir=product_dir)


def generate_registry_path(
    registry_dir: Path, prefix: str, mission: str, collection: str, product_type: str, baseline: str
) -> Path:
    """The folder of one baseline in a tree (`urls`, `downloads`, `marked`) of the registry.

    Raises:
        InvalidRequestError: when a name is not safe as part of a path.
    """
    parts = (prefix, mission, collection, product_type, baseline)
    return Path(registry_dir).joinpath(*map(safe_name, parts))


def url_to_local_path(
    url: str, data_dir: Path, mission: str, collection: str, product_dir: bool = False
) -> Path | None:
    """Where a URL's file goes; None when its name does not say product type, baseline and day.

    Raises:
        InvalidRequestError: when a name is not safe as part of a path.
    """
    name = _of(url)
    if name is None or name.baseline is None:
        return None
    return generate_data_path(
        data_dir, mission, collection, name.product_type, name.baseline, name.sensing_start, _base(url),
        product_dir,
    )  # fmt: skip


def filename_to_url(filename: str) -> str | None:
    """Where the archive has an EarthCARE file; None for other names."""
    name = _of(filename, earthcare.MISSION.name)
    if name is None or name.baseline is None:
        return None
    day = f"{name.sensing_start:%Y/%m/%d}"
    folder = f"{EARTHCARE_DATA_URL}/{name.product_type}/{name.baseline}/{day}"
    return f"{folder}/{name.stem}/{name.stem}/{_base(filename)}"


def sort_by_sensing_time(items: Sequence[str], reverse: bool = False) -> list[str]:
    """Oldest first, or newest first; what says no time comes last."""
    times = [(extract_sensing_time(item), item) for item in items]
    dated = [(time, item) for time, item in times if time is not None]
    rest = [item for time, item in times if time is None]
    return [item for _, item in sorted(dated, key=lambda one: one[0], reverse=reverse)] + rest


def filter_by_sensing_time(
    items: Sequence[str], start: datetime | None = None, end: datetime | None = None
) -> list[str]:
    """What starts within [start, end]; without both everything, with one nothing that says no time."""
    if start is None and end is None:
        return list(items)
    return [
        item
        for item in items
        if (time := extract_sensing_time(item)) is not None
        and (start is None or start <= time)
        and (end is None or time <= end)
    ]


def filter_by_orbit_frame(
    items: Sequence[str], orbit: int | None = None, frames: Sequence[str] | None = None
) -> list[str]:
    """What is of this orbit and of one of these frames; without both everything."""
    if orbit is None and not frames:
        return list(items)
    named = [(item, name) for item in items if (name := _of(item)) is not None and name.orbit is not None]
    return [
        item
        for item, name in named
        if (orbit is None or name.orbit == orbit) and (not frames or name.frame in frames)
    ]
