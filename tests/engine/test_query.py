"""A search as data: what is refused, what is sent, and the command line that says the same."""

from __future__ import annotations

import json
import shlex
from datetime import UTC, date, datetime, timedelta
from typing import Any

import cql2 as parser
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maap_tui.engine import cql2
from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.model import Granule, TimeRange
from maap_tui.engine.query import (
    Box,
    Circle,
    Query,
    format_orbits,
    parse_formats,
    parse_frames,
    parse_numbers,
    parse_orbits,
)
from maap_tui.engine.search_keys import NEW_KEYS, OLD_KEYS
from maap_tui.engine.time_words import asked_time

NOW = datetime(2026, 1, 15, 12, 30, tzinfo=UTC)
DAY = TimeRange.of_day(date(2025, 12, 1))


def query(**changes: Any) -> Query:
    return Query("EarthCAREL2Validated_MAAP", "CPR_CLD_2A", **changes)


@pytest.mark.parametrize(
    ("options", "start", "end"),
    [
        ({"date": "2024-12-01"}, "2024-12-01T00:00:00", "2024-12-02T00:00:00"),
        ({"date": "2024-12-01T10:30"}, "2024-12-01T10:30:00", "2024-12-01T10:31:00"),
        ({"date": "2024-12-01T10:30:15Z"}, "2024-12-01T10:30:15", "2024-12-01T10:31:15"),
        ({"start": "2024-12-01", "end": "2024-12-03"}, "2024-12-01T00:00:00", "2024-12-04T00:00:00"),
        (
            {"start": "2024-12-01T02:00+02:00", "end": "2024-12-01T01:00:30"},
            "2024-12-01T00:00:00",
            "2024-12-01T01:00:31",
        ),
        ({"start": "2026-01-15"}, "2026-01-15T00:00:00", "2026-01-15T12:30:00"),
        ({"date": "2025-12"}, "2025-12-01T00:00:00", "2026-01-01T00:00:00"),
        ({"date": "20251201"}, "2025-12-01T00:00:00", "2025-12-02T00:00:00"),
        ({"date": "2025-335"}, "2025-12-01T00:00:00", "2025-12-02T00:00:00"),
        ({"date": "3h"}, "2026-01-15T09:30:00", "2026-01-15T12:30:00"),
        ({"date": "7d"}, "2026-01-08T12:30:00", "2026-01-15T12:30:00"),
        ({"date": "yesterday"}, "2026-01-14T00:00:00", "2026-01-15T00:00:00"),
        ({"date": "2025-12-01 03:00..06:00"}, "2025-12-01T03:00:00", "2025-12-01T06:01:00"),
        ({"date": "2025-12-01.."}, "2025-12-01T00:00:00", "2026-01-15T12:30:00"),
        ({"start": "2025-11", "end": "2025-12"}, "2025-11-01T00:00:00", "2026-01-01T00:00:00"),
        ({"start": "20251201", "end": "2025-335"}, "2025-12-01T00:00:00", "2025-12-02T00:00:00"),
        ({"start": "7d", "end": "3h"}, "2026-01-08T12:30:00", "2026-01-15T09:30:00"),
        ({"start": "3h"}, "2026-01-15T09:30:00", "2026-01-15T12:30:00"),
        ({"start": "2025-12-01 03:00"}, "2025-12-01T03:00:00", "2026-01-15T12:30:00"),
        ({"days_back": 3}, "2026-01-12T12:30:00", "2026-01-15T12:30:00"),
    ],
)
def test_time_options(options: dict[str, Any], start: str, end: str) -> None:
    found = asked_time(now=NOW, **options).get("time")
    assert found is not None
    assert (found.start.replace(tzinfo=None).isoformat(), found.end.replace(tzinfo=None).isoformat()) == (
        start,
        end,
    )


def test_no_time_option_is_no_range() -> None:
    assert asked_time(now=NOW) == {}


