"""Choices: what a saved search or a study asks for, as the query that it means."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from maap_tui.engine.areas import geometry_of, read_file
from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.missions import Mission
from maap_tui.engine.query import (
    Box,
    Query,
    parse_formats,
    parse_numbers,
    read_frames,
    read_orbits,
    read_tracks,
)
from maap_tui.engine.saved_searches import Choices
from maap_tui.engine.sites import read_circle
from maap_tui.engine.time_words import asked_time
from maap_tui.engine.workflows.build import newest_baseline
from maap_tui.engine.workflows.parts import Parts
from maap_tui.engine.workflows.searching import takes_orbit_in_time

_NEWEST = "newest"


async def query_of_choices(parts: Parts, choices: Choices, *, max_items: int) -> Query:
    """The query that choices mean.

    Args:
        parts: the engine.
        choices: as `saved_searches` has them.
        max_items: granules at most, where they do not say it.

    Raises:
        InvalidRequestError: one of them cannot be, two exclude one another, or a name is unknown.
        CatalogError: the newest baseline is meant, and the archive does not say it.
    """
    texts = {name: str(value) for name, value in choices.items()}
    collection, product = texts["collection"], texts["product"]
    baseline = texts.get("baseline")
    if baseline is not None and baseline.lower() == _NEWEST:
        baseline = await newest_baseline(parts, collection, product)
        if not baseline:
            raise InvalidRequestError(
                f"{product} has no granules in {collection}", f"See `maap list {collection}`."
            )
    days_back = choices.get("days_back")
    time = asked_time(
        date=texts.get("date"),
        start=texts.get("start"),
        end=texts.get("end"),
        days_back=days_back if isinstance(days_back, int) else None,
        now=parts.now(),
    )
    mission = parts.mission_of(collection)
    most = choices.get("max_items")
    query = Query(
        collection,
        product,
        baseline,
        time=time.get("time"),
        missing=bool(time.get("missing")),
        **_places_of(texts, mission),
        **await asyncio.to_thread(_area_of, texts, parts.settings.sites),
        formats=parse_formats(texts["format"], mission) if "format" in texts else (),
        newest_first=bool(choices.get("newest_first")),
        every_version=bool(choices.get("all_versions")),
        max_items=most if isinstance(most, int) else max_items,
    )
    if query.orbits and query.time and not await takes_orbit_in_time(parts, query):
        raise InvalidRequestError("An orbit and a time exclude one another", "Give one of them.")
    return query


def _places_of(texts: Mapping[str, str], mission: Mission) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "orbit" in texts:
        found["orbits"], frames = read_orbits(texts["orbit"], mission)
        if frames and "frame" in texts:
            raise InvalidRequestError(f"orbit {texts['orbit']} names its frame", "Leave frame out.")
        found["frames"] = frames
    if "frame" in texts:
        found["frames"] = read_frames(texts["frame"], mission)
    if "track" in texts:
        found["tracks"] = read_tracks(texts["track"], mission)
    return found


def _area_of(texts: Mapping[str, str], own_sites: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "bbox" in texts:
        found["box"] = Box(*parse_numbers(texts["bbox"], 4, "bbox", "W,S,E,N"))
    if "point" in texts:
        found["circle"] = read_circle(texts["point"], texts.get("radius"), own_sites, "point", "radius")
    elif "radius" in texts:
        raise InvalidRequestError("radius needs a point", "Give the point as LAT,LON.")
    if area := texts.get("area"):
        is_text = area.lstrip().startswith("{")
        found["area"] = geometry_of(area, "area") if is_text else read_file(area)
    return found
