"""Pictures made fit for a terminal; run as a program, it reads one from its standard input.

The picture is opened by the reader of its own format: a server may send anything, and the fewer decoders
see it the better.
"""

from __future__ import annotations

import io
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from maap_tui.engine import sixel
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


@dataclass(frozen=True, slots=True)
class SharpPicture:
    """A picture for a terminal that draws pixels."""

    columns: int
    """Cells that it fills."""
    rows: int
    data: bytes
    """A PNG to be drawn into those cells, larger or smaller than it is; or sixel, as large as they are."""


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


async def made_sharp(
    data: bytes,
    room: tuple[int, int],
    cell: tuple[int, int],
    ground: tuple[int, int, int],
    *,
    sixel_colours: int = 0,
) -> SharpPicture:
    """A picture as large as fits into so many cells, its sides in proportion.

    A PNG is given no more pixels than it has: the terminal enlarges it. In sixel it has those of its cells,
    and fewer cells where it would take more than `sixel.MOST_BYTES`.

    Args:
        data: a PNG or JPEG.
        room: columns and rows that there are.
        cell: width and height of a cell, pixels.
        ground: red, green and blue of what is left of the last cells.
        sixel_colours: colours that the terminal has for sixel; 0 for a PNG.

    Raises:
        InvalidRequestError: it cannot be shown, in a sentence; or the package for it is not installed.
    """
    demand_pictures()
    words = [str(max(1, number)) for number in (*room, *cell)]
    found = await run_apart(__name__, *words, *map(str, ground), str(sixel_colours), data=data)
    head, _, drawn = found.partition(b"\n")
    columns, rows = map(int, head.split())
    return SharpPicture(columns, rows, drawn)


def _opened(data: bytes) -> Any:
    from PIL.JpegImagePlugin import JpegImageFile
    from PIL.PngImagePlugin import PngImageFile

    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return PngImageFile(io.BytesIO(data))
    if data.startswith(b"\xff\xd8"):
        return JpegImageFile(io.BytesIO(data))
    raise CannotRead("it is neither a PNG nor a JPEG picture")


def _read(data: bytes, width: int, height: int) -> tuple[Any, tuple[int, int]]:
    """A picture in red, green and blue, and its size; a much larger one may be read smaller."""
    from PIL import Image

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
    return image.convert("RGB"), original


def _small(data: bytes, width: int, height: int, colours: int) -> bytes:
    from PIL import Image, ImageOps

    image, original = _read(data, width, height)
    image = ImageOps.contain(image, (width, height))
    if colours:
        image = image.quantize(colours, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).convert("RGB")
    else:
        image = ImageOps.autocontrast(image.convert("L"))
    return b"%d %d %d %d\n" % (*image.size, *original) + image.tobytes()


def _sharp(data: bytes, room: tuple[int, int], cell: tuple[int, int], ground: tuple[int, int, int]) -> bytes:
    from PIL import Image, ImageOps

    width, height = room[0] * cell[0], room[1] * cell[1]
    image, _ = _read(data, width, height)
    # How many times larger than its pixels it is drawn: the terminal enlarges, and fewer bytes are sent.
    scale = min(width / image.width, height / image.height)
    if scale < 1:
        image = ImageOps.contain(image, (width, height), Image.Resampling.LANCZOS)
        scale = 1.0
    columns, rows = (
        min(most, max(1, math.ceil(pixels * scale / one - 0.01)))
        for most, pixels, one in zip(room, image.size, cell, strict=True)
    )
    # It has whole cells: what is left of the last ones is filled, or its sides would lose their proportion.
    whole = Image.new("RGB", (round(columns * cell[0] / scale), round(rows * cell[1] / scale)), ground)
    whole.paste(image)
    memory = io.BytesIO()
    whole.save(memory, "PNG")
    return b"%d %d\n" % (columns, rows) + memory.getvalue()


def _sixel(
    data: bytes, room: tuple[int, int], cell: tuple[int, int], ground: tuple[int, int, int], colours: int
) -> bytes:
    from PIL import Image, ImageOps

    room = max(1, min(room[0], sixel.MOST_SIDE // cell[0])), max(1, min(room[1], sixel.MOST_SIDE // cell[1]))
    whole, _ = _read(data, room[0] * cell[0], room[1] * cell[1])
    while True:
        # A terminal draws each pixel of it as one of its own: it is enlarged here.
        image = ImageOps.contain(whole, (room[0] * cell[0], room[1] * cell[1]), Image.Resampling.LANCZOS)
        columns, rows = (
            max(1, math.ceil(pixels / one)) for pixels, one in zip(image.size, cell, strict=True)
        )
        filled = Image.new("RGB", (columns * cell[0], rows * cell[1]), ground)
        filled.paste(image)
        few = filled.quantize(
            min(colours, sixel.MOST_COLOURS), Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE
        )
        shares = few.getpalette() or []
        drawn = sixel.encode(few.tobytes(), few.width, list(zip(*[iter(shares)] * 3, strict=True)))
        if len(drawn) <= sixel.MOST_BYTES or columns * rows == 1:
            return b"%d %d\n" % (columns, rows) + drawn
        share = math.sqrt(sixel.MOST_BYTES / len(drawn))
        room = max(1, min(columns - 1, int(columns * share))), max(1, min(rows - 1, int(rows * share)))


def _work(numbers: Sequence[int], data: bytes) -> bytes:
    """Make a picture small, or sharp where the numbers say how large a cell is."""
    try:
        if len(numbers) == 3:
            return _small(data, *numbers)
        columns, rows, width, height, red, green, blue, colours = numbers
        if colours:
            return _sixel(data, (columns, rows), (width, height), (red, green, blue), colours)
        return _sharp(data, (columns, rows), (width, height), (red, green, blue))
    except (CannotRead, MemoryError):
        raise
    except Exception as error:  # the readers raise nearly anything on broken data
        raise CannotRead(f"the picture is damaged ({' '.join(str(error).split())[:100]})") from error


if __name__ == "__main__":
    finish(lambda: _work([*map(int, sys.argv[1:])], sys.stdin.buffer.read()))
