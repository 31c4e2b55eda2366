"""Which observation a granule or a file is of, and which of its processings is the newest."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from maap_tui.engine.file_names import FileName
from maap_tui.engine.missions import MISSIONS, Mission, Observation, mission_named, parse_name
from maap_tui.engine.model import Granule

Spot = tuple[object, ...]
"""What the granules of all products of one observation have in common."""

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def name_of(granule: Granule) -> FileName:
    """What the name of a granule says; its item, where no mission knows the name."""
    return parse_name(granule.id) or FileName(
        stem=granule.id,
        mission=granule.mission,
        product_type=granule.product_type,
        baseline=granule.baseline,
        sensing_start=granule.sensing_start,
        sensing_end=granule.sensing_end,
        created=granule.created,
        orbit=granule.orbit,
        frame=granule.frame,
        track=granule.track_number,
    )


def observation_of(name: FileName) -> Observation:
    """What a name says of the observation."""
    return _mission_of(name).observation_of(name)


def spot_of(what: Granule | FileName) -> Spot:
    """What names an observation, with the sensing start in whole seconds where its label does not say all."""
    name = what if isinstance(what, FileName) else name_of(what)
    label, is_unique = observation_of(name)
    return (label,) if is_unique else (label, name.sensing_start.replace(microsecond=0))


def rank_of(what: Granule | FileName) -> tuple[Any, ...]:
    """Among the processings of one observation the greatest is the newest: by baseline, then by mission."""
    name = what if isinstance(what, FileName) else parse_name(what.id)
    baseline = (what.baseline or "").upper()
    if name is not None:
        return baseline, True, *_mission_of(name).version_of(name)[1]
    assert isinstance(what, Granule)
    return baseline, False, what.created or _LONG_AGO, what.id


def _mission_of(name: FileName) -> Mission:
    return MISSIONS.get(name.mission) or mission_named(name.mission)
