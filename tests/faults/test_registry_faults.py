"""Two processes at once, a damaged registry, odd times and settings: rows C, R and T."""

from __future__ import annotations

import errno
import json
import os
import re
import time
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from counting import counted
from hypothesis import given
from hypothesis import strategies as st

from maap_tui import MaapClient
from maap_tui.demo import Archive
from maap_tui.engine.events import FileFinished
from maap_tui.engine.missions import parse_name
from maap_tui.engine.model import TimeRange, parse_zulu
from maap_tui.engine.registry.baseline import BaselineRegistry
from maap_tui.engine.storage import files
from tests.faults.beside_peer import run_beside
from tests.faults.damage import survive
from tests.faults.figure import PEER_PYTHON
from tests.faults.reader import read_beside_writer
from tests.faults.registry_home import L2, NAMES, granules, lines_of
from tests.faults.same_file import run_together
from tests.faults.writers import DAY, KEY, entry, let_write

CLD = (L2, "CPR_CLD_2A", "BC")

DAY_SPAN = TimeRange.of_day(DAY)


@pytest.mark.fault("C2")
def test_sixteen_writers_lose_and_repeat_nothing(tmp_path: Path) -> None:
    done = let_write(3, tmp_path, writers=16)
    assert done.is_right, done


@pytest.mark.fault("C2")
@pytest.mark.fault("D9")
@pytest.mark.parametrize(
    "flock_errors",
    [
        pytest.param([errno.ENOSYS], id="no flock at all"),
        pytest.param([errno.ENOLCK, 0], id="half of the processes are refused"),
    ],
)
def test_writers_without_flock_lose_and_repeat_nothing(tmp_path: Path, flock_errors: list[int]) -> None:
    done = let_write(12, tmp_path, writers=4, flock_errors=flock_errors)
    assert done.is_right, done
    assert not (tmp_path / "registry/.locks/write" / f"{NAMES}.lock.soft").exists()


@pytest.mark.fault("C1")
@pytest.mark.parametrize(
    "flock_errors",
    [
        pytest.param([0], id="locks"),
        pytest.param([errno.ENOSYS], id="no locks", marks=pytest.mark.long),
        pytest.param([0, errno.ENOLCK], id="half of the processes are refused"),
    ],
)
def test_processes_on_one_file_fetch_it_once_though_one_is_killed(
    archive: Archive, tmp_path: Path, flock_errors: list[int]
) -> None:
    done = run_together(1, tmp_path, flock_errors=flock_errors, archive=archive)
    assert done.is_right, done
    assert done.downloads <= 1.1, done


@pytest.mark.fault("C3")
def test_a_reader_sees_old_or_new_and_nothing_between(tmp_path: Path) -> None:
    odd, went_round = read_beside_writer(800, tmp_path)
    assert odd == []
    assert went_round


@pytest.mark.fault("R3")
def test_five_runs_write_each_line_once_and_leave_hand_edits_alone(maap: Callable, home: Path) -> None:
    what = (*CLD, "--date", "2025-12-01", "--frame", "D")
    assert maap("search", *what, "--registry-save").code == 0
    file = home / "registry/urls" / NAMES / "2025/url_20251201.txt"
    found = file.read_text().splitlines()
    edited = "\n".join(
        ["# mine, do not touch", found[3], "", found[0], found[3], "  # also mine", found[1], ""]
    )
    file.write_text(edited)
    for number in range(5):
        ended = maap("download", *what, "--registry")
        assert ended.code == 0, number
    downloaded = lines_of(home, "downloads", "dwl")
    assert sorted(downloaded) == sorted({found[0], found[1], found[3]})
    assert file.read_text() == edited
    # What is found again is added at the end; all that stood there stays as it was.
    assert maap("search", *what, "--registry-save").code == 0
    again = file.read_text()
    assert again.startswith(edited)
    assert sorted(again[len(edited) :].splitlines()) == sorted(found[2:3] + found[4:])


