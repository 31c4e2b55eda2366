import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from maap_tui.demo import Archive

L2 = "EarthCAREL2Validated_MAAP"
CLD = (L2, "CPR_CLD_2A", "BC")
SOME = ("--date", "2025-12-01", "--frame", "A", "--max-items", "4")


@pytest.fixture
def granules(maap: Callable, home: Path) -> list[Path]:
    """A few files that were downloaded and recorded."""
    assert maap("sync", *CLD, *SOME).code == 0
    return sorted(home.rglob("*.h5"))


def flip(path: Path, offset: int) -> None:
    with open(path, "r+b") as handle:
        handle.seek(offset)
        byte = handle.read(1)
        handle.seek(offset)
        handle.write(bytes([byte[0] ^ 1]))


def test_what_came_is_good(maap: Callable, granules: list[Path]) -> None:
    ended = maap("verify", *CLD)
    assert (ended.code, ended.out) == (0, "")
    assert ended.err.startswith("Verified 4 files (") and ended.err.endswith("): all good (4 header size)\n")
    rows = [json.loads(line) for line in maap("verify", *CLD, "--json").lines]
    assert [row["state"] for row in rows] == ["good"] * 4
    assert all(row["hashed"] for row in rows)


@pytest.mark.fault("D7")
@pytest.mark.fault("D8")
def test_each_kind_of_damage_is_named(maap: Callable, granules: list[Path]) -> None:
    flip(granules[0], granules[0].stat().st_size // 2)
    os.truncate(granules[1], granules[1].stat().st_size - 1)
    granules[2].unlink()
    ended = maap("verify")
    assert ended.code == 3
    assert [line.split(":")[0] for line in ended.lines] == ["changed", "truncated", "missing"]
    assert ended.err.endswith("): 3 bad, 1 good (1 header size)\n")
    quick = maap("verify", "--quick", *CLD)
    assert [line.split(":")[0] for line in quick.lines] == ["truncated", "missing"]


def test_a_file_without_a_hash_is_judged_by_its_structure(
    maap: Callable, granules: list[Path], home: Path
) -> None:
    for file in (home / "state" / "hashes").rglob("sha_*.txt"):
        file.write_text("nonsense\n")
    os.truncate(granules[0], granules[0].stat().st_size - 1)
    granules[1].write_bytes(b"")
    states = [json.loads(line)["state"] for line in maap("verify", *CLD, "--json").lines]
    assert states == ["truncated", "truncated", "good", "good"]


@pytest.mark.fault("D7")
@pytest.mark.fault("D8")
def test_repair_fetches_the_bad_ones_only(maap: Callable, granules: list[Path], archive: Archive) -> None:
    before = {path: path.read_bytes() for path in granules}
    flip(granules[0], 4000)
    granules[3].unlink()
    archive.stats.reset()
    ended = maap("verify", *CLD, "--repair")
    assert ended.code == 0
    assert "Downloaded 2 files" in ended.err
    assert archive.stats.count("data", 200) == 2
    assert {path: path.read_bytes() for path in granules} == before
    assert maap("verify", *CLD).code == 0
    assert [json.loads(line)["verb"] for line in maap("runs", "--json").lines] == ["verify", "sync"]
    assert "Downloaded:          4" in maap("state", "show", *CLD).lines


def test_repair_that_fails_says_so(maap: Callable, granules: list[Path], archive: Archive) -> None:
    granules[0].unlink()
    archive.faults.add(target="data", status=503)
    assert maap("verify", *CLD, "--repair").code == 3
    assert not granules[0].exists()


def test_what_cleanup_deleted_is_not_missed(maap: Callable, granules: list[Path]) -> None:
    maap("state", "mark", granules[0])
    maap("state", "cleanup", *CLD)
    ended = maap("verify", *CLD)
    assert ended.code == 0
    assert "Verified 3 files" in ended.err


def test_nothing_tracked(maap: Callable) -> None:
    assert maap("verify").code == 0
    unknown = maap("verify", "Nothing_MAAP")
    assert unknown.code == 4
    assert "tracks nothing" in unknown.err


def test_doctor_finds_nothing_wrong(maap: Callable, granules: list[Path]) -> None:
    ended = maap("doctor")
    assert ended.code == 0, ended.out
    subjects = {line.split()[1] for line in ended.lines}
    assert {"configuration", "folder", "disk", "token", "catalogue", "clock", "registry", "locks"} <= subjects
    assert not any(line.startswith("failure") for line in ended.lines)


def test_doctor_without_credentials(maap: Callable, home: Path) -> None:
    (home / "credentials.txt").unlink()
    ended = maap("doctor")
    assert ended.code == 2
    assert any("Credentials file not found" in line and "maap login" in line for line in ended.lines)


def test_doctor_when_the_catalogue_is_down(maap: Callable, archive: Archive) -> None:
    archive.faults.add(target="catalogue", status=503)
    ended = maap("doctor")
    assert ended.code == 3
    assert any(line.startswith("failure  catalogue") for line in ended.lines)


def test_doctor_offline_asks_nothing(maap: Callable, archive: Archive) -> None:
    assert maap("doctor", "--offline").code == 0
    assert archive.stats.show()["requests"] == 0


def test_doctor_names_what_can_be_mended(
    maap: Callable, home: Path, granules: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "credentials.txt").chmod(0o644)
    next((home / "registry").rglob("url_*.txt")).with_name("url_20251399.txt").write_text("x\n")
    monkeypatch.setenv("MAAP_DATA_DIR", str(home / "config.toml"))
    monkeypatch.setenv("MAAP_DOWNLOADS_MIN_FREE", "1000T")
    rows = [json.loads(line) for line in maap("doctor", "--offline", "--json").lines]
    hints = {row["hint"] for row in rows if row["state"] != "ok"}
    assert f"Run: chmod 600 {home / 'credentials.txt'}" in hints
    assert any(row["subject"] == "folder" and row["state"] == "failure" for row in rows)
    assert any(row["subject"] == "registry" and row["state"] == "warning" for row in rows)
