"""What cannot be read of the registry counts: said once with file and remedy, exit 3, all else is done."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from maap_tui import MaapClient
from maap_tui.engine.integrity import strays
from maap_tui.engine.registry import view, watch
from maap_tui.engine.registry.baseline import BaselineRegistry
from maap_tui.engine.registry.entries import Key
from maap_tui.engine.registry.registry import Registry
from maap_tui.engine.registry.repair import repair_lines

NAMES = "EarthCARE/EarthCAREL2Validated_MAAP/CPR_CLD_2A/BC"
CLD = tuple(NAMES.split("/")[1:])
DAY = ("--date", "2025-12-01", "--frame", "D")
SPAN = {"start": datetime(2025, 12, 1, tzinfo=UTC), "end": datetime(2025, 12, 1, 23, tzinfo=UTC)}
URL = "https://archive.example/ECA_JXBC_CPR_CLD_2A_{day}T0{n}0000Z_{day}T120000Z_0800{n}D.h5"
BAD = "no address\nhttps://ok\x01\n"
NOBODY = 65534
GOOD = "# a comment\n\n# torn line set aside: https:\n"


def line(day: str, n: int = 1) -> str:
    url = URL.format(day=day, n=n)
    return f"{url}|/data/{url.rpartition('/')[2]}\n"


def file_of(home: Path, kind: str, day: str = "20251201") -> Path:
    tree = {"url": "urls", "dwl": "downloads", "mrk": "marked"}
    folder = home / "registry" / tree.get(kind, "downloads") / NAMES
    return folder / "errors.txt" if kind == "errors" else folder / day[:4] / f"{kind}_{day}.txt"


def write(home: Path, kind: str, text: str, day: str = "20251201") -> Path:
    file = file_of(home, kind, day)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def fill(home: Path) -> None:
    """Two good days: one file is pending, one downloaded and one marked."""
    for day in ("20251201", "20251202"):
        write(home, "url", "".join(line(day, n) for n in (1, 2, 3)) + GOOD, day)
        write(home, "dwl", "".join(line(day, n) for n in (2, 3)) + GOOD, day)
        write(home, "mrk", line(day, 3).partition("|")[2] + GOOD, day)
    write(home, "errors", line("20251201").partition("|")[0] + "|a reason\n" + GOOD)


@pytest.mark.parametrize("kind", ["url", "dwl", "mrk", "errors"])
def test_damaged_lines_are_said_once_and_end_with_3(maap: Callable, home: Path, kind: str) -> None:
    fill(home)
    whole = maap("state", "show", *CLD)
    assert (whole.code, whole.err) == (0, "")
    file = file_of(home, kind)
    bad = {"mrk": "\x01\nanother\x02\n", "errors": "no address\nnor here\n"}.get(kind, BAD)
    file.write_text(file.read_text() + bad)
    for words in (("show", *CLD), ("show",), ("show", *CLD, "--quiet")):
        ended = maap("state", *words)
        assert ended.code == 3
        (said,) = ended.err.splitlines()
        assert said.startswith(f"Warning: 2 lines of {file} cannot be read and are left out (")
        assert "`maap doctor`" in said
    assert maap("state", "show", *CLD).out == whole.out, "all else is counted"


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (("state", "pending", *CLD), "url"),
        (("state", "pending", *CLD), "dwl"),
        (("state", "pending", *CLD, "--type", "marks"), "mrk"),
        (("state", "cleanup", *CLD, "--dry-run"), "mrk"),
        (("verify", "--quick"), "mrk"),
        (("verify", *CLD, "--quick", "--date", "2025-12-02"), "dwl"),
        (("download", *CLD, "--registry", "--dry-run"), "url"),
        (("sync", *CLD, *DAY, "--dry-run"), "dwl"),
        (("search", *CLD, *DAY, "--registry-save"), "url"),
        (("sync", *CLD, *DAY), "url"),
        (("sync", *CLD, *DAY), "errors"),
    ],
    ids=" ".join,
)
def test_each_command_that_reads_the_registry_says_what_it_left_out(
    maap: Callable, home: Path, words: tuple[str, ...], kind: str
) -> None:
    day = "20251202" if "2025-12-02" in words else "20251201"
    if words[0] == "state":
        fill(home)
        file = file_of(home, kind)
    elif words[0] != "verify":
        file = write(home, kind, f"{line(day) if kind != 'mrk' else '/data/one.h5'}".strip() + "\n", day)
    else:
        write(home, "dwl", line(day), day)
        file = write(home, kind, line(day) if kind == "dwl" else "/data/one.h5\n", day)
    before = maap(*words)
    if words[0] == "sync" and "--dry-run" not in words:
        file = file_of(home, kind)
        file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text((file.read_text() if file.exists() else "") + ("a\x01\n" * 3))
    ended = maap(*words)
    assert ended.code == 3
    assert "cannot be read" not in before.err
    assert ended.err.count(f"3 lines of {file} cannot be read and are left out") == 1
    if words[0] != "sync":
        assert ended.out == before.out


def test_what_is_normal_in_a_registry_is_no_damage(maap: Callable, home: Path) -> None:
    fill(home)
    file = file_of(home, "url")
    for end in ("\n\n  \n# words\n", "\r\n# more\r\n", "https://archive.example/cut"):
        file.write_text(file.read_text() + end)
        assert maap("state", "show", *CLD).err == ""
    assert maap("state", "show", *CLD).code == 0


def test_counts_that_are_remembered_say_their_damage_too(home: Path, maap: Callable) -> None:
    fill(home)
    write(home, "url", BAD + line("20251202"), "20251202")
    for file in (home / "registry").rglob("*.txt"):
        os.utime(file, (1_700_000_000, 1_700_000_000))
    first, second = maap("state", "show", *CLD), maap("state", "show", *CLD)
    assert first == second
    assert second.code == 3
    (cache,) = home.rglob("stats-*.json")
    assert '"2025-12-02"' in cache.read_text(), "the second answer came from there"
    file_of(home, "url", "20251202").write_text(line("20251202"))
    assert maap("state", "show", *CLD).code == 0


WHY = {"link": "it is a symbolic link that leads nowhere", "folder": "it is a folder"}


def block(file: Path, shape: str) -> None:
    """Put what is not a file in the place of one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    if shape == "folder":
        file.mkdir()
    else:
        file.symlink_to(file)


