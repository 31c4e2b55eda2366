import json
from collections.abc import Callable
from pathlib import Path

import pytest

from maap_tui.demo import Archive

L2 = "EarthCAREL2Validated_MAAP"
CLD = (L2, "CPR_CLD_2A", "BC")
DAY = ("--date", "2025-12-01")


def starts(urls: list[str]) -> list[str]:
    return [url.rpartition("CPR_CLD_2A_")[2][:15] for url in urls]


def test_a_day_is_a_url_a_line_in_the_order_of_sensing(maap: Callable) -> None:
    ended = maap("search", *CLD, *DAY)
    assert ended.code == 0
    assert len(ended.lines) == 125
    assert all(url.startswith("http://127.0.0.1") and url.endswith(".h5") for url in ended.lines)
    assert starts(ended.lines) == sorted(starts(ended.lines))
    assert ended.err == "Found 125 files, 18.7 MiB\n"


def test_newest_first_and_a_maximum(maap: Callable) -> None:
    ended = maap("search", *CLD, "--date", "2025-12-01", "--newest-first", "-n", "3")
    assert len(ended.lines) == 3
    assert starts(ended.lines) == sorted(starts(ended.lines), reverse=True)
    assert starts(ended.lines)[0].startswith("20251201T23")
    assert "--max-items" in ended.err


def test_a_range_of_many_days_stays_in_order(maap: Callable) -> None:
    ended = maap("search", *CLD, "--start", "2025-12-01", "--end", "2025-12-12", "--frame", "A")
    assert starts(ended.lines) == sorted(starts(ended.lines))
    assert {one[:8] for one in starts(ended.lines)} == {f"202512{day:02}" for day in range(1, 13)}


def test_json_has_everything_of_a_file(maap: Callable) -> None:
    ended = maap("search", *CLD, *DAY, "--frame", "D", "-n", "1", "--json")
    row = json.loads(ended.out)
    assert row["collection"] == L2
    assert row["baseline"] == "BC"
    assert row["sensing_start"] == "2025-12-01T00:01:26Z"
    assert row["orbit"] == 8574 and row["frame"] == "D"
    assert row["size"] > 131_072 and row["format"] == "h5"
    assert row["geometry"]["type"] == "LineString"
    assert row["url"].endswith(row["id"] + ".h5")


