"""`maap sites`: the named places that searches can be made around."""

from __future__ import annotations

from typing import Any

from maap_tui.cli.context import CommandContext
from maap_tui.cli.options import add_command, add_general_options

_NOTES = """\
A name stands for its position: `--point hyytiala --radius 100km`. Your own go
into `[sites]` of the configuration, as `maap config set sites.lab 61.8,24.3`
writes them."""


def add_parser(subparsers: Any, words: str) -> None:
    """Describe the command."""
    parser = add_command(subparsers, "sites", words, examples=("maap sites",), notes=_NOTES)
    add_general_options(parser, run, json_help="one object a site")


def run(context: CommandContext) -> None:
    """List the sites, the user's own first."""
    from maap_tui.engine.sites import sites

    settings, _ = context.settings()
    found = sites(settings.sites)
    if context.output.as_json:
        for site in found:
            context.output.record(
                {
                    "name": site.name,
                    "latitude": site.latitude,
                    "longitude": site.longitude,
                    "title": site.title,
                    "source": site.source,
                },
                at_once=False,
            )
        return
    context.output.table(
        [(site.name, f"{site.latitude:g},{site.longitude:g}", site.source, site.title) for site in found]
    )
