"""An archive in which the granules of a set arrive one by one, in any order, and are processed again."""

from __future__ import annotations

import io
import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import h5py

from maap_tui.engine.model import TimeRange, parse_zulu
from maap_tui.engine.product_sets import ProductSet, set_of
from tests.engine.raw_server import COLLECTION, Answer, Asked, page

PRODUCTS = ("CPR_CLD_2A", "ATL_EBD_2A")
BASELINES = ("BA", "BC")
DAY = datetime(2025, 12, 1, tzinfo=UTC)
SPAN = TimeRange(DAY, DAY + timedelta(days=1))
SPOTS = tuple((8574 + number // 8, "ABCDEFGH"[number % 8]) for number in range(6))

Arrival = tuple[int, str, str]
"""Number of the spot, product, baseline."""


def wanted(rule: str) -> ProductSet:
    return set_of("clouds", PRODUCTS, rule, COLLECTION)


def content() -> bytes:
    """A small file that is whole."""
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        file["height"] = list(range(8))
    return memory.getvalue()


def arrivals(chance: random.Random) -> Iterator[Arrival]:
    """Every granule once, in a random order in which what is processed again comes after what it replaces."""
    waiting = {(spot, product): list(BASELINES) for spot in range(len(SPOTS)) for product in PRODUCTS}
    while waiting:
        spot, product = key = chance.choice(sorted(waiting))
        yield spot, product, waiting[key].pop(0)
        if not waiting[key]:
            del waiting[key]


@dataclass
class SetArchive:
    """What `RawServer` answers from."""

    published: list[Arrival] = field(default_factory=list)
    base: str = ""
    """The address of the server."""
    data: bytes = field(default_factory=content)

    def answer(self, asked: Asked) -> Answer:
        if "/data/" in asked.path:
            return self.data
        if not asked.path.rstrip("/").endswith("/search") or asked.body is None:
            return {"type": "Catalog", "links": []}
        text = json.dumps(asked.body)
        start, end = map(parse_zulu, asked.body["datetime"].split("/"))
        found = [
            self._item(one) for one in self.published if one[1] in text and start <= self._start(one) <= end
        ]
        return page(found, len(found))

    @staticmethod
    def _start(arrival: Arrival) -> datetime:
        # The instruments do not begin at the same second.
        return DAY + timedelta(minutes=12 * arrival[0], seconds=PRODUCTS.index(arrival[1]))

    def _item(self, arrival: Arrival) -> dict[str, object]:
        spot, product, baseline = arrival
        orbit, frame = SPOTS[spot]
        start = self._start(arrival)
        created = f"202512{10 + BASELINES.index(baseline)}T000000Z"
        name = f"ECA_EX{baseline}_{product}_{start:%Y%m%dT%H%M%S}Z_{created}_{orbit:05d}{frame}"
        href = f"{self.base}data/EarthCARE/{product}/{baseline}/{start:%Y/%m/%d}/{name}/{name}.h5"
        return {
            "type": "Feature",
            "id": name,
            "properties": {"product:type": product, "version": baseline.lower()},
            "assets": {"enclosure_h5": {"href": href, "file:size": len(self.data)}},
        }

    def newest(self, spot: int, product: str) -> str:
        """The newest baseline that the archive has; '' for none."""
        return max((one[2] for one in self.published if one[:2] == (spot, product)), default="")

    def due(self, spot: int, rule: str) -> tuple[str, ...] | None:
        """The baselines of a complete set by what is published; None where there is none."""
        if rule == "newest":
            found = tuple(self.newest(spot, product) for product in PRODUCTS)
            return found if all(found) else None
        has = [{one[2] for one in self.published if one[:2] == (spot, product)} for product in PRODUCTS]
        common = set.intersection(*has)
        return (max(common),) * len(PRODUCTS) if common else None


def line_of(text: str) -> tuple[str, tuple[str, ...]]:
    """Orbit and frame, and the baselines, of a line that the hook wrote."""
    spot, *paths = text.split()
    names = [re.search(r"ECA_EX(..)_(.{10})_\d+T\d+Z_\d+T\d+Z_(\d+.)\.h5$", path) for path in paths]
    assert all(name is not None and name[3] == spot for name in names), text
    assert [name[2] for name in names if name] == list(PRODUCTS), text
    return spot, tuple(name[1] for name in names if name)
