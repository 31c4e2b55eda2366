"""Measure the registry: appends, `stats` and pending lists on many lines; maap-client beside it where given.

    python bench/registry.py [LINES] [--peer PYTHON]

LINES discovered (default 200,000), 90 % downloaded, 50 % marked. PYTHON is an interpreter that has
maap-client; each measurement runs in a process of its own, so that peak memory is its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from datetime import date, timedelta
from pathlib import Path

PER_DAY = 1700
NAMES = ("EarthCARE", "EarthCAREL1Validated_MAAP", "CPR_NOM_1B", "DA")

OURS = """
import json, resource, sys, time
from datetime import date
from pathlib import Path
from maap_tui.engine.registry.baseline import BaselineRegistry
from maap_tui.engine.registry.counts import StatsCache
from maap_tui.engine.registry.entries import Key
root, what, cache = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
registry = BaselineRegistry(root, Key(*{names!r}), cache=StatsCache(cache))
wall, cpu = time.perf_counter(), time.process_time()
if what == "stats":
    answer = registry.stats().as_dict()
elif what == "pending":
    answer = [len(registry.pending_downloads()), len(registry.pending_marks())]
else:
    day, answer = date(2030, 1, 1), 1000
    for number in range(1000):
        url = f"https://archive.example/{{number:06d}}/{{'x' * 160}}.h5"
        registry.record(url, f"/data/{{number}}.h5", day)
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
print(json.dumps([wall, cpu, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, answer]))
"""

PEER = """
import json, resource, sys, time
from pathlib import Path
from maap_client.tracker import StateTracker
tracker = StateTracker(Path(sys.argv[1]), *{names!r})
wall, cpu = time.perf_counter(), time.process_time()
if sys.argv[2] == "stats":
    answer = tracker.get_stats()
else:
    answer = [len(tracker.get_pending_downloads()), len(tracker.get_pending_mark_paths())]
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
print(json.dumps([wall, cpu, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, answer]))
"""


def fill(root: Path, lines: int) -> None:
    """Write a registry as many runs would have left it: the last tenth of the days is pending."""
    days = max(1, lines // PER_DAY)
    for index in range(days):
        day = date(2024, 6, 1) + timedelta(days=index)
        stamp, pairs, paths = f"{day:%Y%m%d}", [], []
        for number in range(lines // days):
            name = f"ECA_JXDA_CPR_NOM_1B_{stamp}T{number % 86400:06d}Z_{stamp}T235959Z_{index:05d}A.h5"
            place = f"/data/earthcare/{'/'.join(NAMES)}/{day:%Y/%m/%d}/{name}"
            url = f"https://archive.example/data/earthcare-pdgs-01/EarthCARE/CPR_NOM_1B/DA/{day:%Y/%m/%d}/{name}"
            pairs.append(f"{url}|{place}\n")
            paths.append(f"{place}\n")
        done = len(pairs) if index < days * 0.88 else len(pairs) // 6
        for tree, prefix, content in (
            ("urls", "url", pairs),
            ("downloads", "dwl", pairs[:done]),
            ("marked", "mrk", paths if index < days / 2 else []),
        ):
            folder = root.joinpath(tree, *NAMES, f"{day.year}")
            folder.mkdir(parents=True, exist_ok=True)
            if content:
                (folder / f"{prefix}_{stamp}.txt").write_text("".join(content))


def run(python: str, code: str, *arguments: str) -> list:
    """Measure in a process of its own: wall seconds, CPU seconds, peak MB, answer."""
    command = [python, "-c", code.format(names=NAMES), *arguments]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lines", nargs="?", type=int, default=200_000)
    parser.add_argument("--peer", help="a Python that has maap-client")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root, cache = Path(folder, "registry"), Path(folder, "state")
        fill(root, options.lines)
        # The counts of a file that changed within the last two seconds are not kept.
        subprocess.run(["sleep", "2"], check=True)
        rows = []
        for label, what in (("stats, cold", "stats"), ("stats, cached", "stats"), ("pending", "pending")):
            rows.append((label, what, run(sys.executable, OURS, str(root), what, str(cache))))
        print(f"{options.lines:,} lines{'':16}wall s   CPU s  peak MB")
        for label, what, ours in rows:
            print(f"{label:22}{'maap':8}{ours[0]:8.3f}{ours[1]:8.3f}{ours[2]:9.0f}")
            if options.peer:
                peer = run(options.peer, PEER, str(root), what)
                ratio = f"{ours[1] / peer[1]:.3f}x CPU, {ours[2] / peer[2]:.3f}x memory"
                same = "same answer" if ours[3] == peer[3] else f"ANSWERS DIFFER: {ours[3]} {peer[3]}"
                print(f"{'':22}{'peer':8}{peer[0]:8.3f}{peer[1]:8.3f}{peer[2]:9.0f}  {ratio}, {same}")
        appended = run(sys.executable, OURS, str(root), "append", str(cache))
        print(
            f"{'1,000 records, fsync':22}{'maap':8}{appended[0]:8.3f}{appended[1]:8.3f}{appended[2]:9.0f}",
            end="",
        )
        print(f"  {1000 / appended[0]:,.0f}/s")


if __name__ == "__main__":
    main()
