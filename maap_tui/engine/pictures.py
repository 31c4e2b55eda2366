"""Pictures made small enough for a terminal; run as a program, it reads one from its standard input.

The picture is opened by the reader of its own format: a server may send anything, and the fewer decoders
see it the better.
"""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass
from typing import Any

from maap_tui.engine.apart import CannotRead, demand, finish, run_apart

MOST_PIXELS = 25_000_000
"""Pixels of a picture that is opened; their colours alone take 100 MB."""
MOST_COLOURS = 64
"""Colours of a picture made small: neighbours that are equal are sent to the terminal once."""

_NEEDS = ("PIL", "pictures", "A picture")


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture made small."""

    width: int
    """Pixels."""
    height: int
    pixels: bytes
    """Red, green and blue of each pixel, by rows; of one in grey a byte each."""
    original: tuple[int, int]
    """Width and height of the picture as it came, pixels."""


def demand_pictures() -> None:
    """Refuse to show pictures where that cannot be done.

    Raises:
        InvalidRequestError: the package for it is not installed.
    """
    demand(*_NEEDS)


async def made_small(data: bytes, width: int, height: int, *, colours: int = MOST_COLOURS) -> Picture:
    """A picture that fits into so many pixels, its sides in proportion.

    Args:
        data: a PNG or JPEG.
        width: pixels.
        height: pixels.
        colours: colours that it is given; 0 for greys.

    Raises:
        InvalidRequestError: it cannot be shown, in a sentence; or the package for it is not installed.
    """
    demand_pictures()
    words = (str(max(1, width)), str(max(1, height)), str(colours))
    found = await run_apart(__name__, *words, data=data)
    head, _, pixels = found.partition(b"\n")
    size = [int(word) for word in head.split()]
    return Picture(size[0], size[1], pixels, (size[2], size[3]))


def _opened(data: bytes) -> Any:
    from PIL.JpegImagePlugin import JpegImageFile
    from PIL.PngImagePlugin import PngImageFile

    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return PngImageFile(io.BytesIO(data))
    if data.startswith(b"\xff\xd8"):
        return JpegImageFile(io.BytesIO(data))
    raise CannotRead("it is neither a PNG nor a JPEG picture")


def _small(data: bytes, width: int, height: int, colours: int) -> bytes:
    from PIL import Image, ImageOps

    try:
        image = _opened(data)
        original = image.size
        if original[0] * original[1] > MOST_PIXELS:
            raise CannotRead(f"it has {original[0]:,} x {original[1]:,} pixels, too many to be shown")
        image.draft("RGB", (2 * width, 2 * height))
        if image.mode.startswith("I"):  # 16 bits of grey
            image = image.point(lambda value: value / 256).convert("L")
        if image.mode in ("LA", "PA", "RGBA", "P"):
            whole = image.convert("RGBA")
            image = Image.new("RGB", whole.size)
            image.paste(whole, mask=whole.getchannel("A"))
        image = ImageOps.contain(image.convert("RGB"), (width, height))
        if colours:
            image = image.quantize(colours, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).convert("RGB")
        else:
            image = ImageOps.autocontrast(image.convert("L"))
    except (CannotRead, MemoryError):
        raise
    except Exception as error:  # the readers raise nearly anything on broken data
        raise CannotRead(f"the picture is damaged ({' '.join(str(error).split())[:100]})") from error
    return b"%d %d %d %d\n" % (*image.size, *original) + image.tobytes()


if __name__ == "__main__":
    _width, _height, _colours = map(int, sys.argv[1:4])
    finish(lambda: _small(sys.stdin.buffer.read(), _width, _height, _colours))
