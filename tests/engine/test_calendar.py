"""Coverage as a calendar: a sign for each state of a day, months and years, and what was not counted."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from maap_tui.engine.registry.entries import Key
from maap_tui.engine.workflows.calendar import SIGNS, cells, legend, months, years
from maap_tui.engine.workflows.coverage import Coverage, DayCoverage

KEY = Key("EarthCARE", "EarthCAREL2Validated_MAAP", "CPR_CLD_2A", "BC")
DAY = date(2024, 2, 3)
DAYS = [
    DayCoverage(DAY, 100, 100),
    DayCoverage(DAY + timedelta(1), 100, 75, missing=25),
    DayCoverage(DAY + timedelta(2), 100, 25, missing=75),
    DayCoverage(DAY + timedelta(3), 100, 1, missing=99),
    DayCoverage(DAY + timedelta(4), 100, missing=100),
    DayCoverage(DAY + timedelta(5), 100, 99, failed=1, missing=1),
    DayCoverage(DAY + timedelta(7), 100, missing=100, is_unknown=True),
    DayCoverage(DAY + timedelta(8), 0, 3),
    DayCoverage(DAY + timedelta(9), 100, 100, failed=2),
]


def test_each_state_of_a_day_has_a_sign_of_its_own() -> None:
    found = Coverage(KEY, DAYS, date(2024, 2, 2), date(2024, 3, 2))
    february, march = months(found)
    assert february.label == "2024-02" and len(february.states) == 29
    assert cells(february.states, is_ascii=True) == " _#=+-.x_?##" + "_" * 17
    assert cells(february.states, is_ascii=False) == " ─█▓▒░·✗─?██" + "─" * 17
    assert cells(march.states, is_ascii=True) == "__" + " " * 29
    assert legend([february], is_ascii=True).count("  ") == 7
    assert legend([march], is_ascii=False) == "─ none there"
    assert [(gap.first, gap.last) for gap in february.gaps] == [
        (DAY + timedelta(1), DAY + timedelta(7)),
    ]
    assert march.gaps == []
    for at in (0, 1):
        assert len({signs[at] for signs in SIGNS.values()}) == len(SIGNS)
    assert all(signs[1].isascii() and len(signs[0]) == len(signs[1]) == 1 for signs in SIGNS.values())


def test_ten_years_are_ten_rows_of_months_and_a_hundred_and_twenty_of_days() -> None:
    first, last = date(2016, 1, 1), date(2025, 12, 31)
    days = [DayCoverage(first + timedelta(at), 4, 4) for at in range((last - first).days + 1)]
    days[45] = DayCoverage(days[45].day, 4, 3, missing=1)
    found = Coverage(KEY, days, first, last)
    assert len(months(found)) == 120 and len(years(found)) == 10
    assert cells(years(found)[0].states, is_ascii=True, width=2) == "##==" + "##" * 10
    assert sum(row.part.archive for row in years(found)) == found.archive
    assert [gap for row in months(found) for gap in row.gaps] == found.gaps


@pytest.mark.parametrize("found", [Coverage(KEY, []), Coverage(KEY, [], DAY, DAY)])
def test_nothing_counted_is_nothing_shown_and_nothing_there_is_shown_as_that(found: Coverage) -> None:
    states = [state for row in months(found) for state in row.states if state]
    assert states == (["empty"] if found.first else [])