@pytest.mark.fault("R6")
def test_work_and_memory_grow_with_the_lines_and_no_faster(tmp_path: Path) -> None:
    def load(lines: int) -> tuple[int, float]:
        """Calls, and bytes a line, of counting and of listing what is pending."""
        registry = BaselineRegistry(tmp_path / str(lines), KEY)
        for kind, part in (("url", 1.0), ("dwl", 0.9)):
            for index in range(10):
                day = DAY + timedelta(days=index)
                content = [f"{one.url}|{one.path}\n" for one in (entry(index, n) for n in range(lines // 10))]
                files.write_atomic(registry.day_file(kind, day), "".join(content[: int(len(content) * part)]))
        with counted() as calls:
            assert registry.stats().total_urls == lines
            assert len(registry.pending_downloads()) == lines // 10
        tracemalloc.start()
        try:
            registry.stats()
            registry.pending_downloads()
            return calls.count, tracemalloc.get_traced_memory()[1] / lines
        finally:
            tracemalloc.stop()

    small, large = load(2_000), load(20_000)
    # Ten times the lines; work that grew with their square would be a hundred times as much.
    assert large[0] < 25 * small[0]
    # 500 MB for a million lines.
    assert large[1] < 500 and large[1] < 2 * small[1]


@pytest.mark.fault("R7")
def test_every_failure_is_listed_once_with_time_code_and_tries(
    maap: Callable, home: Path, archive: Archive
) -> None:
    what = (*CLD, "--date", "2025-12-01", "--frame", "D", "-n", "3")
    assert maap("sync", *what, "--dry-run").code == 0
    archive.faults.add(target="data", status=503, match="08574D")
    archive.faults.add(target="data", status=404, match="08575D")
    errors = home / "registry/downloads" / NAMES / "errors.txt"
    # The second time the file that the archive does not have makes room for two others.
    for downloaded in (1, 3):
        assert maap("sync", *what).code == 3
        rows = [line.split("|") for line in errors.read_text().splitlines()]
        assert len(rows) == len({url for url, _ in rows}) == 2
        (busy,) = [text for url, text in rows if "08574D" in url]
        (gone,) = [text for url, text in rows if "08575D" in url]
        when = r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ"
        assert re.fullmatch(rf"{when} 503 .*\(2 tries\)", busy), busy
        assert re.fullmatch(rf"{when} 404 .*\(1 try\)", gone), gone
        shown = json.loads(maap("state", "show", *CLD, "--json").out)
        assert (shown["errors"], shown["downloaded"]) == (2, downloaded)
    archive.faults.clear()
    assert maap("download", *CLD, "--registry").code == 0
    assert errors.read_text() == ""


@pytest.mark.fault("R8")
def test_cleanup_deletes_below_the_data_folder_alone_and_keeps_a_journal(
    maap: Callable, home: Path, tmp_path: Path
) -> None:
    victim = tmp_path / "victim.h5"
    victim.write_text("precious")
    file = granules(home, 1)[0]
    file.parent.mkdir(parents=True)
    file.write_bytes(b"x" * 1000)
    marks = home / "registry/marked" / NAMES / "2025/mrk_20251201.txt"
    files.write_atomic(marks, f"{victim}\n{file}\n{home}/data/../../victim.h5\n/etc/hosts\n")
    ended = maap("state", "cleanup", *CLD)
    assert ended.err.count("Refused: ") == 3
    assert victim.read_text() == "precious" and not file.exists()
    (journal,) = [path for path in home.rglob("*") if path.is_file() and "delet" in path.name.lower()]
    assert re.fullmatch(r"20[-\dT:]+Z\|1000\|" + re.escape(str(file)) + "\n", journal.read_text())


ZONES = ["UTC", "America/New_York", "Europe/Berlin", "Asia/Kolkata", "Pacific/Apia", "Pacific/Kiritimati"]


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Put this process into a time zone."""

    def set_zone(name: str) -> None:
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield set_zone
    set_zone("UTC")


@pytest.mark.fault("T1")
def test_days_are_those_of_utc_wherever_the_machine_is(
    maap: Callable, home: Path, zone: Callable[[str], None]
) -> None:
    # Clocks go back on both of these days, in Europe and in America.
    old = (L2, "CPR_CLD_2A", "BB")
    what = ("--start", "2025-10-26", "--end", "2025-11-02", "--frame", "C", "--registry-save")
    folder = home / "registry/urls" / NAMES / "../BB/2025"
    seen = []
    for name in ZONES:
        zone(name)
        assert maap("search", *old, *what).code == 0
        saved = {path.name: path.read_text() for path in sorted(folder.resolve().iterdir())}
        shown = json.loads(maap("state", "show", *old, "--date", "2025-11-02", "--json").out)
        seen.append((saved, shown))
    days = [f"url_202510{day}.txt" for day in range(26, 32)] + ["url_20251101.txt", "url_20251102.txt"]
    assert list(seen[0][0]) == days
    assert seen[0][1]["total_urls"] > 10
    assert all(one == seen[0] for one in seen)


MOMENTS = st.datetimes(datetime(2016, 12, 30), datetime(2030, 1, 1), timezones=st.just(UTC))

LENGTHS = st.timedeltas(timedelta(microseconds=1), timedelta(days=5))


@pytest.mark.fault("T1")
@given(start=MOMENTS, length=LENGTHS, part=st.floats(0, 1))
def test_every_instant_of_a_range_is_in_exactly_one_of_its_days(
    start: datetime, length: timedelta, part: float
) -> None:
    whole = TimeRange(start, start + length)
    days = list(whole.days())
    assert (days[0].start, days[-1].end) == (whole.start, whole.end)
    assert all(one.first_day == one.last_day for one in days)
    last = datetime.combine(whole.first_day, datetime.max.time().replace(microsecond=500_000), UTC)
    for moment in (start, start + length * part, whole.end - timedelta(microseconds=1), whole.end, last):
        holding = [one for one in days if moment in one]
        assert len(holding) == (moment in whole)
        assert all(one.first_day == moment.date() for one in holding)


@pytest.mark.fault("T1")
def test_a_leap_second_belongs_to_the_day_it_ends() -> None:
    day = TimeRange.of_day(date(2016, 12, 31))
    for text in ("2016-12-31T23:59:60Z", "2016-12-31T23:59:60.999Z", "2016-12-31 23:59:60"):
        assert parse_zulu(text) in day
    for name in (
        "ECA_EXBC_CPR_CLD_2A_20161231T235960Z_20170101T001736Z_08574D.h5",
        "AE_OPER_ALD_U_N_1B_20161231T235960500_005387990_030164_0001.DBL",
    ):
        parsed = parse_name(name)
        assert parsed is not None and parsed.sensing_start in day
    with pytest.raises(ValueError):
        parse_zulu("2016-12-31T23:58:60Z")


@pytest.mark.fault("T2")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[downloads]\nparallel = 'many'\n", ":2: downloads.parallel must be a whole number"),
        ("[paths]\n\ndata_dri = '/x'\n", ":3: unknown key 'data_dri' in [paths]; did you mean"),
        ("[mission]\nstart = '2025-02-30'\n", ":2: mission.start must be a date"),
        ("[path]\n", ":1: unknown section [path]"),
        ("[api\n", ":1: not valid TOML"),
        ("[api]\ncatalog_url = '\xff'\n", ""),
    ],
)
@pytest.mark.parametrize(
    "command", [("state", "show"), ("sync", *CLD), ("search", *CLD)], ids=lambda one: one[0]
)
def test_a_wrong_configuration_is_4_with_file_and_line(
    maap: Callable, home: Path, command: tuple[str, ...], text: str, said: str
) -> None:
    file = home / "config.toml"
    file.write_bytes(text.encode("latin-1"))
    ended = maap("-c", file, *command)
    assert (ended.code, ended.out) == (4, "")
    assert f"{file}{said}" in ended.err
    assert ended.err.count("\n") == 1 and "Traceback" not in ended.err


@pytest.mark.fault("T2")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--date", "2025-13-01"], "--date '2025-13-01' is not a date"),
        (["--date", "2025-02-29"], "is not a date"),
        (["--start", "2025-12-02", "--end", "2025-12-01"], "must be before"),
        (["--start", "0001-01-01T00:00+14:00"], "is not a date"),
        (["--days-back", "0"], "whole number"),
        (["--days-back", "99999999999"], "days-back"),
        (["--date", "2025-12-01", "--days-back", "3"], "cannot be used with"),
        (["--end", "2025-12-01"], "--end needs --start"),
    ],
)
@pytest.mark.parametrize(
    "command", [("search",), ("sync",), ("state", "pending"), ("state", "show")], ids=" ".join
)
def test_a_wrong_date_is_4_and_one_sentence(
    maap: Callable, command: tuple[str, ...], words: list[str], said: str
) -> None:
    ended = maap(*command, *CLD, *words)
    assert (ended.code, ended.out) == (4, "")
    assert said in ended.err
    assert ended.err.count("\n") == 1 and "mistake" not in ended.err


@pytest.mark.fault("R1")
@pytest.mark.fault("R2")
@pytest.mark.fault("R4")
def test_damaged_files_crash_no_command_and_lose_no_good_line(tmp_path: Path) -> None:
    done = survive(300, tmp_path)
    assert done.files == 300
    assert done.is_right, done


@pytest.mark.fault("C7")
def test_a_reader_waits_for_a_file_that_is_cut_and_being_filled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = BaselineRegistry(tmp_path, KEY)
    registry.add([entry(0, number) for number in range(20)])
    path = registry.day_file("url", DAY)
    whole = path.read_text()
    path.write_text("")
    # The other program goes on while this one waits.
    monkeypatch.setattr(time, "sleep", lambda seconds: path.write_text(whole))
    assert len(registry.pending_downloads()) == 20


@pytest.mark.fault("C7")
def test_a_run_writes_again_what_another_program_took_away_meanwhile(home: Path) -> None:
    file = home / "registry/urls" / NAMES / "2025/url_20251201.txt"
    foreign = f"{entry(77777, 1).url}|{entry(77777, 1).path}\n"
    taken: list[str] = []

    def rewrite(event: object) -> None:
        # From a copy made before our lines came, as a program without locks does.
        if isinstance(event, FileFinished) and not taken:
            taken.extend(file.read_text().splitlines())
            file.write_text(foreign)

    with MaapClient(on_event=rewrite) as client:
        client.sync(*CLD, start=DAY_SPAN.start, end=DAY_SPAN.end, max_items=1)
    assert len(taken) == 125
    assert sorted(file.read_text().splitlines()) == sorted([*taken, foreign.strip()])


@pytest.mark.fault("C7")
def test_our_lines_stay_while_maap_client_rewrites_the_same_file(archive: Archive, tmp_path: Path) -> None:
    if not PEER_PYTHON:
        pytest.skip("MAAP_CLIENT_PYTHON names no interpreter with maap-client 0.2.1")
    done = run_beside(4, tmp_path, archive, PEER_PYTHON)
    assert done.is_right, done
    assert done.rewrites > 10


@pytest.mark.fault("R2")
def test_doctor_repairs_with_a_backup_and_loses_no_line(maap: Callable, home: Path) -> None:
    maap("search", *CLD, "--date", "2025-12-01", "--frame", "D", "--registry-save")
    file = home / "registry/urls" / NAMES / "2025/url_20251201.txt"
    whole = file.read_bytes()
    lines = whole.splitlines(keepends=True)
    bad = [b"\xff\xfe\x00\n", b"https://" + b"x" * (1 << 20) + b"\n", b"words\x1b[2J\n"]
    torn = lines[-1][:60]
    damaged = b"".join([b"# mine\n", bad[0], *lines[:3], bad[1], *lines[3:-1], bad[2], torn])
    file.write_bytes(damaged)
    os.utime(file, (1_700_000_000, 1_700_000_000))
    found = [line for line in maap("doctor", "--offline").lines if " registry " in line]
    assert len(found) == 1 and "4 lines or files cannot be read" in found[0] and "--repair" in found[0]
    ended = maap("doctor", "--offline", "--repair")
    assert ended.code == 0
    (backup,) = file.parent.glob("*.damaged")
    assert f"4 damaged lines of {file} are comments now; {backup.name}" in ended.out
    assert "cannot be read" not in ended.out and "\x1b" not in ended.out
    assert backup.read_bytes() == damaged
    mended = file.read_bytes()
    assert [line for line in mended.splitlines(keepends=True) if not line.startswith(b"#")] == lines[:-1]
    assert mended.startswith(b"# mine\n# damaged line set aside: \\xff\\xfe\\x00\n")
    assert mended.endswith(b"# torn line set aside: " + torn + b"\n")
    assert maap("doctor", "--offline", "--repair").out.count("are comments now") == 0
    maap("search", *CLD, "--date", "2025-12-01", "--frame", "D", "--registry-save")
    assert file.read_bytes() == mended + lines[-1]