@pytest.mark.fault("T2")
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"date": "2024-12-01", "start": "2024-12-01"}, "--date cannot be used with --start"),
        ({"date": "2024-12-01", "days_back": 2}, "--date cannot be used with --days-back"),
        ({"days_back": 2, "end": "2024-12-01"}, "--days-back cannot be used with --end"),
        ({"end": "2024-12-01"}, "--end needs --start"),
        ({"date": "2024-02-30"}, "--date '2024-02-30' is not a date"),
        ({"date": "someday"}, "--date 'someday' is not a date"),
        ({"date": "2025-366"}, "--date '2025-366' is not a date"),
        ({"date": "2025-1201"}, "is not a date"),
        ({"date": ""}, "--date '' is not a date"),
        ({"date": "2025-12-07..2025-12-01"}, "--date .* ends .2025-12-01. before it starts"),
        ({"date": "0h"}, "--date must be 1 hour to 36500 days back"),
        ({"date": "2030-01-01.."}, "--date 2030-01-01 lies in the future"),
        ({"start": "2025-12-01..2025-12-02"}, "--start '2025-12-01..2025-12-02' is not a date"),
        ({"start": "3h", "end": "7d"}, "must be before --end"),
        ({"date": "0001-01-01T00:00+14:00"}, "is not a date"),
        ({"start": "2024-12-02", "end": "2024-12-01"}, "must be before --end"),
        ({"start": "2030-01-01"}, "lies in the future"),
        ({"days_back": 0}, "--days-back 0 is not possible"),
    ],
)
def test_impossible_times(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidRequestError, match=words):
        asked_time(now=NOW, **options).get("time")


@pytest.mark.parametrize(
    ("text", "orbits", "frames"),
    [
        ("07655", ((7655, 7655),), ()),
        ("7655c", ((7655, 7655),), ("C",)),
        ("8960-8970", ((8960, 8970),), ()),
        ("5, 3,4 9", ((3, 5), (9, 9)), ()),
    ],
)
def test_orbits(text: str, orbits: Any, frames: Any) -> None:
    assert parse_orbits(text) == (orbits, frames)


@pytest.mark.parametrize("text", ["", "abc", "7655Z", "7655CD", "9-3", "1,2C", "-5", "1234567", "1-2C"])
def test_no_orbits(text: str) -> None:
    with pytest.raises(InvalidRequestError):
        parse_orbits(text)


@given(st.lists(st.integers(0, 99_999), min_size=1, max_size=8))
def test_orbits_and_their_text_agree(numbers: list[int]) -> None:
    orbits, _ = parse_orbits(",".join(map(str, numbers)))
    assert parse_orbits(format_orbits(orbits)) == (orbits, ())
    assert {n for low, high in orbits for n in range(low, high + 1)} == set(numbers)


@pytest.mark.parametrize(("text", "frames"), [("c,d", ("C", "D")), ("DC", ("C", "D")), ("A A", ("A",))])
def test_frames(text: str, frames: tuple[str, ...]) -> None:
    assert parse_frames(text) == frames


@pytest.mark.parametrize("text", ["", ",", "I", "C;D"])
def test_no_frames(text: str) -> None:
    with pytest.raises(InvalidRequestError, match="frames"):
        parse_frames(text)


@pytest.mark.parametrize(
    ("text", "formats"), [("h5", ("h5",)), (".H5, hdr", ("h5", "hdr")), ("h5,all", ("all",))]
)
def test_formats(text: str, formats: tuple[str, ...]) -> None:
    assert parse_formats(text) == formats


@pytest.mark.parametrize("text", ["", "docx", "h5,docx"])
def test_no_formats(text: str) -> None:
    with pytest.raises(InvalidRequestError, match="format"):
        parse_formats(text)


@pytest.mark.parametrize("text", ["1,2,3", "1,2,3,x", "1,2,3,nan", "1,2,3,inf", ""])
def test_no_numbers(text: str) -> None:
    with pytest.raises(InvalidRequestError, match="--bbox"):
        parse_numbers(text, 4, "--bbox", "W,S,E,N")


@pytest.mark.parametrize(
    "changes",
    [
        {"baseline": "B/C"},
        {"max_items": 0},
        {"time": TimeRange(NOW, NOW)},
        {"time": TimeRange(NOW, NOW - timedelta(days=1))},
        {"box": Box(0, 0, 1, 1), "circle": Circle(0, 0, 1)},
        {"orbits": tuple((n, n) for n in range(0, 200, 2))},
        {"formats": ("docx",)},
    ],
)
def test_impossible_query(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError):
        query(**changes)


@pytest.mark.parametrize("name", ["", "a b", "../x", "x'y", "a" * 200])
def test_impossible_names(name: str) -> None:
    with pytest.raises(InvalidRequestError, match="name"):
        Query(name, "CPR_CLD_2A")
    with pytest.raises(InvalidRequestError, match="name"):
        Query("EarthCAREL2Validated_MAAP", name)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Box(0, 10, 1, -10),
        lambda: Box(0, -91, 1, 0),
        lambda: Box(-181, 0, 1, 1),
        lambda: Box(float("nan"), 0, 1, 1),
        lambda: Circle(91, 0, 1),
        lambda: Circle(0, 0, 0),
        lambda: Circle(0, 0, 30_000),
    ],
)
def test_impossible_places(make: Any) -> None:
    with pytest.raises(InvalidRequestError):
        make()


