"""What a swap takes away of a frozen study, and how long the archive still has it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from maap_tui.engine.errors import MaapError
from maap_tui.engine.registry.entries import Key
from maap_tui.engine.studies.places import needed_granules
from maap_tui.engine.workflows.build import baselines_at_archive
from maap_tui.engine.workflows.parts import Parts
from maap_tui.text import plural

KEPT = 2
"""Baselines of a product that ESA keeps, the latest ones."""


async def needed_of(parts: Parts, names: Iterable[str]) -> dict[str, tuple[Path, ...]]:
    """The granules that studies on this machine need, each with the folders of these studies."""
    needed = await asyncio.to_thread(needed_granules, parts.dirs)
    return {name: tuple(needed[name]) for name in names if name in needed}


async def warnings_of(parts: Parts, old: Key, needed: Mapping[str, Sequence[Path]]) -> list[str]:
    """What to say of each study that needs granules that are to be deleted; asks for the baselines there are.

    Args:
        parts: the engine.
        old: the baseline that is swapped.
        needed: granules of it that are to be deleted, with the folders of the studies.
    """
    if not needed:
        return []
    counts = Counter(folder for folders in needed.values() for folder in folders)
    try:
        there = await baselines_at_archive(parts, old.collection, old.product_type)
    except MaapError:
        outlook, can_fetch = f"ESA keeps the latest {KEPT} baselines", True
    else:
        outlook, can_fetch = _outlook(old.baseline, there), old.baseline.upper() in there
    return [
        f"{plural(count, 'granule')} of {old.baseline} in the study {folder} "
        f"{'is' if count == 1 else 'are'} to be deleted here, and {outlook}. "
        + (
            f"`maap thaw {folder} -o DIR` makes a copy"
            if can_fetch
            else "Copy the files first: nothing brings them back"
        )
        for folder, count in sorted(counts.items())
    ]


def _outlook(baseline: str, there: Iterable[str]) -> str:
    """How long the archive has a baseline, by those that it has of the product."""
    names = sorted({name.upper() for name in there})
    newer = [name for name in names if name > baseline.upper()]
    if baseline.upper() not in names:
        return "the archive does not have them any more"
    if len(newer) >= KEPT:
        return f"the archive is about to drop {baseline}: ESA keeps the latest {KEPT} baselines"
    newest = newer[-1] if newer else baseline
    return f"the archive drops {baseline} soon after {newest}: ESA keeps the latest {KEPT} baselines"
