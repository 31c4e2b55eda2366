"""Granules as STAC GeoParquet, a row a granule, by rustac (extra `parquet`). The only user of it.

The columns are those of the items: what one item has and another has not is empty there. They are known once
all granules are, so that these wait in a file of their own and not in memory.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from maap_tui.engine.errors import InvalidRequestError, StorageError
from maap_tui.engine.model import Granule, to_zulu
from maap_tui.engine.storage import files

_ROWS = 1_000
"""Granules that are held at a time."""
_TIMES = ("datetime", "start_datetime", "end_datetime", "created", "updated", "published")
"""Properties that are moments in a table."""
_NOWHERE = {"type": "GeometryCollection", "geometries": []}
"""In place of the geometry that an item does not have: rustac needs one."""


@contextmanager
def writing_parquet(path: Path) -> Iterator[Callable[[Granule], None]]:
    """Write granules to a file once all have come; an error within leaves the file as it was.

    Raises:
        InvalidRequestError: when the library is not installed, or there was no granule.
        StorageError: when it cannot be written.
    """
    _library()
    columns = _Columns()
    with files.replacing(path) as write, tempfile.TemporaryDirectory(prefix="maap-parquet-") as folder:
        first, others, made = (Path(folder, name) for name in ("first", "others", "items.parquet"))
        with first.open("w") as new, others.open("w") as known:

            def add(granule: Granule) -> None:
                item = item_of(granule)
                file = new if columns.take(item) else known
                try:
                    file.write(json.dumps(item) + "\n")
                except OSError as error:
                    raise files.storage_error(Path(folder), error) from error

            yield add
        if not columns.rows:
            raise InvalidRequestError(
                f"No granule was found: {path} cannot be GeoParquet, which needs one",
                "Use .geojson or .csv where there may be none.",
            )
        # Its writer is a coroutine, and a loop may be running in this thread.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, _convert([first, others], made, columns)).result()
        with made.open("rb") as file:
            while part := file.read(shutil.COPY_BUFSIZE):  # type: ignore[attr-defined]
                write(part)


def item_of(granule: Granule) -> dict[str, Any]:
    """A granule as a STAC item, with the assets and properties that the archive served."""
    properties = {name: value for name, value in granule.properties.items() if name not in _TIMES}
    moments = {
        "datetime": granule.sensing_start,
        "start_datetime": granule.sensing_start,
        "end_datetime": granule.sensing_end,
        "created": granule.created,
        "updated": granule.updated,
        "published": granule.published,
    }
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": granule.id,
        "collection": granule.collection,
        "geometry": granule.geometry or _NOWHERE,
        **({"bbox": list(granule.bbox)} if granule.bbox else {}),
        "properties": properties | {name: to_zulu(moment) for name, moment in moments.items() if moment},
        "links": [],
        "assets": {
            asset.key: {
                "href": asset.href,
                "type": asset.media_type or None,
                "roles": list(asset.roles) or None,
                "file:size": asset.size,
            }
            for asset in granule.assets
        },
    }


async def _convert(kept: list[Path], path: Path, columns: _Columns) -> None:
    from rustac import geoparquet_writer

    def items() -> Iterator[dict[str, Any]]:
        for source in kept:
            with source.open() as lines:
                for line in lines:
                    yield columns.shaped(json.loads(line))

    rows = items()
    # What the first rows have are the columns; each column is in one of those written apart.
    try:
        async with geoparquet_writer(list(islice(rows, columns.rows + _ROWS)), str(path)) as writer:
            while part := list(islice(rows, _ROWS)):
                await writer.write(part)
    except Exception as error:  # of several kinds, with words for people
        raise StorageError(f"The granules cannot be written as GeoParquet: {error}") from error


class _Columns:
    """What items have, by name, as deep as it goes: a scalar's kind, an element's, or an object's parts."""

    def __init__(self) -> None:
        self._known: dict[str, Any] = {}
        self.rows = 0
        """Items that brought a column."""

    def take(self, item: dict[str, Any]) -> bool:
        """Note what an item has; whether one of its columns is new."""
        is_new = False
        for name in ("properties", "assets"):
            kind, is_more = _joined(self._known.get(name), item[name])
            self._known[name] = kind
            is_new = is_new or is_more
        self.rows += is_new
        return is_new

    def shaped(self, item: dict[str, Any]) -> dict[str, Any]:
        """An item with the same kind of value in each column."""
        return item | {name: _shaped(kind, item[name]) for name, kind in self._known.items()}


def _joined(kind: Any, value: Any) -> tuple[Any, bool]:
    """The kind of what was known of a column and of one more value, and whether there is more in it now."""
    if value is None or value == {} or value == []:
        return kind, False
    if isinstance(value, dict):
        if kind is None or isinstance(kind, dict):
            parts = dict(kind or {})
            is_new = False
            for name, part in value.items():
                parts[name], is_more = _joined(parts.get(name), part)
                is_new = is_new or is_more
            return parts, is_new
        return "json", False
    if isinstance(value, list):
        if kind is None or isinstance(kind, list):
            element, is_new = (kind or [None])[0], False
            for part in value:
                element, is_more = _joined(element, part)
                is_new = is_new or is_more
            return [element], is_new
        return "json", False
    own = type(value).__name__
    if kind is None or kind == own:
        return own, kind is None
    is_number = kind in ("int", "float") and own in ("int", "float")
    return ("float" if is_number else "json"), False


def _shaped(kind: Any, value: Any) -> Any:
    if value is None or kind is None:
        return None
    if isinstance(kind, dict):
        found = {name: _shaped(part, value.get(name)) for name, part in kind.items()}
        return {name: part for name, part in found.items() if part is not None}
    if isinstance(kind, list):
        return [_shaped(kind[0], part) for part in value]
    if kind == "json":
        return value if isinstance(value, str) else json.dumps(value)
    return float(value) if kind == "float" else value


def _library() -> None:
    try:
        import rustac  # noqa: F401
    except ImportError as error:
        raise InvalidRequestError(
            "GeoParquet needs a package that is not installed (rustac)",
            "Run: pip install 'maap-tui[parquet]'",
        ) from error
