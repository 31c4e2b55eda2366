"""Sums that the archive offers of a file: what they say, and whether its bytes agree.

They come in items (`file:checksum`, a multihash) and in answers (RFC 9530 `Repr-Digest` and `Content-Digest`,
RFC 3230 `Digest`, RFC 1864 `Content-MD5`, an ETag that is an MD5). Whatever cannot be read is not offered.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from maap_tui.engine.net.origins import origin_of

CHECKSUM = "file:checksum"
ETAG = "ETag"
ZIP_CRC = "zip CRC-32"
FLETCHER = "HDF5 Fletcher-32"

_CODES = {
    0x11: "sha1", 0x12: "sha256", 0x13: "sha512", 0x14: "sha3_512", 0x15: "sha3_384", 0x16: "sha3_256",
    0x17: "sha3_224", 0x20: "sha384", 0xD5: "md5", 0x1013: "sha224", 0xB220: "blake2b", 0xB240: "blake2b",
    0xB260: "blake2s",
}  # fmt: skip
"""Codes of the multihash table; with BLAKE2 the length says which one it is."""

_NAMES = {"sha-512": "sha512", "sha-256": "sha256", "sha": "sha1", "md5": "md5"}
"""Names of algorithms in headers (RFC 9530 section 5), best first."""


_TRIED = 3
"""Files whose ETag is compared with their MD5 before it is believed that it is something else."""


class Sum(NamedTuple):
    """One sum of a whole file."""

    algorithm: str
    """As hashlib names it; '' for sums inside of the file, which were compared when it came."""
    value: str
    """Hex, in lower case."""
    source: str
    """Where it stood: `file:checksum`, the name of a header, or what is inside of the file."""

    @property
    def is_sure(self) -> bool:
        """Whether it is a sum for certain; an ETag may only look like one."""
        return self.source != ETAG

    @property
    def kind(self) -> tuple[str, int]:
        """What distinguishes the digest that it is compared with: its algorithm and its bytes."""
        return self.algorithm, len(self.value) // 2


def of_multihash(text: str) -> Sum | None:
    """The sum of a multihash in hex (STAC file extension 2.1); None for one that cannot be compared."""
    try:
        data = bytes.fromhex(text)
        code, at = _varint(data, 0)
        length, at = _varint(data, at)
    except (ValueError, IndexError):
        return None
    algorithm = _CODES.get(code, "")
    value = data[at:]
    if not algorithm or len(value) != length or length != _new(algorithm, length).digest_size:
        return None
    return Sum(algorithm, value.hex(), CHECKSUM)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if data[at - 1] < 0x80:
            return value, at


def of_answer(headers: Mapping[str, str], *, is_whole: bool) -> list[Sum]:
    """The sums of a whole file that an unpacked answer offers.

    Args:
        headers: its headers, names in lower case.
        is_whole: whether its body is the whole file; otherwise only what speaks of the file itself is taken.
    """
    found = [_of_digests(headers.get("repr-digest", ""), "Repr-Digest")]
    found.append(_of_digests(headers.get("digest", ""), "Digest"))
    if is_whole:
        found.append(of_body(headers))
    etag = re.fullmatch(r'"([0-9a-fA-F]{32})"', headers.get("etag", "").strip())
    if etag is not None:
        found.append(Sum("md5", etag[1].lower(), ETAG))
    return [one for one in found if one is not None]


def of_body(headers: Mapping[str, str]) -> Sum | None:
    """The sum of the body of an answer, be it a whole file or a range; None for none."""
    found = _of_digests(headers.get("content-digest", ""), "Content-Digest")
    if found is None:
        found = _of_base64("md5", headers.get("content-md5", "").strip(), "Content-MD5")
    return found


def _of_digests(text: str, source: str) -> Sum | None:
    """The best that can be compared of a list `sha-256=:BASE64:, md5=BASE64`."""
    given = {}
    for part in text.split(","):
        name, _, value = part.strip().partition("=")
        given[name.lower()] = value.partition(";")[0].strip().removeprefix(":").removesuffix(":")
    for name, algorithm in _NAMES.items():
        if name in given and (found := _of_base64(algorithm, given[name], source)) is not None:
            return found
    return None


def _of_base64(algorithm: str, text: str, source: str) -> Sum | None:
    try:
        value = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    is_right = len(value) == hashlib.new(algorithm, usedforsecurity=False).digest_size
    return Sum(algorithm, value.hex(), source) if is_right else None


def _new(algorithm: str, size: int) -> Any:
    if algorithm == "blake2b":
        return hashlib.blake2b(digest_size=min(size, 64) or 64)
    if algorithm == "blake2s":
        return hashlib.blake2s(digest_size=min(size, 32) or 32)
    return hashlib.new(algorithm, usedforsecurity=False)


def new_digest(expected: Sum) -> Any:
    """A digest of no bytes so far, as hashlib makes it, for a sum to be compared with."""
    return _new(*expected.kind)


class BodySum:
    """The sum of a body while it comes."""

    def __init__(self, offered: Sum) -> None:
        """Take what it has to be."""
        self.offered = offered
        self._digest = new_digest(offered)

    def add(self, data: bytes) -> None:
        """Take the next bytes."""
        self._digest.update(data)

    @property
    def agrees(self) -> bool:
        """Whether what came so far has the sum."""
        return bool(self._digest.hexdigest() == self.offered.value)


def distinct(offered: Iterable[Sum]) -> list[Sum]:
    """Each sum once, those that are sums for certain first."""
    ordered = sorted(offered, key=lambda one: not one.is_sure)
    return list({(one.algorithm, one.value): one for one in reversed(ordered)}.values())[::-1]


class Etags:
    """Whether the ETags of servers are MD5s, learned from file to file; for one run.

    Two texts of 128 bits never agree by chance, so one that agrees proves it for its server. Still a server
    may have other ETags for some files: what comes with the same bytes twice is what the server has.
    """

    def __init__(self) -> None:
        self._agreed: set[str] = set()
        self._missed: dict[str, int] = {}
        self._doubted: dict[str, tuple[str, ...]] = {}

    def may_be_sum(self, url: str) -> bool:
        """Whether it is worth comparing the ETag of a file."""
        server = origin_of(url)
        return server in self._agreed or self._missed.get(server, 0) < _TRIED

    def judge(self, url: str, content: tuple[str, ...], *, agrees: bool) -> bool:
        """Take note of a comparison; returns False where the file has to be fetched again.

        Args:
            url: of the file.
            content: what distinguishes the bytes that came.
            agrees: whether the ETag is their MD5.
        """
        server = origin_of(url)
        if agrees:
            self._agreed.add(server)
            return True
        if server not in self._agreed:
            self._missed[server] = self._missed.get(server, 0) + 1
            return True
        if self._doubted.pop(url, None) == content:
            return True
        self._doubted[url] = content
        return False


def noted(offered: Sequence[Sum]) -> list[list[str]]:
    """Sums as a part's note has them."""
    return [list(one) for one in offered]


def read_noted(data: Any) -> list[Sum]:
    """The inverse of `noted`; what cannot be read is left out."""
    rows = data if isinstance(data, list) else []
    return [
        Sum(*row)
        for row in rows
        if isinstance(row, list)
        and len(row) == 3
        and all(isinstance(one, str) for one in row)
        and row[0] in ("", *_CODES.values())
    ]