@pytest.mark.parametrize("shape", WHY)
@pytest.mark.parametrize("kind", ["url", "dwl", "mrk", "errors"])
def test_an_unreadable_file_hides_no_other_one(maap: Callable, home: Path, kind: str, shape: str) -> None:
    fill(home)
    file = file_of(home, kind)
    block(file, shape)
    for words in (("show", *CLD), ("pending", *CLD), ("pending", *CLD, "--type", "marks"), ("show",)):
        ended = maap("state", *words)
        read = {"pending": {"url", "dwl"}, "marks": {"dwl", "mrk"}}.get(
            "marks" if "marks" in words else words[0], {kind}
        )
        assert ended.code == (3 if kind in read else 0)
        if kind in read:
            assert f"Warning: {file} is ignored" in ended.err and WHY[shape] in ended.err
    pending = maap("state", "pending", *CLD).lines
    assert [url for url in pending if "20251202" in url] == [line("20251202").partition("|")[0]]
    if kind == "dwl":
        assert len(pending) == 1, "nobody knows what of that day is downloaded: nothing of it is fetched"


def test_several_damaged_files_are_summed_up(maap: Callable, home: Path) -> None:
    fill(home)
    write(home, "url", BAD)
    write(home, "dwl", BAD + line("20251202"), "20251202")
    file = file_of(home, "mrk")
    file.unlink()
    file.symlink_to(file)
    ended = maap("state", "show")
    assert ended.code == 3
    assert ended.err.splitlines()[-1].startswith(
        "Left out of the registry: 4 lines of 2 files and 1 whole file or folder; `maap doctor` lists them"
    )


