"""Results as a file: URLs, a table (CSV) or one JSON object a line; which, the suffix of its name says."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from maap_tui.engine.model import Asset, Granule, granule_record
from maap_tui.text import clean
from maap_tui.tui.screens.search.results import Result

SUFFIXES = ".csv for a table, .jsonl for JSON lines, anything else for URLs, one a line"

FIELDS = (
    "id", "url", "collection", "mission", "product_type", "baseline", "sensing_start", "sensing_end",
    "created", "orbit", "frame", "orbit_state", "size", "format",
    "published", "updated",
)  # fmt: skip
"""What is written of each file. Later results of a long list are kept without their geometry and pictures,
so that these are left out of all."""


def export_text(path: Path, results: Sequence[Result]) -> str:
    """What to write into a file of that name."""
    suffix = path.suffix.lower()
    files = ((result.granule, asset) for result in results for asset in result.files)
    if suffix == ".csv":
        return _as_csv(files)
    if suffix in (".json", ".jsonl", ".ndjson"):
        return "".join(json.dumps(_record(granule, asset)) + "\n" for granule, asset in files)
    return "".join(f"{asset.href}\n" for _, asset in files)


def _record(granule: Granule, asset: Asset) -> dict[str, Any]:
    record = granule_record(granule, asset)
    return {name: record[name] for name in FIELDS}


def _as_csv(files: Iterable[tuple[Granule, Asset]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, FIELDS, lineterminator="\n")
    writer.writeheader()
    for granule, asset in files:
        record = _record(granule, asset)
        # A table is read by eye and by spreadsheets: no control characters, nothing taken for a formula.
        writer.writerow({name: _as_cell(value) for name, value in record.items()})
    return text.getvalue()


def _as_cell(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    shown = clean(value)
    return f"'{shown}" if shown.startswith(("=", "+", "-", "@")) else shown
