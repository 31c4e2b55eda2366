"""`maap overpass`: against all granules of the archive by PROJ; its forms; what is to come."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from maap_tui.demo import Archive
from maap_tui.engine.catalogue.stac import granule_of
from maap_tui.engine.model import Granule, TimeRange
from maap_tui.engine.overpass.ical import calendar
from maap_tui.engine.overpass.passing import Place, passes_of
from maap_tui.engine.session import Session
from maap_tui.engine.workflows.overpass import By, Overpasses, overpasses, query_for
from tests import verbatim
from tests.engine.geod_kit import Sampled, apart
from tests.engine.raw_server import RawServer
from tests.engine.swap_kit import DAY, Published, SwapArchive
from tests.homes import MOMENT, Ended
from tests.verbatim import DATA

L1, L2 = "EarthCAREL1Validated_MAAP", "EarthCAREL2Validated_MAAP"
DAYS = ("--date", "2025-12-01..2025-12-03")
HYYTIALA = Place("Hyytiala", (24.288, 61.844))
PLACES = {
    "hyytiala": ("--point=hyytiala", (24.288, 61.844), 300),
    "north pole": ("--point=90,0", (0.0, 90.0), 900),
    "near a pole": ("--point=-84.5,120", (120.0, -84.5), 400),
    "180 degrees": ("--point=-17.5,179.99", (179.99, -17.5), 600),
    "west of 180": ("--point=65,-179.9", (-179.9, 65.0), 250),
}


def granules() -> list[Granule]:
    """The real items."""
    items = (json.loads(file.read_text("utf-8")) for file in sorted(DATA.glob("*.json")))
    return [granule_of(item, L2, "EarthCARE") for item in items]


def rows_of(ended: Ended) -> list[dict[str, Any]]:
    assert ended.code == 0, ended.err
    return [json.loads(line) for line in ended.lines]


@pytest.fixture(scope="module")
def flown() -> list[dict[str, Any]]:
    """Every granule of three days, as the archive has it, once a test has asked for it."""
    return []


@pytest.mark.parametrize("name", PLACES)
def test_none_is_missed_and_none_is_made_up(
    name: str, maap: Callable[..., Ended], asked: Callable[[str], int], flown: list[dict[str, Any]]
) -> None:
    if not flown:
        every = rows_of(
            maap(
                "search",
                L1,
                "ATL_NOM_1B",
                "-s",
                "2025-11-30T23:00",
                "-e",
                "2025-12-03",
                "--json",
                "-n",
                "9999",
            )
        )
        flown += every
    option, place, within = PLACES[name]
    before = asked("search")
    found = rows_of(maap("overpass", option, "--radius", f"{within}km", *DAYS, "--json"))
    requests = asked("search") - before
    assert requests <= 2  # one for each side of 180 degrees

    expected = {}
    for one in flown:
        start, end = (datetime.fromisoformat(one[key]) for key in ("sensing_start", "sensing_end"))
        metres, seconds = Sampled(one["track"], (end - start).total_seconds()).nearest(place)
        moment = start + timedelta(seconds=seconds)
        if metres <= within * 1000 and datetime(2025, 12, 1, tzinfo=UTC) <= moment:
            expected[one["id"]] = (metres, moment)
    assert len(expected) > 1
    assert {row["granule"] for row in found} == set(expected)
    for row in found:
        metres, moment = expected[row["granule"]]
        assert row["distance_km"] == pytest.approx(metres / 1000, abs=0.1)
        assert abs(datetime.fromisoformat(row["time"]) - moment) <= timedelta(seconds=0.1)
        assert apart((row["longitude"], row["latitude"]), place) == pytest.approx(metres, abs=100)
        assert row["source"] == "archive" and f"{row['orbit']:05d}{row['frame']}" in row["granule"]
    assert [row["time"] for row in found] == sorted(row["time"] for row in found)


def test_a_swath_counts_when_it_covers_the_place(maap: Callable[..., Ended]) -> None:
    options = (L2, "MSI_COP_2A", "--point", "hyytiala", "--radius", "5km", "--date", "2025-12")
    found = rows_of(maap("overpass", *options, "--json"))
    inside = [row for row in found if row["swath_km"] == 0]
    assert inside and all(row["swath_km"] <= 5 for row in found)
    # It is 150 km wide, and a place at its edge is far from its middle.
    assert max(row["distance_km"] for row in inside) > 40
    assert all(row["distance_km"] < 81 for row in found)
    shown = maap("overpass", *options)
    assert "Swath" in shown.lines[0] and "inside" in shown.out


def test_what_is_here_of_an_orbit_and_frame(maap: Callable[..., Ended]) -> None:
    day = ("--date", "2025-12-04")
    assert maap("sync", L2, "CPR_CLD_2A", "BC", *day, "--frame", "B").code == 0
    (row,) = rows_of(maap("overpass", "--point=hyytiala", "--radius=50km", *day, "--json"))
    assert row["here"] == ["CPR_CLD_2A"]
    table = maap("overpass", "--point=hyytiala", "--radius=50km", *day)
    assert table.lines[0].split()[-1] == "Here" and table.lines[1].endswith("archive  CPR_CLD_2A")


def test_a_baseline_that_cannot_be_read_loses_no_overpass(maap: Callable[..., Ended], home: Path) -> None:
    day = ("--date", "2025-12-04")
    assert maap("sync", L2, "CPR_CLD_2A", "BC", *day, "--frame", "B").code == 0
    folder = home / "registry/downloads/EarthCARE" / L2 / "AAA_BBB_2A" / "BC"
    folder.parent.mkdir(parents=True)
    folder.symlink_to(folder)
    (home / "registry/urls/EarthCARE" / L2 / "AAA_BBB_2A" / "BC").mkdir(parents=True)
    ended = maap("overpass", "--point=hyytiala", "--radius=50km", *day, "--json")
    assert ended.code == 3 and ended.err.count(f"{folder} is ignored") == 1
    (row,) = map(json.loads, ended.lines)
    assert row["here"] == ["CPR_CLD_2A"]


def test_what_is_here_of_an_observation_that_has_no_orbit_in_its_name(maap: Callable[..., Ended]) -> None:
    """Of Biomass the items say the orbit and the files do not: both have track and frame."""
    product = ("BiomassLevel1b", "S2_DGM__1S")
    assert maap("sync", *product, "--date", "2025-12-12", "--frame", "222", "--quiet").code == 0
    words = ("overpass", product[0], "S1_DGM__1S", "--point=19.5,1.1", "--radius=20km", "--date=2025-12-12")
    here = {row["frame"]: row["here"] for row in rows_of(maap(*words, "--json"))}
    assert here == {"222": ["S2_DGM__1S"], "223": []}


def unfolded(text: str) -> list[str]:
    assert text.endswith("\r\n") and "\n" not in text.replace("\r\n", "")
    assert all(len(line.encode()) <= 75 for line in text.split("\r\n"))
    return text.replace("\r\n ", "").split("\r\n")[:-1]


def test_calendar(maap: Callable[..., Ended], tmp_path: Path) -> None:
    options = ("overpass", "--point", "hyytiala", "--radius", "100km", "--date", "2025-12-04..2025-12-10")
    ended = maap(*options, "--ical")
    lines = unfolded(ended.out)
    assert lines[0] == "BEGIN:VCALENDAR" and lines[-1] == "END:VCALENDAR" and "VERSION:2.0" in lines
    assert lines.count("BEGIN:VEVENT") == lines.count("END:VEVENT") == 3
    starts = [line for line in lines if line.startswith("DTSTART:")]
    assert starts[0] == "DTSTART:20251204T232643Z" and len(starts) == 3
    assert all(re.fullmatch(r"DTSTAMP:\d{8}T\d{6}Z", line) for line in lines if line.startswith("DTSTAMP"))
    assert "LOCATION:Hyytiälä\\, Finland" in lines
    uids = [line for line in lines if line.startswith("UID:")]
    assert len(set(uids)) == 3
    again = maap(*options, "-o", tmp_path / "site.ics")
    assert again.code == 0 and "Wrote 3 overpasses" in again.err
    written = (tmp_path / "site.ics").read_bytes().decode()
    assert [line for line in unfolded(written) if line.startswith("UID:")] == uids


def test_a_calendar_has_a_pass_once_at_the_border_of_two_frames(maap: Callable[..., Ended]) -> None:
    """Frames are cut at 67.5 degrees: a pass there is in two granules, and one of them comes nearer."""
    options = ("overpass", "--point=67.55,24.2", "--radius=200km", "--date=2025-12")
    rows = rows_of(maap(*options, "--json"))
    passes = {row["orbit"] for row in rows}
    both = [row for row in rows if sum(row["orbit"] == other["orbit"] for other in rows) == 2]
    assert both and sum(row["at_end"] for row in both) == len(both) / 2
    lines = unfolded(maap(*options, "--ical").out)
    uids = [line for line in lines if line.startswith("UID:")]
    assert len(uids) == len(set(uids)) == len(passes) < len(rows)


def test_calendar_of_a_name_that_has_every_sign(session: Callable[..., Session]) -> None:
    one = passes_of(granules()[0], Place("", (0.0, 0.0)), 2e7)
    assert one
    place = Place("a\\b;c,d\ne" + "ä€😀" * 40 + "\x00\x1b", (0.0, 0.0))
    lines = unfolded(calendar(one, place, MOMENT))
    assert f"LOCATION:a\\\\b\\;c\\,d\\ne{'ä€😀' * 40}" in lines


def test_csv(maap: Callable[..., Ended]) -> None:
    options = ("overpass", "--point", "hyytiala", "--radius", "100km", "--date", "2025-12-04..2025-12-10")
    rows = list(csv.DictReader(io.StringIO(maap(*options, "--csv").out)))
    same = rows_of(maap(*options, "--json"))
    assert [row["granule"] for row in rows] == [row["granule"] for row in same]
    assert [float(row["distance_km"]) for row in rows] == [row["distance_km"] for row in same]
    assert rows[0].keys() == same[0].keys()


async def expected(
    session: Callable[..., Session], now: datetime, days: int, by: By = "auto", metres: float = 150e3
) -> Overpasses:
    opened = session()
    opened.now = lambda: now
    async with opened:
        query = query_for(opened, "", "", None)
        span = TimeRange(now, now + timedelta(days=days))
        return await overpasses(opened, query, HYYTIALA, metres, span, by=by)


async def test_what_the_repeat_cycle_says_is_flown(
    session: Callable[..., Session], asked: Callable[[str], int]
) -> None:
    december = datetime(2025, 12, 10, tzinfo=UTC)
    said = await expected(session, december, 35, "cycle")
    assert asked("search") == 1
    async with session() as opened:
        span = TimeRange(december, december + timedelta(days=35))
        flown = await overpasses(opened, query_for(opened, "", "", None), HYYTIALA, 150e3, span)
    assert len(flown.rows) > 12
    assert {one.source for one in said.rows} == {"repeat cycle"}
    assert [one.name for one in said.rows] == [one.name for one in flown.rows]
    for one, other in zip(said.rows, flown.rows, strict=True):
        assert abs(one.time - other.time) < timedelta(seconds=2)
        assert one.metres == pytest.approx(other.metres, abs=500)
        assert (one.side, one.is_ascending) == (other.side, other.is_ascending)
        assert one.granule is None and other.granule is not None
    dates = [uid_line(one) for one in (said, flown)]
    assert dates[0] == dates[1]


async def test_a_cycle_is_as_long_as_the_last_one_was(session: Callable[..., Session]) -> None:
    """The real items of orbits 4366 and 4755: their track comes again 25 days less 21 s later."""
    now = datetime(2025, 4, 5, tzinfo=UTC)
    first, second = (one for one in granules() if one.orbit in (4366, 4755))
    place = Place("", first.track[4])
    before, after = (passes_of(one, place, 100e3) for one in (first, second))
    assert before and after
    with verbatim.serving() as server:
        opened = session(server.root)
        opened.now = lambda: now
        async with opened:
            query = query_for(opened, L2, "MSI_COP_2A", None)
            span = TimeRange(now, now + timedelta(days=50))
            found = await overpasses(opened, query, place, 20e3, span)
    assert [one.name for one in found.rows] == ["05144E", "05533E"]
    length = after[0].time - before[0].time
    assert found.rows[0].time == after[0].time + length
    assert found.rows[1].time == after[0].time + 2 * length
    assert found.rows[0].swath_metres == 0 and found.rows[0].metres < 1000


@pytest.mark.parametrize("by", ["prediction", "scenario"])
async def test_what_the_orbit_files_say_is_flown(
    by: By, session: Callable[..., Session], asked: Callable[[str], int]
) -> None:
    """The orbit of the files follows the forces, the archive's tracks do not: some kilometres and seconds."""
    december = datetime(2025, 12, 10, tzinfo=UTC)
    said = await expected(session, december, 28, by)
    assert (asked("search"), asked("data")) == (1, 2)  # the file is asked for without the token first
    async with session() as opened:
        span = TimeRange(december, december + timedelta(days=28))
        every = await overpasses(opened, query_for(opened, "", "", None), HYYTIALA, 200e3, span)
    flown = {one.name: one for one in every.rows}
    names = {one.name for one in said.rows}
    assert {name for name, one in flown.items() if one.metres < 135e3} <= names <= set(flown)
    for one in said.rows:
        other = flown[one.name]
        assert abs(one.time - other.time) < timedelta(seconds=6)
        assert one.metres == pytest.approx(other.metres, abs=10e3)
        assert one.is_ascending == other.is_ascending
        assert re.fullmatch(rf"orbit {by} ECA_EXAA_(AUX_ORBPRE|MPL_ORBSCT)_\w+", one.source)