@pytest.mark.parametrize("shape", WHY)
def test_sync_goes_on_beside_a_day_that_cannot_be_read(maap: Callable, home: Path, shape: str) -> None:
    file = file_of(home, "url")
    block(file, shape)
    ended = maap("sync", *CLD, "--start", "2025-12-01", "--end", "2025-12-03", "--frame", "D")
    assert ended.code == 3
    assert f"Warning: {file} is ignored" in ended.err
    assert "not registered: " in ended.err
    assert file_of(home, "dwl", "20251202").exists(), "the next day is fetched"
    assert not file_of(home, "dwl").exists()
    assert "left alone" in ended.err and "Nothing new" not in ended.err


@pytest.mark.parametrize("shape", WHY)
def test_a_day_that_cannot_be_read_is_no_empty_one(maap: Callable, home: Path, shape: str) -> None:
    fill(home)
    file = file_of(home, "dwl")
    block(file, shape)
    for words in (
        ("coverage", *CLD, "--date", "2025-12-01"),
        ("coverage", *CLD, "--date", "2025-12-01", "--json"),
        ("verify", *CLD, "--quick", "--date", "2025-12-01"),
        ("search", *CLD, *DAY, "--missing"),
    ):
        ended = maap(*words)
        assert ended.code == 3
        assert ended.err.count(f"{file} is ignored") == 1


@pytest.mark.parametrize("shape", WHY)
def test_sync_leaves_a_day_alone_whose_downloads_cannot_be_read(
    maap: Callable, home: Path, shape: str
) -> None:
    file = file_of(home, "dwl")
    block(file, shape)
    ended = maap("sync", *CLD, *DAY)
    assert ended.code == 3
    assert "files of days whose lists in the registry cannot be read left alone" in ended.err
    assert "downloaded already" not in ended.err
    assert list((home / "data").rglob("*.h5")) == []


@pytest.mark.parametrize("kind", ["url", "dwl"])
def test_a_dry_run_lists_no_file_that_sync_would_leave_alone(maap: Callable, home: Path, kind: str) -> None:
    words = (*CLD, "--start", "2025-12-01", "--end", "2025-12-03", "--frame", "D", "--dry-run")
    listed = maap("sync", *words)
    assert listed.code == 0 and any("2025/12/01/" in line for line in listed.lines)
    file = file_of(home, kind)
    if kind == "url":
        write(home, "dwl", "")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.symlink_to(file)
    ended = maap("sync", *words)
    left = [line for line in listed.lines if "2025/12/01/" not in line]
    assert (ended.code, ended.lines) == (3, left)
    assert f"Warning: {file} is ignored" in ended.err
    count = len(listed.lines) - len(left)
    assert f"{count} files of days whose lists in the registry cannot be read left alone" in ended.err
    as_json = maap("sync", *words, "--json")
    assert (as_json.code, len(as_json.lines)) == (3, len(left))


def test_the_python_api_says_what_it_left_out(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = write(home, "url", BAD + line("20251201"))
    words = f"2 lines of {file} cannot be read and are left out (the line does not start with a URL)"
    with MaapClient() as client, caplog.at_level(logging.WARNING, "maap_tui"):
        assert client.sync(*CLD, **SPAN, frames=["D"], max_items=1).damaged == [words]
        assert [record.message for record in caplog.records if "cannot be read" in record.message] == [
            f"{words}; see `maap doctor`"
        ]
        caplog.clear()
        assert client.download_from_registry(*CLD, dry_run=True).damaged == [words]
        tracker = client.get_tracker(*CLD)
        tracker.get_stats()
        assert tracker.damaged == [words]
        assert f"{words}; see `maap doctor`" in [record.message for record in caplog.records]
        file.write_text(line("20251201"))
        assert client.download_from_registry(*CLD, dry_run=True).damaged == []


def test_damage_that_is_repaired_is_forgotten(tmp_path: Path) -> None:
    tracker = BaselineRegistry(tmp_path, Key(*NAMES.split("/")))
    file = tracker.day_file("url", datetime(2025, 12, 1).date())
    file.parent.mkdir(parents=True)
    file.write_text(BAD + line("20251201"))
    assert tracker.stats().total_urls == 1
    assert [one.lines for one in tracker.damage] == [2]
    repair_lines(tracker)
    assert tracker.damage == []
    assert tracker.stats().total_urls == 1


@contextmanager
def nobody(folder: Path, *closed: Path) -> Iterator[None]:
    """Be a user who may not look into some folders; root may look into any."""
    user = os.geteuid()
    modes = [(path, path.stat().st_mode) for path in closed]
    for path in closed:
        path.chmod(0)
    if user == 0:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
        for path in [one for one in folder.parents if one.is_relative_to(tempfile.gettempdir())]:
            if path.stat().st_uid == 0:
                path.chmod(path.stat().st_mode | 0o055)
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)
        for path, mode in modes:
            path.chmod(mode)