def test_naive_times_are_refused() -> None:
    with pytest.raises(InvalidRequestError, match="'start' must be timezone-aware"):
        TimeRange(datetime(2025, 1, 1), NOW)


FILTERS: list[tuple[dict[str, Any], str, dict[str, Any]]] = [
    (
        {},
        "\"product:type\" = 'CPR_CLD_2A'",
        {"op": "=", "args": [{"property": "product:type"}, "CPR_CLD_2A"]},
    ),
    (
        {"baseline": "BC"},
        "\"product:type\" = 'CPR_CLD_2A' AND version IN ('bc','BC')",
        {
            "op": "and",
            "args": [
                {"op": "=", "args": [{"property": "product:type"}, "CPR_CLD_2A"]},
                {"op": "in", "args": [{"property": "version"}, ["bc", "BC"]]},
            ],
        },
    ),
    (
        {"orbits": ((5, 5), (7, 9)), "frames": ("C", "D")},
        '"product:type" = \'CPR_CLD_2A\' AND ("sat:absolute_orbit" = 5 OR ("sat:absolute_orbit" >= 7 '
        "AND \"sat:absolute_orbit\" <= 9)) AND frame IN ('C','D')",
        {
            "op": "and",
            "args": [
                {"op": "=", "args": [{"property": "product:type"}, "CPR_CLD_2A"]},
                {
                    "op": "or",
                    "args": [
                        {"op": "=", "args": [{"property": "sat:absolute_orbit"}, 5]},
                        {
                            "op": "and",
                            "args": [
                                {"op": ">=", "args": [{"property": "sat:absolute_orbit"}, 7]},
                                {"op": "<=", "args": [{"property": "sat:absolute_orbit"}, 9]},
                            ],
                        },
                    ],
                },
                {"op": "in", "args": [{"property": "frame"}, ["C", "D"]]},
            ],
        },
    ),
]


@pytest.mark.parametrize(("changes", "text", "tree"), FILTERS)
def test_one_filter_is_written_in_both_languages(
    changes: dict[str, Any], text: str, tree: dict[str, Any]
) -> None:
    condition = query(**changes).to_filter(NEW_KEYS, baselines=["bc", "BC"])
    assert condition is not None
    assert (cql2.to_text(condition), cql2.to_json(condition)) == (text, tree)
    # A parser of others reads the same from both.
    assert parser.parse_text(text).to_json() == parser.parse_json(json.dumps(tree)).to_json()


def test_filter_without_some_parts_and_in_old_keys() -> None:
    asked = query(baseline="BC", orbits=((5, 5),), frames=("C",))
    condition = asked.to_filter(OLD_KEYS, without=("orbit", "frame"))
    assert condition is not None
    assert cql2.to_text(condition) == "productType = 'CPR_CLD_2A' AND productVersion = 'BC'"
    assert asked.parts == ("frame", "baseline", "orbit", "product")
    assert asked.to_filter(OLD_KEYS, without=asked.parts) is None


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({"product:type": "cpr_cld_2a", "version": "BC", "sat:absolute_orbit": 7}, True),
        ({"productType": "CPR_CLD_2A", "productVersion": "bc", "orbitNumber": "9"}, True),
        ({"product:type": "CPR_CLD_2A", "version": "BC"}, None),
        ({"product:type": "CPR_CLD_2A", "version": "BC", "sat:absolute_orbit": 10}, False),
        ({"product:type": "ATL_EBD_2A"}, False),
        ({"version": 3, "sat:absolute_orbit": "many"}, None),
        ({}, None),
    ],
)
def test_filter_is_judged_by_the_properties_of_an_item(
    properties: dict[str, Any], expected: bool | None
) -> None:
    condition = query(baseline="bc", orbits=((7, 9),)).to_filter(NEW_KEYS)
    assert condition is not None
    assert cql2.holds(condition, NEW_KEYS.values_of(properties)) is expected


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"baseline": "BC", "time": DAY}, "BC --date 2025-12-01"),
        ({"time": TimeRange(DAY.start, DAY.end + timedelta(days=2))}, "--start 2025-12-01 --end 2025-12-03"),
        (
            {"time": TimeRange(DAY.start + timedelta(hours=1), DAY.start + timedelta(hours=2))},
            "--start 2025-12-01T01:00:00Z --end 2025-12-01T01:59:59Z",
        ),
        ({"time": DAY, "days_back": 3}, "--days-back 3"),
        ({"orbits": ((7655, 7655),), "frames": ("C",)}, "--orbit 07655C"),
        ({"orbits": ((7655, 7657),), "frames": ("C",)}, "--orbit 07655-07657 --frame C"),
        ({"frames": ("C", "D"), "formats": ("h5",)}, "--frame C,D --format h5"),
        ({"box": Box(-10, -20, 30, 40)}, "--bbox=-10,-20,30,40"),
        ({"box": Box(-123.45678, 0.00001, 30, 40)}, "--bbox=-123.45678,0.00001,30,40"),
        ({"circle": Circle(-50.5, 6.25, 300)}, "--point=-50.5,6.25 --radius 300"),
        (
            {"area": {"type": "Point", "coordinates": [6.25, -50.5]}},
            """--area '{"type":"Point","coordinates":[6.25,-50.5]}'""",
        ),
        ({"every_version": True}, "--all-versions"),
        (
            {"newest_first": True, "max_items": 5, "use_catalog": True},
            "--newest-first --max-items 5 --use-catalog",
        ),
    ],
)
def test_command_line(changes: dict[str, Any], words: str) -> None:
    line = query(**changes).to_command()
    assert line == f"maap search EarthCAREL2Validated_MAAP CPR_CLD_2A {words}".rstrip()
    assert shlex.join(shlex.split(line)) == line


