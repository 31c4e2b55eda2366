"""What the bytes of a file say of themselves: whether they are data of its format, and all of it."""

from __future__ import annotations

import functools
import os
import re
from pathlib import Path
from typing import NamedTuple

BINARY = frozenset({"h5", "nc", "dbl", "zip"})
"""Formats that are never text."""

XML = frozenset({"hdr", "eof", "xml"})
"""Formats that are XML throughout."""

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"

SNIFF = 1024
"""Bytes at the beginning of a file that distinguish a message from data."""


class Fault(NamedTuple):
    """What the content says against being the whole file."""

    is_short: bool
    """Whether the end is missing; otherwise it is something else than the file."""
    reason: str
    """In words that follow "it is not whole: "."""


def is_whole(path: Path) -> bool:
    """Whether a file's own structure says that it is whole; True for formats that do not say it."""
    if path.suffix.lower() != ".h5":
        return True
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return hdf5_end(descriptor) == os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)


def hdf5_end(descriptor: int) -> int | None:
    """The end-of-file address in an HDF5 superblock, in bytes; None when it is not an HDF5 file.

    Layout: HDF5 File Format Specification, section II.A. The superblock lies at 0, 512, 1024, 2048, ...
    """
    size = os.fstat(descriptor).st_size
    base = 0
    while base + 48 <= size:
        block = os.pread(descriptor, 96, base)
        if block.startswith(HDF5_SIGNATURE):
            version = block[8]
            if version in (0, 1):
                width, first = block[13], 24 if version == 0 else 28
            elif version in (2, 3):
                width, first = block[9], 12
            else:
                return None
            if width not in (2, 4, 8):
                return None
            begin = first + 2 * width
            return int.from_bytes(block[begin : begin + width], "little")
        base = 512 if base == 0 else base * 2
    return None


def is_message(url: str, head: bytes) -> bool:
    """Whether a body begins like a web page or an error message rather than like the file asked for."""
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:64].lower()
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<body", b'{"', b"{\n", b"{\r", b"[{")):
        return True
    return format_by_url(url) in BINARY and start.startswith((b"<?xml", b"<!doctype", b"<error"))


def structure_fault(descriptor: int, url: str, size: int) -> Fault | None:
    """What the content of an open file says against being the whole file; None when nothing does.

    Args:
        descriptor: the file.
        url: its address, or its name, which gives the format.
        size: its bytes.
    """
    format_name = format_by_url(url)
    head = os.pread(descriptor, SNIFF, 0)
    if is_message(url, head):
        return Fault(False, "a web page or message came instead of data")
    if format_name == "h5" or (format_name == "nc" and head.startswith(HDF5_SIGNATURE)):
        end = hdf5_end(descriptor)
        if end is None:
            return Fault(False, "it is not an HDF5 file")
        if end != size:
            return Fault(size < end, f"its HDF5 header says {end} bytes and there are {size}")
    elif format_name == "nc" and not head.startswith(b"CDF"):
        return Fault(False, "it is not a netCDF file")
    elif format_name == "zip" and not _is_zip_complete(descriptor):
        return Fault(head.startswith(b"PK\x03\x04"), "it is not a whole zip file")
    elif format_name in XML and not head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return Fault(False, "it is not an XML file")
    return None


def says_length(url: str) -> bool:
    """Whether a file that `structure_fault` finds nothing against says itself how long it is."""
    return format_by_url(url) in ("h5", "zip")


@functools.lru_cache(maxsize=64)
def format_by_url(url: str) -> str:
    """`h5`, `hdr`, `zip` and so on, by the end of the address; '' when it gives none."""
    path = re.split(r"[?#]", url, maxsplit=1)[0].lower()
    if "/data/zipper/" in path:
        return "zip"
    return path.rpartition("/")[2].rpartition(".")[2]


def _is_zip_complete(descriptor: int) -> bool:
    """Whether the directory at the end of a zip file is there and can be read."""
    import zipfile

    with os.fdopen(os.dup(descriptor), "rb") as handle:
        try:
            with zipfile.ZipFile(handle) as archive:
                return bool(archive.namelist())
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
            return False
