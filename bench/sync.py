"""A sync that finds nothing new, as cron runs it many times a day, beside maap-client's.

    python bench/sync.py [--rounds N] [--quick] [--lines N] [--beside NAME=PYTHON]

Three days of 122 granules, all of them here and in the registry, which has LINES of other days beside
(default 1,000,000). "days read" counts the day files that a run opened, by strace where that is installed.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.kit import peers
from bench.kit.facts import FIRST, NAMES
from bench.kit.harness import OURS, Bench, Client, Reach, Work, maap, version_of
from bench.kit.lines import MISSION, fill, write_day
from bench.kit.servers import Server, stub, write_body
from bench.kit.stub import Granules

DAYS, PER_DAY, SIZE = 3, 122, 400
OTHER_DAYS = 600


def days_read(words: list[str], environ: Mapping[str, str], home: Path) -> int | None:
    """The days of the registry that a run opens, None where that cannot be seen."""
    strace = peers.tool("strace")
    if not strace:
        return None
    trace = home / "trace"
    command = [strace, "-f", "-qq", "-e", "trace=open,openat", "-o", str(trace), *words]
    subprocess.run(command, env={**environ, "HOME": str(home)}, check=True, stdout=-3, stderr=-3)
    return len(set(re.findall(r"/(?:url|dwl|mrk)_(\d{8})\.txt", trace.read_text(errors="replace"))))


def main() -> int:
    def extend(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--lines", type=int, help="lines of other days")

    bench = Bench(__doc__, extend)
    lines = bench.options.lines or (1200 if bench.quick else 1_000_000)
    per_day = 10 if bench.quick else PER_DAY
    other = min(OTHER_DAYS, lines // 100)
    versions = {name: version_of(python) for name, python in bench.ours.items()}
    bench.heading(
        "Sync with nothing new", versions | peers.versions("maap-client"), peers.missing("maap-client")
    )
    options = ("--days", DAYS, "--per-day", per_day, "--size", SIZE)
    with bench.folder() as folder, stub(*options) as server:
        root, data = folder / "registry", folder / "data"
        fill(root, NAMES, days=other, per_day=lines // other)
        _fetch(root, data, server, per_day)
        environ = {**server.environ(), "MAAP_REGISTRY_DIR": str(root), "MAAP_DATA_DIR": str(data)}
        last = FIRST + timedelta(days=DAYS - 1)
        words = ["sync", *NAMES, "--start", f"{FIRST:%Y-%m-%d}", "--end", f"{last:%Y-%m-%dT23:59:59Z}"]
        count = sum(1 for _ in data.rglob("*.h5"))

        def check(home: Path) -> str:
            found = sum(1 for _ in data.rglob("*.h5"))
            return "" if found == count else f"{found - count} files came that were here already"

        everyone, reaches = [], [Reach(OURS, "cpu", 0.5)]
        commands = {name: [*maap(python), *words] for name, python in bench.ours.items()}
        if peers.has("maap-client"):
            commands["maap-client"] = [peers.maap_client(), *words]
        for name, command in commands.items():
            everyone.append(Client(name, partial(_given, command), environ, check, server.make_home))
        title = f"sync of {DAYS} days, {lines:,} lines of other days"
        measures = ("cpu", "wall", "memory", "requests")
        bench.play(Work(title, everyone, reaches, measures, server.counts), folder)
        for name, command in commands.items():
            home = folder / f"home-{name}"
            home.mkdir()
            server.make_home(home)
            seen = days_read(command, environ, home)
            print(f"{name}: {'not seen, as strace is not installed' if seen is None else seen} days read.\n")
    return 1 if bench.failed else 0


def _given(command: list[str], home: Path) -> list[str]:
    return command


def _fetch(root: Path, data: Path, server: Server, per_day: int) -> None:
    """Leave what an earlier sync would have left: the files, and the lines of the registry."""
    granules = Granules(DAYS, per_day, server.url, SIZE)
    body = data / "body"
    data.mkdir()
    write_body(body, SIZE)
    for index in range(DAYS):
        day = FIRST + timedelta(days=index)
        place = data.joinpath(MISSION, *NAMES, f"{day:%Y}", f"{day:%m}", f"{day:%d}")
        place.mkdir(parents=True)
        pairs = []
        for number in range(index * per_day, (index + 1) * per_day):
            url = granules.url(number)
            path = place / url.rpartition("/")[2]
            os.link(body, path)
            pairs.append((url, str(path)))
        write_day(root, NAMES, day.date(), pairs)
    body.unlink()


if __name__ == "__main__":
    sys.exit(main())
