"""Quality: the sheets of gaps and disclaimers that the settings name, read and kept."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urljoin

from maap_tui.engine.config import dirs
from maap_tui.engine.config.settings import QualitySettings
from maap_tui.engine.errors import CatalogError, InvalidRequestError, MaapError, StorageError
from maap_tui.engine.events import Warned
from maap_tui.engine.model import TimeRange
from maap_tui.engine.net.origins import origin_of
from maap_tui.engine.net.statuses import is_lasting
from maap_tui.engine.quality.notices import WORDS, Disclaimed, Kind, Notice
from maap_tui.engine.quality.sheets import MAX_BYTES, Sheet, read_sheet
from maap_tui.engine.quality.store import KINDS, Stored
from maap_tui.engine.registry.entries import Key, TrackedFile
from maap_tui.engine.registry.spans import days_of
from maap_tui.engine.storage import files
from maap_tui.engine.workflows.parts import Parts
from maap_tui.text import plural

_MOST_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)


@dataclass(slots=True)
class Updated:
    """What came of reading one sheet."""

    kind: Kind
    source: str
    stored: Stored | None = None
    """What is kept now; None where the sheet could not be read, and what was kept stays."""
    sheet: Sheet = field(default_factory=Sheet)
    problem: MaapError | None = None
    """Why it could not be read."""


def source_of(parts: Parts, kind: Kind) -> str:
    """The file or address of a sheet by the settings; '' for none."""
    quality = parts.settings.quality
    return (quality.gaps if kind == "gap" else quality.disclaimers).strip()


KEYS: dict[Kind, str] = {"gap": QualitySettings.gaps.key, "disclaimer": QualitySettings.disclaimers.key}
"""The setting that names the sheet of a kind."""


async def update_quality(parts: Parts, kinds: Iterable[Kind] = KINDS) -> list[Updated]:
    """Read the sheets that the settings name, and keep what they say.

    Raises:
        InvalidRequestError: the settings name none.
        StorageError: what was read cannot be kept.
    """
    sources = {kind: source for kind in kinds if (source := source_of(parts, kind))}
    if not sources:
        raise InvalidRequestError(
            "No sheet of gaps or disclaimers is configured",
            "Run `maap config set quality.disclaimers FILE`, with a file or an address; see docs/quality.md.",
        )
    found = []
    for kind, source in sources.items():
        one = Updated(kind, source)
        try:
            one.sheet = await asyncio.to_thread(read_sheet, await _fetch(parts, source), kind)
        except InvalidRequestError as error:
            place = source if _is_address(source) else _file_of(parts, source)
            message = f"{KEYS[kind]}: {place} cannot be read: {error.message}"
            one.problem = InvalidRequestError(message, error.hint)
        except MaapError as error:
            one.problem = error
        else:
            now = parts.now().replace(microsecond=0)
            one.stored = Stored(kind, source, now, tuple(one.sheet.notices), len(one.sheet.refused))
            await asyncio.to_thread(parts.quality.save, one.stored)
        found.append(one)
    return found


async def _fetch(parts: Parts, source: str) -> bytes:
    if _is_address(source):
        return await _download(parts, source)
    return await asyncio.to_thread(_read, _file_of(parts, source))


def _is_address(source: str) -> bool:
    return source.lower().startswith(("http://", "https://"))


def _file_of(parts: Parts, source: str) -> Path:
    """Where a file is: what a configuration file names begins where that is."""
    return parts.dirs.config_file.parent / dirs.expand_path(source, parts.environ)


def _read(file: Path) -> bytes:
    if not file.is_file():
        raise InvalidRequestError("it is not a file" if os.path.lexists(file) else "there is no such file")
    if (files.size_of(file) or 0) > MAX_BYTES:
        raise InvalidRequestError(f"it is larger than {MAX_BYTES:,} bytes")
    try:
        return file.read_bytes()
    except OSError as error:
        raise StorageError(f"{file} cannot be read: {error.strerror or error}") from None


async def _download(parts: Parts, url: str) -> bytes:
    """The bytes at an address; requests of this kind carry no token, to whatever host they go."""
    if not origin_of(url):
        raise InvalidRequestError("it is an address without a host", "Check the address.")
    for _ in range(_MOST_REDIRECTS):
        reply = await parts.http.ask("GET", url, accept="text/csv, text/plain, */*")
        if reply.status in _REDIRECTS and reply.headers.get("location"):
            following = urljoin(url, reply.headers["location"])
            if not following.startswith("https://") and origin_of(following) != origin_of(url):
                raise InvalidRequestError(
                    f"{url} leads to {origin_of(following) or 'no address'}, which is refused"
                )
            url = following
            continue
        if is_lasting(reply.status):
            raise InvalidRequestError(f"{reply.status} {reply.reason or 'Error'}", "Check the address.")
        if reply.status != 200:
            raise CatalogError(f"{reply.status} {reply.reason or 'Error'} from {url}")
        return reply.body
    raise InvalidRequestError(f"{url} leads from one address to the next")


@dataclass(slots=True)
class Affected:
    """The files here that notices are about."""

    files: int = 0
    """Files that were looked at."""
    affected: list[tuple[TrackedFile, list[Notice]]] = field(default_factory=list)


def affected_here(parts: Parts, keys: Iterable[Key], span: TimeRange | None = None) -> Affected:
    """The downloaded files of baselines that a notice is about, by their names; it reads the registry.

    Args:
        parts: the engine.
        keys: the baselines.
        span: sensing days that are meant; None for all.
    """
    notices = parts.quality.notices()
    found = Affected()
    for key in keys:
        with parts.registry.skip_unreadable():
            for file in parts.registry.baseline(key).downloads(*days_of(span)):
                found.files += 1
                if about := notices.of_url(file.url):
                    found.affected.append((file, about))
    return found


def disclaimed_of(parts: Parts) -> Disclaimed:
    """What leaves out granules with a disclaimer; that none is known, or none of late, is reported."""
    stored = parts.quality.stored().get("disclaimer")
    if stored is None:
        parts.emit(
            Warned("No disclaimers are known here, so none is left out; `maap quality update` reads them")
        )
    elif words := stale_words(parts, stored):
        parts.emit(Warned(words))
    return Disclaimed(parts.quality.notices())


def stale_words(parts: Parts, stored: Stored) -> str:
    """That there may be newer notices, in a sentence; '' where they are recent."""
    if not stored.is_stale(parts.now()):
        return ""
    days = (parts.now() - stored.updated).days
    read = f"The {WORDS[stored.kind]}s were read {plural(days, 'day')} ago"
    return f"{read}; `maap quality update` reads them again"


def left_out_words(disclaimed: Disclaimed | None) -> str:
    """How many granules were left out, in a sentence; '' for none."""
    if disclaimed is None or not disclaimed.left_out:
        return ""
    return f"Left out {plural(len(disclaimed.left_out), 'granule')} with a disclaimer (--skip-disclaimed)"
