"""Comparing: the bytes of a file that came against every sum that was offered of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from maap_tui.engine.download.part import HELD, Part, run_to_end
from maap_tui.engine.download.requests import DownloadRequest, FailedTry, StartOver
from maap_tui.engine.integrity.hashes import sha256_of
from maap_tui.engine.integrity.inner import has_inner, inner_fault
from maap_tui.engine.integrity.sums import Etags, Sum, distinct, of_multihash


def hashed(wanted: DownloadRequest, etags: Etags, offered: Sequence[Sum]) -> list[Sum]:
    """What the bytes of a file will be compared with, to be hashed as they come.

    Args:
        wanted: the file, as the catalogue announced it.
        etags: whether ETags are sums.
        offered: what its server offers of it.
    """
    found = _expected(wanted, etags, offered)
    if wanted.frozen:
        found.append(_frozen(wanted))
    return found


def _expected(wanted: DownloadRequest, etags: Etags, offered: Sequence[Sum]) -> list[Sum]:
    found = list(offered)
    if (announced := of_multihash(wanted.checksum)) is not None:
        found.append(announced)
    return [one for one in distinct(found) if one.is_sure or etags.may_be_sum(wanted.url)]


def _frozen(wanted: DownloadRequest) -> Sum:
    return Sum("sha256", wanted.frozen, "study")


async def _lacking(part: Part, expected: Sequence[Sum]) -> list[Sum]:
    """Those of some sums that a file does not have; what was not hashed as it came is read."""
    running, length = part.running_to_end(), part.length
    if length <= HELD or running.first_missing(expected, length) == length:
        return running.lacking(expected, part.descriptor, length)
    return await run_to_end(running.lacking, expected, part.descriptor, length)


def is_as_frozen(path: Path, wanted: DownloadRequest) -> bool:
    """Whether a file that is here has the bytes that a study froze."""
    try:
        return sha256_of(path) == wanted.frozen
    except OSError:
        return False


class Frozen:
    """Whether the bytes of a file are those that a study froze; for one file."""

    def __init__(self) -> None:
        self._other: tuple[str, ...] = ()

    async def demand(self, part: Part, wanted: DownloadRequest, pieces: Sequence[str]) -> None:
        """Refuse other bytes; those that come twice are what the server has.

        Raises:
            StartOver: they are others, and may have been damaged on the way.
            FailedTry: the server has others.
        """
        if not wanted.frozen:
            return
        if not await _lacking(part, [_frozen(wanted)]):
            return
        reason = "its bytes are not those that the study froze (SHA-256)"
        if self._other == tuple(pieces):
            part.restart()
            raise FailedTry(f"the file changed at the archive: {reason}", permanent=True)
        self._other = tuple(pieces)
        raise StartOver(reason)


async def compare_all(part: Part, wanted: DownloadRequest, pieces: Sequence[str], etags: Etags) -> Sum | None:
    """Compare what is there with each sum that was offered of it; returns the best that it has.

    Nothing is read that came in order and was known to be compared, but for the headers of HDF5 files.

    Args:
        part: all the bytes of the file, written.
        wanted: the file, as the catalogue announced it.
        pieces: hashes of these bytes, which distinguish them from others.
        etags: whether ETags are sums.

    Raises:
        StartOver: it lacks one, and has to be fetched again.
    """
    offered = _expected(wanted, etags, part.sums)
    agreed = None
    if offered:
        wrong = await _lacking(part, offered)
        for one in wrong:
            if one.is_sure:
                raise StartOver(f"its bytes do not have the archive's {one.source} ({one.algorithm})")
        for one in offered:
            if not one.is_sure and not etags.judge(wanted.url, tuple(pieces), agrees=one not in wrong):
                raise StartOver("its bytes do not have its ETag, and ETags are MD5s at this server")
        agreed = next((one for one in offered if one not in wrong), None)
    if has_inner(wanted.url):
        if part.length <= HELD:
            inner, fault = inner_fault(part.descriptor, wanted.url)
        else:
            inner, fault = await run_to_end(inner_fault, part.descriptor, wanted.url)
        if fault is not None:
            raise StartOver(fault.reason)
        agreed = agreed or (Sum("", "", inner) if inner else None)
    return agreed
