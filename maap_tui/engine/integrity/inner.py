"""Sums inside of a file, of its own content: CRC-32 in a zip file, Fletcher-32 in an HDF5 file."""

from __future__ import annotations

import os
import zlib
from typing import Final

from maap_tui.engine.integrity.content import Fault, format_by_url
from maap_tui.engine.integrity.fletcher import fletcher_fault
from maap_tui.engine.integrity.sums import FLETCHER, ZIP_CRC

_BLOCK: Final = 1 << 20
_MOST: Final = 1032
"""Times its packed size that deflated data can have unpacked; what says more is not unpacked here."""


def has_inner(url: str) -> bool:
    """Whether a file of this address may have sums of its own content."""
    return format_by_url(url) in ("zip", "h5", "nc")


def inner_fault(descriptor: int, url: str) -> tuple[str, Fault | None]:
    """Compare the sums that a file has of its own content.

    Args:
        descriptor: the open file.
        url: its address, or its name, which gives the format.

    Returns:
        Which sums were compared, '' for none; what they say against it, None when all agree.

    Raises:
        OSError: it cannot be read.
    """
    format_name = format_by_url(url)
    if format_name == "zip":
        return _zip_fault(descriptor)
    compared, wrong = fletcher_fault(descriptor) if format_name in ("h5", "nc") else (0, "")
    return FLETCHER if compared or wrong else "", Fault(False, wrong) if wrong else None


def _zip_fault(descriptor: int) -> tuple[str, Fault | None]:
    import zipfile

    size = os.fstat(descriptor).st_size
    with os.fdopen(os.dup(descriptor), "rb") as handle:
        try:
            with zipfile.ZipFile(handle) as archive:
                entries = archive.infolist()
                if sum(one.file_size for one in entries) > _MOST * size + _BLOCK:
                    return "", None
                for entry in entries:
                    try:
                        with archive.open(entry) as opened:
                            while opened.read(_BLOCK):
                                pass
                    except (NotImplementedError, RuntimeError):
                        return "", None  # packed or encrypted in a way that is not known here
                    except (zipfile.BadZipFile, zlib.error, EOFError):
                        name = entry.filename[:80]
                        return ZIP_CRC, Fault(False, f"{name!a} in it does not have its CRC-32")
        except (zipfile.BadZipFile, ValueError):
            return ZIP_CRC, Fault(False, "it is not a whole zip file")
    return ZIP_CRC, None
