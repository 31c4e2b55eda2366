import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from maap_tui.demo import Archive

L2 = "EarthCAREL2Validated_MAAP"
CLD = (L2, "CPR_CLD_2A", "BC")
DAY = ("--date", "2025-12-01")
FEW = (*DAY, "--frame", "D", "-n", "4")


STAMP = r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ"


def lines_of(home: Path, tree: str, prefix: str) -> list[str]:
    file = home / "registry" / tree / "EarthCARE" / L2 / "CPR_CLD_2A/BC/2025" / f"{prefix}_20251201.txt"
    return file.read_text().splitlines() if file.exists() else []


def files_of(home: Path) -> list[str]:
    return sorted(path.name for path in (home / "data").rglob("*") if path.is_file())


def test_sync_through_its_life(maap: Callable, home: Path) -> None:
    first = maap("sync", *CLD, *DAY)
    assert first.code == 0
    assert first.out == ""
    assert first.err.startswith("Downloaded 125 files (18.7 MiB) in ")
    assert len(lines_of(home, "urls", "url")) == len(lines_of(home, "downloads", "dwl")) == 125
    day = home / "data/EarthCARE" / L2 / "CPR_CLD_2A/BC/2025/12/01"
    assert len(list(day.glob("*.h5"))) == 125
    found = [json.loads(line) for line in maap("search", *CLD, *DAY, "--json").lines]
    assert {path.stem: path.stat().st_size for path in day.iterdir()} == {
        row["id"]: row["size"] for row in found
    }

    second = maap("sync", *CLD, *DAY)
    assert (second.code, second.out) == (0, "")
    said = "Nothing new: all 125 files of 2025-12-01 are downloaded already"
    assert re.fullmatch(rf"{said} \[{' '.join(CLD)}, begun {STAMP}, took [0-9.]+ s\]\n", second.err)

    shown = maap("state", "show", *CLD)
    assert shown.lines == [
        f"State for {L2}/CPR_CLD_2A/BC:",
        "Total URLs:          125",
        "Downloaded:          125",
        "Marked:              0",
        "Errors:              0",
        "Pending downloads:   0",
        "Pending marks:       125",
        "Here:                125",
        "Deleted:             0",
    ]
    assert maap("state", "pending", *CLD).out == ""
    paths = maap("state", "pending", *CLD, "--type", "marks").lines
    assert len(paths) == 125 and all(Path(path).exists() for path in paths)

    assert maap("state", "mark", *paths[:2]).err == "Marked 2 files\n"
    preview = maap("state", "cleanup", *CLD, "--dry-run")
    assert preview.lines == paths[:2]
    assert preview.err == "Would delete 2 files (287 KiB)\n"
    assert Path(paths[0]).exists()
    assert maap("state", "cleanup", *CLD).err == "Deleted 2 files (287 KiB)\n"
    assert not Path(paths[0]).exists() and Path(paths[2]).exists()
    assert "Nothing new" in maap("sync", *CLD, *DAY).err


def test_sync_takes_what_earlier_runs_left(maap: Callable, home: Path) -> None:
    assert maap("search", *CLD, *DAY, "--frame", "D", "--registry-save").code == 0
    ended = maap("sync", *CLD, *DAY, "--frame", "D", "-n", "6")
    assert "10 files left for another run" in ended.err
    ended = maap("sync", *CLD, *DAY, "--frame", "D")
    assert ended.err.startswith("Downloaded 10 files")


