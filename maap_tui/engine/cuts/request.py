"""What is cut from a file, what it would cost, and what came of it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.model import TimeRange, to_zulu
from maap_tui.engine.query import Box, Circle
from maap_tui.text import format_bytes, format_count, plural


@dataclass(frozen=True, slots=True)
class Cut:
    """Variables, and where and when their points are; at least one of these."""

    variables: tuple[str, ...] = ()
    """Names, or paths such as `/ScienceData/latitude`, `*` and `?` for what may be there; () for all."""
    circle: Circle | None = None
    box: Box | None = None
    time: TimeRange | None = None
    """Its end is not part of it."""

    def __post_init__(self) -> None:
        if not (self.variables or self.circle or self.box or self.time):
            raise InvalidRequestError(
                "Nothing says what to cut", "Give variables, a place or a time; the whole file is a download."
            )
        if self.circle and self.box:
            raise InvalidRequestError("A circle cannot be used with a box", "Give one of them.")

    def command(self, name: str) -> str:
        """The command line that cuts the same from a file or granule of that name, without the result."""
        words = ["maap", "cut", name]
        if self.variables:
            words.append(f"--var={','.join(self.variables)}")
        if (circle := self.circle) is not None:
            words += [
                f"--point={circle.latitude:.10g},{circle.longitude:.10g}",
                f"--radius={circle.radius_km:.10g}",
            ]
        if (box := self.box) is not None:
            words.append(f"--bbox={box.west:.10g},{box.south:.10g},{box.east:.10g},{box.north:.10g}")
        if (time := self.time) is not None:
            # What is written includes all of its last second, or of its last microsecond.
            last = timedelta(microseconds=1) if time.end.microsecond else timedelta(seconds=1)
            words.append(f"--time={to_zulu(time.start)}/{to_zulu(time.end - last)}")
        return shlex.join(words)

    def as_job(self) -> dict[str, Any]:
        """As the process that reads the file takes it; times are seconds since 1970."""
        circle, box, time = self.circle, self.box, self.time
        return {
            "variables": list(self.variables),
            "circle": None if circle is None else [circle.latitude, circle.longitude, circle.radius_km],
            "box": None if box is None else [box.west, box.south, box.east, box.north],
            "time": None if time is None else [time.start.timestamp(), time.end.timestamp()],
        }


@dataclass(frozen=True, slots=True)
class CutVariable:
    """A variable of the result."""

    name: str
    """With its groups."""
    dtype: str
    shape: list[int] | None
    """In the file; None where it has no value."""
    cut: list[int] | None
    """In the result."""
    bytes: int
    """Bytes of the file that it is made of, packed as they are there."""


@dataclass(frozen=True, slots=True)
class CutSpan:
    """What of a dimension is kept."""

    dimension: str
    """The path of its dimension scale, or the path of a variable that lies along it."""
    size: int
    """Points of it in the file."""
    kept: list[list[int]]
    """First index and the one after the last of each stretch that is kept."""

    @property
    def points(self) -> int:
        """How many of them are kept."""
        return sum(end - begin for begin, end in self.kept)


@dataclass(frozen=True, slots=True)
class CutEstimate:
    """What a cut needs."""

    source: str
    """The address of the file, or its path here."""
    size: int
    """Bytes of the whole file."""
    needed: int
    """Bytes that would come over the network for it, beyond those of `asked`; 0 for a file that is here."""
    requests: int
    """Requests that they take, when each stretch of bytes is one."""
    asked: int
    """Bytes that came over the network to find this out: headers, positions and times."""
    variables: list[CutVariable]
    """[] in the estimate of a file that can only be fetched whole, of which nothing was read."""
    spans: list[CutSpan]
    """What of each dimension that is cut is kept; [] where only variables are chosen."""
    left_out: list[str]
    """Sentences on what the result lacks although it was meant."""

    @property
    def needs(self) -> str:
        """What it needs of the network, in a sentence."""
        if not self.needed and not self.asked:
            return f"The file is here ({format_bytes(self.size)}): nothing is fetched"
        if not self.variables and self.needed == self.size:
            return (
                f"The server sends no parts of it: --whole fetches the whole file, {format_bytes(self.size)}"
            )
        share = (self.needed + self.asked) / self.size if self.size else 1.0
        return (
            f"Needs {format_bytes(self.needed)} in {plural(self.requests, 'request')}, besides "
            f"{format_bytes(self.asked)} of headers and positions that came: "
            f"{share:.0%} of {format_bytes(self.size)}"
        )

    @property
    def points(self) -> str:
        """How many points are kept of each dimension that becomes shorter; '' where none does."""
        return ", ".join(
            f"{format_count(one.points)} of {plural(one.size, 'point')} of {one.dimension.rpartition('/')[2]}"
            for one in self.spans
            if one.points < one.size
        )


@dataclass(frozen=True, slots=True)
class CutResult(CutEstimate):
    """A file that was cut from another one."""

    path: Path
    """Where it is."""
    bytes: int
    """Bytes that it has."""
    received: int
    """Bytes that came over the network for it, headers included."""

    @property
    def done(self) -> str:
        """What came of it, in a sentence."""
        kept = f", {self.points}" if self.points else ""
        came = f"; {format_bytes(self.received)} came" if self.received else ""
        return f"Wrote {plural(len(self.variables), 'variable')}{kept}, {format_bytes(self.bytes)}{came}"
