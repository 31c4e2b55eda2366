"""Searches beside pystac-client and maap-client: CPU, time, requests; and memory as results grow.

    python bench/search.py [--rounds N] [--quick] [--only WORDS] [--beside NAME=PYTHON]

180 days with 122 granules each, of a catalogue that takes 300 ms for each answer, as text, as --json and as
`items_as_dicts` of pystac-client with the same pages of 1,000; then 22,000, 200,000 and 500,000 granules
of 180 days without a delay, once each, for the memory that they take.
"""

from __future__ import annotations

import re
import sys
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.kit import peers
from bench.kit.facts import BASELINE, COLLECTION, FIRST, NAMES, PRODUCT
from bench.kit.harness import OURS, Bench, Client, Reach, Usage, Work, maap, version_of
from bench.kit.servers import Server, stub

PEERS = ("pystac-client", "maap-client")
DELAY_S = 0.3
PAGE = 1000

PYSTAC_CLIENT = """
import sys
from pystac_client import Client
url, collection, product, baseline, start, end, limit = sys.argv[1:]
def equal(name, value):
    return {"op": "=", "args": [{"property": name}, value]}
search = Client.open(url).search(
    collections=[collection], datetime=f"{start}/{end}", limit=int(limit), filter_lang="cql2-json",
    filter={"op": "and", "args": [equal("product:type", product), equal("version", baseline)]},
)
for item in search.items_as_dicts():
    print(item["assets"]["enclosure_h5"]["href"])
"""


def clients(bench: Bench, server: Server, days: int, count: int) -> list[Client]:
    """Every client that finds all of them."""
    last = FIRST + timedelta(days=days - 1)
    span = ["--start", f"{FIRST:%Y-%m-%d}", "--end", f"{last:%Y-%m-%d}"]
    ends = [f"{FIRST:%Y-%m-%dT%H:%M:%SZ}", f"{last:%Y-%m-%dT23:59:59Z}"]
    query = [server.catalog_url, COLLECTION, PRODUCT, BASELINE, *ends, PAGE]

    def check(folder: Path) -> str:
        with (folder / "found").open() as file:
            names = {found[0] for line in file if (found := re.search(r"[^/\s\"]+\.h5", line))}
        return "" if len(names) == count else f"{len(names)} of {count} granules were found"

    def make(name: str, words: list[object], rounds: int = sys.maxsize) -> Client:
        line = [str(word) for word in words]
        return Client(name, lambda folder: line, server.environ(), check, server.make_home, "found", rounds)

    made = []
    for name, python in bench.ours.items():
        search: list[object] = [*maap(python), "search", *NAMES, *span, "-n", count + 1]
        made += [make(name, search), make(f"{name} --json", [*search, "--json"])]
    if peers.has("pystac-client"):
        made.append(make("pystac-client", [peers.python(), "-c", PYSTAC_CLIENT, *query]))
    if peers.has("maap-client"):
        words = [peers.maap_client(), "search", *NAMES, *span, "-n", count + 1]
        made.append(make("maap-client", words, rounds=1))
    return made


def grow(bench: Bench, folder: Path) -> None:
    """Print what growing results take of memory."""
    days = 3 if bench.quick else 180
    taken: dict[str, list[Usage]] = {}
    for total in (300, 600) if bench.quick else (22_000, 200_000, 500_000):
        with stub("--days", days, "--per-day", total // days) as server:
            count = total // days * days
            ours = [client for client in clients(bench, server, days, count) if "-client" not in client.name]
            work = Work(f"{count:,} granules, no delay", ours)
            for name, runs in bench.play(work, folder, rounds=1).items():
                taken.setdefault(name, []).extend(runs)
    bench.judge_growth(taken, "memory", 1.1)


def main() -> int:
    bench = Bench(__doc__)
    versions = {name: version_of(python) for name, python in bench.ours.items()}
    bench.heading("Searches", versions | peers.versions(*PEERS), peers.missing(*PEERS))
    days, per_day = (12, 10) if bench.quick else (180, 122)
    count = days * per_day
    with bench.folder() as folder:
        with stub("--days", days, "--per-day", per_day, "--delay", DELAY_S) as server:
            pages = -(-count // PAGE)
            reaches = [
                Reach(OURS, "wall", 0.5, "pystac-client"),
                Reach(OURS, "cpu", 1.3, "pystac-client"),
                Reach(f"{OURS} --json", "cpu", 1.3, "pystac-client"),
                Reach(OURS, "searches", pages * 1.1),
            ]
            title = f"{days} days, {count:,} granules, {DELAY_S * 1000:.0f} ms a request"
            measures = ("cpu", "wall", "memory", "searches", "requests", "MB")
            work = Work(
                title, clients(bench, server, days, count), reaches, measures, lambda: _counts(server)
            )
            bench.play(work, folder)
        grow(bench, folder)
    return 1 if bench.failed else 0


def _counts(server: Server) -> dict[str, float]:
    counts = server.counts()
    return {**counts, "MB": counts["bytes"] / 1e6}


if __name__ == "__main__":
    sys.exit(main())
