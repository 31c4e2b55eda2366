"""The options of the archive as command-line flags, for `maap demo` and for `python -m maap_tui.demo`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import Any

from maap_tui.demo.faults import FILTERS

_NUMBERS: dict[str, tuple[Callable[[str], Any], str, str]] = {
    "latency-s": (float, "S", "seconds before each answer begins"),
    "rate": (float, "B", "bytes a second of each file"),
    "status": (int, "CODE", "answer with this status: 429, 503, ..."),
    "retry-after": (str, "S", "Retry-After sent with --status"),
    "failing-day": (str, "DAY", "YYYY-MM-DD that always answers 503"),
    "cut-after": (int, "N", "close the connection after N bytes"),
    "cut-nolength": (int, "N", "send N bytes without a length, then close"),
    "stall-after": (int, "N", "send N bytes, then nothing"),
    "drip-after": (int, "N", "after N bytes send one byte a second"),
    "wrong-length": (int, "N", "promise N bytes more than are sent (negative: fewer)"),
    "wrong-size": (int, "N", "add N to every file:size"),
    "redirect": (str, "URL", "302 files to another host"),
    "token-lifetime-s": (float, "S", "seconds an access token lives"),
    "wrong-matched": (int, "N", "add N to numberMatched"),
    "blind": (str, "PARTS", "filters by product, version, orbit or frame find nothing"),
    "deaf": (str, "PARTS", "conditions of filters on updated, created or others are ignored"),
    "barred": (str, "PARTS", "status of searches with a condition on a part: updated:422,created:500"),
    "unlisted": (str, "NAMES", "properties that queryables do not list"),
    "target": (str, "PART", "what the faults hit: search, catalogue, data, token or all"),
    "match": (str, "TEXT", "only addresses that contain TEXT"),
    "times": (int, "N", "the faults end after N requests"),
    "probability": (float, "P", "part of the requests the faults hit, 0 to 1"),
    "seed": (int, "N", "seed of the probability"),
}
_SWITCHES = {
    "html-login": "answer 200 with a login page instead of files",
    "empty-results": "searches find nothing",
    "next-loop": "the next link leads to the same page",
    "match-case": "filters compare texts with case",
    "gzip": "gzip every body",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the archive and of its faults to a parser."""
    parser.add_argument("--now", metavar="TIME", help="freeze the archive at this ISO time")
    parser.add_argument("--offline-days", type=float, default=90, metavar="N", help="validity of the token")
    parser.add_argument(
        "--rotate-tokens", action="store_true", help="each refresh replaces the offline token"
    )
    parser.add_argument("--old-queryables", action="store_true", help="queryable names of before 2026")
    parser.add_argument("--next-form", choices=("post", "get"), default="", help="form of next links")
    faults = parser.add_argument_group("faults")
    for name, (kind, metavar, text) in _NUMBERS.items():
        faults.add_argument(f"--{name}", type=kind, metavar=metavar, help=text)
    about = "; ".join(f"{name}: {text}" for name, text in FILTERS.items())
    faults.add_argument("--filters", choices=tuple(FILTERS), help=f"what is taken of filters ({about})")
    for name, text in _SWITCHES.items():
        faults.add_argument(f"--{name}", action="store_true", default=None, help=text)
    faults.add_argument(
        "--fault",
        type=json.loads,
        action="append",
        default=[],
        metavar="JSON",
        help="one more rule, repeatable",
    )


def options_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """The keyword arguments of `Archive.start` that parsed flags stand for."""
    options: dict[str, Any] = {
        name: getattr(arguments, name)
        for name in ("now", "offline_days", "rotate_tokens", "old_queryables", "next_form")
    }
    # Programs that use the archive judge the token by their own clock, which --now does not change.
    options["live_tokens"] = True
    options["faults"] = arguments.fault
    for flag in (*_NUMBERS, *_SWITCHES, "filters"):
        name = flag.replace("-", "_")
        if getattr(arguments, name) is not None:
            options[name] = getattr(arguments, name)
    return options
