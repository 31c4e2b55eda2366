"""What differs by mission: names of files, default formats, collections, start and end, frames.

One file a mission; this one is their registry. Everything else asks here and never by mission name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.file_names import ALL, FORMAT_NAMES, FileName, format_of, has_format
from maap_tui.engine.missions import aeolus, biomass, cryosat, earthcare, flex
from maap_tui.engine.missions.base import Mission, Observation, Product
from maap_tui.engine.storage.names import is_name

MISSIONS: dict[str, Mission] = {
    m.name: m for m in (earthcare.MISSION, aeolus.MISSION, biomass.MISSION, cryosat.MISSION, flex.MISSION)
}
"""The missions this program knows, by name."""

__all__ = [
    "MISSIONS",
    "Mission",
    "Observation",
    "Product",
    "all_formats",
    "collections_in_use",
    "default_collections",
    "folder_of",
    "format_of",
    "granule_name",
    "has_format",
    "mission_named",
    "mission_of_collection",
    "parse_name",
]


def mission_named(name: str) -> Mission:
    """The mission of that name, compared without case; an unknown one gets the generic rules.

    Raises:
        InvalidRequestError: when the name cannot be a folder name.
    """
    for mission in MISSIONS.values():
        if mission.name.lower() == name.lower():
            return mission
    if not is_name(name):
        raise InvalidRequestError(f"'{name}' is not a mission name", f"Use one of {', '.join(MISSIONS)}.")
    return Mission(name=name, formats=("h5", "nc", "dbl", "zip", "eof", "eef", "bufr", "hdr"), is_known=False)


def mission_of_collection(collection: str, setting: str = "") -> Mission:
    """The mission a collection belongs to; `setting` decides only when the collection does not say it."""
    for mission in MISSIONS.values():
        if mission.owns(collection):
            return mission
    if setting:
        return mission_named(setting)
    # A folder has to be named after something: the leading letters of the collection, as in
    # SwarmLevel1b -> Swarm.
    lead = re.match(r"[A-Z][a-z]+(?:[A-Z][a-z]+)*?(?=[A-Z0-9_]|$)", collection)
    return mission_named(lead.group(0) if lead else "Other")


def parse_name(name: str) -> FileName | None:
    """What a file name, id or URL says; None when no mission knows its form."""
    last = name.rstrip("/").rsplit("/", 1)[-1].split("?", 1)[0]
    for mission in MISSIONS.values():
        found = mission.parse(last, name)
        if found is not None:
            return found
    return None


def granule_name(url: str) -> str:
    """The granule that a file belongs to: its id as far as the address gives it, otherwise the address."""
    name = parse_name(url)
    return name.stem if name is not None else url


def folder_of(url: str) -> str:
    """The folder that a file has to itself and its granule, named after it; '' where none is needed."""
    name = parse_name(url)
    if name is None or format_of(url) == "zip" or not MISSIONS[name.mission].has_folders:
        return ""
    return name.stem


def all_formats() -> tuple[str, ...]:
    """Every format name, and `all`."""
    return (*FORMAT_NAMES, ALL)


def collections_in_use(chosen: Iterable[str], mission_name: str, extend: Iterable[str]) -> list[str]:
    """The collections that are meant where none is named, in the order they are listed.

    Args:
        chosen: the setting `mission.collections`; without any, those of the mission.
        mission_name: the setting `mission.name`; '' means every known mission.
        extend: the setting `mission.collections_extend`.
    """
    names = list(chosen)
    if not names:
        names = list(mission_named(mission_name).collections) if mission_name else default_collections()
    return list(dict.fromkeys([*names, *extend]))


def default_collections(extra: Iterable[str] = ()) -> list[str]:
    """The collections of every known mission, then `extra`, without repeats."""
    names = [name for mission in MISSIONS.values() for name in mission.collections]
    return list(dict.fromkeys([*names, *extra]))
