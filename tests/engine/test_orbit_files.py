"""Orbits to come: files as ESA's ground segments write them, and passes along them, against a slow orbit."""

from __future__ import annotations

import json
import math
import random
from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from pyproj import Transformer

from maap_tui.engine.catalogue.stac import granule_of
from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.missions import MISSIONS
from maap_tui.engine.model import TimeRange
from maap_tui.engine.overpass.approach import Approach
from maap_tui.engine.overpass.orbit_files import OrbitChange, OrbitFile, State, nodes_of, read_orbit_file
from maap_tui.engine.overpass.passing import Place, track_of
from maap_tui.engine.overpass.prediction import below, passes
from maap_tui.engine.workflows.orbits import along
from tests.engine.geod_kit import GEOD, Position, apart
from tests.verbatim import DATA

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
TURN = 7.292115e-5
TO_DEGREES = Transformer.from_crs("EPSG:4978", "EPSG:4979", always_xy=True)

HEAD = """<?xml version="1.0"?>
<Earth_Explorer_File xmlns="http://eop-cfi.esa.int/CFI" schemaVersion="2.4"><Earth_Explorer_Header>
<Fixed_Header><File_Name>{name}</File_Name><Mission>EarthCARE</Mission></Fixed_Header>
<Variable_Header><Ref_Frame>{frame}</Ref_Frame></Variable_Header></Earth_Explorer_Header>
<Data_Block type="xml">"""
TAIL = "</Data_Block></Earth_Explorer_File>"


def moment_of(approach: Approach, state: State) -> datetime:
    """When a pass is."""
    return state.time + timedelta(seconds=approach.seconds)


def state_text(state: State) -> str:
    utc = state.time.replace(tzinfo=None).isoformat(timespec="microseconds")
    numbers = zip(("X", "Y", "Z", "VX", "VY", "VZ"), (*state.at, *state.speed), strict=True)
    values = "".join(f'<{name} unit="m">{value:+.6f}</{name}>' for name, value in numbers)
    return (
        f"<OSV><TAI>TAI={utc}</TAI><UTC>UTC={utc}</UTC><UT1>UT1={utc}</UT1>"
        f"<Absolute_Orbit>{state.orbit:+d}</Absolute_Orbit>{values}<Quality>NOMINAL</Quality></OSV>"
    )


def file_of(states: list[State], frame: str = "EARTH_FIXED") -> bytes:
    body = "".join(map(state_text, states))
    text = HEAD.format(name="X", frame=frame) + f'<List_of_OSVs count="{len(states)}">{body}</List_of_OSVs>'
    return (text + TAIL).encode()


def potential(x: float, y: float, z: float) -> float:
    """Of the field of gravity, by Legendre polynomials up to the fourth."""
    r = math.sqrt(x * x + y * y + z * z)
    s, q = z / r, 6_378_136.3 / r
    bulge = 1.0826357e-3 * q**2 * (3 * s * s - 1) / 2 - 2.5324e-6 * q**3 * (5 * s**3 - 3 * s) / 2
    bulge += -1.6199e-6 * q**4 * (35 * s**4 - 30 * s * s + 3) / 8
    return 3.986004418e14 / r * (1 - bulge)


def slow_orbit(seconds: int, step: float = 5.0) -> list[tuple[np.ndarray, np.ndarray]]:
    """Positions and velocities every `step` seconds, in a frame that does not turn, by leaps of Verlet."""

    def pull(at: np.ndarray) -> np.ndarray:
        near = 50.0 * np.eye(3)
        slopes = [(potential(*(at + one)) - potential(*(at - one))) / 100 for one in near]
        return np.array(slopes)

    tilt = math.radians(97.05)
    at = np.array([6_772_000.0, 0.0, 0.0])
    speed = np.array([0.0, 7672.0 * math.cos(tilt), 7672.0 * math.sin(tilt)])
    found = [(at, speed)]
    force = pull(at)
    for _ in range(int(seconds / step)):
        half = speed + force * step / 2
        at = at + half * step
        force = pull(at)
        speed = half + force * step / 2
        found.append((at, speed))
    return found


