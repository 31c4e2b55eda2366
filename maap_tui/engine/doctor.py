"""Doctor: looks at everything a run needs, and says of each thing that is wrong what to do."""

from __future__ import annotations

import asyncio
import locale
import os
import secrets
import shutil
import stat
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from maap_tui.engine.download.part import bytes_taken
from maap_tui.engine.errors import (
    AuthenticationError,
    AuthServiceUnavailable,
    CatalogError,
    CredentialsError,
    LockedError,
    NetworkSetupError,
    StorageError,
    TokenRequestError,
)
from maap_tui.engine.model import to_zulu
from maap_tui.engine.net.faults import TransportFault
from maap_tui.engine.net.network_env import proxies_of, ssl_context_of, trust_of
from maap_tui.engine.registry.entries import Problem
from maap_tui.engine.registry.repair import problems_of, repair_lines
from maap_tui.engine.storage import files
from maap_tui.text import plural

if TYPE_CHECKING:
    from maap_tui.engine.session import Session

OK, WARNING, FAILURE = "ok", "warning", "failure"

CLOCK_TOLERANCE_S = 120.0
"""Seconds that this clock may differ from the service's."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at."""

    subject: str
    """configuration, folder, disk, token, network, catalogue, clock, registry, locks, studies, swaps, locale
    or terminal."""
    state: str
    """ok, warning or failure."""
    message: str
    hint: str = ""
    """What to do; '' when there is nothing to do."""
    is_credential: bool = False
    """Whether a failure is one of credentials."""
    is_passing: bool = False
    """Whether a failure may pass by itself, so that trying again makes sense."""


async def examine(session: Session, *, offline: bool = False, repair: bool = False) -> AsyncIterator[Finding]:
    """Look at one thing after the other.

    Args:
        session: whose settings and folders are looked at.
        offline: leave out what needs the network.
        repair: turn lines of the registry that cannot be read into comments.
    """
    yield _configuration(session)
    for found in _folders(session):
        yield found
    for found in _credentials(session):
        yield found
    network = list(_network(session.environ))
    for found in network:
        yield found
    if not offline and all(found.state == OK for found in network):
        async for online in _services(session):
            yield online
        async for study in _studies(session):
            yield study
    for found in await asyncio.to_thread(lambda: list(_registry(session, repair))):
        yield found
    for found in await asyncio.to_thread(lambda: list(_swaps(session))):
        yield found
    for found in _surroundings(session.environ):
        yield found


async def _studies(session: Session) -> AsyncIterator[Finding]:
    """The frozen studies of this machine, by what the archive keeps; nothing where there is none."""
    from maap_tui.engine.swaps.needed import outlooks

    granules: dict[Path, int] = {}
    at_risk: set[Path] = set()
    try:
        async for one in outlooks(session):
            granules[one.folder] = granules.get(one.folder, 0) + one.granules
            if one.words:
                at_risk.add(one.folder)
                what = f"{plural(one.granules, 'granule')} of {one.product_type} {one.baseline}"
                copy = f"`maap thaw {one.folder} -o DIR` makes a copy while it has them."
                yield Finding(
                    "studies",
                    WARNING,
                    f"{one.folder} needs {what}: {one.words}",
                    copy if one.can_fetch else "Keep what is here of them: nothing brings them back.",
                )
    except CatalogError as error:
        yield Finding("studies", WARNING, error.message, error.hint)
        return
    for folder, count in granules.items():
        if folder not in at_risk:
            yield Finding("studies", OK, f"{folder}: {plural(count, 'granule')}, which the archive keeps")


def _swaps(session: Session) -> Iterator[Finding]:
    """The swaps that were begun; nothing where none was."""
    try:
        swaps = session.swaps()
    except StorageError as error:
        yield Finding("swaps", FAILURE, error.message, error.hint)
        return
    for one in swaps:
        what = f"{one.old.product_type} {one.old.baseline} for {one.new.baseline}"
        command = (
            f"maap swap run {one.old.collection} {one.old.product_type} {one.old.baseline} {one.new.baseline}"
        )
        between = one.counts["fetched"] + one.counts["undoing"]
        if one.bad or between:
            words = [f"{plural(between, 'granule')} between two steps"] if between else []
            words += [f"{plural(one.bad, 'line')} of its journal cannot be read"] if one.bad else []
            yield Finding("swaps", WARNING, f"{what}: {', '.join(words)}", f"`{command}` goes on with it.")
        else:
            yield Finding(
                "swaps", OK, f"{what}: {one.counts['swapped']} kept, {one.counts['retired']} retired"
            )


def _configuration(session: Session) -> Finding:
    file = session.dirs.config_file
    if not file.exists():
        return Finding("configuration", OK, f"no file at {file}; defaults and environment apply")
    changed = sum(1 for origin in session.settings.origins.values() if origin.kind != "default")
    return Finding("configuration", OK, f"{file} is read; {changed} settings are not the defaults")