async def test_the_cycle_goes_on_where_the_prediction_ends(session: Callable[..., Session]) -> None:
    december = datetime(2025, 12, 10, tzinfo=UTC)
    found = await expected(session, december, 45)
    sources = [one.source.split(" ECA_")[0] for one in found.rows]
    assert sources == sorted(sources) and set(sources) == {"orbit prediction", "repeat cycle"}
    names = [one.name for one in found.rows]
    assert len(set(names)) == len(names) and found.notes == []
    only = await expected(session, december, 45, "prediction")
    assert {one.name for one in only.rows} <= set(names) and "says nothing of 2026-01-0" in only.notes[0]
    assert found.unsaid == [] and [one.end for one in only.unsaid] == [december + timedelta(days=45)]


def test_a_time_beyond_the_prediction_is_a_part_that_is_left(
    maap: Callable[..., Ended], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Commands go by the clock of this machine, and what is predicted by that of the archive.
    with Archive.start() as of_today:
        of_today.prepare(home)
        for name, value in of_today.environment(home).items():
            monkeypatch.setenv(name, value)
        for form in ("--json", "--csv", "--ical"):
            ended = maap("overpass", "--point=hyytiala", "--next=300d", "--by=prediction", form, "--quiet")
            assert ended.code == 3 and "Warning: ECA_EXAA_AUX_ORBPRE" in ended.err
            assert " says nothing of 20" in ended.err
        whole = maap("overpass", "--point=hyytiala", "--next=300d", "--quiet")
        assert (whole.code, whole.err) == (0, "")


@pytest.mark.parametrize("by", ["prediction", "scenario"])
async def test_an_orbit_file_is_fetched_once(
    by: By, session: Callable[..., Session], asked: Callable[[str], int], home: Path
) -> None:
    december = datetime(2025, 12, 10, 6, tzinfo=UTC)
    first = await expected(session, december, 14, by)
    assert asked("data") == 2
    (home / "credentials.txt").rename(home / "away.txt")
    again = await expected(session, december + timedelta(hours=1), 14, by)
    assert asked("data") == 2, "the second question makes no download, and needs no token"
    (home / "away.txt").rename(home / "credentials.txt")
    names = {one.name for one in again.rows}
    assert (
        first.rows and {one.name for one in first.rows if one.time >= december + timedelta(hours=1)} <= names
    )
    (file,) = home.rglob("orbit_EarthCARE_*")
    # A file that was cut, altered, or is of another identity does not count.
    whole = file.read_bytes()
    for bad in (
        whole[:-1],
        whole[:-1] + b"?",
        b"",
        b"\xff" * 99,
        b"[1]\n",
        whole.replace(b"ECA_", b"ECB_", 1),
    ):
        file.write_bytes(bad)
        before = asked("data")
        assert (await expected(session, december, 14, by)).rows == first.rows
        assert asked("data") == before + 2 and file.read_bytes() == whole
    file.unlink()
    file.mkdir()
    assert (await expected(session, december, 14, by)).rows == first.rows, "a cache that cannot be written"


async def test_a_question_from_now_on_asks_the_archive_for_nothing_that_was(
    session: Callable[..., Session], asked: Callable[[str], int]
) -> None:
    """The clock goes on between the moment that the question means and the moment that it is asked."""
    opened = session()
    began = MOMENT + timedelta(seconds=0.7)
    opened.now = lambda: began + timedelta(seconds=2)
    async with opened:
        span = TimeRange(MOMENT, MOMENT + timedelta(days=3))
        await overpasses(opened, query_for(opened, "", "", None), HYYTIALA, 1e6, span, by="scenario")
    assert asked("search") == 1, "for the orbit file"


def test_a_catalogue_that_is_down_is_not_asked_for_what_it_cannot_say(
    maap: Callable[..., Ended], archive: Archive
) -> None:
    archive.faults.set(status=503, target="search")
    ended = maap("overpass", "--point=hyytiala", "--radius=100km", "--next=3d")
    assert ended.code == 3 and ended.out == ""
    assert "The predicted orbit cannot be had: AUX_ORBPRE could not be searched" in ended.err
    # The days of the cycle are named; those that an orbit file is looked for in are nobody's.
    days = [line for line in ended.err.splitlines() if line.startswith("FAILED DAY")]
    assert len(days) == len(set(days)) <= 52


async def test_a_newer_orbit_file_takes_the_place_of_the_one_that_is_kept(
    session: Callable[..., Session], asked: Callable[[str], int], home: Path
) -> None:
    december = datetime(2025, 12, 10, tzinfo=UTC)
    old = await expected(session, december, 3, "prediction")
    new = await expected(session, december + timedelta(days=3), 3, "prediction")
    assert asked("data") == 4 and old.rows[0].source != new.rows[0].source
    assert len(list(home.rglob("orbit_EarthCARE_*"))) == 1, "one a kind is kept"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("AeolusL1BProducts", "ALD_U_N_1B"), "Aeolus ended before 2023-08-01: no pass is to come"),
        (("BiomassLevel1b", "S2_DGM__1S"), "Biomass drifts: it passes over an area a few times"),
        (("CryoSatIceL110", "SIR_SIN_1B"), "CryoSat has no repeat cycle that is known"),
        (("FLEXL1Products", "L1B_OBS___"), "FLEX has no repeat cycle that is known"),
        (("BiomassLevel1b", "S2_DGM__1S", "--by=scenario"), "no orbit files of Biomass"),
    ],
)
def test_a_future_that_nothing_says_is_one_sentence(
    words: tuple[str, ...], said: str, maap: Callable[..., Ended], asked: Callable[[str], int]
) -> None:
    ended = maap("overpass", *words, "--point=70,-50", "--next=14d")
    assert ended.code == 4 and said in ended.err and ended.err.count("Error:") == 1 and not ended.out
    assert asked("search") == 0, "nothing is asked for what cannot be answered"


