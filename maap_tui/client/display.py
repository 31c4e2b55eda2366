"""What a notebook shows of a search: counts, the first files, and the tracks on a map."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from html import escape

from maap_tui.engine.model import Asset, Granule
from maap_tui.engine.plane import Line, coastlines, drawable
from maap_tui.text import clean, format_bytes, format_count, plural

ROWS = 10
"""Files that are listed."""
TRACKS = 500
"""Tracks that are drawn, evenly chosen."""

_COLUMNS = ("Sensing start (UTC)", "Orbit", "Baseline", "Size", "File")
_MAP = (
    '<svg viewBox="-180 -90 360 180" style="max-width:720px;width:100%;background:#eef3f7" role="img">'
    "<title>{title}</title>"
    '<path d="{coasts}" fill="none" stroke="#8a99a8" stroke-width="0.4"/>'
    '<path d="{tracks}" fill="none" stroke="#b5402a" stroke-width="0.6"/></svg>'
)


def html_of(words: str, granules: Sequence[Granule], files: Sequence[tuple[Granule, Asset]]) -> str:
    """What a notebook shows of a search; all that was served is escaped.

    Args:
        words: what the result is, in a line.
        granules: what was found.
        files: the same by file.
    """
    parts = [f"<p><b>SearchResult</b>: {escape(words)}</p>"]
    if files:
        parts.append(_table(files))
    drawn = granules[:: -(-len(granules) // TRACKS) or 1]
    tracks = _path(piece for granule in drawn for piece in _pieces(granule))
    if tracks:
        title = "Ground tracks"
        if len(drawn) < len(granules):
            title += f" ({format_count(len(drawn))} of {format_count(len(granules))})"
            parts.append(f"<p>{title}</p>")
        parts.append(_MAP.format(title=title, coasts=_coasts(), tracks=tracks))
    return "<div>" + "".join(parts) + "</div>"


def _table(files: Sequence[tuple[Granule, Asset]]) -> str:
    head = "".join(f"<th>{name}</th>" for name in _COLUMNS)
    rows = []
    for granule, asset in files[:ROWS]:
        cells = (
            f"{granule.sensing_start:%Y-%m-%d %H:%M:%S}",
            granule.track_frame or granule.orbit_frame,
            granule.baseline,
            "" if asset.size is None else format_bytes(asset.size),
            asset.name,
        )
        rows.append("<tr>" + "".join(f"<td>{escape(clean(cell))}</td>" for cell in cells) + "</tr>")
    more = len(files) - len(rows)
    rest = f"<p>and {plural(more, 'more file')}</p>" if more > 0 else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>{rest}"


def _pieces(granule: Granule) -> Iterator[Line]:
    """The track of a granule in pieces that stay on the map."""
    for line in drawable(granule.track):
        piece: list[tuple[float, float]] = []
        for longitude, latitude in line:
            if piece and abs(longitude - piece[-1][0]) > 180:
                # The way round: on to the edge, and in again from the other one.
                side = 360.0 if piece[-1][0] > 0 else -360.0
                before = piece[-1]
                share = (side / 2 - before[0]) / (longitude + side - before[0])
                crossing = before[1] + share * (latitude - before[1])
                yield [*piece, (side / 2, crossing)]
                piece = [(-side / 2, crossing)]
            piece.append((longitude, latitude))
        yield piece


def _path(lines: Iterable[Line]) -> str:
    return "".join(
        "M" + "L".join(f"{longitude:.1f},{-latitude:.1f}" for longitude, latitude in line)
        for line in lines
        if len(line) > 1
    )


@functools.cache
def _coasts() -> str:
    return _path(coastlines())
