"""Saved searches as people edit them, and the history: what is new, what is kept, what may be damaged."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from maap_tui.engine.errors import InvalidRequestError, SettingsError
from maap_tui.engine.saved_searches import Choices, SavedSearches, words_of
from maap_tui.engine.search_history import KEPT, FoundGranules, SearchHistory
from maap_tui.engine.session import Session

NOW = datetime(2026, 1, 15, 6, tzinfo=UTC)
BY_HAND = """\
# What the group looks at.
[weekly] # every Monday
collection = "EarthCAREL2Validated_MAAP"
product = "CPR_CLD_2A"
date = 2025-12-01
orbit = 8574
frame = ["C", "D"]   # the poles
bbox = [-10, 50.5, 10, 60]
radius = 100
newest_first = true
all_versions = false

['two words']
start = 2025-12-01T06:30:00Z
point = "61.8,24.3"
max_items = 5
"""


@pytest.fixture
def searches(tmp_path: Path) -> SavedSearches:
    return SavedSearches(tmp_path / "maap" / "searches.toml")


def write(searches: SavedSearches, text: str) -> None:
    searches.file.parent.mkdir(exist_ok=True)
    searches.file.write_text(text)


def test_what_people_write_becomes_options(searches: SavedSearches) -> None:
    assert searches.all() == {}
    write(searches, BY_HAND)
    weekly, other = searches.all().values()
    assert words_of(weekly) == [
        *("EarthCAREL2Validated_MAAP", "CPR_CLD_2A", "--date", "2025-12-01", "--orbit", "8574"),
        *("--frame", "C,D", "--bbox=-10,50.5,10,60", "--radius", "100", "--newest-first"),
    ]
    assert other == {"start": "2025-12-01T06:30:00Z", "point": "61.8,24.3", "max_items": 5}
    assert searches.name_of(dict(reversed(other.items()))) == "two words"
    assert searches.name_of({"max_items": 5}) == ""


def test_comments_survive_a_change(searches: SavedSearches) -> None:
    write(searches, BY_HAND)
    weekly: Choices = {"collection": "EarthCAREL2Validated_MAAP", "product": "CPR_CLD_2A", "frame": "A"}
    assert searches.save("weekly", weekly)
    assert not searches.save("third", {"product": "X", "days_back": 7})
    assert searches.find("weekly") == weekly
    text = searches.file.read_text()
    assert "# What the group looks at." in text and "[weekly] # every Monday" in text
    assert 'frame = "A"' in text and "# the poles" in text and "bbox" not in text
    searches.remove("two words")
    assert list(searches.all()) == ["weekly", "third"]
    assert "# What the group looks at." in searches.file.read_text()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[a]\nprodct = 'x'", ":2: unknown key 'prodct' in \\[a\\]; did you mean 'product'\\?"),
        ("[a]\ndays-back = 1", "did you mean 'days_back'"),
        ("[a]\n\nsize = 1", ":3: unknown key 'size' in \\[a\\]; the keys are collection, product"),
        ("[a]\nproduct = 5", ":2: product must be a text in quotes, got 5"),
        ("[a]\ndays_back = '7'", "days_back must be a whole number, 1 or more, got '7'"),
        ("[a]\nmax_items = 0", "max_items must be a whole number"),
        ("[a]\ndate = 7", ':2: date must be a time, such as 2025-12-01, "2025-12" or "7d", got 7'),
        ("[a]\nframe = true", "frame must be a text or a number, or a list of them"),
        ("[a]\nradius = [1]", "radius must be a number"),
        ("[a]\nnewest_first = 'yes'", "newest_first must be true or false"),
        ("product = 'x'", ":1: 'product' outside a search; 'product' belongs below the \\[NAME\\]"),
        ("[a", "not valid TOML"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(searches: SavedSearches, text: str, words: str) -> None:
    write(searches, text)
    with pytest.raises(SettingsError, match=words) as raised:
        searches.all()
    assert raised.value.message.startswith(str(searches.file))
    with pytest.raises(SettingsError):
        searches.save("b", {"product": "X"})
    assert searches.file.read_text() == text


def test_names(searches: SavedSearches) -> None:
    for name in ("", " a", "-a", "a\nb", "x" * 61, 'a"b', "a\\b"):
        with pytest.raises(InvalidRequestError, match="cannot be the name of a search"):
            searches.save(name, {"product": "X"})
    with pytest.raises(InvalidRequestError, match="No saved search is called 'a'") as raised:
        searches.find("a")
    assert "--save-as" in raised.value.hint
    for name in ("Arctic frames", "a.b", "Hyytiälä 7d"):
        assert not searches.save(name, {"product": "X"})
    assert list(searches.all()) == ["Arctic frames", "a.b", "Hyytiälä 7d"]
    for typed, hint in (("arctic", "Did you mean Arctic frames?"), ("qqq", "`maap searches` lists them.")):
        with pytest.raises(InvalidRequestError) as raised:
            searches.remove(typed)
        assert raised.value.hint == hint


@pytest.fixture
def history(session: Callable[..., Session]) -> SearchHistory:
    return SearchHistory(session().dirs)


def found(*ids: str) -> FoundGranules:
    granules = FoundGranules()
    granules.add(ids)
    return granules


def test_what_is_new_since_the_same_search(history: SearchHistory) -> None:
    choices: Choices = {"product": "X", "days_back": 7}
    other: Choices = {"product": "X", "days_back": 3}

    def note(hours: int, *ids: str, of: Choices = choices, **options: Any) -> tuple[int | None, Any]:
        now = NOW + timedelta(hours=hours)
        done = history.note(of, found(*ids), now=now, **{"is_saved": True, **options})
        assert history.past()[0] == done
        return done.new, done.since

    assert note(0, "a", "b") == (None, None)
    assert note(1, "b", "c", "d") == (2, NOW)
    assert note(2, "b", of=other) == (None, None)
    # Days that failed hide granules, which are not new when they are seen again.
    assert note(3, "b", failed_days=1) == (None, None)
    assert note(4, "d", "c", "b", "e") == (1, NOW + timedelta(hours=1))
    assert note(5, "z", of=other, is_saved=False) == (None, None)

    past = history.past()
    assert [(one.choices, one.found) for one in past] == [(other, 1), (choices, 4)]
    assert history.past(1) == past[:1]


def test_the_newest_are_kept_and_damage_is_left_out(
    history: SearchHistory, session: Callable[..., Session]
) -> None:
    state = session().dirs.state_dir
    for number in range(KEPT + 5):
        choices: Choices = {"product": "X", "max_items": number + 1}
        history.note(choices, found("a"), now=NOW + timedelta(minutes=number), is_saved=True)
    history.note({"area": "x" * 5000}, found("a"), now=NOW)
    with (state / "searches.jsonl").open("a") as file:
        file.write('{"when": 5}\n[]\n{"when":"2026-01-15T06:00:00+00:00","choices":{"size":"1"},"found":1\n')

    past = history.past()
    assert len(past) == KEPT + 5 and history.past(KEPT) == past[:KEPT]
    assert [one.choices["max_items"] for one in past[:KEPT]] == list(range(KEPT + 5, 5, -1))
    kept = list((state / "searches").iterdir())
    assert len(kept) == KEPT
    for one in kept:
        one.write_bytes(b"cut")
    choices = past[0].choices
    assert history.note(choices, found("a"), now=NOW, is_saved=True).new is None
    assert history.note(choices, found("a", "b"), now=NOW, is_saved=True).new == 1


def test_a_name_that_is_not_text_counts_too() -> None:
    names = ("plain", "lone \ud9a8 surrogate", "\udcff byte")
    assert len(found(*names).hashes or ()) == len(set(found(*names).hashes or ())) == 3
