import json
from collections.abc import Callable
from pathlib import Path

import pytest

from maap_tui.demo import Archive

L2 = "EarthCAREL2Validated_MAAP"
CLD = (L2, "CPR_CLD_2A", "BC")


def test_update_of_all_collections(maap: Callable, home: Path) -> None:
    ended = maap("catalog", "update")
    assert ended.code == 0
    listed = maap("list").lines
    updated = [json.loads(Path(line).read_text())["collection"] for line in ended.lines]
    assert set(updated) < set(listed) and len(updated) > 12
    lacking = len(listed) - len(updated)
    assert ended.err.startswith(f"Updated {len(updated)} of {len(updated)} collections")
    assert f"the archive does not have {lacking} others of the missions" in ended.err


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"MAAP_MISSION": "CryoSat"}, ["CryoSatIceL110"]),
        ({"MAAP_MISSION_COLLECTIONS": f"AeolusL2BProducts,{L2}"}, ["AeolusL2BProducts", L2]),
        (
            {"MAAP_MISSION": "CryoSat", "MAAP_MISSION_COLLECTIONS_EXTEND": "BiomassLevel1b"},
            ["CryoSatIceL110", "BiomassLevel1b"],
        ),
    ],
)
def test_update_means_the_collections_that_are_listed(
    maap: Callable, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], names: list[str]
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    assert maap("list").lines == names
    rows = map(json.loads, maap("catalog", "update", "--json").lines)
    assert sorted(row["collection"] for row in rows) == sorted(names)


@pytest.mark.parametrize(("chosen", "code"), [("", 0), ("FLEXL1Products", 4)])
def test_only_a_collection_that_is_set_has_to_be_at_the_archive(
    maap: Callable, archive: Archive, monkeypatch: pytest.MonkeyPatch, chosen: str, code: int
) -> None:
    archive.control(status=404, target="catalogue", match="FLEX")
    monkeypatch.setenv("MAAP_MISSION", "FLEX")
    monkeypatch.setenv("MAAP_MISSION_COLLECTIONS_EXTEND", chosen)
    for words in (("update",), ("build",)):
        ended = maap("catalog", *words)
        assert (ended.code, ended.out) == (code, "")
        assert ("There is no collection 'FLEXL1Products'" in ended.err) == bool(chosen)


def test_update_of_one_into_a_folder(maap: Callable, tmp_path: Path) -> None:
    ended = maap("catalog", "update", L2, "-o", tmp_path / "here", "--json")
    row = json.loads(ended.out)
    assert row["collection"] == L2 and row["product_types"] > 20
    assert Path(row["path"]).parent == tmp_path / "here"
    wrong = maap("catalog", "update", "EarthCAREL2Valid_MAAP")
    assert wrong.code == 4 and L2 in wrong.err


def test_one_collection_that_fails_does_not_stop_the_others(maap: Callable, archive: Archive) -> None:
    archive.control(status=503, target="catalogue", match="JAXAL2Products_MAAP")
    ended = maap("catalog", "update")
    assert ended.code == 3
    missing = len(maap("list").lines) - len(ended.lines)
    assert ended.err.count("Error: ") == 1 and "JAXAL2Products_MAAP" in ended.err
    assert f"Updated {len(ended.lines)} of {len(ended.lines) + 1} collections" in ended.err and missing >= 1


def test_build_of_one_baseline_and_again(
    maap: Callable, archive: Archive, home: Path, asked: Callable[[str], int]
) -> None:
    file = home / "built_catalogs" / f"{L2}_collection.json"
    ended = maap("catalog", "build", *CLD)
    assert ended.code == 0
    assert ended.lines == [str(file)]
    entry = json.loads(file.read_text())["products"]["CPR_CLD_2A"]["baselines"]["BC"]
    assert entry["count"] > 1000
    archive.stats.reset()
    row = json.loads(maap("catalog", "build", *CLD, "--json").out)
    assert row["count"] == entry["count"]
    assert asked("search") == 1
    assert maap("catalog", "build", *CLD, "--force", "-q").err == ""
    assert asked("search") > 2


def test_build_takes_the_latest_baseline_of_the_product(maap: Callable, home: Path) -> None:
    rows = [
        json.loads(line)
        for line in maap("catalog", "build", L2, "CPR_CLD_2A", "--latest-baseline", "--json").lines
    ]
    assert [row["baseline"] for row in rows] == ["BC"]


def test_force_forgets_only_what_is_counted(maap: Callable, home: Path) -> None:
    assert maap("catalog", "build", *CLD).code == 0
    assert maap("catalog", "build", L2, "AC__TC__2B", "BC", "--force").code == 0
    products = json.loads((home / "built_catalogs" / f"{L2}_collection.json").read_text())["products"]
    assert sorted(products) == ["AC__TC__2B", "CPR_CLD_2A"]


def test_granules_that_no_baseline_finds_are_said(maap: Callable, archive: Archive) -> None:
    archive.faults.add(blind="version")
    ended = maap("catalog", "build", L2, "CPR_CLD_2A")
    assert ended.code == 3 and "has granules of it and finds none by its baselines" in ended.err


def test_build_goes_on_after_a_baseline_that_fails(maap: Callable, archive: Archive, home: Path) -> None:
    maap("catalog", "update", L2)
    archive.control(status=503, target="search", after=0, probability=0.5, seed=1)
    ended = maap("catalog", "build", L2, "CPR_CLD_2A")
    assert ended.code == 3
    assert "could not be counted" in ended.err
    archive.faults.clear()
    assert maap("catalog", "build", L2, "CPR_CLD_2A").code == 0
    assert maap("list", L2, "CPR_CLD_2A").lines == ["AB", "BA", "BB", "BC"]


@pytest.mark.parametrize("words", [["Nowhere"], [L2, "CPR_XXX_2A"], [L2, "CPR_CLD_2A", "QQ"]])
def test_unknown_names_are_4(maap: Callable, words: list[str]) -> None:
    assert maap("catalog", "build", *words).code == 4
