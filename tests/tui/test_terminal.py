"""The real thing in a real terminal: a pty, a process, signals, and every byte that it sends."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from maap_tui.demo.archive import Archive
from maap_tui.engine.queue import Queue, QueueRow
from maap_tui.tui.terminal import terse

ROOT = Path(__file__).parents[2]
PATIENCE_S = 20.0
"""Seconds until a test gives up; none of them needs them on an idle machine."""

HERE = b"Browse"
COLOURS = re.compile(rb"(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])")


class Terminal:
    """A process on a terminal of its own; what it sends is kept whole in `shown`."""

    def __init__(
        self,
        words: list[str],
        environ: dict[str, str],
        *,
        size: tuple[int, int] = (80, 24),
        ignored: tuple[signal.Signals, ...] = (),
        program: list[str] | None = None,
    ) -> None:
        self.shown = b""
        self.code: int | None = None
        command = program or [sys.executable, "-m", "maap_tui", *words]
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            for number in ignored:
                signal.signal(number, signal.SIG_IGN)
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
            os.execve(command[0], command, environ)
        self.before = termios.tcgetattr(self.master)

    def read(self, timeout: float) -> bool:
        """Take what comes within a time; False when nothing came or the end was reached."""
        if not select.select([self.master], [], [], timeout)[0]:
            return False
        try:
            piece = os.read(self.master, 65536)
        except OSError:
            return False
        self.shown += piece
        return bool(piece)

    def wait_for(self, wanted: bytes, *, after: int = 0) -> None:
        """Read until it was shown, past the first `after` bytes."""
        end = time.monotonic() + PATIENCE_S
        while wanted not in self.shown[after:]:
            assert time.monotonic() < end, self.shown[-4000:]
            if not self.read(0.5):
                assert os.waitpid(self.pid, os.WNOHANG)[0] == 0, self.shown[-4000:]

    def settle(self, quiet: float = 0.3) -> None:
        """Read until nothing comes for a while."""
        while self.read(quiet):
            pass

    def type(self, keys: bytes) -> int:
        """Press keys; gives back how much was shown before."""
        os.write(self.master, keys)
        return len(self.shown)

    def kill(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def ended(self, within: float = PATIENCE_S) -> int:
        """Wait for the process, reading on; its exit code."""
        end = time.monotonic() + within
        while True:
            done, status = os.waitpid(self.pid, os.WNOHANG)
            if done:
                self.code = os.waitstatus_to_exitcode(status)
                while self.master >= 0 and self.read(0):
                    pass
                return self.code
            assert time.monotonic() < end, "it does not end"
            if self.master < 0 or not self.read(0.02):
                select.select([], [], [], 0.02)

    def close(self) -> None:
        """Take the terminal away."""
        if self.master >= 0:
            os.close(self.master)
            self.master = -1

    def is_restored(self) -> bool:
        """Whether the terminal is as it was: its modes, the main screen, the cursor, no mouse."""
        on = set(re.findall(rb"\x1b\[\?(\d+)h", self.shown)) - {b"7", b"25"}
        last = self.shown.rfind
        modes = all(last(b"\x1b[?%sl" % mode) > last(b"\x1b[?%sh" % mode) for mode in on)
        cursor = last(b"\x1b[?25h") > last(b"\x1b[?25l")
        return modes and cursor and termios.tcgetattr(self.master)[:4] == self.before[:4]

    def cleanup(self) -> None:
        if self.code is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        self.close()


@pytest.fixture(scope="module")
def shared() -> Iterator[Archive]:
    # The processes have the real clock: the token has to be good for that one too.
    with Archive.start(now="2026-01-15T00:00:00Z", offline_days=36500) as started:
        yield started


@pytest.fixture
def here(shared: Archive, tmp_path: Path) -> Iterator[Archive]:
    """The archive without faults, its counters at zero, and a home that points at it."""
    shared.faults.clear()
    shared.stats.reset()
    shared.prepare(tmp_path / "home")
    yield shared
    shared.faults.clear()


@pytest.fixture
def environ(here: Archive, tmp_path: Path) -> dict[str, str]:
    foreign = (
        "MAAP_",
        "TMUX",
        "SSH_",
        "DISPLAY",
        "NO_COLOR",
        "LC_",
        "LANG",
        "TEXTUAL",
        "COLORTERM",
        "COLUMNS",
        "LINES",
    )
    own = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {
        **own,
        **here.environment(tmp_path / "home"),
        "HOME": str(tmp_path),
        "TMPDIR": str(tmp_path),
        "PYTHONPATH": str(ROOT),
        "TERM": "xterm-256color",
        "LANG": "C.UTF-8",
        "MAAP_DOWNLOADS_MIN_FREE": "0",
    }


@pytest.fixture
def terminal(environ: dict[str, str]) -> Iterator[Callable[..., Terminal]]:
    """Open the app, or any words of maap, on a terminal of its own."""
    opened: list[Terminal] = []

    def begin(*words: str, changes: dict[str, str | None] | None = None, **options: object) -> Terminal:
        there = {name: value for name, value in (environ | (changes or {})).items() if value is not None}
        one = Terminal(list(words or ("tui",)), there, **options)  # type: ignore[arg-type]
        opened.append(one)
        return one

    yield begin
    for one in opened:
        one.cleanup()


def test_it_opens_without_an_answer_and_q_leaves(here: Archive, terminal: Callable[..., Terminal]) -> None:
    here.control(latency_s=60, target="all")
    one = terminal()
    one.wait_for(HERE)
    one.wait_for(b"Registry")
    one.type(b"q")
    assert one.ended() == 0
    assert one.is_restored()
    assert one.shown.startswith(b"\x1b[?1049h")


@pytest.mark.fault("P2")
@pytest.mark.fault("P3")
@pytest.mark.parametrize("words", [("tui",), ("demo",)])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_signals_end_it_in_order(
    terminal: Callable[..., Terminal], tmp_path: Path, words: tuple[str], number: signal.Signals, code: int
) -> None:
    one = terminal(*words)
    one.wait_for(HERE)
    one.kill(number)
    assert one.ended(2) == code
    assert one.is_restored()
    assert b"Traceback" not in one.shown
    assert list(tmp_path.glob("maap-demo-*")) == []


@pytest.mark.fault("P3")
@pytest.mark.fault("P4")
@pytest.mark.parametrize("ignored", [(), (signal.SIGHUP,)], ids=["", "nohup"])
def test_a_vanished_terminal_ends_it(
    terminal: Callable[..., Terminal], ignored: tuple[signal.Signals, ...]
) -> None:
    one = terminal(ignored=ignored)
    one.wait_for(HERE)
    one.close()
    assert one.ended(2) == 129


def test_a_terminal_that_does_not_read_holds_nothing_up(terminal: Callable[..., Terminal]) -> None:
    one = terminal(size=(200, 60))
    one.wait_for(HERE)
    one.settle()
    for _ in range(60):
        one.type(b"1234")  # nobody reads what each of these draws
    one.kill(signal.SIGTERM)
    end = time.monotonic() + 3
    while os.waitid(os.P_PID, one.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        assert time.monotonic() < end
        select.select([], [], [], 0.02)
    assert one.ended() == 143


def test_a_terminal_that_reads_again_goes_on(terminal: Callable[..., Terminal]) -> None:
    one = terminal(size=(200, 60))
    one.wait_for(HERE)
    one.settle()
    for _ in range(40):
        one.type(b"1234")
    one.settle(quiet=2.0)
    seen = one.type(b"5")
    one.wait_for(b"Level", after=seen)
    one.type(b"q")
    assert one.ended() == 0


@pytest.mark.fault("P5")
def test_suspend_and_go_on(terminal: Callable[..., Terminal]) -> None:
    line = f"set -m; '{sys.executable}' -m maap_tui tui; echo STOPPED; fg; exit $?"
    one = terminal(program=["/bin/sh", "-c", line])
    one.wait_for(HERE)
    seen = one.type(b"\x1a")
    one.wait_for(b"STOPPED", after=seen)
    assert b"\x1b[?1049l" in one.shown[seen:]
    one.wait_for(b"\x1b[?1049h", after=seen)
    one.wait_for(HERE, after=seen)
    one.type(b"q")
    assert one.ended() == 0


def text_of(shown: bytes) -> bytes:
    """What was sent, without the escape sequences."""
    return re.sub(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])", b"", shown)


def tour(one: Terminal) -> None:
    """See every place, the help and the palette."""
    one.wait_for(HERE)
    for keys in (b"2", b"3", b"4", b"5", b"?", b"\x1b", b":", b"\x1b", b"1"):
        seen = one.type(keys)
        one.read(5)
        # What follows an escape too soon is taken for one key with alt.
        one.settle(0.2 if keys == b"\x1b" else 0.1)
        assert len(one.shown) > seen, keys


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
    tour(one)
    one.type(b"q")
    assert one.ended() == 0
    assert [byte for byte in one.shown if byte > 127] == []


def test_no_colour_and_a_cursor_that_is_seen(terminal: Callable[..., Terminal]) -> None:
    one = terminal(changes={"NO_COLOR": "1", "COLORTERM": "truecolor"})
    tour(one)
    styles = re.findall(rb"\x1b\[([\d;:]*)m", one.shown)
    assert {
        part for style in styles for part in re.split(rb"[;:]", style) if COLOURS.fullmatch(part)
    } == set()
    seen = one.type(b"j")
    one.settle()
    moved = re.findall(rb"\x1b\[([\d;]+)m", one.shown[seen:])
    assert any({b"1", b"4", b"7"} & set(style.split(b";")) for style in moved), one.shown[seen:]


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


def test_the_mouse_can_be_left_to_the_terminal(terminal: Callable[..., Terminal]) -> None:
    for words, tracked in (((), True), (("tui", "--no-mouse"), False)):
        one = terminal(*words)
        one.wait_for(HERE)
        one.type(b"q")
        assert one.ended() == 0
        assert (b"\x1b[?1000h" in one.shown) is tracked
        assert (b"\x1b[?1003h" in one.shown) is tracked


@pytest.mark.parametrize(
    ("size", "is_told"),
    [((60, 16), False), ((59, 24), True), ((80, 15), True), ((40, 10), True), ((30, 8), True)],
)
def test_small_terminals(terminal: Callable[..., Terminal], size: tuple[int, int], is_told: bool) -> None:
    one = terminal(size=size)
    one.wait_for(b"60x16" if is_told else HERE)
    one.settle()
    assert (b"60x16" in text_of(one.shown)) is is_told
    one.type(b"q")
    assert one.ended() == 0


def test_an_error_of_its_own_is_a_sentence_and_1(terminal: Callable[..., Terminal]) -> None:
    program = (
        "import sys\n"
        "from maap_tui.cli.main import main\n"
        "from maap_tui.tui.screens.place import PlaceScreen\n"
        "def on_key(self, event):\n"
        "    raise ValueError('the sky fell')\n"
        "PlaceScreen.on_key = on_key\n"
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


@pytest.mark.parametrize(
    ("sent", "wanted"),
    [
        ("\x1b[1;31ma\x1b[0m\x1b[1;31mb\x1b[0m", "\x1b[1;31mab\x1b[0m"),
        (
            "\x1b[38;5;2;48;5;9ma\x1b[0m\x1b[1;38;5;4;48;5;9mb\x1b[0m",
            "\x1b[38;5;2;48;5;9ma\x1b[1;38;5;4mb\x1b[0m",
        ),
        ("\x1b[1;31ma\x1b[0m\x1b[31mb\x1b[0m", "\x1b[1;31ma\x1b[0;31mb\x1b[0m"),
        ("\x1b[31ma\x1b[0mb\x1b[31mc\x1b[0m", "\x1b[31ma\x1b[0mb\x1b[31mc\x1b[0m"),
        ("\x1b[31ma\x1b[0m\r\n\x1b[2;1H\x1b[31mb\x1b[0m", "\x1b[31ma\x1b[0m\r\n\x1b[2;1H\x1b[31mb\x1b[0m"),
        (
            "\x1b[38;2;1;2;3ma\x1b[0m\x1b[38;2;1;2;3;48;2;4;5;6mb\x1b[0m",
            "\x1b[38;2;1;2;3ma\x1b[48;2;4;5;6mb\x1b[0m",
        ),
        ("plain", "plain"),
    ],
)
def test_the_same_drawing_in_fewer_bytes(sent: str, wanted: str) -> None:
    assert terse(sent) == wanted


def moved(here: Archive) -> int:
    """Bytes of files sent so far."""
    return int(here.stats.show()["bytes_by_kind"].get("data", 0))


def parts(folder: Path) -> int:
    """Files that have begun to come."""
    return len(list(folder.rglob("*.part")))


SYNC = ("sync", "EarthCAREL2Validated_MAAP", "CPR_CLD_2A", "BC", "--date", "2025-12-01")


def test_an_interrupted_queue_goes_on_where_it_was(
    here: Archive, terminal: Callable[..., Terminal], environ: dict[str, str], tmp_path: Path
) -> None:
    here.control(rate=1_000_000)
    folder = tmp_path / "home" / "data"
    rows = Queue(Path(environ["MAAP_HOME"]) / "state" / "queue.sqlite3")
    large = ("EarthCAREL1Validated_MAAP", "ATL_NOM_1B", "--date", "2025-12-01", "--frame", "D", "-n", "10")
    one = terminal("sync", *large)
    one.wait_for(b"/10 files")
    until(lambda: moved(here) > 6_000_000, one)
    one.kill(signal.SIGKILL)  # what a power cut leaves: rows that no process has any more
    one.ended()
    left = [row for row in rows.load() if row.is_interrupted]
    assert len(left) >= 8 and {row.verb for row in left} == {"sync"}
    in_flight = parts(folder)

    two = terminal()
    two.wait_for(b"were interrupted")
    before = moved(here)
    two.settle()
    two.type(b"g")
    until(lambda: moved(here) > before + 6_000_000, two)
    two.kill(signal.SIGHUP)
    assert two.ended(2) == 129
    assert two.is_restored()
    left = [row for row in rows.load() if row.is_live]
    assert left and all(row.is_interrupted for row in left)
    in_flight += parts(folder)

    here.faults.clear()
    three = terminal()
    three.wait_for(b"were interrupted")
    three.settle()
    three.type(b"g")
    until(lambda: len(list(folder.rglob("*.h5"))) == 10, three)
    three.settle()
    three.type(b"q")
    assert three.ended() == 0
    size = sum(path.stat().st_size for path in folder.rglob("*.h5"))
    assert in_flight >= 8
    assert moved(here) - size <= in_flight * 1_048_576
    assert parts(folder) == 0
    rows.close()


def until(is_so: Callable[[], bool], *read: Terminal) -> None:
    """Wait for something outside, reading what terminals send meanwhile."""
    end = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < end, [one.shown[-2000:] for one in read]
        for one in read:
            one.read(0.02)
        if not read:
            select.select([], [], [], 0.02)


def test_a_sync_elsewhere_is_seen_while_it_runs(
    here: Archive, terminal: Callable[..., Terminal], environ: dict[str, str]
) -> None:
    here.control(rate=60_000)
    one = terminal()
    one.wait_for(HERE)
    one.settle()
    rows = Queue(Path(environ["MAAP_HOME"]) / "state" / "queue.sqlite3")
    command = [sys.executable, "-m", "maap_tui", *SYNC, "--frame", "D"]
    with subprocess.Popen(command, env=environ, stderr=subprocess.DEVNULL) as sync:
        until(lambda: any(row.state == "running" for row in rows.load()), one)
        row = next(row for row in rows.load() if row.state == "running")
        assert (row.pid, row.host, row.verb) == (sync.pid, socket.gethostname(), "sync")
        assert not row.is_interrupted
        seen = one.type(b"3")
        one.wait_for(b"sync", after=seen)
        seen = one.type(b"4")
        one.wait_for(b"CPR_CLD_2A", after=seen)
        one.settle()
        seen = len(one.shown)
        here.faults.clear()
        here.control(rate=400_000)
        until(lambda: any(row.state == "finished" for row in rows.load()), one)
        start = time.monotonic()
        one.wait_for(b"CPR_CLD_2A", after=seen)
        assert time.monotonic() - start < 2
        here.faults.clear()
        sync.wait(PATIENCE_S)
    one.type(b"q")
    assert one.ended() == 0
    rows.close()


HOSTILE = ("[/foo]", "[@click=app.quit]x[/]", "\x1b]0;owned\x07", "\x9b31m", "\u202eevil", "\x1b[2J")


def test_hostile_words_reach_the_terminal_only_as_text(
    here: Archive, terminal: Callable[..., Terminal], environ: dict[str, str], tmp_path: Path
) -> None:
    registry = Path(environ["MAAP_REGISTRY_DIR"])
    baseline = "EarthCARE/EarthCAREL2Validated_MAAP/CPR_CLD_2A/BC"
    names = [f"bad{number}{words}.h5" for number, words in enumerate(HOSTILE)]
    lines = [f"{here.url}/data/{name}|{tmp_path}/home/data/{baseline}/2025/12/01/{name}" for name in names]
    day = registry / "urls" / baseline / "2025" / "url_20251201.txt"
    day.parent.mkdir(parents=True)
    day.write_text("".join(f"{line}\n" for line in lines))
    errors = registry / "downloads" / baseline / "errors.txt"
    errors.parent.mkdir(parents=True)
    errors.write_text("".join(f"{here.url}/data/{n}|{w}\n" for n, w in zip(names, HOSTILE, strict=True)))
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
    one.type(b"4")
    one.wait_for(b"CPR_CLD_2A")
    one.settle()
    one.type(b"\r")
    one.read(5)
    one.settle()
    one.type(b"q")
    assert one.ended() == 0
    commands = set(re.findall(rb"\x1b\][^\x07]*\x07", one.shown))
    assert commands <= {b"\x1b]22;default\x07"}  # the shape of the pointer, Textual's own
    assert b"\x07" not in re.sub(rb"\x1b\]22;\w*\x07", b"", one.shown)
    text = one.shown.decode()
    assert "\x9b" not in text and "\u202e" not in text and "\x1b[2J" not in text
