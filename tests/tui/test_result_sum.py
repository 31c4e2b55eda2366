"""The sum of results, without an app."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from maap_tui.engine.model import Asset, Granule
from maap_tui.tui.screens.search.result_sum import ResultSum
from maap_tui.tui.screens.search.results import Result

MIB = 1 << 20


def result(*, state: str = "new", is_here: bool = False) -> Result:
    """A result with one file of 1 MiB."""
    start = datetime(2025, 12, 1, tzinfo=UTC)
    granule = Granule("id", "EarthCAREL2Validated_MAAP", "EarthCARE", "CPR_CLD_2A", "BC", start)
    files = (Asset("enclosure", "https://e.int/g.h5", "g.h5", "h5", MIB),)
    return Result(granule, files, MIB, True, state, is_here)


@pytest.mark.parametrize(
    ("rows", "rate", "in_queue", "wanted"),
    [
        ([], 0.0, 0, ["5.0 GiB free"]),
        ([result(), result()], 0.0, 0, ["All: 2 files, 2.0 MiB", "0 here", "5.0 GiB free"]),
        (
            [result(), result(is_here=True, state="here"), result(state="queued")],
            MIB / 4,
            MIB,
            ["All: 3 files, 3.0 MiB", "1 here", "5.0 GiB free", "8 s with the queue"],
        ),
        ([result()], MIB / 4, 0, ["All: 1 file, 1.0 MiB", "0 here", "5.0 GiB free", "4 s at 256 KiB/s"]),
        ([result(is_here=True, state="here")], MIB, 0, ["All: 1 file, 1.0 MiB", "1 here", "5.0 GiB free"]),
    ],
    ids=["nothing", "new", "with the queue", "by the rate", "all here"],
)
def test_a_sum_counts_what_is_here_and_times_what_is_not(
    rows: list[Result], rate: float, in_queue: int, wanted: list[str]
) -> None:
    found = ResultSum()
    for row in rows:
        found.add(row)
    assert found.parts(is_selected=False, free=5 << 30, rate=rate, in_queue=in_queue) == wanted
