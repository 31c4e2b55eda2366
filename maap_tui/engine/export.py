"""Granules as a file, in the form that its suffix says: a table, JSON, GeoJSON, GeoParquet or URLs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from maap_tui.engine.geoparquet import writing_parquet
from maap_tui.engine.model import RECORD_FIELDS, Asset, Granule, granule_record
from maap_tui.engine.storage import files
from maap_tui.text import clean

SUFFIXES = ".csv, .jsonl, .geojson or .parquet (GeoParquet); anything else is a list of URLs"
"""The forms there are, for those who choose one."""

_SHAPES = ("geometry", "bbox", "track")
FIELDS = tuple(name for name in RECORD_FIELDS if name not in (*_SHAPES, "quicklook"))
"""The columns of a table: what has no parts of its own."""

Add = Callable[[Granule, Sequence[Asset]], None]
"""Takes a granule and those of its files that are meant."""


def needs_geometry(path: Path) -> bool:
    """Whether the form of a file has the geometry of each granule."""
    return path.suffix.lower() in (".geojson", ".parquet")


def is_list(path: Path) -> bool:
    """Whether a file is a list of URLs."""
    return path.suffix.lower() not in (".csv", ".json", ".jsonl", ".ndjson", ".geojson", ".parquet")


@contextmanager
def exporting(path: Path, *, is_flat: bool = False) -> Iterator[Add]:
    """Write granules to a file as they come; an error within leaves the file as it was.

    `.csv` is a table, `.jsonl`, `.ndjson` and `.json` one object a file as `granule_record` has it,
    `.geojson` one feature a file (RFC 7946), `.parquet` one row a granule (STAC GeoParquet), and anything
    else one URL a line.

    Args:
        path: The file.
        is_flat: Whether JSON lines have `FIELDS` alone, for granules that have lost their geometry.

    Raises:
        StorageError: when it cannot be written.
        InvalidRequestError: for GeoParquet without the library that writes it.
    """
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        with writing_parquet(path) as add_granule:
            yield lambda granule, assets: add_granule(granule)
        return
    with files.replacing(path) as write:
        if suffix == ".geojson":
            comma = ""
            write('{"type": "FeatureCollection", "features": [')

            def add(granule: Granule, assets: Sequence[Asset]) -> None:
                nonlocal comma
                for asset in assets:
                    write(f"{comma}\n{json.dumps(feature_of(granule, asset))}")
                    comma = ","

            yield add
            write("\n]}\n")
        elif suffix == ".csv":
            write(as_row(FIELDS))
            yield lambda granule, assets: write("".join(_as_table(granule, asset) for asset in assets))
        elif suffix in (".json", ".jsonl", ".ndjson"):
            record_of = flat_record if is_flat else granule_record
            yield lambda granule, assets: write(
                "".join(json.dumps(record_of(granule, asset)) + "\n" for asset in assets)
            )
        else:
            yield lambda granule, assets: write("".join(f"{asset.href}\n" for asset in assets))


def feature_of(granule: Granule, asset: Asset) -> dict[str, Any]:
    """One file of a granule as a GeoJSON feature; its properties are those of `granule_record`."""
    record = granule_record(granule, asset)
    shape = {"bbox": list(granule.bbox)} if granule.bbox else {}
    return {
        "type": "Feature",
        "id": granule.id,
        **shape,
        "geometry": granule.geometry,
        "properties": {name: value for name, value in record.items() if name not in _SHAPES},
    }


def flat_record(granule: Granule, asset: Asset) -> dict[str, Any]:
    """The columns of a table for one file of a granule."""
    record = granule_record(granule, asset)
    return {name: record[name] for name in FIELDS}


def _as_table(granule: Granule, asset: Asset) -> str:
    # People and spreadsheets read a table: no control characters, and nothing that looks like a formula.
    return as_row([as_cell(value) for value in flat_record(granule, asset).values()])


def as_row(values: Sequence[Any]) -> str:
    """A line of a table."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue()


def as_cell(value: Any) -> Any:
    """A value as a table shows it."""
    if not isinstance(value, str):
        return value
    shown = clean(value)
    return f"'{shown}" if shown.startswith(("=", "+", "-", "@")) else shown
