"""A branch of the archive in words: the lines of the detail pane, by pure functions."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rich.text import Text

from maap_tui.engine.catalogue.index import KnownCollection
from maap_tui.engine.missions.base import Mission
from maap_tui.engine.model import BaselineInfo, Collection
from maap_tui.engine.registry.entries import Stats
from maap_tui.text import clean, format_count, format_date, format_time, plural
from maap_tui.tui.screens.browse.archive_tree import Branch

Rows = list[tuple[str, str]]
"""(name, value); a line without a name is a sentence of its own."""

_NAMES = 10
"""Cells of the names of rows."""


@dataclass(slots=True)
class Sheet:
    """The content of the detail pane, not yet laid out."""

    title: str
    rows: Rows = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """Sentences about what went wrong."""

    def draw(self, width: int) -> Text:
        """Lay it out in so many cells."""
        text = Text(clean(self.title, 200), style="bold")
        for name, value in self.rows:
            value = clean(" ".join(value.split()))
            room = max(width - (_NAMES if name else 0), 12)
            for at, line in enumerate(textwrap.wrap(value, room) or [""]):
                label = (name if at == 0 else "") if name else ""
                text.append(f"\n{label:<{_NAMES if name else 0}}", style="bold dim")
                text.append(line, style="not bold")
        for sentence in self.problems:
            text.append("\n" + clean(" ".join(sentence.split())))
        return text


def mission_words(mission: Mission, collections: Sequence[KnownCollection]) -> Sheet:
    """A mission."""
    with_names = [one for one in collections if one.has_names or one.catalogue]
    rows: Rows = [
        ("", f"Mission with {plural(len(collections), 'collection')}."),
        ("Time", f"since {format_date(mission.start)}"),
        ("Formats", ", ".join(mission.formats)),
        ("Known", f"the product types of {len(with_names)} of {plural(len(collections), 'collection')}"),
    ]
    if mission.frames:
        rows.insert(2, ("Frames", f"{mission.frames[0]} to {mission.frames[-1]}, eight to an orbit"))
    return Sheet(mission.name, rows)


def access_words(info: Collection | None) -> str:
    """Who may download from a collection, in a sentence."""
    if info is None:
        return "not known yet: the archive has not described it here"
    if info.restricted:
        return "RESTRICTED: anyone can search, downloads need access rights"
    return "open to all with a token"


def collection_words(one: KnownCollection, tracked: int) -> Sheet:
    """A collection; `tracked` is how many of its baselines the registry here follows."""
    info = one.info
    rows: Rows = []
    if info is not None and info.title and info.title not in (one.name, one.name.removesuffix("_MAAP")):
        rows.append(("", info.title))
    if info is not None and info.description:
        rows.append(("", info.description[:1500]))
    rows.append(("Access", access_words(info)))
    if info is not None and info.start is not None:
        rows.append(("Time", f"{format_date(info.start)} to {format_date(info.end) if info.end else 'now'}"))
    if one.products:
        rows.append(
            ("Has", f"{plural(len(one.products), 'product type')}, {plural(len(one.baselines), 'baseline')}")
        )
    rows.append(("Counted", _built_words(one)))
    if tracked:
        rows.append(("Here", f"{plural(tracked, 'baseline')} in the registry"))
    if one.is_listed is False:
        rows.append(("", "The archive does not list this collection."))
    if one.problem:
        rows.append(("", one.problem))
    return Sheet(one.name, rows)


def product_words(
    one: KnownCollection, product_type: str, mission: Mission, here: Mapping[str, Stats]
) -> Sheet:
    """A product type; `here` has the counts of its baselines that the registry follows."""
    about = mission.products.get(product_type)
    rows: Rows = []
    if about is not None:
        kind = ", ".join(
            part for part in (f"level {about.level}" if about.level else "", about.instrument) if part
        )
        rows.append(("", f"{about.content}{f' ({kind})' if kind else ''}"))
    rows.append(("In", f"{one.name}, {'RESTRICTED' if one.is_restricted else 'open'}"))
    counted = one.counted(product_type)
    if counted:
        total = sum(info.count for info in counted.values())
        names = ", ".join(f"{name} {format_count(counted[name].count)}" for name in sorted(counted))
        rows.append(("Archive", f"{plural(total, 'granule')}: {names}"))
        starts = [info.time_start for info in counted.values() if info.time_start]
        ends = [info.time_end for info in counted.values() if info.time_end]
        if starts and ends:
            rows.append(("Time", f"{format_date(min(starts))} to {format_date(max(ends))}"))
    else:
        names = ", ".join(one.baselines)
        rows.append(
            ("Archive", f"not counted yet: b counts it. Baselines of the collection: {names or 'not known'}")
        )
    rows += here_rows(list(here.values()))
    short = f"  {about.short}" if about and about.short else ""
    return Sheet(product_type + short, rows)


def baseline_words(
    one: KnownCollection,
    branch: Branch,
    mission: Mission,
    info: BaselineInfo | None,
    stats: Stats | None,
    is_read: bool,
) -> Sheet:
    """A baseline.

    Args:
        one: its collection.
        branch: it.
        mission: the mission of the collection.
        info: what was counted of it, None while nothing was.
        stats: what the registry has of it, None when it does not follow it.
        is_read: whether the registry was read.
    """
    product_type, baseline = branch.product_type or "", branch.baseline or ""
    about = mission.products.get(product_type)
    rows: Rows = [("In", f"{one.name}, {'RESTRICTED' if one.is_restricted else 'open'}")]
    rows += _info_rows(info)
    if stats is not None:
        rows += here_rows([stats])
    else:
        rows.append(("Here", "nothing: no file of it is in the registry" if is_read else "..."))
    content = f"  {about.short or about.content}" if about else ""
    return Sheet(f"{product_type} {baseline}{content}", rows)


def _info_rows(info: BaselineInfo | None) -> Rows:
    if info is None:
        return [("Archive", "not counted yet: b counts it")]
    counted = f", counted {format_date(info.updated_at)}" if info.updated_at else ""
    rows: Rows = [("Archive", f"{plural(info.count, 'granule')}{counted}")]
    if info.time_start and info.time_end:
        rows.append(("Time", f"{format_time(info.time_start)} to {format_time(info.time_end)}"))
    if info.frame_start and info.frame_end:
        rows.append(("Orbits", f"{info.frame_start} to {info.frame_end}"))
    return rows


def here_rows(stats: Sequence[Stats]) -> Rows:
    """What the registry here has of some baselines together; [] for none."""
    if not stats:
        return []
    words = [
        f"{format_count(sum(one.total_urls for one in stats))} discovered",
        f"{format_count(sum(one.here for one in stats))} here",
        f"{format_count(sum(one.marked - one.deleted for one in stats))} marked",
    ]
    if deleted := sum(one.deleted for one in stats):
        words.append(f"{format_count(deleted)} deleted")
    if pending := sum(one.pending_downloads for one in stats):
        words.append(f"{format_count(pending)} to download")
    if failed := sum(one.errors for one in stats):
        words.append(f"{format_count(failed)} failed")
    return [("Here", ", ".join(words))]


def note_words(branch: Branch) -> Sheet:
    """A sentence in place of children."""
    return Sheet(branch.words, [("", branch.note), ("", "r fetches the names from the archive.")])


def _built_words(one: KnownCollection) -> str:
    if one.catalogue is None:
        return "not yet: b counts all its baselines"
    when = f", {format_date(one.catalogue.generated_at)}" if one.catalogue.generated_at else ""
    number = sum(len(entries) for entries in one.catalogue.products.values())
    total = sum(info.count for entries in one.catalogue.products.values() for info in entries.values())
    return f"{plural(number, 'baseline')} with {plural(total, 'granule')}{when}"
