"""What the fields of a search mean, without an app: times, areas, queries, cron lines, tracks in words."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from maap_tui.engine.catalogue.index import Known, KnownCollection
from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.missions import mission_of_collection
from maap_tui.engine.model import Granule, TimeRange
from maap_tui.engine.saved_searches import Choices
from maap_tui.tui.screens.search.area_field import read_area
from maap_tui.tui.screens.search.granule_words import track_in_words
from maap_tui.tui.screens.search.results import Result, merged, order_of
from maap_tui.tui.screens.search.saved_terms import choices_of, in_words, terms_of
from maap_tui.tui.screens.search.search_words import progress_in_words
from maap_tui.tui.screens.search.terms import Terms, cron_line, find_matches, read_terms
from maap_tui.tui.screens.search.time_field import read_time

NOW = datetime(2026, 1, 15, tzinfo=UTC)
L2 = "EarthCAREL2Validated_MAAP"


def read(**texts: Any) -> Any:
    return read_terms(
        Terms(**{"collection": L2, "product_type": "CPR_CLD_2A", **texts}),
        Known({L2: KnownCollection(L2, "EarthCARE")}),
        mission_of=mission_of_collection,
        now=NOW,
        default_maximum=50_000,
    )


@pytest.mark.parametrize(
    ("text", "start", "end", "days"),
    [
        ("2025-12-01", "2025-12-01T00:00", "2025-12-02T00:00", None),
        ("2025-12-01..2025-12-07", "2025-12-01T00:00", "2025-12-08T00:00", None),
        ("2025-12-01/2025-12-02", "2025-12-01T00:00", "2025-12-03T00:00", None),
        ("2025-12-01..", "2025-12-01T00:00", "2026-01-15T00:00", None),
        ("2025-12-01T10:30", "2025-12-01T10:30", "2025-12-01T10:31", None),
        ("7d", "2026-01-08T00:00", "2026-01-15T00:00", 7),
        ("last 2 weeks", "2026-01-01T00:00", "2026-01-15T00:00", 14),
        ("yesterday", "2026-01-14T00:00", "2026-01-15T00:00", None),
        ("2025-12", "2025-12-01T00:00", "2026-01-01T00:00", None),
        ("2025-11..2025-12", "2025-11-01T00:00", "2026-01-01T00:00", None),
        ("20251201", "2025-12-01T00:00", "2025-12-02T00:00", None),
        ("2025-335", "2025-12-01T00:00", "2025-12-02T00:00", None),
        ("3h", "2026-01-14T21:00", "2026-01-15T00:00", None),
        ("2025-12-01 03:00..06:00", "2025-12-01T03:00", "2025-12-01T06:01", None),
        ("2025-12-01 3:00..6:30", "2025-12-01T03:00", "2025-12-01T06:31", None),
        ("2025-12-01 2025-12-03", "2025-12-01T00:00", "2025-12-04T00:00", None),
        ("2025-12-01 to 2025-12-03", "2025-12-01T00:00", "2025-12-04T00:00", None),
    ],
)
def test_time_is_one_date_a_range_or_the_last_days(text: str, start: str, end: str, days: int | None) -> None:
    span = TimeRange(*(datetime.fromisoformat(f"{one}+00:00") for one in (start, end)))
    found = read_time(text, NOW)
    assert (found["time"], found.get("days_back")) == (span, days)


@pytest.mark.parametrize("text", ["30d", "2025-12-01", "2025-11-01..2025-12-31", "2025-12-01.."])
def test_the_days_that_lack_something_are_asked_for_with_a_word(text: str) -> None:
    query, plain = read(time=f"missing  {text}").query, read(time=text).query
    assert query == plain.replace(missing=True)
    assert f"--date 'missing {text}'" in query.to_command()
    assert Terms.of_query(query, 50_000).time == f"missing {text}"
    assert "--date 'missing " in cron_line(query, NOW)


@pytest.mark.parametrize(
    "text",
    [
        "missing",
        "missing missing 7d",
        "missing nonsense",
        "2025-13-01",
        "0d",
        "nonsense",
        "2025-12-07..2025-12-01",
        "2027-01-01",
        "..",
        "99999d",
        "[/foo]",
        "2025-13",
        "2025-366",
        "2025-000",
    ],
)
def test_a_text_that_is_no_time_is_refused_in_words(text: str) -> None:
    with pytest.raises(InvalidRequestError):
        read_time(text, NOW)
    assert "time" in read(time=text).problems


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("61.8,24.3 r100", "--point=61.8,24.3 --radius 100"),
        ("61.8N 24.3E 100 km", "--point=61.8,24.3 --radius 100"),
        ("33.9S, 18.4E", "--point=-33.9,18.4 --radius 50"),
        ("20,60,30,65", "--bbox=20,60,30,65"),
        ("170 -20 -170 -10", "--bbox=170,-20,-170,-10"),
    ],
)
def test_an_area_is_a_point_with_a_distance_or_a_box(text: str, options: str) -> None:
    query = read(area=text, time="7d").query
    assert options in query.to_command()
    assert read(area=Terms.of_query(query, 50_000).area, time="7d").query == query


@pytest.mark.parametrize("text", ["here", "91,0", "0,0 r0", "1,2,3,4,5", "20,65,30,60"])
def test_a_text_that_is_no_area_is_refused_in_words(text: str) -> None:
    with pytest.raises(InvalidRequestError):
        read_area(text)
    assert "area" in read(area=text).problems
    assert "no ground track" in read(product_type="AUX_MET_1D", area="61.8,24.3").problems["area"]


@pytest.mark.parametrize(
    ("text", "options"), [("2025-12-01..", "--start 2025-12-01"), ("3h", "--start 2026-01-14T21:00:00Z")]
)
def test_a_range_up_to_now_names_no_end(text: str, options: str) -> None:
    command = read(time=text).query.to_command()
    assert options in command and "--end" not in command


def test_hours_back_begin_at_a_whole_second() -> None:
    found = read_time("3h", NOW + timedelta(microseconds=914_504))
    assert found["time"].start == NOW - timedelta(hours=3)


def test_progress_is_said_against_what_was_counted() -> None:
    assert progress_in_words(2_000, None, 50_000, 10.0) == (
        "Searching: 2,000 of 50,000 granules, 4 %, 4 min left; ctrl+r stops it"
    )
    assert progress_in_words(3, None, None, 10.0) == "Searching: 3 granules; ctrl+r stops it"


def test_a_problem_is_reported_at_its_field() -> None:
    assert list(read(orbit="x").problems) == ["orbit"]
    assert list(read(frames="Z").problems) == ["frames"]
    assert list(read(orbit="7655C", frames="A").problems) == ["frames"]
    assert list(read(formats="exe").problems) == ["formats"]
    assert list(read(maximum="0").problems) == ["maximum"]
    assert "exclude" in read(orbit="7655", time="7d").problems["orbit"]
    assert read(product_type="AUX_MET_1D", orbit="7655").problems["orbit"].endswith("give a time as well")
    assert read(product_type="AUX_MET_1D", orbit="7655", time="7d").query is not None
    assert read(product_type="").query is None and "product type" in read(product_type="").hint
    assert read(collection="", product_type="").hint


def test_fields_become_a_query_and_back() -> None:
    query = read(baseline="BC", orbit="8960-8970,9000", frames="c,d", formats="h5,hdr", maximum="1,000").query
    assert query.orbits == ((8960, 8970), (9000, 9000))
    assert (query.frames, query.formats, query.max_items) == (("C", "D"), ("h5", "hdr"), 1000)
    again = Terms.of_query(query, 50_000)
    assert read(**{**again.as_dict()}).query == query
    for text in ("7d", "2025-12-01", "2025-12-01..2025-12-07", "2025-12-01T10:30:00Z..2025-12-01T11:00:00Z"):
        query = read(time=text, every_version=True).query
        assert query.every_version
        assert read(time=Terms.of_query(query, 50_000).time).query.time == query.time
    assert Terms.from_dict({"collection": 5, "time": "7d", "newest_first": "yes"}) == Terms(time="7d")
    assert Terms.from_dict(None) == Terms()


@pytest.mark.parametrize(
    ("texts", "saved"),
    [
        ({"time": "7d", "baseline": "Newest"}, {"baseline": "newest", "days_back": 7}),
        ({"time": "2025-12-01 03:00..06:00", "baseline": "any"}, {"date": "2025-12-01 03:00..06:00"}),
        ({"orbit": "7655C", "maximum": "1,000"}, {"orbit": "7655C", "max_items": 1000}),
        ({"time": "3h", "area": "61.8N 24.3E 100 km"}, {"date": "3h", "point": "61.8,24.3", "radius": "100"}),
        ({"time": "3h", "area": "-10,50,10,60"}, {"date": "3h", "bbox": "-10,50,10,60"}),
        (
            {"frames": "c,d", "formats": "h5", "newest_first": True, "every_version": True, "time": "1d"},
            {
                "days_back": 1,
                "frame": "c,d",
                "format": "h5",
                "newest_first": True,
                "all_versions": True,
            },
        ),
    ],
)
def test_a_saved_search_has_what_was_typed(texts: dict[str, Any], saved: dict[str, Any]) -> None:
    query = read(**texts).query
    terms = Terms(L2.lower(), "cpr_cld_2a", **texts)
    choices = choices_of(terms, query)
    names = {"collection": L2 if query else L2.lower(), "product": "CPR_CLD_2A" if query else "cpr_cld_2a"}
    assert choices == names | saved
    again = terms_of(choices)
    assert read(**again.as_dict()).query == query
    assert choices_of(again, query) == choices


def test_an_area_may_be_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "Areas").mkdir()
    file = tmp_path / "Areas" / "lake.geojson"
    ring = [[20, 60], [30, 60], [30, 65], [20, 60]]
    file.write_text(json.dumps({"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}}))
    (tmp_path / "Areas" / "notes.txt").touch()
    (tmp_path / ".hidden.json").touch()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path / "Areas")
    known = Known({})
    for typed, offered in {
        "~/a": ["~/Areas/"],
        "~/Areas/": ["~/Areas/lake.geojson"],
        "./L": ["./lake.geojson"],
        "../": ["../Areas/"],
        f"{tmp_path}/.h": [f"{tmp_path}/.hidden.json"],
        "/no/such/": [],
    }.items():
        assert [match.name for match in find_matches("area", Terms(area=typed), known)] == offered
    for typed in ("~/Areas/lake.geojson", "lake.geojson", "./lake.geojson", str(file)):
        query = read(area=typed, time="7d").query
        assert query.area == {"type": "Polygon", "coordinates": [ring]}
        assert query.to_command().endswith(f" --area {file}")
        terms = Terms.of_query(query, 50_000)
        assert terms.area == str(file)
        assert terms_of(choices_of(terms, query)).area == str(file)
    file.write_text("{}")
    assert "is not a GeoJSON geometry" in read(area="lake.geojson").problems["area"]
    for typed, said in (
        ("~/Areas", "~/Areas is a folder"),
        ("none.json", "none.json cannot be read: No such file or directory"),
        ("/dev/null", "/dev/null is not a file"),
    ):
        assert read(area=typed).problems["area"].rstrip(".") == said


def test_what_the_form_holds_of_a_file() -> None:
    choices: Choices = {
        "product": "X",
        "start": "2025-12-01",
        "track": "14,15",
        "orbit": "3017",
        "max_items": 2,
    }
    assert terms_of(choices) == Terms("", "X", time="2025-12-01..", orbit="3017 T14 T15", maximum="2")
    assert in_words(choices) == "X 2025-12-01.. orbit 3017 track 14,15 at most 2"
    with pytest.raises(InvalidRequestError, match="GeoJSON"):
        terms_of({"area": '{"type": "Point"}'})


def test_a_crontab_line_goes_back_as_many_days_as_the_search() -> None:
    week = read(time="2025-12-01..2025-12-07", baseline="BC").query
    assert cron_line(week, NOW) == (
        f"0 6 * * * maap sync {L2} CPR_CLD_2A BC --days-back 7 >> $HOME/maap-sync.log 2>&1"
    )
    assert "--days-back 2 " in cron_line(read(time="2d").query, NOW)
    assert "--days-back 3 " in cron_line(read(orbit="7655C").query, NOW)
    assert "--orbit" not in cron_line(read(orbit="7655C").query, NOW)


def test_a_ground_track_is_described_in_words() -> None:
    def granule(track: list[list[float]] | None, kind: str = "LineString") -> Granule:
        geometry = {"type": kind, "coordinates": track} if track is not None else None
        return Granule("x", L2, "EarthCARE", "P", "BC", NOW, orbit_state="ASCENDING", geometry=geometry)

    words = " ".join(track_in_words(granule([[170.0, -30.0], [-175.0, 10.0]])))
    assert "From 30.0S 170.0E to 10.0N 175.0W, northward (ascending)." in words
    assert "the tropic of Capricorn" in words and "the equator" in words and "antimeridian" in words
    assert "no ground track" in " ".join(track_in_words(granule(None)))
    assert "Polygon" in " ".join(track_in_words(granule([], "Polygon")))
    ring = [[178.0, -20.0], [179.0, 0.0], [180.0, 20.0], [181.4, 20.0], [180.4, 0.0], [179.4, -20.0]]
    swath = " ".join(track_in_words(granule([ring], "Polygon")))
    assert "The outline of a swath, 15" in swath and "km wide" in swath
    assert "From 20.0S 178.7E to 20.0N 179.3W, northward (ascending)." in swath and "antimeridian" in swath
    assert "At 5.0N 10.0E." in track_in_words(granule([10.0, 5.0], "Point"))
    boxed = replace(granule(None), bbox=(170.0, -5.0, -170.0, 5.0))
    assert "it is within 5.0S 170.0E to 5.0N 170.0W" in track_in_words(boxed)[0]


@pytest.mark.parametrize("newest_first", [False, True])
def test_days_asked_again_find_their_place_a_slice_at_a_time(newest_first: bool) -> None:
    count, late, size = 8000, range(4000, 4200), 1000
    sign = -1 if newest_first else 1

    def result(number: int) -> Result:
        start = NOW + sign * timedelta(minutes=number)
        return Result(Granule(f"{number:06}", L2, "EarthCARE", "CPR_CLD_2A", "BC", start), (), 1)

    rows = [result(number) for number in (*(one for one in range(count) if one not in late), *late)]
    parts = list(merged(rows, [count - len(late)], newest_first=newest_first, size=size))
    assert [len(part) for part in parts] == [size] * 8
    in_order = [row for part in parts for row in part]
    assert in_order == sorted(rows, key=order_of, reverse=newest_first)
    assert [int(row.granule.id) for row in in_order] == list(range(count))
