"""What is written of results, by suffix: the record that `maap search --json` prints, in each form."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import rustac

from maap_tui.engine.catalogue.stac import granule_of
from maap_tui.engine.errors import InvalidRequestError, StorageError
from maap_tui.engine.export import FIELDS, exporting
from maap_tui.engine.model import RECORD_FIELDS, Asset, Granule, granule_record
from tests.verbatim import DATA

ITEMS = [json.loads(path.read_text()) for path in sorted(DATA.glob("*.json"))]
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


def export(path: Path, granules: Iterable[Granule], *, is_flat: bool = False) -> Path:
    with exporting(path, is_flat=is_flat) as add:
        for granule in granules:
            add(granule, granule.files(("h5",)))
    return path


def test_the_record_is_ready_for_json() -> None:
    record = json.loads(json.dumps(granule_record(GRANULE, ASSET)))
    assert tuple(record) == RECORD_FIELDS
    assert record["sensing_start"] == record["published"] == "2025-12-01T03:00:05Z"
    assert record["sensing_end"] is record["updated"] is record["quicklook"] is None
    assert (record["url"], record["size"], record["format"]) == (ASSET.href, 3, "h5")
    assert record["bbox"] == [1, 2, 3, 4]
    assert [[round(part) for part in position] for position in record["track"]] == [[1, 2], [3, 4]]


@pytest.mark.parametrize(("is_flat", "names"), [(False, RECORD_FIELDS), (True, FIELDS)])
def test_json_lines(tmp_path: Path, is_flat: bool, names: tuple[str, ...]) -> None:
    (line,) = export(tmp_path / "found.jsonl", [GRANULE], is_flat=is_flat).read_text().splitlines()
    record = json.loads(json.dumps(granule_record(GRANULE, ASSET)))
    assert json.loads(line) == {name: record[name] for name in names}


def test_a_table_holds_no_formula(tmp_path: Path) -> None:
    (row,) = csv.DictReader(export(tmp_path / "found.csv", [GRANULE]).read_text().splitlines())
    assert tuple(row) == FIELDS
    assert (row["id"], row["orbit"], row["sensing_end"]) == ("'=a", "7655", "")


def test_a_cell_is_what_it_was_whatever_it_has(tmp_path: Path) -> None:
    doi = "a,b;\"c\" 'd' Größe 東京 \U0001f6f0"
    file = export(tmp_path / "found.csv", [replace(GRANULE, doi=doi)] * 2)
    with file.open(newline="", encoding="utf-8") as opened:
        assert [row["doi"] for row in csv.DictReader(opened, strict=True)] == [doi, doi]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_geojson(tmp_path: Path, count: int) -> None:
    granules = [
        replace(GRANULE, id=f"{at}", geometry=[GRANULE.geometry, None][at > 0]) for at in range(count)
    ]
    found = json.loads(export(tmp_path / "found.GeoJSON", granules).read_text())
    assert found["type"] == "FeatureCollection"
    assert [one["id"] for one in found["features"]] == [one.id for one in granules]
    for one in found["features"][:1]:
        assert one["geometry"] == GRANULE.geometry and one["bbox"] == [1, 2, 3, 4]
        assert one["properties"]["sensing_start"] == "2025-12-01T03:00:05Z"
        assert not {"geometry", "bbox", "track"} & {*one["properties"]}


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "geojson", "parquet", "txt"])
def test_an_error_within_leaves_the_file_as_it_was(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"found.{suffix}"
    path.write_text("before")
    with pytest.raises(KeyError), exporting(path) as add:
        add(GRANULE, [ASSET])
        raise KeyError
    assert path.read_text() == "before" and [*tmp_path.iterdir()] == [path]


def rows_of(path: Path) -> list[dict[str, Any]]:
    """The items of a GeoParquet file, by id."""
    return sorted(rustac.read_sync(str(path))["features"], key=lambda item: item["id"])


def test_geoparquet_has_the_real_items(tmp_path: Path) -> None:
    granules = [granule_of(item, item["collection"], "EarthCARE") for item in ITEMS]
    rows = rows_of(export(tmp_path / "found.parquet", granules))
    assert [row["id"] for row in rows] == sorted(item["id"] for item in ITEMS)
    for row, item in zip(rows, sorted(ITEMS, key=lambda item: item["id"]), strict=True):
        assert row["collection"] == item["collection"]
        assert {key: asset["href"] for key, asset in row["assets"].items()} == {
            asset.key: asset.href for one in granules if one.id == item["id"] for asset in one.assets
        }
        served = item["properties"]
        assert row["properties"]["sat:absolute_orbit"] == served["sat:absolute_orbit"]
        assert row["properties"]["sci:doi"] == served["sci:doi"]
        assert row["geometry"]["type"] == item["geometry"]["type"]


def test_geoparquet_of_items_that_differ_loses_nothing(tmp_path: Path) -> None:
    several: list[dict[str, Any]] = [
        {},
        {"cloud": 3, "kind": "a", "part": {"x": 1}},
        {"cloud": 2.5, "kind": 7, "part": {"y": ["z"]}, "empty": {}, "none": None},
        *({"number": at} for at in range(1, 1_500)),
        {"late": True, "part": "text", "kind": ["list"]},
    ]
    granules = [
        replace(
            GRANULE,
            id=f"{at:05}",
            sensing_start=START + timedelta(seconds=at),
            properties=properties,
            geometry=GRANULE.geometry if at % 2 else None,
        )
        for at, properties in enumerate(several)
    ]
    rows = rows_of(export(tmp_path / "found.parquet", granules))
    assert [row["id"] for row in rows] == [one.id for one in granules]
    first, second, third, *numbered, last = (row["properties"] for row in rows)
    assert "cloud" not in first or first["cloud"] is None
    assert (second["cloud"], third["cloud"]) == (3.0, 2.5)
    # A column has one kind of value: what is of several is JSON.
    assert (second["kind"], third["kind"], last["kind"]) == ("a", "7", '["list"]')
    assert (second["part"], third["part"], last["part"]) == ('{"x": 1}', '{"y": ["z"]}', "text")
    assert [one["number"] for one in numbered] == [*range(1, 1_500)] and last["late"] is True


def test_geoparquet_of_nothing_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "found.parquet"
    with pytest.raises(InvalidRequestError, match="No granule was found"):
        export(path, [])
    assert not path.exists()


def test_geoparquet_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "found.parquet"
    bad = replace(GRANULE, geometry={"type": "Point", "coordinates": ["x", "y"]})
    with pytest.raises(StorageError, match="cannot be written as GeoParquet"):
        export(path, [bad])
    assert not path.exists()
