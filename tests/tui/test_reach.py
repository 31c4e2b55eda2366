"""A newcomer sees the keys that lead to each place, three at most, or finds it in the palette."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from driving import find_files, text_of, wait_until
from textual import events
from textual.command import CommandPalette
from textual.pilot import Pilot
from textual.widgets import OptionList

from maap_tui.demo.archive import Archive
from maap_tui.engine.registry.entries import Key, TrackedFile
from maap_tui.engine.session import Session
from maap_tui.tui.app import MaapApp
from maap_tui.tui.screens.search.screen import SearchScreen
from maap_tui.tui.screens.search.terms import Terms

pytestmark = pytest.mark.usefixtures("prompt_keys")

MakeApp = Callable[..., MaapApp]
L2 = "EarthCAREL2Validated_MAAP"

STEPS: tuple[tuple[tuple[tuple[str, str], ...], str], ...] = (
    ((("0", " 0 Today "),), "Missing: 1 file of 1 baseline"),
    ((("tab", " tab Pane "),), "Runs, the newest first"),
    ((("3", " 3 Downloads "),), "free"),
    ((("4", " 4 Registry "), ("n", " n Not here ")), "not here, in 1 gap"),
    ((("tab", "tab months"), ("tab", "tab years")), "tab gaps"),
    ((("escape", "esc closes"), ("t", " t Sets ")), "No set is declared"),
    ((("escape", "esc closes"), ("2", " 2 Search "), ("f", " f Form ")), " Area "),
    ((("escape", ""), ("ctrl+o", " ^o Saved ")), "Saved and past searches"),
    ((("escape", "esc closes"), ("M", " M Map ")), "arrows move  + in  - out"),
    ((("escape", "esc closes"), ("1", " 1 Browse "), ("question_mark", " ? Help ")), "Keys in Browse"),
    ((("escape", "esc closes"), ("3", " 3 Downloads "), ("q", " q Quit ")), "Background (b)"),
)
"""Keys, each with the words that show it before it is pressed, and what stands at the end of the way."""


def track(session: Session) -> None:
    key = Key("EarthCARE", L2, "CPR_CLD_2A", "BC")
    session.registry.add([TrackedFile(key, date(2025, 12, 1), "https://x.invalid/a.h5")])


def shown(app: MaapApp) -> str:
    """What the screen shows, each line with a space behind it."""
    return text_of(app).replace("\n", " \n") + " "


async def test_each_place_is_reached_by_what_is_shown(make_app: MakeApp, archive: Archive) -> None:
    app = make_app(mode="browse", prepare=track)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        for way, there in STEPS:
            if way[-1][0] == "q":  # it asks while something is fetched
                archive.faults.add(target="data", stall_after=1000)
                await app.backend.queue_files(await find_files(app, 1))
            for key, words in way:
                await wait_until(lambda words=words: words in shown(app), pilot)  # type: ignore[misc]
                await pilot.press(key)
                if key == "escape":
                    await wait_until(lambda: not app.screen.is_modal, pilot)
            await wait_until(lambda there=there: there in text_of(app), pilot)  # type: ignore[misc]
        await pilot.press("escape")


def has_map(app: MaapApp) -> bool:
    return any("\u2801" <= sign <= "\u28ff" for sign in text_of(app))


async def choose(pilot: Pilot[Any], title: str, words: str = "", *, pasted: str = "") -> None:
    """Type words into the palette, or paste them, and take what is shown for them."""
    app = pilot.app
    assert isinstance(app, MaapApp)
    await pilot.press("ctrl+p")
    await wait_until(lambda: isinstance(app.screen, CommandPalette), pilot)
    await wait_until(lambda: "paste URLs, ids, names, a command" in text_of(app), pilot)
    if pasted:
        app.post_message(events.Paste(pasted))
    else:
        await pilot.press(*("space" if sign == " " else sign for sign in words))
    await wait_until(lambda: title in text_of(app), pilot)
    # What enter takes is the first one.
    await wait_until(lambda: title in str(first_of(app)), pilot)
    await pilot.press("enter")
    await wait_until(lambda: not isinstance(app.screen, CommandPalette), pilot)


def first_of(app: MaapApp) -> object:
    options = app.screen.query_one(OptionList)
    return "" if options.highlighted is None else options.get_option_at_index(options.highlighted).prompt


async def test_the_palette_says_what_it_takes_and_leads_to_what_it_was_given(make_app: MakeApp) -> None:
    app = make_app(mode="search")
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await wait_until(lambda: isinstance(app.screen, SearchScreen) and app.screen.is_mounted, pilot)
        screen = app.screen
        assert isinstance(screen, SearchScreen)
        await wait_until(lambda: screen.is_ready and screen.form.known.queryables_of(L2), pilot)
        (file,) = await find_files(app, 1)
        stem = file.url.rpartition("/")[2].removesuffix(".h5")
        await pilot.press("question_mark", *"paste")
        await wait_until(lambda: "ctrl+p :" in text_of(app), pilot)
        await pilot.press("escape")
        # A site and a time go into the form.
        await choose(pilot, "Search around hyytiala", "hyyt")
        await wait_until(lambda: screen.form.terms.area == "hyytiala", pilot)
        await choose(pilot, "Search in this time: 2025-12-01", "2025-12-01")
        await wait_until(lambda: screen.form.terms.time == "2025-12-01", pilot)
        assert "hyytiala" in text_of(app) and "2025-12-01" in text_of(app)
        # An address becomes a search, and would become a download with the next entry.
        await choose(pilot, "Search CPR_CLD_2A BC, orbit", pasted=file.url)
        await wait_until(lambda: [row.granule.id for row in screen.results.rows] == [stem], pilot)
        await wait_until(lambda: not screen.is_searching, pilot)
        await choose(pilot, "Preview  (Search, p)", "preview")
        await wait_until(lambda: "120 columns; enter shows a granule whole" in text_of(app), pilot)
        await choose(pilot, "Show  (Search, enter)", "show granule")
        await wait_until(lambda: "n next  N previous" in text_of(app), pilot)


async def test_a_wide_screen_shows_the_granule_beside_the_results(make_app: MakeApp) -> None:
    app = make_app(mode="search")
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await wait_until(lambda: isinstance(app.screen, SearchScreen) and app.screen.is_mounted, pilot)
        screen = app.screen
        assert isinstance(screen, SearchScreen)
        await wait_until(lambda: screen.is_ready and screen.form.known.queryables_of(L2), pilot)
        assert not has_map(app), "coasts without a track"
        screen.form.fill(Terms(L2, "CPR_CLD_2A", "BC", "2025-12-01", frames="D"))
        await pilot.press("ctrl+r")
        await wait_until(lambda: screen.results.rows and not screen.is_searching, pilot)
        await wait_until(lambda: has_map(app), pilot)


async def test_a_field_says_which_keys_are_not_typed_into_it(make_app: MakeApp) -> None:
    app = make_app(mode="search")
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await wait_until(lambda: " M Map " in shown(app), pilot)
        for keys in (["f"], ["ctrl+o", "escape"], ["f1", "escape"]):
            await pilot.press(*keys)
            await wait_until(lambda: " esc Results " in shown(app), pilot)
            assert not any(words in shown(app) for words in (" M Map ", " f Form ", " / Filter ", " ? Help "))
        await pilot.press("escape")
        await wait_until(lambda: " M Map " in shown(app), pilot)
        await pilot.press("M")
        await wait_until(lambda: "arrows move  + in  - out" in text_of(app), pilot)
        await pilot.press("escape", "1", "slash")
        await wait_until(lambda: " enter Keep  esc No filter " in shown(app), pilot)


WORDS = {
    "runs": "Go to Today  (0)",
    "coverage": "Coverage  (go to Search, C)",
    "map": "Map  (go to Search, M)",
    "rate": "Go to Downloads  (3)",
    "history": "Saved  (go to Search, ctrl+o)",
    "saved searches": "Saved  (go to Search, ctrl+o)",
    "quicklook": "Preview  (go to Search, p)",
    "detach": "Quit  (Everywhere, q)",
    "synergy matrix": "Sets  (go to Registry, t)",
    "site": "Form  (go to Search, f)",
    "area": "Form  (go to Search, f)",
    "light": "Theme  (Everywhere, f9)",
    "late": "What arrived  (Today, n)",
    "flyover": "Overpasses  (go to Search, O)",
    "collocate": "Match  (go to Search, m)",
    "subset": "Cut  (go to Search, x)",
    "upgrade": "Swap  (go to Registry, w)",
    "paper": "Cite  (go to Registry, C)",
    "reproduce": "Freeze  (go to Search, z)",
    "bad data": "Quality  (go to Search, Q)",
    "stack": "Fewest dates  (go to Search, F)",
    "geojson": "Export  (go to Search, e)",
    "checksum": "Verify  (go to Registry, V)",
}
"""What a newcomer types into the palette, and what is found by it."""


async def test_a_newcomers_words_lead_there(make_app: MakeApp) -> None:
    app = make_app(mode="today")
    async with app.run_test(size=(80, 24)) as pilot:
        for words, title in WORDS.items():
            await pilot.press("ctrl+p")
            await wait_until(lambda: isinstance(app.screen, CommandPalette), pilot)
            await pilot.press(*("space" if one == " " else one for one in words))
            await wait_until(lambda title=title: title in text_of(app), pilot)  # type: ignore[misc]
            await pilot.press("escape")
            await wait_until(lambda: not isinstance(app.screen, CommandPalette), pilot)
