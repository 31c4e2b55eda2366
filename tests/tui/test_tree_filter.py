"""The filter of the tree, without an app: which branches the words are found in."""

from __future__ import annotations

import pytest
from counting import counted

from maap_tui.engine.catalogue.index import Known, KnownCollection
from maap_tui.engine.model import Collection
from maap_tui.tui.screens.browse.archive_tree import Branch
from maap_tui.tui.screens.browse.tree_filter import TreeFilter

L1 = "EarthCAREL1Validated_MAAP"
L2 = "EarthCAREL2InstChecked_MAAP"
KNOWN = Known(
    {
        L1: KnownCollection(
            L1,
            "EarthCARE",
            Collection(L1, "Level 1", "Radiances", ("imager",), restricted=True),
            products=("ATL_NOM_1B", "CPR_NOM_1B"),
        ),
        L2: KnownCollection(L2, "EarthCARE", products=("ATL_EBD_2A", "CPR_CLD_2A")),
    }
)


def hits(*words: str) -> set[tuple[str, ...]]:
    """The names below the mission of what is found."""
    found = TreeFilter()
    found.words = words
    found.find(KNOWN, lambda one, product_type: ("BA", "BC"))
    for hit in found.hits:
        assert found.passes(hit) and all(found.passes(above) for above in hit.path)
    return {
        tuple(name for name in (hit.collection, hit.product_type, hit.baseline) if name) for hit in found.hits
    }


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("cld", "bc"), {(L2, "CPR_CLD_2A", "BC")}),
        (("bc", "c-cld", "2a"), {(L2, "CPR_CLD_2A", "BC")}),
        (("cld",), {(L2, "CPR_CLD_2A")}),
        (("cld", "b"), set()),  # a baseline is meant from two letters on
        (("backscatter",), {(L1, "ATL_NOM_1B"), (L2, "ATL_EBD_2A")}),
        (("radiances",), {(L1,)}),
        (("imager", "restricted"), {(L1,)}),
        (("restricted", "cpr"), {(L1, "CPR_NOM_1B")}),
        (("backscatterzzz",), set()),
        (("cld", "zz"), set()),
    ],
)
def test_every_word_is_found_on_the_way_to_a_hit(words: tuple[str, ...], found: set[tuple[str, ...]]) -> None:
    assert hits(*words) == found


def test_what_leads_to_a_hit_or_hangs_on_one_passes() -> None:
    found = TreeFilter()
    found.words = ("cld",)
    found.find(KNOWN, lambda one, product_type: ("BA", "BC"))
    assert found.passes(Branch("EarthCARE")) and found.passes(Branch("EarthCARE", L2))
    assert found.passes(Branch("EarthCARE", L2, "CPR_CLD_2A", "BA"))
    assert not found.passes(Branch("EarthCARE", L1))
    assert not found.passes(Branch("EarthCARE", L2, "ATL_EBD_2A"))


def test_the_filter_is_quick_over_everything_known() -> None:
    products = tuple(f"ABC_{number:03d}_2A" for number in range(60))
    names = [f"Huge{number:03d}_MAAP" for number in range(300)]
    known = Known({name: KnownCollection(name, "EarthCARE", products=products) for name in names})
    found = TreeFilter()
    found.words = ("abc", "02")
    with counted() as calls:
        found.find(known, lambda one, product_type: ("BA", "BB", "BC"))
    assert len(found.hits) >= 300
    assert calls.count < 20 * (300 * 60 + 300 * 60 * 3)
