"""Freezing, thawing and citing from a list: the folder is asked for, what came of it is said."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Literal

from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.model import Asset, Granule
from maap_tui.engine.query import Query
from maap_tui.engine.registry.entries import Key
from maap_tui.engine.saved_searches import Choices
from maap_tui.engine.storage.places import demand_path
from maap_tui.engine.studies.citing import lacking_words
from maap_tui.engine.studies.declaration import Declaration
from maap_tui.engine.studies.places import last_study
from maap_tui.engine.studies.study import read_study
from maap_tui.engine.workflows.freezing import FileState, FreezeReport
from maap_tui.engine.workflows.thawing import ThawReport
from maap_tui.text import clean, format_bytes, plural
from maap_tui.tui.dialogs.prompt import PromptDialog
from maap_tui.tui.host import Host


async def freeze_granules(
    host: Host, pairs: Sequence[tuple[Granule, Sequence[Asset]]], query: Query | None
) -> None:
    """Freeze granules that were chosen, and how they were searched. Call it from a worker."""
    found: Choices = {"command": query.to_command()} if query is not None else {}

    async def job(folder: Path) -> FreezeReport:
        declared = Declaration(folder.name, (found,))
        return await host.backend.ask(lambda session: session.freeze_granules(declared, pairs, folder))

    await _freeze(host, plural(len(pairs), "granule"), job)


async def freeze_baselines(host: Host, keys: Sequence[Key]) -> None:
    """Freeze what is here of baselines. Call it from a worker."""

    async def job(folder: Path) -> FreezeReport:
        declared = Declaration(folder.name, ())
        return await host.backend.ask(lambda session: session.freeze_baselines(declared, keys, folder))

    await _freeze(host, plural(len(keys), "baseline"), job)


async def _freeze(host: Host, what: str, job: Callable[[Path], Awaitable[FreezeReport]]) -> None:
    text = await host.push_screen_wait(
        PromptDialog(
            f"Freeze {what} as a study in which folder?",
            str(Path.home() / "study"),
            check=_check,
            hint="Lists with hashes and DOIs go there; `maap thaw FOLDER` has the files again.",
        )
    )
    if text is None:
        return
    folder = Path(text.strip()).expanduser().absolute()
    host.notify(f"Reading the files of {what} to freeze them...", markup=False)
    report = await job(folder)
    is_whole = bool(report.study.files) and not (report.of_state("not here") or report.of_state("bad"))
    _say(host, clean(words_of(report, folder)), is_whole=is_whole, problem=report.problem)


def words_of(report: FreezeReport, folder: Path) -> str:
    """What came of it, in a sentence."""
    study = report.study
    states: tuple[tuple[FileState, str], ...] = (("not here", "not here"), ("bad", "not what came"))
    rest = [
        f"{plural(len(some), 'file')} {words}" for state, words in states if (some := report.of_state(state))
    ]
    left = f"; left out: {', '.join(rest)}" if rest else ""
    if not study.files:
        return f"Nothing was frozen{left}"
    done = "Froze" if report.is_new else "Nothing has changed in"
    return f"{done} {plural(len(study.files), 'file')} ({format_bytes(study.size)}) in {folder}{left}"


async def thaw_study(host: Host) -> None:
    """Have the files of a frozen study again. Call it from a worker."""
    last = await asyncio.to_thread(last_study, host.backend.session.dirs)
    text = await host.push_screen_wait(
        PromptDialog(
            "Thaw the study in which folder?",
            str(last or Path.home() / "study"),
            check=_check,
            hint="Its files are verified where they are here, fetched where they are not, and tracked.",
        )
    )
    if text is None:
        return
    folder = Path(text.strip()).expanduser().absolute()
    study = await asyncio.to_thread(read_study, folder)
    host.notify(f"Thawing {plural(len(study.files), 'file')} of {folder}...", markup=False)
    report = await host.backend.ask(lambda session: session.thaw(study, folder=folder))
    words = clean(thawed_words(report))
    downloads = report.downloads
    is_whole = not (downloads.failed or downloads.left or downloads.stopped or study.absent)
    _say(host, words, is_whole=is_whole, problem=report.problem)
    if downloads.stopped is not None:
        raise downloads.stopped  # its dialog says what ended it, and what to do


def thawed_words(report: ThawReport) -> str:
    """What became of the files of a study, in a sentence."""
    study, downloads = report.study, report.downloads
    parts = [
        f"{plural(count, 'file')} {words}"
        for count, words in (
            (len(report.here), "here with its hash" if len(report.here) == 1 else "here, each with its hash"),
            (len(downloads.downloaded), "fetched"),
            (len(report.gone), "that the archive does not have any more"),
            (len(downloads.failed) - len(report.gone), "failed"),
            (downloads.left, "not tried"),
            (len(study.absent), "without a hash left out"),
        )
        if count
    ]
    return f"Thawed {study.title}: {', '.join(parts)}" if parts else f"{study.title} has no files"


async def cite_baselines(host: Host, keys: Sequence[Key]) -> None:
    """Copy the paragraph that cites what is here of baselines. Call it from a worker."""
    citation = await host.backend.ask(lambda session: session.cite(keys))
    if not citation.cited:
        host.notify("Nothing of it is here.", severity="warning", markup=False)
        return
    host.copy_text(citation.text, "Copied how the data are cited")
    for problem in filter(None, (*citation.problems, lacking_words(citation.cited))):
        host.notify(clean(problem), severity="warning", timeout=10, markup=False)


def _say(host: Host, words: str, *, is_whole: bool, problem: str) -> None:
    """Say what came of it, and why the place of the study is not remembered."""
    level: Literal["information", "warning"] = "information" if is_whole else "warning"
    host.notify(words, severity=level, timeout=10, markup=False)
    host.backend.write_log("info" if is_whole else "warning", words)
    if problem:
        host.notify(clean(problem), severity="warning", timeout=10, markup=False)


def _check(text: str) -> None:
    if not text.strip() or "\0" in text:
        raise InvalidRequestError("Name a folder.")
    demand_path(text)
