"""Our commands and maap-client at the same time on one registry: F20."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from maap_tui.demo import Archive
from maap_tui.engine.registry.baseline import BaselineRegistry
from tests.faults.figure import Figure
from tests.faults.forks import Forks
from tests.faults.same_file import NOW
from tests.faults.writers import DAY, KEY, entry

NAMES = (KEY.collection, KEY.product_type, KEY.baseline)

PEER = """
import json, sys, time
from datetime import date
from pathlib import Path
from maap_client.registry import Registry
from maap_client.tracker import StateTracker

root, names, urls = Path(sys.argv[1]), sys.argv[2:6], Path(sys.argv[6]).read_text().splitlines()
data = Path(sys.argv[7])
registry, tracker = Registry(root, *names), StateTracker(root, *names, data_dir=data)
print("ready", flush=True)
for number, url in enumerate(urls):
    if (root / "enough").exists():
        break
    registry.save_urls([url], data)
    if number % 4 == 0:
        tracker.mark_downloaded(url)
    if number % 8 == 0:
        tracker.mark(str(data / url.rpartition("/")[2]))
    time.sleep(0.004)
else:
    number += 1
print(number, flush=True)
sys.stdin.readline()
print(json.dumps([tracker.get_stats(), sorted(tracker.get_pending_downloads()),
                  sorted(tracker.get_pending_mark_paths())]))
"""


@dataclass
class Beside:
    """What came of our runs beside the other program's."""

    runs: int = 0
    rewrites: int = 0
    """How often the other program has rewritten the file meanwhile."""
    failed: list[str] = field(default_factory=list)
    """Runs of ours that ended with another code than 0."""
    gone: int = 0
    """Lines of ours that were not there at the end of the run that wrote them."""
    lost: int = 0
    """Lines of ours that were not there after the last run either, or downloads and marks at any end."""
    twice: int = 0
    """Lines of ours that are there more than once."""
    differs: list[str] = field(default_factory=list)
    """What the two programs read differently in the end."""

    @property
    def is_right(self) -> bool:
        return not (self.failed or self.lost or self.twice or self.differs)


def sync_and_mark() -> int:
    """Fetch one more file, then mark it: two of our commands."""
    from maap_tui.cli.main import main

    code = main(["sync", *NAMES, "--date", f"{DAY}", "--frame", "D,E", "-n", "1", "-q"])
    if code:
        return code
    downloaded = BaselineRegistry(Path(os.environ["MAAP_REGISTRY_DIR"]), KEY).pending_marks()
    paths = [one.path for one in downloaded if os.path.exists(one.path)]
    return main(["state", "mark", "-q", *paths]) if paths else 0


def run_beside(rounds: int, folder: Path, archive: Archive, python: str) -> Beside:
    """Let both programs work on one registry, ours again and again."""
    done = Beside()
    home = folder / "home"
    archive.prepare(home)
    root = home / "registry"
    theirs = folder / "urls.txt"
    theirs.write_text("".join(f"{entry(77777, number).url}\n" for number in range(50_000)))
    environ = {**archive.environment(home), "HOME": str(home), "MAAP_DOWNLOADS_MIN_FREE": "0"}
    registry = BaselineRegistry(root, KEY)
    found: set[str] = set()
    with (
        Forks(folder / "told") as forks,
        subprocess.Popen(
            [python, "-c", PEER, str(root), KEY.mission, *NAMES, str(theirs), str(home / "data")],
            env={**os.environ, "HOME": str(home)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as peer,
    ):
        assert peer.stdout is not None
        peer.stdout.readline()
        try:
            for number in range(rounds + 1):
                if number == rounds:
                    # The last run has the registry for itself: what is gone has to come back.
                    (root / "enough").touch()
                    done.rewrites = int(peer.stdout.readline())
                child = forks.begin("tests.faults.beside_peer:sync_and_mark", environ=environ)
                if code := child.wait():
                    done.failed.append(f"{code}: {child.told()}")
                done.runs += 1
                here = {one.url for one in registry.urls() if "_77777C" not in one.url}
                found |= here
                done.gone += len(found - here)
                done.lost += _unrecorded(home, registry)
            done.lost += len(found - here)
            lines = registry.day_file("url", DAY).read_text().splitlines()
            done.twice = len(lines) - len(set(lines))
            told, _ = peer.communicate("\n", timeout=60)
        finally:
            peer.kill()
    stats, downloads, marks = json.loads(told)
    ours = [
        registry.stats().as_dict(),
        sorted(one.url for one in registry.pending_downloads()),
        sorted(one.path for one in registry.pending_marks()),
    ]
    for what, mine, other in zip(
        ("counts", "downloads", "marks"), ours, (stats, downloads, marks), strict=True
    ):
        if mine != other:
            done.differs.append(f"{what}: {str(mine)[:300]} / {str(other)[:300]}")
    return done


def _unrecorded(home: Path, registry: BaselineRegistry) -> int:
    """How many of our files are here and not recorded as downloaded, or not as marked."""
    here = {str(path) for path in (home / "data").rglob("*.h5")}
    recorded = {one.path for one in registry.downloads()}
    marked = {path for path, _ in registry.marked()}
    return len(here - recorded) + len(here - marked)


def measure_beside_peer(rounds: int, folder: Path, python: str) -> Figure:
    """F20: our runs beside maap-client's, by an interpreter that has it, on the same registry."""
    with Archive.start(now=NOW, offline_days=36500) as archive:
        done = run_beside(rounds, folder, archive, python)
    return Figure(
        "F20",
        f"{done.runs} runs while maap-client rewrote the same file {done.rewrites} times",
        "0 lines lost, the same state read by both",
        f"{done.lost} lost ({done.gone} back after the next run), {done.twice} twice, "
        f"{len(done.failed)} runs failed, {len(done.differs)} differences"
        + "".join(f"; {text}" for text in (*done.failed[:2], *done.differs)),
        done.is_right,
    )