def test_a_sync_that_the_setting_cuts_is_not_all_of_it(
    maap: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAAP_SEARCH_MAX_ITEMS", "14")
    ended = maap("sync", *CLD, *DAY, "--frame", "D")
    assert ended.code == 3
    assert "Warning: 2 files left for another run (search.max_items)\n" in ended.err
    assert maap("sync", *CLD, *DAY, "--frame", "D", "-n", "1").code == 0
    assert maap("sync", *CLD, *DAY, "--frame", "D").code == 0


def test_sync_into_another_folder(maap: Callable, home: Path, tmp_path: Path) -> None:
    ended = maap("sync", *CLD, *FEW, "--out-dir", tmp_path / "other", "--product-dir")
    assert ended.code == 0
    found = list((tmp_path / "other/EarthCARE" / L2 / "CPR_CLD_2A/BC/2025/12/01").glob("*/*.h5"))
    assert len(found) == 4
    assert all(path.parent.name == path.stem for path in found)
    assert files_of(home) == []


def test_sync_names_the_baseline_of_a_failed_day(maap: Callable, archive: Archive) -> None:
    archive.control(failing_day="2025-12-05")
    range_ = ("--start", "2025-12-05", "--end", "2025-12-05")
    one = maap("sync", *CLD, *range_, "--frame", "D")
    assert one.code == 3
    assert "FAILED DAY: BC 2025-12-05 (" in one.err
    every = maap("sync", L2, "CPR_CLD_2A", *range_, "--frame", "D")
    assert "FAILED DAY: * 2025-12-05 (" in every.err


def test_summary_names_the_run_it_is_of(maap: Callable) -> None:
    whole = r"Downloaded 4 files \([0-9]+ KiB\) in [0-9.]+ s"
    run = rf"begun {STAMP}, took [0-9.]+ s\]\n"
    assert re.fullmatch(rf"{whole} \[{' '.join(CLD)}, {run}", maap("get", *CLD, *FEW).err)
    again = maap("download", *CLD[:2], "--orbit", "08574D").err
    assert re.search(rf" \[{L2} CPR_CLD_2A all baselines, {run}", again)


@pytest.mark.parametrize("how", ["option in front", "option", "variable", "file"])
def test_every_line_of_talk_begins_with_the_time(
    maap: Callable, home: Path, archive: Archive, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    archive.control(failing_day="2025-12-01")
    words = ["sync", *CLD, "--start", "2025-12-01", "--end", "2025-12-02", "--frame", "D", "-v"]
    plain = maap(*words).err
    assert "\nFAILED DAY: BC 2025-12-01 (" in f"\n{plain}" and not re.search(rf"(?m)^{STAMP} ", plain)
    if how == "variable":
        monkeypatch.setenv("MAAP_LOG_TIMES", "1")
    elif how == "file":
        assert maap("config", "set", "log.times", "true").code == 0
    else:
        words.insert(0 if how == "option in front" else len(words), "--log-times")
    timed = maap(*words)
    assert timed.code == 3 and "FAILED DAY: BC 2025-12-01 (" in timed.err
    assert all(re.match(rf"{STAMP} \S", line) for line in timed.err.splitlines())
    listed = maap("list", L2, "--log-times")
    assert listed.code == 0 and not re.search(STAMP, listed.out)


@pytest.mark.parametrize("how", ["option", "variable", "file", "named file", "nothing"])
@pytest.mark.parametrize("words", [("sync", *CLD, "--nothing"), ("sync", *CLD, "--set", "nothing=1"), ()])
def test_lines_before_the_settings_are_read_begin_with_the_time(
    maap: Callable, home: Path, monkeypatch: pytest.MonkeyPatch, how: str, words: tuple[str, ...]
) -> None:
    before: list[object] = []
    if how == "option":
        before = ["--log-times"]
    elif how == "variable":
        monkeypatch.setenv("MAAP_LOG_TIMES", "yes")
    elif how == "file":
        assert maap("config", "set", "log.times", "true").code == 0
    elif how == "named file":
        (home / "own.toml").write_text("log.times = true\n")
        before = ["--config", home / "own.toml"]
    ended = maap(*before, *words)
    assert ended.code == 4
    assert bool(re.match(rf"{STAMP} Error: ", ended.err)) == (how != "nothing")


@pytest.mark.parametrize("variable", ["", "1"])
def test_a_file_of_settings_that_cannot_be_read_says_nothing_of_times(
    maap: Callable, home: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    (home / "own.toml").write_text("log.times = true\nlog.tmies = 1\n")
    monkeypatch.setenv("MAAP_LOG_TIMES", variable)
    ended = maap("-c", home / "own.toml", "list")
    assert ended.code == 4 and bool(re.match(rf"{STAMP} Error: ", ended.err)) == bool(variable)


@pytest.mark.parametrize("verb", ["get", "download"])
def test_everything_has_to_be_meant(
    maap: Callable, home: Path, asked: Callable[[str], int], verb: str
) -> None:
    (home / "credentials.txt").unlink()
    refused = maap(verb, *CLD, "--frame", "D")
    assert (refused.code, refused.out, asked("search")) == (4, "", 0)
    assert refused.err == (
        "Error: This would download all of CPR_CLD_2A BC. Give a time, an orbit, an area or --max-items, or "
        "--everything if all of it is meant.\n"
    )
    assert maap(verb, *CLD, "--everything").code == maap(verb, *CLD, "-n", "1").code == 2


@pytest.mark.parametrize("verb", ["sync", "get", "download"])
def test_a_dry_run_needs_no_token_and_writes_nothing(maap: Callable, home: Path, verb: str) -> None:
    (home / "credentials.txt").unlink()
    ended = maap(verb, *CLD, *FEW, "--dry-run")
    assert ended.code == 0
    assert len(ended.lines) == 4
    assert "Would download 4 files (595 KiB)" in ended.err and "free in" in ended.err
    assert files_of(home) == []
    assert lines_of(home, "urls", "url") == []
    rows = [json.loads(line) for line in maap(verb, *CLD, *FEW, "--dry-run", "--json").lines]
    assert 594 < sum(row["bytes"] for row in rows) / 1024 < 596
    assert {row["state"] for row in rows} == {"wanted"}


def test_a_dry_run_of_sync_leaves_out_what_is_there(maap: Callable) -> None:
    maap("sync", *CLD, *FEW)
    ended = maap("sync", *CLD, *DAY, "--frame", "D", "--dry-run")
    assert len(ended.lines) == 12


def test_a_dry_run_of_sync_steps_over_a_line_that_names_no_file(maap: Callable, home: Path) -> None:
    maap("sync", *CLD, *FEW)
    (day,) = (home / "registry" / "urls").rglob("url_20251201.txt")
    with day.open("a") as file:
        file.write("http://127.0.0.1:1/data/..|/elsewhere\n")
    ended = maap("sync", *CLD, *DAY, "--dry-run", "--format", "all")
    assert ended.code == 3
    assert "left in the registry" in ended.err and "Skipped 1 item: " in ended.err
    assert not any(line.endswith("..") for line in ended.lines)


def test_get_is_flat_with_out_dir_and_leaves_no_trace(maap: Callable, home: Path, tmp_path: Path) -> None:
    out = tmp_path / "flat"
    first = maap("get", *CLD, *FEW, "-o", out)
    assert first.code == 0
    assert len(list(out.glob("*.h5"))) == 4
    assert not list((home / "registry").rglob("*.txt"))
    second = maap("get", *CLD, *FEW, "-o", out)
    assert second.err.startswith("Nothing to download: 4 files here already [")
    more = maap("get", *CLD, *DAY, "--frame", "D", "-n", "5", "-o", out)
    assert more.err.startswith("Downloaded 1 file (165 KiB) in ")
    assert "; 4 were here already" in more.err


def test_download_without_a_source_searches_and_tracks(maap: Callable, home: Path) -> None:
    assert maap("download", *CLD, *FEW).code == 0
    assert len(lines_of(home, "downloads", "dwl")) == 4
    assert len(files_of(home)) == 4


def test_download_from_urls(maap: Callable, home: Path, tmp_path: Path, monkeypatch) -> None:
    urls = maap("search", *CLD, *FEW).lines
    one = maap("download", *CLD, "-u", urls[0])
    assert one.code == 0
    assert lines_of(home, "downloads", "dwl")[0].startswith(urls[0] + "|")
    file = tmp_path / "urls.txt"
    file.write_text(f"# a comment\n\n{urls[1]}|/anywhere/else.h5\n{urls[2]}\n{urls[1]}\n")
    preview = maap("download", *CLD, "-f", file, "--dry-run")
    assert preview.lines == urls[1:3]
    assert maap("download", *CLD, "-f", file).err.startswith("Downloaded 2 files")
    assert len(lines_of(home, "downloads", "dwl")) == 3
    assert not os.path.exists("/anywhere")


@pytest.mark.parametrize(
    "write",
    [
        lambda urls, rows: "".join(f"{url}\r\n" for url in urls).encode("utf-16"),
        lambda urls, rows: "\n".join(urls).encode("utf-16-le"),
        lambda urls, rows: "\n".join(urls).encode("utf-16-be"),
        lambda urls, rows: "\n".join(url.replace("http://", "HTTP://") for url in urls).encode(),
        lambda urls, rows: "\n".join(rows).encode(),
    ],
    ids=["utf-16 with a mark", "utf-16-le", "utf-16-be", "HTTP", "our --json"],
)
def test_a_list_of_urls_as_people_have_it(maap: Callable, tmp_path: Path, write: Callable) -> None:
    urls = maap("search", *CLD, *FEW).lines
    rows = maap("search", *CLD, *FEW, "--json").lines
    (tmp_path / "list").write_bytes(write(urls, rows))
    ended = maap("download", *CLD, "-f", tmp_path / "list", "--dry-run")
    assert (ended.code, ended.lines) == (0, urls)


def test_lines_that_are_no_urls_are_named_and_the_others_come(maap: Callable, tmp_path: Path) -> None:
    urls = maap("search", *CLD, *FEW).lines
    (tmp_path / "list").write_text(f'name,url\n{urls[0]}\n{{"id": 1}}\n{urls[1]}\n')
    ended = maap("download", *CLD, "-f", tmp_path / "list", "-n", "1")
    assert ended.code == 4
    assert f"Refused: line 1 of {tmp_path / 'list'}: it is not a URL: name,url" in ended.err
    assert 'it is JSON without "url"' in ended.err and "1 URL of " in ended.err
    assert "Downloaded 1 file" in ended.err


def test_marks_are_taken_from_our_own_json(maap: Callable, tmp_path: Path) -> None:
    maap("sync", *CLD, *FEW)
    pending = maap("state", "pending", *CLD, "--type", "marks", "--json").out
    (tmp_path / "list").write_text(pending, encoding="utf-16")
    assert maap("state", "mark", "-f", tmp_path / "list").err == "Marked 4 files\n"


def test_urls_that_cannot_be_filed(maap: Callable, archive: Archive, tmp_path: Path) -> None:
    ended = maap("download", *CLD, "-u", "https://example.invalid/strange.h5")
    assert ended.code == 4
    assert "strange.h5" in ended.err
    hostile = tmp_path / "urls.txt"
    hostile.write_bytes(b"http://127.0.0.1/\x1b[31m/../../x.h5\n")
    ended = maap("download", *CLD, "-f", hostile)
    assert ended.code == 4
    assert "\x1b" not in ended.err
    missing = maap("download", *CLD, "-f", "missing.txt")
    assert missing.code == 4 and "missing.txt" in missing.err


def test_sources_exclude_one_another(maap: Callable) -> None:
    ended = maap("download", *CLD, "--registry", "-u", "https://x/y.h5")
    assert ended.code == 4
    assert "not allowed with" in ended.err


def test_the_registry_is_taken_by_format(maap: Callable, home: Path) -> None:
    maap("search", *CLD, *FEW, "--format", "all", "--registry-save")
    assert len(maap("state", "pending", *CLD).lines) == 8
    assert len(maap("state", "pending", *CLD, "--format", "hdr").lines) == 4
    assert len(maap("download", *CLD, "--registry", "--dry-run").lines) == 4
    ended = maap("download", *CLD, "--registry")
    assert ended.code == 0
    assert "4 pending files in other formats (hdr) left; --format all takes them" in ended.err
    assert all(name.endswith(".h5") for name in files_of(home))
    assert "Nothing pending" in maap("download", *CLD, "--registry").err
    assert maap("download", *CLD, "--registry", "--format", "all").err.startswith("Downloaded 4 files")
    assert "Nothing pending" in maap("download", *CLD, "--registry", "--format", "all").err


def test_the_registry_is_filtered_by_orbit_frame_and_time(maap: Callable) -> None:
    maap("search", *CLD, "--start", "2025-12-01", "--end", "2025-12-02", "--registry-save")
    assert len(maap("download", *CLD, "--registry", "--dry-run", "--orbit", "08574D").lines) == 1
    assert len(maap("download", *CLD, "--registry", "--dry-run", *DAY, "--frame", "D").lines) == 16
    newest = maap("download", *CLD, "--registry", "--dry-run", "--newest-first", "-n", "1").lines
    assert "20251202T23" in newest[0]


AUX = ("EarthCAREXMETL1DProducts10_MAAP", "AUX_MET_1D", "BC")


def test_every_version_is_taken_where_it_is_asked_for(maap: Callable) -> None:
    hour = ("--start", "2025-12-01T00:00:00Z", "--end", "2025-12-01T00:59:59Z")
    every = maap("search", *AUX, *hour, "--all-versions").lines
    newest = maap("search", *AUX, *hour).lines
    assert len(newest) < len(every)
    maap("search", *AUX, *hour, "--all-versions", "--registry-save")
    pending = ("download", *AUX, "--registry", "--dry-run")
    ended = maap(*pending)
    assert ended.lines == newest
    assert f"{len(every) - len(newest)} older versions left; --all-versions takes them" in ended.err
    assert sorted(maap(*pending, "--all-versions").lines) == sorted(every)
    assert maap("sync", *AUX, *hour, "--dry-run").lines == newest
    assert sorted(maap("sync", *AUX, *hour, "--dry-run", "--all-versions").lines) == sorted(every)


@pytest.mark.parametrize(
    "words", [("--bbox", "0,0,9,9"), ("--point", "1,2"), ("--area", "here.json"), ("--use-catalog",)]
)
def test_the_registry_cannot_be_asked_for_an_area(maap: Callable, words: tuple[str, ...]) -> None:
    ended = maap("download", *CLD, "--registry", *words)
    assert ended.code == 4
    assert f"{words[0]} cannot be used with --registry" in ended.err


def test_what_max_items_leaves_in_the_registry_is_said(maap: Callable) -> None:
    maap("search", *CLD, *FEW, "--registry-save")
    assert "3 files left for another run" in maap("download", *CLD, "--registry", "-n", "1").err


def test_json_is_one_object_a_file(maap: Callable, home: Path) -> None:
    first = [json.loads(line) for line in maap("sync", *CLD, *FEW, "--json").lines]
    assert [row["state"] for row in first] == ["finished"] * 4
    assert all(Path(row["path"]).stat().st_size == row["bytes"] for row in first)
    out = home.parent / "flat"
    maap("get", *CLD, *FEW, "-o", out)
    again = [json.loads(line) for line in maap("get", *CLD, *FEW, "-o", out, "--json").lines]
    assert [row["state"] for row in again] == ["skipped"] * 4


def test_verbose_names_each_file(maap: Callable) -> None:
    ended = maap("-v", "sync", *CLD, *FEW)
    assert sum(line.startswith("Downloaded /") for line in ended.err.splitlines()) == 4
    assert ended.out == ""


@pytest.mark.fault("P11")
def test_files_that_fail_for_now_are_3_and_the_others_come(maap: Callable, archive: Archive) -> None:
    archive.control(status=503, target="data", match="08575D")
    ended = maap("get", *CLD, *FEW, "--json")
    assert ended.code == 3
    assert "; 1 failed" in ended.err
    failed = [row for row in map(json.loads, ended.lines) if row["state"] == "failed"]
    assert len(ended.lines) == 4 and len(failed) == 1
    assert "503" in failed[0]["reason"] and "503" in ended.err


@pytest.mark.fault("N13")
@pytest.mark.fault("P11")
def test_files_that_fail_for_good_are_4(maap: Callable, archive: Archive) -> None:
    archive.control(status=404, target="data", match="08575D")
    ended = maap("sync", *CLD, *FEW)
    assert ended.code == 4
    assert "Failed: ECA_" in ended.err
    assert maap("state", "show", *CLD, "--json").out.count('"errors": 1') == 1


@pytest.mark.fault("A2")
@pytest.mark.fault("P11")
def test_a_dead_token_is_2(maap: Callable, archive: Archive, home: Path) -> None:
    archive.control(status=400, target="token")
    ended = maap("sync", *CLD, *FEW)
    assert ended.code == 2
    assert "Failed to refresh token: 400" in ended.err and "maap login" in ended.err
    assert files_of(home) == []


@pytest.mark.fault("A1")
@pytest.mark.fault("P11")
def test_a_token_service_that_is_down_is_3(maap: Callable, archive: Archive) -> None:
    archive.control(status=503, target="token")
    ended = maap("get", *CLD, *FEW)
    assert ended.code == 3
    assert "token service" in ended.err or "Failed to refresh token: 503" in ended.err


@pytest.mark.parametrize("verb", ["sync", "get", "download"])
def test_missing_credentials_are_2_before_anything_is_asked(
    maap: Callable, archive: Archive, home: Path, verb: str, asked: Callable[[str], int]
) -> None:
    (home / "credentials.txt").unlink()
    ended = maap(verb, *CLD, *FEW)
    assert ended.code == 2
    assert "Credentials file not found" in ended.err
    assert asked("search") == 0


@pytest.mark.parametrize("content", ["", "OFFLINE_TOKEN=\n", "OFFLINE_TOKEN=abc\n", "\x00\xff"])
def test_malformed_credentials_are_2(maap: Callable, home: Path, content: str) -> None:
    (home / "credentials.txt").write_text(content)
    ended = maap("get", *CLD, *FEW)
    assert ended.code == 2
    assert "maap login" in ended.err


@pytest.mark.fault("A2")
def test_a_token_near_its_end_is_warned_of(maap: Callable, monkeypatch) -> None:
    monkeypatch.setenv("MAAP_TOKEN_WARN_DAYS", "99999")
    ended = maap("get", *CLD, *FEW, "-q")
    assert ended.code == 0
    assert "days left" in ended.err and "maap login" in ended.err
    assert ended.err.count("Warning") == 1
    monkeypatch.setenv("MAAP_TOKEN_WARN_DAYS", "0")
    assert maap("get", *CLD, *FEW, "-q").err == ""


@pytest.mark.fault("A2")
@pytest.mark.parametrize(
    "words",
    [
        ("list",),
        ("search", *CLD, *FEW),
        ("state", "show"),
        ("state", "pending", *CLD),
        ("verify",),
        ("config",),
        ("token",),
        ("catalog", "update", L2),
        ("sync", *CLD, *FEW, "--dry-run"),
    ],
    ids=" ".join,
)
def test_every_command_warns_of_a_token_near_its_end(
    maap: Callable, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAAP_TOKEN_WARN_DAYS", "99999")
    ended = maap(*words, "-q")
    assert ended.code == 0
    assert ended.err.count("The offline token has ") == 1
    monkeypatch.setenv("MAAP_TOKEN_WARN_DAYS", "0")
    assert "offline token has" not in maap(*words).err


def test_a_folder_that_cannot_be_written(maap: Callable, home: Path) -> None:
    # A file where the folder should be fails for every user, root included.
    (home / "blocked").write_text("")
    ended = maap("--data-dir", home / "blocked", "get", *CLD, *FEW)
    assert ended.code == 4
    assert str(home / "blocked") in ended.err
    assert maap("get", *CLD, *FEW, "--data-dir", home / "fine").code == 0
    assert len(list((home / "fine").rglob("*.h5"))) == 4


def test_d_is_the_data_folder_before_and_days_after_the_command(maap: Callable, home: Path) -> None:
    ended = maap("-d", home / "elsewhere", "sync", *CLD, "-d", "1", "--dry-run")
    assert ended.code == 0
    assert str(home / "elsewhere") in ended.err


@pytest.mark.parametrize("verb", ["get", "download", "sync"])
def test_a_large_file_over_several_connections_is_one_file(
    verb: str, maap: Callable, archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maap_tui.engine.workflows.rules.RANGES_FROM", 4 << 20)
    for module in ("ahead", "part", "ranges", "transfer"):
        monkeypatch.setattr(f"maap_tui.engine.download.{module}.PIECE", 1 << 20)
    archive.stats.reset()
    words = ("EarthCAREL1Validated_MAAP", "MSI_RGR_1C", "BC", *DAY, "-n", "1")
    ended = maap(verb, *words, "-o", tmp_path / "flat", "--ranges", "3", "--json")
    assert ended.code == 0
    (row,) = [json.loads(line) for line in ended.lines]
    assert row["bytes"] == Path(row["path"]).stat().st_size
    assert [path for path in (tmp_path / "flat").rglob("*") if path.is_file()] == [Path(row["path"])]
    asked = [one for one in archive.stats.show()["last_requests"] if one["kind"] == "data"]
    assert len(asked) > 3
    assert archive.stats.show()["bytes_by_kind"]["data"] == row["bytes"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--ranges", "0"), "--ranges: downloads.ranges must be a whole number from 1 to 16, got '0'"),
        (("--ranges", "many"), "--ranges: downloads.ranges must be a whole number from 1 to 16, got 'many'"),
        (("--ranges", "2", "--dask", "local:1"), "--ranges cannot be used with --dask"),
    ],
)
def test_ranges_that_cannot_be_are_4(maap: Callable, words: tuple[str, ...], said: str) -> None:
    ended = maap("get", *CLD, *FEW, *words)
    assert ended.code == 4
    assert said in ended.err


def test_doctor_counts_what_a_part_takes_on_the_disk(maap: Callable, home: Path) -> None:
    part = home / "data" / "a.h5.part"
    part.parent.mkdir(parents=True, exist_ok=True)
    with part.open("wb") as file:
        file.seek(40 << 20)  # what other connections would bring is missing in front
        file.write(b"x" * (3 << 20))
    assert "1 unfinished download (3 MiB) can be resumed" in maap("doctor").out
