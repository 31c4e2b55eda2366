"""The options that commands share, and the query that they mean."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from maap_tui.engine.missions import Mission
    from maap_tui.engine.model import TimeRange
    from maap_tui.engine.query import Query
    from maap_tui.engine.session import Session

SIGNED_OPTIONS = ("--bbox", "--point")
"""Options whose value may begin with a minus sign."""
MAX_AREA_BYTES = 10_000_000


class UsageError(Exception):
    """The command line cannot be read; the text says why, `prog` whose help to look at."""

    def __init__(self, message: str, prog: str) -> None:
        super().__init__(message)
        self.prog = prog


class Parser(argparse.ArgumentParser):
    """A parser that takes no shortened options, which a later option would make ambiguous."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("allow_abbrev", False)
        kwargs.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(*args, **kwargs)

    def error(self, message: str) -> NoReturn:
        found = re.match(r"argument (COMMAND|ACTION): invalid choice: '(.*?)' \(choose from (.*)\)", message)
        if found is not None:
            import difflib

            known = found[3].replace("'", "").split(", ")
            near = difflib.get_close_matches(found[2], known, n=1)
            also = f"Did you mean {near[0]}?" if near else f"There are {', '.join(known)}"
            message = f"There is no {found[1].lower()} '{found[2]}'. {also}"
        raise UsageError(message, self.prog)


def join_signed(words: list[str]) -> list[str]:
    """Write `--bbox -10,0,5,10` as `--bbox=-10,0,5,10`, which the parser needs for a leading minus."""
    joined: list[str] = []
    for word in words:
        if joined and joined[-1] in SIGNED_OPTIONS and re.match(r"-[\d.]", word):
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


def add_command(subparsers: Any, name: str, *, json_help: str = "", **kwargs: Any) -> Parser:
    """A parser of one command, with the options that every command takes.

    Args:
        subparsers: where to add it.
        name: the word that calls it.
        json_help: what `--json` prints; '' for a command without it.
        kwargs: as for argparse.
    """
    kwargs.setdefault("description", f"{kwargs['help'][:1].upper()}{kwargs['help'][1:]}.")
    parser: Parser = subparsers.add_parser(name, **kwargs)
    group = parser.add_argument_group("general options")
    if json_help:
        group.add_argument("--json", action="store_true", help=json_help)
    # Without a default of their own they leave alone what was given before the command.
    absent = argparse.SUPPRESS
    group.add_argument("-c", "--config", default=absent, type=Path, metavar="FILE", help="configuration file")
    group.add_argument("--data-dir", default=absent, type=Path, metavar="DIR", help="where granules go")
    group.add_argument(
        "-v",
        "--verbose",
        dest="more_verbose",
        action="count",
        default=absent,
        help="say more; -vv tracebacks",
    )
    group.add_argument(
        "-q", "--quiet", action="store_true", default=absent, help="say only warnings and errors"
    )
    group.add_argument(
        "--log-times", action="store_true", default=absent, help="begin each line on stderr with the UTC time"
    )
    return parser


def add_names(parser: argparse.ArgumentParser, *, baseline: str = "?") -> None:
    """Add collection, product type and baseline, the last '?' where it may be left out and '' where not."""
    parser.add_argument("collection", type=_name, help="collection, as `maap list` shows it")
    parser.add_argument("product", type=_name, help="product type, as `maap list COLLECTION` shows it")
    if baseline:
        parser.add_argument("baseline", nargs="?", type=_name, help="baseline; left out for all of them")
    else:
        parser.add_argument("baseline", type=_name, help="baseline")


