"""Plans: what a search found as lines that another machine, or another program, fetches without searching.

A line names the file by URL, names and day, from which its path is made again wherever it is read: what a
plan says of paths is for programs that only copy.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

from maap_tui.engine.download.jobs import Report
from maap_tui.engine.download.requests import DownloadRequest
from maap_tui.engine.errors import InvalidRequestError, StorageError
from maap_tui.engine.integrity.hashes import pieces_of
from maap_tui.engine.integrity.verify import GOOD, UNREADABLE, Verdict
from maap_tui.engine.model import Granule
from maap_tui.engine.registry.entries import Key, TrackedFile
from maap_tui.engine.shard import Shard
from maap_tui.engine.storage.names import url_fault
from maap_tui.engine.workflows.filing import Chosen
from maap_tui.engine.workflows.parts import Parts

MAX_LINE = 20_000
"""Characters a line of a plan may have."""
_AT_A_TIME = 1000
"""Lines that are registered in one step."""


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """One file of a plan."""

    url: str
    key: Key
    day: date
    """Day of the sensing start, UTC."""
    size: int | None = None
    """Bytes that the archive announces; None when it does not."""
    path: str = ""
    """Where it goes, below the data folder."""

    def as_record(self) -> dict[str, Any]:
        """The line of it, ready for JSON."""
        return {
            "url": self.url,
            "path": self.path,
            "size": self.size,
            "mission": self.key.mission,
            "collection": self.key.collection,
            "product_type": self.key.product_type,
            "baseline": self.key.baseline,
            "day": self.day.isoformat(),
        }


@dataclass(slots=True)
class Plan:
    """The files of a plan that was read."""

    files: list[PlannedFile] = field(default_factory=list)
    """Each URL once, in order."""
    refused: list[tuple[int, str, str]] = field(default_factory=list)
    """Lines that cannot be used: number from 1, the line, and why."""

    def of(self, shard: Shard | None) -> list[PlannedFile]:
        """Those of one part; None means all."""
        return self.files if shard is None else [one for one in self.files if one.url in shard]


def planned(
    parts: Parts,
    granules: Iterable[Granule],
    chosen: Chosen,
    refuse: Callable[[str, InvalidRequestError], None],
) -> Iterator[PlannedFile]:
    """The files of granules, and where they will be.

    Args:
        parts: the engine.
        granules: what a search found.
        chosen: the files meant of each.
        refuse: is called with the URL of each file whose names are refused, and why.
    """
    data_dir = parts.dirs.data_dir
    product_dir = parts.in_product_dir(None)
    for granule in granules:
        for request in parts.filing.requests_of(
            granule,
            chosen.files(granule),
            product_dir=product_dir,
            refuse=lambda asset, error: refuse(asset.href, error),
        ):
            path = request.path.relative_to(data_dir).as_posix()
            yield PlannedFile(request.url, parts.filing.key_of(granule), granule.day, request.size, path)


def read_plan(text: str) -> Plan:
    """Read a plan, as `PlannedFile.as_record` writes its lines; blank lines are left out."""
    plan = Plan()
    seen: set[str] = set()
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            one = _planned_file(line)
        except (ValueError, RecursionError, InvalidRequestError) as error:
            reason = error.message if isinstance(error, InvalidRequestError) else "it is not a line of a plan"
            plan.refused.append((number, line, reason))
            continue
        if one.url not in seen:
            seen.add(one.url)
            plan.files.append(one)
    return plan


def _planned_file(line: str) -> PlannedFile:
    data = json.loads(line) if len(line) <= MAX_LINE else None
    if not isinstance(data, dict):
        raise ValueError
    texts = [data.get(name) for name in ("mission", "collection", "product_type", "baseline", "url", "day")]
    size = data.get("size")
    if not all(isinstance(text, str) for text in texts):
        raise ValueError
    if size is not None and (not isinstance(size, int) or isinstance(size, bool) or size < 0):
        raise ValueError
    mission, collection, product_type, baseline, url, day = map(str, texts)
    if fault := url_fault(url):
        raise InvalidRequestError(fault)
    path = data.get("path")
    key = Key(mission, collection, product_type, baseline)
    return PlannedFile(url, key, date.fromisoformat(day), size, path if isinstance(path, str) else "")


def request_of(parts: Parts, one: PlannedFile) -> DownloadRequest:
    """A planned file as a file to fetch; its path is made again from its names.

    Raises:
        InvalidRequestError: when the URL names no usable file.
    """
    file = TrackedFile(one.key, one.day, one.url)
    request = parts.filing.request_of_tracked(file, product_dir=parts.in_product_dir(None))
    return replace(request, size=one.size)


async def download_plan(parts: Parts, files: Sequence[PlannedFile]) -> Report:
    """Download files of a plan: registered as discovered first, and recorded as they come.

    Raises:
        StorageError: the registry cannot be written.
    """
    async with parts.downloads(verb="download") as downloads:
        for at in range(0, len(files), _AT_A_TIME):
            some = files[at : at + _AT_A_TIME]
            requests: list[DownloadRequest] = []
            for one in some:
                try:
                    requests.append(request_of(parts, one))
                except InvalidRequestError as error:
                    downloads.refuse(one.url, error.message, permanent=True)
            refused = await asyncio.to_thread(_register, parts, requests)
            for request in requests:
                if request.url in refused:
                    downloads.refuse(request.url, refused[request.url], permanent=True)
                else:
                    downloads.add(request)
        return await downloads.join()


def _register(parts: Parts, requests: Iterable[DownloadRequest]) -> dict[str, str]:
    """Register files as discovered; returns the URLs that the registry refuses, and why."""
    added = parts.registry.add(file for request in requests if (file := request.tracked) is not None)
    return {file.url: reason for file, reason in added.refused}


def import_plan(parts: Parts, files: Sequence[PlannedFile]) -> Iterator[tuple[PlannedFile, Verdict, bool]]:
    """Record files of a plan that another program put where they belong.

    A file is read whole, compared with the size that the archive announced and with its own structure, and
    recorded with its hash as if it had been downloaded here.

    Args:
        parts: the engine.
        files: those of the plan.

    Returns:
        Each file, what was found of it, and whether it was not recorded before.

    Raises:
        StorageError: the registry or the hashes cannot be read or written.
    """
    judge = parts.judge()
    for one in files:
        try:
            request = request_of(parts, one)
        except InvalidRequestError as error:
            yield one, Verdict(one.path, one.url, UNREADABLE, error.message), False
            continue
        tracker = parts.registry.baseline(one.key)
        known = {file.url: file.path for file in tracker.downloads(one.day, one.day)}
        if known.get(one.url) == str(request.path):
            yield one, judge.judge(request.path, one.url, tracked=(one.key, one.day)), False
            continue
        verdict = judge.judge(request.path, one.url, size=one.size, read_all=False)
        if verdict.state != GOOD:
            yield one, verdict, False
            continue
        refused = _register(parts, [request])
        if refused:
            yield one, Verdict(verdict.path, one.url, UNREADABLE, refused[one.url]), False
            continue
        yield one, verdict, _take_over(parts, one, request.path)


def _take_over(parts: Parts, one: PlannedFile, path: Path) -> bool:
    """Hash a file, make its bytes durable, and record it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            os.fsync(descriptor)
            size = os.fstat(descriptor).st_size
            pieces = pieces_of(descriptor, size)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StorageError(f"Cannot read {path}: {error.strerror or error}") from error
    parts.hashes.record(one.key, one.day, path, size, pieces)
    return parts.registry.baseline(one.key).record(one.url, path, one.day)
