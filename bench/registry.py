"""The registry of years beside maap-client's: counts, what is pending, the app's mode, and appends.

    python bench/registry.py [--rounds N] [--quick] [--lines N] [--beside NAME=PYTHON]

LINES discovered (default 1,000,000) of 600 days, 90 % downloaded, 50 % marked. "cold" is without what earlier
runs kept, "again" with it, "one day more" with one file changed since. "library" leaves out the start of the
program: the same calls inside a process, where the answers are compared with maap-client's.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.kit import peers
from bench.kit.facts import NAMES
from bench.kit.harness import OURS, Bench, Client, Failed, Reach, Usage, Work, maap, version_of
from bench.kit.lines import MISSION, fill
from bench.kit.servers import Server
from bench.kit.terminal import Terminal, cpu_of, peak_of

DAYS = 600
KEY = (MISSION, *NAMES)
RECORDS = 1000
COUNTED = re.compile(rf"{NAMES[2]} +([^\s\d]+ +)?\d")
"""The baseline's line once its counts are there, after a bar of them."""

OURS_CODE = """
import json, resource, sys, time
from datetime import date
from pathlib import Path
try:
    from maap_tui.engine.registry.baseline import BaselineRegistry
    from maap_tui.engine.registry.counts import StatsCache
    from maap_tui.engine.registry.entries import Key
except ImportError:  # a version of before the registry was split
    from maap_tui.engine.registry.registry import BaselineRegistry, Key, StatsCache
root, what, cache = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
registry = BaselineRegistry(root, Key(*{key!r}), cache=StatsCache(cache))
wall, cpu = time.perf_counter(), time.process_time()
if what == "stats":
    answer = registry.stats().as_dict()
elif what == "pending":
    answer = [len(registry.pending_downloads()), len(registry.pending_marks())]
else:
    day, answer = date(2030, 1, 1), None
    for number in range({records}):
        url = f"https://archive.example/{{number:06d}}/{{'x' * 160}}.h5"
        registry.record(url, f"/data/{{number}}.h5", day)
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
print(json.dumps([wall, cpu, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, answer]))
"""

PEER_CODE = """
import json, resource, sys, time
from pathlib import Path
from maap_client.tracker import StateTracker
tracker = StateTracker(Path(sys.argv[1]), *{key!r})
wall, cpu = time.perf_counter(), time.process_time()
if sys.argv[2] == "stats":
    answer = tracker.get_stats()
else:
    answer = [len(tracker.get_pending_downloads()), len(tracker.get_pending_mark_paths())]
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
print(json.dumps([wall, cpu, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, answer]))
"""