def _name(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("it cannot be empty")
    return text.strip()


def seconds(text: str) -> float:
    """A length of time above 0, in seconds."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is no number of seconds above 0")
    return value


def positive(text: str) -> int:
    """A whole number from 1."""
    if not re.fullmatch(r"\+?\d{1,9}", text) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is no whole number from 1")
    return int(text)


def add_time(parser: argparse.ArgumentParser, *, title: str = "time (one of)") -> Any:
    """Add `--date`, `--start`, `--end` and `--days-back`; returns the group."""
    group = parser.add_argument_group(title)
    group.add_argument("--date", metavar="DATE", help="a UTC day, or the minute from an exact time")
    group.add_argument("-s", "--start", metavar="DATE", help="first sensing day or time, UTC")
    group.add_argument("-e", "--end", metavar="DATE", help="last one, included; now if left out")
    group.add_argument("-d", "--days-back", metavar="N", type=positive, help="the last N days")
    return group


def add_orbit(group: Any) -> None:
    """Add `--orbit`."""
    group.add_argument("--orbit", metavar="ORBIT", help="07655, 07655C, 8960-8970 or 8960,8962")


def add_frame(parser: argparse.ArgumentParser) -> None:
    """Add `--frame` and `--track`."""
    parser.add_argument("--frame", metavar="FRAMES", help="frames, as C,D or 192; joins time, orbit or track")
    parser.add_argument("--track", metavar="TRACKS", help="numbers of ground tracks, as 14; Biomass and FLEX")


def add_area(parser: argparse.ArgumentParser) -> None:
    """Add `--bbox`, `--point` with `--radius`, and `--area`."""
    group = parser.add_argument_group("area (one of)")
    group.add_argument("--bbox", metavar="W,S,E,N", help="degrees; W > E crosses the antimeridian")
    group.add_argument("--point", metavar="LAT,LON", help="within --radius of a point")
    group.add_argument("--radius", metavar="KM", help="default 50")
    group.add_argument(
        "--area", metavar="FILE", help="a GeoJSON geometry or feature, or its text; - for stdin"
    )


def add_search(parser: argparse.ArgumentParser) -> None:
    """Add what chooses among the results of a search."""
    parser.add_argument("-n", "--max-items", type=positive, metavar="N", help="at most this many granules")
    parser.add_argument(
        "--format",
        metavar="FORMAT",
        help="as h5, nc, zip, measurement or all; several, best first; default the mission's",
    )
    parser.add_argument("--newest-first", action="store_true", help="latest sensing time first")
    parser.add_argument(
        "--all-versions", action="store_true", help="also older processings of the same granule"
    )


def add_product_dir(parser: Any) -> None:
    """Add `--product-dir`."""
    parser.add_argument(
        "--product-dir", action="store_true", default=None, help="put each file in a folder named after it"
    )


def overrides_of(args: argparse.Namespace) -> dict[str, object]:
    """The settings that options of the command line replace."""
    return {
        "paths.data_dir": getattr(args, "data_dir", None),
        "search.max_items": getattr(args, "max_items", None),
        "downloads.product_dir": getattr(args, "product_dir", None),
        "downloads.lock_wait": getattr(args, "lock_wait", None),
        "log.times": getattr(args, "log_times", None) or None,
    }


def span_of(args: argparse.Namespace, session: Session, *, days_back: int | None = None) -> TimeRange | None:
    """The time range asked for; without any time option the last `days_back` days, None for no range.

    Raises:
        InvalidRequestError: for options that exclude one another or cannot be.
    """
    from maap_tui.engine.query import time_range

    days = args.days_back
    if days is None and not (args.date or args.start or args.end):
        days = days_back
    return time_range(date=args.date, start=args.start, end=args.end, days_back=days, now=session.now())


def _orbits_of(
    args: argparse.Namespace, mission: Mission
) -> tuple[tuple[tuple[int, int], ...], tuple[str, ...], tuple[str, ...]]:
    from maap_tui.engine.errors import InvalidRequestError
    from maap_tui.engine.query import read_frames, read_orbits, read_tracks

    orbits: tuple[tuple[int, int], ...] = ()
    frames: tuple[str, ...] = ()
    if getattr(args, "orbit", None) is not None:
        orbits, frames = read_orbits(args.orbit, mission)
    if args.frame is not None:
        if frames:
            raise InvalidRequestError(
                f"--orbit {args.orbit} names its frame and cannot be used with --frame", "Give one of them."
            )
        frames = read_frames(args.frame, mission)
    return orbits, frames, read_tracks(args.track, mission) if args.track is not None else ()


async def meant_by(
    args: argparse.Namespace, session: Session
) -> tuple[tuple[tuple[int, int], ...], tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """The orbits, frames, tracks and formats asked for, no formats for the mission's own.

    What a mission has of them depends on the collection: one that does not exist is reported first.

    Raises:
        InvalidRequestError: for unknown names, and for what exclude one another or cannot be.
    """
    from maap_tui.engine.errors import InvalidRequestError
    from maap_tui.engine.query import parse_formats

    try:
        mission = session.mission_of(args.collection)
        formats = parse_formats(args.format, mission) if args.format is not None else ()
        return *_orbits_of(args, mission), formats
    except InvalidRequestError:
        await session.check_names_first(args.collection, args.product, args.baseline)
        raise


async def query_of(args: argparse.Namespace, session: Session, *, days_back: int | None = None) -> Query:
    """The query that the options mean; names that do not exist are reported before anything else.

    Args:
        args: parsed options.
        session: for the mission's rules and the clock.
        days_back: the range without any time option; None for the whole mission.

    Raises:
        InvalidRequestError: for unknown names, and for options that exclude one another or cannot be.
    """
    from maap_tui.engine.query import Query

    orbits, frames, tracks, formats = await meant_by(args, session)
    span = span_of(args, session, days_back=None if orbits else days_back)
    box, circle, area = _area_of(args)
    query = Query(
        args.collection,
        args.product,
        args.baseline,
        time=span,
        orbits=orbits,
        frames=frames,
        box=box,
        circle=circle,
        area=area,
        formats=formats,
        newest_first=args.newest_first,
        max_items=session.settings.search.max_items,
        use_catalog=getattr(args, "use_catalog", False),
        every_version=args.all_versions,
        tracks=tracks,
    )
    await _refuse_what_cannot_join(args, session, query)
    return query


async def _refuse_what_cannot_join(args: argparse.Namespace, session: Session, query: Query) -> None:
    from maap_tui.engine.errors import InvalidRequestError

    is_unindexed = query.product_type in session.mission_of(query.collection).unindexed
    if is_unindexed and (query.box or query.circle or query.area):
        raise InvalidRequestError(
            f"{query.product_type} has no ground track at the archive, so it cannot be searched by area",
            "Search another product by area and take its times or frames.",
        )
    if query.orbits and query.time and not await session.takes_orbit_in_time(query):
        given = next(
            option
            for option, value in (("--date", args.date), ("--start", args.start), ("--days-back", 1))
            if value
        )
        raise InvalidRequestError(f"--orbit cannot be used with {given}", "Give one of them.")


def _area_of(args: argparse.Namespace) -> tuple[Any, Any, Any]:
    from maap_tui.engine.errors import InvalidRequestError
    from maap_tui.engine.query import Box, Circle, parse_numbers

    box = circle = None
    if getattr(args, "bbox", None) is not None:
        box = Box(*parse_numbers(args.bbox, 4, "--bbox", "W,S,E,N"))
    radius_text = getattr(args, "radius", None)
    if getattr(args, "point", None) is not None:
        latitude, longitude = parse_numbers(args.point, 2, "--point", "LAT,LON")
        circle = Circle(latitude, longitude)
        if radius_text is not None:
            (radius_km,) = parse_numbers(radius_text, 1, "--radius", "KM")
            circle = Circle(latitude, longitude, radius_km)
    elif radius_text is not None:
        raise InvalidRequestError("--radius needs --point", "Give the point as --point=LAT,LON.")
    area_file = getattr(args, "area", None)
    return box, circle, None if area_file is None else _read_area(area_file)


def _read_area(name: str) -> dict[str, Any]:
    """The geometry of a GeoJSON file or text: bare, or of a feature or a collection of one feature."""
    import json

    from maap_tui.engine.errors import InvalidRequestError

    if name.lstrip().startswith("{"):
        text, name = name, f"{name.strip()[:40]}..."
    else:
        text = read_text(name, "--area", limit=MAX_AREA_BYTES)
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidRequestError(
            f"--area {name} is no JSON", "Give a GeoJSON geometry or feature."
        ) from None
    if isinstance(data, dict) and data.get("type") == "FeatureCollection":
        features = data.get("features")
        if not isinstance(features, list) or len(features) != 1:
            raise InvalidRequestError(
                f"--area {name} does not hold exactly one feature", "Search one at a time."
            )
        data = features[0]
    if isinstance(data, dict) and data.get("type") == "Feature":
        data = data.get("geometry")
    kinds = ("Point", "LineString", "Polygon", "MultiPoint", "MultiLineString", "MultiPolygon")
    if (
        not isinstance(data, dict)
        or data.get("type") not in kinds
        or not isinstance(data.get("coordinates"), list)
        or not _are_positions(data["coordinates"])
    ):
        raise InvalidRequestError(
            f"--area {name} is no GeoJSON geometry",
            f"Its type has to be one of {', '.join(kinds)}, its positions longitude and latitude in degrees.",
        )
    return {"type": data["type"], "coordinates": data["coordinates"]}


def _are_positions(value: list[Any]) -> bool:
    if not value:
        return False
    if all(isinstance(one, list) for one in value):
        return all(_are_positions(one) for one in value)
    return (
        len(value) >= 2
        and all(isinstance(one, int | float) and not isinstance(one, bool) for one in value)
        and abs(value[0]) <= 180
        and abs(value[1]) <= 90
    )


def read_text(name: str, option: str, *, limit: int = 1 << 28) -> str:
    """The text of a file that an option names, `-` for stdin.

    Raises:
        InvalidRequestError: when it cannot be read or is larger than `limit` bytes.
    """
    from maap_tui.engine.errors import InvalidRequestError

    try:
        if name == "-":
            if sys.stdin is None:
                raise InvalidRequestError("Standard input is closed", f"Name a file for {option}.")
            data = sys.stdin.buffer.read(limit + 1)
        else:
            with open(name, "rb") as handle:
                data = handle.read(limit + 1)
    except OSError as error:
        raise InvalidRequestError(
            f"{option} {name} cannot be read: {error.strerror or error}", "Check the path."
        ) from None
    if len(data) > limit:
        raise InvalidRequestError(f"{option} {name} is larger than {limit:,} bytes", "Split it.")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data[:2]:
        # As editors and shells of Windows write it; without a mark the zeros tell which end comes first.
        kind = "utf-16" if data[:1] in b"\xff\xfe" else "utf-16-be" if data[:1] == b"\0" else "utf-16-le"
        try:
            return data.decode(kind)
        except UnicodeDecodeError:
            raise InvalidRequestError(f"{option} {name} is not text", "Write it as UTF-8.") from None
    return data.decode("utf-8-sig", "surrogateescape")
