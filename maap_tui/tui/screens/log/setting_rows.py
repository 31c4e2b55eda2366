"""The settings as they are listed: value with unit, what differs from the default, and what one is; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual.content import Content

from maap_tui.engine.config.declaring import Setting
from maap_tui.engine.config.describing import Row, describe
from maap_tui.engine.config.finding import find_setting
from maap_tui.engine.config.settings import KEYS, Settings
from maap_tui.engine.errors import SettingsError
from maap_tui.text import as_sentence, clean, plural
from maap_tui.tui.widgets.row_model import Column

KEY_CELLS = 28
"""Cells of the name of a setting, and of the sign before it."""

DEFAULT_FROM = 92
"""Cells of the list from which the default of a changed setting has a column."""

APPLIES_FROM = 110
"""Cells of the list from which a column says when a change takes effect."""

UNITS = {"seconds": " s", "days": " days", "bytes a second": "/s"}
"""Units behind values; a size has a letter of its own."""

_CHANGED = "●"


@dataclass(frozen=True, slots=True)
class SettingRow:
    """A setting as it is listed."""

    key: str
    value: str
    """The value by file, environment and flags now; '' for none."""
    origin: str
    help: str
    is_pending: bool
    """Whether the running app still has another value."""
    short_origin: str = ""
    """The origin in few cells."""
    is_in_file: bool = False
    """Whether the value is of the configuration file."""

    @property
    def is_changed(self) -> bool:
        """Whether something else than the default applies."""
        return self.origin != "default"

    @property
    def default(self) -> str:
        """The default as one would type it, or words for it; '' where there is none."""
        setting = declared(self.key)
        return "" if setting is None else (setting.default_text or "none").replace("`", "")

    @property
    def value_words(self) -> str:
        """The value with its unit."""
        setting = declared(self.key)
        unit = UNITS.get(setting.unit, "") if setting is not None and self.value not in ("", "0") else ""
        return f"{self.value or '-'}{unit}"

    @property
    def applies(self) -> str:
        """When a change takes effect."""
        setting = declared(self.key)
        if setting is not None:
            return setting.applies
        return "now" if self.key.startswith(f"{KEYS}.") else "next start"


def declared(key: str) -> Setting[object] | None:
    """How a setting is declared; None for an entry of a table that users fill."""
    try:
        return find_setting(key)
    except SettingsError:
        return None


def short_origin(row: Row, kind: str) -> str:
    """An origin in few cells: the name of the file in place of its path, no names of variables."""
    if kind == "file":
        return row.origin_text.rpartition("/")[2]
    return "environment" if kind == "environment" else row.origin_text


def rows_of(fresh: Settings, rows: Sequence[Row], now: Settings) -> list[SettingRow]:
    """What is listed.

    Args:
        fresh: the settings as they were read last.
        rows: what they say of themselves.
        now: the settings of the running app.
    """
    in_use = {row.key: row.value_text for row in describe(now)}
    found = []
    for row in rows:
        setting = declared(row.key)
        if setting is not None:
            is_pending = now.value(setting) != fresh.value(setting)
        else:
            is_pending = in_use.get(row.key) != row.value_text
        kind = fresh.origin(row.key).kind
        found.append(
            SettingRow(
                row.key, row.value_text, row.origin_text, row.help, is_pending,
                short_origin(row, kind), kind == "file",
            )
        )  # fmt: skip
    return found


def setting_columns() -> list[Column]:
    """Every column of the list; `columns_in` says which have room."""

    def tone(row: SettingRow) -> str:
        return "warning" if row.is_pending else "accent" if row.is_changed else "plain"

    def key(row: SettingRow) -> list[tuple[str, str]]:
        sign = f"{_CHANGED} " if row.is_changed else "  "
        section, dot, name = row.key.partition(".")
        room = KEY_CELLS - len(sign)
        head = f"{section}{dot}"[:room]
        return [(sign, "accent"), (head, "muted"), (name[: room - len(head)], tone(row))]

    return [
        Column("key", "  Setting", KEY_CELLS, lambda row: row.key, pieces=key),
        Column(
            "value",
            "Value",
            0,
            lambda row: row.value_words + (" (next start)" if row.is_pending else ""),
            tone,
            keeps_end=True,
        ),
        Column("origin", "From", 15, lambda row: row.short_origin, lambda row: "muted"),
        Column(
            "default", "Default", 20, lambda row: row.default if row.is_changed else "", lambda row: "muted"
        ),
        Column("applies", "Changes apply", 13, lambda row: row.applies, lambda row: "muted"),
    ]


def columns_in(width: int) -> list[str]:
    """The keys of the columns that a list of so many cells has room for."""
    shown = ["key", "value", "origin"]
    shown += ["default"] if width >= DEFAULT_FROM else []
    return shown + (["applies"] if width >= APPLIES_FROM else [])


def settings_words(rows: Sequence[SettingRow]) -> str:
    """How many settings there are and how many differ, for a title."""
    changed = sum(row.is_changed for row in rows)
    return f"Settings: {len(rows)}, {plural(changed, 'is', 'are')} set ({_CHANGED})"


def help_words(row: SettingRow) -> str:
    """What a setting is, what it may be, its default, and where its value comes from."""
    setting = declared(row.key)
    if setting is None:
        return f"{row.help} Set by {row.origin}."
    expected = setting.expected[0].upper() + setting.expected[1:]
    origin = f" Set by {row.origin}." if row.is_changed else ""
    return f"{row.help} {expected}. Default: {row.default}.{origin}"


def about_setting(row: SettingRow) -> Content:
    """The same for the lines below the list, with when a change takes effect, and how it is taken back."""
    when = {"now": "at once", "next run": "with the next search, sync or file"}.get(
        row.applies, "with the next start"
    )
    more = f" A change applies {when}."
    if row.is_in_file:
        more += " u goes back to the default."
    first, _, rest = help_words(row).partition(". ")
    return Content.assemble(
        (clean(as_sentence(first)), "$foreground"), clean(f" {rest}{more}") if rest else clean(more)
    )
