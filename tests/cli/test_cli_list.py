import json
from collections.abc import Callable
from pathlib import Path

from maap_tui.demo import Archive

L2 = "EarthCAREL2Validated_MAAP"


def test_known_collections_need_no_request(
    maap: Callable, archive: Archive, asked: Callable[[str], int]
) -> None:
    ended = maap("list")
    assert ended.code == 0
    assert L2 in ended.lines[:12]
    for name in ("AeolusL2BProducts", "BiomassLevel1aIOC", "CryoSatIceL110", "FLEXL1Products"):
        assert name in ended.lines[12:]
    assert asked("catalogue") == 0


def test_collections_of_the_configuration_are_listed(maap: Callable, monkeypatch) -> None:
    monkeypatch.setenv("MAAP_MISSION", "Aeolus")
    monkeypatch.setenv("MAAP_MISSION_COLLECTIONS_EXTEND", "BiomassLevel1b")
    ended = maap("list")
    assert ended.lines[0] == "AeolusL0ProductsB16"
    assert ended.lines[-1] == "BiomassLevel1b"


def test_verify_asks_for_the_collections(maap: Callable) -> None:
    ended = maap("list", "--verify", "--json")
    rows = [json.loads(line) for line in ended.lines]
    assert ended.code == 0
    assert len(rows) > 12
    assert any(row["restricted"] for row in rows)


def test_product_types_come_from_the_local_copy_the_second_time(
    maap: Callable, archive: Archive, asked: Callable[[str], int]
) -> None:
    first = maap("list", L2)
    before = asked("catalogue")
    second = maap("list", L2)
    assert "CPR_CLD_2A" in first.lines
    assert first.out == second.out
    assert before == asked("catalogue") == 1


def test_long_adds_words(maap: Callable) -> None:
    ended = maap("list", L2, "--long")
    row = next(line for line in ended.lines if line.startswith("CPR_CLD_2A"))
    assert "C-CLD" in row and "cloud" in row


def test_products_as_json(maap: Callable) -> None:
    rows = [json.loads(line) for line in maap("list", L2, "--json").lines]
    assert {"collection": L2, "product_type": "CPR_CLD_2A"}.items() <= rows[20].items()


def test_baselines_without_a_built_catalogue_are_the_collections(maap: Callable) -> None:
    ended = maap("list", L2, "CPR_CLD_2A")
    assert ended.code == 0
    assert "AC" in ended.lines and "BC" in ended.lines
    assert "--verify" in ended.err


def test_verify_asks_which_baselines_hold_something(maap: Callable) -> None:
    ended = maap("list", L2, "CPR_CLD_2A", "--verify")
    assert "BC" in ended.lines
    assert "AC" not in ended.lines
    latest = maap("list", L2, "CPR_CLD_2A", "--verify", "--latest-baseline", "--json")
    row = json.loads(latest.out)
    assert row["baseline"] == "BC" and row["count"] > 1000


def test_a_built_catalogue_answers_for_a_baseline(
    maap: Callable, archive: Archive, home: Path, asked: Callable[[str], int]
) -> None:
    live = maap("list", L2, "CPR_CLD_2A", "bc")
    assert "archive is asked" in live.err
    assert maap("catalog", "build", L2, "CPR_CLD_2A", "BC").code == 0
    archive.stats.reset()
    built = maap("list", L2, "CPR_CLD_2A", "bc")
    assert asked("search") == 0
    assert built.err == ""
    keys = [line.partition(":")[0] for line in built.lines]
    assert keys == ["time_start", "time_end", "frame_start", "frame_end", "count", "updated_at"]
    assert built.lines[:5] == live.lines[:5]
    assert maap("list", L2, "CPR_CLD_2A").lines == ["BC"]


def test_unknown_names_get_the_nearest(maap: Callable) -> None:
    for words, near in [
        (["EarthCAREL2Validated_MAP"], L2),
        ([L2, "CPR_CLT_2A"], "CPR_CLD_2A"),
        ([L2, "CPR_CLD_2A", "ZZ"], "BC"),
    ]:
        ended = maap("list", *words)
        assert ended.code == 4, words
        assert ended.out == ""
        assert near in ended.err and words[-1] in ended.err


def test_a_baseline_without_granules_is_no_baseline_of_the_product(maap: Callable) -> None:
    ended = maap("list", L2, "CPR_CLD_2A", "AC")
    assert ended.code == 4
    assert "no baseline 'AC'" in ended.err
