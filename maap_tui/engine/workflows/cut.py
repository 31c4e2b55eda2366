"""Cut: variables and regions of one file, read in parts where the file is at the archive.

The file is read in a process apart (`engine/cuts/worker.py`). This one owns the network and the token: it
asks for the ranges that the other one names, writes them into a file with holes that nobody else can open,
and gives the result its name once it is whole.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import re
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

from maap_tui.engine.apart import demand, talk_apart
from maap_tui.engine.cuts.remote import ChangedError, NoRangesError, RemoteFile
from maap_tui.engine.cuts.request import (
    Cut,
    CutEstimate,
    CutResult,
    CutSpan,
    CutVariable,
)
from maap_tui.engine.cuts.stretches import Stretch, joined
from maap_tui.engine.download.requests import DownloadRequest
from maap_tui.engine.download.space import check_space
from maap_tui.engine.errors import DiskFullError, InvalidRequestError, NothingInsideError, UnreadableError
from maap_tui.engine.events import Noted
from maap_tui.engine.headers import is_data_file
from maap_tui.engine.integrity.hashes import sha256_of
from maap_tui.engine.missions import parse_name
from maap_tui.engine.model import Asset, Granule
from maap_tui.engine.storage import files
from maap_tui.engine.workflows.files_here import files_here
from maap_tui.engine.workflows.naming import find_named
from maap_tui.engine.workflows.parts import Parts
from maap_tui.engine.workflows.rules import transfer_rules
from maap_tui.text import clean, format_bytes, without_tokens
from maap_tui.version import __version__

_WORKER = "maap_tui.engine.cuts.worker"
_NOTHING, _FULL = "no point is inside", "no space is left"
"""What the process apart says where nothing is left, and where the disk is full."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file to read parts of."""

    name: str
    url: str
    """Where the archive has it; '' for one that is only here."""
    path: Path | None
    """Where it is here; None where it is not."""
    size: int | None = None
    """Bytes that the catalogue announced; None when it did not."""
    granule: str = ""
    """The id of its granule; '' where it is not known."""
    baseline: str = ""

    @property
    def where(self) -> str:
        """Its path here, or its address."""
        return str(self.path) if self.path is not None else self.url


async def source_of(parts: Parts, text: str, collection: str = "") -> Source:
    """The file that a text means: a path, an address, or the name of a granule or of a file of it.

    Raises:
        InvalidRequestError: it means none, several, or one that cannot be cut.
        CatalogError: the archive does not answer.
    """
    path = os.path.expanduser(text)
    if await asyncio.to_thread(os.path.isfile, path):
        return _source_here(Path(path))
    if await asyncio.to_thread(os.path.exists, path):
        what = "a folder" if os.path.isdir(path) else "a device or a pipe"
        raise InvalidRequestError(f"{clean(path, 120)} is {what}, and a file is read", "Name a file.")
    granule = await find_named(parts, text, collection)
    name = text.rpartition("/")[2] if "." in text.rpartition("/")[2] else ""
    return await source_of_granule(parts, granule, name)


def _source_here(path: Path) -> Source:
    name = parse_name(path.name)
    if name is None:
        return Source(path.name, "", path)
    return Source(path.name, "", path, granule=name.stem, baseline=name.baseline or "")


async def source_of_granule(parts: Parts, granule: Granule, name: str = "") -> Source:
    """The data file of a granule, or that of its files that has a name; from here where it is here.

    Raises:
        InvalidRequestError: it has none, or several.
    """
    data = [asset for asset in granule.assets if asset.format]
    chosen = [asset for asset in data if is_data_file(Path(asset.name))]
    if named := [asset for asset in data if asset.name == name]:
        chosen = named
    if not chosen and data and all(asset.format == "zip" for asset in data):
        raise InvalidRequestError(
            f"{granule.id} has its files only inside of a zip file, of which no part can be read",
            "Run `maap get --format zip`, unpack it, and cut the file.",
        )
    if len(chosen) != 1:
        names = ", ".join(asset.name for asset in chosen)
        words = f"has several: {names}" if chosen else "has none"
        raise InvalidRequestError(
            f"An HDF5 file is cut, and {granule.id} {words}", "Name the file." if chosen else ""
        )
    asset: Asset = chosen[0]
    here = await asyncio.to_thread(files_here, parts, granule)
    return Source(asset.name, asset.href, here.get(asset.href), asset.size, granule.id, granule.baseline)


