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
    assert len(ended.lines) == 12
    assert all(json.loads(Path(line).read_text())["collection"] in line for line in ended.lines)
    assert ended.err == "Updated 12 of 12 collections\n"


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
    assert len(ended.lines) == 11
    assert "JAXAL2Products_MAAP" in ended.err
    assert "Updated 11 of 12 collections" in ended.err


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
