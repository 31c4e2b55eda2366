"""GranuleDialog: a granule whole: its names and times, its ground track in words, properties, every file."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Static

from maap_tui.engine.errors import MaapError
from maap_tui.engine.geometry import swath_width_km
from maap_tui.engine.model import Granule
from maap_tui.text import clean, format_bytes, format_duration
from maap_tui.tui.dialogs.dialog import Dialog
from maap_tui.tui.screens.search.results import Result
from maap_tui.tui.screens.search.terms import about_product
from maap_tui.tui.theme import STATE_WORDS
from maap_tui.tui.workers import start_worker

MOST_PROPERTIES = 300
LONGEST_VALUE = 2000


class GranuleDialog(Dialog[None]):
    """Closed by any of the usual keys. What was let go of to save memory is fetched again."""

    BINDINGS: ClassVar = [
        Binding("escape,enter,q", "dismiss", "Close", show=False),
        Binding("j", "down", "Down", show=False),
        Binding("k", "up", "Up", show=False),
        Binding("y", "copy", "Copy the id", show=False),
    ]

    def __init__(self, result: Result) -> None:
        super().__init__()
        self._result = result
        self._granule = result.granule

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -wide -high"):
            yield Static(clean(self._granule.id), markup=False, classes="question")
            with VerticalScroll(id="granule"):
                yield Static(self.words(), markup=False, id="words")
            yield Static("arrows scroll, y copies the name, esc closes", markup=False, classes="muted close")

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()
        if not self._result.is_whole:
            start_worker(self, self._fetch, group="granule", exclusive=True)

    async def _fetch(self) -> None:
        granule = self._granule
        try:
            found = await self.maap.backend.ask(lambda session: session.find(granule.collection, granule.id))
        except MaapError as error:
            self.query_one("#words", Static).update(self.words(f"not available: {error.message}"))
            return
        if found is not None:
            self._granule = found
        self.query_one("#words", Static).update(self.words("" if found else "the archive has it no longer"))

    def words(self, problem: str = "") -> Text:
        """All of it as text."""
        granule, result = self._granule, self._result
        text = Text()
        _section(text, "Granule")
        about = about_product(granule.product_type)
        _line(text, "Collection", granule.collection)
        _line(text, "Product type", f"{granule.product_type}  {about}".strip())
        _line(text, "Baseline", granule.baseline)
        start, end = granule.sensing_start, granule.sensing_end
        length = f"  ({format_duration((end - start).total_seconds())})" if end else ""
        _line(
            text,
            "Sensing",
            f"{start:%Y-%m-%d %H:%M:%S}" + (f" to {end:%H:%M:%S}" if end else "") + " UTC" + length,
        )
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
        is_waiting = not result.is_whole and granule is result.granule
        waiting = problem or ("asking the archive for the rest..." if is_waiting else "")
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

    def action_down(self) -> None:
        self.query_one(VerticalScroll).scroll_down(animate=False)

    def action_up(self) -> None:
        self.query_one(VerticalScroll).scroll_up(animate=False)

    def action_copy(self) -> None:
        self.maap.copy_text(self._granule.id, "Copied the name")


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
