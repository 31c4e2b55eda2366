"""The options that commands share, and the query that they mean."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from maap_tui.cli.area_options import add_area, area_of

if TYPE_CHECKING:
    from datetime import datetime

    from maap_tui.engine.missions import Mission
    from maap_tui.engine.model import TimeRange
    from maap_tui.engine.quality.notices import Disclaimed
    from maap_tui.engine.query import Query
    from maap_tui.engine.session import Session
    from maap_tui.engine.shard import Shard

SIGNED_OPTIONS = ("--bbox", "--point", "--site", "--around")
"""Options whose value may begin with a minus sign; the last two are older names."""
_NOT_REPEATED = frozenset(
    {
        "command",
        "action",
        "run",
        "words",
        "inner",
        "shard",
        "print",
        "jobs",
        "saved",
        "save_as",
        "quiet",
        "log_times",
        "verbose",
        "more_verbose",
        "json",
    }
)
"""What a command line that is printed for later does not repeat."""
HELP_COLUMNS = 80
NAMES = ("collection", "product", "baseline")
"""The positional arguments that name what is in the archive, in their order."""
NEWEST = "newest"
"""The word for the newest baseline that holds something."""
VERBOSE_HELP = "print more on stderr; -vv with tracebacks"


class UsageError(Exception):
    """The command line cannot be read; the text says why, `prog` whose help to look at."""

    def __init__(self, message: str, prog: str) -> None:
        super().__init__(message)
        self.prog = prog


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Help of at most 80 columns, for reading; narrower where the terminal is."""

    def __init__(self, prog: str, **kwargs: Any) -> None:
        kwargs["width"] = min(_columns(), HELP_COLUMNS + 2) - 2
        super().__init__(prog, max_help_position=26, **kwargs)


def _columns() -> int:
    """Columns of the terminal as shutil knows them, which loads libraries of archives as well."""
    try:
        given = int(os.environ["COLUMNS"])
    except (KeyError, ValueError):
        given = 0
    try:
        return given if given > 0 else os.get_terminal_size(1).columns or 80
    except OSError:
        return 80


class Parser(argparse.ArgumentParser):
    """A parser that takes no shortened options, which a later option would make ambiguous."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("allow_abbrev", False)
        kwargs.setdefault("add_help", False)  # `add_general_options` adds it where it belongs, at the end
        kwargs.setdefault("formatter_class", HelpFormatter)
        if sys.version_info >= (3, 14):
            kwargs.setdefault("color", False)  # the manual page is made of this help
        super().__init__(*args, **kwargs)
        self.names_elsewhere = ""
        """The option with which no name has to be given, since it brings them; '' for none."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        option = self.names_elsewhere
        if option and any(word == option or word.startswith(f"{option}=") for word in args or ()):
            for action in self._actions:
                if action.dest in NAMES and not action.option_strings:
                    action.nargs, action.required = "?", False
        namespace, extra = super().parse_known_args(args, namespace)
        if extra:
            # Reported here and not by the parser above, so that the help of this command is named.
            self.error(f"unrecognized arguments: {' '.join(extra)}")
        return namespace, extra

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


def add_command(
    subparsers: Any,
    name: str,
    words: str,
    *,
    arguments: str = "",
    examples: Sequence[str] = (),
    notes: str = "",
    usage: str = "",
) -> Parser:
    """A parser of one command; `add_general_options` completes it.

    Args:
        subparsers: where to add it.
        name: the word that calls it.
        words: what it is for, in the list of commands; with a capital and a full stop its description.
        arguments: what the command takes besides options, as the usage shows it.
        examples: command lines to show.
        notes: what else has to be known, lines of at most 80 columns.
        usage: the usage, where options do not come last; '' to make it of `arguments`.
    """
    epilog = "\n".join(["examples:" if len(examples) > 1 else "example:", *(f"  {one}" for one in examples)])
    parser: Parser = subparsers.add_parser(
        name,
        help=words,
        description=f"{words[:1].upper()}{words[1:]}.",
        usage=usage or " ".join(filter(None, ("%(prog)s", arguments, "[options]"))),
        epilog="\n\n".join(filter(None, (epilog if examples else "", notes))) or None,
    )
    return parser


def add_actions(parser: Parser, *, required: bool = True) -> Any:
    """Where the actions of a command are added."""
    return parser.add_subparsers(
        dest="action", metavar="ACTION", required=required, title="actions", prog=parser.prog
    )


def add_general_options(
    parser: Parser, run: Callable[..., Any] | None = None, *, json_help: str = ""
) -> None:
    """Add the options that every command takes, after its own, and what runs it.

    Args:
        parser: the command's.
        run: what runs the command; None for one that only has actions.
        json_help: what `--json` prints; '' for a command without it.
    """
    group = parser.add_argument_group("general options")
    if json_help:
        group.add_argument("--json", action="store_true", help=f"print {json_help}")
    # Without a default of their own they leave alone what was given before the command.
    absent = argparse.SUPPRESS
    add_shared_options(group, default=absent)
    group.add_argument(
        "-v",
        "--verbose",
        dest="more_verbose",
        action="count",
        default=absent,
        help=VERBOSE_HELP,
    )
    group.add_argument("-h", "--help", action="help", help="show this help and exit")
    if run is not None:
        parser.set_defaults(run=run)


