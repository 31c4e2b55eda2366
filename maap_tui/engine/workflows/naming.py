"""The granule that a text names."""

from __future__ import annotations

import asyncio

from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.missions import parse_name
from maap_tui.engine.model import Granule
from maap_tui.engine.workflows.parts import Parts
from maap_tui.engine.workflows.placing import find_granule
from maap_tui.engine.workflows.searching import find
from maap_tui.text import clean


async def find_named(parts: Parts, text: str, collection: str = "") -> Granule:
    """The granule of an id, or of the name or address of a file of it.

    Args:
        parts: the engine.
        text: what names it.
        collection: where it is; '' for those that are known to have its product.

    Raises:
        InvalidRequestError: nothing is known of it.
        CatalogError: the archive does not answer.
    """
    name = parse_name(text)
    known = await asyncio.to_thread(parts.index.load)
    granule = await find_granule(parts, name, known, collection) if name is not None else None
    if granule is None and collection:
        granule = await find(parts, collection, text)
    if granule is not None:
        return granule
    shown = clean(text, 120)
    if name is None and not collection:
        raise InvalidRequestError(
            f"'{shown}' is neither a file here nor the name of a granule",
            "Check the name, or give its --collection.",
        )
    where = collection or "no collection known here"
    words = f"{where} does not have it" if collection else f"{where} has it"
    raise InvalidRequestError(f"'{shown}': {words}", "Check the name, or give its --collection.")
