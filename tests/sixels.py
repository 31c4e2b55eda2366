"""Reads sixel as a terminal does: the number of the colour of each pixel, and the colours."""

from __future__ import annotations

import re
from typing import NamedTuple

_TOKEN = re.compile(
    rb'"(?P<size>[\d;]+)|#(?P<number>\d+)(?P<colour>;2;\d+;\d+;\d+)?|!(?P<times>\d+)(?P<repeated>[?-~])'
    rb"|(?P<letter>[?-~])|(?P<back>\$)|(?P<down>-)"
)


NOT_DRAWN = -1


class Drawn(NamedTuple):
    """What sixel draws."""

    width: int
    """As it says at its beginning, pixels."""
    height: int
    lines: list[list[int]]
    """The number of the colour of each pixel, each drawn once at most; `NOT_DRAWN` for the others."""
    colours: dict[int, tuple[int, int, int]]
    """Red, green and blue, percent."""


def read_sixel(data: bytes) -> Drawn:
    """Read sixel without what begins and ends it; anything else in it fails."""
    width = height = colour = column = line = end = 0
    lines: list[list[int]] = []
    colours: dict[int, tuple[int, int, int]] = {}
    for token in _TOKEN.finditer(data):
        assert token.start() == end, data[end : end + 20]
        end = token.end()
        if token["size"]:
            one, other, width, height = map(int, token["size"].split(b";"))
            assert one == other == 1 and not lines
            lines = [[NOT_DRAWN] * width for _ in range(height)]
        elif token["number"]:
            colour = int(token["number"])
            if token["colour"]:
                red, green, blue = map(int, token["colour"].split(b";")[2:])
                assert max(red, green, blue) <= 100 and colour not in colours
                colours[colour] = red, green, blue
        elif token["back"]:
            column = 0
        elif token["down"]:
            column, line = 0, line + 6
        else:
            bits = (token["repeated"] or token["letter"])[0] - 63
            last = column + int(token["times"] or 1)
            assert last <= width and colour in colours
            for bit in range(6):
                if bits >> bit & 1:
                    drawn = lines[line + bit]
                    assert all(one == NOT_DRAWN for one in drawn[column:last])
                    drawn[column:last] = [colour] * (last - column)
            column = last
    assert end == len(data), data[end : end + 20]
    return Drawn(width, height, lines, colours)
