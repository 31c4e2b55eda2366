"""News, sets, covers, disclaimers, swaps and studies beside brute force: the same answer from everything.

    python bench/brute_force.py [--rounds N] [--quick] [--only WORDS] [--beside NAME=PYTHON]

News: what came since yesterday, against a search of all sensing times that keeps what was published or
changed since.
Sets: what of three products is complete by orbit and frame, against three searches whose granules are
compared each with each. Covers: the fewest of many dates for all frames, against every choice of dates.
Disclaimers: which granules 2000 of them affect, against comparing each granule with each of them.
Swaps: which of many granules take the place of which, against comparing each with each. Studies: what is here
of some days, verified and hashed, against a search whose files are hashed one by one. Tables: what a search
finds in pandas and as GeoJSON, against a loop over the pages; as GeoParquet, against all pages given to the
library at once; and awaited by days, against threads. Sums: an MD5 taken as the bytes come, against reading
the file again.
Each has to give the same answer as the brute force.
"""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.kit.harness import OURS, Bench, Client, Reach, Work, maap, version_of
from maap_tui.demo.archive import Archive

COLLECTION, PRODUCT, BASELINE = "EarthCAREL2Validated_MAAP", "CPR_CLD_2A", "BC"
MEMBERS = ("CPR_CLD_2A", "ATL_EBD_2A", "MSI_COP_2A")
BRUTE = "brute force"
FAR_BACK = 500
"""Days of sensing in which everything lies that is processed again."""

NEWS = """
import json, subprocess, sys
since, *search = sys.argv[1:]
for line in subprocess.run(search, check=True, capture_output=True, text=True).stdout.splitlines():
    row = json.loads(line)
    if max(row["published"], row["updated"]) >= since:
        print(row["id"])
"""

SETS = """
import json, subprocess, sys
count = int(sys.argv[1])
search, products = sys.argv[2:-count], sys.argv[-count:]
found = []
for product in products:
    words = [product if word == "PRODUCT" else word for word in search]
    lines = subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()
    found.append([(row["orbit"], row["frame"]) for row in map(json.loads, lines)])
places = []
for of_one in found:
    for place in of_one:
        if not any(place == other for other in places):
            places.append(place)
for orbit, frame in places:
    have = [any(place == (orbit, frame) for place in of_one) for of_one in found]
    print(f"{orbit:05}{frame}", sum(have))
"""

COVERS = """
import itertools, random, sys
frames, dates, seeds = map(int, sys.argv[2:])
def choices(seed):
    chance = random.Random(seed)
    masks = [sum(1 << bit for bit in range(frames) if chance.random() < 0.12) for _ in range(dates)]
    return {date: mask or 1 for date, mask in enumerate(masks)}
def fewest(masks):
    whole = 0
    for mask in masks.values():
        whole |= mask
    for count in range(1, len(masks) + 1):
        for some in itertools.combinations(masks.values(), count):
            have = 0
            for mask in some:
                have |= mask
            if have == whole:
                return count
if sys.argv[1] == "maap":
    from maap_tui.engine.cover import smallest_cover
    def fewest(masks):
        found, is_fewest = smallest_cover(masks)
        assert is_fewest
        return len(found)
for seed in range(seeds):
    print(seed, fewest(choices(seed)))
"""


QUALITY = """
import json, subprocess, sys
cut = sys.argv.index("--")
def rows(words):
    lines = subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()
    return [json.loads(line) for line in lines]
sheet = rows([*sys.argv[1:cut], "quality", "list", "--json", "-q"])
for row in rows(sys.argv[cut + 1:]):
    for one in sheet:
        names = not one["baselines"] or row["baseline"] in one["baselines"]
        names = names and row["product_type"] in one["products"]
        if names and row["sensing_start"] <= one["end"] and row["sensing_end"] >= one["start"]:
            print(row["id"])
            break
"""

SWAPS = """
import sys
from datetime import UTC, datetime, timedelta
from maap_tui.engine.missions import Observation
from maap_tui.engine.swaps.pairs import Processing, pair
count = int(sys.argv[2])
begin, near = datetime(2025, 1, 1, tzinfo=UTC), timedelta(seconds=60)
def granules(letter, shift):
    found = []
    for number in range(count):
        start = begin + timedelta(seconds=700 * number + shift * (number % 7))
        label = f"{number // 8:05d}{'ABCDEFGH'[number % 8]}"
        end = start + timedelta(seconds=690)
        what = Observation(label)
        found.append(Processing(letter + label, number // 8, label[-1], what, start, end, (0,), label))
    return found
old, new = granules("o", 0), granules("n", 3)
del new[::50]
if sys.argv[1] == "maap":
    pairs = [(one.name, other.name) for one, other in pair(old, new, near).pairs]
else:
    pairs = []
    for one in old:
        for other in new:
            if one.observation.label == other.observation.label and abs(one.start - other.start) <= near:
                pairs.append((one.name, other.name))
for names in pairs:
    print(*names)
"""

