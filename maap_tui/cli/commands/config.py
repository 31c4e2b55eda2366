"""`maap config`: every setting with its value and where it came from; set and unset them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from maap_tui.cli.context import CommandContext
from maap_tui.cli.options import add_actions, add_command, add_general_options


def add_parser(subparsers: Any, words: str) -> None:
    """Describe the command."""
    config = add_command(
        subparsers,
        "config",
        words,
        arguments="[ACTION]",
        examples=("maap config", "maap config set downloads.parallel 4"),
        notes="Without an action every setting is printed.",
    )
    actions = add_actions(config, required=False)
    add_general_options(config, show, json_help="one object a setting")
    assign = add_command(
        actions,
        "set",
        "write a setting into the configuration file",
        arguments="KEY VALUE",
        examples=("maap config set downloads.parallel 4",),
    )
    assign.add_argument("key", metavar="KEY", help="such as downloads.parallel")
    assign.add_argument("value", metavar="VALUE", help="its value; a list is comma separated")
    add_general_options(assign, set_key)
    drop = add_command(
        actions,
        "unset",
        "take a setting out of the configuration file",
        arguments="KEY",
        examples=("maap config unset downloads.parallel",),
    )
    drop.add_argument("key", metavar="KEY", help="such as downloads.parallel")
    add_general_options(drop, unset_key)
    path = add_command(
        actions, "path", "print the path of the configuration file", examples=("maap config path",)
    )
    add_general_options(path, print_path, json_help="one object")


def _file(context: CommandContext) -> Path:
    from maap_tui.engine.config import dirs

    return dirs.absolute(context.config_file or dirs.config_file(os.environ))


def show(context: CommandContext) -> None:
    """Print every setting."""
    from maap_tui.engine.config.describing import describe

    settings, dirs = context.settings()
    rows = describe(settings, dirs)
    origin = "flag" if context.config_file else "default"
    exists = dirs.config_file.exists()
    if context.output.as_json:
        for row in rows:
            context.output.record(
                {"key": row.key, "value": row.value_text, "origin": row.origin_text, "help": row.help}
            )
        context.output.record(
            {
                "key": "config_file",
                "value": str(dirs.config_file),
                "origin": origin,
                "help": "The configuration file." if exists else "The configuration file; it does not exist.",
            }
        )
        return
    table = [(row.key, row.value_text or "-", row.origin_text) for row in rows]
    table.append(("config_file", str(dirs.config_file), origin if exists else "does not exist"))
    context.output.table(table)


def set_key(context: CommandContext) -> None:
    """Write one setting; a file with other mistakes can be fixed this way, so it is not loaded."""
    from maap_tui.engine.config import editing

    file = _file(context)
    editing.set_value(file, context.args.key, context.args.value)
    verb = "Set" if context.args.value.strip() else "Unset"
    context.report.say(f"{verb} {context.args.key} in {file}")
    _warn_when_hidden(context)


def _warn_when_hidden(context: CommandContext) -> None:
    from maap_tui.engine.config.finding import find_setting
    from maap_tui.engine.errors import SettingsError

    try:
        variable = find_setting(context.args.key).variable
    except SettingsError:
        return  # a key of the app, which has no variable
    if os.environ.get(variable, "").strip():
        context.report.warn(f"{variable} is set in the environment and is used instead")


def unset_key(context: CommandContext) -> None:
    """Take one setting out of the file."""
    from maap_tui.engine.config import editing

    file = _file(context)
    if editing.unset_value(file, context.args.key):
        context.report.say(f"Unset {context.args.key} in {file}")
    else:
        context.report.say(f"{context.args.key} is not set in {file}")


def print_path(context: CommandContext) -> None:
    """Print the path of the configuration file."""
    if context.output.as_json:
        context.output.record({"path": _file(context)})
    else:
        context.output.line(str(_file(context)))