def add_shared_options(group: Any, **kwargs: Any) -> None:
    """Add the options that may stand before the command as well as after it.

    Args:
        group: where to add them.
        kwargs: for all of them, as for argparse.
    """
    group.add_argument("-c", "--config", type=Path, metavar="FILE", help="configuration file", **kwargs)
    flags = ["--data-dir"] if kwargs else ["-d", "--data-dir"]  # after a command -d is --days-back
    group.add_argument(*flags, type=Path, metavar="DIR", help="folder of the granules", **kwargs)
    group.add_argument(
        "-q", "--quiet", action="store_true", help="print only warnings and errors on stderr", **kwargs
    )
    group.add_argument(
        "--log-times", action="store_true", help="begin each line on stderr with the UTC time", **kwargs
    )


def add_names(
    parser: argparse.ArgumentParser,
    *,
    required: int = 2,
    meant: int | None = None,
    baselines: str = "such as BC",
) -> None:
    """Add collection, product type and baseline.

    Args:
        parser: where to add them.
        required: how many of the three have to be given.
        meant: how many of them the help shows as needed; None for those that are.
        baselines: what can be given as a baseline.
    """
    words = ("as `maap list` shows it", "as `maap list COLLECTION` shows it", baselines)
    for at, name in enumerate(NAMES):
        help_text = f"{'product type' if name == 'product' else name}, {words[at]}"
        if at < required:
            parser.add_argument(name, type=name_of, metavar=name.upper(), help=help_text)
        else:
            if at >= (required if meant is None else meant):
                help_text += " (default: all)"
            parser.add_argument(name, nargs="?", type=name_of, metavar=name.upper(), help=help_text)


def name_of(text: str) -> str:
    """A name that a command takes, without blanks around it."""
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
        raise argparse.ArgumentTypeError(f"must be a number of seconds above 0, got {text[:40]!r}")
    return value


def add_max_time(group: Any) -> None:
    """Add how long a command that fetches may take."""
    group.add_argument(
        "--max-time",
        type=seconds,
        metavar="SECONDS",
        help="end after this long and keep what is here; exit code 3 if anything is left (default: no limit)",
    )


def positive(text: str) -> int:
    """A whole number, 1 or more."""
    if not re.fullmatch(r"\+?\d{1,9}", text) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number, 1 or more, got {text[:40]!r}")
    return int(text)


def add_time(parser: argparse.ArgumentParser, *, title: str = "time (one of)") -> Any:
    """Add `--date`, `--start`, `--end` and `--days-back`; returns the group."""
    group = parser.add_argument_group(title)
    group.add_argument(
        "--date",
        metavar="DATE",
        help="a UTC day or minute, a month, A..B, 7d, 3h; in a search missing 30d",
    )
    group.add_argument("-s", "--start", metavar="DATE", help="first sensing day or time, UTC")
    group.add_argument("-e", "--end", metavar="DATE", help="last one, included (default: now)")
    group.add_argument(
        "-d", "--days-back", metavar="N", type=positive, help="the last N times 24 hours, up to now"
    )
    return group


def add_query_options(
    parser: Parser,
    *,
    default_days: int | None = None,
    required_names: int = 2,
    can_save: bool = False,
    takes_all: bool = False,
) -> None:
    """Add collection, product type and baseline, and what chooses among their granules.

    Args:
        parser: where to add them.
        default_days: the range without a time, in days, of a command that takes neither orbit nor area;
            None for a search.
        required_names: how many of the three names have to be given, without `--saved`.
        can_save: whether the search can be saved.
        takes_all: whether the command takes all of what is meant, whatever its order: it lacks the options
            for a part of it, or for an order.
    """
    from maap_tui.engine.config.settings import SearchSettings

    add_names(parser, required=required_names, meant=2, baselines="such as BC, or newest")
    saved = parser.add_argument_group("saved search")
    parser.names_elsewhere = "--saved"
    saved.add_argument(
        "--saved", metavar="NAME", help="one of `maap searches`; names and options given here go before it"
    )
    if can_save:
        saved.add_argument("--save-as", metavar="NAME", help="save this search, once it has ended")
    searches = default_days is None
    title = "time (one of)" if searches else f"time (one of; default: --days-back {default_days})"
    time = add_time(parser, title=title)
    if searches:
        time.add_argument("--orbit", metavar="ORBIT", help="07655, 07655C, 8960-8970 or 8960,8962")
    where = parser.add_argument_group("frame and track (with a time or an orbit)")
    where.add_argument("--frame", metavar="FRAMES", help="letters or numbers, as C,D or 192")
    where.add_argument("--track", metavar="TRACKS", help="numbers of ground tracks, as 14; Biomass and FLEX")
    if searches:
        add_area(parser)
    choice = parser.add_argument_group("choice of granules and files")
    choice.add_argument(
        "-n",
        "--max-items",
        type=positive,
        metavar="N",
        help="at most N granules (default: the setting "
        f"{SearchSettings.max_items.key}, {SearchSettings.max_items.default:,})",
    )
    choice.add_argument(
        "--format",
        metavar="FORMAT",
        help="h5, nc, zip, measurement or all; several, as h5,hdr, best first (default: the mission's)",
    )
    if not takes_all:
        choice.add_argument(
            "--newest-first", action="store_true", help="latest sensing time first (default: last)"
        )
    choice.add_argument(
        "--all-versions", action="store_true", help="also older processings of the same granule"
    )
    if takes_all:
        return
    choice.add_argument(
        "--skip-disclaimed",
        action="store_true",
        help="leave out granules with a disclaimer, as `maap quality list` has them",
    )
    add_shard(choice)
    if searches:
        choice.add_argument(
            "--use-catalog", action="store_true", help="stay in the time range of the built catalogue"
        )


