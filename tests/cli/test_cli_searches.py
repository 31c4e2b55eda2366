"""Saved searches on the command line: saved, run, fetched, listed, removed; what is given goes before."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

L2 = "EarthCAREL2Validated_MAAP"
CLD = (L2, "CPR_CLD_2A", "BC")
DAY = ("--date", "2025-12-01")


def test_a_search_is_saved_run_fetched_and_removed(maap: Callable, home: Path) -> None:
    first = maap("search", *CLD, "--date", "2025-335", "--frame", "D", "-n", "2", "--save-as", "two of D")
    file = home / "searches.toml"
    assert (first.code, len(first.lines)) == (0, 2)
    assert f"Saved the search 'two of D' in {file}" in first.err
    assert 'date = "2025-335"' in file.read_text(), "as it was written"
    again = maap("search", "--saved", "two of D")
    assert again.lines == first.lines
    assert "New since 20" in again.err and again.err.endswith(" UTC: 0\n")
    assert maap("search", "--saved", "two of D", "--count").out == "16\n"
    for command in ("get", "sync", "download", "plan"):
        dry = () if command == "plan" else ("--dry-run",)
        assert len(maap(command, "--saved", "two of D", *dry).lines) == 2, command
    # It is listed with what it found, and so are others.
    assert maap("search", *CLD, "--date", "2025-12-02", "-n", "1").code == 0
    title, row = maap("searches").lines
    assert title.split() == ["Name", "Found", "When", "New", "Since", "Search"]
    assert row.split()[:4] == ["two", "of", "D", "2"]
    assert row.endswith(f"{' '.join(CLD)} --date 2025-335 --frame D --max-items 2")
    past = [json.loads(line) for line in maap("searches", "--past", "--json").lines]
    assert [(one["name"], one["found"], one["new"]) for one in past] == [("", 1, None), ("two of D", 2, 0)]
    assert maap("search", *past[1]["words"]).lines == first.lines
    # Saved again under the same name, with other options.
    changed = maap("search", "--saved", "two of D", "-n", "1", "--save-as", "two of D")
    assert len(changed.lines) == 1 and "Replaced the search 'two of D'" in changed.err
    assert maap("searches", "remove", "two of D").err == f"Removed the search 'two of D' from {file}\n"
    ended = maap("searches")
    assert (ended.code, ended.out) == (0, "") and "No search is saved" in ended.err


SAVED = f"""\
[day]
collection = "{L2}"
product = "CPR_CLD_2A"
baseline = "newest"
date = 2025-12-01
frame = "A"
[circle]
collection = "{L2}"
product = "CPR_CLD_2A"
start = "2025-12-01"
end = "2025-12-05"
point = "61.8,24.3"
radius = 1
[broad]
date = "2025-12-01"
"""


@pytest.fixture
def saved(home: Path) -> Path:
    file = home / "searches.toml"
    file.write_text(SAVED)
    return file


@pytest.mark.parametrize(
    ("words", "same"),
    [
        (("day",), (*CLD, *DAY, "--frame", "A")),
        (("day", "--date", "2025-12-02"), (*CLD, "--date", "2025-12-02", "--frame", "A")),
        (("day", "--orbit", "8574D"), (*CLD, "--orbit", "8574D")),
        (("day", "--frame", "B", "-n", "3"), (*CLD, *DAY, "--frame", "B", "-n", "3")),
        (("day", *CLD[:2], "BB"), (*CLD[:2], "BB", *DAY, "--frame", "A")),
        (("circle", "--radius", "500", *DAY), (*CLD[:2], *DAY, "--point", "61.8,24.3", "--radius", "500")),
        (
            ("circle", "--end", "2025-12-02", "--bbox=-20,30,20,60"),
            (*CLD[:2], "--start", "2025-12-01", "--end", "2025-12-02", "--bbox=-20,30,20,60"),
        ),
        (("broad", *CLD, "--frame", "C"), (*CLD, *DAY, "--frame", "C")),
    ],
    ids=lambda words: " ".join(words),
)
def test_what_is_given_goes_before_what_is_saved(
    words: tuple[str, ...], same: tuple[str, ...], maap: Callable, saved: Path
) -> None:
    ended = maap("search", "--saved", *words)
    assert ended.lines == maap("search", *same).lines
    assert ended.code == 0


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("search", "--saved", "dya"), "No saved search is called 'dya'. Did you mean day?"),
        (("search", "--saved", "broad"), "The following arguments are required: COLLECTION, PRODUCT."),
        (("search", "--saved", "day", L2), "The following arguments are required: PRODUCT."),
        (("sync",), "the following arguments are required: COLLECTION, PRODUCT. See maap sync -h."),
        (
            ("sync", "--saved", "circle", "--date", "2025-12-01"),
            "maap sync takes no --point, which 'circle' has. Use maap download --saved circle.",
        ),
        (("download", "--saved", "day", "--url", "x"), "--saved cannot be used with --url"),
        (("download", "--saved", "circle", "--registry"), "--point cannot be used with --registry"),
        (("search", *CLD, *DAY, "--shard", "1/2", "--save-as", "x"), "--shard cannot be saved"),
        (("search", *CLD, "--area", "-", "--save-as", "x"), "An area from stdin cannot be saved"),
        (("search", *CLD, *DAY, "--save-as=-x"), "'-x' cannot be the name of a search"),
        (("searches", "remove", "days"), "No saved search is called 'days'. Did you mean day?"),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, tuple) else "",
)
def test_what_cannot_be_is_refused(words: tuple[str, ...], error: str, maap: Callable, saved: Path) -> None:
    ended = maap(*words)
    assert (ended.code, ended.out) == (4, "")
    assert error in ended.err
    assert saved.read_text() == SAVED


def test_a_wrong_file_stops_only_those_who_name_a_search(maap: Callable, saved: Path) -> None:
    saved.write_text("[day]\nprodct = 'x'\n")
    wrong = f"Error: {saved}:2: unknown key 'prodct' in [day]; did you mean 'product'?\n"
    assert (maap("searches").code, maap("search", "--saved", "day").err) == (4, wrong)
    assert maap("search", *CLD, *DAY, "-n", "1").code == 0


def test_jobs_of_a_cluster_need_no_file(maap: Callable, saved: Path) -> None:
    script = maap("sync", "--saved", "day", "--print", "sbatch").out
    assert f"maap sync {L2} CPR_CLD_2A newest --date=2025-12-01 --frame=A" in script


def test_the_newest_baseline_has_a_word(maap: Callable) -> None:
    assert maap("search", *CLD[:2], "newest", *DAY).lines == maap("search", *CLD, *DAY).lines
    ended = maap("search", L2, "CPR_CLD_9Z", "newest", *DAY)
    assert ended.code == 4 and "CPR_CLD_9Z" in ended.err
