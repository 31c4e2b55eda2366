"""A file to cut at a server or here, and a part compared with the whole."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from maap_tui.engine.query import Box
from maap_tui.engine.session import Session
from maap_tui.engine.workflows.cut import Source
from tests.engine.cut_files import BARE, ROWS, latitudes
from tests.engine.raw_files import FileServer

Make = Callable[..., Session]

EQUATOR = Box(-180, -5, 180, 5)

START = datetime(2025, 12, 1, tzinfo=UTC)

KEPT = np.flatnonzero(np.abs(latitudes()) <= 5)

COUNT = 108
"""Variables of the file of everything."""

BEGIN, END = int(KEPT[0]), int(KEPT[-1]) + 1


def here(path: Path) -> Source:
    return Source(path.name, "", path)


def there(url: str) -> Source:
    return Source(url.rpartition("/")[2], url, None, granule="G", baseline="BC")


def at_server(session: Make, server: FileServer, **settings: object) -> Session:
    """A session that trusts a server with the token."""
    return session(bulk=True, **{"api.data_origins": [server.url], **settings})


def same(one: Any, other: Any) -> bool:
    if one.dtype == object:
        pairs = zip(np.atleast_1d(one), np.atleast_1d(other), strict=True)
        return one.shape == other.shape and all(np.array_equal(a, b) for a, b in pairs)
    return one.dtype == other.dtype and one.tobytes() == other.tobytes()


def compare(whole: Path, part: Path, begin: int, end: int, *, lacking: set[str] = frozenset()) -> int:
    """Compare each variable of a part with the slice of the whole; returns how many there are."""
    count = 0
    with h5py.File(whole) as old, h5py.File(part) as new:

        def look(name: str, thing: Any) -> None:
            nonlocal count
            if name.rpartition("/")[2] in lacking:
                assert name not in new
                return
            made = new[name]
            own = {"CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST"}
            assert set(thing.attrs) - own == set(made.attrs) - own
            for key in set(thing.attrs) - own:
                assert same(np.asarray(thing.attrs[key]), np.asarray(made.attrs[key])), (name, key)
            if not isinstance(thing, h5py.Dataset):
                return
            count += 1
            assert thing.id.get_type() == made.id.get_type(), name
            if thing.shape is None:
                assert made.shape is None
                return
            kept = tuple(slice(begin, end) if size == ROWS else slice(None) for size in thing.shape)
            wanted = thing[kept] if thing.shape else thing[()]
            assert same(np.asarray(wanted), np.asarray(made[()])), name
            assert same(np.asarray(thing.fillvalue), np.asarray(made.fillvalue))
            for axis in range(len(thing.shape)):
                assert thing.dims[axis].keys() == made.dims[axis].keys() or thing.dims[axis].keys() == [
                    BARE % ROWS
                ]
                assert [scale.name for scale in thing.dims[axis].values()] == [
                    scale.name for scale in made.dims[axis].values()
                ]

        old.visititems(look)
    return count
