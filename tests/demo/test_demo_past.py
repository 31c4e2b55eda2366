"""The past that the demo's app opens with: it is the archive's, and the same each time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from maap_tui.cli.dispatch import COMMANDS, build_parser
from maap_tui.demo.archive import Archive
from maap_tui.demo.past import furnish, has_past
from maap_tui.engine.download.queue_store import Queue
from maap_tui.engine.model import TimeRange
from maap_tui.engine.query import Query
from maap_tui.engine.registry.view import summarise
from maap_tui.engine.runs import Runs
from maap_tui.engine.saved_searches import SavedSearches
from maap_tui.engine.session import Session

pytestmark = pytest.mark.long

NOW = "2026-01-15T09:30:00Z"
MOMENT = datetime(2026, 1, 15, 9, 30, tzinfo=UTC)
EBD = ("EarthCAREL2Validated_MAAP", "ATL_EBD_2A", "BC")


def furnished(archive: Archive, home: Path) -> Session:
    archive.prepare(home)
    assert not has_past(home)
    furnish(archive, home)
    assert has_past(home)
    return Session.load(environ=archive.environment(home) | {"HOME": str(home)})


def lines(home: Path) -> dict[str, str]:
    """What the registry says, by file; its locks say who wrote it."""
    files = [path for path in (home / "registry").glob("[a-z]*/**/*") if path.is_file()]
    return {str(path.relative_to(home)): path.read_text().replace(str(home), "") for path in files}


async def test_it_is_that_of_a_home_in_use(tmp_path: Path) -> None:
    with Archive.start(now=NOW) as archive:
        async with furnished(archive, tmp_path / "one") as session:
            before = lines(tmp_path / "one")
            summaries = {
                key.product_type: summarise(session.registry.baseline(key))
                for key in session.registry.tracked()
            }
            assert len(summaries) == 7
            assert sum(bool(one.failures) for one in summaries.values()) >= 2
            assert all(one.here for one in summaries.values())
            # What is here is what the archive serves, to the last byte.
            judge = session.judge()
            for key in session.registry.tracked():
                files = list(session.registry.baseline(key).downloads())
                here = [file for file in files if Path(file.path).exists()]
                assert here and len({Path(file.path).stat().st_size for file in here}) > 1
                verdict = judge.judge(here[0].path, here[0].url, tracked=(key, here[0].day))
                assert not verdict.is_bad, verdict.sentence
            runs = Runs(session.dirs).known()
            assert {run.exit for run in runs} == {0, 3} and {run.verb for run in runs} > {"sync", "cleanup"}
            failing = next(run for run in runs if run.exit == 3)
            # What they say is what commands take and say.
            for run in runs:
                build_parser(COMMANDS.keys() & set(run.words)).parse_args(list(run.words))
            said = [line.partition("Z ")[2] for line in Runs(session.dirs).log_lines(failing)]
            failed = [line for line in said if line.startswith("Failed: ")]
            assert len(failed) == failing.counts.failed and failing.error == ""
            assert all(re.fullmatch(r"Failed: ECA_\S+\.h5: 503 Service Unavailable", one) for one in failed)
            assert re.fullmatch(r"Downloaded .+ failed \[\S+ \S+ \S+, begun \S+, took .+\]", said[-1])
            queue = Queue(session.dirs.queue_file)
            assert {row.state for row in queue.load()} == {"finished", "failed"}
            queue.close()
            assert len(SavedSearches(session.dirs.searches_file).all()) == 2
            # A set of what is followed, of which some is complete and some is not.
            (declared,) = session.settings.sets.values()
            table = await session.set_table(declared, TimeRange(MOMENT - timedelta(days=6), MOMENT))
            assert {"complete", "waiting"} <= {row.state for row in table.rows}
            # A sync goes on with it: the addresses are the archive's.
            span = TimeRange(MOMENT - timedelta(days=5), MOMENT)
            report = await session.sync(Query(*EBD, time=span, frames=("D",)))
            assert report.already > 10 and report.found == report.already + report.pending
            assert summarise(session.registry.baseline(report.keys[0])).failures == []
        furnished(archive, tmp_path / "two")
        assert lines(tmp_path / "two") == before
