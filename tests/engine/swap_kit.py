"""An archive in which a baseline is processed again, and what has to be true of a swap."""

from __future__ import annotations

import functools
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from maap_tui.engine.integrity.verify import verify
from maap_tui.engine.model import parse_zulu
from maap_tui.engine.registry.entries import Key
from maap_tui.engine.session import Session
from maap_tui.engine.swaps.book import HOLDING, SwapBook
from maap_tui.engine.swaps.plan import SwapNames
from tests.engine.raw_server import COLLECTION, Answer, Asked, page

PRODUCT = "CPR_CLD_2A"
NAMES = SwapNames(COLLECTION, PRODUCT, "BA", "BC")
OLD, NEW = (Key("EarthCARE", COLLECTION, PRODUCT, baseline) for baseline in ("BA", "BC"))
DAY = datetime(2025, 12, 1, 23, 20, tzinfo=UTC)
"""Granules go over midnight: the sensing day is not the same for all."""


@functools.cache
def content(name: str) -> bytes:
    """A small file that is whole, another one for each name."""
    if name.endswith(".HDR"):
        return f'<?xml version="1.0"?>\n<Earth_Explorer_Header>{name}</Earth_Explorer_Header>\n'.encode()
    import h5py  # takes long, and most tests need no file of its kind

    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        file.attrs["name"] = name
        file["height"] = list(range(8))
    return memory.getvalue()


@dataclass(frozen=True)
class Published:
    """A granule at the archive."""

    spot: int
    baseline: str
    version: int = 0
    """Counts the processings in this baseline."""
    shift_s: int = 0
    """Seconds by which this processing begins later."""
    suffixes: tuple[str, ...] = (".h5",)

    @property
    def start(self) -> datetime:
        return DAY + timedelta(minutes=12 * self.spot, seconds=self.shift_s)

    @property
    def name(self) -> str:
        created = f"202512{10 + 'BA BC'.split().index(self.baseline) * 5 + self.version:02d}T000000Z"
        spot = f"{8574 + self.spot // 8:05d}{'ABCDEFGH'[self.spot % 8]}"
        return f"ECA_EX{self.baseline}_{PRODUCT}_{self.start:%Y%m%dT%H%M%S}Z_{created}_{spot}"


@dataclass
class SwapArchive:
    """What `RawServer` answers from."""

    published: list[Published] = field(default_factory=list)
    base: str = ""
    """The address of the server."""
    gone: set[str] = field(default_factory=set)
    """Names whose files are not there any more."""

    def answer(self, asked: Asked) -> Answer:
        if "/data/" in asked.path:
            file = asked.path.rpartition("/")[2]
            return (404, b"") if Path(file).stem in self.gone else content(file)
        if not asked.path.rstrip("/").endswith("/search") or asked.body is None:
            return {"type": "Catalog", "links": []}
        text = json.dumps(asked.body).lower()
        start, end = map(parse_zulu, asked.body["datetime"].split("/"))
        found = [
            self._item(one)
            for one in self.published
            if ("version" not in text or f"'{one.baseline.lower()}'" in text) and start <= one.start <= end
        ]
        return page(found, len(found))

    def _item(self, one: Published) -> dict[str, object]:
        folder = f"{self.base}data/EarthCARE/{PRODUCT}/{one.baseline}/{one.start:%Y/%m/%d}/{one.name}"
        assets = {
            f"enclosure{suffix}": {
                "href": f"{folder}/{one.name}{suffix}",
                "file:size": len(content(one.name + suffix)),
            }
            for suffix in one.suffixes
        }
        properties = {"product:type": PRODUCT, "version": one.baseline.lower()}
        return {"type": "Feature", "id": one.name, "properties": properties, "assets": assets}


def whole(session: Session, key: Key) -> dict[str, str]:
    """Granule name -> path of what is recorded as downloaded and has the bytes of the archive."""
    found = {}
    for file in session.registry.baseline(key).downloads():
        path = Path(file.path)
        if path.is_file() and path.read_bytes() == content(path.name):
            found[path.stem] = file.path
    return found


def cleaned(session: Session, key: Key) -> dict[str, str]:
    """Granule name -> path of what a clean-up deleted."""
    tracker = session.registry.baseline(key)
    days = {file.day for file in tracker.downloads()}
    return {Path(path).stem: path for day in days for path in tracker.deleted(day)}


def wrong_with(session: Session) -> list[str]:
    """Where registry, hashes, lists of deletions, journal of the swap and disk do not agree."""
    return [*_wrong_files(session), *_wrong_states(session)]


def _wrong_files(session: Session) -> Iterator[str]:
    for key in (OLD, NEW):
        tracker = session.registry.baseline(key)
        for checked in verify(session.registry, session.hashes, [key]):
            verdict = checked.verdict
            if verdict.is_bad or (verdict.state == "good" and not verdict.is_hashed):
                yield f"{verdict.path}: {verdict.sentence}"
        for file in tracker.downloads():
            if Path(file.path).exists() == (file.path in tracker.deleted(file.day)):
                yield f"{file.path} counts as {'deleted' if Path(file.path).exists() else 'here'}"
    recorded = {file.path for key in (OLD, NEW) for file in session.registry.baseline(key).downloads()}
    for path in session.dirs.data_dir.rglob("*.h5"):
        if str(path) not in recorded:
            yield f"{path} is not recorded"


def _wrong_states(session: Session) -> Iterator[str]:
    book = SwapBook(session.registry.root, OLD, NEW).read()
    old, new = whole(session, OLD), whole(session, NEW)
    marked = {path for path, _ in session.registry.baseline(OLD).marked()}
    for entry in book.entries.values():
        if entry.state in HOLDING and entry.had_old and entry.name not in old:
            yield f"{entry.name} is {entry.state} and its old file is gone"
        if entry.state == "swapped" and not marked.issuperset(file.path for file in entry.old):
            yield f"{entry.name} is swapped and still to be processed"
        if entry.state == "retired" and entry.name in old:
            yield f"{entry.name} is retired and still here"
        if entry.state in ("swapped", "fetched") and entry.successor not in new | cleaned(session, NEW):
            yield f"{entry.name} is {entry.state} without its successor"
