"""The archive is hostile or broken: nothing false is saved, written elsewhere, obeyed or shown raw."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.raw_files import answer
from tests.faults.answers import measure_bearers, measure_exit_codes, measure_false_finals
from tests.faults.hostile import measure_by_hand, measure_generated
from tests.faults.scenarios import DATA_KINDS, SERVER, Scenario, circular
from tests.faults.stage import NAMES, SYNC, Stage
from tests.faults.test_network import cases


@pytest.mark.parametrize("scenario", cases(SERVER))
def test_a_sync_ends_as_promised(scenario: Scenario, tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        _, wrong = scenario.play(stage)
    assert wrong == []


@pytest.mark.fault("H1")
@pytest.mark.fault("H3")
@pytest.mark.fault("H4")
def test_what_is_no_data_is_never_saved(tmp_path: Path) -> None:
    assert len(DATA_KINDS) >= 30
    figure = measure_false_finals(3, tmp_path)
    assert figure.kept, figure


@pytest.mark.fault("H5")
@pytest.mark.parametrize("size", [None, 5000])
def test_nothing_is_fetched_into_a_disk_that_is_nearly_full(size: int | None, tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        stage.add_good(2)
        for one in stage.items:
            if size is None:
                del one["assets"]["enclosure"]["file:size"]
        ended = stage.maap(*SYNC, MAAP_DOWNLOADS_MIN_FREE="900000G")
        assert ended.code == 3
        assert "Too little space" in ended.err
        assert stage.finals == []
        # Without any announced size the free space is looked at all the same.
        assert stage.data_requests == []


@pytest.mark.fault("H10")
@pytest.mark.fault("H11")
@pytest.mark.fault("H12")
@pytest.mark.parametrize("on_terminal", [False, True], ids=["piped", "terminal"])
def test_hostile_strings_reach_no_terminal_no_folder_and_no_registry(
    on_terminal: bool, tmp_path: Path
) -> None:
    figure = measure_by_hand(60, tmp_path, on_terminal=on_terminal)
    assert figure.kept, figure


@pytest.mark.fault("H12")
@pytest.mark.fault("H18")
def test_generated_strings_reach_no_terminal_no_folder_and_no_registry(tmp_path: Path) -> None:
    figure = measure_generated(100, tmp_path)
    assert figure.kept, figure


@pytest.mark.fault("H15")
def test_pages_in_a_circle_are_asked_for_once(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        circular(stage)
        assert stage.maap(*SYNC).code == 3
        # The first page and the one it leads to, and both again in the second try of the day.
        assert len(stage.asked("/catalogue/search", "POST")) <= 4


@pytest.mark.fault("H17")
def test_what_a_search_no_longer_finds_is_neither_deleted_nor_marked(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        stage.add_good(3)
        assert stage.maap(*SYNC).code == 0
        before = {path: path.read_bytes() for path in stage.finals}
        lines = {kind: stage.lines(kind) for kind in ("url", "dwl", "mrk")}
        stage.items.clear()
        # A catalogue that has nothing at all where there was something is not believed.
        assert stage.maap(*SYNC).code == 3
        assert stage.maap("state", "cleanup", *NAMES).code == 0
        assert {path: path.read_bytes() for path in stage.finals} == before
        assert {kind: stage.lines(kind) for kind in lines} == lines


@pytest.mark.fault("H19")
def test_a_folder_that_others_may_write_to_is_warned_of(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        stage.data.mkdir(mode=0o700)
        assert str(stage.data) not in _warnings(stage.maap("doctor").out)
        stage.data.chmod(0o777)
        assert str(stage.data) in _warnings(stage.maap("doctor").out)


def _warnings(shown: str) -> str:
    return "\n".join(line for line in shown.splitlines() if "warning" in line.lower())


@pytest.mark.fault("H7")
@pytest.mark.fault("H8")
def test_no_scenario_sends_the_token_elsewhere(tmp_path: Path) -> None:
    figure = measure_bearers(4, tmp_path)
    assert figure.kept, figure


@pytest.mark.fault("P11")
def test_no_scenario_ends_with_a_wrong_code(tmp_path: Path) -> None:
    figure = measure_exit_codes(4, tmp_path)
    assert figure.kept, figure


@pytest.mark.fault("H7")
def test_an_origin_that_is_listed_gets_the_token(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        body = stage.server.replies  # the good file is moved to the other origin
        (url,) = stage.add_good()
        path = url.removeprefix(stage.url)
        location = stage.other.at(path, *body[path])
        stage.server.at(path, answer("302 Found", location=location))
        ended = stage.maap(*SYNC, MAAP_DATA_ORIGINS=stage.elsewhere)
        assert (ended.code, len(stage.finals)) == (0, 1)
        assert [one.headers["authorization"] for one in stage.other.requests] == [f"Bearer {stage.access}1"]
