"""The granules of the form's product that come near a platform: asked for, listed, and queued if wanted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.model import Granule
from maap_tui.engine.overpass.matching import Match
from maap_tui.engine.overpass.units import km_words, read_distance, read_duration
from maap_tui.engine.product_sets import Member
from maap_tui.engine.query import Query
from maap_tui.engine.session import Session
from maap_tui.engine.storage.places import demand_path
from maap_tui.engine.workflows.match import MOST_APART, Matches, matches, queries_for, read_track
from maap_tui.engine.workflows.overpass import trackless_words
from maap_tui.text import clean, plural
from maap_tui.tui.dialogs.listing import ListDialog
from maap_tui.tui.dialogs.prompt import PromptDialog
from maap_tui.tui.host import Host

_GAP = timedelta(hours=24)


async def match_track(host: Host, query: Query, queue: Callable[[Sequence[Granule]], object]) -> None:
    """Ask for a track and how near, list what matches, and queue it; for a worker of the app.

    Args:
        host: the app.
        query: what the form says, for its product.
        queue: queues the files of granules.
    """
    file = await host.push_screen_wait(
        PromptDialog(
            f"Match {query.product_type} with the track in which file?",
            str(Path.home()) + "/",
            check=_check,
            hint="A table with time, lat, lon; GPX; or netCDF.",
        )
    )
    if file is None:
        return
    near = await host.push_screen_wait(
        PromptDialog("How near in time and space?", "30m 50km", check=_near, hint="As 30m 50km, or 1h 300km.")
    )
    if near is None:
        return
    apart, metres = _near(near)
    host.notify("Looking for granules near the track...", markup=False)
    member = Member(query.product_type, query.collection, query.baseline or "")

    async def find(session: Session) -> tuple[int, Matches]:
        track = await read_track(Path(file.strip()).expanduser())
        queries = await queries_for(session, [member])
        return track.left_out, await matches(session, queries, track, apart=apart, metres=metres, gap=_GAP)

    left_out, found = await host.backend.ask(find)
    wanted = [one.granule for one in found.rows if one.state in ("new", "missing")]
    title = f"{plural(len(found.rows), 'granule')} near the track, {len(wanted):,} not here"
    if left_out:
        title += f"; {plural(left_out, 'position')} of the file cannot be used"
    if found.failed:
        title += f"; {plural(len(found.failed), 'part')} could not be searched"
    if trackless := trackless_words(found.without_track):
        title += f"; {trackless}"
    verb = f"fetch {plural(len(wanted), 'granule')}"
    lines = [clean(one.sentences) for one in found.lacking] + [line_of(one) for one in found.rows]
    if await host.push_screen_wait(ListDialog(title, lines, verb=verb, key="d" if wanted else "")):
        queue(wanted)


def line_of(one: Match) -> str:
    """A match in a line."""
    minutes = one.later.total_seconds() / 60
    day = "day" if one.is_day else "night"
    words = (f"{one.time:%Y-%m-%d %H:%M:%S}", f"{minutes:+.0f} min", km_words(one.metres), one.side, day)
    return clean("  ".join((*filter(None, words), one.name, one.state)))


def _check(text: str) -> None:
    if not text.strip() or "\0" in text or text.strip().endswith("/"):
        raise InvalidRequestError("Name a file.")
    demand_path(text)


def _near(text: str) -> tuple[timedelta, float]:
    """The time and the metres of `30m 50km`.

    Raises:
        InvalidRequestError: it is not that.
    """
    words = text.split()
    if len(words) != 2:
        raise InvalidRequestError("Write a time and a distance, as 30m 50km.")
    return read_duration(words[0], "time", most=MOST_APART), read_distance(words[1], "distance", most_km=2000)
