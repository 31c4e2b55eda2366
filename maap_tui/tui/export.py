"""Results as a file: URLs, a table (CSV) or one JSON object a line; which, the suffix of its name says."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from maap_tui.engine.model import Asset, Granule, to_zulu
from maap_tui.text import clean
from maap_tui.tui.widgets.results import Result

SUFFIXES = ".csv for a table, .jsonl for JSON lines, anything else for URLs, one a line"

_FIELDS = (
    "id", "url", "collection", "mission", "product_type", "baseline", "sensing_start", "sensing_end",
    "created", "orbit", "frame", "orbit_state", "size", "format",
    "published", "updated",
)  # fmt: skip


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
    return {
        "id": granule.id,
        "url": asset.href,
        "collection": granule.collection,
        "mission": granule.mission,
        "product_type": granule.product_type,
        "baseline": granule.baseline,
        "sensing_start": to_zulu(granule.sensing_start),
        "sensing_end": to_zulu(granule.sensing_end) if granule.sensing_end else None,
        "created": to_zulu(granule.created) if granule.created else None,
        "orbit": granule.orbit,
        "frame": granule.frame,
        "orbit_state": granule.orbit_state,
        "size": asset.size,
        "format": asset.format,
        "published": to_zulu(granule.published) if granule.published else None,
        "updated": to_zulu(granule.updated) if granule.updated else None,
    }


def _as_csv(files: Iterable[tuple[Granule, Asset]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, _FIELDS, lineterminator="\n")
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