async def test_without_a_token_the_cycle_says_it(session: Callable[..., Session], home: Path) -> None:
    (home / "credentials.txt").unlink()
    found = await expected(session, MOMENT, 14)
    assert found.rows and {one.source for one in found.rows} == {"repeat cycle"}
    assert found.notes[0].startswith("The predicted orbit cannot be had: ")


def test_an_orbit_file_that_is_asked_for_by_name_must_be_had(maap: Callable[..., Ended], home: Path) -> None:
    (home / "credentials.txt").unlink()
    ended = maap("overpass", "--point=hyytiala", "--next=3d", "--by=scenario")
    assert ended.code == 2 and ended.out == ""
    ended = maap("overpass", "BiomassLevel1b", "S2_DGM__1S", "--point=0,0", "--next=3d", "--by=prediction")
    assert ended.code == 4 and "no orbit files of Biomass" in ended.err


def test_the_table_names_the_kind_of_source(maap: Callable[..., Ended]) -> None:
    ended = maap("overpass", "--point=hyytiala", "--radius=100km", "--next=20d", "--by=scenario")
    assert ended.code == 0 and len(ended.lines) > 3
    assert all(line.endswith("orbit scenario") and len(line) <= 80 for line in ended.lines[1:])


def uid_line(found: Overpasses) -> list[str]:
    lines = unfolded(calendar(found.rows, found.place, MOMENT))
    return [line for line in lines if line.startswith("UID:")]


