"""Areas on the command line: boxes, points with a radius, GeoJSON."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from maap_tui.cli.texts import read_text


def add_area(parser: argparse.ArgumentParser) -> None:
    """Add `--bbox`, `--point`, `--radius` and `--area`."""
    group = parser.add_argument_group("area (one of)")
    group.add_argument("--bbox", metavar="W,S,E,N", help="degrees; W > E crosses the antimeridian")
    add_circle(group, "all within --radius of it")
    group.add_argument(
        "--area", metavar="FILE", help="a GeoJSON geometry or feature, or its text; - for stdin"
    )


def add_circle(
    group: Any,
    meaning: str,
    *,
    older: tuple[str, ...] = (),
    older_radius: tuple[str, ...] = (),
    **kwargs: Any,
) -> None:
    """Add `--point` and `--radius`, which `engine.sites.read_circle` reads.

    Args:
        group: where to add them.
        meaning: what the point is for, in its help.
        older: names that the point had in this command, which are still accepted.
        older_radius: the same of the radius.
        kwargs: for the point, as for argparse.
    """
    add_renamed(
        group,
        "--point",
        *older,
        metavar="LAT,LON",
        help=f"degrees, or a name of `maap sites`; {meaning}",
        **kwargs,
    )
    add_renamed(
        group,
        "--radius",
        *older_radius,
        metavar="DISTANCE",
        help="around --point, as 30km, 500m or 20nmi; a bare number is km (default: 50km)",
    )


def add_renamed(group: Any, name: str, *older: str, **kwargs: Any) -> None:
    """Add an option that had other names: these are accepted, and neither help nor completion shows them."""
    # A switch has no value that could be refused under its older name: argparse's own action does.
    action = group.add_argument(name, *older, **{"action": _Renamed, **kwargs})
    action.option_strings = [name]


class _Renamed(argparse.Action):
    """Stores a value, and by which of its names the option was given."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        setattr(namespace, self.dest, values)
        if option_string not in (None, *self.option_strings):
            namespace.older_names = {**getattr(namespace, "older_names", {}), self.dest: option_string}


def spelled(args: argparse.Namespace, name: str) -> str:
    """An option as it was written, for what is said about it."""
    words: str = getattr(args, "older_names", {}).get(name, f"--{name}")
    return words


def area_of(args: argparse.Namespace, own_sites: Mapping[str, str]) -> tuple[Any, Any, Any]:
    """Box, circle and geometry that the options mean; None for those that were not given.

    Raises:
        InvalidRequestError: one of them cannot be read or is not possible.
    """
    from maap_tui.engine.errors import InvalidRequestError
    from maap_tui.engine.query import Box, parse_numbers

    box = circle = None
    if getattr(args, "bbox", None) is not None:
        box = Box(*parse_numbers(args.bbox, 4, "--bbox", "W,S,E,N"))
    radius_text = getattr(args, "radius", None)
    point, radius = spelled(args, "point"), spelled(args, "radius")
    if getattr(args, "point", None) is not None:
        from maap_tui.engine.sites import read_circle

        circle = read_circle(args.point, radius_text, own_sites, point, radius)
    elif radius_text is not None:
        raise InvalidRequestError(f"{radius} needs --point", "Give the point as --point=LAT,LON.")
    area_file = getattr(args, "area", None)
    return box, circle, None if area_file is None else _read_area(area_file)


def _read_area(name: str) -> dict[str, Any]:
    """The geometry of a GeoJSON file or text."""
    from maap_tui.engine.areas import MAX_BYTES, geometry_of

    if name.lstrip().startswith("{"):
        text = name.strip()
        return geometry_of(name, f"--area {text if len(text) <= 40 else f'{text[:40]}...'}")
    return geometry_of(read_text(name, "--area", limit=MAX_BYTES), f"--area {name}")