def remote_file(parts: Parts, source: Source, version: tuple[int, str, str] | None = None) -> RemoteFile:
    """A file at the archive, of which parts are read; asks nothing yet.

    Args:
        parts: the engine.
        source: the file.
        version: the one that is meant; None for the one that is met first.

    Raises:
        DownloadError: the access token may not go where it is.
    """
    rules = transfer_rules(parts.settings)
    return RemoteFile(
        parts.http,
        parts.tokens,
        rules,
        source.url,
        size=source.size,
        version=version,
        limits=parts.read_limits,
        pause=parts.pause,
        emit=parts.emit,
    )


async def estimate(parts: Parts, source: Source, cut: Cut, *, whole: bool = False) -> CutEstimate:
    """What a cut needs; reads headers, positions and times.

    Args:
        parts: the engine.
        source: the file.
        cut: what of it.
        whole: whether the cut would fetch the whole file where the server does not send parts of it; then
            nothing of the file is read, and nobody knows what would be kept.

    Raises:
        NothingInsideError: it would be empty.
        InvalidRequestError: the file does not have what is asked for, or cannot be read.
        DownloadError: the archive does not send it in parts, or not now.
    """
    try:
        return await _tried(parts, _Run(parts, source, cut))
    except NoRangesError as error:
        size = error.size if source.size is None else source.size
        if not whole or size is None:
            raise _with_whole(error, source) from None
        return CutEstimate(source.where, size, size, 1, 0, [], [], [])


async def cut(
    parts: Parts,
    source: Source,
    wanted: Cut,
    out: Path,
    *,
    command: str = "",
    whole: bool = False,
    before: Callable[[CutEstimate], None] = lambda needs: None,
    came: Callable[[int], None] = lambda count: None,
) -> CutResult:
    """Write what is cut from a file into another one.

    Args:
        parts: the engine.
        source: the file.
        wanted: what of it.
        out: the result; a file there is replaced once the result is whole.
        command: what asked for it, as it is written into the result.
        whole: whether to fetch the whole file where the server does not send parts of it.
        before: is called with what it needs before the data are asked for.
        came: is called with how many bytes have come, all in all.

    Raises:
        NothingInsideError: it would be empty.
        InvalidRequestError: the file does not have what is asked for, or cannot be read.
        DownloadError: the archive does not send it in parts, or not now.
        StorageError: the result cannot be written.
    """
    if source.path is not None and _is_same(source.path, out):
        raise InvalidRequestError(f"{out} is the file that is cut", "Give another name for the result.")
    try:
        found = await _tried(parts, _Run(parts, source, wanted, out, command, before, came))
    except NoRangesError as error:
        if not whole:
            raise _with_whole(error, source) from None
        async with _fetched(parts, source) as (file, received):
            run = _Run(parts, source, wanted, out, command, before, came, file, received)
            found = await run.once()
    assert isinstance(found, CutResult)
    return found


def _with_whole(error: NoRangesError, source: Source) -> NoRangesError:
    """That the server sends no parts, with what a cut can do about it."""
    size = "" if source.size is None else f" ({format_bytes(source.size)})"
    hint = f"Fetch the whole file{size} with --whole."
    return NoRangesError(error.url, error.message, permanent=True, hint=hint)


def _is_same(one: Path, other: Path) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False


async def _tried(parts: Parts, run: _Run) -> CutEstimate:
    """Cut, from scratch where the file is replaced at the archive meanwhile: two versions are never mixed."""
    for _ in range(parts.settings.downloads.retries):
        try:
            return await run.once()
        except ChangedError as error:
            parts.emit(Noted(f"{error.message}; starting over"))
    return await run.once()


