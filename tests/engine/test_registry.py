"""The registry keeps every acknowledged line, whole and once, in maap-client's format."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maap_tui.engine.errors import InvalidRequestError, RegistryError
from maap_tui.engine.registry.baseline import BaselineRegistry
from maap_tui.engine.registry.entries import Key, Stats, TrackedFile
from maap_tui.engine.registry.registry import Registry
from maap_tui.engine.registry.repair import problems_of
from maap_tui.engine.storage import files
from tests.engine.registry_kit import BELOW, DAY, KEY, NEXT, ROOT, add, download, entry, lines_of, short


def test_files_and_lines_are_those_of_maap_client(registry: BaselineRegistry) -> None:
    one, two = entry(1), entry(2, NEXT)
    registry.add([one, TrackedFile(KEY, NEXT, two.url)])
    registry.record(one.url, Path(one.path), DAY)
    registry.mark([(one.path, DAY)])
    registry.record_error(two.url, "Not Found", code=404, at=datetime(2026, 11, 22, 10, tzinfo=UTC))
    written = {
        str(path.relative_to(registry.root)): path.read_text()
        for path in registry.root.rglob("*.txt")
        if path.is_file()
    }
    assert written == {
        f"urls/{BELOW}/2025/url_20251201.txt": f"{one.url}|{one.path}\n",
        f"urls/{BELOW}/2025/url_20251202.txt": f"{two.url}|\n",
        f"downloads/{BELOW}/2025/dwl_20251201.txt": f"{one.url}|{one.path}\n",
        f"downloads/{BELOW}/errors.txt": f"{two.url}|2026-11-22T10:00:00Z 404 Not Found (1 try)\n",
        f"marked/{BELOW}/2025/mrk_20251201.txt": f"{one.path}\n",
    }


def test_reads_what_maap_client_wrote(registry: BaselineRegistry) -> None:
    one, two = entry(1), entry(2)
    path = registry.day_file("url", DAY)
    files.write_atomic(path, f"# by hand\n\n{one.url}\n  {two.url}|{two.path}  \n{one.url}|{one.path}\n")
    assert list(registry.urls()) == [one, two]
    assert registry.stats().total_urls == 2


def test_a_file_of_another_baseline_is_refused_here_and_taken_there(tmp_path: Path) -> None:
    other = Key(*str(KEY).split("/")[:3], "BD")
    files_of_both = [entry(1), entry(2)._replace(key=other)]
    every = Registry(tmp_path)
    refused = every.baseline(KEY).add(files_of_both).refused
    assert refused == [(files_of_both[1], f"it is of {other}")]
    assert list(every.baseline(other).urls()) == []
    added = every.add(files_of_both)
    assert (added.new, added.refused) == (1, [])
    assert [list(every.baseline(key).urls()) for key in (KEY, other)] == [[one] for one in files_of_both]


@pytest.mark.fault("R3")
def test_nothing_is_written_twice(registry: BaselineRegistry) -> None:
    for _ in range(3):
        registry.add([entry(1), entry(1), entry(2)])
        download(registry, entry(1))
        registry.mark([(entry(1).path, DAY)])
    for kind, lines in (("url", 2), ("dwl", 1), ("mrk", 1)):
        assert registry.day_file(kind, DAY).read_text().count("\n") == lines
    assert not registry.record(entry(1).url, "/elsewhere", DAY)
    assert registry.mark([(entry(1).path, DAY), (entry(3).path, DAY)]) == 1


def test_a_url_that_begins_another_is_another(registry: BaselineRegistry) -> None:
    long = TrackedFile(KEY, DAY, "https://archive.example/data/a.h5")
    short = TrackedFile(KEY, DAY, "https://archive.example/data/a")
    assert add(registry, long) == 1
    assert add(registry, short) == 1
    assert {item.url for item in registry.urls()} == {long.url, short.url}


@pytest.mark.fault("R5")
def test_same_count_of_other_urls_is_added(registry: BaselineRegistry) -> None:
    add(registry, *(entry(number) for number in range(3)))
    assert add(registry, *(entry(number) for number in range(10, 13))) == 3
    assert registry.stats().total_urls == 6


def test_pending_lists_and_stats(registry: BaselineRegistry) -> None:
    all_entries = [entry(number, day) for day in (NEXT, DAY) for number in (3, 1, 2)]
    add(registry, *all_entries)
    download(registry, entry(1), entry(2), entry(1, NEXT))
    registry.mark([(entry(1).path, DAY)])
    registry.record_error(entry(3).url, "time-out")
    assert registry.pending_downloads() == [entry(3), entry(2, NEXT), entry(3, NEXT)]
    assert registry.pending_downloads(NEXT, NEXT) == [entry(2, NEXT), entry(3, NEXT)]
    assert registry.pending_marks() == [entry(2), entry(1, NEXT)]
    assert registry.pending_marks(end=DAY) == [entry(2)]
    assert list(registry.downloads(start=NEXT)) == [entry(1, NEXT)]
    assert list(registry.marked()) == [(entry(1).path, DAY)]
    assert registry.stats() == Stats(6, 3, 1, 1, 3, 2)
    assert registry.stats(NEXT).as_dict() == {
        "total_urls": 3,
        "downloaded": 1,
        "marked": 0,
        "errors": 1,
        "pending_downloads": 2,
        "pending_marks": 1,
    }
    assert [(day.day, day.discovered, day.downloaded, day.marked) for day in registry.days()] == [
        (DAY, 3, 2, 1),
        (NEXT, 3, 1, 0),
    ]


def test_as_many_downloads_of_other_urls_leave_all_pending(registry: BaselineRegistry) -> None:
    add(registry, entry(1), entry(2))
    download(registry, entry(3), entry(4))
    assert registry.pending_downloads() == [entry(1), entry(2)]
    assert registry.stats() == Stats(2, 2, 0, 0, 2, 2)


def test_empty_registry_reads_as_empty_and_creates_nothing(registry: BaselineRegistry) -> None:
    assert registry.stats() == Stats(0, 0, 0, 0, 0, 0)
    assert registry.pending_downloads() == registry.pending_marks() == registry.days() == []
    assert problems_of(registry) == []
    assert registry.errors() == {}
    assert registry.reassert() == 0
    assert not registry.root.exists()


@pytest.mark.parametrize(
    "url",
    [
        "https://archive.example/a\nhttps://evil.example/b|/etc/passwd",
        "https://archive.example/a|b",
        "https://archive.example/a b",
        "https://archive.example/\x1b[31m",
        "https://archive.example/é",
        "# comment",
        "no-scheme",
        "ftp://archive.example/a.h5",
        "",
        "https://archive.example/" + "x" * 9000,
    ],
)
def test_urls_that_would_forge_lines_are_refused_alone(registry: BaselineRegistry, url: str) -> None:
    bad = TrackedFile(KEY, DAY, url, "/data/x")
    added = registry.add([bad, entry(1)])
    assert added.new == 1
    assert [item for item, _ in added.refused] == [bad]
    assert registry.day_file("url", DAY).read_text() == f"{entry(1).url}|{entry(1).path}\n"
    with pytest.raises(InvalidRequestError):
        registry.record(url, "/data/x", DAY)
    with pytest.raises(InvalidRequestError):
        registry.record_error(url, "x")


@pytest.mark.parametrize("path", ["/a\n/b", "/a|b", "/a\x00", "/a\x1b", "/a\u2028b", "/a\udcff", "/a "])
def test_paths_that_would_forge_lines_are_refused(registry: BaselineRegistry, path: str) -> None:
    assert len(registry.add([TrackedFile(KEY, DAY, entry(1).url, path)]).refused) == 1
    with pytest.raises(InvalidRequestError):
        registry.record(entry(1).url, path, DAY)
    with pytest.raises(InvalidRequestError):
        registry.mark([("/good", DAY), (path, DAY)])
    assert not registry.root.exists()


@pytest.mark.parametrize("path", ["", "#x", " /x"])
def test_marks_that_would_be_read_otherwise_are_refused(registry: BaselineRegistry, path: str) -> None:
    with pytest.raises(InvalidRequestError):
        registry.mark([(path, DAY)])


@pytest.mark.parametrize("part", ["", ".", "..", "a/b", ".hidden", "a b", "é", "x" * 129, "a\n"])
def test_key_refuses_what_is_no_folder_name(part: str) -> None:
    for place in range(4):
        names = ["EarthCARE", "C", "P", "BC"]
        names[place] = part
        with pytest.raises(InvalidRequestError):
            Key(*names)


def test_key_keeps_the_case() -> None:
    assert Key("Aeolus", "AeolusL1BProducts", "ALD_U_N_1B", "1b16").baseline == "1b16"


@pytest.mark.fault("R1")
def test_every_truncation_is_healed(tmp_path: Path) -> None:
    entries = [short(number) for number in range(3)]
    registry = BaselineRegistry(tmp_path, KEY)
    add(registry, *entries)
    path = registry.day_file("url", DAY)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        os.utime(path, (1_700_000_000, 1_700_000_000))
        again = BaselineRegistry(tmp_path, KEY)
        kept = {item.url for item in again.urls()}
        assert len(kept) in (whole[:length].count(b"|"), whole[:length].count(b"|") + 1)
        add(again, *entries, entry(9))
        assert sorted(item.url for item in again.urls()) == sorted(item.url for item in [*entries, entry(9)])
        assert {(item.url, item.path) for item in again.urls()} >= {(e.url, e.path) for e in entries[1:]}
        assert problems_of(again) == []


@pytest.mark.fault("R1")
def test_every_truncation_of_downloads_is_healed(tmp_path: Path) -> None:
    entries = [short(number) for number in range(2)]
    registry = BaselineRegistry(tmp_path, KEY)
    download(registry, *entries)
    path = registry.day_file("dwl", DAY)
    whole = path.read_bytes()
    for length in range(whole.index(b"\n") + 1, len(whole)):
        path.write_bytes(whole[:length])
        os.utime(path, (1_700_000_000, 1_700_000_000))
        again = BaselineRegistry(tmp_path, KEY)
        paths = {item.path for item in again.downloads()}
        assert paths <= {item.path for item in entries}
        download(again, *entries)
        assert {(item.url, item.path) for item in again.downloads()} == {(e.url, e.path) for e in entries}


@pytest.mark.fault("R1")
def test_every_truncation_of_marks_is_healed(tmp_path: Path) -> None:
    paths = [(short(number).path, DAY) for number in range(2)]
    registry = BaselineRegistry(tmp_path, KEY)
    registry.mark(paths)
    path = registry.day_file("mrk", DAY)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        os.utime(path, (1_700_000_000, 1_700_000_000))
        again = BaselineRegistry(tmp_path, KEY)
        if length > whole.index(b"\n"):
            assert set(again.marked()) <= set(paths)
        again.mark(paths)
        assert sorted(again.marked()) == sorted(paths)


def test_hand_made_list_without_last_line_end_is_whole(registry: BaselineRegistry) -> None:
    path = registry.day_file("url", DAY)
    files.write_atomic(path, f"{entry(1).url}\n{entry(2).url}")
    assert [item.url for item in registry.urls()] == [entry(1).url, entry(2).url]
    assert add(registry, entry(3)) == 1
    assert [item.url for item in registry.urls()] == [entry(number).url for number in (1, 2, 3)]


@pytest.mark.fault("R1")
def test_torn_line_stays_readable_as_a_comment(registry: BaselineRegistry) -> None:
    path = registry.day_file("url", DAY)
    torn = b"https://archive.example/data/EC\xff\x00"
    files.write_atomic(path, f"{entry(1).url}|\n".encode() + torn)
    assert [problem.line for problem in problems_of(registry)] == [2]
    add(registry, entry(2))
    assert path.read_text() == (
        f"{entry(1).url}|\n# torn line set aside: https://archive.example/data/EC\\xff\\x00\n"
        f"{entry(2).url}|{entry(2).path}\n"
    )
    assert problems_of(registry) == []


DAMAGE = [
    pytest.param(b"\xff\xfe\xff", "the line does not start with a URL", id="bytes"),
    pytest.param(b"https://archive.example/\x00|/x", "control", id="nul"),
    pytest.param(b"https://archive.example/b.h5|/\xff", "UTF-8", id="path-bytes"),
    pytest.param(b"https://" + b"x" * (1 << 20), "longer", id="mebibyte"),
    pytest.param(b"some words", "does not start with a URL", id="words"),
]


@pytest.mark.fault("R2")
@pytest.mark.parametrize(("line", "reason"), DAMAGE)
def test_damaged_lines_are_stepped_over_kept_and_reported(
    registry: BaselineRegistry, line: bytes, reason: str
) -> None:
    path = registry.day_file("url", DAY)
    good = f"{entry(1).url}|{entry(1).path}\n".encode()
    files.write_atomic(path, good + line + b"\n" + f"{entry(2).url}|{entry(2).path}\n".encode())
    assert list(registry.urls()) == [entry(1), entry(2)]
    assert registry.stats().total_urls == 2
    assert registry.pending_downloads() == [entry(1), entry(2)]
    assert [(problem.file, problem.line) for problem in problems_of(registry)] == [(path, 2)]
    assert reason in problems_of(registry)[0].reason
    assert add(registry, entry(1), entry(3)) == 1
    assert line in path.read_bytes()


@pytest.mark.fault("R2")
def test_bom_crlf_and_comments(registry: BaselineRegistry) -> None:
    path = registry.day_file("url", DAY)
    before = (
        f"\ufeff{entry(1).url}|{entry(1).path}\r\n# hand\r\n\r\n{entry(2).url}|{entry(2).path}\r\n".encode()
    )
    files.write_atomic(path, before)
    assert list(registry.urls()) == [entry(1), entry(2)]
    assert problems_of(registry) == []
    assert add(registry, entry(1), entry(2)) == 0
    assert path.read_bytes() == before


@pytest.mark.fault("R4")
@pytest.mark.parametrize("name", ["url_20251399.txt", "url_20250230.txt", "url_00000000.txt", "url_x.txt"])
def test_impossible_dates_are_ignored_and_reported(registry: BaselineRegistry, name: str) -> None:
    add(registry, entry(1))
    odd = registry.day_file("url", DAY).with_name(name)
    odd.write_text(f"{entry(2).url}|\n")
    assert list(registry.urls()) == [entry(1)]
    assert registry.stats().total_urls == 1
    assert [(problem.file, problem.line) for problem in problems_of(registry)] == [(odd, 0)]


@pytest.mark.fault("R2")
@given(
    lines=st.lists(
        st.one_of(
            st.binary(max_size=40),
            st.sampled_from([b"", b"#c", b"\xef\xbb\xbf", b"|", b"https://a.example/1|/p", b"\r", b"x\x85y"]),
        ),
        max_size=12,
    ),
    end=st.sampled_from([b"", b"\n", b"\r\n"]),
)
def test_any_bytes_never_raise_and_good_lines_stay(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], end: bytes
) -> None:
    registry = BaselineRegistry(tmp_path_factory.mktemp("any"), KEY)
    good = f"{entry(1).url}|{entry(1).path}\n".encode()
    for kind in ("url", "dwl", "mrk"):
        files.write_atomic(registry.day_file(kind, DAY), good + b"\n".join(lines) + end)
    files.write_atomic(registry.errors_file, good + b"\n".join(lines) + end)
    registry.stats()
    registry.pending_marks()
    registry.pending_downloads()
    registry.errors()
    problems_of(registry)
    assert entry(1) in list(registry.urls())
    add(registry, entry(2))
    download(registry, entry(2))
    registry.record_error(entry(3).url, "x")
    registry.mark([(entry(2).path, DAY)])
    assert {entry(1), entry(2)} <= set(registry.urls())
    assert {entry(1), entry(2)} <= set(registry.downloads())
    assert (entry(2).path, DAY) in set(registry.marked())
    assert registry.unmark([(entry(2).path, DAY)]) == 1
    assert (entry(2).path, DAY) not in set(registry.marked())
    assert {entry(1).url, entry(3).url} <= registry.errors().keys()


@given(path=st.text(max_size=30), name=st.text(max_size=30))
def test_any_text_is_kept_or_refused(tmp_path_factory: pytest.TempPathFactory, path: str, name: str) -> None:
    registry = BaselineRegistry(tmp_path_factory.mktemp("text"), KEY)
    item = TrackedFile(KEY, DAY, f"https://archive.example/{name}", path)
    added = registry.add([item])
    assert list(registry.urls()) == ([item] if added.new else [])
    assert added.new + len(added.refused) == 1
    registry.record_error(entry(1).url, name + path)
    assert list(registry.errors()) == [entry(1).url]
    assert registry.errors_file.read_text().count("\n") == 1


@pytest.mark.fault("R7")
def test_error_is_replaced_and_leaves_with_the_download(registry: BaselineRegistry) -> None:
    at = datetime(2026, 11, 22, 10, tzinfo=UTC)
    for number in range(3):
        registry.record_error(entry(number).url, "first", at=at)
    registry.record_error(
        entry(1).url, "Service\nUnavailable | \x1b[31mred " + "x" * 400, code=503, tries=5, at=at
    )
    text = registry.errors()[entry(1).url]
    assert text.startswith("2026-11-22T10:00:00Z 503 Service Unavailable ; [31mred xxx")
    assert text.endswith("... (5 tries)")
    assert len(text) == 300
    assert registry.errors_file.read_text().count("\n") == 3
    download(registry, entry(1))
    assert registry.errors().keys() == {entry(0).url, entry(2).url}
    assert registry.stats().errors == 2


def test_unmark_keeps_comments_and_order(registry: BaselineRegistry) -> None:
    path = registry.day_file("mrk", DAY)
    files.write_atomic(path, "# mine\n/data/a.h5\n\n/data/b.h5\n/data/c.h5\n")
    assert registry.unmark([("/data/b.h5", DAY), ("/data/none.h5", DAY), ("/data/b.h5", NEXT)]) == 1
    assert path.read_text() == "# mine\n/data/a.h5\n\n/data/c.h5\n"
    assert registry.mark([("/data/b.h5", DAY)]) == 1
    assert registry.unmark([("/data/b.h5", DAY)]) == 1
    assert registry.reassert() == 0
    assert registry.mark([]) == registry.unmark([]) == 0


@pytest.mark.fault("C7")
def test_lines_lost_to_another_program_come_back(registry: BaselineRegistry) -> None:
    add(registry, entry(1), entry(2))
    path = registry.day_file("url", DAY)
    foreign = f"{entry(8).url}|{entry(8).path}\n"
    path.write_text(foreign)
    add(registry, entry(3))
    assert set(registry.urls()) == {entry(number) for number in (1, 2, 3, 8)}
    download(registry, entry(1))
    registry.day_file("dwl", DAY).write_text("")
    path.write_text(foreign)
    assert registry.reassert() == 4
    assert set(registry.urls()) == {entry(number) for number in (1, 2, 3, 8)}
    assert list(registry.downloads()) == [entry(1)]
    assert registry.reassert() == 0


@pytest.mark.fault("C7")
@pytest.mark.parametrize("piece", [0, 1000])
def test_file_in_the_middle_of_a_rewrite_is_waited_for(
    registry: BaselineRegistry, monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
    path = registry.day_file("url", DAY)
    lines = "".join(f"{entry(number).url}|{entry(number).path}\n" for number in range(50))
    files.write_atomic(path, lines[:piece])
    # The other program goes on while this one waits.
    monkeypatch.setattr(time, "sleep", lambda seconds: path.write_text(lines))
    assert add(registry, entry(1), entry(60)) == 1
    assert path.read_text() == lines + f"{entry(60).url}|{entry(60).path}\n"


def test_day_file_outside_its_year_is_read_and_not_repeated(registry: BaselineRegistry) -> None:
    moved = registry.root / "urls" / BELOW / "url_20251201.txt"
    files.write_atomic(moved, f"{entry(1).url}|{entry(1).path}\n")
    assert list(registry.urls()) == [entry(1)]
    assert add(registry, entry(1), entry(2)) == 1
    assert set(registry.urls()) == {entry(1), entry(2)}


@pytest.fixture
def long_day(registry: BaselineRegistry) -> tuple[BaselineRegistry, Path]:
    """A day of 20,000 downloads, and a registry that wrote to it several times."""
    path = registry.day_file("dwl", DAY)
    files.write_atomic(path, "".join(f"{one.url}|{one.path}\n" for one in map(entry, range(1000, 21_000))))
    for number in range(4):
        download(registry, entry(number))
    return registry, path


@pytest.mark.skipif(not os.path.exists("/proc/self/io"), reason="no count of the bytes that were read")
def test_a_record_does_not_read_all_of_its_day(long_day: tuple[BaselineRegistry, Path]) -> None:
    registry, path = long_day

    def bytes_read() -> int:
        return int(Path("/proc/self/io").read_text().split()[1])

    before = bytes_read()
    for number in range(10, 20):
        download(registry, entry(number))
    assert bytes_read() - before < path.stat().st_size / 10
    assert len(lines_of(path)) == len(set(lines_of(path))) == 20_014


def test_what_another_program_did_to_a_remembered_day_is_noticed(
    long_day: tuple[BaselineRegistry, Path],
) -> None:
    registry, path = long_day
    # It rewrites the file from an older copy, with as many bytes: one of our lines gives way to its own.
    theirs = [line for line in lines_of(path) if entry(2).url not in line] + [
        f"{entry(30).url}|{entry(30).path}"
    ]
    path.write_text("\n".join(theirs) + "\n")
    download(registry, entry(30), entry(31))
    after = lines_of(path)
    assert after == [*theirs, f"{entry(2).url}|{entry(2).path}", f"{entry(31).url}|{entry(31).path}"]
    # A file moved aside and back, cut, or gone is another one too.
    path.unlink()
    download(registry, entry(32))
    assert {number for number in range(40) if any(entry(number).url in line for line in lines_of(path))} == {
        *range(4), 31, 32
    }  # fmt: skip


def test_tracked_is_the_union_of_the_trees(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    assert registry.tracked() == []
    for tree, names in (
        ("urls", "EarthCARE/C2/P/BC"),
        ("downloads", "EarthCARE/C1/P/BC"),
        ("marked", "Aeolus/C/P/1B16"),
        ("urls", "EarthCARE/C1/P/BC"),
        ("urls", "EarthCARE/C1/P/.hidden"),
        ("urls", "EarthCARE/C1/odd name/BC"),
        ("other", "EarthCARE/C1/P/XX"),
    ):
        (tmp_path / tree / names).mkdir(parents=True)
    (tmp_path / "urls" / "EarthCARE" / "stray.txt").write_text("x")
    (tmp_path / "urls" / "EarthCARE" / "C1" / "P" / ".lock").write_text("")
    tracked = registry.tracked()
    assert [str(key) for key in tracked] == ["Aeolus/C/P/1B16", "EarthCARE/C1/P/BC", "EarthCARE/C2/P/BC"]
    assert registry.baseline(tracked[0]) is registry.baseline(Key("Aeolus", "C", "P", "1B16"))


def test_tracked_names_the_file_that_stands_where_a_folder_belongs(tmp_path: Path) -> None:
    for number, name in enumerate(("registry", "registry/urls")):
        blocking = tmp_path / str(number) / name
        blocking.parent.mkdir(parents=True)
        blocking.write_text("no folder")
        with pytest.raises(RegistryError, match=f"^{blocking} is a file"):
            Registry(tmp_path / str(number) / "registry").tracked()


def test_writing_leaves_no_foreign_names(registry: BaselineRegistry) -> None:
    add(registry, entry(1))
    folder = registry.errors_file.parent
    left = folder / f"{files.SIBLING_PREFIX}dead{files.SIBLING_SUFFIX}"
    left.write_text("half")
    registry.record_error(entry(1).url, "x")
    download(registry, entry(1))
    assert sorted(os.listdir(folder)) == ["2025", "errors.txt"]


@pytest.mark.fault("P13")
def test_ascii_locale_changes_nothing(tmp_path: Path) -> None:
    code = """
