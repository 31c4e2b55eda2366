"""What is pending, of registries with many lines."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest

from maap_tui.engine.model import TimeRange
from maap_tui.engine.query import Query
from maap_tui.engine.registry.entries import Key, TrackedFile
from maap_tui.engine.session import Session
from tests.counting import counted

KEY = Key("EarthCARE", "EarthCAREL2Validated_MAAP", "CPR_CLD_2A", "BC")
DAY = date(2025, 12, 1)
NOON = TimeRange.of_day(DAY).halves()[1]


def name_of(number: int) -> str:
    return (
        f"ECA_EXBC_CPR_CLD_2A_{DAY:%Y%m%d}T{number // 60:02d}{number % 60:02d}00Z_20251202T000000Z_08574A.h5"
    )


@pytest.mark.parametrize(("time", "found", "most"), [(None, 1440, 30), (NOON, 720, 60)])
def test_names_are_only_read_for_a_filter(
    session: Callable[..., Session], time: TimeRange | None, found: int, most: int
) -> None:
    opened = session()
    urls = [f"https://host/data/{name_of(number)}" for number in range(1440)]
    opened.registry.add([TrackedFile(KEY, DAY, url) for url in urls])
    with counted() as calls:
        pending = opened.pending(Query(KEY.collection, KEY.product_type, KEY.baseline, time=time))
    assert len(pending.files) == found
    assert calls.count / len(urls) < most