async def test_a_range_over_the_present_has_each_pass_once(session: Callable[..., Session]) -> None:
    async with session() as opened:
        span = TimeRange(MOMENT - timedelta(days=10), MOMENT + timedelta(days=10))
        found = await overpasses(opened, query_for(opened, "", "", None), HYYTIALA, 150e3, span)
    names = [one.name for one in found.rows]
    assert len(set(names)) == len(names)
    assert {one.source for one in found.rows if one.time < MOMENT} == {"archive"}
    assert {one.source[:16] for one in found.rows if one.time >= MOMENT} == {"orbit prediction"}


def test_real_items_keep_the_cycle_of_the_documentation() -> None:
    """Orbits 4366 and 4755, 389 apart, as the archive has them."""
    by_orbit = {granule.orbit: granule for granule in granules()}
    first, second = by_orbit[4366], by_orbit[4755]
    place = Place("", first.track[4])
    one, other = (passes_of(granule, place, 100e3) for granule in (first, second))
    assert one and other
    early = timedelta(days=25) - (other[0].time - one[0].time)
    assert timedelta(seconds=20) < early < timedelta(seconds=23)
    assert one[0].metres < 1 and other[0].metres < 1000


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--point", "nowhere"), "neither LAT,LON nor the name of a site"),
        (("--site", "nowhere"), "--site 'nowhere' is neither LAT,LON nor the name of a site"),
        (("--site", "0"), "--site '0' is not LAT,LON. Write --site=LAT,LON."),
        (("--site=hyytiala r9", "--within", "8"), "--within cannot be used with --site 'hyytiala r9'"),
        (("--point", "0,0", "--within", "far"), "--within 'far' is not a distance"),
        (("--point", "95,0"), "is not a point on Earth"),
        (("--point", "0,0", "--radius", "far"), "--radius 'far' is not a distance"),
        (("--point", "0,0", "--radius", "0km"), "--radius 0km is not possible"),
        (("--point", "0,0", "--radius", "9000km"), "at most 5000km"),
        (("--point", "0,0", "--next", "soon"), "--next 'soon' is not a length of time"),
        (("--point", "0,0", "--next", "2y"), "--next '2y' is not a length of time"),
        (("--point", "0,0", "--next", "900d"), "at most 400d"),
        (("--point", "0,0", "--next", "0d"), "--next 0d is not possible"),
        (("--point", "0,0", "--next="), "--next '' is not a length of time"),
        (("--point", "0,0", "--radius", "0"), "--radius 0 is not possible"),
        (("--point", "0,0", "--next", "3d", "--date", "2025-12-01"), "--next cannot be used with --date"),
        (("--point", "0,0", "--ical", "--json"), "--json cannot be used with --ical"),
        (("--point", "0,0", "-o", "passes.txt"), "does not say what form is meant"),
        (("--point", "0,0", "-s", "2025-12-01", "-e", "2099-01-01"), "Nobody knows the orbit"),
        ((L1, "AUX_JSG_1D", "--point", "0,0"), "AUX_JSG_1D has no ground track"),
        (("BiomassLevel1b", "--point", "0,0"), "Name collection and product type"),
        ((L1, "ATL_NOM_2B", "--point", "0,0", "--date", "2025-12-01"), "ATL_NOM_2B"),
    ],
)
def test_what_cannot_be_is_said(words: tuple[str, ...], said: str, maap: Callable[..., Ended]) -> None:
    ended = maap("overpass", *words)
    assert ended.code == 4 and said in ended.err and ended.err.count("Error:") == 1
    assert ended.out == ""