STUDIES = """
import hashlib, json, pathlib, subprocess, sys
data, *search = sys.argv[1:]
here = {path.name: path for path in pathlib.Path(data).rglob("*.h5")}
for line in subprocess.run(search, check=True, capture_output=True, text=True).stdout.splitlines():
    path = here.get(json.loads(line)["url"].rpartition("/")[2])
    if path is not None:
        print(hashlib.sha256(path.read_bytes()).hexdigest())
"""

PAGES = """
import json, sys, urllib.request
from datetime import datetime
mode, root, start, end = sys.argv[1:]
names = "EarthCAREL2Validated_MAAP", "CPR_CLD_2A", "BC"
def pages(start, end):
    asked = {"collections": [names[0]], "datetime": f"{start}/{end}", "limit": 1000}
    asked |= {"filter-lang": "cql2-text", "filter": f"product:type = '{names[1]}' AND version = '{names[2]}'"}
    address, body, features = f"{root}/catalogue/search", asked, []
    while address:
        head = {"content-type": "application/json"}
        request = urllib.request.Request(address, json.dumps(body).encode(), head)
        with urllib.request.urlopen(request) as answer:
            page = json.load(answer)
        # What began before the time is listed too, where it reaches into it.
        features += [one for one in page["features"] if one["properties"]["start_datetime"] >= start[:19]]
        links = [one for one in page["links"] if one["rel"] == "next"]
        address, body = (links[0]["href"], {**body, **links[0].get("body", {})}) if links else ("", None)
    return features
"""

FRAMES = f"""{PAGES}
if mode == "maap":
    from maap_tui import MaapClient
    with MaapClient() as client:
        found = client.search(*names, *map(datetime.fromisoformat, (start, end)), all_versions=True)
    ids = list(found.to_pandas()["id"])
    features = found.to_geojson()["features"]
else:
    import pandas
    features = pages(start, end)
    frame = pandas.DataFrame([{{"id": one["id"], **one["properties"]}} for one in features])
    ids = list(frame["id"])
with open("found.geojson", "w") as file:
    json.dump({{"type": "FeatureCollection", "features": features}}, file)
for name in ids:
    print(name)
"""

PARQUET = f"""{PAGES}
import asyncio, os, subprocess, rustac
if mode == "maap":
    words = ["search", *names, "--start", start, "--end", end, "--all-versions", "-q", "-o", "found.parquet"]
    subprocess.run([sys.executable, "-m", "maap_tui", *words], check=True)
else:
    async def write():
        await rustac.write("found.parquet", pages(start, end))
    asyncio.run(write())
async def read():
    return await rustac.read("found.parquet")
for item in asyncio.run(read())["features"]:
    print(item["id"])
# Threads of rustac 0.9.18 may crash an interpreter that ends just after it was used.
sys.stdout.flush()
os._exit(0)
"""

AWAITED = f"""{PAGES}
from datetime import timedelta
first, last = map(datetime.fromisoformat, (start, end))
days = [first + timedelta(days=day) for day in range((last - first).days)]
spans = [(day, day + timedelta(days=1, microseconds=-1)) for day in days]
if mode == "maap":
    import asyncio
    from maap_tui import AsyncMaapClient
    async def look():
        async with AsyncMaapClient() as client:
            found = await asyncio.gather(*(client.search(*names, *span, all_versions=True) for span in spans))
        return [granule.id for one in found for granule in one.granules]
    ids = asyncio.run(look())
else:
    from concurrent.futures import ThreadPoolExecutor
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(pages, *zip(*([one.isoformat() for one in span] for span in spans))))
    ids = [one["id"] for features in found for one in features]
for name in ids:
    print(name)
"""

