"""A branch of the archive in words: the lines of the detail pane, by pure functions."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from textual.content import Content

from maap_tui.engine.catalogue.index import KnownCollection
from maap_tui.engine.missions.base import Mission
from maap_tui.engine.model import BaselineInfo, Collection
from maap_tui.text import clean, format_bytes, format_count, format_date, format_time, plural
from maap_tui.tui.screens.browse.archive_tree import Branch
from maap_tui.tui.screens.browse.registry_look import Here, Name

Rows = list[tuple[str, str]]
"""(name, value); a line without a name is a sentence of its own."""

Line = tuple[tuple[str, str], ...]
"""(text, tone) of a line that is laid out already; the tone is a variable of the theme, or ''."""

_NAMES = 10
"""Cells of the names of rows."""

_BAR = 24
"""Cells of a bar, at most."""

_TONES = {"RESTRICTED": "$warning"}
"""Tones of values that begin with a word."""


@dataclass(slots=True)
class Sheet:
    """The content of the detail pane, not yet laid out."""

    title: str
    about: str = ""
    """What stands behind the title, muted."""
    rows: Rows = field(default_factory=list)
    share: tuple[int, int] | None = None
    """Files here, and granules at the archive, for a bar; None without one."""
    table: list[Line] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """Sentences about what went wrong."""

    def draw(self, width: int) -> Content:
        """Lay it out in so many cells."""
        parts: list[str | Content | tuple[str, str]] = [(clean(self.title, 200), "bold")]
        if self.about:
            parts.append((f"  {clean(self.about, 200)}", "$text-muted"))
        for name, value in self.rows:
            value = clean(" ".join(value.split()))
            room = max(width - (_NAMES if name else 0), 12)
            tone = next((tone for word, tone in _TONES.items() if value.startswith(word)), "")
            for at, line in enumerate(textwrap.wrap(value, room) or [""]):
                label = (name if at == 0 else "") if name else ""
                parts.append((f"\n{label:<{_NAMES if name else 0}}", "$text-muted"))
                parts.append((line, tone))
            if name == "Here" and self.share is not None:
                parts += _bar(*self.share, room)
        for pieces in self.table:
            parts.append("\n")
            parts += [(clean(text), tone) for text, tone in pieces]
        for sentence in self.problems:
            parts.append(("\n" + clean(" ".join(sentence.split())), "$warning"))
        return Content.assemble(*parts)


def _bar(here: int, total: int, room: int) -> list[str | Content | tuple[str, str]]:
    """A line that shows which part of the archive is here, in so many cells."""
    words = f" {100 * here / total:.0f}% of the archive" if here >= total / 100 else " under 1%"
    cells = min(_BAR, room - len(words))
    if cells < 8:
        return []
    full = min(max(round(cells * here / total), 1), cells)
    return [f"\n{'':<{_NAMES}}", ("█" * full, "$success"), ("░" * (cells - full), "$text-muted"), words]


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
    return Sheet(mission.name, rows=rows)


def access_words(info: Collection | None) -> str:
    """Who may download from a collection, in a sentence."""
    if info is None:
        return "not known yet: the archive has not described it here"
    if info.restricted:
        return "RESTRICTED: anyone can search, downloads need access rights"
    return "open to all with a token"


def collection_words(one: KnownCollection, tracked: int, here: Mapping[Name, Here]) -> Sheet:
    """A collection.

    Args:
        one: it.
        tracked: how many of its baselines the registry follows.
        here: what the registry has of them, as far as it was counted.
    """
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
        files = sum(found.stats.here for found in here.values())
        known = f", {plural(files, 'file')} here" if len(here) == tracked else ""
        rows.append(("Here", f"{plural(tracked, 'baseline')} in the registry{known}"))
    if one.is_listed is False:
        rows.append(("", "The archive does not list this collection."))
    if one.problem:
        rows.append(("", one.problem))
    sheet = Sheet(one.name, rows=rows)
    if here:
        sheet.table = [((f"{'Product':<11} {'Base':<4} {'Here':>7} {'Missing':>7}", "$secondary"),)]
    for (_, product_type, baseline), found in sorted(here.items()):
        sheet.table.append(
            (
                (f"{product_type:<11} {baseline:<4}", ""),
                (f" {format_count(found.stats.here):>7}", "$success"),
                (f" {format_count(found.stats.pending_downloads):>7}", "$warning"),
            )
        )
    return sheet


def product_words(
    one: KnownCollection, product_type: str, mission: Mission, here: Mapping[str, Here], newest: str
) -> Sheet:
    """A product type.

    Args:
        one: its collection.
        product_type: it.
        mission: the mission of the collection.
        here: what the registry has of its baselines, each by its name in upper case.
        newest: the newest of them that holds something; '' while it is not known.
    """
    about = mission.products.get(product_type)
    rows: Rows = []
    if about is not None:
        kind = ", ".join(
            part for part in (f"level {about.level}" if about.level else "", about.instrument) if part
        )
        rows.append(("", f"{about.content}{f' ({kind})' if kind else ''}"))
    rows.append(("In", _in_words(one)))
    counted = one.counted(product_type)
    if counted:
        total = sum(info.count for info in counted.values())
        rows.append(("Archive", f"{plural(total, 'granule')} in {plural(len(counted), 'baseline')}"))
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
    sheet = Sheet(product_type, about.short if about else "", rows)
    names_of = sorted({name.upper() for name in counted} | set(here), reverse=True)
    if len(names_of) > 1:
        sheet.table = _baseline_table(names_of, counted, here, newest.upper())
    return sheet


def _baseline_table(
    names: Sequence[str], counted: Mapping[str, BaselineInfo], here: Mapping[str, Here], newest: str
) -> list[Line]:
    """A line for each baseline, of 39 cells: its granules, the files here and missing, its last day."""
    infos = {name.upper(): info for name, info in counted.items()}
    lines: list[Line] = [
        ((f"{'Base':<4} {'Archive':>9} {'Here':>7} {'Missing':>7} {'Last':>10}", "$secondary"),)
    ]
    for name in names:
        info, one = infos.get(name), here.get(name)
        last = info.time_end if info else None
        lines.append(
            (
                (f"{name:<4}", "bold" if name == newest else ""),
                (f" {format_count(info.count) if info else '':>9}", ""),
                (f" {format_count(one.stats.here) if one else '':>7}", "$success"),
                (f" {format_count(one.stats.pending_downloads) if one else '':>7}", "$warning"),
                (f" {format_date(last) if last else '':>10}", "$text-muted"),
            )
        )
    return lines


def baseline_words(
    one: KnownCollection,
    branch: Branch,
    mission: Mission,
    info: BaselineInfo | None,
    here: Here | None,
    is_read: bool,
) -> Sheet:
    """A baseline.

    Args:
        one: its collection.
        branch: it.
        mission: the mission of the collection.
        info: what was counted of it, None while nothing was.
        here: what the registry has of it, None when it does not follow it.
        is_read: whether the registry was read.
    """
    product_type, baseline = branch.product_type or "", branch.baseline or ""
    about = mission.products.get(product_type)
    rows: Rows = [("In", _in_words(one))]
    rows += _info_rows(info)
    if here is not None:
        rows += here_rows([here])
    else:
        rows.append(("Here", "nothing: no file of it is in the registry" if is_read else "..."))
    sheet = Sheet(f"{product_type} {baseline}", (about.short or about.content) if about else "", rows)
    if here is not None and info is not None and info.count and here.stats.here:
        sheet.share = here.stats.here, info.count
    return sheet


def _in_words(one: KnownCollection) -> str:
    return f"{'RESTRICTED, ' if one.is_restricted else ''}{one.name}{'' if one.is_restricted else ', open'}"


def _info_rows(info: BaselineInfo | None) -> Rows:
    if info is None:
        return [("Archive", "not counted yet: b counts it")]
    counted = f", counted {format_date(info.updated_at)}" if info.updated_at else ""
    rate = ""
    if info.time_start and info.time_end and info.time_end > info.time_start:
        days = max(1.0, (info.time_end - info.time_start).total_seconds() / 86400)
        rate = f", about {format_count(max(1, round(info.count / days)))} a day"
    rows: Rows = [("Archive", f"{plural(info.count, 'granule')}{counted}{rate}")]
    if info.time_start and info.time_end:
        rows.append(("Time", f"{format_time(info.time_start)} to {format_time(info.time_end)}"))
    if info.frame_start and info.frame_end:
        rows.append(("Orbits", f"{info.frame_start} to {info.frame_end}"))
    return rows


def here_rows(found: Sequence[Here]) -> Rows:
    """What the registry here has of some baselines together; [] for none."""
    if not found:
        return []
    stats = [one.stats for one in found]
    here = sum(one.here for one in stats)
    words = [
        f"{format_count(sum(one.total_urls for one in stats))} discovered",
        f"{format_count(here)} here",
        f"{format_count(sum(one.marked - one.deleted for one in stats))} marked",
    ]
    if deleted := sum(one.deleted for one in stats):
        words.append(f"{format_count(deleted)} deleted")
    if pending := sum(one.pending_downloads for one in stats):
        words.append(f"{format_count(pending)} to download")
    if failed := sum(one.errors for one in stats):
        words.append(f"{format_count(failed)} failed")
    rows: Rows = [("Here", ", ".join(words))]
    sizes = [one.size for one in found if one.size is not None]
    if here and len(sizes) == len(found) and (size := sum(sizes)):
        days = sum(one.days for one in found)
        a_day = f", {format_bytes(size / days)} a day" if days else ""
        rows.append(("Size", f"{format_bytes(size)} here{a_day}, {format_bytes(size / here)} a file"))
    last = max((one.last for one in found if one.last), default=None)
    changed = max((one.changed for one in found if one.changed), default=None)
    if last is not None and changed is not None:
        rows.append(("Newest", f"file of {format_date(last)}; registry changed {format_time(changed)}"))
    return rows


def note_words(branch: Branch) -> Sheet:
    """A sentence in place of children."""
    return Sheet(branch.words, rows=[("", branch.note), ("", "r fetches the names from the archive.")])


def _built_words(one: KnownCollection) -> str:
    if one.catalogue is None:
        return "not yet: b counts all its baselines"
    when = f", {format_date(one.catalogue.generated_at)}" if one.catalogue.generated_at else ""
    number = sum(len(entries) for entries in one.catalogue.products.values())
    total = sum(info.count for entries in one.catalogue.products.values() for info in entries.values())
    return f"{plural(number, 'baseline')} with {plural(total, 'granule')}{when}"