def add_shard(group: Any) -> None:
    """Add `--shard`."""
    group.add_argument(
        "--shard",
        metavar="I/N",
        help="only part I of N, for jobs that share the work; slurm and k8s/N take it from the job",
    )


def shard_of(args: argparse.Namespace, session: Session) -> Shard | None:
    """The part of the granules asked for; None means all.

    Raises:
        InvalidRequestError: when `--shard` names none.
    """
    from maap_tui.engine.shard import read_shard

    return None if args.shard is None else read_shard(args.shard, session.environ)


def words_of(args: argparse.Namespace, verb: str) -> list[str]:
    """The words of a command line that means what the options given mean, without `--shard`."""
    words = ["maap", verb, *filter(None, (getattr(args, name) for name in NAMES))]
    for option, value in sorted(vars(args).items()):
        if option in _NOT_REPEATED or option in NAMES or value in (None, False):
            continue
        flag = f"--{option.replace('_', '-')}"
        words += [flag] if value is True else [f"{flag}={value}"]
    return words


def overrides_of(args: argparse.Namespace) -> dict[str, object]:
    """The settings that options of the command line replace."""
    from maap_tui.engine.config.settings import SETTINGS

    given = {
        setting.key: getattr(args, setting.flag[2:].replace("-", "_"), None)
        for setting in SETTINGS
        if setting.flag
    }
    # A switch that was not given leaves the setting alone.
    return {key: value for key, value in given.items() if value is not None and value is not False}


def span_of(
    args: argparse.Namespace, now: datetime, *, days_back: int | None = None, takes_missing: bool = False
) -> TimeRange | None:
    """The time range asked for; without any time option the last `days_back` days, None for no range.

    Args:
        args: parsed options.
        now: the end of an open range.
        days_back: the range without any time option; None for no range.
        takes_missing: whether `missing` may stand before a date: for what only sees what is missing anyway.

    Raises:
        InvalidRequestError: for options that exclude one another or cannot be.
    """
    found = _time_of(args, now, days_back)
    if found.get("missing") and not takes_missing:
        from maap_tui.engine.errors import InvalidRequestError

        raise InvalidRequestError(f"--date '{args.date[:40]}' is for searches", "Leave out the word missing.")
    return found.get("time")


def _time_of(args: argparse.Namespace, now: datetime, days_back: int | None) -> dict[str, Any]:
    """The fields of the query that say the time; without any time option the last `days_back` days."""
    days = args.days_back
    if days is None and not (args.date or args.start or args.end):
        days = days_back
    if days is None and args.date is args.start is args.end is None:
        return {}
    from maap_tui.engine.time_words import asked_time

    found = asked_time(date=args.date, start=args.start, end=args.end, days_back=days, now=now)
    return {name: found[name] for name in ("time", "missing") if name in found}


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


def disclaimed_by(args: argparse.Namespace, session: Session) -> Disclaimed | None:
    """What leaves out granules with a disclaimer, where that is asked for; None leaves out none."""
    if not args.skip_disclaimed:
        return None
    from maap_tui.engine.workflows.quality import disclaimed_of

    return disclaimed_of(session)


async def find_newest(args: argparse.Namespace, session: Session, *, name: str = "baseline") -> None:
    """Put the newest baseline that holds something in the place of the word for it.

    Args:
        args: parsed options.
        session: knows the archive.
        name: the argument that may have the word.

    Raises:
        InvalidRequestError: a name is unknown, or there is no baseline.
    """
    if (getattr(args, name) or "").lower() != NEWEST:
        return
    found = await session.newest_baseline(args.collection, args.product)
    if not found:
        from maap_tui.engine.errors import InvalidRequestError

        raise InvalidRequestError(
            f"{args.product} has no granules in {args.collection}", f"See `maap list {args.collection}`."
        )
    setattr(args, name, found)


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

    await find_newest(args, session)
    orbits, frames, tracks, formats = await meant_by(args, session)
    time = _time_of(args, session.now(), None if orbits else days_back)
    box, circle, area = area_of(args, session.settings.sites)
    query = Query(
        args.collection,
        args.product,
        args.baseline,
        **time,
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
        shard=shard_of(args, session),
        disclaimed=disclaimed_by(args, session),
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