SUMS = """
import hashlib, os, sys
from pathlib import Path
from maap_tui.engine.integrity.running import Running
from maap_tui.engine.integrity.sums import Sum
path, piece = Path("file"), 8 << 20
offered = [Sum(*words.split(":")) for words in Path("sums").read_text().split()]
running = Running()
if sys.argv[1] == "maap":
    running.begin(offered)
with path.open("rb") as file:
    at = 0
    while data := file.read(piece):
        first = hashlib.sha256(data)
        if sys.argv[1] == "maap":
            running.add(data, at)
        at += len(data)
    if sys.argv[1] == "maap":
        lacking = running.lacking(offered, file.fileno(), at)
    else:
        lacking = []
        for one in offered:
            file.seek(0)
            if hashlib.file_digest(file, one.algorithm).hexdigest() != one.value:
                lacking.append(one)
print(at, len(lacking))
"""

DISCLAIMERS = 2000


class Answers:
    """What each piece of work gave first; all that come after it have to give the same."""

    def __init__(self) -> None:
        """Nothing was answered."""
        self._first: dict[str, list[str]] = {}

    def check(self, work: str, read: Callable[[str], str | None]) -> Callable[[Path], str]:
        """A check that reads an answer from each line of the output; None leaves the line out."""

        def compare(folder: Path) -> str:
            lines = (folder / "found").read_text().splitlines()
            found = sorted(row for line in lines if (row := read(line)) is not None)
            first = self._first.setdefault(work, found)
            if not found:
                return "nothing was found"
            return "" if found == first else f"{len(found)} rows differ from the {len(first)} of the first"

        return compare


def news(bench: Bench, archive: Archive, environ: Mapping[str, str], answers: Answers) -> Work:
    """Find what came since yesterday."""
    now = datetime.now(UTC)
    since = f"{now - timedelta(days=1):%Y-%m-%dT%H:00:00Z}"
    begin = f"{now - timedelta(days=FAR_BACK):%Y-%m-%d}"
    names = (COLLECTION, PRODUCT, BASELINE)
    brute = [sys.executable, "-c", NEWS, since, *maap(sys.executable), "search", *names, "--start", begin]
    brute += ["--all-versions", "--json"]
    checks = answers.check("news", lambda line: str(json.loads(line)["id"])), answers.check("news", str)
    ours = ["news", *names, "--since", since, "--list", "--json"]
    clients = beside(bench, lambda python: [*maap(python), *ours], [*brute, "-q"], environ, checks)
    return Work(
        "news since yesterday",
        clients,
        [Reach(OURS, "cpu", 1.0, BRUTE)],
        ("cpu", "wall", "memory", "searches", "MB"),
        lambda: counts(archive),
    )


def sets(bench: Bench, archive: Archive, environ: Mapping[str, str], answers: Answers) -> Work:
    """Look at a set of three products."""
    span = ["--start", "2025-12-01", "--end", "2025-12-02" if bench.quick else "2026-01-31"]

    def declare(folder: Path) -> None:
        home = Path(environ["MAAP_HOME"])
        text = (home / "config.toml").read_text()
        if "[sets.bench]" not in text:
            products = json.dumps([f"{COLLECTION}/{name}" for name in MEMBERS])
            (home / "config.toml").write_text(f"{text}\n[sets.bench]\nproducts = {products}\n")

    def row_of(line: str) -> str:
        row = json.loads(line)
        have = sum(member["state"] != "nowhere" for member in row["products"])
        return f"{row['orbit']:05}{row['frame']} {have}"

    search = [*maap(sys.executable), "search", COLLECTION, "PRODUCT", *span, "--json", "-q"]
    brute = [sys.executable, "-c", SETS, str(len(MEMBERS)), *search, *MEMBERS]
    checks = answers.check("sets", row_of), answers.check("sets", str)
    ours = ["set", "show", "bench", *span, "--json"]
    clients = beside(bench, lambda python: [*maap(python), *ours], brute, environ, checks, declare)
    return Work(
        "set of three products",
        clients,
        [Reach(OURS, "cpu", 1.0, BRUTE)],
        ("cpu", "wall", "memory", "searches", "MB"),
        lambda: counts(archive),
    )


