"""What the app writes of results, without an app: the record that `maap search --json` prints."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from maap_tui.engine.model import Asset, Granule, granule_record
from maap_tui.tui.screens.search.export import FIELDS, export_text
from maap_tui.tui.screens.search.results import result_of

START = datetime(2025, 12, 1, 3, 0, 5, tzinfo=UTC)
ASSET = Asset("enclosure_h5", "https://data.example/a.h5", "a.h5", "h5", size=3)
GRANULE = Granule(
    "=a",
    "EarthCAREL2Validated_MAAP",
    "EarthCARE",
    "CPR_CLD_2A",
    "BC",
    START,
    orbit=7655,
    frame="C",
    geometry={"type": "LineString", "coordinates": [[1.0, 2.0], [3.0, 4.0]]},
    assets=(ASSET,),
    bbox=(1.0, 2.0, 3.0, 4.0),
    published=START,
)


def test_the_record_is_ready_for_json() -> None:
    record = json.loads(json.dumps(granule_record(GRANULE, ASSET)))
    assert record["sensing_start"] == record["published"] == "2025-12-01T03:00:05Z"
    assert record["sensing_end"] is record["updated"] is record["quicklook"] is None
    assert (record["url"], record["size"], record["format"]) == (ASSET.href, 3, "h5")
    assert record["bbox"] == [1, 2, 3, 4]
    assert [[round(part) for part in position] for position in record["track"]] == [[1, 2], [3, 4]]


@pytest.mark.parametrize("keep_whole", [True, False])
def test_json_lines_say_the_same_of_each_result(keep_whole: bool) -> None:
    result = result_of(GRANULE, ("h5",), keep_whole=keep_whole)
    record = granule_record(GRANULE, ASSET)
    line = json.loads(export_text(Path("found.jsonl"), [result]))
    assert line == {name: record[name] for name in FIELDS}


def test_a_table_holds_no_formula() -> None:
    result = result_of(GRANULE, ("h5",), keep_whole=True)
    (row,) = csv.DictReader(export_text(Path("found.csv"), [result]).splitlines())
    assert tuple(row) == FIELDS
    assert (row["id"], row["orbit"], row["sensing_end"]) == ("'=a", "7655", "")
