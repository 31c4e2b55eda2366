"""Places: where a file is to be in the end, a path on this machine or an object of S3."""

from __future__ import annotations

import os
import re
from pathlib import Path

from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.storage.names import is_bucket, is_key_part, shown

HOW = "Give s3://BUCKET or s3://BUCKET/PREFIX."
"""What an address of S3 looks like."""

_MAX_KEY = 1024
"""Bytes that S3 gives a key."""
_ADDRESS = re.compile(r"(s3[an]?|gs|gcs|az|abfss?|wasbs?|https?|ftps?|file):", re.IGNORECASE)


class S3Url(str):
    """`s3://BUCKET/KEY` of an object, or of the prefix of several; a text to all who print it."""

    __slots__ = ()

    @classmethod
    def read(cls, text: str) -> S3Url:
        """Read an address as a user gave it; a slash at its end is left out.

        Raises:
            InvalidRequestError: it is not one.
        """
        scheme, found, rest = text.strip().partition("://")
        if scheme.lower() != "s3" or not found:
            raise InvalidRequestError(f"{shown(text)} is not an address of S3", HOW)
        bucket, *parts = rest.removesuffix("/").split("/")
        if not is_bucket(bucket):
            raise InvalidRequestError(f"{shown(text)} names no bucket of S3", HOW)
        if bad := [part for part in parts if not is_key_part(part)]:
            raise InvalidRequestError(
                f"{shown(bad[0])} cannot be a part of the prefix in {shown(text)}",
                "Use letters, digits, blanks and _ . = + @ , ! ( ) ' - between single slashes.",
            )
        made = cls("/".join((f"s3://{bucket}", *parts)))
        if len(made.key) > _MAX_KEY // 2:
            raise InvalidRequestError(f"The prefix in {shown(text)} is too long", "Give a shorter one.")
        return made

    @property
    def bucket(self) -> str:
        return self.split("/")[2]

    @property
    def key(self) -> str:
        """What follows the bucket, '' for all of it."""
        return "/".join(self.split("/")[3:])

    @property
    def name(self) -> str:
        """The last part of the key."""
        return self.rpartition("/")[2]

    def __truediv__(self, name: str) -> S3Url:
        """What is of that name below it; for names that were checked."""
        return S3Url(f"{self}/{name}")

    def stage_below(self, folder: Path) -> Path:
        """Where the bytes of an object gather on this machine: the same place for every process."""
        import hashlib  # slow to load, and most commands need none

        above = self.rpartition("/")[0]
        return folder / hashlib.sha256(above.encode()).hexdigest()[:16] / self.name


Place = Path | S3Url


def place_of(given: Path | str) -> Place:
    """Read what a user gave as a folder or as `s3://BUCKET/PREFIX`.

    Raises:
        InvalidRequestError: it is an address that nothing can be written to.
    """
    if isinstance(given, str) and re.match(r"s3:", given.strip(), re.IGNORECASE):
        return S3Url.read(given)
    return Path(demand_path(given))


def demand_file(given: Path | str) -> Path:
    """The path of a file that is to be written; refuses what names none.

    Raises:
        InvalidRequestError: it is empty, a folder by its last sign, `-`, or an address.
    """
    text = str(given)
    if not text.strip() or "\0" in text:
        raise InvalidRequestError(f"{shown(text)} is not the name of a file to write", "Name a file.")
    if text == "-":
        raise InvalidRequestError("This is written to a file, not to standard output", "Name a file.")
    if text.endswith(os.sep):
        raise InvalidRequestError(
            f"{shown(text)} names a folder, and this is written to a file", "Name a file."
        )
    return Path(demand_path(given))


def demand_path(given: Path | str) -> Path | str:
    """Give back a path, and refuse an address in its place, which would become a folder named `s3:`.

    Raises:
        InvalidRequestError: it is one, or it is empty, as of a variable of the shell that is not set.
    """
    if not str(given).strip():
        raise InvalidRequestError("The path is empty", "Name a path; . is the folder that you are in.")
    if _ADDRESS.match(str(given).lstrip()):
        raise InvalidRequestError(
            f"{shown(str(given))} is an address and not a path of this machine",
            "Name a path; s3://BUCKET/PREFIX is for --out-dir of get and download alone.",
        )
    return given
