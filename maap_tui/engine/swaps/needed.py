"""What a swap takes away of a frozen study, and how long the archive still has what studies need."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from maap_tui.engine.errors import MaapError
from maap_tui.engine.registry.entries import Key
from maap_tui.engine.studies.places import needed_granules, studies_here
from maap_tui.engine.workflows.build import baselines_at_archive
from maap_tui.engine.workflows.parts import Parts
from maap_tui.text import plural

KEPT = 2
"""Baselines of a product that ESA keeps, the latest ones."""


async def needed_of(parts: Parts, names: Iterable[str]) -> dict[str, tuple[Path, ...]]:
    """The granules that studies on this machine need, each with the folders of these studies."""
    needed = await asyncio.to_thread(needed_granules, parts.dirs)
    return {name: tuple(needed[name]) for name in names if name in needed}


async def warnings_of(
    parts: Parts, old: Key, needed: Mapping[str, Sequence[Path]]
) -> tuple[list[str], frozenset[str]]:
    """What to say of each study that needs granules that are to be deleted; asks for the baselines there are.

    Args:
        parts: the engine.
        old: the baseline that is swapped.
        needed: granules of it that are to be deleted, with the folders of the studies.

    Returns:
        A sentence a study, and the granules that have to stay, as nobody knows that the archive has them.
    """
    if not needed:
        return [], frozenset()
    counts = Counter(folder for folders in needed.values() for folder in folders)
    rest, after, is_there = "", "", False
    try:
        there = await baselines_at_archive(parts, old.collection, old.product_type)
    except MaapError:
        # Deleting waits for an answer: of all that is here this may be the last.
        rest = "not deleted now: the archive does not say whether it has them"
    else:
        outlook = _outlook(old.baseline, there)
        if is_there := outlook.is_there:
            rest = f"to be deleted here, and {outlook.words}"
        else:
            rest = f"not deleted: {outlook.words}, and nothing brings them back"
            after = ". Once their swap is undone, a clean-up deletes them"
    said = []
    for folder, count in sorted(counts.items()):
        what = f"{plural(count, 'granule')} of {old.baseline} in the study {folder}"
        copy = f". `maap thaw {folder} -o DIR` makes a copy" if is_there else ""
        said.append(f"{what} {'is' if count == 1 else 'are'} {rest}{copy or after}")
    return said, frozenset() if is_there else frozenset(needed)


@dataclass(frozen=True, slots=True)
class StudyOutlook:
    """How long the archive has what a study froze of one baseline."""

    folder: Path
    """Of the study."""
    product_type: str
    baseline: str
    granules: int
    words: str
    """What the archive does with the baseline; '' where it has it and keeps it, or does not say."""
    can_fetch: bool
    """Whether the archive has it still."""


async def outlooks(parts: Parts) -> AsyncIterator[StudyOutlook]:
    """What the archive has, and keeps, of each baseline of each study of this machine.

    Raises:
        CatalogError: the archive does not answer.
    """
    asked: dict[tuple[str, str], dict[str, int]] = {}
    for folder, study in (await asyncio.to_thread(studies_here, parts.dirs)).items():
        baselines: dict[tuple[str, str, str], set[str]] = {}
        for one in study.files:
            baselines.setdefault((one.collection, one.product_type, one.baseline), set()).add(one.id)
        for (collection, product, baseline), granules in sorted(baselines.items()):
            if (collection, product) not in asked:
                asked[collection, product] = await baselines_at_archive(parts, collection, product)
            there = asked[collection, product]
            outlook = _outlook(baseline, there)
            words = outlook.words if there and not outlook.is_kept else ""
            yield StudyOutlook(folder, product, baseline, len(granules), words, outlook.is_there)


class _Outlook(NamedTuple):
    """How long the archive has a baseline."""

    words: str
    is_there: bool
    """Whether the archive has it still."""
    is_kept: bool
    """Whether it is among those that ESA keeps."""


def _outlook(baseline: str, there: Iterable[str]) -> _Outlook:
    """How long the archive has a baseline, by those that it has of the product."""
    names = sorted({name.upper() for name in there})
    newer = [name for name in names if name > baseline.upper()]
    if baseline.upper() not in names:
        return _Outlook("the archive does not have them any more", False, False)
    keeps = f"ESA keeps the latest {KEPT} baselines"
    if len(newer) >= KEPT:
        return _Outlook(f"the archive is about to drop {baseline}: {keeps}", True, False)
    newest = newer[-1] if newer else baseline
    return _Outlook(f"the archive drops {baseline} soon after {newest}: {keeps}", True, True)