def test_json_of_a_day_that_is_asked_again_is_the_same(
    maap: Callable, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAAP_RETRIES", "0")
    monkeypatch.setenv("MAAP_PAGE_SIZE", "16")
    words = ("search", *CLD, "--start", "2025-12-01", "--end", "2025-12-12", "--frame", "A", "--json", "-v")
    whole = maap(*words)
    archive.control(failing_day="2025-12-03", times=1)
    again = maap(*words)
    assert "Asking again" in again.err and "Asking again" not in whole.err
    assert len(whole.lines) > 150 and again.out == whole.out


def test_an_orbit_with_and_without_its_frame(maap: Callable) -> None:
    assert len(maap("search", *CLD, "--orbit", "08574D").lines) == 1
    assert len(maap("search", *CLD, "--orbit", "8574", "--frame", "c,D").lines) == 2


def test_only_what_is_not_here_is_listed(maap: Callable) -> None:
    words = ("search", *CLD, *DAY, "--frame", "D")
    whole = maap(*words).lines
    assert maap(*words, "--missing").lines == whole
    assert maap("sync", *CLD, *DAY, "--frame", "D", "-n", "3", "--quiet").code == 0
    rest = maap(*words, "--missing")
    assert (rest.code, rest.lines) == (0, whole[3:])
    assert rest.err.startswith("Left out 3 granules that were downloaded\n")
    # What a clean-up deleted is not missing; what is gone without one is.
    first, second, _ = maap("state", "pending", *CLD, "--type", "marks").lines
    assert maap("state", "mark", first).code == 0
    assert maap("state", "cleanup", *CLD).code == 0
    Path(second).unlink()
    assert maap(*words, "--missing").lines == [whole[1], *whole[3:]]
    assert (none := maap(*words, "--missing", "-n", "1")).lines == [] and none.code == 0
    refused = maap(*words, "--missing", "--count")
    assert refused.code == 4 and "--count cannot be used with --missing" in refused.err


def test_formats(maap: Callable) -> None:
    both = maap("search", *CLD, *DAY, "--format", "all", "-n", "2").lines
    assert sorted(url.rpartition(".")[2] for url in both) == ["HDR", "HDR", "h5", "h5"]
    assert maap("search", *CLD, *DAY, "--format", "hdr", "-n", "1").lines[0].endswith(".HDR")


def test_count_is_one_number(maap: Callable, archive: Archive, asked: Callable[[str], int]) -> None:
    maap("list", L2)
    archive.stats.reset()
    ended = maap("search", *CLD, *DAY, "--frame", "D", "--count")
    assert ended.out == "16\n"
    assert asked("search") == 1
    assert json.loads(maap("search", *CLD, *DAY, "--frame", "D", "--count", "--json").out) == {"count": 16}


def test_areas(maap: Callable, tmp_path: Path) -> None:
    whole = len(maap("search", *CLD, *DAY).lines)
    box = maap("search", *CLD, *DAY, "--bbox", "-20,30,20,60")
    assert box.code == 0
    assert 0 < len(box.lines) < whole
    assert box.lines == maap("search", *CLD, *DAY, "--bbox=-20,30,20,60").lines
    point = maap("search", *CLD, *DAY, "--point=50,10", "--radius", "500")
    assert set(point.lines) < set(maap("search", *CLD, *DAY).lines)
    area = tmp_path / "area.geojson"
    ring = [[-20, 30], [20, 30], [20, 60], [-20, 60], [-20, 30]]
    area.write_text(json.dumps({"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}}))
    assert maap("search", *CLD, *DAY, "--area", area).lines == box.lines
    assert maap("search", *CLD, *DAY, "--area", area.read_text()).lines == box.lines
    # A zone around the Earth has its corners at 180 degrees alone.
    ring = [[-180, -20], [180, -20], [180, 20], [-180, 20], [-180, -20]]
    area.write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    zone = maap("search", *CLD, *DAY, "--bbox=-180,-20,180,20").lines
    assert len(zone) > 20 and maap("search", *CLD, *DAY, "--area", area).lines == zone


def test_urls_into_a_file(maap: Callable, tmp_path: Path) -> None:
    file = tmp_path / "deep" / "urls.txt"
    ended = maap("search", *CLD, *DAY, "-o", file)
    assert ended.out == ""
    assert f"Wrote 125 URLs to {file}" in ended.err
    assert file.read_text() == maap("search", *CLD, *DAY, "-o", "-").out


def test_the_registry_is_filled(maap: Callable, home: Path) -> None:
    ended = maap("search", *CLD, *DAY, "--registry-save")
    assert ended.out == ""
    assert "Registered 125 new URLs" in ended.err
    file = home / "registry/urls/EarthCARE" / L2 / "CPR_CLD_2A/BC/2025/url_20251201.txt"
    assert len(file.read_text().splitlines()) == 125
    again = maap("search", *CLD, *DAY, "--registry-save")
    assert "Registered 0 new URLs; 125 were registered before" in again.err
    assert len(maap("state", "pending", *CLD).lines) == 125


def test_what_cannot_be_registered_is_said_and_ends_with_4(maap: Callable, home: Path) -> None:
    deep = home.joinpath(*["x" * 200] * 21)
    ended = maap("--data-dir", deep, "search", *CLD, *DAY, "--registry-save", "--frame", "D")
    assert ended.code == 4
    count = len(maap("search", *CLD, *DAY, "--frame", "D").lines)
    assert f"Skipped {count} items: not registered: the path is too long ({count})" in ended.err
    assert "Registered 0 new URLs" in ended.err and "registered before" not in ended.err
    assert list((home / "registry").rglob("url_*.txt")) == []


def test_the_built_catalogue_bounds_the_range(maap: Callable) -> None:
    missing = maap("search", *CLD, "--use-catalog", *DAY)
    assert (missing.code, len(missing.lines)) == (0, 125)
    assert f"Warning: Built catalog not found for {L2}; the whole range is searched." in missing.err
    assert f"Build it: maap catalog build {' '.join(CLD)}" in missing.err
    assert maap("catalog", "build", *CLD).code == 0
    ended = maap("search", *CLD, "--use-catalog", "--frame", "A", "-n", "1")
    assert ended.code == 0
    assert len(ended.lines) == 1


def test_nothing_found_is_no_error(maap: Callable) -> None:
    ended = maap("search", *CLD, "--date", "2024-07-01")
    assert (ended.code, ended.out) == (0, "")
    assert "Nothing found" in ended.err and "--verify" in ended.err


def test_a_failed_day_is_named(maap: Callable, archive: Archive) -> None:
    archive.control(failing_day="2025-12-05")
    ended = maap("search", *CLD, "--start", "2025-12-01", "--end", "2025-12-12", "--frame", "A")
    assert ended.code == 3
    gap = [line for line in ended.err.splitlines() if line.startswith("FAILED DAY: ")]
    assert len(gap) == 1
    assert gap[0].startswith("FAILED DAY: 2025-12-05 (")
    assert "503" in gap[0]
    days = {one[:8] for one in starts(ended.lines)}
    assert len(days) == 11 and "20251205" not in days


def test_a_catalogue_that_is_down(maap: Callable, archive: Archive) -> None:
    archive.control(status=503, target="catalogue")
    ended = maap("search", *CLD, *DAY)
    assert ended.code == 3
    assert ended.out == ""
    assert "503" in ended.err and "again" in ended.err


def test_a_product_without_an_orbit_index(maap: Callable) -> None:
    names = ("EarthCAREXMETL1DProducts10_MAAP", "AUX_MET_1D")
    alone = maap("search", *names, "--orbit", "08574D")
    assert alone.code == 4
    assert "--start" in alone.err
    both = maap("search", *names, "--orbit", "08574D", *DAY)
    assert both.code == 0
    assert len(both.lines) == 1
    every = maap("search", *names, "--orbit", "08574D", *DAY, "--all-versions")
    assert len(every.lines) == 3
    assert maap("search", *names, *DAY, "--point=0,0").code == 4


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--date", "2024-13-41"], "not a date"),
        (["--date", "someday"], "not a date"),
        (["--start", "2025-02-01", "--end", "2025-01-01"], "must be before"),
        (["--date", "2025-01-01", "--start", "2025-01-01"], "cannot be used with"),
        (["--date", "2025-01-01", "--days-back", "2"], "cannot be used with"),
        (["--date", "2025-01-01", "--end", "2025-01-02"], "cannot be used with --end"),
        (["--end", "2025-01-02"], "--end needs --start"),
        (["--start", "2125-01-02"], "future"),
        (["--date", "2025-01-01", "--orbit", "08574D"], "--orbit cannot be used with --date"),
        (["--start", "2025-01-01", "--orbit", "08574D"], "--orbit cannot be used with --start"),
        (["--days-back", "3", "--orbit", "08574D"], "--orbit cannot be used with --days-back"),
        (["--orbit", "08574D", "--frame", "A"], "names its frame"),
        (["--orbit", "C"], "not an orbit"),
        (["--orbit", "08574Z"], "frames"),
        (["--frame", "X"], "frames"),
        (["--days-back", "0"], "--days-back"),
        (["--days-back", "soon"], "--days-back"),
        (["--max-items", "0"], "--max-items"),
        (["--format", "pdf"], "not a file format"),
        (["--bbox", "1,2,3"], "--bbox"),
        (["--bbox", "0,60,10,50"], "latitude"),
        (["--point", "95,0"], "not a point on Earth"),
        (["--radius", "5"], "--point"),
        (["--bbox", "0,0,1,1", "--point", "1,1"], "exclude one another"),
        (["--area", "missing.json"], "missing.json"),
        (["--nonsense"], "--nonsense"),
        (["BC"], "BC"),
    ],
)
def test_a_wrong_request_is_one_sentence_and_4(maap: Callable, words: list[str], said: str) -> None:
    ended = maap("search", *CLD, *words)
    assert ended.code == 4
    assert ended.out == ""
    assert said in ended.err
    assert ended.err.startswith("Error: ")
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize(
    "content", ["", "no json", "[]", '{"type": "Polygon"}', '{"type": "Point", "coordinates": [200, 0]}']
)
def test_an_area_that_is_none(maap: Callable, tmp_path: Path, content: str) -> None:
    (tmp_path / "area.json").write_text(content)
    ended = maap("search", *CLD, *DAY, "--area", tmp_path / "area.json")
    assert ended.code == 4
    assert "area.json" in ended.err


def test_unknown_names_get_the_nearest(maap: Callable) -> None:
    assert "CPR_CLD_2A" in maap("search", L2, "CPR_CLT_2A", *DAY).err
    assert "BC" in maap("search", L2, "CPR_CLD_2A", "XX", *DAY).err
    ended = maap("search", "EarthCAREL2Valid_MAAP", "CPR_CLD_2A", *DAY)
    assert ended.code == 4 and L2 in ended.err


@pytest.mark.fault("H12")
def test_hostile_names_are_shown_harmless(maap: Callable) -> None:
    ended = maap("search", "\x1b]0;x\x07\u202e[/b]", "CPR_CLD_2A")
    assert ended.code == 4
    assert "\\x1b]0;x\\x07\\u202e[/b]" in ended.err
    assert not any(ord(one) < 32 and one != "\n" for one in ended.err)


def test_quiet_leaves_the_data(maap: Callable) -> None:
    ended = maap("search", *CLD, *DAY, "--frame", "D", "-q")
    assert len(ended.lines) == 16
    assert ended.err == ""
    assert maap("--quiet", "search", *CLD, "--date", "x").err.startswith("Error: ")


def test_verbose_tells_of_pages_and_a_traceback_only_at_two(maap: Callable) -> None:
    assert "of 16 items" in maap("search", *CLD, *DAY, "--frame", "D", "-v").err
    assert "Traceback" not in maap("search", *CLD, "--date", "x", "-v").err
    assert "Traceback" in maap("-v", "search", *CLD, "--date", "x", "-v").err


def test_filter_that_finds_nothing_is_said_and_done_without(maap: Callable, archive: Archive) -> None:
    archive.faults.add(blind="version")
    ended = maap("search", *CLD, *DAY)
    assert (ended.code, len(ended.lines)) == (0, 125)
    assert ended.err.count("finds nothing in EarthCAREL2Validated_MAAP by baseline") == 1
    assert maap("search", *CLD, *DAY, "--count").lines == ["125"]


def test_count_without_filters_of_all_there_is_is_refused(maap: Callable, archive: Archive) -> None:
    archive.faults.add(filters="refused")
    ended = maap("search", *CLD, "--count")
    assert (ended.code, ended.out) == (4, "")
    assert "items would have to be read for a count" in ended.err and "shorter time range" in ended.err


def test_nothing_where_the_registry_has_files_is_a_gap(maap: Callable, archive: Archive) -> None:
    assert maap("search", *CLD, *DAY, "--registry-save").code == 0
    archive.faults.add(empty_results=True)
    for verb in (["search"], ["sync"], ["get", "--dry-run"]):
        ended = maap(*verb, *CLD, *DAY)
        assert ended.code == 3
        assert "FAILED DAY: " in ended.err and "registry has 125 files of that time" in ended.err


def test_nothing_where_nothing_is_known_is_a_success(maap: Callable, archive: Archive) -> None:
    archive.faults.add(empty_results=True)
    ended = maap("search", *CLD, *DAY)
    assert (ended.code, ended.out) == (0, "") and "Nothing found" in ended.err


def test_service_of_cql2_json_serves_every_command(maap: Callable, archive: Archive) -> None:
    usual = maap("search", *CLD, *DAY).lines
    archive.faults.add(filters="json")
    assert maap("search", *CLD, *DAY).lines == usual
    assert maap("search", *CLD, *DAY, "--count").lines == ["126"]
    assert "BC" in maap("list", L2, "CPR_CLD_2A", "--verify").out
    assert maap("catalog", "build", *CLD).code == 0
    assert maap("sync", *CLD, *DAY, "--frame", "A", "-n", "2").code == 0


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("found.geojson", "Wrote 3 files to found.geojson"),
        ("found.parquet", "Wrote 3 files to found.parquet"),
        ("found.csv", "Wrote 3 files to found.csv"),
        ("found.urls", "Wrote 3 URLs to found.urls"),
    ],
)
def test_the_suffix_says_what_is_written(
    maap: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = maap("search", *CLD, *DAY, "-n", "3", "-o", name, "--json")
    assert ended.code == 0 and said in ended.err
    urls = [json.loads(line)["url"] for line in ended.lines]
    text = Path(name).read_bytes()
    if name.endswith(".parquet"):
        assert text.startswith(b"PAR1") and text.endswith(b"PAR1")
    else:
        assert all(url.encode() in text for url in urls)
