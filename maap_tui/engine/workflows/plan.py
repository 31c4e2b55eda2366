"""Plans: what a search found as lines that another machine, or another program, fetches without searching.

A line names the file by URL, names and day, from which its path is made again wherever it is read: what a
plan says of paths is for programs that only copy.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import Any

from maap_tui.engine.download.jobs import Report
from maap_tui.engine.download.requests import DownloadRequest
from maap_tui.engine.errors import InvalidRequestError, StorageError
from maap_tui.engine.integrity.hashes import pieces_of
from maap_tui.engine.integrity.verify import GOOD, UNREADABLE, Verdict
from maap_tui.engine.missions import mission_of_collection
from maap_tui.engine.registry.entries import Key, TrackedFile
from maap_tui.engine.storage import files
from maap_tui.engine.storage.names import shown, url_fault
from maap_tui.engine.storage.places import S3Url
from maap_tui.engine.workflows.filing import Filing
from maap_tui.engine.workflows.parts import Parts
from maap_tui.engine.workflows.register import register_requests

MAX_LINE = 20_000
"""Characters a line of a plan may have."""
_AT_A_TIME = 1000
"""Files that are registered in one step."""
_RECORDED_AT_A_TIME = 64
"""Most files that are imported together."""
_RECORDED_EVERY_S = 0.5
"""Seconds after which those that were looked at are recorded, however few they are."""


@dataclass(slots=True)
class Plan:
    """The files of a plan that was read."""

    requests: list[DownloadRequest] = field(default_factory=list)
    """Each URL once, in order, filed by this user's folders."""
    refused: list[tuple[int, str, str]] = field(default_factory=list)
    """Lines that cannot be used: number from 1, the line, and why."""


def planned_record(request: DownloadRequest) -> dict[str, Any]:
    """The line of a file that a registry would follow, ready for JSON; its path is below the data folder."""
    key, day, root = request.key, request.day, request.root
    assert key is not None and day is not None and root is not None
    return {
        "url": request.url,
        "path": request.path.relative_to(root).as_posix(),
        "size": request.size,
        "mission": key.mission,
        "collection": key.collection,
        "product_type": key.product_type,
        "baseline": key.baseline,
        "day": day.isoformat(),
    }


def read_plan(text: str, filing: Filing, *, product_dir: bool = False) -> Plan:
    """Read a plan, as `planned_record` writes its lines; blank lines are left out.

    Args:
        text: the plan.
        filing: files what it names.
        product_dir: whether each file gets a folder named after its stem.
    """
    plan = Plan()
    seen: set[str] = set()
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            file, size = _planned(line)
            request = filing.request_of_tracked(file, product_dir=product_dir)
        except InvalidRequestError as error:
            plan.refused.append((number, line, error.message))
        except (ValueError, RecursionError):
            plan.refused.append((number, line, "it is not a line of a plan"))
        else:
            if request.url not in seen:
                seen.add(request.url)
                plan.requests.append(replace(request, size=size))
    return plan


def _planned(line: str) -> tuple[TrackedFile, int | None]:
    data = json.loads(line) if len(line) <= MAX_LINE else None
    if not isinstance(data, dict):
        raise ValueError
    names = [data.get(name) for name in ("mission", "collection", "product_type", "baseline")]
    url, day, size = data.get("url"), data.get("day"), data.get("size")
    if not all(isinstance(text, str) for text in (*names, url, day)):
        raise ValueError
    if size is not None and (not isinstance(size, int) or isinstance(size, bool) or size < 0):
        raise ValueError
    if fault := url_fault(str(url)):
        raise InvalidRequestError(fault)
    mission, collection = map(str, names[:2])
    owner = mission_of_collection(collection)
    if owner.is_known and owner.name != mission:
        # No registry would find it there.
        raise InvalidRequestError(f"{collection} is a collection of {owner.name}, not of {shown(mission)}")
    return TrackedFile(Key(*map(str, names)), date.fromisoformat(str(day)), str(url)), size


def to_s3(
    parts: Parts, requests: Sequence[DownloadRequest], prefix: S3Url, *, product_dir: bool = False
) -> list[DownloadRequest]:
    """The files of a plan as files that go to S3 and that no registry follows."""
    return [
        replace(parts.filing.flat(one.url, prefix, product_dir=product_dir), size=one.size)
        for one in requests
    ]


async def download_plan(parts: Parts, requests: Sequence[DownloadRequest]) -> Report:
    """Download files of a plan: registered as discovered first, and recorded as they come.

    Raises:
        StorageError: the registry cannot be written.
    """
    async with parts.downloads(verb="download", is_watched=False) as downloads:
        for at in range(0, len(requests), _AT_A_TIME):
            some = requests[at : at + _AT_A_TIME]
            refused = await asyncio.to_thread(register_requests, parts.registry, some)
            for request in some:
                if request.url in refused:
                    why = refused[request.url]
                    downloads.refuse(request.url, why.reason, permanent=why.permanent)
                else:
                    downloads.add(request)
            await downloads.settle()
        return await downloads.join()


