"""What registry and disk say of granules found; no app is needed to see it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from maap_tui.engine.model import Asset, Granule
from maap_tui.engine.session import Session
from maap_tui.engine.workflows.presence import by_day, look_at_disk
from maap_tui.tui.screens.search.results import COLUMNS, result_of

URL = "http://127.0.0.1:1/data/a.h5"


@pytest.mark.parametrize(
    ("is_recorded", "is_marked", "is_on_disk", "state"),
    [
        (False, False, False, "new"),
        (True, False, True, "here"),
        (True, True, True, "marked"),
        (True, True, False, "deleted"),
        (True, False, False, "missing"),
    ],
)
def test_the_state_of_a_granule(
    is_recorded: bool, is_marked: bool, is_on_disk: bool, state: str, tmp_path: Path
) -> None:
    session = Session.load(environ={"MAAP_HOME": str(tmp_path), "HOME": str(tmp_path)})
    start = datetime(2025, 12, 1, 3, tzinfo=UTC)
    asset = Asset("enclosure_h5", URL, "a.h5", "h5", size=3)
    granule = Granule(
        "a", "EarthCAREL2Validated_MAAP", "EarthCARE", "CPR_CLD_2A", "BC", start, assets=(asset,)
    )
    path = session.filing.request_of(granule, asset).path
    tracker = session.registry.baseline(session.filing.key_of(granule))
    if is_recorded:
        tracker.record(URL, path, granule.day)
    if is_marked:
        tracker.mark([(str(path), granule.day)])
    if is_on_disk:
        path.parent.mkdir(parents=True)
        path.write_bytes(b"abc")
    result = result_of(granule, ("h5",), keep_whole=True)
    ((_, found, is_here),) = look_at_disk(session, by_day(session, [result]))
    assert (found, is_here) == (state, is_on_disk)


def test_latitudes_follow_the_flight_and_lateness_is_counted_from_the_end() -> None:
    start = datetime(2025, 12, 1, 3, tzinfo=UTC)
    granule = Granule("a", "EarthCAREL2Validated_MAAP", "EarthCARE", "CPR_CLD_2A", "BC", start)

    def shown(**changes: object) -> list[str]:
        row = result_of(replace(granule, **changes), ("h5",), keep_whole=False)  # type: ignore[arg-type]
        return [column.text(row) for column in COLUMNS if column.key in ("latitude", "longitude", "late")]

    box = (170.4, -22.4, -171.5, 67.5)
    assert shown() == ["", "", ""]
    assert shown(bbox=box, orbit_state="DESCENDING") == ["68N→22S", "170E-172W", ""]
    assert shown(bbox=box, orbit_state="ascending") == ["22S→68N", "170E-172W", ""]
    assert shown(bbox=box) == ["22S-68N", "170E-172W", ""]
    times = {"sensing_end": start + timedelta(minutes=10), "created": start + timedelta(hours=3)}
    assert shown(**times) == ["", "", "2h50m"]