import sys
from datetime import date
from pathlib import Path
from maap_tui.engine.registry.baseline import BaselineRegistry
from maap_tui.engine.registry.entries import Key
registry = BaselineRegistry(Path(sys.argv[1]), Key("EarthCARE", "C", "P", "BC"))
registry.mark([("/data/\\u65e5\\u672c.h5", date(2025, 12, 1))])
print(ascii(list(registry.marked())[0][0]))
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "LC_ALL": "POSIX", "PYTHONUTF8": "0"}
    ended = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    assert ended.stdout.strip() == "'/data/\\u65e5\\u672c.h5'"
    path = tmp_path / "marked/EarthCARE/C/P/BC/2025/mrk_20251201.txt"
    assert path.read_bytes() == "/data/日本.h5\n".encode()


@pytest.mark.fault("C7")
@pytest.mark.parametrize("rest", [1, 30, 70])
def test_rest_of_a_line_that_a_rewrite_leaves_is_set_aside(registry: BaselineRegistry, rest: int) -> None:
    """maap-client writes a file in pieces, from its start: ours comes between two and is written over."""
    path = registry.day_file("url", DAY)
    add(registry, *map(entry, range(1, 4)))
    kept, *more = lines_of(path)
    with path.open("r+") as theirs:
        theirs.truncate(0)
        theirs.write(f"{kept}\n")
        theirs.flush()
        other = BaselineRegistry(registry.root, KEY)
        line = f"{entry(7).url}|{entry(7).path}"
        assert add(other, entry(7)) == 1
        filler = f"{entry(8).url}|".ljust(len(line) - rest, "x")[: len(line) - rest]
        theirs.write(f"{filler}\n")
    assert lines_of(path)[-1] == line[len(line) - rest + 1 :]
    # The program that wrote the line knows what is left of it, and writes it again.
    assert set(other.urls()) >= {entry(1)}
    assert other.damage == []
    assert other.reassert() == 1
    *_, last = lines_of(path)
    assert last == line
    assert sum(one.startswith("# damaged line set aside: ") for one in lines_of(path)) == (rest > 1)
    assert problems_of(other) == []
    assert add(other, *map(entry, range(1, 4))) == len(more)
    assert other.damage == []


def test_end_of_a_line_that_is_there_is_no_damage(registry: BaselineRegistry) -> None:
    add(registry, entry(1), entry(2))
    path = registry.day_file("url", DAY)
    with path.open("a") as file:
        file.write(f"{lines_of(path)[0][20:]}\nneither a URL nor the end of one\n")
    fresh = BaselineRegistry(registry.root, KEY)
    assert set(fresh.urls()) == {entry(1), entry(2)}
    assert [(one.path, one.lines) for one in fresh.damage] == [(path, 1)]
    assert add(fresh, entry(3)) == 1
    assert lines_of(path)[2].startswith("# damaged line set aside: ")
    assert lines_of(path)[3:] == ["neither a URL nor the end of one", f"{entry(3).url}|{entry(3).path}"]
    assert set(fresh.urls()) == {entry(1), entry(2), entry(3)}
    assert [(one.path, one.lines) for one in fresh.damage] == [(path, 1)]
