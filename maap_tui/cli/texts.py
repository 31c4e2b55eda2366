"""The text of a file that an option names, or of stdin."""

from __future__ import annotations

import sys


def read_text(name: str, option: str, *, limit: int = 1 << 28) -> str:
    """The text of a file that an option names, `-` for stdin.

    Raises:
        InvalidRequestError: when it cannot be read or is larger than `limit` bytes.
    """
    from maap_tui.engine.errors import InvalidRequestError

    try:
        if name == "-":
            if sys.stdin is None:
                raise InvalidRequestError("Standard input is closed", f"Name a file for {option}.")
            data = sys.stdin.buffer.read(limit + 1)
        else:
            with open(name, "rb") as handle:
                data = handle.read(limit + 1)
    except OSError as error:
        raise InvalidRequestError(
            f"{option} {name} cannot be read: {error.strerror or error}", "Check the path."
        ) from None
    if len(data) > limit:
        raise InvalidRequestError(f"{option} {name} is larger than {limit:,} bytes", "Split it.")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data[:2]:
        # As editors and shells of Windows write it; without a mark the zeros show which end comes first.
        kind = "utf-16" if data[:1] in b"\xff\xfe" else "utf-16-be" if data[:1] == b"\0" else "utf-16-le"
        try:
            return data.decode(kind)
        except UnicodeDecodeError:
            raise InvalidRequestError(f"{option} {name} is not text", "Write it as UTF-8.") from None
    return data.decode("utf-8-sig", "surrogateescape")
