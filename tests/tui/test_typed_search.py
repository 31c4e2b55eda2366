"""Searches typed into the palette in few words."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from driving import text_of, wait_until

from maap_tui.engine.session import Session
from maap_tui.engine.sites import KNOWN
from maap_tui.tui.app import MaapApp
from maap_tui.tui.screens.search.saved_terms import choices_of, in_words
from maap_tui.tui.screens.search.screen import SearchScreen
from maap_tui.tui.typed_search import read_search

L2 = "EarthCAREL2Validated_MAAP"
CHECKED = "EarthCAREL2InstChecked_MAAP"
NOW = datetime(2026, 1, 15, 9, 30, tzinfo=UTC)

MakeApp = Callable[..., MaapApp]


def write_names(session: Session) -> None:
    for collection, products in ((L2, ["AC__TC__2B", "CPR_CLD_2A"]), (CHECKED, ["CPR_CLD_2A"])):
        file = session.dirs.queryables_file(collection)
        file.parent.mkdir(parents=True, exist_ok=True)
        properties = {"product:type": {"enum": products}, "version": {"enum": ["bb", "bc"]}}
        file.write_text(json.dumps({"properties": properties}))


@pytest.fixture
def session(tmp_path: Path) -> Session:
    session = Session.load(environ={"HOME": str(tmp_path), "MAAP_HOME": str(tmp_path)})
    write_names(session)
    session.index.load()
    return session


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("CPR_CLD_2A BC 2025-12-01", "CPR_CLD_2A BC 2025-12-01"),
        ("cpr_cld_2a newest 2025-12-01..2025-12-07", "CPR_CLD_2A newest 2025-12-01..2025-12-07"),
        ("CPR_CLD_2A 7d", "CPR_CLD_2A 7d"),
        ("CPR_CLD_2A 08574d 08575D", "CPR_CLD_2A orbit 08574D,08575D"),
        ("CPR_CLD_2A bc 2025-12-01 03:00..06:00", "CPR_CLD_2A BC 2025-12-01 03:00..06:00"),
        ("CPR_CLD_2A missing 30d hyytiala r100", "CPR_CLD_2A missing 30d 61.844,24.288 r100"),
        ("CPR_CLD_2A 61.8,24.3 r100", "CPR_CLD_2A 61.8,24.3 r100"),
    ],
)
def test_words_after_a_product_are_what_they_look_like(session: Session, typed: str, meant: str) -> None:
    found = list(read_search(session.index.known, typed, NOW, KNOWN))
    assert {one.name for one, _ in found} == {L2, CHECKED}
    assert {in_words(choices_of(terms, None)) for _, terms in found} == {meant}


def test_a_collection_and_the_short_name_of_a_product_are_known_too(session: Session) -> None:
    ((one, terms),) = read_search(session.index.known, f"{CHECKED} CPR_CLD_2A 7d", NOW, KNOWN)
    assert (one.name, terms.product_type, terms.time) == (CHECKED, "CPR_CLD_2A", "7d")
    ((one, terms),) = read_search(session.index.known, "ac-tc 7d", NOW, KNOWN)
    assert (one.name, terms.product_type) == (L2, "AC__TC__2B")


@pytest.mark.parametrize(
    "typed", ["", L2, "CPR_CLD_2A", "CPR_CLD_2A BC", "CPR_CLD_2A nonsense", "CPR_CLD 7d", "7d CPR_CLD_2A"]
)
def test_other_words_are_no_search(session: Session, typed: str) -> None:
    assert list(read_search(session.index.known, typed, NOW, KNOWN)) == []


async def test_the_palette_searches_what_was_typed(make_app: MakeApp) -> None:
    app = make_app(mode="registry", prepare=write_names)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("ctrl+p", *"cpr_cld_2a bc 2025-12-01 08574d")
        await wait_until(lambda: "Search CPR_CLD_2A BC 2025-12-01 orbit 08574D" in text_of(app), pilot)
        await pilot.press("enter")
        await wait_until(lambda: isinstance(app.screen, SearchScreen), pilot)
        await wait_until(lambda: "08574D" in text_of(app) and "1 file" in text_of(app), pilot)
