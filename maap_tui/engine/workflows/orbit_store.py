"""Orbit files that were fetched, kept for the next question: one a mission and kind, in the cache.

The rule: what is kept counts only while the archive's newest file has the same identity, and while its bytes
have the hash that they were kept with. Deleting it costs a download and nothing else.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path

from maap_tui.engine.errors import MaapError
from maap_tui.engine.model import Asset, Granule, to_zulu
from maap_tui.engine.storage import files
from maap_tui.engine.workflows.parts import Parts

_MOST_HEAD = 65_536
"""Bytes of the line with the identity."""


async def kept(parts: Parts, name: str, granule: Granule, asset: Asset, most: int) -> bytes | None:
    """The bytes of an orbit file that is kept; None where another one is, or none that is whole.

    Args:
        parts: the engine.
        name: under which it is kept.
        granule: that the archive has now.
        asset: its file.
        most: bytes that it may have.
    """
    return await asyncio.to_thread(_read, parts.dirs.cache_file(name), _identity(granule, asset), most)


async def keep(parts: Parts, name: str, granule: Granule, asset: Asset, data: bytes) -> None:
    """Keep an orbit file in the place of the one before; a disk that refuses it changes nothing."""
    head = json.dumps([_identity(granule, asset), hashlib.sha256(data).hexdigest()])
    try:
        path = parts.dirs.cache_file(name)
        await asyncio.to_thread(files.write_atomic, path, f"{head}\n".encode() + data)
    except MaapError:
        return  # a cache: the answer is not less true


def _identity(granule: Granule, asset: Asset) -> list[object]:
    """What changes when the archive has another file, or the same one with other bytes."""
    updated = to_zulu(granule.updated) if granule.updated is not None else None
    return [granule.id, asset.href, asset.size, asset.checksum, updated]


def _read(path: Path, identity: list[object], most: int) -> bytes | None:
    try:
        with path.open("rb") as file:
            head = json.loads(file.readline(_MOST_HEAD))
            if not isinstance(head, list) or len(head) != 2 or head[0] != identity:
                return None
            data = file.read(most + 1)
    except (OSError, ValueError, RecursionError):
        return None
    return data if hashlib.sha256(data).hexdigest() == head[1] else None
