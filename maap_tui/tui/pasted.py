"""What the palette offers for a pasted text, and doing it; the engine says what the text asks for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from maap_tui.engine.errors import CatalogError, InvalidRequestError, MaapError
from maap_tui.engine.missions import parse_name
from maap_tui.engine.saved_searches import Choices, words_of
from maap_tui.text import as_sentence, clean, plural
from maap_tui.tui.synced import may_queue
from maap_tui.tui.workers import start_worker

if TYPE_CHECKING:
    from maap_tui.engine.catalogue.index import Known
    from maap_tui.engine.download.requests import DownloadRequest
    from maap_tui.engine.session import Session
    from maap_tui.engine.workflows.pasted import Pasted
    from maap_tui.engine.workflows.placing import Placed
    from maap_tui.tui.host import Host

LONGEST_LINE = 400
"""Characters of a pasted line that the field of the palette takes as it is."""


class PastedText:
    """The last text that was pasted into the palette, whose field holds one line."""

    def __init__(self) -> None:
        self._text = self._line = ""

    def line_for(self, text: str) -> str:
        """The line to put into the field: the text, or what stands for it where it is longer."""
        whole = text.strip()
        lines = whole.splitlines()
        if len(lines) <= 1 and len(whole) <= LONGEST_LINE:
            return whole
        self._text = whole
        first = clean(lines[0].strip())[:60]
        self._line = f"({plural(len(lines), 'line')} pasted) {first}".strip()
        return self._line

    def text_of(self, line: str) -> str:
        """The text that a line of the field stands for, or the line."""
        return line.replace(self._line, self._text) if self._line and self._line in line else line


Offer = tuple[str, str, Callable[[], Any]]
"""What it becomes, what else is to be said of it, and what does it."""


def offers(host: Host, pasted: Pasted, known: Known) -> list[Offer]:
    """The entries of the palette for a pasted text, the likeliest first."""
    if pasted.problem:
        return [(pasted.problem, "", partial(host.notify, clean(pasted.problem), severity="warning"))]
    found: list[Offer] = []
    left = f"left out: {', '.join(pasted.left)}" if pasted.left else ""
    if pasted.choices is not None:
        choices = pasted.choices
        if pasted.granule:
            title, about = f"Search {_in_words(choices)}", pasted.granule
        else:
            title, about = f"Run as a search: {' '.join(('maap', 'search', *words_of(choices)))}", ""
        about = "; ".join(filter(None, (about, left)))
        found.append((title, about, partial(_start, host, _search, pasted, known)))
    if pasted.files:
        one = pasted.files[0]
        title = one.name if len(pasted.files) == 1 else plural(len(pasted.files), "file")
        where = one.collection or "the archive is asked for its collection"
        about = "; ".join(filter(None, (where if len(pasted.files) == 1 else one.name, left)))
        found.append((f"Download {title}", about, partial(_start, host, _queue, pasted, known)))
    return found


def _in_words(choices: Choices) -> str:
    names = " ".join(str(choices[name]) for name in ("product", "baseline") if name in choices)
    rest = [f"{name} {choices[name]}" for name in ("orbit", "frame") if name in choices]
    return ", ".join([names, *rest, *([str(choices["date"])] if "date" in choices else [])])


def _start(host: Host, work: Callable[..., Any], pasted: Pasted, known: Known) -> None:
    start_worker(host, work, host, pasted, known, group="pasted")


async def _search(host: Host, pasted: Pasted, known: Known) -> None:
    """Make the search, in the collection that holds the granule."""
    choices: Choices = dict(pasted.choices or {})
    if "collection" not in choices:
        choices = {"collection": await _collection_of(host, pasted.granule, known), **choices}
    host.go("search", choices=choices)
    if pasted.left:
        host.notify(clean(f"Left out: {', '.join(pasted.left)}."), severity="warning")


async def _collection_of(host: Host, granule: str, known: Known) -> str:
    """The collection of a granule; the likeliest where the archive does not answer, or none has it."""
    from maap_tui.engine.workflows.placing import collections_for, find_granule

    name = parse_name(granule)
    candidates = collections_for(name, known) if name is not None else []
    if name is None or not candidates:
        raise InvalidRequestError(
            f"No collection is known here for {granule}", "Fetch the names with r in Browse (1)."
        )
    if len(candidates) == 1:
        return candidates[0]
    try:
        found = await host.backend.ask(lambda session: find_granule(session, name, known))
    except CatalogError:
        found = None
    return found.collection if found is not None else candidates[0]


async def _queue(host: Host, pasted: Pasted, known: Known) -> None:
    """Queue the files: filed and registered where their collection is known, else in a folder asked for."""
    from maap_tui.engine.workflows.placing import place

    count = len(pasted.files)
    names = [one.name for one in pasted.files]
    if not await may_queue(host, count, plural(count, "pasted file"), lines=names):
        return
    host.notify(f"Looking for {plural(count, 'file')}...")
    placed: Placed = await host.backend.ask(partial(place, files=pasted.files, known=known))
    requests = [*placed.requests]
    is_homeless = False
    if placed.homeless:
        chosen = await _in_folder(host, placed)
        is_homeless = chosen is None
        requests += chosen or []
    for sentence in placed.refused:
        host.backend.write_log("warning", f"Not queued: {sentence}")
    queued = await host.backend.queue_files(requests) if requests else 0
    words = f"Queued {plural(queued, 'file')}. 3 shows the queue."
    if not requests:
        words = "Nothing was queued."
    elif queued < len(requests):
        words = f"Queued {plural(queued, 'file')}, the others were queued already. 3 shows the queue."
    if len(placed.refused) == 1:
        words += f" {as_sentence(placed.refused[0])}"
    elif placed.refused:
        words += f" {plural(len(placed.refused), 'file')} refused: the log (5) says why."
    if pasted.left:
        words += f" Left out: {', '.join(pasted.left)}."
    if is_homeless:
        words += f" Left out: {plural(len(placed.homeless), 'file')} of no collection."
    is_whole = not placed.refused and not pasted.left and not is_homeless
    host.notify(clean(words), severity="information" if is_whole else "warning")


async def _in_folder(host: Host, placed: Placed) -> list[DownloadRequest] | None:
    """Requests for what belongs to no collection; None after Escape."""
    from maap_tui.tui.dialogs.prompt import ask_folder

    files = plural(len(placed.homeless), "file")
    folder = await ask_folder(host, f"{files} of no collection known here: download to which folder?")
    if folder is None:
        return None

    async def requests(session: Session) -> list[DownloadRequest]:
        found = []
        for url in placed.homeless:
            try:
                found.append(await session.request_of_url(url, "", out_dir=folder))
            except MaapError as error:
                placed.refused.append(error.message)
        return found

    if await asyncio.to_thread(folder.is_file):
        raise InvalidRequestError(f"{folder} is a file", "Name a folder.")
    return await host.backend.ask(requests)
