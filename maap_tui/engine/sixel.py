"""Pictures in sixel: bands of six lines of pixels, which terminals draw at the cursor.

https://vt100.net/docs/vt3xx-gp/chapter14.html says what is sent. What is made here begins with the size in
pixels and the colours; `cut` takes the first lines of it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

BAND = 6
"""Lines of pixels in one band."""
MOST_BYTES = 400_000
"""Bytes of one picture."""
MOST_COLOURS = 256
MOST_SIDE = 1000
"""Pixels across and down: xterm cuts off what is larger."""

_NOTHING = 63
"""The letter of six pixels of other colours; the bits of those that are drawn are added to it."""
_RUN = re.compile(rb"(.)\1{3,}")
_SIZE = re.compile(rb'"1;1;(\d+);(\d+)')


def encode(pixels: bytes, width: int, colours: Sequence[tuple[int, int, int]]) -> bytes:
    """A picture in sixel, without what begins and ends it on the terminal.

    Args:
        pixels: the number of the colour of each pixel, by lines.
        width: pixels of one line.
        colours: red, green and blue of each number, 0 to 255.
    """
    lines = [pixels[at : at + width] for at in range(0, len(pixels), width)]
    bands = [_band(lines[at : at + BAND], width) for at in range(0, len(lines), BAND)]
    shares = (";".join(str(round(part / 2.55)) for part in colour) for colour in colours)
    head = f'"1;1;{width};{len(lines)}' + "".join(f"#{one};2;{share}" for one, share in enumerate(shares))
    return head.encode() + b"-".join(bands)


def _band(lines: Sequence[bytes], width: int) -> bytes:
    """One band: for each colour in it the letters of the columns, then back to the first column."""
    drawn: dict[int, bytearray] = {}
    for number, line in enumerate(lines):
        bit = 1 << number
        for column, colour in enumerate(line):
            letters = drawn.get(colour)
            if letters is None:
                letters = drawn[colour] = bytearray([_NOTHING]) * width
            letters[column] += bit
    return b"$".join(
        b"#%d" % colour + _RUN.sub(_short, letters.rstrip(b"?")) for colour, letters in sorted(drawn.items())
    )


def _short(run: re.Match[bytes]) -> bytes:
    return b"!%d%b" % (len(run[0]), run[1])


def size_of(sixel: bytes) -> tuple[int, int]:
    """Width and height of what `encode` made, pixels."""
    found = _SIZE.match(sixel)
    assert found is not None
    return int(found[1]), int(found[2])


def cut(sixel: bytes, height: int) -> bytes:
    """The first lines of what `encode` made, as many whole bands as fit into a height of pixels."""
    width, whole = size_of(sixel)
    if height >= whole:
        return sixel
    count = height // BAND
    bands = sixel.split(b"-", count)[:count]
    return _SIZE.sub(b'"1;1;%d;%d' % (width, count * BAND), b"-".join(bands), count=1)
