"""What a cut is made of: stretches, indexes of chunks, points near places, and its command."""

from __future__ import annotations

import io
from datetime import timedelta
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from maap_tui.engine.cuts.hints import following
from maap_tui.engine.cuts.points import inside_box, inside_circle
from maap_tui.engine.cuts.request import Cut
from maap_tui.engine.cuts.stretches import Stretches, joined
from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.geometry import EARTH_RADIUS_KM, angle, vector
from maap_tui.engine.model import TimeRange
from maap_tui.engine.query import Box, Circle
from tests.engine.cut_kit import EQUATOR, START


def test_stretches_know_what_is_missing() -> None:
    rng = np.random.default_rng(3)
    for _ in range(200):
        known, here = np.zeros(60, bool), Stretches()
        for begin, length in rng.integers(0, 30, (rng.integers(0, 9), 2)):
            here.add(int(begin), int(begin + length))
            known[begin : begin + length] = True
        wanted = [(int(begin), int(begin + length)) for begin, length in rng.integers(0, 30, (4, 2))]
        mask = np.zeros(60, bool)
        for begin, end in wanted:
            mask[begin:end] = True
        found = here.missing(wanted)
        assert found == joined(found)
        left = np.zeros(60, bool)
        for begin, end in found:
            left[begin:end] = True
        assert np.array_equal(left, mask & ~known)


def test_an_index_of_chunks_names_the_nodes_below_it(tmp_path: Path) -> None:
    reads: list[tuple[int, int]] = []

    class Watched(io.BytesIO):
        def readinto(self, buffer: Any) -> int:
            reads.append((self.tell(), self.tell() + len(buffer)))
            return super().readinto(buffer)

    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("value", data=np.ones((9000, 3), "i2"), chunks=(4, 3), compression="gzip")
    body = (tmp_path / "a.h5").read_bytes()
    with h5py.File(Watched(body)) as file:
        value = file["value"]
        reads.clear()
        value.id.chunk_iter(lambda chunk: None)
    begin, end = reads[0]
    below = following(body[begin:end])
    assert len(below) > 30 and set(reads[1:]) == set(below)
    leaf = body[slice(*below[0])]
    assert following(leaf) == [] and following(body[begin : begin + 40]) == [] and following(b"TREE\1") == []


@pytest.mark.parametrize("place", [(0.0, 0.0), (89.5, 30.0), (-90.0, 0.0), (12.0, 179.9), (-45.0, -180.0)])
def test_points_near_a_place_are_those_of_another_formula(place: tuple[float, float]) -> None:
    draw = np.random.default_rng(7)
    latitude = np.degrees(np.arcsin(draw.uniform(-1, 1, 4000)))
    longitude = draw.uniform(-180, 360, 4000)
    there = vector(place[1], place[0])
    km = (
        np.array([angle(vector(*at), there) for at in zip(longitude, latitude, strict=True)])
        * EARTH_RADIUS_KM
    )
    for radius in (50.0, 2000.0, 9000.0):
        found = inside_circle(latitude, longitude, (*place, radius))
        assert np.array_equal(found, km <= radius)
    assert not inside_circle(np.array([np.nan, 9.97e36]), np.array([0.0, 0.0]), (*place, 20_000.0)).any()


@pytest.mark.parametrize(
    ("box", "inside"),
    [
        ((-10, -5, 10, 5), [(0, 0), (-10, 5), (10, -5), (350, 0), (370, 0)]),
        ((170, -5, -170, 5), [(180, 0), (-180, 0), (175, 1), (-175, -1), (190, 5)]),
        ((170, -5, 180, 5), [(180, 0), (-180, 0), (170, 0)]),
        ((-180, -90, 180, 90), [(0, 90), (180, -90), (-180, 0), (359, 0)]),
    ],
)
def test_points_in_a_box_are_those_of_its_meridians(
    box: tuple[float, ...], inside: list[tuple[float, float]]
) -> None:
    longitude, latitude = np.array(inside, dtype="f8").T
    assert inside_box(latitude, longitude, box).all()
    assert not inside_box(np.array([6.0, 0.0, np.nan]), np.array([0.0, 60.0, 0.0]), (-10, -5, 10, 5)).any()


def test_a_cut_is_written_as_the_command_that_makes_it() -> None:
    time = TimeRange(START, START + timedelta(minutes=1))
    cut = Cut(("a", "ScienceData/b"), circle=Circle(-61.84, 24.29, 100), time=time)
    assert cut.command("X") == (
        "maap cut X --var=a,ScienceData/b --point=-61.84,24.29 --radius=100 "
        "--time=2025-12-01T00:00:00Z/2025-12-01T00:00:59Z"
    )
    assert Cut(box=Box(170, -5, -170, 5)).command("a b.h5") == "maap cut 'a b.h5' --bbox=170,-5,-170,5"
    with pytest.raises(InvalidRequestError, match="cannot be used with"):
        Cut(circle=Circle(0, 0), box=EQUATOR)