def import_plan(parts: Parts, requests: Sequence[DownloadRequest]) -> Iterator[tuple[Verdict, bool]]:
    """Record files of a plan that another program put where they belong.

    A file is compared with the size that the archive announced and with its own structure, hashed, and
    recorded as if it had been downloaded here.

    Args:
        parts: the engine.
        requests: the files of the plan.

    Returns:
        What was found of each file, and whether it was not recorded before. Those of a day that are found
        within a moment are recorded together, and given then.

    Raises:
        StorageError: the registry or the hashes cannot be read or written.
    """
    judge = parts.judge()
    for (key, day), group in groupby(requests, key=lambda one: (one.key, one.day)):
        assert key is not None and day is not None
        known = {file.url: file.path for file in parts.registry.baseline(key).downloads(day, day)}
        found: list[_Found] = []
        since = time.monotonic()
        for request in group:
            if known.get(request.url) == str(request.path):
                found.append(_Found(request, judge.judge(request.path, request.url, tracked=(key, day))))
            else:
                verdict = judge.judge(request.path, request.url, size=request.size, read_all=False)
                found.append(_hashed(request, verdict))
            if len(found) >= _RECORDED_AT_A_TIME or time.monotonic() - since >= _RECORDED_EVERY_S:
                yield from _recorded(parts, key, day, found, known)
                found, since = [], time.monotonic()
        yield from _recorded(parts, key, day, found, known)


@dataclass(frozen=True, slots=True)
class _Found:
    """A file of a plan, and what is to be recorded of it."""

    request: DownloadRequest
    verdict: Verdict
    size: int = 0
    pieces: tuple[str, ...] | None = None
    """SHA-256 of each `PIECE`, hex; None for one that is not recorded now."""


def _hashed(request: DownloadRequest, verdict: Verdict) -> _Found:
    """A file with its hashes, if it is whole; its bytes are durable then."""
    if verdict.state != GOOD:
        return _Found(request, verdict)
    try:
        return _Found(request, verdict, *_durable_pieces(request.path))
    except OSError as error:
        reason = error.strerror or str(error)
        return _Found(request, Verdict(verdict.path, request.url, UNREADABLE, reason))


def _durable_pieces(path: Path) -> tuple[int, tuple[str, ...]]:
    """Bytes of a file, and the hash of each piece; they survive a power cut once its folder does.

    Raises:
        OSError: it cannot be read, or its bytes may be lost.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        files.fsync_file(descriptor)
        size = os.fstat(descriptor).st_size
        return size, pieces_of(descriptor, size)
    finally:
        os.close(descriptor)


def _recorded(
    parts: Parts, key: Key, day: date, found: Sequence[_Found], known: Mapping[str, str]
) -> Iterator[tuple[Verdict, bool]]:
    """Record files of a day; gives what was found of each, and whether it was not recorded before."""
    whole = [one for one in found if one.pieces is not None]
    refused = register_requests(parts.registry, [one.request for one in whole]) if whole else {}
    _record(parts, key, day, [one for one in whole if one.request.url not in refused])
    for one in found:
        url = one.request.url
        if url in refused:
            yield Verdict(one.verdict.path, url, UNREADABLE, refused[url].reason), False
        else:
            yield one.verdict, one.pieces is not None and url not in known


def _record(parts: Parts, key: Key, day: date, whole: Sequence[_Found]) -> int:
    """Record files of a day whose bytes are durable; returns how many were not recorded before."""
    if not whole:
        return 0
    for folder in {one.request.path.parent for one in whole}:
        files.fsync_folder(folder)
    parts.hashes.record_all(key, day, [(one.request.path, one.size, one.pieces or ()) for one in whole])
    return parts.registry.baseline(key).record_all(
        TrackedFile(key, day, one.request.url, str(one.request.path)) for one in whole
    )


def take_over(parts: Parts, request: DownloadRequest, key: Key, day: date) -> bool:
    """Hash a file that is whole, make its bytes durable, and record it; whether it was not recorded before.

    Raises:
        StorageError: it cannot be read or recorded.
    """
    path = request.path
    try:
        size, pieces = _durable_pieces(path)
    except OSError as error:
        raise StorageError(f"Cannot read {path}: {error.strerror or error}") from error
    verdict = Verdict(str(path), request.url, GOOD)
    return _record(parts, key, day, [_Found(request, verdict, size, pieces)]) > 0
