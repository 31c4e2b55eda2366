"""Changes one setting in the file; comments and order stay."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from maap_tui.engine.config import dirs
from maap_tui.engine.config.finding import find_setting
from maap_tui.engine.config.settings import BY_KEY, COMMANDS, FREE, SETS
from maap_tui.engine.config.toml_file import load_file, remove_entry, set_entry
from maap_tui.engine.errors import InvalidRequestError, SettingsError


def set_value(config_file: Path, key: str, text: str, environ: Mapping[str, str] | None = None) -> None:
    """Write one setting into the file, made when missing; comments and order stay. Empty text unsets it.

    Args:
        config_file: The file to change.
        key: As `find_setting` takes it, or a name in a free-form table: `keys.BINDING`, `sites.NAME`; of a
            set `sets.NAME` for its products, `sets.NAME.baseline` and `sets.NAME.collection`; of a command
            `commands.NAME` for what it runs, `commands.NAME.key`, `.where` and `.output`.
        text: The value as a user types it; a list is comma separated.
        environ: For `~` and `$NAME` in paths, which are checked but written as typed; None for the process's.

    Raises:
        SettingsError: Unknown key, wrong value, or a file that is not TOML.
        StorageError: The file cannot be written.
    """
    if not text.strip():
        unset_value(config_file, key)
        return
    section, names = _split_key(key)
    value: object = text
    if section == SETS:
        names, value = _changed_set(config_file, names, text)
    elif section == COMMANDS:
        names, value = _changed_command(config_file, names, text)
    elif section not in FREE:
        setting = BY_KEY[f"{section}.{names[0]}"]
        read = setting.read(text, os.environ if environ is None else environ, typed=True)
        if setting.name == "data_dir":
            dirs.data_folder(read)
        value = setting.kind.to_toml(text.strip(), read)

    set_entry(config_file, section, names, value)


def unset_value(config_file: Path, key: str) -> bool:
    """Take one setting out of the file; False when it was not there.

    Raises:
        SettingsError: Unknown key, or a file that is not TOML.
        StorageError: The file cannot be written.
    """
    section, names = _split_key(key)
    is_whole = section in (SETS, COMMANDS) and names[1:] in ([_PRODUCTS], [_RUN])
    return remove_entry(config_file, section, names[:1] if is_whole else names)


_PRODUCTS = "products"
_RUN = "run"


def _changed_set(config_file: Path, names: list[str], text: str) -> tuple[list[str], object]:
    """Where a set is in the file, and all of it with one part as it is typed."""
    from maap_tui.engine.product_sets import set_of

    name, part = names
    table = _table_of(config_file, SETS, name)
    words = [word.strip() for word in text.split(",") if word.strip()]
    table[part] = words if part == _PRODUCTS else text.strip()
    products = table.get(_PRODUCTS)
    try:
        if not isinstance(products, list) or not products:
            raise InvalidRequestError(f"The set {name} has no products yet", f"Set {SETS}.{name} first.")
        given = (str(table.get(key, "")) for key in ("baseline", "collection"))
        set_of(name, [str(one) for one in products], *given)
    except InvalidRequestError as error:
        raise SettingsError(error.message, error.hint) from None
    return [name], table


def _changed_command(config_file: Path, names: list[str], text: str) -> tuple[list[str], object]:
    """Where a command of the user is in the file, and all of it with one part as it is typed."""
    from maap_tui.engine.user_commands import PLACES, command_of

    name, part = names
    table = _table_of(config_file, COMMANDS, name)
    table[part] = [word.strip() for word in text.split(",")] if part == "where" else text.strip()
    try:
        if not table.get(_RUN):
            raise InvalidRequestError(f"The command {name} runs nothing yet", f"Set {COMMANDS}.{name} first.")
        where = table.get("where", PLACES)
        given = {key: str(table.get(key, default)) for key, default in (("key", ""), ("output", "pager"))}
        places = [str(one) for one in where] if isinstance(where, list | tuple) else PLACES
        command_of(name, str(table[_RUN]), where=places, **given)
    except InvalidRequestError as error:
        raise SettingsError(error.message, error.hint) from None
    return [name], table


def _table_of(config_file: Path, section: str, name: str) -> dict[str, object]:
    tables = load_file(config_file, missing_ok=True).tables.get(section)
    old = tables.get(name) if isinstance(tables, Mapping) else None
    return dict(old) if isinstance(old, Mapping) else {}


def _split_key(key: str) -> tuple[str, list[str]]:
    """Table and name of a setting, of a binding, whose id may hold dots, of a part of a set or a command."""
    head, _, binding = key.strip().partition(".")
    if head == SETS and binding:
        name, _, part = binding.partition(".")
        if part not in ("", _PRODUCTS, "baseline", "collection"):
            raise SettingsError(f"unknown setting {key!r}; a set has products, baseline and collection")
        return head, [name, part or _PRODUCTS]
    if head == COMMANDS and binding:
        name, _, part = binding.partition(".")
        if part not in ("", _RUN, "key", "where", "output"):
            raise SettingsError(f"unknown setting {key!r}; a command has run, key, where and output")
        return head, [name, part or _RUN]
    if head in FREE and binding:
        return head, binding.split(".")
    section, _, name = find_setting(key).key.partition(".")
    return section, [name]
