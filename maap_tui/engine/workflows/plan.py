"""Plans: what a search found as lines that another machine, or another program, fetches without searching.

A line names the file by URL, names and day, from which its path is made again wherever it is read: what a
plan says of paths is for programs that only copy.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import groupby
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
    async with parts.downloads(verb="download") as downloads:
        for at in range(0, len(requests), _AT_A_TIME):
            some = requests[at : at + _AT_A_TIME]
            refused = await asyncio.to_thread(register_requests, parts.registry, some)
            for request in some:
                if request.url in refused:
                    why = refused[request.url]
                    downloads.refuse(request.url, why.reason, permanent=why.permanent)
                else:
                    downloads.add(request)
        return await downloads.join()


def import_plan(parts: Parts, requests: Sequence[DownloadRequest]) -> Iterator[tuple[Verdict, bool]]:
    """Record files of a plan that another program put where they belong.

    A file is compared with the size that the archive announced and with its own structure, hashed, and
    recorded as if it had been downloaded here.

    Args:
        parts: the engine.
        requests: the files of the plan.

    Returns:
        What was found of each file, and whether it was not recorded before.

    Raises:
        StorageError: the registry or the hashes cannot be read or written.
    """
    judge = parts.judge()
    for (key, day), group in groupby(requests, key=lambda one: (one.key, one.day)):
        assert key is not None and day is not None
        tracker = parts.registry.baseline(key)
        known = {file.url: file.path for file in tracker.downloads(day, day)}
        for request in group:
            if known.get(request.url) == str(request.path):
                yield judge.judge(request.path, request.url, tracked=(key, day)), False
                continue
            verdict = judge.judge(request.path, request.url, size=request.size, read_all=False)
            if verdict.state == GOOD and (refused := register_requests(parts.registry, [request])):
                verdict = Verdict(verdict.path, request.url, UNREADABLE, refused[request.url].reason)
            yield verdict, verdict.state == GOOD and take_over(parts, request, key, day)


def take_over(parts: Parts, request: DownloadRequest, key: Key, day: date) -> bool:
    """Hash a file, make its bytes durable, and record it."""
    path = request.path
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            files.fsync_file(descriptor)
            size = os.fstat(descriptor).st_size
            pieces = pieces_of(descriptor, size)
        finally:
            os.close(descriptor)
        files.fsync_folder(path.parent)
    except OSError as error:
        raise StorageError(f"Cannot read {path}: {error.strerror or error}") from error
    parts.hashes.record(key, day, path, size, pieces)
    return parts.registry.baseline(key).record(request.url, path, day)
