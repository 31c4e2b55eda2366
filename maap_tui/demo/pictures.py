"""Quicklooks of the embedded archive: a curtain of clouds along the track, or a swath seen from above.

They are drawn when they are asked for, from the name alone, as a plot with a frame, a title and a scale.
"""

from __future__ import annotations

import hashlib
import io
from functools import lru_cache
from typing import Any

WIDTH, HEIGHT = 640, 400
"""Pixels of a quicklook."""
LEFT, TOP, RIGHT, BOTTOM = 48, 28, 568, 368
"""The frame of the plot within it."""

_STOPS = (
    (13, 8, 135),
    (84, 2, 163),
    (156, 23, 158),
    (204, 71, 120),
    (237, 121, 83),
    (253, 180, 47),
    (240, 249, 33),
)
"""Red, green and blue of the scale at equal distances, from few to many."""


@lru_cache(maxsize=64)
def quicklook(name: str, product: str) -> bytes:
    """The JPEG of a granule; the same for the same name."""
    import numpy as np
    from PIL import Image, ImageDraw

    dice = np.random.default_rng(list(hashlib.sha256(name.encode()).digest()))
    width, height = RIGHT - LEFT, BOTTOM - TOP
    cover = _noise(np, dice, height, width, (8, 6) if product.startswith("MSI") else (16, 3))
    if not product.startswith("MSI"):
        # Clouds up to the tropopause, which is low at high latitudes; above them the air is clear.
        altitude = np.linspace(1, 0, height)[:, None]
        top = 0.35 + 0.4 * _noise(np, dice, 1, width, (6, 1))
        cover = cover * np.clip((top - altitude) * 5, 0, 1) + 0.08 * dice.random((height, width))
        ground = 0.02 + 0.06 * _noise(np, dice, 1, width, (24, 1))
        cover = np.where(altitude < ground, np.nan, cover)
    image = Image.new("RGB", (WIDTH, HEIGHT), "white")
    image.paste(Image.fromarray(_coloured(np, cover)), (LEFT, TOP))
    scale = np.repeat(np.linspace(1, 0, height)[:, None], 14, axis=1)
    image.paste(Image.fromarray(_coloured(np, scale)), (RIGHT + 20, TOP))
    draw = ImageDraw.Draw(image)
    draw.rectangle((LEFT - 1, TOP - 1, RIGHT, BOTTOM), outline="black")
    draw.rectangle((RIGHT + 19, TOP - 1, RIGHT + 34, BOTTOM), outline="black")
    draw.text((LEFT, 8), f"{product}  {name[-6:]}", fill="black")
    for step in range(5):
        x, y = LEFT + width * step // 4, BOTTOM - height * step // 4
        draw.line((x, BOTTOM, x, BOTTOM + 5), fill="black")
        draw.line((LEFT - 6, y, LEFT - 1, y), fill="black")
        draw.text((LEFT - 28, y - 6), str(5 * step), fill="black")
        draw.text((RIGHT + 40, y - 6), f"{step / 4:.2f}", fill="black")
    memory = io.BytesIO()
    image.save(memory, "JPEG", quality=80)
    return memory.getvalue()


def _noise(np: Any, dice: Any, height: int, width: int, coarsest: tuple[int, int]) -> Any:
    """Clouds between 0 and 1: the same randomness in steps of size, each half as strong."""
    total = np.zeros((height, width))
    strength = 1.0
    across, down = coarsest
    for _ in range(4):
        grid = dice.random((down + 2, across + 2))
        y, x = np.linspace(0, down, height)[:, None], np.linspace(0, across, width)[None, :]
        row, column = y.astype(int), x.astype(int)
        fy, fx = y - row, x - column
        fy, fx = fy * fy * (3 - 2 * fy), fx * fx * (3 - 2 * fx)
        upper = grid[row, column] * (1 - fx) + grid[row, column + 1] * fx
        lower = grid[row + 1, column] * (1 - fx) + grid[row + 1, column + 1] * fx
        total += strength * (upper * (1 - fy) + lower * fy)
        strength, across, down = strength / 2, across * 2, down * 2
    return np.clip((total / 1.875 - 0.25) * 2, 0, 1)


def _coloured(np: Any, values: Any) -> Any:
    """Red, green and blue of values between 0 and 1; NaN is the ground."""
    stops = np.array(_STOPS, dtype=float)
    at = np.clip(np.nan_to_num(values), 0, 1) * (len(stops) - 1)
    low = np.minimum(at.astype(int), len(stops) - 2)
    part = (at - low)[..., None]
    found = stops[low] * (1 - part) + stops[low + 1] * part
    found[np.isnan(values)] = (96, 84, 72)
    return found.astype("uint8")
