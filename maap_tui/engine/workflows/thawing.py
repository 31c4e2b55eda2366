"""Thaw: the files of a frozen study had again, each with the hash that it was frozen with."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path

from maap_tui.engine.config import dirs
from maap_tui.engine.download.jobs import Failure, Report
from maap_tui.engine.download.requests import DownloadRequest
from maap_tui.engine.errors import CatalogError, MaapError
from maap_tui.engine.events import Emit, Event, FileFailed, FileSkipped, Noted
from maap_tui.engine.integrity.whole import read_whole
from maap_tui.engine.net.statuses import GONE
from maap_tui.engine.registry.entries import TrackedFile
from maap_tui.engine.registry.registry import Registry
from maap_tui.engine.studies.places import remember_quietly
from maap_tui.engine.studies.study import Study, StudyFile
from maap_tui.engine.workflows.files_here import place_of
from maap_tui.engine.workflows.parts import Parts
from maap_tui.engine.workflows.plan import take_over
from maap_tui.engine.workflows.register import register_requests
from maap_tui.engine.workflows.searching import find


@dataclass(slots=True)
class ThawReport:
    """What became of the files of a study."""

    study: Study
    downloads: Report = field(default_factory=Report)
    """What was fetched, or was here; and what could not be had."""
    here: list[StudyFile] = field(default_factory=list)
    """Those that were here already, with the right hash."""
    wrong: list[tuple[StudyFile, Path]] = field(default_factory=list)
    """Those that were here with other bytes, each with its place; they are fetched again."""
    problem: str = ""
    """A sentence where the place of the study is not remembered; '' where it is."""

    @property
    def gone(self) -> list[Failure]:
        """Those that the archive does not have any more, under any address."""
        return [one for one in self.downloads.failed if one.permanent and one.status in GONE]


def requests_of(parts: Parts, study: Study, out_dir: Path | None) -> list[DownloadRequest]:
    """The files of a study to fetch: in the dated layout below the data folder, or below another folder."""
    if out_dir is not None:
        root = dirs.data_folder(out_dir)
        return [
            DownloadRequest(one.url, root / one.path, one.size, root, frozen=one.sha256)
            for one in study.files
        ]
    root = parts.filing.data_dir
    found = [
        DownloadRequest(one.url, root / one.path, one.size, root, key=one.key, day=one.day, frozen=one.sha256)
        for one in study.files
    ]
    if parts.in_product_dir(None):
        return [parts.filing.in_product_dir(one) for one in found]
    return found


async def thaw(
    parts: Parts,
    study: Study,
    *,
    folder: Path | None = None,
    out_dir: Path | None = None,
) -> ThawReport:
    """Have the files of a study: verify those that are here, fetch the others, register all.

    Args:
        parts: the engine.
        study: the study.
        folder: where it is, to be remembered; None for nothing.
        out_dir: a folder that takes them with their paths, and that no registry follows; None for the data
            folder.

    Raises:
        StorageError: the registry or a folder cannot be written.
    """
    parts.check_place(out_dir)
    report = ThawReport(study)
    if folder is not None:
        report.problem = await asyncio.to_thread(remember_quietly, parts.dirs, folder)
    requests = requests_of(parts, study, out_dir)
    pairs = list(zip(study.files, requests, strict=True))
    lacking = await asyncio.to_thread(_look, parts, pairs, report)
    if not lacking:
        return report
    held: dict[str, FileFailed] = {}

    def hold(event: Event) -> None:
        # Whether a file is gone is known once its granule was looked for under another address.
        if isinstance(event, FileFailed):
            held[event.url] = event
        else:
            parts.emit(event)

    _take(report, await _fetch(parts, lacking, hold))
    moved = [] if report.downloads.stopped is not None else await _moved(parts, study, lacking, report)
    failed = {one.url: one for one in report.downloads.failed}
    for url, event in held.items():
        if url in failed:
            parts.emit(replace(event, reason=failed[url].reason, permanent=failed[url].permanent))
    if moved:
        _take(report, await _fetch(parts, moved, parts.emit))
    return report


def would_thaw(parts: Parts, study: Study, *, out_dir: Path | None = None) -> list[DownloadRequest]:
    """The files that `thaw` would fetch; it reads those that are here, and writes nothing."""
    pairs = zip(study.files, requests_of(parts, study, out_dir), strict=True)
    return [one.wanted for one in _judged(parts, pairs) if one.size is None]


@dataclass(frozen=True, slots=True)
class _Judged:
    """A file of a study, and what is here of it."""

    file: StudyFile
    request: DownloadRequest
    recorded: str
    """Where the registry says that it is; '' where it says nothing."""
    place: Path | None
    """Where it is; None where it is not here."""
    size: int | None = None
    """Bytes of it where it has its hash; None where it has to be fetched."""

    @property
    def wanted(self) -> DownloadRequest:
        """The file to fetch: where it is, if that is where files of this run go."""
        place, request = self.place, self.request
        if place is None:
            return request
        is_inside = request.root is not None and place.is_relative_to(request.root)
        return replace(request, path=place if is_inside else request.path, again=True)


def _judged(parts: Parts, pairs: Iterable[tuple[StudyFile, DownloadRequest]]) -> Iterator[_Judged]:
    """Look for the files of a study, and read those that are here."""
    for (key, day), group in groupby(pairs, key=lambda pair: (pair[0].key, pair[0].day)):
        paths: dict[str, str] = {}
        listed = list(group)
        if listed[0][1].key is not None:
            with parts.registry.skip_unreadable():
                paths = {one.url: one.path for one in parts.registry.baseline(key).downloads(day, day)}
        for file, request in listed:
            path = paths.get(file.url, "")
            place = place_of(parts, request, path)
            whole = read_whole(place) if place is not None else None
            is_whole = whole is not None and whole.sha256 == file.sha256
            yield _Judged(file, request, path, place, whole.size if whole is not None and is_whole else None)


def _look(
    parts: Parts, pairs: Sequence[tuple[StudyFile, DownloadRequest]], report: ThawReport
) -> list[DownloadRequest]:
    """Verify and register what is here; returns what has to be fetched."""
    lacking = []
    for one in _judged(parts, pairs):
        file, place = one.file, one.place
        if place is None or one.size is None:
            if place is not None:
                report.wrong.append((file, place))
            lacking.append(one.wanted)
            continue
        if one.request.key is not None and one.recorded != str(place):
            there = replace(one.request, path=place)
            if not register_requests(parts.registry, [there]):
                take_over(parts, there, file.key, file.day)
        report.here.append(file)
        report.downloads.skipped[file.url] = place
        parts.emit(FileSkipped(file.url, place, one.size, "already here"))
    return lacking


class _Registering:
    """Registers files as discovered once they are here: what the archive does not have stays unknown."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def expect(self, files: Sequence[TrackedFile]) -> None:
        """Register files that are recorded next."""
        self._registry.add(files)

    def recorded(self, file: TrackedFile) -> None:
        """Nothing is left to do."""


