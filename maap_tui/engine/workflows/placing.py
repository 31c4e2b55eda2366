"""Where pasted files belong: the collection that holds them, and the requests that fetch them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from maap_tui.engine.catalogue.index import Known
from maap_tui.engine.download.requests import DownloadRequest
from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.file_names import FileName
from maap_tui.engine.missions import format_of, parse_name
from maap_tui.engine.model import Asset, Granule
from maap_tui.engine.workflows.download import request_of_url
from maap_tui.engine.workflows.parts import Parts
from maap_tui.engine.workflows.pasted import PastedFile
from maap_tui.engine.workflows.searching import find

_AT_ONCE = 500
"""Files placed before the engine is given a turn."""


def collections_for(name: FileName, known: Known) -> list[str]:
    """The collections known here that may hold a file, in the order they are shown."""
    of_mission = known.of_mission(name.mission)
    found = [one.name for one in of_mission if name.product_type in one.products]
    return found or [one.name for one in of_mission if not one.products]


async def find_granule(parts: Parts, name: FileName, known: Known, collection: str = "") -> Granule | None:
    """The granule of a name in that collection or the first that has it; None when none does.

    Raises:
        InvalidRequestError: none of those that may be asked has it, and others are refused.
        CatalogError: the archive does not answer.
    """
    problem: InvalidRequestError | None = None
    for one in [collection] if collection else collections_for(name, known):
        try:
            granule = await find(parts, one, name.stem)
        except InvalidRequestError as error:
            problem = error
            continue
        if granule is not None:
            return granule
    if problem is not None:
        raise problem
    return None


@dataclass(slots=True)
class Placed:
    """Pasted files, by what can be done with them."""

    requests: list[DownloadRequest] = field(default_factory=list)
    """Those whose collection is known; the registry follows them."""
    homeless: list[str] = field(default_factory=list)
    """URLs that belong to no collection known here."""
    refused: list[str] = field(default_factory=list)
    """Sentences about the others."""


async def place(parts: Parts, files: Sequence[PastedFile], known: Known) -> Placed:
    """Find where pasted files belong; the archive is asked once for each baseline, and for each bare name.

    Raises:
        CatalogError: it does not answer.
    """
    placed = Placed()
    product_dir = parts.settings.downloads.product_dir
    homes: dict[tuple[str, str, str | None], str] = {}
    for number, file in enumerate(files, 1):
        if number % _AT_ONCE == 0:
            await asyncio.sleep(0)
        name = parse_name(file.url or file.name)
        try:
            if not file.url:
                placed.requests += await _named(parts, file, name, known)
                continue
            collection = file.collection
            if not collection and name is not None:
                key = (name.mission, name.product_type, name.baseline)
                if key not in homes:
                    granule = await find_granule(parts, name, known)
                    homes[key] = granule.collection if granule is not None else ""
                collection = homes[key]
            if not collection:
                placed.homeless.append(file.url)
                continue
            placed.requests.append(await request_of_url(parts, file.url, collection, product_dir=product_dir))
        except InvalidRequestError as error:
            placed.refused.append(f"{file.name}: {error.message}")
    return placed


async def _named(
    parts: Parts, file: PastedFile, name: FileName | None, known: Known
) -> list[DownloadRequest]:
    granule = await find_granule(parts, name, known, file.collection) if name is not None else None
    if name is None and file.collection:
        granule = await find(parts, file.collection, file.name)
    if granule is None:
        raise InvalidRequestError("no collection known here has it")
    named = [one for one in granule.assets if one.name == file.name]
    wanted: Sequence[Asset] = named
    if not format_of(file.name):
        wanted = granule.files(parts.mission_of(granule.collection).formats)
    if not wanted:
        raise InvalidRequestError("its granule has no such file")
    product_dir = parts.in_product_dir(None)
    return [parts.filing.request_of(granule, one, product_dir=product_dir) for one in wanted]
