"""What the app says of what was left out: every place that starts something says all of it, and not more."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from maap_tui.engine.download.jobs import Report
from maap_tui.engine.errors import CredentialsError, InvalidRequestError
from maap_tui.engine.model import TimeRange
from maap_tui.engine.query import Box, Query
from maap_tui.engine.session import Session
from maap_tui.engine.studies.study import Study
from maap_tui.engine.workflows.sync import SyncReport
from maap_tui.engine.workflows.thawing import ThawReport
from maap_tui.tui.app import MaapApp, run_app
from maap_tui.tui.dialogs.freezing import thawed_words
from maap_tui.tui.screens.search.search_words import outcome_in_words
from maap_tui.tui.screens.search.terms import cron_line
from maap_tui.tui.screens.today.arrived import title_of
from maap_tui.tui.synced import left_out_words

L2 = "EarthCAREL2Validated_MAAP"
NOW = datetime(2026, 1, 15, tzinfo=UTC)
QUERY = Query(L2, "CPR_CLD_2A", "BC", time=TimeRange.of_day(date(2025, 12, 1)), max_items=5)


def test_a_sync_says_each_thing_that_it_left_out() -> None:
    assert left_out_words([SyncReport(QUERY)]) == ""
    lacking = InvalidRequestError("None of 3 granules has a file in eof", "Try h5.")
    words = left_out_words([SyncReport(QUERY, refused=1), SyncReport(QUERY, undecided=2, lacking=lacking)])
    assert words == (
        "1 file refused because of the names, 5 says why. "
        "2 files of days whose lists in the registry cannot be read left alone, 5 says why. "
        "None of 3 granules has a file in eof. Try h5."
    )


def test_a_thaw_that_was_stopped_is_not_done() -> None:
    study = Study(title="Clouds", frozen=NOW)
    report = ThawReport(study, Report(left=3, stopped=CredentialsError("The token is dead")))
    assert thawed_words(report) == "Thawed Clouds: 3 files not tried"


def test_a_search_that_was_cut_says_so_whatever_else_there_is() -> None:
    assert outcome_in_words("done", 5, None, QUERY) == "5 granules, cut at the maximum"
    assert outcome_in_words("done", 4, None, QUERY) == "4 granules"
    assert outcome_in_words("stopped", 5, None, QUERY) == "Stopped: 5 granules so far"


def test_what_was_not_asked_is_not_nothing() -> None:
    assert title_of(0, 0) == "Nothing that has arrived is missing here"
    assert title_of(0, 2) == "2 baselines not asked in full; nothing else is missing here"
    assert title_of(3, 1) == "Arrived at the archive: 3 files not here; 1 baseline not asked in full"


@pytest.mark.parametrize(
    ("changes", "verb"), [({}, "sync"), ({"box": Box(20.0, 60.0, 30.0, 65.0)}, "download")]
)
def test_a_crontab_line_of_an_area_is_a_download(changes: dict[str, object], verb: str) -> None:
    assert f"maap {verb} {L2} CPR_CLD_2A BC" in cron_line(QUERY.replace(**changes), NOW)


@pytest.mark.parametrize("can_detach", [True, False])
def test_a_demo_offers_no_background(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, can_detach: bool
) -> None:
    """Its archive ends with the app, so that a worker would find none."""
    offered: list[bool] = []

    def run(app: MaapApp, mouse: bool) -> int:
        offered.append(app.can_detach)
        return 0

    monkeypatch.setattr(MaapApp, "run", run)
    session = Session.load(environ={"HOME": str(tmp_path), "MAAP_HOME": str(tmp_path)})
    assert run_app(session, can_detach=can_detach) == 0
    assert offered == [can_detach]
