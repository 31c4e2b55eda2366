import json
from collections.abc import Callable
from pathlib import Path

import pytest

L2 = "EarthCAREL2Validated_MAAP"
CLD = (L2, "CPR_CLD_2A", "BC")


def granule(home: Path, number: int) -> Path:
    folder = home / "data/EarthCARE" / L2 / "CPR_CLD_2A/BC/2025/12/01"
    return folder / f"ECA_EXBC_CPR_CLD_2A_20251201T0{number}0126Z_20251201T021736Z_08574D.h5"


def put(home: Path, count: int) -> list[Path]:
    paths = [granule(home, number) for number in range(count)]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * 1024)
    return paths


def test_nothing_is_tracked_at_first(maap: Callable) -> None:
    ended = maap("state", "show")
    assert (ended.code, ended.out) == (0, "")
    assert "tracks nothing" in ended.err
    one = maap("state", "show", *CLD)
    assert one.lines[1] == "Total URLs:          0"
    assert "no such baseline" in one.err


def test_a_table_of_everything_tracked(maap: Callable, home: Path) -> None:
    maap("state", "mark", *put(home, 2))
    ended = maap("state", "show")
    assert ended.lines[0].split()[:3] == ["COLLECTION", "PRODUCT", "BASELINE"]
    assert ended.lines[1].split() == [*CLD, "0", "0", "2", "0", "0", "0", "0", "0"]
    row = json.loads(maap("state", "show", "--json").out)
    assert row["marked"] == 2 and row["mission"] == "EarthCARE"
    assert maap("state", "show", "OtherCollection").out == ""


@pytest.mark.fault("R4")
def test_a_file_of_no_day_is_ignored_with_a_warning(maap: Callable, home: Path) -> None:
    maap("state", "mark", *put(home, 2))
    (marked,) = (home / "registry").rglob("mrk_20251201.txt")
    odd = marked.with_name("mrk_20251399.txt")
    odd.write_bytes(marked.read_bytes())
    for words in (("show",), ("show", *CLD), ("pending", *CLD, "--type", "marks")):
        ended = maap("state", *words)
        assert ended.code == 3
        assert f"Warning: {odd} is ignored: the date in its name does not exist" in ended.err
    assert "Marked:              2" in maap("state", "show", *CLD).out


def test_state_of_a_range(maap: Callable, home: Path) -> None:
    maap("state", "mark", *put(home, 2))
    inside = maap("state", "show", *CLD, "--date", "2025-12-01")
    assert "2025-12-01T00:00:00Z to 2025-12-02T00:00:00Z" in inside.lines[0]
    assert "Marked:              2" in inside.lines
    outside = maap("state", "show", *CLD, "--start", "2025-11-01", "--end", "2025-11-30")
    assert "Marked:              0" in outside.lines
    assert maap("state", "show", *CLD, "--date", "2025-99-01").code == 4


def test_marks_from_files_and_arguments(maap: Callable, home: Path, tmp_path: Path) -> None:
    paths = put(home, 3)
    listing = tmp_path / "paths.txt"
    listing.write_text(f"# done\n{paths[0]}\n\n{paths[1]}\n")
    assert maap("state", "mark", "-f", listing, paths[2]).err == "Marked 3 files\n"
    assert maap("state", "mark", *paths).err == "Marked 0 files; 3 marked before\n"
    assert maap("state", "unmark", paths[0]).err == "Unmarked 1 file\n"
    assert maap("state", "unmark", paths[0]).err == "Unmarked 0 files; 1 not marked\n"
    assert "Marked:              2" in maap("state", "show", *CLD).lines


def test_a_path_that_no_line_can_hold_is_refused_alone(maap: Callable, home: Path) -> None:
    one, other = put(home, 2)
    odd = one.with_name(f"{one.stem}|.h5")
    ended = maap("state", "mark", odd, one, other)
    assert (ended.code, ended.err.splitlines()[-1]) == (4, "Marked 2 files; 1 refused")
    assert f"Refused: {odd}: the path holds a line end, a control character, |" in ended.err


def test_a_path_that_is_no_granule_is_refused_and_the_others_marked(maap: Callable, home: Path) -> None:
    path = put(home, 1)[0]
    ended = maap("state", "mark", path, "/etc/hosts", "\x1b[2J")
    assert ended.code == 4
    assert "Refused: /etc/hosts: " in ended.err
    assert "Marked 1 file; 2 refused" in ended.err
    assert "\x1b" not in ended.err
    assert maap("state", "mark").code == 4
    assert maap("state", "mark", "-f", "missing.txt").code == 4


def test_cleanup_keeps_what_it_must_not_touch(maap: Callable, home: Path, tmp_path: Path) -> None:
    path, linked = put(home, 2)
    victim = tmp_path / "precious.h5"
    victim.write_text("data")
    linked.unlink()
    linked.symlink_to(victim)
    maap("state", "mark", path, linked)
    ended = maap("state", "cleanup", *CLD)
    assert ended.code == 4
    assert "Refused: " in ended.err and "symbolic link" in ended.err
    assert ended.err.endswith("Deleted 1 file (1.0 KiB)\n")
    assert victim.exists() and not path.exists()
    assert maap("state", "cleanup", *CLD).code == 4


def test_cleanup_as_json(maap: Callable, home: Path) -> None:
    paths = put(home, 2)
    maap("state", "mark", *paths)
    rows = [json.loads(line) for line in maap("state", "cleanup", *CLD, "--dry-run", "--json").lines]
    assert [row["path"] for row in rows] == sorted(map(str, paths))


def test_an_action_is_needed(maap: Callable) -> None:
    ended = maap("state")
    assert ended.code == 4
    assert "maap state -h" in ended.err
    assert "Did you mean cleanup?" in maap("state", "clenup").err