async def _fetch(parts: Parts, requests: Sequence[DownloadRequest], emit: Emit) -> Report:
    watcher = _Registering(parts.registry)
    async with parts.downloads(verb="thaw", watcher=watcher, emit=emit) as downloads:
        for request in requests:
            downloads.add(request)
        return await downloads.join()


def _take(report: ThawReport, fetched: Report) -> None:
    known = report.downloads
    again = {*fetched.downloaded, *fetched.skipped}
    known.failed = [one for one in known.failed if one.url not in again] + fetched.failed
    known.downloaded.update(fetched.downloaded)
    known.skipped.update(fetched.skipped)
    known.received += fetched.received
    known.seconds += fetched.seconds
    known.left += fetched.left
    known.stopped = known.stopped or fetched.stopped


async def _moved(
    parts: Parts, study: Study, lacking: Sequence[DownloadRequest], report: ThawReport
) -> list[DownloadRequest]:
    """Files that the archive has under another address than the one that was frozen.

    Where the catalogue does not answer, nobody knows whether those that are left are gone: those fail, and
    another run asks again.
    """
    gone = {one.url for one in report.gone}
    by_url = {one.url: one for one in study.files}
    found = []
    asked = [request for request in lacking if request.url in gone]
    for number, request in enumerate(asked):
        file = by_url[request.url]
        try:
            granule = await find(parts, file.collection, file.id)
        except CatalogError as error:
            unknown = {one.url for one in asked[number:]}
            report.downloads.failed = [
                replace(one, reason=f"{one.reason}; {error.message}", permanent=False)
                if one.url in unknown
                else one
                for one in report.downloads.failed
            ]
            break
        except MaapError:
            continue  # that it is gone has been said
        assets = granule.assets if granule is not None else ()
        other = next((one for one in assets if one.name == file.name and one.href != file.url), None)
        if other is not None:
            parts.emit(Noted(f"{file.name} has another address at the archive now"))
            found.append(replace(request, url=other.href))
            report.downloads.failed = [one for one in report.downloads.failed if one.url != file.url]
    return found