def inside(python: str, code: str, answers: dict[str, object], *arguments: object) -> Usage:
    """Calls inside a process of their own; its answer goes into `answers` under its first words.

    Raises:
        Failed: the answer is another than that of an earlier one.
    """
    command = [python, "-c", code.format(key=KEY, records=RECORDS), *(str(one) for one in arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise Failed(done.stderr[-400:])
    wall, cpu, memory, answer = json.loads(done.stdout)
    expected = answers.setdefault(str(arguments[1]), answer)
    if answer != expected:
        raise Failed(f"{answer} is another answer than {expected}")
    return Usage(wall, cpu, memory, {"records/s": RECORDS / wall})


def open_mode(python: str, environ: Mapping[str, str], client: Client, folder: Path) -> Usage:
    """The app until its mode Registry shows the counts of the baseline."""
    begun = time.monotonic()
    with Terminal([*maap(python), "tui"], {**environ, "HOME": str(folder), "TERM": "xterm-256color"}) as app:
        app.wait_for(b"Browse")
        app.read(0.5)
        app.type(b"4")
        app.wait_until(lambda: bool(app.picture.line_with(NAMES[1])), NAMES[1])
        app.wait_until(lambda: COUNTED.search(app.picture.line_with(NAMES[1])) is not None, "the counts")
        return Usage(time.monotonic() - begun, cpu_of(app.pid), peak_of(app.pid))


def main() -> int:
    def extend(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--lines", type=int, help="lines discovered")

    bench = Bench(__doc__, extend)
    lines = bench.options.lines or (1200 if bench.quick else 1_000_000)
    days = min(DAYS, max(1, lines // 100))
    versions = {name: version_of(python) for name, python in bench.ours.items()}
    bench.heading("Registry", versions | peers.versions("maap-client"), peers.missing("maap-client"))
    server = Server("http://127.0.0.1:9")  # nothing is asked of it
    with bench.folder() as folder:
        root = folder / "registry"
        fill(root, NAMES, days=days, per_day=lines // days)
        time.sleep(0 if bench.quick else 2.1)  # what changed within two seconds is not kept by anybody
        last = sorted((root / "urls").rglob("url_*.txt"))[-1]
        environ = {**server.environ(), "MAAP_REGISTRY_DIR": str(root)}

        def kept(name: str) -> dict[str, str]:
            return {**environ, "MAAP_STATE_DIR": str(folder / f"state-{name}")}

        def change(home: Path) -> None:
            server.make_home(home)
            content = last.read_text().splitlines(keepends=True)
            last.write_text("".join([*content[1:], content[0]]))

        show, pending = ["state", "show", *NAMES], ["state", "pending", *NAMES]
        everyone: list[Client] = []
        reaches: list[Reach] = []

        def add(
            name: str,
            words: list[str],
            environ: Mapping[str, str],
            prepare: Callable[[Path], object] = server.make_home,
            measure: Callable[[Client, Path], Usage] | None = None,
        ) -> None:
            everyone.append(Client(name, lambda folder: words, environ, prepare=prepare, measure=measure))

        for words, title in ((show, "state show"), (pending, "state pending")):
            for one, python in bench.ours.items():
                command = [*maap(python), *words]
                add(f"{one} {title}, cold", command, environ)
                add(f"{one} {title}, again", command, kept(one))
                if words is show:
                    add(f"{one} {title}, one day more", command, kept(one), prepare=change)
            if peers.has("maap-client"):
                add(f"maap-client {title}", [peers.maap_client(), *words], environ)
            peer = f"maap-client {title}"
            reaches += [Reach(f"{OURS} {title}, cold", "cpu", 0.25, peer)]
            reaches += [Reach(f"{OURS} {title}, cold", "memory", 80)]
            reaches += [Reach(f"{OURS} {title}, again", "cpu", 0.03, peer)]
        for one, python in bench.ours.items():
            for title, chosen in (("cold", environ), ("again", kept(one))):
                mode = partial(open_mode, python, chosen)
                add(f"{one} opens Registry, {title}", [], chosen, measure=mode)
        reaches += [Reach(f"{OURS} opens Registry, cold", "cpu", 0.25, "maap-client state show")]
        reaches += [Reach(f"{OURS} opens Registry, cold", "memory", 80)]
        for one, python in bench.ours.items():  # what "again" stands on
            home = folder / f"home-{one}"
            home.mkdir()
            server.make_home(home)
            subprocess.run(
                [*maap(python), *show], env={**kept(one), "HOME": str(home)}, check=True, stdout=-3
            )
        bench.play(Work(f"{lines:,} lines", everyone, reaches), folder)
        _play_library(bench, folder, root, lines)
    return 1 if bench.failed else 0


def _play_library(bench: Bench, folder: Path, root: Path, lines: int) -> None:
    """The same calls inside a process, and appends with their fsync."""
    answers: dict[str, object] = {}
    everyone: list[Client] = []

    def add(name: str, python: str, code: str, what: str, cache: object) -> None:
        def measure(client: Client, place: Path) -> Usage:
            where = root if what != "append" else place / "registry"
            return inside(python, code, answers, where, what, cache or place / "cache")

        everyone.append(Client(name, lambda folder: [], {}, measure=measure))

    for one, python in bench.ours.items():
        add(f"{one} counts, cold", python, OURS_CODE, "stats", None)
        add(f"{one} counts, again", python, OURS_CODE, "stats", folder / f"cache-{one}")
        add(f"{one} pending", python, OURS_CODE, "pending", None)
    if peers.has("maap-client"):
        add("maap-client counts", peers.python(), PEER_CODE, "stats", None)
        add("maap-client pending", peers.python(), PEER_CODE, "pending", None)
    bench.play(Work(f"library, {lines:,} lines", everyone), folder)
    everyone.clear()
    for one, python in bench.ours.items():
        add(f"{one}, with fsync", python, OURS_CODE, "append", None)
    measures = ("cpu", "wall", "memory", "records/s")
    bench.play(Work(f"{RECORDS:,} records", everyone, measures=measures), folder)


if __name__ == "__main__":
    sys.exit(main())