def turned(number: int, orbit: list[tuple[np.ndarray, np.ndarray]], step: float = 5.0) -> State:
    """A state of it as seen from the Earth."""
    angle = TURN * number * step
    cosine, sine = math.cos(angle), math.sin(angle)
    turn = np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1]])
    at, speed = (turn @ one for one in orbit[number])
    speed = speed + TURN * np.array([at[1], -at[0], 0.0])
    moment = BEGIN + timedelta(seconds=number * step)
    return State(moment, 1, tuple(map(float, at)), tuple(map(float, speed)))


@pytest.fixture(scope="module")
def truth() -> list[State]:
    """Three orbits, a state every five seconds."""
    orbit = slow_orbit(16_700)
    return [turned(number, orbit) for number in range(len(orbit))]


def nearest_by_hand(truth: list[State], place: Position) -> tuple[float, float]:
    """(metres, seconds) of the point below the states that is nearest, then of the curve around it."""

    def metres(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        lons, lats, _ = TO_DEGREES.transform(x, y, z)
        same = np.ones_like(lons)
        found: np.ndarray = GEOD.inv(lons, lats, place[0] * same, place[1] * same)[2]
        return found

    every = np.array([state.at for state in truth])
    at = int(metres(*every.T).argmin())
    low = max(at - 3, 0)
    high = min(low + 7, len(truth))
    known = np.arange(low, high) * 5.0
    fine = np.linspace(known[0], known[-1], 6001)
    curves = [
        np.polynomial.Polynomial.fit(known, every[low:high, axis], len(known) - 1)(fine) for axis in range(3)
    ]
    found = metres(*curves)
    best = int(found.argmin())
    return float(found[best]), float(fine[best])


@pytest.mark.parametrize("every", [2, 12, 120, 1111], ids="10 s,1 min,10 min,an orbit".split(","))
def test_passes_between_the_states_of_a_file(every: int, truth: list[State]) -> None:
    file = read_orbit_file(file_of(truth[::every]), "X")
    assert len(file.states) == len(truth[::every])
    last = file.states[-1].time
    chance = random.Random(every)
    for _ in range(25):
        state = truth[chance.randrange(100, len(truth[: (len(truth) // every) * every]) - 100)]
        longitude, latitude = below(state.at)
        place = longitude + chance.uniform(-1, 1), max(-89.9, min(89.9, latitude + chance.uniform(-1, 1)))
        until = [one for one in truth if one.time <= last]
        metres, seconds = nearest_by_hand(until, place)
        found = [(one, moment_of(one, before)) for one, before in passes(file.states, place, 400e3)]
        one, moment = min(found, key=lambda each: each[0].metres)
        assert one.metres == pytest.approx(metres, abs=100)
        assert abs((moment - BEGIN).total_seconds() - seconds) < 0.1
        for other in found:
            assert other[0].metres <= 400e3


def test_each_pass_is_there_once(truth: list[State]) -> None:
    """Also where the nearest point is that of a state, and over a pole, which each orbit passes twice."""
    states = truth[::12]
    for place in (below(states[100].at), below(states[101].at), (0.0, 82.9), (10.0, -90.0)):
        found = [moment_of(one, before) for one, before in passes(states, place, 900e3)]
        assert found == sorted(found)
        assert all(b - a > timedelta(minutes=20) for a, b in pairwise(found))
    assert len(found) == 3


def test_the_point_below(truth: list[State]) -> None:
    for state in truth[::50]:
        longitude, latitude, _ = TO_DEGREES.transform(*state.at)
        assert apart(below(state.at), (longitude, latitude)) < 0.01


def test_a_gap_in_the_states_is_not_bridged(truth: list[State]) -> None:
    states = [truth[0], truth[12], State(truth[12].time + timedelta(hours=3), 9, *truth[3000][2:])]
    assert list(passes(states, below(truth[1500].at), 400e3)) == []


def test_what_a_file_knows_ends_at_a_gap(truth: list[State]) -> None:
    mission, place = MISSIONS["EarthCARE"], Place("", below(truth[1500].at))
    minutes = truth[::12]
    late = [State(one.time + timedelta(hours=9), one.orbit, one.at, one.speed) for one in minutes]
    span = TimeRange(BEGIN + timedelta(hours=1), BEGIN + timedelta(hours=20))

    rows, known = along(OrbitFile("X", tuple(minutes + late)), mission, place, 400e3, span)
    assert known == TimeRange(span.start, minutes[-1].time)
    assert rows and all(one.time in known for one in rows)
    # Before the span a gap does not matter, and a file that begins later says so.
    rows, known = along(OrbitFile("X", tuple(late)), mission, place, 400e3, span)
    assert known == TimeRange(late[0].time, late[-1].time)
    with pytest.raises(InvalidRequestError, match="says nothing of"):
        along(
            OrbitFile("X", tuple(minutes)),
            mission,
            place,
            400e3,
            TimeRange(span.end, span.end + span.duration),
        )


def test_the_scenario_meets_real_items() -> None:
    """With node times and cycle of real items, and the one longitude fitted: some kilometres and seconds.

    The middle of the swath lies 38 km to the left of the ground track, as the imager sees 113 km to the left
    and 37 km to the right.
    """
    items = [json.loads(file.read_text("utf-8")) for file in sorted(DATA.glob("*.json"))]
    granules = [granule_of(item, "EarthCAREL2Validated_MAAP", "EarthCARE") for item in items]
    first, last = granules[0], max(granules, key=lambda one: one.orbit or 0)
    node, other = (datetime.fromisoformat(one.properties["sat:anx_datetime"]) for one in (first, last))
    assert first.orbit is not None and last.orbit is not None
    period = (other - node).total_seconds() / (last.orbit - first.orbit)
    drift = period * 389 / 25 - 86400
    assert drift == pytest.approx(-0.8, abs=0.2)
    change = OrbitChange(node, first.orbit, 25, 389, -166.7753, drift)
    assert change.period == pytest.approx(period)
    for granule in granules:
        track = track_of(granule)
        assert track is not None
        nodes = nodes_of([change], granule.sensing_start - timedelta(hours=2), granule.sensing_start)
        for place, seconds in zip(track.positions, track.seconds, strict=True):
            moment = granule.sensing_start + timedelta(seconds=seconds)
            found = [(one, before) for one, before in passes(nodes, place, 100e3)]
            one, before = min(found, key=lambda each: abs(moment_of(*each) - moment))
            assert one.side == "left" and one.metres == pytest.approx(38e3, abs=9e3)
            assert abs(moment_of(one, before) - moment) < timedelta(seconds=13)
            assert before.orbit == granule.orbit


@pytest.mark.parametrize(
    ("latitude", "ascending", "frame"),
    [
        (-22.4, True, ("A", 1)), (0.1, True, ("A", 0)), (22.6, True, ("B", 0)), (80, True, ("C", 0)),
        (70, False, ("C", 0)), (30, False, ("D", 0)), (0, False, ("E", 0)), (-30, False, ("F", 0)),
        (-80, False, ("G", 0)), (-30, True, ("H", 0)),
    ],
)  # fmt: skip
def test_frames_of_places_on_the_track(latitude: float, ascending: bool, frame: tuple[str, int]) -> None:
    frame_at = MISSIONS["EarthCARE"].frame_at
    assert frame_at is not None and frame_at(latitude, ascending) == frame


def test_changes_of_a_scenario_follow_each_other() -> None:
    later = BEGIN + timedelta(days=10)
    changes = [OrbitChange(BEGIN, 1, 25, 389, 0, 0), OrbitChange(later, 200, 9, 140, 50, 0)]
    nodes = nodes_of(changes, later - timedelta(hours=4), later + timedelta(hours=4))
    times = [node.time for node in nodes]
    assert times == sorted(times)
    assert {node.orbit for node in nodes} >= {155, 200, 201}
    assert [node.orbit for node in nodes if node.time >= later][:2] == [200, 201]
    assert bisect_right(times, later) > 1


def test_a_scenario_as_the_eo_cfi_writes_it() -> None:
    """25 days and 389 orbits, without a drift: that is a sun-synchronous orbit at 393 km."""
    change = """<List_of_Orbit_Changes count="1"><Orbit_Change>
      <Orbit><Absolute_Orbit>1</Absolute_Orbit><Relative_Orbit>1</Relative_Orbit></Orbit>
      <Cycle><Repeat_Cycle unit="day">25</Repeat_Cycle><Cycle_Length unit="orbit">389</Cycle_Length>
        <ANX_Longitude unit="deg">0.000000</ANX_Longitude><MLST>02:00:00.000000</MLST>
        <MLST_Drift unit="s/day">0.000000</MLST_Drift>
        <MLST_Nonlinear_Drift><Quadratic_Term unit="s/day^2">0.5</Quadratic_Term>
        </MLST_Nonlinear_Drift></Cycle>
      <Time_of_ANX><TAI>TAI=2018-01-31T02:00:38.272398</TAI><UTC>UTC=2018-01-31T02:00:01.272398</UTC>
        <UT1>UT1=2018-01-31T02:00:01.272398</UT1></Time_of_ANX></Orbit_Change></List_of_Orbit_Changes>"""
    file = read_orbit_file((HEAD.format(name="X", frame="") + change + TAIL).encode(), "X")
    (found,) = file.changes
    assert (found.orbit, found.repeat_days, found.repeat_orbits, found.drift) == (1, 25, 389, 0)
    assert found.time == datetime(2018, 1, 31, 2, 0, 1, 272398, UTC)
    first, *nodes, last = nodes_of(file.changes, found.time, found.time + timedelta(days=25))
    assert first.time == found.time and below(first.at) == pytest.approx((0, 0), abs=1e-9)
    x, y, z = first.at
    assert math.hypot(x, y, z) - 6_378_137 == pytest.approx(393_000, abs=3000)
    u, v, w = first.speed[0] - TURN * y, first.speed[1] + TURN * x, first.speed[2]
    assert math.degrees(math.atan2(w, math.hypot(u, v))) == pytest.approx(180 - 97.05, abs=0.05)
    again = next(one for one in (*nodes, last) if one.orbit == 390)
    assert again.time - first.time == timedelta(days=25) and below(again.at)[0] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is not XML"),
        (b"<a><b></a>", "is not XML"),
        (b"<Earth_Explorer_File/>", "lists no states and no orbit"),
        (b"<?xml version='1.0' encoding='utf-99'?><a/>", "ORBIT "),
        (b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "declares a document type"),
        ("<!DOCTYPE a []><a/>".encode("utf-16"), "declares a document type"),
        (b"<a>" * 100 + b"</a>" * 100, "in more than 40 others"),
        (b"<OSV><UTC>UTC=2026-01-01T00:00:00</UTC></OSV>", "cannot be read"),
        (file_of([State(BEGIN, 1, (7e6, 0, 0), (0, 0, 7e3))], "TRUE_OF_DATE"), "not EARTH_FIXED"),
        (file_of([State(BEGIN, 1, (7e9, 0, 0), (0, 0, 7e3))]), "not that of a satellite"),
        (file_of([State(BEGIN, 1, (math.nan, 0, 0), (0, 0, 7e3))]), "X is not a number"),
    ],
)
def test_what_is_not_an_orbit_file_is_said(data: bytes, said: str) -> None:
    with pytest.raises(InvalidRequestError) as raised:
        read_orbit_file(data, "ORBIT")
    assert said in raised.value.message and raised.value.message.count("ORBIT") == 1