@asynccontextmanager
async def _fetched(parts: Parts, source: Source) -> AsyncIterator[tuple[BufferedReader, int]]:
    """The whole file, as long as it is needed, and how many bytes came for it."""
    folder = parts.dirs.staging_dir / "cuts" / hashlib.sha256(source.url.encode()).hexdigest()[:16]
    path = folder / source.name
    transfer, received, file = parts.limited_transfer(parts.emit), 0, None
    try:
        # Another process that cuts the same file removes it when it is done; what is open stays.
        while file is None:
            received += (await transfer.fetch(DownloadRequest(source.url, path, source.size))).received
            try:
                file = path.open("rb")
            except FileNotFoundError:
                parts.emit(Noted(f"{source.name} was removed by another cut of it; fetching it again"))
            except OSError as error:
                raise files.storage_error(path, error) from error
        with file:
            yield file, received
    finally:
        path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # another process may be fetching the same file for itself
            folder.rmdir()


@dataclass(slots=True)
class _Run:
    """One cut, or the estimate of it where nothing is to be written."""

    parts: Parts
    source: Source
    cut: Cut
    out: Path | None = None
    command: str = ""
    before: Callable[[CutEstimate], None] = lambda needs: None
    came: Callable[[int], None] = lambda count: None
    whole: BufferedReader | None = None
    """The whole file, where it was fetched."""
    fetched: int = 0
    """Bytes that came for that."""

    async def once(self) -> CutEstimate:
        demand("h5py", "hdf5", "Cutting files")
        if self.out is None:
            return await self._read(None)
        with files.written_elsewhere(self.out) as sibling:
            found = await self._read(sibling)
            size = sibling.stat().st_size
        assert isinstance(found, CutResult)
        return CutResult(**{**_fields(found), "bytes": size})

    async def _read(self, sibling: Path | None) -> CutEstimate:
        if self.whole is not None:
            descriptor = self.whole.fileno()
            size = os.fstat(descriptor).st_size
            job: dict[str, Any] = {"path": "", "descriptor": descriptor, "size": size, "here": [(0, size)]}
            said = {"maap_source_sha256": await asyncio.to_thread(_sha256, self.whole)}
            return await self._talk(job, None, descriptor, sibling, said)
        path = self.source.path
        if path is not None:
            try:
                with path.open("rb") as file:
                    size = os.fstat(file.fileno()).st_size
                sha256 = await asyncio.to_thread(sha256_of, path) if sibling is not None else ""
            except OSError as error:
                raise UnreadableError(path, f"Cannot use {path}: {error.strerror}") from error
            job = {"path": str(path), "descriptor": None, "size": size, "here": []}
            return await self._talk(job, None, -1, sibling, {"maap_source_sha256": sha256})
        remote = remote_file(self.parts, self.source)
        folder = None if sibling is None else sibling.parent
        with tempfile.TemporaryFile(dir=folder) as holes:
            descriptor = holes.fileno()
            here: list[Stretch] = []

            def take(at: int, data: bytes) -> None:
                _write(descriptor, data, at, self.out)
                here.append((at, at + len(data)))

            await remote.open(take)
            os.ftruncate(descriptor, remote.size)
            job = {"path": "", "descriptor": descriptor, "size": remote.size, "here": joined(here)}
            said = {"maap_source_etag": remote.etag, "maap_source_modified": remote.modified}
            return await self._talk(job, remote, descriptor, sibling, said)

    async def _talk(
        self,
        job: dict[str, Any],
        remote: RemoteFile | None,
        descriptor: int,
        sibling: Path | None,
        said: dict[str, str],
    ) -> CutEstimate:
        """Let the other process work, and bring it what it asks for."""
        job |= self.cut.as_job()
        job["out"] = None if sibling is None else str(sibling)
        job["provenance"] = self._provenance(job["size"], said)
        found: CutEstimate | None = None
        left_out: list[str] = []

        async def answer(line: bytes) -> bytes:
            nonlocal found
            message = json.loads(line)
            if "want" in message:
                assert remote is not None
                await self._bring(remote, _checked(message["want"], remote.size), descriptor)
                return b"here"
            if "plan" in message:
                found = self._estimate(message["plan"], job["size"], remote)
                if sibling is None:
                    return b"end"
                await asyncio.to_thread(self._check_room, found, sibling)
                self.before(found)
                return b"go"
            left_out.extend(message.get("left_out", ()))
            return b""

        try:
            await talk_apart(
                _WORKER, json.dumps(job).encode(), answer, files=() if descriptor < 0 else (descriptor,)
            )
        except InvalidRequestError as error:
            raise self._failure(error) from None
        assert found is not None
        if sibling is None:
            return found
        fields = _fields(found)
        fields["left_out"] = [*found.left_out, *left_out]
        received = self.fetched if remote is None else remote.received
        return CutResult(**fields, path=self.out or sibling, bytes=0, received=received)

    async def _bring(self, remote: RemoteFile, stretches: Sequence[Stretch], descriptor: int) -> None:
        """Fetch what the other process asks for, into the file with holes."""

        def take(at: int, data: bytes) -> None:
            _write(descriptor, data, at, self.out)
            self.came(remote.received + len(data))

        await remote.read(stretches, take)

    def _check_room(self, found: CutEstimate, sibling: Path) -> None:
        """Look whether the disk has room for what comes, which is there until the result is, and for that."""
        needed = found.needed + sum(one.bytes for one in found.variables)
        try:
            check_space(sibling.parent, needed, transfer_rules(self.parts.settings).min_free)
        except DiskFullError as error:
            error.hint = "Free space, name a file on another disk, or lower downloads.min_free."
            raise

    def _failure(self, error: InvalidRequestError) -> Exception:
        if error.message == _NOTHING:
            return NothingInsideError(
                f"{self.source.name}: no point of it is inside", "Choose another place or time."
            )
        if error.message == _FULL:
            return DiskFullError(f"No space left on {self.out}", "Free space, then run again.")
        if error.hint:
            return error
        return InvalidRequestError(f"{self.source.name}: {error.message}")

    def _estimate(self, plan: dict[str, Any], size: int, remote: RemoteFile | None) -> CutEstimate:
        return CutEstimate(
            source=self.source.where,
            size=size,
            needed=plan["needed"],
            requests=plan["requests"],
            asked=self.fetched if remote is None else remote.received,
            variables=[CutVariable(**one) for one in plan["variables"]],
            spans=[CutSpan(**one) for one in plan["spans"]],
            left_out=plan["left_out"],
        )

    def _provenance(self, size: int, said: dict[str, str]) -> dict[str, str]:
        now = self.parts.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        source = self.source
        # A result is handed on: no password of an address goes along.
        command = re.sub(r"//[^/?#\s]*@", "//", without_tokens(self.command))
        found = {
            "history": f"{now} {command or 'cut'} (maap_tui {__version__})",
            "maap_source": source.url or str(source.path),
            "maap_source_id": source.granule,
            "maap_source_size": str(size),
            "maap_baseline": source.baseline,
            "maap_command": command,
            "maap_version": __version__,
            "maap_time": now,
            **said,
        }
        return {name: value for name, value in found.items() if value}


def _sha256(file: BufferedReader) -> str:
    return hashlib.file_digest(file, "sha256").hexdigest()


def _fields(found: CutEstimate) -> dict[str, Any]:
    return {name: getattr(found, name) for name in type(found).__dataclass_fields__}


def _checked(wanted: Sequence[Sequence[int]], size: int) -> list[Stretch]:
    """Stretches that the other process asks for; what it reads may have been made to harm it."""
    return joined((max(0, int(begin)), min(int(end), size)) for begin, end in wanted)


def _write(descriptor: int, data: bytes, at: int, out: Path | None) -> None:
    view = memoryview(data)
    try:
        while view:
            count = os.pwrite(descriptor, view, at)
            view, at = view[count:], at + count
    except OSError as error:
        failure = files.storage_error(out or tempfile.gettempdir(), error)
        failure.hint = (
            "Free space, then run again." if out else "Free space there, or set TMPDIR to another folder."
        )
        raise failure from error
