"""Sixel: a reader gets back what the encoder was given."""

from __future__ import annotations

import io
import random

import pytest
from PIL import Image

from maap_tui.engine.pictures import made_sharp
from maap_tui.engine.sixel import MOST_BYTES, MOST_COLOURS, MOST_SIDE, cut, encode, size_of
from tests.sixels import NOT_DRAWN, read_sixel

pytestmark = pytest.mark.usefixtures("apart_at_once")

PALETTE = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (17, 130, 201), (255, 255, 255), (0, 0, 0)]


def photo(size: tuple[int, int], colours: int) -> Image.Image:
    """A picture in so many colours, with plain parts and noisy ones."""
    image = Image.linear_gradient("L").resize(size).convert("RGB")
    image.paste(Image.effect_noise((size[0] // 2, size[1] // 2), 90).convert("RGB"), (size[0] // 3, 0))
    return image.quantize(colours, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (40, 6), (33, 13), (300, 61)])
@pytest.mark.parametrize("colours", [2, 16, 256])
def test_a_reader_gets_the_pixels_back(size: tuple[int, int], colours: int) -> None:
    image = photo(size, colours)
    shares = image.getpalette() or []
    palette = list(zip(*[iter(shares)] * 3, strict=True))
    drawn = read_sixel(encode(image.tobytes(), size[0], palette))
    assert (drawn.width, drawn.height) == size
    assert bytes(one for line in drawn.lines for one in line) == image.tobytes()
    for number, colour in enumerate(palette):
        assert all(
            abs(100 * part / 255 - share) <= 0.5
            for part, share in zip(colour, drawn.colours[number], strict=True)
        )


def test_equal_neighbours_are_counted() -> None:
    # Four are the fewest that are shorter with their number.
    assert encode(bytes(200), 200, PALETTE[:1]) == b'"1;1;200;1#0;2;100;0;0#0!200@'
    assert encode(bytes(3), 3, PALETTE[:1]).endswith(b"#0@@@")
    assert encode(bytes(4), 4, PALETTE[:1]).endswith(b"#0!4@")
    # What is not drawn is not sent at the end of a line.
    assert encode(bytes([0, 0, 1, 1, 0, 1]), 3, PALETTE[:2]).endswith(b"#0@B$#1A?B")


def test_a_part_has_whole_bands() -> None:
    pixels = bytes(random.Random(4).choices(range(len(PALETTE)), k=20 * 31))
    whole = encode(pixels, 20, PALETTE)
    assert size_of(whole) == (20, 31)
    assert cut(whole, 31) == cut(whole, 99) == whole
    for height in range(6, 31):
        part = read_sixel(cut(whole, height))
        lines = height // 6 * 6
        assert (part.width, part.height) == (20, lines)
        assert part.lines == read_sixel(whole).lines[:lines]


def noise(size: tuple[int, int]) -> bytes:
    """A PNG that nothing makes short."""
    memory = io.BytesIO()
    Image.frombytes("RGB", size, random.Random(1).randbytes(3 * size[0] * size[1])).save(memory, "PNG")
    return memory.getvalue()


@pytest.mark.parametrize(
    ("size", "room", "cell"),
    [((900, 700), (200, 60), (10, 20)), ((30, 900), (80, 24), (9, 18)), ((8, 4), (190, 60), (10, 20))],
)
async def test_no_picture_is_too_large(
    size: tuple[int, int], room: tuple[int, int], cell: tuple[int, int]
) -> None:
    sharp = await made_sharp(noise(size), room, cell, (1, 2, 3), sixel_colours=1024)
    assert len(sharp.data) <= MOST_BYTES
    assert sharp.columns <= room[0] and sharp.rows <= room[1]
    drawn = read_sixel(sharp.data)
    # It fills its cells, each pixel of them, and the terminal cuts nothing off.
    assert (drawn.width, drawn.height) == (sharp.columns * cell[0], sharp.rows * cell[1])
    assert not any(NOT_DRAWN in line for line in drawn.lines)
    assert max(drawn.width, drawn.height) <= MOST_SIDE and len(drawn.colours) <= MOST_COLOURS
    # As large as it may be: in bytes, in pixels or in cells.
    assert (
        len(sharp.data) > MOST_BYTES / 3
        or max(drawn.width + cell[0], drawn.height + cell[1]) > MOST_SIDE
        or sharp.columns == room[0]
        or sharp.rows == room[1]
    )
    # Its sides keep their proportion, within what fills up the last cells.
    assert abs(drawn.width - drawn.height * size[0] / size[1]) <= max(cell) * max(1, size[0] / size[1])


async def test_a_terminal_with_few_colours_gets_no_more() -> None:
    sharp = await made_sharp(noise((40, 40)), (10, 10), (10, 20), (1, 2, 3), sixel_colours=16)
    assert len(read_sixel(sharp.data).colours) == 16
