"""Comparing: the bytes of a file that came against every sum that was offered of them."""

from __future__ import annotations

from collections.abc import Sequence

from maap_tui.engine.download.part import HELD, Part, run_to_end
from maap_tui.engine.download.requests import DownloadRequest, FailedTry, StartOver
from maap_tui.engine.integrity.inner import has_inner, inner_fault
from maap_tui.engine.integrity.sums import Etags, Sum, compare_sums, distinct, of_multihash


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
        expected = [Sum("sha256", wanted.frozen, "study")]
        if part.length <= HELD:
            wrong = compare_sums(part.descriptor, part.length, expected)
        else:
            wrong = await run_to_end(compare_sums, part.descriptor, part.length, expected)
        if not wrong:
            return
        reason = "its bytes are not those that the study froze (SHA-256)"
        if self._other == tuple(pieces):
            part.restart()
            raise FailedTry(f"the file changed at the archive: {reason}", permanent=True)
        self._other = tuple(pieces)
        raise StartOver(reason)


async def compare_all(part: Part, wanted: DownloadRequest, pieces: Sequence[str], etags: Etags) -> Sum | None:
    """Compare what is there with each sum that was offered of it; returns the best that it has.

    Where none was offered nothing is read, but for the headers of HDF5 files.

    Args:
        part: all the bytes of the file, written.
        wanted: the file, as the catalogue announced it.
        pieces: hashes of these bytes, which distinguish them from others.
        etags: whether ETags are sums.

    Raises:
        StartOver: it lacks one, and has to be fetched again.
    """
    offered = list(part.sums)
    if (announced := of_multihash(wanted.checksum)) is not None:
        offered.append(announced)
    offered = [one for one in distinct(offered) if one.is_sure or etags.may_be_sum(wanted.url)]
    agreed = None
    if offered:
        if part.length <= HELD:
            wrong = compare_sums(part.descriptor, part.length, offered)
        else:
            wrong = await run_to_end(compare_sums, part.descriptor, part.length, offered)
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