def _folders(session: Session) -> Iterator[Finding]:
    where = session.dirs
    for name in ("data_dir", "registry_dir", "catalog_dir", "built_catalog_dir", "state_dir"):
        folder: Path = getattr(where, name)
        trial = folder / f".maap-{secrets.token_hex(4)}.tmp"
        try:
            files.make_folder(folder)
            trial.write_bytes(b"x")
            trial.unlink()
        except (OSError, StorageError) as error:
            known = error if isinstance(error, StorageError) else files.storage_error(folder, error)
            yield Finding("folder", FAILURE, f"{name}: {known.message}", known.hint)
            continue
        if stat.S_IMODE(folder.stat().st_mode) & 0o002:
            yield Finding(
                "folder", WARNING, f"{name}: anyone on this machine can write {folder}", f"chmod o-w {folder}"
            )
        else:
            yield Finding("folder", OK, f"{name}: {folder}")
    try:
        free = shutil.disk_usage(where.data_dir).free
    except OSError:
        return
    floor = session.settings.downloads.min_free
    if free < floor:
        yield Finding(
            "disk",
            FAILURE,
            f"{free >> 20} MiB are free for data, and downloads stop below {floor >> 20} MiB",
            "Free space, clean up marked files, or lower downloads.min_free.",
            is_passing=True,
        )
    else:
        yield Finding("disk", OK, f"{free >> 30} GiB are free for data")


def _credentials(session: Session) -> Iterator[Finding]:
    try:
        info = session.token_info()
    except CredentialsError as error:
        yield Finding("token", FAILURE, error.message, error.hint, is_credential=True)
        return
    days = info.days_left(session.now())
    who = f" of {info.name}" if info.name else ""
    if info.is_opaque:
        yield Finding("token", OK, "the offline token does not say when it expires")
    elif days is None:
        yield Finding("token", OK, f"the offline token{who} does not expire")
    elif days < 0:
        yield Finding(
            "token",
            FAILURE,
            f"the offline token{who} expired {-days} days ago",
            "Get a new one and run `maap login`.",
            is_credential=True,
        )
    elif days < session.settings.token.warn_days:
        yield Finding(
            "token",
            WARNING,
            f"the offline token{who} has {days} days left",
            "Get a new one in time and run `maap login`.",
        )
    else:
        yield Finding("token", OK, f"the offline token{who} has {days} days left")


def _network(environ: Mapping[str, str]) -> Iterator[Finding]:
    """What the environment says of proxies and certificates."""
    try:
        proxies = proxies_of(environ)
        for scheme, proxy in proxies.by_scheme.items():
            besides = ", but for what NO_PROXY names and this machine" if proxies.exempt else ""
            yield Finding("network", OK, f"{scheme} requests go through {proxy}{besides}")
    except NetworkSetupError as error:
        yield Finding("network", FAILURE, error.message, error.hint)
    try:
        trust = trust_of(environ)
        ssl_context_of(trust)
        if trust.variable:
            yield Finding("network", OK, f"certificates are those of {trust.path} ({trust.variable})")
    except NetworkSetupError as error:
        yield Finding("network", FAILURE, error.message, error.hint)


async def _services(session: Session) -> AsyncIterator[Finding]:
    root = session.settings.api.catalog_url
    try:
        reply = await session.http.request("GET", urljoin(root, "collections?limit=1"))
    except TransportFault as fault:
        yield Finding("catalogue", FAILURE, fault.message, fault.hint, is_passing=not fault.permanent)
        return
    except NetworkSetupError as error:
        yield Finding("catalogue", FAILURE, error.message, error.hint)
        return
    if reply.status == 200:
        yield Finding("catalogue", OK, f"{root} answers")
    else:
        yield Finding(
            "catalogue",
            FAILURE,
            f"{root} answers {reply.status} {reply.reason}",
            "Check api.catalog_url, or try again later.",
            is_passing=reply.status >= 500 or reply.status == 429,
        )
    yield _clock(reply.headers)
    try:
        # Not a token that an earlier run was given: the service itself is asked.
        await session.fresh_tokens().access_token()
        yield Finding("token", OK, "the token service accepts it")
    except AuthServiceUnavailable as error:
        yield Finding("token", FAILURE, error.message, error.hint, is_passing=True)
    except TokenRequestError as error:
        yield Finding("token", FAILURE, error.message, error.hint)
    except (AuthenticationError, CredentialsError) as error:
        yield Finding("token", FAILURE, error.message, error.hint, is_credential=True)
    except NetworkSetupError as error:
        yield Finding("token", FAILURE, error.message, error.hint)


