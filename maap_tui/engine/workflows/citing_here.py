"""Cite: what is here of baselines, with the DOIs that the archive says."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from maap_tui.engine.errors import MaapError
from maap_tui.engine.missions import granule_name
from maap_tui.engine.model import TimeRange
from maap_tui.engine.registry.entries import Key
from maap_tui.engine.registry.spans import days_of
from maap_tui.engine.storage import files
from maap_tui.engine.studies.citing import Citation, Cited
from maap_tui.engine.workflows.parts import Parts
from maap_tui.engine.workflows.searching import find

_MOST_ASKED = 3
"""Granules of a baseline that are looked up for its DOI."""


async def cite_here(parts: Parts, keys: Sequence[Key], span: TimeRange | None = None) -> Citation:
    """How what was downloaded and is here is cited; DOIs that could not be asked for are problems.

    Args:
        parts: the engine.
        keys: the baselines.
        span: sensing days that are meant; None for all.
    """
    found, problems = [], []
    for key in keys:
        cited, names = await asyncio.to_thread(_here, parts, key, span)
        if not cited.files:
            continue
        try:
            found.append(replace(cited, doi=await _doi_of(parts, key, names)))
        except MaapError as error:
            problems.append(f"The DOI of {key.product_type} {key.baseline} is not known: {error.message}")
            found.append(cited)
    return Citation(tuple(found), problems=tuple(problems))


def _here(parts: Parts, key: Key, span: TimeRange | None) -> tuple[Cited, list[str]]:
    """What is here of a baseline, and the granules it is of, the last first."""
    names: dict[str, None] = {}
    days = []
    size = count = 0
    with parts.registry.skip_unreadable():
        for file in parts.registry.baseline(key).downloads(*days_of(span)):
            if file.path and (here := files.size_of(parts.filing.data_dir / file.path)) is not None:
                names[granule_name(file.url)] = None
                days.append(file.day)
                size, count = size + here, count + 1
    cited = Cited(
        key.collection, key.mission, key.product_type, key.baseline, None, len(names), count, size,
        min(days, default=None), max(days, default=None),
    )  # fmt: skip
    return cited, list(reversed(names))


async def _doi_of(parts: Parts, key: Key, names: Sequence[str]) -> str | None:
    """The DOI that one of the granules says; errors as `searching.find`, when none could be asked for."""
    problem: MaapError | None = None
    for name in names[:_MOST_ASKED]:
        try:
            granule = await find(parts, key.collection, name)
        except MaapError as error:
            problem = error
            break
        if granule is not None and granule.doi:
            return granule.doi
    if problem is not None:
        raise problem
    return None
