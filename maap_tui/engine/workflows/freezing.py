"""Freeze: what of a study is here, hashed and verified, as a list that others can have it again from."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Literal

from maap_tui.engine.areas import read_file
from maap_tui.engine.download.jobs import Report
from maap_tui.engine.download.requests import DownloadRequest
from maap_tui.engine.errors import CatalogError, InvalidRequestError
from maap_tui.engine.events import ItemSkipped
from maap_tui.engine.integrity.hashes import Recorded
from maap_tui.engine.integrity.whole import read_whole
from maap_tui.engine.missions import parse_name
from maap_tui.engine.model import Asset, Granule, to_zulu
from maap_tui.engine.query import Query
from maap_tui.engine.registry.entries import Key, TrackedFile
from maap_tui.engine.registry.spans import days_of
from maap_tui.engine.saved_searches import Choices
from maap_tui.engine.storage.names import shown_url
from maap_tui.engine.studies.declaration import TIMES, Declaration
from maap_tui.engine.studies.folder import check_folder, has_addurls, texts_of, write_study
from maap_tui.engine.studies.places import remember_quietly
from maap_tui.engine.studies.study import Study, StudyFile, in_order, is_study
from maap_tui.engine.workflows.choices import query_of_choices
from maap_tui.engine.workflows.citing_here import cite_here
from maap_tui.engine.workflows.files_here import place_of
from maap_tui.engine.workflows.parts import Parts
from maap_tui.engine.workflows.pending import means
from maap_tui.engine.workflows.plan import download_plan
from maap_tui.engine.workflows.searching import UNCUT, run_of

FileState = Literal["frozen", "not here", "bad"]


@dataclass(frozen=True, slots=True)
class FrozenFile:
    """A file that is meant, and whether it is in the study."""

    file: StudyFile
    state: FileState
    place: Path | None = None
    """Where it is; None where it is not here."""
    reason: str = ""
    """What is wrong with one that is bad; '' otherwise."""


@dataclass(slots=True)
class FreezeReport:
    """What came of freezing."""

    study: Study
    files: list[FrozenFile]
    """Every file that is meant, in order."""
    unlisted: int = 0
    """Files here that the archive does not list any more."""
    downloads: Report | None = None
    """What was fetched; None where nothing was to be."""
    is_new: bool = True
    """Whether something was written; False where only the date would have changed."""
    problem: str = ""
    """A sentence where the place of the study is not remembered; '' where it is."""

    def of_state(self, state: FileState) -> list[FrozenFile]:
        """The files in one state."""
        return [one for one in self.files if one.state == state]


@dataclass(slots=True)
class _Meant:
    """What a study means, before it is looked at."""

    select: list[Mapping[str, Any]] = field(default_factory=list)
    files: dict[str, tuple[StudyFile, DownloadRequest]] = field(default_factory=dict)
    """By address."""
    unlisted: int = 0

    def add(self, file: StudyFile, request: DownloadRequest) -> None:
        """Take a file, once."""
        self.files.setdefault(file.url, (file, request))


async def freeze(
    parts: Parts,
    declaration: Declaration,
    folder: Path,
    *,
    ask: bool = True,
    get: bool = False,
    force: bool = False,
    datalad: bool = False,
    begun: Callable[[int], None] = lambda count: None,
) -> FreezeReport:
    """Freeze a study into a folder.

    Args:
        parts: the engine.
        declaration: what is meant.
        folder: where it is written.
        ask: whether the archive is asked what there is; the registry alone knows no DOIs and no areas.
        get: whether what is not here is fetched first.
        force: whether another study there is replaced.
        datalad: whether a list for `datalad addurls` is written too.
        begun: is called with the number of files before they are read.

    Raises:
        InvalidRequestError: it means nothing, cannot be asked, or the folder holds something else.
        CatalogError: a part could not be searched: the study would lack it.
        StorageError: the folder cannot be written.
    """
    # What can be refused at once is refused before anything is searched or read.
    await asyncio.to_thread(_refuse_other, parts, folder, declaration, force)
    meant = _Meant()
    for choices in await asyncio.to_thread(_with_areas, declaration.select):
        await _collect(parts, choices, meant, ask=ask)
    if not meant.files:
        raise InvalidRequestError(
            f"The study {declaration.title[:80]!r} means no file",
            "Check its names and times with `maap search`." if ask else "Leave --local out.",
        )
    begun(len(meant.files))
    return await _finish(parts, declaration, meant, folder, get=get, force=force, datalad=datalad)


async def freeze_granules(
    parts: Parts,
    declaration: Declaration,
    chosen: Sequence[tuple[Granule, Sequence[Asset]]],
    folder: Path,
) -> FreezeReport:
    """Freeze granules that were chosen, each with the files of it that are meant; errors as `freeze`.

    Args:
        parts: the engine.
        declaration: title and authors; the search that found them.
        chosen: the granules.
        folder: where it is written.
    """
    meant = _Meant(list(declaration.select))
    for granule, assets in chosen:
        for request in _requests_of(parts, granule, assets):
            meant.add(_file_of(parts, granule, request), request)
    return await _finish(parts, declaration, meant, folder)


async def freeze_baselines(
    parts: Parts, declaration: Declaration, keys: Sequence[Key], folder: Path
) -> FreezeReport:
    """Freeze what is here of baselines; the archive is asked for their DOIs alone. Errors as `freeze`."""
    meant = _Meant([{"here": str(key)} for key in keys])
    dois = {
        (one.collection, one.product_type, one.baseline): one.doi
        for one in (await cite_here(parts, keys)).cited
    }

    def collect() -> None:
        for key in keys:
            with parts.registry.skip_unreadable():
                for file in parts.registry.baseline(key).downloads():
                    if file.path and Path(file.path).is_file() and (pair := _tracked(parts, file)):
                        doi = dois.get((key.collection, key.product_type, key.baseline))
                        meant.add(replace(pair[0], doi=doi), pair[1])

    await asyncio.to_thread(collect)
    return await _finish(parts, declaration, meant, folder)


async def _finish(
    parts: Parts,
    declaration: Declaration,
    meant: _Meant,
    folder: Path,
    *,
    get: bool = False,
    force: bool = False,
    datalad: bool = False,
) -> FreezeReport:
    """Look at what is meant, fetch what is not here where that is wanted, and write the study."""
    found = await asyncio.to_thread(_look, parts, list(meant.files.values()))
    downloads = None
    lacking = [meant.files[one.file.url][1] for one in found if one.state == "not here"]
    if get and lacking:
        if parts.in_product_dir(None):
            lacking = [parts.filing.in_product_dir(one) for one in lacking]
        downloads = await download_plan(parts, lacking)
        if downloads.stopped is not None:
            raise downloads.stopped
        fetched = [meant.files[url] for url in (*downloads.downloaded, *downloads.skipped)]
        fresh = {one.file.url: one for one in await asyncio.to_thread(_look, parts, fetched)}
        found = [fresh.get(one.file.url, one) for one in found]
    study = Study(
        declaration.title,
        parts.now().replace(microsecond=0),
        declaration.authors,
        declaration.description,
        declaration.license,
        tuple(meant.select),
        in_order(one.file for one in found if one.state == "frozen"),
        in_order(one.file for one in found if one.state != "frozen"),
    )
    report = FreezeReport(study, found, meant.unlisted, downloads)
    if study.files:
        await asyncio.to_thread(_write, parts, report, folder, force, datalad)
    return report


def _refuse_other(parts: Parts, folder: Path, declaration: Declaration, force: bool) -> None:
    if not is_study(folder):
        check_folder(folder, Study(declaration.title, parts.now()), force=force)


def _write(parts: Parts, report: FreezeReport, folder: Path, force: bool, datalad: bool) -> None:
    check_folder(folder, report.study, force=force)
    datalad = datalad or has_addurls(folder)
    report.is_new = write_study(folder, texts_of(report.study, datalad=datalad))
    report.problem = remember_quietly(parts.dirs, folder)


def _with_areas(select: Sequence[Choices]) -> list[Choices]:
    """Selections with their areas in place of the files: each is read once, so that all mean the same one."""
    read: dict[str, str] = {}
    found = []
    for choices in select:
        area = str(choices.get("area", ""))
        if area and not area.lstrip().startswith("{"):
            if area not in read:
                read[area] = json.dumps(read_file(area))
            choices = {**choices, "area": read[area]}
        found.append(choices)
    return found


async def _collect(parts: Parts, choices: Choices, meant: _Meant, *, ask: bool) -> None:
    """Add what one selection means: what the archive lists, and what is here and the archive dropped."""
    query = await query_of_choices(parts, choices, max_items=UNCUT)
    has_area = query.box is not None or query.circle is not None or query.area is not None
    if not (query.time or query.orbits or query.tracks or has_area):
        raise InvalidRequestError(
            f"All of {query.product_type} cannot be frozen, as it grows",
            "Give a start and an end, an orbit, or an area.",
        )
    if query.missing:
        raise InvalidRequestError("'missing' is for searches", "Leave the word out of the date.")
    if has_area and not ask:
        raise InvalidRequestError(
            "A selection has an area, and the registry knows none", "Leave --local out."
        )
    meant.select.append(_recorded(choices, query))
    new = _Meant()
    listed: set[str] = set()
    if ask:
        # A study of a hundred thousand granules has no room for all that their items say.
        async for granule in _search(parts, query):
            listed.add(granule.id)
            for request in _requests_of(parts, granule, granule.files(parts.formats_of(query))):
                new.add(_file_of(parts, granule, request), request)
    if not has_area:
        # A search that was cut says nothing on what it left out.
        await asyncio.to_thread(_add_registered, parts, query, new, listed, ask)
    chosen = sorted(new.files.values(), key=lambda pair: pair[0].order)
    if "max_items" in choices:
        chosen = _first_granules(chosen, query.max_items)
    for file, request in chosen:
        meant.add(file, request)
    meant.unlisted += new.unlisted


def _first_granules(
    chosen: Sequence[tuple[StudyFile, DownloadRequest]], most: int
) -> list[tuple[StudyFile, DownloadRequest]]:
    kept = set(list(dict.fromkeys(file.id for file, _ in chosen))[:most])
    return [pair for pair in chosen if pair[0].id in kept]


async def _search(parts: Parts, query: Query) -> AsyncIterator[Granule]:
    """What the archive lists; CatalogError at the end where it did not answer for a part."""
    search = run_of(parts, query)
    async with aclosing(aiter(search)) as pages:
        async for page in pages:
            for granule in page.granules:
                yield granule
    if search.failed:
        raise CatalogError(
            f"{search.failed[0].words}; nothing is frozen",
            "Run the same command again, or freeze what the registry knows with --local.",
        )


def _requests_of(parts: Parts, granule: Granule, assets: Sequence[Asset]) -> list[DownloadRequest]:
    def refuse(asset: Asset, error: InvalidRequestError) -> None:
        parts.emit(ItemSkipped(shown_url(asset.href), asset.href, error.message, permanent=True))

    return parts.filing.requests_of(granule, assets, refuse=refuse)


def _file_of(parts: Parts, granule: Granule, request: DownloadRequest) -> StudyFile:
    return StudyFile(
        granule.id, request.url, _path_of(parts, request), request.size, "", granule.collection,
        granule.mission, granule.product_type, granule.baseline, granule.day, granule.sensing_start,
        granule.sensing_end, granule.created, granule.orbit, granule.frame, granule.doi,
    )  # fmt: skip


def _path_of(parts: Parts, request: DownloadRequest) -> str:
    return request.path.relative_to(parts.filing.data_dir).as_posix()


def _add_registered(parts: Parts, query: Query, new: _Meant, listed: set[str], ask: bool) -> None:
    """Add what was downloaded and the archive does not list; it reads the registry."""
    meant = query.replace(formats=parts.formats_of(query))
    keys = parts.tracked_keys(query.collection, query.product_type, query.baseline)
    downloaded: list[TrackedFile] = []
    read: list[Key] = []
    for key in keys:
        with parts.registry.skip_unreadable():
            found = parts.registry.baseline(key).downloads(*days_of(query.time))
            downloaded += [file for file in found if means(meant, file.url) and file.url not in new.files]
            read.append(key)
    if not query.every_version:
        downloaded = parts.filing.only_newest(query.product_type, read, downloaded)
    for file in downloaded:
        pair = _tracked(parts, file)
        # The archive may have it under another address.
        if pair is not None and pair[0].id not in listed:
            new.add(*pair)
            new.unlisted += ask


def _tracked(parts: Parts, file: TrackedFile) -> tuple[StudyFile, DownloadRequest] | None:
    """A file that the registry follows, by what its name says; None for one that is reported as skipped."""
    try:
        request = parts.filing.request_of_tracked(file)
    except InvalidRequestError as error:
        parts.emit(ItemSkipped(shown_url(file.url), file.url, error.message, permanent=True))
        return None
    name, key = parse_name(file.url), file.key
    found = StudyFile(
        name.stem if name is not None else Path(file.path).stem, file.url, _path_of(parts, request), None,
        "", key.collection, key.mission, key.product_type, key.baseline, file.day,
    )  # fmt: skip
    if name is not None:
        found = replace(
            found,
            sensing_start=name.sensing_start,
            sensing_end=name.sensing_end,
            created=name.created,
            orbit=name.orbit,
            frame=name.frame,
        )
    return found, request


def _recorded(choices: Choices, query: Query) -> Mapping[str, Any]:
    """What was asked for, as it means the same for good: absolute times, the baseline, the area itself."""
    found: dict[str, Any] = {
        key: value for key, value in choices.items() if key not in (*TIMES, "days_back", "newest_first")
    }
    if query.baseline:
        found["baseline"] = query.baseline
    if query.time is not None:
        found["start"] = to_zulu(query.time.start)
        found["end"] = to_zulu(query.time.end - timedelta(microseconds=1))
    if query.area is not None:
        found["area"] = json.loads(json.dumps(query.area))
    return found


def _look(parts: Parts, meant: Sequence[tuple[StudyFile, DownloadRequest]]) -> list[FrozenFile]:
    """Find, verify and hash those files that are here; it reads them whole."""
    days: dict[tuple[Key, date], list[tuple[StudyFile, DownloadRequest]]] = {}
    for file, request in sorted(meant, key=lambda pair: pair[0].order):
        days.setdefault((file.key, file.day), []).append((file, request))
    found = []
    for (key, day), pairs in days.items():
        recorded = parts.hashes.load(key, day)
        paths: dict[str, str] = {}
        with parts.registry.skip_unreadable():
            paths = {one.url: one.path for one in parts.registry.baseline(key).downloads(day, day)}
        for file, request in pairs:
            place = place_of(parts, request, paths.get(file.url, ""))
            found.append(_judge(file, place, recorded, str(place) == paths.get(file.url)))
    return found


def _judge(
    file: StudyFile, place: Path | None, recorded: Mapping[str, Recorded], is_recorded: bool
) -> FrozenFile:
    if place is None:
        return FrozenFile(file, "not here", None)
    known = recorded.get(str(place)) if is_recorded else None
    whole = read_whole(place, url=file.url, recorded=known, size=file.size)
    if whole.reason:
        return FrozenFile(file, "bad", place, whole.reason)
    if file.size is not None and file.size != whole.size:
        reason = f"it has {whole.size:,} bytes and the archive has {file.size:,}"
        return FrozenFile(file, "bad", place, reason)
    return FrozenFile(replace(file, size=whole.size, sha256=whole.sha256), "frozen", place)