def quality(bench: Bench, archive: Archive, environ: Mapping[str, str], answers: Answers) -> Work:
    """Find the granules that many disclaimers affect."""
    begin = datetime(2025, 12, 1, tzinfo=UTC)
    span = ["--start", f"{begin:%Y-%m-%d}", "--end", "2025-12-03" if bench.quick else "2026-01-31"]
    home = Path(environ["MAAP_HOME"])

    def declare(folder: Path) -> None:
        sheet = home / "disclaimers.csv"
        if sheet.exists():
            return
        rows = ["id,start,stop,products,baseline"]
        for number in range(DISCLAIMERS):
            at = begin + timedelta(minutes=number * 97 % 89_000)
            times = f"{at:%Y-%m-%dT%H:%M:%SZ},{at + timedelta(seconds=90):%Y-%m-%dT%H:%M:%SZ}"
            rows.append(f"{number},{times},{PRODUCT if number % 4 else 'MSI_COP_2A'},{BASELINE}")
        sheet.write_text("\n".join(rows) + "\n")
        config = (home / "config.toml").read_text()
        lines = [f"disclaimers = {json.dumps(str(sheet))}" if line.startswith("disclaimers =") else line
                 for line in config.splitlines()]  # fmt: skip
        (home / "config.toml").write_text("\n".join(lines) + "\n")
        subprocess.run([*maap(sys.executable), "quality", "update", "-q"], check=True, env=dict(environ),
                       stdout=subprocess.DEVNULL)  # fmt: skip

    def affected(line: str) -> str | None:
        row = json.loads(line)
        return str(row["id"]) if row["quality"] else None

    search = ["search", COLLECTION, PRODUCT, BASELINE, *span, "--json", "-q"]
    brute = [sys.executable, "-c", QUALITY, *maap(sys.executable), "--", *maap(sys.executable), *search]
    checks = answers.check("quality", affected), answers.check("quality", str)
    clients = beside(bench, lambda python: [*maap(python), *search], brute, environ, checks, declare)
    return Work(
        f"granules that {DISCLAIMERS} disclaimers affect",
        clients,
        [Reach(OURS, "cpu", 1.0, BRUTE)],
        ("cpu", "wall", "memory", "searches", "MB"),
        lambda: counts(archive),
    )


def covers(bench: Bench, environ: Mapping[str, str], answers: Answers) -> Work:
    """Find the fewest dates for all frames."""
    numbers = ["20", "18", "4"] if bench.quick else ["20", "20", "10"]
    clients = script(bench, COVERS, numbers, environ, answers.check("covers", str))
    title = f"fewest of {numbers[1]} dates for {numbers[0]} frames, {numbers[2]} times"
    return Work(title, clients, [Reach(OURS, "wall", 1.0, BRUTE)])


def swaps(bench: Bench, environ: Mapping[str, str], answers: Answers) -> Work:
    """Find what takes the place of what."""
    count = 400 if bench.quick else 4000
    clients = script(bench, SWAPS, [count], environ, answers.check("swaps", str))
    return Work(f"pairs of {count} granules of two baselines", clients, [Reach(OURS, "cpu", 1.0, BRUTE)])


def studies(bench: Bench, archive: Archive, environ: Mapping[str, str], answers: Answers) -> Work:
    """Freeze what is here of some days."""
    span = ["--start", "2025-12-01", "--end", "2025-12-01T03:00" if bench.quick else "2025-12-05"]
    names = (COLLECTION, PRODUCT, BASELINE)
    home = Path(environ["MAAP_HOME"])

    def fetch(folder: Path) -> None:
        subprocess.run([*maap(sys.executable), "sync", *names, *span, "-q"], check=True, env=dict(environ),
                       stdout=subprocess.DEVNULL)  # fmt: skip

    search = [*maap(sys.executable), "search", *names, *span, "--json", "-q"]
    brute = [sys.executable, "-c", STUDIES, str(home / "data"), *search]
    checks = (
        answers.check("studies", lambda line: str(json.loads(line)["sha256"])),
        answers.check("studies", str),
    )
    ours = ["freeze", *names, *span, "-o", "study", "--json", "-q"]
    clients = beside(bench, lambda python: [*maap(python), *ours], brute, environ, checks, fetch)
    return Work(
        "files of a study, hashed",
        clients,
        # Ours also looks at the structure of each file, and compares it with the hashes of when it came.
        [Reach(OURS, "cpu", 1.5, BRUTE)],
        ("cpu", "wall", "memory", "searches", "MB"),
        lambda: counts(archive),
    )


def frames(bench: Bench, archive: Archive, environ: Mapping[str, str], answers: Answers) -> Work:
    """Have what a search finds as a table and as GeoJSON, beside a loop over the pages of the catalogue."""
    return pages(bench, archive, environ, answers, "a search as pandas and GeoJSON", FRAMES, 2.0)


