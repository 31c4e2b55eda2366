"""What ten million granules cost, from constants measured in the run: requests, bytes of the registry, time.

    python bench/model.py [--quick] [--granules N] [--size MB] [--rate MB] [--beside NAME=PYTHON]

Planned and downloaded are two numbers of granules, tracked, with files of 4 KiB; what one granule more takes
is the difference divided by the numbers', so that a start is left out. The model multiplies: nothing in it
depends on how many there are, which bench/growth.py and bench/registry.py measure. A plan is searched once;
jobs of `sync --shard` search all of it, each.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.downloads import urls_of
from bench.kit import peers
from bench.kit.facts import FIRST, NAMES
from bench.kit.harness import Bench, Client, Usage, maap, run, version_of
from bench.kit.servers import Server, archive, stub

PER_DAY = 122
TINY = 4096
SEARCH_S = 0.3
"""What an answer of the real catalogue takes (docs/service.md)."""
SEARCHES_AT_ONCE = 8
"""The default of search.parallel."""
TOKEN_LIFE_H = 10.0
WORKERS = (1, 16, 64)
START_MB = 50.0
"""What a process takes before it has any granule."""


@dataclass(frozen=True)
class Cost:
    """What one granule more takes."""

    searches: float
    plan_cpu: float
    plan_bytes: float
    fetch_cpu: float
    line_bytes: float
    """Bytes of the registry."""
    hash_bytes: float
    """Bytes of the state folder."""
    show_cpu: float
    memory: float
    """MB of a process that downloads."""


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def planned(folder: Path, python: str, days: int) -> tuple[Usage, float, int]:
    """Plan so many days; returns what it took, the searches, and the bytes of the plan."""
    with stub("--days", days, "--per-day", PER_DAY) as server:
        home = folder / f"plan-{days}"
        home.mkdir()
        server.make_home(home)
        last = FIRST + timedelta(days=days - 1)
        span = ["--start", f"{FIRST:%Y-%m-%d}", "--end", f"{last:%Y-%m-%dT23:59:59Z}"]
        words = [*maap(python), "plan", *NAMES, *span, "-q", "-o", "plan.jsonl"]
        server.counts()
        used = run(Client("plan", lambda folder: words, server.environ()), home)
        plan = home / "plan.jsonl"
        found = plan.read_bytes().count(b"\n")
        if found != days * PER_DAY:
            raise SystemExit(f"{found} of {days * PER_DAY} granules are in the plan")
        return used, server.counts()["searches"], plan.stat().st_size


def fetched(folder: Path, server: Server, python: str, count: int) -> tuple[Usage, Usage, int, int]:
    """Download so many; returns that, a first `state show`, the bytes of registry and of state."""
    home = folder / f"fetch-{count}"
    home.mkdir()
    server.make_home(home)
    (home / "urls").write_text("".join(f"{url}\n" for url in urls_of(server, "tiny", count)))
    words = [*maap(python), "download", *NAMES, "-q", "-f", "urls"]
    used = run(Client("download", lambda folder: words, server.environ()), home)
    lines, hashes = size_of(home / "registry"), size_of(home / ".maap" / "state")
    show = [*maap(python), "state", "show"]
    return used, run(Client("show", lambda folder: show, server.environ()), home), lines, hashes


def measured(bench: Bench, folder: Path, python: str) -> Cost:
    """The constants of one version of ours."""
    days = (2, 10) if bench.quick else (20, 180)
    few, many = [planned(folder, python, count) for count in days]
    more = (days[1] - days[0]) * PER_DAY
    counts = (40, 120) if bench.quick else (500, 4500)
    with archive(folder, {"tiny": TINY}) as server:
        start, end = [fetched(folder, server, python, count) for count in counts]
    fetches = counts[1] - counts[0]
    return Cost(
        searches=many[1] / (days[1] * PER_DAY),
        plan_cpu=(many[0].cpu - few[0].cpu) / more,
        plan_bytes=(many[2] - few[2]) / more,
        fetch_cpu=(end[0].cpu - start[0].cpu) / fetches,
        line_bytes=(end[2] - start[2]) / fetches,
        hash_bytes=(end[3] - start[3]) / fetches,
        show_cpu=max(end[1].cpu - start[1].cpu, 0.0) / fetches,
        memory=max(end[0].memory - start[0].memory, 0.0) / fetches,
    )


def report(name: str, cost: Cost, granules: int, size: float, rate: float) -> None:
    """Print the constants, what they come to, and the hours of so many workers."""
    searches = cost.searches * granules
    waits = searches * SEARCH_S / SEARCHES_AT_ONCE / 3600
    moved = granules * size / rate / 3600
    plan_h, fetch_h = cost.plan_cpu * granules / 3600, cost.fetch_cpu * granules / 3600
    rows = [
        ("searches", f"1 / {1 / cost.searches:,.0f}", f"{searches:,.0f}"),
        ("requests for files", "1", f"{granules:,}"),
        ("bytes of a plan", f"{cost.plan_bytes:.0f}", f"{cost.plan_bytes * granules / 1e9:.1f} GB"),
        ("bytes of the registry", f"{cost.line_bytes:.0f}", f"{cost.line_bytes * granules / 1e9:.1f} GB"),
        ("bytes of state", f"{cost.hash_bytes:.0f}", f"{cost.hash_bytes * granules / 1e9:.1f} GB"),
        ("CPU to plan", f"{cost.plan_cpu * 1e3:.2f} ms", f"{plan_h:.1f} h"),
        ("CPU to fetch and record", f"{cost.fetch_cpu * 1e3:.2f} ms", f"{fetch_h:.1f} h"),
        ("CPU of a first `state show`", f"{cost.show_cpu * 1e6:.1f} us", f"{cost.show_cpu * granules:.0f} s"),
        ("memory of one process", f"{cost.memory * 1e3:.1f} KB", f"{cost.memory * granules / 1e3:.1f} GB"),
    ]
    print(f"| {name} | a granule | {granules:,} granules |\n|---|---|---|")
    for what, one, every in rows:
        print(f"| {what} | {one} | {every} |")
    print(
        f"\n| {name}, hours | search and plan | CPU of a worker | {size:g} MB a granule at {rate:g} MB/s "
        "| in all | access tokens | MB a worker | searches, each `sync --shard` |\n"
        "|---|---|---|---|---|---|---|---|"
    )
    for count in WORKERS:
        work = fetch_h / count
        hours = waits + plan_h + max(work, moved)
        memory = START_MB + cost.memory * granules / count
        print(
            f"| {name}, {count} worker{'s' if count > 1 else ''} | {waits + plan_h:.1f} | {work:.2f} "
            f"| {moved:.1f} | {hours:.1f} | {-(-hours // TOKEN_LIFE_H):.0f} | {memory:,.0f} "
            f"| {count * searches:,.0f} |"
        )
    print(flush=True)


def main() -> int:
    def extend(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--granules", type=int, default=10_000_000, help="how many the model is of")
        parser.add_argument("--size", type=float, default=10.0, help="MB of a granule (default: 10)")
        parser.add_argument(
            "--rate", type=float, default=1000.0, help="MB a second of all together (default: 1000)"
        )

    bench = Bench(__doc__, extend)
    versions = {name: version_of(python) for name, python in bench.ours.items()}
    bench.heading("Model", versions | peers.versions("nginx"), peers.missing("nginx"), rounds=1)
    options = bench.options
    for name, python in bench.ours.items():
        with bench.folder() as folder:
            report(name, measured(bench, folder, python), options.granules, options.size, options.rate)
    print(bench.load())
    return 0


if __name__ == "__main__":
    sys.exit(main())
