"""The real thing in a real terminal: a pty, a process, signals, and every byte that it sends."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from terminal_kit import HERE, PATIENCE_S, Terminal, is_alive, text_of, until

from maap_tui.demo.archive import Archive
from maap_tui.engine.download.queue_store import Queue, QueueRow, left_behind
from maap_tui.engine.model import TimeRange
from maap_tui.engine.query import Query
from maap_tui.engine.session import Session

COLOURS = re.compile(rb"(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])")


def test_it_opens_without_an_answer_and_q_leaves(archive: Archive, terminal: Callable[..., Terminal]) -> None:
    archive.control(latency_s=60, target="all")
    one = terminal()
    one.wait_for(HERE)
    one.wait_for(b"Registry")
    one.type(b"q")
    assert one.ended() == 0
    assert one.is_restored()
    assert one.shown.startswith(b"\x1b[?1049h")


@pytest.mark.fault("P2")
@pytest.mark.fault("P3")
@pytest.mark.parametrize("words", [("tui",), ("demo", "--fresh")])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_signals_end_it_in_order(
    terminal: Callable[..., Terminal], tmp_path: Path, words: tuple[str], number: signal.Signals, code: int
) -> None:
    one = terminal(*words)
    one.wait_for(HERE)
    one.kill(number)
    assert one.ended() == code
    assert one.is_restored()
    assert b"Traceback" not in one.shown
    assert list(tmp_path.glob("maap-demo-*")) == []


def children_of(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(one) for task in tasks for one in (task / "children").read_text().split()]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
def test_the_archive_of_the_demo_and_its_home_end_with_a_killed_app(
    terminal: Callable[..., Terminal], tmp_path: Path
) -> None:
    one = terminal("demo", "--fresh")
    one.wait_for(b"EarthCAREL2Validated_MAAP")
    one.wait_for(b"product types")
    (archive,) = children_of(one.pid)
    assert len(list(tmp_path.glob("maap-demo-*"))) == 1
    one.kill(signal.SIGKILL)
    one.ended()
    until(lambda: not is_alive(archive))
    assert list(tmp_path.glob("maap-demo-*")) == []


def test_the_demo_says_why_its_archive_does_not_start(terminal: Callable[..., Terminal]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        one = terminal("demo", "--port", str(taken.getsockname()[1]))
        assert one.ended() == 4
    assert b"The archive cannot start: Address already in use" in one.shown
    assert b"\x1b[?1049h" not in one.shown
    one = terminal("demo", "--now", "never")
    assert one.ended() == 4
    assert b"The archive cannot start: " in one.shown


def test_a_home_keeps_its_port_and_says_when_that_is_taken(
    terminal: Callable[..., Terminal], tmp_path: Path
) -> None:
    home = tmp_path / "kept"
    one = terminal("demo", "--fresh", "--home", str(home))
    one.wait_for(HERE)
    first = (home / "config.toml").read_text()
    one.type(b"q")
    assert one.ended() == 0
    port = int(re.findall(r"127\.0\.0\.1:(\d+)/", first)[0])
    with socket.create_server(("127.0.0.1", port)):
        one = terminal("demo", "--fresh", "--home", str(home))
        one.wait_for(HERE)
        assert f"Port {port}, which the registry of this home".encode() in one.shown
    assert (home / "config.toml").read_text() != first
    one.type(b"q")
    assert one.ended() == 0


@pytest.mark.fault("P3")
@pytest.mark.fault("P4")
@pytest.mark.parametrize("ignored", [(), (signal.SIGHUP,)], ids=["", "nohup"])
def test_a_vanished_terminal_ends_it(
    terminal: Callable[..., Terminal], ignored: tuple[signal.Signals, ...]
) -> None:
    one = terminal(ignored=ignored)
    one.wait_for(HERE)
    one.close()
    assert one.ended() == 129


def test_a_terminal_that_does_not_read_holds_nothing_up(terminal: Callable[..., Terminal]) -> None:
    one = terminal(size=(200, 60))
    one.wait_for(HERE)
    for _ in range(20):
        one.type(b"1234")  # nobody reads what each of these draws
    one.kill(signal.SIGTERM)
    os.waitid(os.P_PID, one.pid, os.WEXITED | os.WNOWAIT)
    assert one.ended() == 143


def test_a_terminal_that_reads_again_goes_on(terminal: Callable[..., Terminal]) -> None:
    one = terminal(size=(200, 60))
    one.wait_for(HERE)
    for _ in range(6):
        one.type(b"1234")
    seen = one.type(b"5")
    one.wait_for(b"Level", after=seen)
    one.type(b"q")
    assert one.ended() == 0


@pytest.mark.fault("P5")
def test_escape_alone_closes_what_is_open(terminal: Callable[..., Terminal]) -> None:
    one = terminal()
    one.wait_for(HERE)
    seen = one.type(b"?")
    one.wait_for(b"Keys", after=seen)
    one.type(b"\x1b")
    until(lambda: not one.picture.line_with("Keys"), one)
    one.type(b"q")
    assert one.ended() == 0


def test_suspend_and_go_on(terminal: Callable[..., Terminal]) -> None:
    line = f"set -m; '{sys.executable}' -m maap_tui tui; echo STOPPED; fg; exit $?"
    one = terminal(program=["/bin/sh", "-c", line])
    one.wait_for(HERE)
    seen = one.type(b"\x1a")
    one.wait_for(b"STOPPED", after=seen)
    assert b"\x1b[?1049l" in one.shown[seen:]
    one.wait_for(b"\x1b[?1049h", after=seen)
    seen = one.shown.rindex(b"\x1b[?1049h")
    until(lambda: len(one.picture.lines(seen)) == 24, one)
    one.type(b"q")
    assert one.ended() == 0


def test_the_screen_is_drawn_again_after_something_else_wrote_on_it(
    terminal: Callable[..., Terminal],
) -> None:
    one = terminal()
    one.wait_for(b"12 of 12")
    seen = one.type(b"j")
    one.wait_for(b"EarthCAREL", after=seen)
    seen = one.type(b"\x0c")
    until(lambda: len(one.picture.lines(seen)) == 24, one)
    seen = one.resize(100, 30)
    until(lambda: len(one.picture.lines(seen)) == 30, one)
    one.resize(90, 20)  # is gone before the app draws for it
    seen = one.resize(100, 30)
    until(lambda: len(one.picture.lines(seen)) == 30, one)
    one.type(b"q")
    assert one.ended() == 0


PROGRAM = """\
import os, sys
kind, *words = sys.argv[1:]
text = sys.stdin.read() if kind == "pager" else ""
here = os.open("/dev/tty", os.O_RDWR)
os.write(here, f"TOOK {kind} {words[0]} {len(text.splitlines()) > 0}".encode() + b"\\n")
while os.read(here, 1) != b"\\n":
    pass
