"""Lists of all settings for people: the rows of `maap config` and the table of docs/configuration.md."""

from __future__ import annotations

from typing import NamedTuple

from maap_tui.engine.config import dirs
from maap_tui.engine.config.settings import COMMANDS, KEYS, SETS, SETTINGS, SITES, Settings


class Row(NamedTuple):
    """One line of `maap config`."""

    key: str
    value_text: str
    """The value as it could be typed; empty for none."""
    origin_text: str
    help: str


def describe(settings: Settings, located: dirs.AppDirs | None = None) -> list[Row]:
    """Every setting with its value and origin, in the order of the file.

    Args:
        settings: What to list.
        located: Where unset paths ended up; None shows them empty.
    """
    rows = []
    for setting in SETTINGS:
        value = settings.value(setting)
        if value is None and located is not None and setting.key.startswith("paths."):
            value = getattr(located, setting.name)
        rows.append(
            Row(setting.key, setting.kind.to_text(value), settings.origin(setting.key).text, setting.help)
        )
    for binding, keys in settings.keys.items():
        key = f"{KEYS}.{binding}"
        rows.append(Row(key, keys, settings.origin(key).text, "Keys of this action in the app."))
    for name, position in settings.sites.items():
        key = f"{SITES}.{name}"
        rows.append(Row(key, position, settings.origin(key).text, "A place to search around."))
    for name, one in settings.sets.items():
        key = f"{SETS}.{name}"
        rows.append(Row(key, str(one), settings.origin(key).text, "Products that are wanted together."))
    for name, command in settings.commands.items():
        key = f"{COMMANDS}.{name}"
        help = f"A command in the app, on the key {command.key or '(none)'}."
        rows.append(Row(key, str(command), settings.origin(key).text, help))
    return rows


def as_markdown_table() -> str:
    """The table of docs/configuration.md."""
    lines = [
        "| Key in `config.toml` | Environment | Default | Unit | Applies | Meaning |",
        "|---|---|---|---|---|---|",
    ]
    for setting in SETTINGS:
        default = setting.default_text
        if not setting.unset:
            default = f"`{default}`"
        meaning = setting.help.rstrip(".").replace("|", "\\|")
        lines.append(
            f"| `{setting.key}` | `{setting.variable}` | {default} | {setting.unit} | {setting.applies} "
            f"| {meaning} |"
        )
    lines.append(f'| `[{KEYS}]` | | none | | now | Keys of the app\'s actions: `"binding.id" = "key"` |')
    lines.append(f'| `[{SITES}]` | | none | | next start | Places to search around: `name = "LAT,LON"` |')
    lines.append(
        f"| `[{SETS}.NAME]` | | none | | next start | Products wanted together: "
        '`products = ["CPR_CLD_2A:BC", ...]`, `baseline` (`newest`, `same` or one), `collection` |'
    )
    lines.append(
        f"| `[{COMMANDS}.NAME]` | | none | | next start | Commands of your own in the app: "
        "`run`, `key`, `where`, `output` |"
    )
    return "\n".join(lines) + "\n"