@pytest.mark.parametrize("level", ["year", "product"])
def test_an_unreadable_folder_is_said_and_all_else_is_done(maap: Callable, home: Path, level: str) -> None:
    fill(home)
    write(home, "url", line("20240101"), "20240101")
    write(home, "dwl", line("20240101"), "20240101")
    folder = file_of(home, "dwl").parent
    if level == "product":
        folder = home / "registry/urls/EarthCARE" / CLD[0] / "ATL_NOM_1B"
        (folder / "AE").mkdir(parents=True)
    for words in (("state", "show"), ("state", "pending", *CLD), ("doctor", "--offline")):
        maap(*words)  # what it imports late is where nobody else may look
    with nobody(home, folder):
        ended = maap("state", "show")
        pending = maap("state", "pending", *CLD)
        checked = maap("doctor", "--offline")
    said = f"{folder} is ignored: permission denied"
    assert (ended.code, ended.err.count(said)) == (3, 1)
    assert any(row.split()[1] == CLD[1] for row in ended.lines[1:]), "the others are shown"
    if level == "year":
        assert (pending.code, pending.lines, pending.err.count(said)) == (3, [], 1)
    assert str(folder) in checked.out


def test_doctor_says_which_folders_of_the_data_it_cannot_read(maap: Callable, home: Path) -> None:
    closed = home / "data/EarthCARE/closed"
    closed.mkdir(parents=True)
    assert "of the data folder cannot be read" not in maap("doctor", "--offline").out
    with nobody(home, closed):
        ended = maap("doctor", "--offline")
    assert f"1 folder of the data folder cannot be read, the first one: Cannot use {closed}" in ended.out


def test_the_search_for_unknown_files_names_what_it_cannot_read(home: Path, tmp_path: Path) -> None:
    registry = Registry(home / "registry")
    tracker = registry.baseline(Key(*NAMES.split("/")))
    day = home / "data" / NAMES / "2025/12/01"
    day.mkdir(parents=True)
    (day / "one.h5").write_bytes(b"x")
    month, mission = day.with_name("02").parent.with_name("11"), home / "data/Aeolus"
    month.mkdir()
    mission.mkdir()
    unread = strays.Unread()
    assert strays.keys_on_disk(home / "data", unread) == [tracker.key]
    assert len(list(strays.strays(tracker, home / "data", lambda entry: entry.path, unread))) == 1
    with nobody(home, month, mission):
        keys = strays.keys_on_disk(home / "data", unread)
        found = list(strays.strays(tracker, home / "data", lambda entry: entry.path, unread))
    assert keys == [tracker.key]
    assert [one.path.name for one in found if one is not None] == ["one.h5"]
    assert unread.found == {month: "permission denied", mission: "permission denied"}


def test_a_watch_notices_a_folder_that_cannot_be_read_any_more(home: Path) -> None:
    fill(home)
    registry = Registry(home / "registry")
    looks = watch.Watch(registry, clock=lambda: 0.0)
    key = Key(*NAMES.split("/"))
    assert looks.poll() == ([key], [key])
    assert looks.poll() == ([key], [])
    folder = file_of(home, "mrk").parent
    assert view.summarise(registry.baseline(key)).damage == ()
    with nobody(home, folder):
        assert looks.poll() == ([key], [key])
        summary = view.summarise(registry.baseline(key))
        assert [(one.path, one.lines) for one in summary.damage] == [(folder, 0)]
    assert looks.poll() == ([key], [key])
    assert view.summarise(registry.baseline(key)).damage == ()
