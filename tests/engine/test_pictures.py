"""Pictures made small: what comes out of good ones, and one sentence for every other."""

from __future__ import annotations

import io
import struct
import sys
import zlib

import pytest
from PIL import Image

from maap_tui.engine.apart import run_apart
from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.pictures import MOST_PIXELS, made_sharp, made_small

pytestmark = pytest.mark.usefixtures("apart_at_once")


def encoded(image: Image.Image, kind: str = "PNG") -> bytes:
    memory = io.BytesIO()
    image.save(memory, kind)
    return memory.getvalue()


def halves(mode: str, left: object, right: object, size: tuple[int, int] = (40, 20)) -> Image.Image:
    """A picture whose left half has one colour and whose right half has another."""
    image = Image.new(mode, size, left)  # type: ignore[arg-type]
    image.paste(right, (size[0] // 2, 0, *size))  # type: ignore[arg-type]
    return image


def png_of(width: int, height: int) -> bytes:
    """The beginning of a PNG that says to be so large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(1 << 20)))


RED, BLUE = (200, 10, 10), (10, 10, 200)


@pytest.mark.parametrize(
    ("data", "left", "right"),
    [
        (encoded(halves("RGB", RED, BLUE)), RED, BLUE),
        (encoded(halves("RGB", RED, BLUE), "JPEG"), RED, BLUE),
        (encoded(halves("RGB", RED, BLUE).quantize(8)), RED, BLUE),
        # What can be seen through is black there.
        (encoded(halves("RGBA", (*RED, 255), (255, 255, 255, 0))), RED, (0, 0, 0)),
        (encoded(halves("I;16", 0, 0xFFFF)), (0, 0, 0), (255, 255, 255)),
    ],
    ids=["png", "jpeg", "palette", "transparent", "16 bits"],
)
async def test_a_picture_keeps_its_colours_and_proportions(
    data: bytes, left: tuple[int, ...], right: tuple[int, ...]
) -> None:
    small = await made_small(data, 16, 30)
    assert (small.width, small.height, small.original) == (16, 8, (40, 20))
    assert len(small.pixels) == 16 * 8 * 3
    for begin, colour in ((0, left), (15 * 3, right)):
        found = small.pixels[begin : begin + 3]
        assert all(abs(one - other) <= 12 for one, other in zip(found, colour, strict=True)), found


async def test_greys_go_from_black_to_white() -> None:
    small = await made_small(encoded(halves("RGB", (60, 60, 60), (120, 120, 120))), 20, 20, colours=0)
    assert (small.width, small.height) == (20, 10)
    assert len(small.pixels) == 200 and small.pixels[0] < 20 and small.pixels[-1] > 235


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "neither a PNG nor a JPEG"),
        (b"<html>Sign in</html>", "neither a PNG nor a JPEG"),
        (encoded(Image.new("RGB", (64, 64)), "JPEG")[:400], "the picture is damaged"),
        (png_of(30_000, 30_000), "30,000 x 30,000 pixels, too many to be shown"),
        (png_of(MOST_PIXELS, 2), "too many to be shown"),
        (png_of(1000, 1000), "the picture is damaged"),
    ],
    ids=["empty", "page", "cut", "bomb", "flat bomb", "too little data"],
)
async def test_what_cannot_be_shown_is_said_in_a_sentence(data: bytes, words: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        await made_small(data, 20, 20)
    assert words in caught.value.message and "\n" not in caught.value.message


async def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(InvalidRequestError) as caught:
        await made_small(b"", 20, 20)
    assert caught.value.hint == "Run: pip install 'maap-tui[pictures]'"


async def test_work_that_crashes_costs_its_process_alone() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        await run_apart("maap_tui.engine.there_is_no_such_module")
    assert caught.value.message == "it is damaged, or made to harm: what reads it gave up"


@pytest.mark.parametrize(
    ("size", "room", "cells", "pixels"),
    [
        ((40, 20), (10, 10), (10, 3), (40, 24)),  # enlarged by the terminal
        ((400, 200), (10, 10), (10, 3), (100, 60)),  # made smaller here
        ((20, 400), (10, 10), (1, 10), (10, 200)),
        ((300, 3), (10, 10), (10, 1), (100, 20)),
    ],
)
async def test_a_sharp_picture_fills_whole_cells(
    size: tuple[int, int], room: tuple[int, int], cells: tuple[int, int], pixels: tuple[int, int]
) -> None:
    sharp = await made_sharp(encoded(halves("RGB", RED, BLUE, size)), room, (10, 20), (1, 2, 3))
    image = Image.open(io.BytesIO(sharp.data), formats=["PNG"])
    assert (sharp.columns, sharp.rows) == cells
    assert image.size == pixels
    # Its sides are drawn in proportion.
    assert image.width / image.height == pytest.approx(10 * cells[0] / (20 * cells[1]), rel=0.05)
    assert image.getpixel((0, 0)) == RED
    if image.height > size[1] * min(1, image.width / size[0]):
        assert image.getpixel((0, image.height - 1)) == (1, 2, 3)


async def test_a_damaged_picture_is_refused_in_a_sentence_when_it_is_to_be_sharp() -> None:
    with pytest.raises(InvalidRequestError, match="damaged"):
        await made_sharp(encoded(halves("RGB", RED, BLUE))[:60], (10, 10), (10, 20), (0, 0, 0))