def test_nothing_near_is_an_answer(maap: Callable[..., Ended]) -> None:
    ended = maap("overpass", "--point=hyytiala", "--radius=1km", "--date=2025-12-01")
    assert (ended.code, ended.out) == (0, "")
    assert "No overpass of Hyytiälä, Finland within 1.0 km" in ended.err


def test_a_day_that_fails_is_said_and_counts(maap: Callable[..., Ended], archive: Archive) -> None:
    archive.faults.set(status=503, target="search")
    ended = maap("overpass", "--point=hyytiala", "--radius=100km", *DAYS)
    assert ended.code == 3 and "FAILED DAY" in ended.err


async def test_what_cannot_be_searched_over_the_present_counts_once(
    session: Callable[..., Session], archive: Archive
) -> None:
    """The past and the cycles before it are two questions, about the same days."""
    archive.faults.set(status=503, target="search")
    async with session() as opened:
        query = query_for(opened, "", "", None)
        span = TimeRange(MOMENT - timedelta(days=10), MOMENT + timedelta(days=10))
        found = await overpasses(opened, query, HYYTIALA, 150e3, span, by="cycle")
    windows = [one.window for one in found.failed]
    assert windows and not any(
        one.start <= other.start and other.end <= one.end
        for number, one in enumerate(windows)
        for other in (*windows[:number], *windows[number + 1 :])
    )


async def test_a_granule_without_a_track_counts_once(session: Callable[..., Session]) -> None:
    """It is of the past that is asked for, and of the cycles that say what is to come."""
    archive = SwapArchive([Published(0, "BC"), Published(1, "BC")])
    async with RawServer(archive.answer) as server:
        opened = session(server.url)
        opened.now = lambda: DAY + timedelta(days=3)
        async with opened:
            query = query_for(opened, L2, "CPR_CLD_2A", "BC")
            span = TimeRange(DAY - timedelta(days=1), DAY + timedelta(days=9))
            found = await overpasses(opened, query, HYYTIALA, 150e3, span, by="cycle")
    assert found.without_track == [one.name for one in archive.published]


def test_completion_knows_the_sites(maap: Callable[..., Ended]) -> None:
    ended = maap("__names", "--line", "maap overpass --point hy")
    assert ended.lines == ["hy", "hyytiala"]
