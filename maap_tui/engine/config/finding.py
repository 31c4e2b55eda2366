"""The setting that a key means, and what was meant where there is none."""

from __future__ import annotations

from typing import Any

from maap_tui.engine.config.declaring import Setting
from maap_tui.engine.config.settings import BY_KEY, SETTINGS
from maap_tui.engine.errors import SettingsError

HINT = "`maap config` lists every setting."


def nearest(word: str, known: tuple[str, ...]) -> str:
    """The known word most like `word`, empty when none is."""
    import difflib

    return next(iter(difflib.get_close_matches(word, known, n=1)), "")


def did_you_mean(key: str) -> str:
    """`; did you mean ...?` for an unknown key with or without its section, empty when nothing is near."""
    section, _, name = key.rpartition(".")
    inside = {setting.name: setting.key for setting in SETTINGS if setting.key.startswith(f"{section}.")}
    if near := nearest(name, tuple(inside)):
        return f"; did you mean {inside[near]!r}?"
    # Right key, wrong table: look everywhere.
    anywhere = {setting.name: setting.key for setting in SETTINGS}
    near = nearest(name, tuple(anywhere))
    return f"; did you mean {anywhere[near]!r}?" if near else ""


def find_setting(key: str) -> Setting[Any]:
    """The setting a key means; its last part alone is enough where only one setting ends so.

    Raises:
        SettingsError: No setting, or several, go by that name.
    """
    name = key.strip().replace("-", "_")
    if name in BY_KEY:
        return BY_KEY[name]
    found = [setting for setting in SETTINGS if setting.name == name]
    if len(found) == 1:
        return found[0]
    if found:
        keys = " or ".join(setting.key for setting in found)
        raise SettingsError(f"{key!r} means several settings: say {keys}")
    raise SettingsError(f"unknown setting {key!r}{did_you_mean(name)}", hint=HINT)