@given(st.integers(0, 10**6), st.integers(1, 10**6))
def test_command_line_means_the_same_time(first: int, length: int) -> None:
    start = datetime(2024, 6, 1, tzinfo=UTC) + timedelta(minutes=first)
    span = TimeRange(start, start + timedelta(seconds=length))
    words = shlex.split(query(time=span).to_command())
    options = {words[n].removeprefix("--"): words[n + 1] for n in range(4, len(words), 2)}
    assert asked_time(now=NOW, **options).get("time") == span


def test_areas_across_the_antimeridian() -> None:
    assert query(box=Box(170, -5, -170, 5)).areas() == [
        {"bbox": [170, -5, 180.0, 5]},
        {"bbox": [-180.0, -5, -170, 5]},
    ]
    assert query().areas() == [{}]


@given(st.floats(-90, 90), st.floats(-180, 180), st.floats(1, 5000), st.floats(0, 360), st.floats(0, 0.99))
def test_box_of_a_circle_holds_the_circle(
    latitude: float, longitude: float, radius: float, bearing: float, part: float
) -> None:
    from math import asin, atan2, cos, degrees, radians, sin

    circle = Circle(latitude, longitude, radius)
    box, reach, angle = circle.box(), part * radius / 6371.0, radians(bearing)
    lat, lon = radians(latitude), radians(longitude)
    there = asin(max(-1, min(1, sin(lat) * cos(reach) + cos(lat) * sin(reach) * cos(angle))))
    away = lon + atan2(sin(angle) * sin(reach) * cos(lat), cos(reach) - sin(lat) * sin(there))
    point = ((degrees(away) + 180) % 360 - 180, degrees(there))
    assert circle.touches([point])
    assert any(
        west - 1e-6 <= point[0] <= east + 1e-6 and south - 1e-6 <= point[1] <= north + 1e-6
        for west, south, east, north in box.parts()
    )


def test_track_that_passes_between_its_points_is_met() -> None:
    track = [(-10.0, 0.0), (10.0, 0.0)]
    assert Circle(1, 0, 150).touches(track)
    assert not Circle(5, 0, 150).touches(track)
    assert not Circle(0, 15, 150).touches(track)
    assert Circle(0, 179, 300).touches([(-179.5, -5.0), (-179.5, 5.0)])
    assert Circle(0, 0, 1).touches([])


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"time": TimeRange(DAY.start, DAY.start + timedelta(seconds=1))}, True),
        ({"time": TimeRange(DAY.start - timedelta(days=1), DAY.start)}, False),
        ({"baseline": "bc"}, True),
        ({"baseline": "BA"}, False),
        ({"orbits": ((1, 9),), "frames": ("A",)}, True),
        ({"orbits": ((6, 9),)}, False),
        ({"frames": ("B",)}, False),
    ],
)
def test_what_a_granule_has_to_be(changes: dict[str, Any], wanted: bool) -> None:
    granule = Granule("x", "c", "m", "CPR_CLD_2A", "BC", DAY.start, orbit=5, frame="A")
    assert query(**changes).accepts(granule) is wanted


@pytest.mark.parametrize(
    ("product_type", "is_filtered", "wanted"),
    [
        ("cpr_cld_2a", False, True),
        ("ATL_EBD_2A", True, False),
        ("unknown", True, True),
        ("unknown", False, False),
    ],
)
def test_granule_of_another_product_is_not_wanted(product_type: str, is_filtered: bool, wanted: bool) -> None:
    granule = Granule("x", "c", "m", product_type, "BC", DAY.start)
    assert query().accepts(granule, is_filtered=is_filtered) is wanted
