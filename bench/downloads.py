"""Downloads beside curl, aria2c, earthcare-downloader and maap-client: CPU, time and memory.

    python bench/downloads.py [--rounds N] [--quick] [--only WORDS] [--beside NAME=PYTHON]

Big files and small ones over http and https, files over a long line, and one file of a server that limits
each connection. Ours is measured as it is used: verified, hashed, durable; "flat" with --out-dir, "tracked"
in the dated layout with the registry. The peers do none of that. nginx serves everything.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.kit import peers
from bench.kit.facts import LIMIT_RATE, NAMES, TOKEN_PATH
from bench.kit.harness import OURS, Bench, Client, Reach, Work, maap, version_of
from bench.kit.servers import Server, archive, long_line, offline_token

MIB = 1024**2
PARALLEL = 8
BEARER = "Authorization: Bearer an-access-token"
ROUND_TRIP_S = 0.05
RANGES = 4
PEERS = ("curl", "aria2c", "earthcare-downloader", "maap-client", "nginx")

EARTHCARE_DOWNLOADER = """
import asyncio, sys
from datetime import datetime
from pathlib import Path
from earthcare_downloader import dl
from earthcare_downloader.params import File, TaskParams
urls, token_url, token = Path(sys.argv[1]).read_text().split(), sys.argv[2], sys.argv[3]
dl.TOKEN_URL = token_url
now = datetime(2025, 1, 1)
files = [File(url, "MSI_COP_2A", url.rpartition("/")[2], "BA", now, now, url) for url in urls]
task = TaskParams(int(sys.argv[4]), Path("out"), False, True, True, False)
asyncio.run(dl.download_files(files, task, token))
"""


class Addresses(Sequence[str]):
    """Addresses as the archive has them, 200 of a day, all of the same bytes.

    Each is made when it is asked for: what this process has in memory is the floor of what it measures.
    """

    def __init__(self, root: str, count: int) -> None:
        self._root = root
        self._numbers = range(count)

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, index: Any) -> Any:
        number = self._numbers[index]
        start = datetime(2025, 6, 1, tzinfo=UTC) + timedelta(days=number // 200, minutes=7 * (number % 200))
        orbit = f"{1000 + number // 8:05d}{'ABCDEFGH'[number % 8]}"
        stem = f"ECA_EXBA_MSI_COP_2A_{start:%Y%m%dT%H%M%S}Z_20260101T000000Z_{orbit}"
        day = f"earthcare-pdgs-01/EarthCARE/MSI_COP_2A/BA/{start:%Y/%m/%d}"
        return f"{self._root}/{day}/{stem}/{stem}/{stem}.h5"


def urls_of(server: Server, kind: str, count: int) -> Sequence[str]:
    """The addresses of so many files."""
    return Addresses(f"{server.url}/data/{kind}", count)


def clients(
    bench: Bench, server: Server, urls: Sequence[str], size: int, *, slow_rounds: int = sys.maxsize
) -> list[Client]:
    """Every client that fetches these files, `slow_rounds` times where it takes them one after the other."""
    environ = server.environ()

    def prepare(folder: Path) -> None:
        server.make_home(folder)
        with (folder / "urls").open("w") as file:
            file.writelines(f"{url}\n" for url in urls)
        (folder / "out").mkdir()
        with (folder / "curl").open("w") as file:
            file.writelines(f'url = "{url}"\noutput = "out/{url.rpartition("/")[2]}"\n' for url in urls)

    def check(folder: Path) -> str:
        found = [path.stat().st_size for name in ("out", "data") for path in (folder / name).rglob("*.h5")]
        if found == [size] * len(urls):
            return ""
        return f"{len(found)} of {len(urls)} files are here, {found.count(size)} of the right size"

    make = partial(Client, environ=environ, prepare=prepare, check=check)
    made = []
    for name, python in bench.ours.items():
        download = [*maap(python), "download", *NAMES, "-q", "-f", "urls"]
        made.append(make(f"{name} flat", _always([*download, "-o", "out"])))
        made.append(make(f"{name} tracked", _always(download)))
    words = [peers.python(), "-c", EARTHCARE_DOWNLOADER, "urls"]
    words += [server.url + TOKEN_PATH, offline_token(), str(PARALLEL)]
    others = {
        "curl": make("curl -Z", _always(curl(server))),
        "aria2c": make("aria2c", _always(aria2c(server, "-x1", f"-j{PARALLEL}"))),
        "earthcare-downloader": make("earthcare-downloader", _always(words)),
        "maap-client": make(
            "maap-client",
            _always([peers.maap_client(), "download", *NAMES, "-f", "urls"]),
            rounds=slow_rounds,
        ),
    }
    return made + [client for program, client in others.items() if peers.has(program)]


def _always(words: Sequence[str]) -> Callable[[Path], Sequence[str]]:
    return lambda folder: words


def curl(server: Server) -> list[str]:
    trust = ["--cacert", server.authority] if server.authority else []
    head = [peers.tool("curl"), "-q", "-Z", "--parallel-max", str(PARALLEL), "-sSf", *trust]
    return [*head, "-H", BEARER, "-K", "curl"]


def aria2c(server: Server, *options: str) -> list[str]:
    trust = [f"--ca-certificate={server.authority}"] if server.authority else []
    head = [peers.tool("aria2c"), "--no-conf", "-q", "--file-allocation=none", *trust, *options]
    return [*head, f"--header={BEARER}", "-d", "out", "-i", "urls"]


def big(scheme: str) -> list[Reach]:
    flat = f"{OURS} flat"
    reaches = [Reach(flat, "cpu", 1.3, "curl -Z")]
    if scheme == "https":
        reaches.append(Reach(flat, "cpu", 1.0, "aria2c"))
    return [*reaches, Reach(f"{OURS} tracked", "memory", 80)]


def small() -> list[Reach]:
    flat = f"{OURS} flat"
    return [
        Reach(flat, "cpu", 2.0, "curl -Z"),
        Reach(flat, "wall", 0.8, "aria2c"),
        Reach(f"{OURS} tracked", "cpu", 1.3, flat),
        Reach(f"{OURS} tracked", "wall", 1.3, flat),
    ]


def has_ranges(python: str) -> bool:
    """Whether a version of ours fetches one file in several ranges."""
    code = "from maap_tui.engine.config.settings import DownloadSettings as s; print(hasattr(s, 'ranges'))"
    return subprocess.run([python, "-c", code], capture_output=True, text=True).stdout.strip() == "True"


def limited(bench: Bench, server: Server, size: int) -> Work:
    """One file in several ranges: the only way to be quick where each connection is limited."""
    everyone = {client.name: client for client in clients(bench, server, urls_of(server, "limited", 1), size)}
    chosen = []
    for name, python in bench.ours.items():
        flat = everyone[f"{name} flat"]
        if has_ranges(python):
            environ = {**flat.environ, "MAAP_DOWNLOADS_RANGES": str(RANGES)}
            chosen.append(replace(flat, name=f"{name}, {RANGES} ranges", environ=environ))
        chosen.append(replace(flat, name=f"{name}, one stream", rounds=2))
    if "aria2c" in everyone:
        words = _always(aria2c(server, f"-x{RANGES}", f"-s{RANGES}", "-k1M"))
        chosen.append(replace(everyone["aria2c"], name=f"aria2c -x{RANGES}", words=words))
    ours = f"{OURS}, {RANGES} ranges"
    reaches = [
        Reach(ours, "wall", 1.1, f"aria2c -x{RANGES}"),
        Reach(ours, "wall", 1.05 / RANGES, f"{OURS}, one stream"),
    ]
    title = f"one file of {size // MIB} MiB, {LIMIT_RATE // MIB} MiB/s a connection"
    return Work(title, chosen, reaches)


def main() -> int:
    bench = Bench(__doc__)
    many, few, far_away = (20, 4, 10) if bench.quick else (2000, 16, 400)
    large = (2 if bench.quick else 128) * MIB
    sizes = {"small": 100 * 1024, "big": large, "limited": large}
    versions = {name: version_of(python) for name, python in bench.ours.items()}
    left_out = peers.missing(*PEERS)
    for name, python in bench.ours.items():
        if not has_ranges(python):
            left_out.append(f"{name} with {RANGES} ranges, as that version has no setting downloads.ranges")
    bench.heading("Downloads", versions | peers.versions(*PEERS), left_out)
    with bench.folder() as folder:
        for tls in (False, True):
            with archive(folder, sizes, tls=tls) as server, long_line(server, ROUND_TRIP_S) as far:
                scheme = "https" if tls else "http"
                found = clients(bench, server, urls_of(server, "big", few), large)
                bench.play(Work(f"{few} x {large // MIB} MiB, {scheme}", found, big(scheme)), folder)
                found = clients(bench, server, urls_of(server, "small", many), 100 * 1024, slow_rounds=2)
                bench.play(Work(f"{many} x 100 KiB, {scheme}", found, small()), folder)
                found = clients(bench, far, urls_of(far, "small", far_away), 100 * 1024, slow_rounds=1)
                title = f"{far_away} x 100 KiB, {scheme}, {ROUND_TRIP_S * 1000:.0f} ms round trip"
                reaches = [Reach(f"{OURS} {kind}", "wall", 1.1, "curl -Z") for kind in ("flat", "tracked")]
                bench.play(Work(title, found, reaches), folder)
                if not tls:
                    bench.play(limited(bench, server, large), folder)
    return 1 if bench.failed else 0


if __name__ == "__main__":
    sys.exit(main())
