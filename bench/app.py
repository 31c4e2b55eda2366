"""The app: what its first screen takes, and how soon a key shows its effect.

    python bench/app.py [--rounds N] [--quick] [--results N] [--beside NAME=PYTHON]

The first screen of `maap tui`, of `maap demo` and of a bare Textual app, on a terminal of 80x24: CPU of the
process and of all it started until its words are there, CPU of its own process alone, and CPU until it has
been at rest for two seconds. Then keys in a list of RESULTS granules (default 1,000,000) while 8 files come
at 4 MiB/s each: the time from a key to the frame in which the cursor is on another granule.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.kit import peers
from bench.kit.facts import LIMIT_RATE
from bench.kit.harness import OURS, ROOT, Bench, Client, Failed, Reach, Usage, Work, maap, version_of
from bench.kit.servers import Server, archive
from bench.kit.terminal import Terminal, cpu_of, peak_of
from maap_tui.demo.archive import Archive

BARE = """
from textual.app import App
from textual.widgets import Static
class Bare(App):
    def compose(self):
        yield Static("the first screen")
Bare().run()
"""
BARE_NAME = "bare Textual app"
TREE = b"EarthCAREL2Validated_MAAP"
FRESH = "--fresh"
REST_S = 2.0
"""Seconds after the first screen until it is taken to be at rest."""
OWN, AT_REST = "its own CPU s", "CPU s to rest"
CURSOR = "▌ 20"
"""What the row that the cursor is on begins with: the sign, and the date of the granule."""
KEYS = (b"j", b"j", b"\x1b[6~", b"k", b"j", b"\x1b[5~", b"\x1b[F", b"k", b"\x1b[H")
"""Down, page down, up, page up, end, home: each of them moves the cursor, in turn from the top."""
LONG_S = 600.0
"""Seconds in which the list is made."""
PAUSES_S = (0.03, 0.11, 0.06, 0.17)
ARROW = "↓"
"""What the header has before the number of transfers."""
TRANSFERS = 8
FULL_APP = ROOT / "bench" / "kit" / "full_app.py"


def first_screen(words: Sequence[str], wanted: bytes, environ: Mapping[str, str], *_: object) -> Usage:
    """Open it once, until it is at rest."""
    begun = time.monotonic()
    with Terminal(words, environ) as app:
        app.wait_for(wanted)
        took, cpu, own = time.monotonic() - begun, cpu_of(app.pid), cpu_of(app.pid, alone=True)
        memory = peak_of(app.pid)
        app.read(REST_S)
        return Usage(took, cpu, memory, {OWN: own, AT_REST: cpu_of(app.pid)})


def keys(words: Sequence[str], server: Server, count: int, client: Client, folder: Path) -> Usage:
    """Press keys one after the other, each once the one before shows; wall is the whole of it."""
    with Terminal(words, {**client.environ, "HOME": str(folder), "TERM": "xterm-256color"}) as app:
        app.wait_until(lambda: b"Browse" in app.shown, "the app", LONG_S)
        app.read(1.0)
        app.type(b"2")
        app.wait_until(lambda: bool(app.picture.line_with(CURSOR)), "the list", LONG_S)
        app.wait_until(lambda: bool(app.picture.line_with(f"{ARROW}{TRANSFERS} ")), "8 transfers")
        app.read(2.0)
        taken = []
        begun, spent = time.monotonic(), cpu_of(app.pid)
        for number in range(count):
            places = ("", app.picture.line_with(CURSOR))
            pressed = time.monotonic()
            app.type(KEYS[number % len(KEYS)])
            while app.picture.line_with(CURSOR) in places:
                if app.has_ended or time.monotonic() > pressed + 30:
                    raise Failed(f"a key moved nothing: {places[1]}")
                app.take(0.05)
            taken.append(1000 * (time.monotonic() - pressed))
            app.read(PAUSES_S[number % len(PAUSES_S)])
        if not app.picture.line_with(ARROW):
            raise Failed("the transfers ended before the keys")
        taken.sort()
        found = {
            "p50 ms": statistics.median(taken),
            "p99 ms": taken[-1 - len(taken) // 100],
            "max ms": taken[-1],
        }
        return Usage(time.monotonic() - begun, cpu_of(app.pid) - spent, peak_of(app.pid), found)


def main() -> int:
    def extend(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--results", type=int, help="granules in the list")

    bench = Bench(__doc__, extend)
    results = bench.options.results or (1000 if bench.quick else 1_000_000)
    count = len(KEYS) if bench.quick else 300
    versions = {name: version_of(python) for name, python in bench.ours.items()}
    bench.heading("App", versions | peers.versions("nginx"), peers.missing("nginx"))
    with bench.folder() as folder:
        _play_first_screens(bench, folder)
        size = LIMIT_RATE * (8 if bench.quick else 60)
        with archive(folder, {"limited": size}) as server:
            everyone, reaches = [], [Reach(OURS, "p99 ms", 50)]
            for name, python in bench.ours.items():
                words = [python, str(FULL_APP), str(results), server.url, str(TRANSFERS), str(size)]
                environ = {**server.environ(), "MAAP_DOWNLOADS_MIN_FREE": "0"}
                measure = partial(keys, words, server, count)
                everyone.append(
                    Client(name, lambda home: [], environ, prepare=server.make_home, measure=measure)
                )
            title = f"{count} keys, {results:,} results, {TRANSFERS} transfers"
            measures = ("p50 ms", "p99 ms", "max ms", "cpu", "wall", "memory")
            bench.play(Work(title, everyone, reaches, measures), folder)
    return 1 if bench.failed else 0


def _play_first_screens(bench: Bench, folder: Path) -> None:
    with Archive.start(offline_days=365) as demo:
        home = folder / "maap"
        demo.prepare(home)
        plain = {name: os.environ[name] for name in ("PATH", "VIRTUAL_ENV") if name in os.environ}
        plain |= {"HOME": str(folder), "TMPDIR": str(folder), "TERM": "xterm-256color", "LANG": "C.UTF-8"}
        at_archive = plain | demo.environment(home)
        rows = {BARE_NAME: ([sys.executable, "-c", BARE], b"the first screen", plain)}
        for name, python in bench.ours.items():
            rows[f"{name} tui"] = ([*maap(python), "tui"], TREE, at_archive)
            rows[f"{name} demo"] = ([*maap(python), "demo", *_in_empty_home(python)], TREE, plain)
        everyone = []
        for name, row in rows.items():
            if not bench.quick:
                first_screen(*row)  # what only the first run writes: caches of bytecode
            everyone.append(Client(name, lambda home: [], {}, measure=partial(first_screen, *row)))
        reaches = [Reach(f"{OURS} tui", "cpu", 1.6, BARE_NAME)]
        measures = ("cpu", "wall", "memory", OWN, AT_REST)
        bench.play(Work("first screen", everyone, reaches, measures), folder)


def _in_empty_home(python: str) -> list[str]:
    """The option with which a version opens its demo without a past; none for those that have no past."""
    said = subprocess.run([*maap(python), "demo", "-h"], capture_output=True, text=True, check=True).stdout
    return [FRESH] if FRESH in said else []


if __name__ == "__main__":
    sys.exit(main())
