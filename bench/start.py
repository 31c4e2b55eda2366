"""What a command takes before it does anything: CPU of the lightest ones, beside maap-client's and Python's.

    python bench/start.py [--rounds N] [--quick] [--beside NAME=PYTHON]

Of a home with a small registry, as installed commands. They are so short that each is run twenty times.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.kit import peers
from bench.kit.facts import NAMES
from bench.kit.harness import OURS, Bench, Client, Reach, Work, maap, version_of
from bench.kit.lines import fill
from bench.kit.servers import Server

ROUNDS = 20
COMMANDS = {
    "--version": ["--version"],
    "--help": ["--help"],
    "list": ["list"],
    "state show": ["state", "show", *NAMES],
    "search -h": ["search", "-h"],
}
NOTHING = "python -c pass"


def main() -> int:
    bench = Bench(__doc__)
    versions = {name: version_of(python) for name, python in bench.ours.items()}
    rounds = bench.options.rounds or (1 if bench.quick else ROUNDS)
    bench.heading("Start", versions | peers.versions("maap-client"), peers.missing("maap-client"), rounds)
    server = Server("http://127.0.0.1:9")  # nothing is asked of it

    def prepare(folder: Path) -> None:
        server.make_home(folder)
        fill(folder / "registry", NAMES, days=3, per_day=10)

    def client(name: str, words: list[str]) -> Client:
        return Client(name, lambda folder: words, server.environ(), prepare=prepare)

    everyone = [client(NOTHING, [sys.executable, "-c", "pass"])]
    reaches = [Reach(f"{OURS} --version", "cpu", 1.6, NOTHING)]
    for name, words in COMMANDS.items():
        everyone += [client(f"{one} {name}", [*maap(python), *words]) for one, python in bench.ours.items()]
        if peers.has("maap-client"):
            everyone.append(client(f"maap-client {name}", [peers.maap_client(), *words]))
        reaches.append(Reach(f"{OURS} {name}", "cpu", 0.35, f"maap-client {name}"))
    with bench.folder() as folder:
        bench.play(Work("start", everyone, reaches), folder, rounds)
    return 1 if bench.failed else 0


if __name__ == "__main__":
    sys.exit(main())