if kind == "editor":
    with open(words[-1], "w") as file:
        file.write("[search]\\nmax_items = 77\\n" if words[0] == "good" else "[search]\\nmax_items = 'x'\\n")
"""


@pytest.mark.parametrize(
    ("keys", "given", "taken", "back"),
    [
        (b"p", {"PAGER": "{program} pager 'two words'"}, b"TOOK pager two words True", b"Level"),
        (b"e", {"VISUAL": "{program} editor good"}, b"TOOK editor good", b"Changed in the file"),
        (b"e", {"EDITOR": "{program} editor bad"}, b"TOOK editor bad", b"max_items must be"),
    ],
)
def test_a_program_takes_the_terminal_and_gives_it_back(
    terminal: Callable[..., Terminal],
    tmp_path: Path,
    keys: bytes,
    given: dict[str, str],
    taken: bytes,
    back: bytes,
) -> None:
    script = tmp_path / "a program.py"
    script.write_text(PROGRAM)
    program = shlex.join([sys.executable, str(script)])
    none = {"PAGER": None, "VISUAL": None, "EDITOR": None}
    changes = none | {name: words.format(program=program) for name, words in given.items()}
    one = terminal(changes=changes)
    one.wait_for(HERE)
    seen = one.type(b"5")
    one.wait_for(b"Level", after=seen)
    seen = one.type(b"\tu")
    one.wait_for(b"The file was", after=seen)  # a line for the log
    seen = one.type(keys)
    one.wait_for(taken, after=seen)
    assert b"\x1b[?1049l" in one.shown[seen:], "the app's screen was left"
    # What is typed goes to the program.
    seen = one.type(b"\n")
    one.wait_for(b"\x1b[?1049h", after=seen)
    one.wait_for(back, after=seen)
    if b"bad" in taken:
        seen = one.type(ESCAPE)
    one.type(b"\x11")
    assert one.ended() == 0
    assert one.is_restored()


OF_MODE = {b"1": b"Refresh", b"2": b"Run", b"3": b"Pause", b"4": b"Cleanup", b"5": b"Level"}
"""A word that only the footer of the mode has, by its key."""


def test_the_last_mode_typed_in_a_burst_is_shown(terminal: Callable[..., Terminal]) -> None:
    one = terminal()
    one.wait_for(HERE)
    for number, keys in enumerate((b"12345", b"514132", b"2424242423")):
        last = OF_MODE[keys[-1:]]
        seen = one.type(keys)
        one.wait_for(last, after=seen)
        seen = one.resize(100 + number % 2, 24)
        one.wait_for(last, after=seen)
        drawn = "\n".join(one.picture.lines()).encode()
        assert [word for word in OF_MODE.values() if word in drawn] == [last], keys
    one.type(b"q")
    assert one.ended() == 0


ESCAPE = b"\x1b[27u"
"""As newer terminals send it: what follows a plain one too soon is taken for one key with alt."""


def tour(one: Terminal) -> None:
    """See every mode, the help and the palette."""
    one.wait_for(HERE)
    for key in b"2", b"3", b"4", b"5":
        seen = one.type(key)
        one.wait_for(OF_MODE[key], after=seen)
    for key, word in (b"?", b"Help"), (b":", b"paste URLs"):
        seen = one.type(key)
        one.wait_for(word, after=seen)
        one.type(ESCAPE)
    seen = one.type(b"1")
    one.wait_for(OF_MODE[b"1"], after=seen)


@pytest.mark.fault("P13")
@pytest.mark.parametrize(
    ("words", "changes"),
    [(("tui", "--ascii"), {}), ((), {"LC_ALL": "C"})],
    ids=["flag", "locale"],
)
def test_ascii_sends_no_byte_above_127(
    terminal: Callable[..., Terminal], words: tuple[str, ...], changes: dict[str, str]
) -> None:
    one = terminal(*words, changes=changes)
    one.wait_for(HERE)
    one.wait_for(b"12 of 12")
    one.type(b"q")
    assert one.ended() == 0
    assert [byte for byte in one.shown if byte > 127] == []


@pytest.mark.fault("P13")
def test_every_mode_in_ascii_without_colour_and_with_a_cursor_that_is_seen(
    terminal: Callable[..., Terminal],
) -> None:
    one = terminal("tui", "--ascii", changes={"NO_COLOR": "1", "COLORTERM": "truecolor"})
    tour(one)
    assert [byte for byte in one.shown if byte > 127] == []
    styles = re.findall(rb"\x1b\[([\d;:]*)m", one.shown)
    assert {
        part for style in styles for part in re.split(rb"[;:]", style) if COLOURS.fullmatch(part)
    } == set()
    seen = one.type(b"j")

    def is_seen() -> bool:
        moved = re.findall(rb"\x1b\[([\d;]+)m", one.shown[seen:])
        return any({b"1", b"4", b"7"} & set(style.split(b";")) for style in moved)

    until(is_seen, one)


def test_a_console_of_16_colours_shows_what_is_pending_in_yellow_and_a_readable_cursor(
    terminal: Callable[..., Terminal],
) -> None:
    one = terminal(changes={"TERM": "linux"})
    one.wait_for(b"restricted")

    def styles() -> list[set[bytes]]:
        return [set(style.split(b";")) for style in re.findall(rb"\x1b\[([\d;]*)m", one.shown)]

    # Yellow for what warns, the cursor's row on blue.
    until(lambda: {b"93", b"44"} <= set[bytes]().union(*styles()), one)
    one.type(b"q")
    assert one.ended() == 0
    assert [byte for byte in one.shown if byte > 127] == []
    codes = set[bytes]().union(*styles())
    assert not codes & {b"91", b"38", b"48"}, "nothing is alarming, and the terminal knows all of it"
    assert not [style for style in styles() if {b"46", b"97"} <= style], "nothing is white on cyan"


@pytest.mark.parametrize("term", ["xterm", "xterm-direct"])
def test_any_terminal_with_a_cursor_will_do(terminal: Callable[..., Terminal], term: str) -> None:
    one = terminal(changes={"TERM": term})
    one.wait_for(HERE)
    one.type(b"q")
    assert one.ended() == 0


@pytest.mark.fault("P9")
@pytest.mark.parametrize("term", ["dumb", None])
@pytest.mark.parametrize("words", [(), ("tui",), ("tui", "--ascii")])
def test_a_terminal_without_a_cursor_gets_one_sentence(
    terminal: Callable[..., Terminal], term: str | None, words: tuple[str, ...]
) -> None:
    one = terminal(changes={"TERM": term}, program=[sys.executable, "-m", "maap_tui", *words])
    assert one.ended() == 4
    assert b"\x1b" not in one.shown
    assert one.shown.count(b"\n") == 1 and b"TERM=dumb" in one.shown


@pytest.mark.fault("P9")
@pytest.mark.parametrize("words", [[], ["tui"], ["tui", "--no-mouse"]])
def test_without_a_terminal_one_sentence(environ: dict[str, str], words: list[str]) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "maap_tui", *words],
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        start_new_session=True,
        timeout=PATIENCE_S,
    )
    assert ended.returncode == 4
    assert ended.stdout == b""
    assert ended.stderr.count(b"\n") == 1 and b"\x1b" not in ended.stderr


def queue_files(environ: dict[str, str], names: int) -> None:
    """Leave files of 128 KiB in the queue, as a process that died would."""
    home = Path(environ["MAAP_HOME"])
    day = TimeRange(datetime(2025, 12, 1, tzinfo=UTC), datetime(2025, 12, 2, tzinfo=UTC))
    query = Query("EarthCAREL2Validated_MAAP", "CPR_CLD_2A", "BC", time=day)

    async def find() -> list[QueueRow]:
        async with Session.load(environ=environ) as session:
            return [
                QueueRow(str(wanted.path), wanted.url, "waiting", wanted.size, changed=time.time())
                async for page in session.search(query)
                for granule in page.granules
                for asset in granule.files(session.formats_of(query))
                if (wanted := session.filing.request_of(granule, asset))
            ]

    rows = Queue(home / "state" / "queue.sqlite3")
    rows.save(asyncio.run(find())[:names])
    rows.close()


def grows(one: Terminal, seen: int) -> bool:
    return len(one.shown) > seen


def test_low_bandwidth_shows_what_arrives(
    archive: Archive, terminal: Callable[..., Terminal], environ: dict[str, str]
) -> None:
    queue_files(environ, 16)
    archive.control(rate=4_000)
    one = terminal("tui", "--low-bandwidth", size=(80, 40))  # no notice is above the rows
    one.wait_for(b"were interrupted")
    assert one.shown.rfind(b"\x1b[?1003h") < one.shown.rfind(b"\x1b[?1003l")  # no mouse moves are reported
    seen = one.type(b"g")

    one.wait_for(b"running", after=seen)
    for _ in range(3):
        seen = len(one.shown)
        until(partial(grows, one, seen), one)


@pytest.mark.parametrize(
    ("words", "changes", "blinks"),
    [
        (("tui",), {}, True),
        (("tui", "--low-bandwidth"), {}, False),
        (("tui",), {"SSH_TTY": "/dev/pts/7"}, False),
    ],
    ids=["here", "flag", "ssh"],
)
def test_with_low_bandwidth_nothing_moves_at_rest(
    terminal: Callable[..., Terminal], words: tuple[str, ...], changes: dict[str, str], blinks: bool
) -> None:
    one = terminal(*words, changes=changes)
    one.wait_for(b"12 of 12")  # all the names are here: nothing is fetched any more
    seen = one.type(b"/")
    one.wait_for(b"as in: cld bc", after=seen)
    if blinks:
        for _ in range(3):
            one.settle(0.2)
            assert one.read(PATIENCE_S)
    else:
        one.settle(1.1)  # fails when it never comes to rest
    # Moves of the mouse are not reported where each costs a repaint.
    assert (one.shown.rfind(b"\x1b[?1003h") > one.shown.rfind(b"\x1b[?1003l")) is blinks


def test_the_mouse_can_be_left_to_the_terminal(terminal: Callable[..., Terminal]) -> None:
    for words, tracked in (((), True), (("tui", "--no-mouse"), False)):
        one = terminal(*words)
        one.wait_for(HERE)
        one.type(b"q")
        assert one.ended() == 0
        assert (b"\x1b[?1000h" in one.shown) is tracked
        assert (b"\x1b[?1003h" in one.shown) is tracked


def test_a_terminal_that_is_too_small_says_what_it_needs(terminal: Callable[..., Terminal]) -> None:
    one = terminal(size=(30, 8))
    one.wait_for(b"60x16")
    assert b"Refresh" not in text_of(one.shown)
    for size in ((60, 16), (59, 24), (60, 16), (80, 15), (60, 16), (40, 10), (60, 16)):
        seen = one.resize(*size)
        one.wait_for(b"Refresh" if size == (60, 16) else b"60x16", after=seen)
    one.type(b"q")
    assert one.ended() == 0


def test_an_error_of_its_own_is_a_sentence_and_1(terminal: Callable[..., Terminal]) -> None:
    program = (
        "import sys\n"
        "from maap_tui.cli.main import main\n"
        "from maap_tui.tui.screens.mode import ModeScreen\n"
        "def on_key(self, event):\n"
        "    raise ValueError('the sky fell')\n"
        "ModeScreen.on_key = on_key\n"
        "sys.exit(main(['tui']))\n"
    )
    one = terminal(program=[sys.executable, "-c", program])
    one.wait_for(HERE)
    one.type(b"x")
    assert one.ended() == 1
    assert one.is_restored()
    last = one.shown.rpartition(b"\x1b")[2]
    assert b"Error: ValueError: the sky fell." in last
    assert b"Traceback" not in one.shown


def moved(archive: Archive) -> int:
    """Bytes of files sent so far."""
    return int(archive.stats.show()["bytes_by_kind"].get("data", 0))


def parts(folder: Path) -> int:
    """Files that have begun to come."""
    return len(list(folder.rglob("*.part")))


SYNC = ("sync", "EarthCAREL2Validated_MAAP", "CPR_CLD_2A", "BC", "--date", "2025-12-01")


def test_an_interrupted_queue_goes_on_where_it_was(
    archive: Archive, terminal: Callable[..., Terminal], environ: dict[str, str], tmp_path: Path
) -> None:
    archive.control(rate=1_000_000)
    folder = tmp_path / "home" / "data"
    rows = Queue(Path(environ["MAAP_HOME"]) / "state" / "queue.sqlite3")
    large = ("EarthCAREL1Validated_MAAP", "ATL_NOM_1B", "--date", "2025-12-01", "--frame", "D", "-n", "10")
    one = terminal("sync", *large)
    one.wait_for(b"/10 files")
    until(lambda: moved(archive) > 6_000_000, one)
    one.kill(signal.SIGKILL)  # what a power cut leaves: rows that no process has any more
    one.ended()
    left = left_behind(rows.load(), time.time())
    assert len(left) >= 8 and {row.verb for row in left} == {"sync"}
    in_flight = parts(folder)

    two = terminal(changes={"MAAP_UI_SURVIVE_HANGUP": "false"})
    two.wait_for(b"Go on")
    before = moved(archive)
    two.type(b"g")
    until(lambda: moved(archive) > before + 6_000_000, two)
    two.kill(signal.SIGHUP)
    assert two.ended() == 129
    assert two.is_restored()
    left = [row for row in rows.load() if row.is_live]
    assert left and left_behind(left, time.time()) == left
    in_flight += parts(folder)

    archive.faults.clear()
    three = terminal()
    three.wait_for(b"Go on")
    three.type(b"g")
    until(lambda: not any(row.is_live for row in rows.load()), three)
    assert len(list(folder.rglob("*.h5"))) == 10
    three.type(b"q")
    assert three.ended() == 0
    size = sum(path.stat().st_size for path in folder.rglob("*.h5"))
    assert in_flight >= 8
    assert moved(archive) - size <= in_flight * 1_048_576
    assert parts(folder) == 0
    rows.close()


def test_a_sync_elsewhere_is_seen_while_it_runs(
    archive: Archive, terminal: Callable[..., Terminal], environ: dict[str, str]
) -> None:
    # It asks again for each file until that has come whole, which is when it may.
    archive.control(stall_after=100, target="data")
    again = {"STALL_TIMEOUT": "1", "RETRY_WAIT": "0.01", "RETRIES": "99"}
    one = terminal()
    one.wait_for(HERE)
    rows = Queue(Path(environ["MAAP_HOME"]) / "state" / "queue.sqlite3")
    command = [sys.executable, "-m", "maap_tui", *SYNC, "--frame", "D"]
    lasting = environ | {f"MAAP_DOWNLOADS_{name}": value for name, value in again.items()}
    with subprocess.Popen(command, env=lasting, stderr=subprocess.DEVNULL) as sync:
        until(lambda: any(row.state == "running" for row in rows.load()), one)
        row = next(row for row in rows.load() if row.state == "running")
        assert (row.pid, row.host, row.verb) == (sync.pid, socket.gethostname(), "sync")
        assert left_behind([row], time.time()) == []
        seen = one.type(b"3")
        one.wait_for(b"sync", after=seen)
        seen = one.type(b"4")
        one.wait_for(b"CPR_CLD_2A", after=seen)
        seen = len(one.shown)
        archive.faults.clear()
        until(lambda: any(row.state == "finished" for row in rows.load()), one)
        one.wait_for(b"CPR_CLD_2A", after=seen)
        sync.wait(PATIENCE_S)
    one.type(b"q")
    assert one.ended() == 0
    rows.close()


HOSTILE = ("[/foo]", "[@click=app.quit]x[/]", "\x1b]0;owned\x07", "\x9b31m", "\u202eevil", "\x1b[2J")


def test_hostile_words_reach_the_terminal_only_as_text(
    archive: Archive, terminal: Callable[..., Terminal], environ: dict[str, str], tmp_path: Path
) -> None:
    registry = Path(environ["MAAP_REGISTRY_DIR"])
    baseline = "EarthCARE/EarthCAREL2Validated_MAAP/CPR_CLD_2A/BC"
    names = [f"bad{number}{words}.h5" for number, words in enumerate(HOSTILE)]
    lines = [f"{archive.url}/data/{name}|{tmp_path}/home/data/{baseline}/2025/12/01/{name}" for name in names]
    day = registry / "urls" / baseline / "2025" / "url_20251201.txt"
    day.parent.mkdir(parents=True)
    day.write_text("".join(f"{line}\n" for line in lines))
    errors = registry / "downloads" / baseline / "errors.txt"
    errors.parent.mkdir(parents=True)
    errors.write_text("".join(f"{archive.url}/data/{n}|{w}\n" for n, w in zip(names, HOSTILE, strict=True)))
    rows = Queue(Path(environ["MAAP_HOME"]) / "state" / "queue.sqlite3")
    rows.save(
        [
            QueueRow(
                path=line.partition("|")[2], url=line.partition("|")[0], state="failed", reason=words,
                collection=words, product_type=words, baseline=words, verb=words, host=words,
                changed=time.time(),
            )
            for line, words in zip(lines, HOSTILE, strict=True)
        ]
    )  # fmt: skip
    rows.close()
    one = terminal(size=(160, 40))
    one.wait_for(HERE)
    one.type(b"3")
    one.wait_for(b"foo].h5")
    seen = one.type(b"4")
    one.wait_for(b"CPR_CLD_2A", after=seen)
    seen = one.type(b"\r")
    one.wait_for(b"foo].h5", after=seen)
    one.type(b"q")
    assert one.ended() == 0
    commands = set(re.findall(rb"\x1b\][^\x07]*\x07", one.shown))
    assert commands <= {b"\x1b]22;default\x07"}  # the shape of the pointer, Textual's own
    assert b"\x07" not in re.sub(rb"\x1b\]22;\w*\x07", b"", one.shown)
    text = one.shown.decode()
    assert "\x9b" not in text and "\u202e" not in text and "\x1b[2J" not in text