def _clock(headers: Mapping[str, str]) -> Finding:
    try:
        theirs = parsedate_to_datetime(headers.get("date", ""))
    except (TypeError, ValueError):
        return Finding("clock", OK, "the service does not say its time")
    if theirs.tzinfo is None:
        theirs = theirs.replace(tzinfo=UTC)
    apart = (datetime.now(UTC) - theirs).total_seconds()
    if abs(apart) > CLOCK_TOLERANCE_S:
        way = "ahead of" if apart > 0 else "behind"
        return Finding(
            "clock",
            WARNING,
            f"this clock is {abs(apart):.0f} s {way} the service's",
            "Set it by NTP: relative dates and the days left of the token follow it.",
        )
    return Finding("clock", OK, f"this clock says {to_zulu(datetime.now(UTC).replace(microsecond=0))}")


def _registry(session: Session, repair: bool) -> Iterator[Finding]:
    registry = session.registry
    keys = registry.tracked()
    for key in keys if repair else ():
        try:
            if count := registry.drop_earlier_locks(key):
                yield Finding("locks", OK, f"{count} lock files of earlier versions deleted in {key}")
            for done in repair_lines(registry.baseline(key)):
                yield Finding(
                    "registry",
                    OK,
                    f"{done.lines} damaged lines of {done.file} are comments now; "
                    f"{done.backup.name} beside it is the file as it was",
                )
        except (LockedError, StorageError) as error:
            passing = isinstance(error, LockedError)
            yield Finding("registry", FAILURE, error.message, error.hint, is_passing=passing)
    problems = [Problem(hidden.path, 0, hidden.reason) for hidden in registry.hidden]
    problems += [problem for key in keys for problem in problems_of(registry.baseline(key))]
    if problems:
        first = problems[0]
        yield Finding(
            "registry",
            WARNING,
            f"{len(problems)} lines or files cannot be read and are stepped over, the first one "
            f"{first.file}:{first.line} ({first.reason})",
            "maap doctor --repair makes comments of such lines and keeps each file beside as it was."
            if any(problem.line for problem in problems)
            else "Check them; removing them loses nothing that is used.",
        )
    else:
        yield Finding("registry", OK, f"{len(keys)} baselines are tracked")
    held = []
    for key in keys:
        tracker = registry.baseline(key)
        if not any(path.exists() for path in tracker.lock_files):
            continue
        try:
            with tracker.locked("doctor", timeout_s=0.2):
                pass
        except LockedError as error:
            held.append(error.message)
        except StorageError as error:
            yield Finding("locks", FAILURE, error.message, error.hint)
    if held:
        yield Finding("locks", WARNING, held[0], "It ends by itself when that process does.", is_passing=True)
    else:
        yield Finding("locks", OK, "no baseline is locked")
    unread: list[OSError] = []
    parts = list(_unfinished(session.dirs.data_dir, unread.append))
    if unread:
        first_unread = files.storage_error(unread[0].filename or session.dirs.data_dir, unread[0])
        how_many = f"{len(unread)} folders" if len(unread) > 1 else "1 folder"
        yield Finding(
            "folder",
            WARNING,
            f"{how_many} of the data folder cannot be read, the first one: {first_unread.message}",
            first_unread.hint,
        )
    if parts:
        size = sum(map(bytes_taken, parts))
        yield Finding(
            "registry",
            OK,
            f"{plural(len(parts), 'unfinished download')} ({size >> 20} MiB) can be resumed",
        )


def _unfinished(folder: Path, step_over: Callable[[OSError], object]) -> Iterator[Path]:
    for parent, _, names in os.walk(folder, onerror=step_over):
        for name in names:
            if name.endswith(".part"):
                yield Path(parent) / name


def _surroundings(environ: Mapping[str, str]) -> Iterator[Finding]:
    encoding = locale.getpreferredencoding(False)
    if "utf" in encoding.lower():
        yield Finding("locale", OK, f"{encoding}")
    else:
        yield Finding(
            "locale",
            WARNING,
            f"the locale's encoding is {encoding}: other characters than ASCII are shown as signs",
            "Set LANG=C.UTF-8.",
        )
    terminal = environ.get("TERM", "")
    if not all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout)):
        yield Finding("terminal", OK, "none here: the commands work, the full-screen app does not open")
    elif terminal in ("", "dumb"):
        yield Finding(
            "terminal",
            WARNING,
            f"TERM is {terminal or 'not set'}: the full-screen app does not open",
            "Set TERM to what the terminal is, xterm-256color for most.",
        )
    else:
        columns, rows = shutil.get_terminal_size()
        words = f"{terminal}, {columns}x{rows}" + (", in tmux" if environ.get("TMUX") else "")
        if columns < 60 or rows < 16:
            yield Finding(
                "terminal", WARNING, f"{words}: small for the full-screen app", "Make it at least 80x24."
            )
        else:
            yield Finding("terminal", OK, words)