def parquet(bench: Bench, archive: Archive, environ: Mapping[str, str], answers: Answers) -> Work:
    """Write what a search finds as GeoParquet, beside all pages handed to the library at once."""
    return pages(bench, archive, environ, answers, "a search as GeoParquet", PARQUET, 1.3)


def awaited(bench: Bench, archive: Archive, environ: Mapping[str, str], answers: Answers) -> Work:
    """Await a search of each day, all at once, beside eight threads that loop over the pages."""
    return pages(bench, archive, environ, answers, "searches of days that are awaited", AWAITED, 2.0)


def pages(
    bench: Bench,
    archive: Archive,
    environ: Mapping[str, str],
    answers: Answers,
    title: str,
    text: str,
    most: float,
) -> Work:
    """A search of many days, beside a loop over the pages of the catalogue."""
    span = ["2025-12-01T00:00:00+00:00", f"{'2025-12-02' if bench.quick else '2025-12-21'}T00:00:00+00:00"]
    return Work(
        title,
        script(bench, text, [archive.url, *span], environ, answers.check(title, str)),
        [Reach(OURS, "cpu", most, BRUTE)],
        ("cpu", "wall", "memory", "searches", "MB"),
        lambda: counts(archive),
    )


def sums(bench: Bench, environ: Mapping[str, str], answers: Answers) -> Work:
    """Compare an MD5 as the bytes come, beside reading the file again once it is here."""
    size = (64 if bench.quick else 256) << 20

    def lay(folder: Path) -> None:
        data = random.Random(1).randbytes(1 << 20) * (size >> 20)
        (folder / "file").write_bytes(data)
        (folder / "sums").write_text(f"md5:{hashlib.md5(data).hexdigest()}:Content-MD5")

    return Work(
        f"the MD5 of a file of {size >> 20} MiB, as it comes",
        script(bench, SUMS, [], environ, answers.check("sums", str), lay),
        [Reach(OURS, "cpu", 1.1, BRUTE)],
    )


def beside(
    bench: Bench,
    ours: Callable[[str], Sequence[object]],
    brute: Sequence[object],
    environ: Mapping[str, str],
    checks: tuple[Callable[[Path], str], Callable[[Path], str]],
    prepare: Callable[[Path], object] = lambda folder: None,
) -> list[Client]:
    """Each version of ours, by the words for its interpreter, and brute force; `checks` are for these two."""
    clients = [
        Client(name, always(list(map(str, ours(python)))), environ, checks[0], prepare, output="found")
        for name, python in bench.ours.items()
    ]
    return [
        *clients,
        Client(BRUTE, always(list(map(str, brute))), environ, checks[1], prepare, output="found"),
    ]


def script(
    bench: Bench,
    text: str,
    numbers: Sequence[object],
    environ: Mapping[str, str],
    check: Callable[[Path], str],
    prepare: Callable[[Path], object] = lambda folder: None,
) -> list[Client]:
    """A script that does the work by ours or by brute force, as its first word says."""
    return beside(
        bench,
        lambda python: [python, "-c", text, "maap", *numbers],
        [sys.executable, "-c", text, "brute", *numbers],
        environ,
        (check, check),
        prepare,
    )


def always(words: Sequence[str]) -> Callable[[Path], Sequence[str]]:
    """The same command in every folder."""
    return lambda folder: words


def counts(archive: Archive) -> dict[str, float]:
    """Searches and bytes since the last look."""
    seen = {"searches": archive.stats.count("search"), "MB": archive.stats.show()["bytes_sent"] / 1e6}
    archive.stats.reset()
    return seen


def main() -> int:
    bench = Bench(__doc__)
    bench.heading("Brute force", {name: version_of(python) for name, python in bench.ours.items()})
    answers = Answers()
    with bench.folder() as folder, Archive.start(offline_days=365) as archive:
        home = folder / "maap"
        archive.prepare(home)
        environ = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", **archive.environment(home)}
        for work in (
            news(bench, archive, environ, answers),
            sets(bench, archive, environ, answers),
            covers(bench, environ, answers),
            quality(bench, archive, environ, answers),
            swaps(bench, environ, answers),
            studies(bench, archive, environ, answers),
            frames(bench, archive, environ, answers),
            parquet(bench, archive, environ, answers),
            awaited(bench, archive, environ, answers),
            sums(bench, environ, answers),
        ):
            bench.play(work, folder)
    return 1 if bench.failed else 0


if __name__ == "__main__":
    sys.exit(main())
