"""StagedTransfer: files that go to S3 gather on this machine, and are handed on once they are verified.

A file gathers below the state folder just as one that stays: the same requests, the same part that another
run goes on with, the same checks. Only then is it uploaded. A stream from the archive straight into an upload
would save the disk, but a killed run could not go on, a zip or HDF5 file could not be looked into, and
parts that turn out wrong could not be taken back.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from maap_tui.engine.download.connections import Spare
from maap_tui.engine.download.part import drop_note, existing_size, is_same_file, part_of, run_to_end
from maap_tui.engine.download.remote import Fetcher
from maap_tui.engine.download.requests import DownloadOutcome, DownloadRequest, FailedTry, TransferRules
from maap_tui.engine.download.s3 import PART, Bucket, Changed
from maap_tui.engine.errors import DownloadError, S3Unavailable
from maap_tui.engine.events import Emit, FileRetried, Noted
from maap_tui.engine.integrity.hashes import pieces_of
from maap_tui.engine.net.statuses import backoff_s
from maap_tui.engine.storage import files, locks
from maap_tui.engine.storage.places import S3Url

IN_MEMORY = 3 * PART
"""Bytes of files on their way to S3 that may be in memory at a time."""

_Result = TypeVar("_Result")


class StagedTransfer:
    """A `Fetcher` of files that go to S3, and of those that stay."""

    def __init__(
        self,
        inner: Fetcher,
        rules: TransferRules,
        environ: Mapping[str, str],
        emit: Emit,
    ) -> None:
        """Take the parts; open nothing.

        Args:
            inner: brings files to this machine.
            rules: how often, and after how long, S3 is asked again.
            environ: says how S3 is reached.
            emit: takes the events of what is tried again.
        """
        self._inner = inner
        self._rules = rules
        self._environ = environ
        self._emit = emit
        self._buckets: dict[str, asyncio.Future[Bucket]] = {}
        self._memory = _Memory(IN_MEMORY)

    def has_room(self, wanted: DownloadRequest) -> bool:
        """Whether the disk has room for it."""
        return self._inner.has_room(wanted)

    def set_rules(self, rules: TransferRules) -> None:
        """Fetch by other rules from now on."""
        self._rules = rules
        self._inner.set_rules(rules)

    def set_connections(self, count: int, spare: Spare | None = None) -> None:
        """Have at most so many connections to the archive; those to S3 are one a file."""
        self._inner.set_connections(count, spare)

    async def fetch(self, wanted: DownloadRequest) -> DownloadOutcome:
        """Have the file where it is meant to be, whole and verified, or raise.

        Raises:
            DownloadError: this file cannot be had.
            StorageError: S3 refuses it, and would refuse any other, or did not answer.
            MaapError: what `inner` raises.
        """
        target = wanted.target
        if target is None:
            return await self._inner.fetch(wanted)
        bucket = await self._bucket_of(wanted, target)
        received = changes = 0
        is_done = False
        while True:
            there = await self._try(wanted, lambda: bucket.size(target.key))
            if there is not None and (is_done or (there == wanted.size and not wanted.again)):
                _clear_stage(wanted.path)
                return DownloadOutcome(target, there, received)
            came = await self._inner.fetch(replace(wanted, at_target=there))
            received += came.received
            if not came.pieces and came.size == there and not wanted.again:
                _clear_stage(wanted.path)
                return DownloadOutcome(target, there, received)
            async with self._hold(wanted.path) as descriptor:
                # Without it, another process published it meanwhile.
                is_done = descriptor is None
                if descriptor is None:
                    continue
                pieces = came.pieces or await run_to_end(pieces_of, descriptor, came.size)
                try:
                    await self._upload(wanted, bucket, target, descriptor, came.size, pieces)
                except Changed as change:
                    changes += 1
                    reason = f"{change}; starting over"
                else:
                    reason = ""
                if is_same_file(descriptor, wanted.path):
                    os.unlink(wanted.path)
            if not reason:
                return DownloadOutcome(target, came.size, received, tuple(pieces), came.agreed)
            if changes > self._rules.retries:
                raise DownloadError(wanted.url, reason, hint="Check the disk with state_dir.")
            self._emit(FileRetried(wanted.url, reason, changes, 0.0))

    async def _bucket_of(self, wanted: DownloadRequest, target: S3Url) -> Bucket:
        """The bucket of an object, looked at once for all files that go there."""
        known = self._buckets.get(target.bucket)
        if known is None or (known.done() and (known.cancelled() or known.exception() is not None)):
            known = asyncio.ensure_future(self._open(wanted, target))
            # Who waits for it may be cancelled, and nobody be left to hear of an error.
            known.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._buckets[target.bucket] = known
        return await asyncio.shield(known)

    async def _open(self, wanted: DownloadRequest, target: S3Url) -> Bucket:
        bucket = Bucket(target.bucket, self._environ, self._rules.retry_wait_s)
        await self._try(wanted, lambda: bucket.check(target.key.rpartition("/")[0]))
        return bucket

    async def _upload(
        self,
        wanted: DownloadRequest,
        bucket: Bucket,
        target: S3Url,
        descriptor: int,
        size: int,
        pieces: Sequence[str],
    ) -> None:
        """Upload a staged file; raises `Changed` when its bytes are not those that came."""

        async def upload() -> None:
            async with self._memory.of(min(2 * size, IN_MEMORY)):
                await bucket.put(target.key, descriptor, size, pieces)

        await self._try(wanted, upload)

    async def _try(self, wanted: DownloadRequest, ask: Callable[[], Awaitable[_Result]]) -> _Result:
        tries = 0
        while True:
            try:
                return await ask()
            except FailedTry as failure:
                tries += 1
                if tries > self._rules.retries:
                    # No other file would fare better, and those that are here whole would fill the disk.
                    raise S3Unavailable(failure.reason, "Run the same command again later.") from None
                wait_s = backoff_s(tries, self._rules.retry_wait_s)
                self._emit(FileRetried(wanted.url, failure.reason, tries, wait_s))
                await asyncio.sleep(wait_s)

    @contextlib.asynccontextmanager
    async def _hold(self, path: Path) -> AsyncIterator[int | None]:
        """The staged file, open and held by this process alone; None when it is gone.

        Raises:
            StorageError: it cannot be opened.
        """
        is_reported = False
        while True:
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            except FileNotFoundError:
                yield None
                return
            except OSError as error:
                raise files.storage_error(path, error) from error
            let_go = None
            try:
                let_go = locks.hold(descriptor, path)
                if let_go is not None and is_same_file(descriptor, path):
                    yield descriptor
                    return
            except OSError as error:
                raise files.storage_error(path, error) from error
            finally:
                if let_go is not None:
                    let_go()
                os.close(descriptor)
            if not is_reported:
                self._emit(Noted(f"{path.name} is being uploaded by another process; waiting for it"))
                is_reported = True
            await asyncio.sleep(0.2)


class _Memory:
    """Bytes that may be in memory at a time; for one loop."""

    def __init__(self, most: int) -> None:
        self._most = self._left = most
        self._freed = asyncio.Event()

    @contextlib.asynccontextmanager
    async def of(self, count: int) -> AsyncIterator[None]:
        """Have so many of them, once they are free."""
        count = min(count, self._most)
        while self._left < count:
            self._freed.clear()
            await self._freed.wait()
        self._left -= count
        try:
            yield
        finally:
            self._left += count
            self._freed.set()


def _clear_stage(path: Path) -> None:
    """Remove what an earlier run left of a file that is at S3, unless another process is at work on it."""
    for one in (path, part_of(path)):
        if existing_size(one) is None:
            continue
        with contextlib.suppress(OSError, FileNotFoundError):
            descriptor = os.open(one, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            let_go = None
            try:
                let_go = locks.hold(descriptor, one)
                if let_go is not None:
                    os.unlink(one)
            finally:
                if let_go is not None:
                    let_go()
                os.close(descriptor)
    if not os.path.lexists(part_of(path)):
        # A run that was killed between the rename and its tidying left the note alone.
        with contextlib.suppress(OSError):
            drop_note(part_of(path))


async def sizes_at(
    requests: Iterable[DownloadRequest], environ: Mapping[str, str], wait_s: float
) -> dict[str, int]:
    """Bytes of the files that are where they are to go, by URL; of S3 as far as it may be listed.

    Args:
        requests: the files.
        environ: says how S3 is reached.
        wait_s: seconds before it is asked again; doubles.

    Raises:
        StorageError: S3 refuses, or does not answer.
    """
    found: dict[str, int] = {}
    at_s3: dict[str, list[tuple[str, S3Url]]] = {}
    for one in requests:
        if one.target is not None:
            at_s3.setdefault(one.target.bucket, []).append((one.url, one.target))
        elif (size := existing_size(one.path)) is not None:
            found[one.url] = size
    for name, wanted in at_s3.items():
        prefix = os.path.commonpath(["/" + target.key.rpartition("/")[0] for _, target in wanted]).strip("/")
        try:
            there = await Bucket(name, environ, wait_s).sizes(prefix)
        except FailedTry as failure:
            raise S3Unavailable(failure.reason, "Run the same command again later.") from None
        found.update((url, there[target.key]) for url, target in wanted if target.key in there)
    return found
