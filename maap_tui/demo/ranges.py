"""Sorted, disjoint, closed ranges of whole numbers, open ends as infinities."""

from __future__ import annotations

import math

Ranges = list[tuple[float, float]]

EVERYTHING: Ranges = [(-math.inf, math.inf)]


def intersect(a: Ranges, b: Ranges) -> Ranges:
    """Numbers in both."""
    out: Ranges = []
    i = j = 0
    while i < len(a) and j < len(b):
        low, high = max(a[i][0], b[j][0]), min(a[i][1], b[j][1])
        if low <= high:
            out.append((low, high))
        if a[i][1] < b[j][1]:
            i += 1
        else:
            j += 1
    return out


def unite(a: Ranges, b: Ranges) -> Ranges:
    """Numbers in either."""
    out: Ranges = []
    for low, high in sorted(a + b):
        if out and low <= out[-1][1] + 1:
            out[-1] = (out[-1][0], max(out[-1][1], high))
        else:
            out.append((low, high))
    return out


def complement(a: Ranges) -> Ranges:
    """Numbers in none."""
    out: Ranges = []
    low = -math.inf
    for start, end in a:
        if start > low:
            out.append((low, start - 1))
        low = end + 1
    if low < math.inf:
        out.append((low, math.inf))
    return out
