"""A granule in words: names, times, ground track, files, properties; pure."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from typing import Any

from rich.text import Text

from maap_tui.engine.geometry import swath_width_km
from maap_tui.engine.model import Granule
from maap_tui.text import clean, format_bytes, format_duration, plural
from maap_tui.tui.screens.search.results import Result
from maap_tui.tui.screens.search.terms import about_product
from maap_tui.tui.theme import STATE_WORDS

MOST_PROPERTIES = 300
LONGEST_VALUE = 2000


def granule_words(result: Result, granule: Granule, waiting: str = "") -> Text:
    """All of a granule.

    Args:
        result: its row, for its state.
        granule: whole; or as the row has it, while it is waited for.
        waiting: what stands in place of the ground track then; '' for a whole one.
    """
    text = Text()
    _section(text, "Granule")
    about = about_product(granule.product_type)
    _line(text, "Collection", granule.collection)
    _line(text, "Product type", f"{granule.product_type}  {about}".strip())
    _line(text, "Baseline", granule.baseline)
    _line(text, "Sensing", _sensing(granule))
    if granule.created:
        _line(text, "Processed", f"{granule.created:%Y-%m-%d %H:%M:%S} UTC")
    if granule.published:
        later = format_duration((granule.published - granule.sensing_start).total_seconds())
        _line(text, "Published", f"{granule.published:%Y-%m-%d %H:%M:%S} UTC  ({later} after sensing)")
    if granule.updated:
        _line(text, "Updated", f"{granule.updated:%Y-%m-%d %H:%M:%S} UTC")
    if granule.track_frame:
        _line(text, "Track, frame", granule.track_frame)
    if granule.orbit_frame:
        _line(text, "Orbit" if granule.track_frame else "Orbit, frame", granule.orbit_frame)
    size = "unknown" if result.size is None else format_bytes(result.size)
    _line(text, "State", f"{STATE_WORDS.get(result.state, result.state)}, {size}")
    if granule.doi:
        _line(text, "Cite as", f"https://doi.org/{granule.doi}")
    if result.quality:
        _section(text, f"Quality ({len(result.quality)})")
    for notice in result.quality:
        text.append(f"  {clean(notice.sentence, LONGEST_VALUE)}\n", "bold")
        if notice.link:
            text.append(f"    {clean(notice.link)}\n", "dim")
    _section(text, "Ground track")
    for sentence in [waiting] if waiting else track_in_words(granule):
        text.append(f"  {clean(sentence)}\n")
    _section(text, f"Files ({len(granule.assets)})")
    for asset in granule.assets:
        size = "size unknown" if asset.size is None else format_bytes(asset.size)
        roles = ", ".join(asset.roles)
        text.append(f"  {clean(asset.name, 300)}", "bold")
        text.append(", the quicklook\n" if asset is granule.quicklook else "\n")
        kind = asset.format or asset.media_type or "other"
        text.append(f"    {size}  {clean(kind, 100)}  {clean(roles, 100)}  {clean(asset.key, 100)}\n")
        text.append(f"    {clean(asset.href)}\n", "dim")
    _section(text, f"Properties ({len(granule.properties)})")
    for name, value in list(granule.properties.items())[:MOST_PROPERTIES]:
        _line(text, str(name), _value(value), width=24)
    if len(granule.properties) > MOST_PROPERTIES:
        text.append(f"  and {len(granule.properties) - MOST_PROPERTIES} more\n")
    return text


def preview_words(result: Result) -> Text:
    """What matters of a granule, a line each; only of what its row has."""
    granule, text = result.granule, Text()
    start, end, track = granule.sensing_start, granule.sensing_end, granule.track
    length = f", {format_duration((end - start).total_seconds())}" if end else ""
    size = "size unknown" if result.size is None else format_bytes(result.size)
    state = STATE_WORDS.get(result.state, result.state)
    orbit = (granule.track_frame, granule.orbit_frame, (granule.orbit_state or "").lower())
    lines = [
        ("Sensing", f"{start:%Y-%m-%d %H:%M:%S}{length}"),
        ("Orbit", "  ".join(filter(None, orbit))),
        ("Product", f"{granule.product_type} {granule.baseline}"),
        ("", about_product(granule.product_type)),
        ("State", f"{state}, {size} in {plural(len(result.files), 'file')}"),
    ]
    if track:
        (lon_a, lat_a), (lon_b, lat_b) = track[0], track[-1]
        lines.insert(2, ("Track", f"{_point(lat_a, lon_a)} to {_point(lat_b, lon_b)}"))
    elif not result.is_whole:
        lines.insert(2, ("Track", "enter fetches it"))
    if granule.published:
        later = format_duration((granule.published - start).total_seconds())
        lines.append(("Published", f"{later} after sensing"))
    if granule.doi:
        lines.append(("DOI", granule.doi))
    lines += [("Quality", notice.sentence) for notice in result.quality]
    for name, value in lines:
        if value:
            text.append(f" {name:<10}", "dim")
            text.append(f"{clean(value, 200)}\n")
    return text


def _sensing(granule: Granule) -> str:
    start, end = granule.sensing_start, granule.sensing_end
    length = f"  ({format_duration((end - start).total_seconds())})" if end else ""
    return f"{start:%Y-%m-%d %H:%M:%S}" + (f" to {end:%H:%M:%S}" if end else "") + " UTC" + length


def _section(text: Text, title: str) -> None:
    text.append(f"{title}\n" if not text else f"\n{title}\n", "bold underline")


def _line(text: Text, name: str, value: str, width: int = 14) -> None:
    text.append(f"  {clean(name, 80):<{width}} ", "dim")
    text.append(f"{clean(value, LONGEST_VALUE)}\n")


def _value(value: Any) -> str:
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        return "(cannot be shown)"


def track_in_words(granule: Granule) -> list[str]:
    """Where the ground track begins and ends, its direction, and the latitudes that it crosses.

    Of the outline of a swath that is the line down its middle.
    """
    track = granule.track
    direction = (granule.orbit_state or "").lower()
    if not track:
        words = [_place_in_words(granule)]
        return [*words, f"The satellite was {direction}."] if direction else words
    (lon_a, lat_a), (lon_b, lat_b) = track[0], track[-1]
    heading = "northward" if lat_b > lat_a else "southward" if lat_b < lat_a else "level"
    width = swath_width_km(granule.geometry)
    sentences = [f"The outline of a swath, {width:,.0f} km wide; down its middle:"] if width else []
    sentences.append(
        f"From {_point(lat_a, lon_a)} to {_point(lat_b, lon_b)}, {heading}"
        + (f" ({direction})." if direction else ".")
    )
    latitudes = [lat for _, lat in track]
    low, high = min(latitudes), max(latitudes)
    sentences.append(f"Latitudes from {_latitude(low)} to {_latitude(high)}.")
    crossed = [
        name
        for name, latitude in (
            ("the Arctic circle", 66.56),
            ("the tropic of Cancer", 23.44),
            ("the equator", 0.0),
            ("the tropic of Capricorn", -23.44),
            ("the Antarctic circle", -66.56),
        )
        if low < latitude < high
    ]
    if _jumps(track):
        crossed.append("the antimeridian")
    if crossed:
        sentences.append(f"It crosses {', '.join(crossed)}.")
    return sentences


def _place_in_words(granule: Granule) -> str:
    kind = str((granule.geometry or {}).get("type") or "")
    if kind == "Point" and granule.footprint:
        longitude, latitude = (granule.geometry or {})["coordinates"][:2]
        return f"At {_point(latitude, longitude)}."
    if kind:
        return f"The catalogue has a {kind} in place of a track."
    if granule.bbox:
        west, south, east, north = granule.bbox
        return (
            f"The catalogue has no ground track; it is within {_point(south, west)} to {_point(north, east)}."
        )
    return "The catalogue has no ground track."


def _jumps(track: Sequence[tuple[float, float]]) -> bool:
    return any(abs(b[0] - a[0]) > 180 for a, b in itertools.pairwise(track))


def _point(latitude: float, longitude: float) -> str:
    side = "E" if longitude >= 0 else "W"
    return f"{_latitude(latitude)} {abs(longitude):.1f}{side}"


def _latitude(latitude: float) -> str:
    return f"{abs(latitude):.1f}{'N' if latitude >= 0 else 'S'}"
