"""Gaps and disclaimers: which frames they are about, at both borders; sheets as people save them."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest

from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.model import Granule
from maap_tui.engine.product_sets import Cell, SetRow, state_words, waiting_for, with_gaps
from maap_tui.engine.product_sets import set_of as a_set_of
from maap_tui.engine.quality.notices import Disclaimed, Notice, Notices
from maap_tui.engine.quality.sheets import read_sheet
from maap_tui.engine.quality.store import KINDS, Stored
from tests.homes import MOMENT

START = datetime(2025, 12, 1, tzinfo=UTC)
FRAMES = "ABCDEFGH"
HEAD = "id,start,stop,first_frame,last_frame,products,baseline,text,link\n"


def granules(count: int = 200, *, product: str = "CPR_CLD_2A", baseline: str = "BC") -> list[Granule]:
    """Frames one after the other, each ending as the next begins, of lengths that differ."""
    found, at = [], START
    for number in range(count):
        end = at + timedelta(seconds=660 + number % 5 * 12)
        orbit, frame = 8570 + number // 8, FRAMES[number % 8]
        identity = f"ECA_EX{baseline}_{product}_{at:%Y%m%dT%H%M%S}Z_20260101T000000Z_{orbit:05d}{frame}"
        found.append(
            Granule(identity, "L2", "EarthCARE", product, baseline, at, end, orbit=orbit, frame=frame)
        )
        at = end
    return found


ALL = granules()


def read(text: str) -> list[Notice]:
    sheet = read_sheet(text.encode(), "disclaimer")
    assert sheet.refused == []
    return sheet.notices


@pytest.mark.parametrize("seed", range(40))
def test_every_frame_of_a_range_is_flagged_and_none_beyond(seed: int) -> None:
    chance = random.Random(seed)
    first, last = sorted(chance.sample(range(len(ALL)), 2))
    low, high = ALL[first], ALL[last]
    inside = [one.id for one in ALL[first : last + 1]]
    spots = f"{low.orbit_frame},{high.orbit_frame}"
    half, second = timedelta(seconds=300), timedelta(seconds=1)
    times = f"{low.sensing_start + half:%Y-%m-%dT%H:%M:%SZ},{high.sensing_start + half:%Y-%m-%dT%H:%M:%SZ}"
    sheets = {
        "frames": f"1,,,{spots},CPR_CLD_2A,BC,,",
        "times": f"1,{times},,,CPR_CLD_2A,BC,,",
        "both": f"1,{times},{spots},CPR_CLD_2A,BC,,",
    }
    for name, row in sheets.items():
        # Others around it must not hide it, nor be mistaken for it.
        others = [f"x,,,{one.orbit_frame},{one.orbit_frame},MSI_COP_2A,BC,," for one in ALL[::7]]
        known = Notices(read(HEAD + "\n".join([*others, row])))
        assert [one.id for one in ALL if known.of_granule(one)] == inside, name
    # To the second: the end of one frame is the start of the next, which belongs to both.
    begin, end = low.sensing_start + second, ALL[last].sensing_end - second  # type: ignore[operator]
    row = f"1,{begin:%Y-%m-%dT%H:%M:%SZ},{end:%Y-%m-%dT%H:%M:%SZ},,,,,,"
    known = Notices(read(HEAD + row.replace(",,,,,,", ",,,CPR_CLD_2A,BC,,")))
    assert [one.id for one in ALL if known.of_granule(one)] == inside
    touching = Notices(read(HEAD + f"1,{end:%Y-%m-%dT%H:%M:%S}Z,{end + second:%Y-%m-%dT%H:%M:%S}Z,,,,BC,,"))
    assert [one.id for one in ALL if touching.of_granule(one)] == [one.id for one in ALL[last : last + 2]]


def test_many_ranges_are_found_as_one_by_one() -> None:
    chance = random.Random(1)
    rows = []
    for _ in range(300):
        first, last = sorted(chance.choices(range(len(ALL)), k=2))
        if chance.random() < 0.5:
            rows.append(f"f,,,{ALL[first].orbit_frame},{ALL[last].orbit_frame},,BC,,")
        else:
            begin, end = ALL[first].sensing_start, ALL[last].sensing_start
            rows.append(f"t,{begin.isoformat()},{end.isoformat()},,,C-CLD,,,")
    notices = read(HEAD + "\n".join(rows))
    known = Notices(notices)
    for one in ALL[::3]:
        alone = [notice for notice in notices if Notices([notice]).of_granule(one)]
        assert sorted(map(str, known.of_granule(one))) == sorted(map(str, alone))


@pytest.mark.parametrize(
    ("products", "baselines", "is_about"),
    [
        ("", "", True),
        ("all", "all", True),
        ("C-CLD", "BC", True),
        ("CPR_*", "BA;BC", True),
        ('"ATL_EBD_2A, CPR_CLD_2A"', "bc", True),
        ("ATL_EBD_2A", "BC", False),
        ("CPR_CLD_2A", "BA", False),
        ("CPR_CL", "", False),
    ],
)
def test_products_and_baselines(products: str, baselines: str, is_about: bool) -> None:
    known = Notices(read(HEAD + f"1,2025-12-01,2025-12-02,,,{products},{baselines},,"))
    assert bool(known.of_granule(ALL[3])) is is_about


def test_of_a_name_alone_a_frame_has_the_mean_length() -> None:
    begin = ALL[8].sensing_start
    start, stop = (f"{begin + timedelta(seconds=one):%Y-%m-%dT%H:%M:%SZ}" for one in (300, 310))
    known = Notices(read(HEAD + f"1,{start},{stop},,,CPR_CLD_2A,BC,,"))
    url = f"https://example.org/data/{ALL[8].id}.h5"
    assert [one.id for one in known.of_url(url)] == ["1"]
    assert known.of_url(url.replace(ALL[8].id, ALL[9].id)) == []
    disclaimed = Disclaimed(known)
    assert url in disclaimed and disclaimed.has(ALL[8]) and not disclaimed.has(ALL[7])
    assert disclaimed.left_out == {ALL[8].id}


ROW = ("1", "2025-12-01T00:10:00Z", "2025-12-01T01:00:00,5Z", "08574D", "08575A", "CPR_CLD_2A", "BC")


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("kind", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_sheets_as_programs_save_them(delimiter: str, kind: str, end: str) -> None:
    head = HEAD.strip().split(",")
    row = [f'"{cell}"' for cell in (*ROW, "Größe: a\nb", "https://esa.int/x")]
    text = end.join(["# from the page", delimiter.join(head), delimiter.join(row), ""])
    (one,) = read_sheet(text.encode(kind), "gap").notices
    assert (one.kind, one.products, one.baselines) == ("gap", ("CPR_CLD_2A",), ("BC",))
    assert (one.first, one.last) == ((8574, "D"), (8575, "A"))
    assert one.end == datetime(2025, 12, 1, 1, 0, 0, 500_000, UTC)
    assert (one.text, one.link) == ("Größe: a b", "https://esa.int/x")


def test_columns_may_be_called_as_the_pages_do() -> None:
    text = (
        "Disclaimer ID;Start time (UTC);Stop time (UTC);First affected frame;Last affected frame;"
        'Affected products;Baselines;Description;Remark\n="7";UTC=2025-12-01T00:10:00;20251201T001500;'
        '="08574D";08574,0;CPR_CLD_2A and ATL_EBD_2A;BA / BC;=1+1;x\n'
    )
    sheet = read_sheet(text.encode(), "disclaimer")
    (one,) = sheet.notices
    assert (one.id, one.first, one.last, one.baselines) == ("7", (8574, "D"), (8574, ""), ("BA", "BC"))
    assert one.products == ("CPR_CLD_2A", "ATL_EBD_2A") and one.text == "=1+1"
    assert sheet.unknown == ["Remark"]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("1,,,,,,,,", "neither times nor frames"),
        ("1,2025-12-01,,,,,,,", "not both"),
        ("1,2025-12-02,2025-12-01,,,,,,", "before the start"),
        ("1,01/12/2025,02/12/2025,,,,,,", "is not a time"),
        ("1,7d,today,,,,,,", "is not a time"),
        ("1,,,08574X,08574X,,,,", "is not an orbit and frame"),
        ("1,,,08575A,08574D,,,,", "before the first"),
        ("1,2025-12-01,2025-12-02,,,../x,,,", "is not a name"),
        ("1,2025-12-01,2025-12-02,,,,B C!,,", "is not a name"),
    ],
)
def test_a_row_that_cannot_be_used_is_named_by_its_line(row: str, said: str) -> None:
    good = '1,2025-12-01,2025-12-02,,,,,"two\nlines",'
    sheet = read_sheet(f"{HEAD}{good}\n{row}\n{good}\n".encode(), "gap")
    assert len(sheet.notices) == 2
    ((line, reason),) = sheet.refused
    assert line == 4 and said in reason


@pytest.mark.parametrize(
    "data",
    [b"", b"\n\n", b"<!DOCTYPE html><html>", b'{"a": 1}', b"a,b,c\n1,2,3\n", b"\0\1\2", b"\xff\xfe\0",
     b"start,stop,start\n1,2,3\n", b'start,stop\n"' + b"x" * 200_000],
)  # fmt: skip
def test_what_is_not_a_sheet(data: bytes) -> None:
    with pytest.raises(InvalidRequestError):
        read_sheet(data, "gap")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\xef\xbb\xbf\n <!DOCTYPE html><html>", "a web page"),
        (b"<?xml version='1.0'?><x/>", "a web page"),
        (b"PK\x03\x04xl/workbook.xml", "save it as CSV"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "save it as CSV"),
        (b"\x89HDF\r\n\x1a\n\0\0", "not text"),
        (HEAD.encode("utf-16-le"), "not text"),
        (b"\0" * 100, "not text"),
    ],
)
def test_what_another_file_is_instead(data: bytes, said: str) -> None:
    with pytest.raises(InvalidRequestError, match=said):
        read_sheet(data, "gap")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_quotes_that_do_not_end_hide_no_row(end: str) -> None:
    good = "1,2025-12-01,2025-12-02,,,,,x,"
    text = end.join([HEAD.strip(), good, '2,2025-12-01,2025-12-02,,,,,"x', good, good, ""])
    sheet = read_sheet(text.encode(), "gap")
    assert len(sheet.notices) == 1
    assert sheet.refused == [(3, "its quotes do not end, so that 2 lines after it cannot be read")]
    closed = read_sheet(text.replace('"x', '"x" y').encode(), "gap")
    assert len(closed.notices) == 4 and closed.refused == []


def test_days_that_known_gaps_leave_nothing_of() -> None:
    text = (
        "start,stop,products\n2025-12-01T12:00:00Z,2025-12-02T05:00:00Z,CPR_CLD_2A\n"
        "2025-12-02T05:10:00Z,2025-12-03T23:55:00Z,CPR_CLD_2A\n"
    )
    known = Notices(read_sheet(text.encode(), "gap").notices).on_days("EarthCARE", "CPR_CLD_2A", "BC")
    days = [date(2025, 12, day) for day in range(1, 6)]
    assert [known.is_gap(day) for day in days] == [False, True, True, False, False]
    assert [len(known.of(day)) for day in days] == [1, 2, 1, 0, 0]


def test_what_a_known_gap_took_is_not_waited_for() -> None:
    wanted = a_set_of("s", ["CPR_CLD_2A", "MSI_COP_2A"], collection="L2")
    row = SetRow(8574, "D", START, "waiting", (Cell("here", "BC"), Cell("nowhere")))
    assert with_gaps(row, lambda number, baseline: False) == row
    done = with_gaps(row, lambda number, baseline: number == 1)
    assert (done.state, [cell.state for cell in done.cells]) == ("gap", ["here", "gap"])
    assert (waiting_for(wanted, done), state_words(done, [])) == ([], "known gap")
    waits = with_gaps(
        SetRow(8574, "D", START, "waiting", (Cell("archive", "BC"), Cell("nowhere"))), lambda *_: True
    )
    assert (waits.state, waiting_for(wanted, waits)) == ("waiting", ["CPR_CLD_2A:BC"])
    assert not waits.is_obtainable


def test_what_is_kept_is_read_again_and_damage_is_a_warning(session: Callable, events: list) -> None:
    quality = session().quality
    assert not quality.notices()
    text = HEAD + '1,2025-12-01,2025-12-02T06:00,08574D,08580,"C-CLD",BC,"a, b",https://esa.int/\n'
    notices = tuple(read_sheet(text.encode(), "disclaimer").notices)
    quality.save(Stored("disclaimer", "a sheet", MOMENT, notices, 2))
    assert session().quality.notices().all == list(notices)
    stored = quality.stored()["disclaimer"]
    assert (stored.source, stored.updated, stored.refused) == ("a sheet", MOMENT, 2)
    assert stored.is_stale(MOMENT + timedelta(days=31)) and not stored.is_stale(MOMENT)
    for kind in KINDS:
        quality.file(kind).write_text('{"source": 1')
    assert not quality.notices() and not quality.notices()
    assert [event.message.partition(" cannot")[0] for event in events] == [
        str(quality.file(kind)) for kind in KINDS
    ]
