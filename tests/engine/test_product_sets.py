"""Sets: how they are declared, and what an orbit and frame has of one."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from maap_tui.engine.config import editing, loading
from maap_tui.engine.errors import InvalidRequestError, SettingsError
from maap_tui.engine.product_sets import CellState, Member, ProductSet, Version, judge, set_of, waiting_for

START = datetime(2025, 12, 1, tzinfo=UTC)


def known(text: str) -> list[dict[str, Version]]:
    """`BA+ BC, BA+` : two products, the first here in BA and at the archive in BC; `-` is deleted."""
    states: dict[str, CellState] = {"+": "here", "-": "deleted"}
    return [
        {
            word.rstrip("+-"): Version(word.rstrip("+-"), word, START, None, states.get(word[-1], "archive"))
            for word in product.split()
        }
        for product in text.split(",")
    ]


@pytest.mark.parametrize(
    ("rule", "products", "state", "lacking"),
    [
        ("newest", "BA+, BA+", "complete", []),
        ("newest", "BC+, BA+", "complete", []),  # each in its newest
        ("newest", "BA+ BC+, BA+", "complete", []),
        ("newest", "BA+ BC, BA+", "mixed", ["A:BC"]),
        ("newest", "BC, BA+", "waiting", ["A:BC"]),
        ("newest", "BA+,", "waiting", ["B"]),
        ("newest", "BA-, BA+", "deleted", []),
        ("newest", "BA-, BA", "waiting", ["B:BA"]),
        ("same", "BA+, BA+", "complete", []),
        ("same", "BA+ BC+, BA+", "complete", []),  # the newest that both have is BA
        ("same", "BA+ BC+, BA+ BC", "mixed", ["B:BC"]),
        ("same", "BA+ BC+, BA+ BC+", "complete", []),
        ("same", "BC+, BA+", "mixed", ["B:BC"]),
        ("same", "BC+, BA", "waiting", ["B:BC"]),
        ("BA", "BA+ BC+, BA+", "complete", []),
        ("BA", "BC+, BA+", "mixed", ["A:BA"]),
        ("BA", "BC+, BA", "waiting", ["A:BA", "B:BA"]),
    ],
)
def test_state_of_an_orbit_and_frame(rule: str, products: str, state: str, lacking: list[str]) -> None:
    wanted = set_of("pair", ["A", "B"], rule)
    row = judge(wanted, (7655, "C"), known(products))
    assert (row.state, waiting_for(wanted, row)) == (state, lacking)


def test_a_product_with_a_baseline_of_its_own_takes_no_part_in_the_rule() -> None:
    wanted = set_of("three", ["A", "B", "L1/X:DA"], "same", "L2")
    assert wanted == ProductSet(
        "three", (Member("A", "L2"), Member("B", "L2"), Member("X", "L1", "DA")), "same"
    )
    assert judge(wanted, (1, ""), known("BA+, BA+, DA+ DB+")).baselines == ("BA", "BA", "DA")


@pytest.mark.parametrize(
    ("products", "rule", "collection"),
    [
        (["A"], "", ""),
        (["A", "A:BC"], "", ""),
        (["A", "B:C:D"], "", ""),
        (["A", "../B"], "", ""),
        (["A", ""], "", ""),
        (["A", "B"], "no rule", ""),
        (["A", "B"], "", "../L2"),
        ([f"P{number}" for number in range(31)], "", ""),
    ],
)
def test_a_set_that_cannot_be_is_refused(products: list[str], rule: str, collection: str) -> None:
    with pytest.raises(InvalidRequestError):
        set_of("pair", products, rule, collection)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ('[sets]\nclouds = "A,B"\n', 2, "must be a table"),
        ('[sets.clouds]\nproducts = "A"\n', 2, "list of texts"),
        ('[sets.clouds]\nproducts = ["A"]\n', 1, "1 product"),
        ('[sets.clouds]\nproducts = ["A", "B"]\nbaselines = "BC"\n', 3, "unknown key 'baselines'"),
        ('[sets.clouds]\nproducts = ["A", "B"]\nbaseline = 1\n', 3, "must be a text"),
        ('[sets."a b"]\nproducts = ["A", "B"]\n', 1, "not a name for a set"),
    ],
)
def test_a_wrong_declaration_names_file_and_line(tmp_path: Path, text: str, line: int, words: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=words) as refused:
        loading.load(file, {})
    assert str(refused.value).startswith(f"{file}:{line}: ")


def test_a_set_is_written_beside_what_the_file_has(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("# mine\n[ui]\nascii = true\n")
    with pytest.raises(SettingsError, match="no products yet"):
        editing.set_value(file, "sets.pair.baseline", "same", {})
    editing.set_value(file, "sets.pair", "A:bc, B", {})
    editing.set_value(file, "sets.pair.baseline", "same", {})
    editing.set_value(file, "sets.pair.collection", "L2", {})
    expected = '# mine\n[ui]\nascii = true\n\n[sets.pair]\nproducts = ["A:bc", "B"]\nbaseline = "same"\n'
    assert file.read_text() == expected + 'collection = "L2"\n'
    assert loading.load(file, {}).sets == {"pair": set_of("pair", ["A:BC", "B"], "same", "L2")}
    with pytest.raises(SettingsError, match="not a rule"):
        editing.set_value(file, "sets.pair.baseline", "no rule", {})
    editing.set_value(file, "sets.pair.collection", "", {})
    assert file.read_text() == expected
    assert editing.unset_value(file, "sets.pair") and loading.load(file, {}).sets == {}
