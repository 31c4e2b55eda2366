"""Overpasses as a calendar: iCalendar (RFC 5545)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from maap_tui.engine.model import to_zulu
from maap_tui.engine.overpass.passing import ARCHIVE, Overpass, Place, one_a_pass
from maap_tui.engine.overpass.units import km_words

_OCTETS = 75
"""Octets of a line, without its end (RFC 5545 section 3.1)."""
_LENGTH = timedelta(minutes=1)
"""How long an event lasts: calendars leave out those of no length."""


def calendar(found: Sequence[Overpass], place: Place, now: datetime) -> str:
    """The calendar of overpasses, an event a pass.

    The UID of an event is made of mission, orbit, frame and place: a later file replaces the events of an
    earlier one, in calendars that follow UIDs.

    Args:
        found: the overpasses; of two granules of one pass that which comes nearer is taken.
        place: where they were looked for.
        now: when the calendar is made.
    """
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//maap-tui//maap overpass//EN",
        "CALSCALE:GREGORIAN",
        f"X-WR-CALNAME:{_escaped(f'Overpasses of {place.name}')}",
    ]
    for one in one_a_pass(found):
        lines += _event(one, place, now)
    lines.append("END:VCALENDAR")
    return "".join(f"{part}\r\n" for line in lines for part in _folded(line))


def uid_of(one: Overpass, place: Place) -> str:
    """What an event is known by, equal each time the same pass is found."""
    longitude, latitude = place.at
    # What is expected moves by seconds until it is flown; the passes of a whole orbit are an hour apart.
    when = one.name if one.frame else f"{one.name}-{one.time:%Y%m%dT%H}"
    words = f"{one.mission}-{when}-{latitude:.4f}-{longitude:.4f}"
    return re.sub(r"[^A-Za-z0-9.-]", "", words).lower() + "@overpass.maap-tui"


def _event(one: Overpass, place: Place, now: datetime) -> Sequence[str]:
    longitude, latitude = place.at
    side = f" {one.side}" if one.side else ""
    summary = (
        " ".join(filter(None, (one.mission, one.name, km_words(one.metres)))) + f"{side}, {one.day_words}"
    )
    said = [
        f"Closest approach to {place.name} at {to_zulu(one.time)}",
        f"{km_words(one.metres)} from the ground track, the place lies {one.side or 'below it'}",
        f"{one.direction}, sun at {one.sun:.1f} degrees",
        f"Source: {one.source}",
    ]
    if one.swath_metres is not None:
        said.insert(2, f"{km_words(one.swath_metres)} from the swath")
    if one.granule is not None:
        said.append(one.granule.id)
    return [
        "BEGIN:VEVENT",
        f"UID:{uid_of(one, place)}",
        f"DTSTAMP:{_stamp(now)}",
        f"DTSTART:{_stamp(one.time)}",
        f"DTEND:{_stamp(one.time + _LENGTH)}",
        f"SUMMARY:{_escaped(summary)}",
        f"DESCRIPTION:{_escaped(chr(10).join(said))}",
        f"LOCATION:{_escaped(place.name)}",
        f"GEO:{latitude:.6f};{longitude:.6f}",
        f"STATUS:{'CONFIRMED' if one.source == ARCHIVE else 'TENTATIVE'}",
        "TRANSP:TRANSPARENT",
        "END:VEVENT",
    ]


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def _escaped(text: str) -> str:
    """A TEXT value (section 3.3.11): without control characters, which it may not have."""
    plain = text.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,")
    plain = plain.replace("\r\n", "\n").replace("\n", "\\n")
    return re.sub(r"[\x00-\x08\x0a-\x1f\x7f]", "", plain)


def _folded(line: str) -> Iterator[str]:
    """A line in parts of at most 75 octets that cut no character, each but the first behind a space."""
    part, size = "", 0
    for character in line:
        octets = len(character.encode("utf-8", "replace"))
        if size + octets > _OCTETS:
            yield part
            part, size = " ", 1
        part += character
        size += octets
    yield part
