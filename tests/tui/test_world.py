"""The world in dots: positions, lines across 180 degrees and the poles, great circles as pyproj has them."""

from __future__ import annotations

import itertools
import math
import random

import pytest
from pyproj import Geod

from maap_tui.engine.plane import coastlines, drawable
from maap_tui.tui.screens.search.world import Dots, Frame, box_line, circle_line, nearest_line, signs

EARTH = Geod(a=6371000.0, b=6371000.0)
WHOLE = Frame(80, 21)
RANDOM = random.Random(20251201)


def position() -> tuple[float, float]:
    return RANDOM.uniform(-180, 180), math.degrees(math.asin(RANDOM.uniform(-1, 1)))


def away(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Metres between two positions."""
    return float(EARTH.inv(*a, *b)[2])


def test_a_thousand_random_tracks_follow_their_great_circles() -> None:
    for _ in range(1000):
        a, b = position(), position()
        azimuth, _, length = EARTH.inv(*a, *b)
        if length > 0.99 * math.pi * 6371000:
            continue  # nearly opposite positions have many ways between them
        pieces = drawable([a, b])

        assert pieces[0][0] == a and pieces[-1][-1] == b
        for piece in pieces:
            for point in piece:
                if abs(point[1]) == 90:
                    continue
                to_a, to_b = away(a, point), away(point, b)
                # On the way from one to the other, and no farther.
                assert to_a + to_b == pytest.approx(length, abs=100)
                if to_a > 1000:
                    there = EARTH.fwd(*a, azimuth, to_a)
                    assert away((there[0], there[1]), point) < 100


def test_no_piece_jumps_across_the_map() -> None:
    for _ in range(300):
        a, b = position(), position()
        for piece in drawable([a, b]):
            for one, other in itertools.pairwise(piece):
                turn = abs((other[0] - one[0] + 540) % 360 - 180)
                assert turn <= 60 or max(abs(one[1]), abs(other[1])) < 80


def test_a_way_over_the_pole_leaves_the_map_and_comes_back() -> None:
    pieces = drawable([(10.0, 80.0), (-170.0, 80.0)])
    assert len(pieces) == 2
    assert pieces[0][-1][1] == pieces[1][0][1] == 90
    assert abs(pieces[0][-1][0] - 10) < 1 and abs(abs(pieces[1][0][0]) - 170) < 1


def test_a_line_across_180_degrees_does_not_cross_the_map() -> None:
    layer = Dots(WHOLE)
    layer.draw([[(170.0, 0.0), (-170.0, 0.0)]])
    columns = sorted(cell % WHOLE.width for cell in layer.cells)
    assert columns and all(column < 4 or column >= WHOLE.width - 4 for column in columns)
    assert {0, WHOLE.width - 1} <= set(columns)


@pytest.mark.parametrize("frame", [WHOLE, Frame(120, 30, 170.0, 60.0, 3), Frame(40, 10, -100.0, -20.0, 1)])
def test_a_cell_knows_its_position_and_a_position_its_cell(frame: Frame) -> None:
    for column in range(0, frame.width, 7):
        for row in range(0, frame.height, 3):
            longitude, latitude = frame.position_of(column, row)
            if abs(latitude) < 90:
                x, y = frame.dot_of(longitude, latitude)
                assert (x >> 1, y >> 2) == (column, row)


def test_what_is_seen_stays_on_earth() -> None:
    for zoom in range(8):
        frame = WHOLE.moved_to(500.0, 89.0, zoom)
        assert -180 <= frame.longitude < 180
        top = frame.latitude + 2 * frame.height * frame.scale
        assert top <= 90 + 1e-9 or zoom == 0
    assert WHOLE.moved_to(0, 0, 99).zoom == 7 and WHOLE.moved_to(0, 0, -1).zoom == 0


def test_a_circle_is_as_far_everywhere_also_around_a_pole() -> None:
    for longitude, latitude in ((24.3, 61.8), (179.5, -10.0), (0.0, 89.0)):
        for point in circle_line(longitude, latitude, 10.0):
            assert away((longitude, latitude), point) == pytest.approx(math.radians(10) * 6371000, rel=1e-6)


def test_a_box_follows_its_parallels_across_180_degrees() -> None:
    line = box_line(170, -10, -160, 10)
    assert all(abs(longitude) >= 160 for longitude, _ in line)
    assert {latitude for _, latitude in line} == {-10, 10}
    assert line[0] == line[-1]


def test_the_coasts_are_those_of_earth() -> None:
    lines = coastlines()
    assert sum(map(len, lines)) > 4000
    assert all(-180 <= x <= 180 and -90 <= y <= 90 for line in lines for x, y in line)
    near_gibraltar = [p for line in lines for p in line if away(p, (-5.6, 36.0)) < 150_000]
    mid_pacific = [p for line in lines for p in line if away(p, (-140.0, 0.0)) < 500_000]
    assert near_gibraltar and not mid_pacific


def test_the_track_under_the_cursor_is_found() -> None:
    tracks = [drawable([(0.0, -40.0), (10.0, 40.0)]), drawable([(90.0, -40.0), (100.0, 40.0)])]
    x, y = WHOLE.dot_of(95.0, 0.0)
    assert nearest_line(tracks, WHOLE, x >> 1, y >> 2) == [1]
    x, y = WHOLE.dot_of(-100.0, 0.0)
    assert nearest_line(tracks, WHOLE, x >> 1, y >> 2) == []


def test_a_dotted_line_has_fewer_dots() -> None:
    line = [(-100.0, 10.0), (100.0, 10.0)]
    solid, dotted = Dots(WHOLE), Dots(WHOLE)
    solid.draw([line])
    dotted.draw([line], every=2)
    count = [sum(bits.bit_count() for bits in layer.cells.values()) for layer in (solid, dotted)]
    assert count[1] == pytest.approx(count[0] / 2, abs=1)


@pytest.mark.parametrize("is_plain", [False, True])
def test_hundreds_of_tracks_do_not_hide_the_coasts(is_plain: bool) -> None:
    frame = Frame(40, 10)
    land, here = Dots(frame), Dots(frame)
    land.draw([[(-170.0, 20.0), (170.0, 20.0)]])
    here.draw([[(0.0, 80.0), (0.0, -80.0)]])
    coast = next(row for row in range(10) if any(at // 40 == row for at in land.cells))
    for count, top in ((3, "found"), (300, "land")):
        found = Dots(frame)
        found.draw(
            [[(at * 360 / count - 179.0, 85.0), (at * 360 / count - 179.0, -85.0)] for at in range(count)]
        )
        layers = {"land": land, "found": found, "here": here}
        cells = signs(layers, frame, coast, is_plain=is_plain)
        crossed = [
            cell for at, cell in enumerate(cells) if {coast * 40 + at} <= land.cells.keys() & found.cells
        ]
        named = {name for name, _ in crossed} - {"here"}
        assert named == {top}
        assert "here" in {name for name, _ in cells}, "what is here stays in front"
        if top == "land":
            bare = signs({"land": land}, frame, coast, is_plain=is_plain)
            assert all(cell in bare for cell in crossed if cell[0] == "land")


def test_without_colour_no_coast_looks_like_a_track() -> None:
    frame = Frame(40, 10)
    land, here = Dots(frame), Dots(frame)
    land.draw([[(-170.0, 20.0), (170.0, 20.0)], [(-170.0, -30.0), (170.0, -30.0)]])
    here.draw([[(0.0, 80.0), (0.0, -80.0)]])
    layers = {"land": land, "here": here}
    for row in range(10):
        cells = signs(layers, frame, row, is_plain=False, has_colour=False)
        alone = signs({"here": here}, frame, row, is_plain=False, has_colour=False)
        assert {sign for name, sign in cells if name == "land"} <= {"·"}
        assert [cell for cell in cells if cell[0] == "here"] == [cell for cell in alone if cell[0] == "here"]
    assert any(sign == "·" for _, sign in signs(layers, frame, 3, is_plain=False, has_colour=False))
