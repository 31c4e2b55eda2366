"""Reads all settings, and finds the folders.

The first that applies wins: flag, environment, file, default. An empty variable, or an empty text in the
file, counts as not set.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from maap_tui.engine.config import dirs
from maap_tui.engine.config.declaring import Section
from maap_tui.engine.config.finding import HINT, did_you_mean, find_setting, nearest
from maap_tui.engine.config.settings import (
    BY_KEY,
    COMMANDS,
    FREE,
    KEYS,
    SECTION_NAMES,
    SECTIONS,
    SETS,
    SETTINGS,
    SITES,
    Origin,
    Settings,
)
from maap_tui.engine.config.toml_file import ConfigFile, load_file, shown
from maap_tui.engine.errors import InvalidRequestError, SettingsError

if TYPE_CHECKING:
    from maap_tui.engine.product_sets import ProductSet
    from maap_tui.engine.user_commands import UserCommand


def load(
    config_file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
) -> Settings:
    """Read all settings.

    Args:
        config_file: A file that must be there; None for the usual one, which may be missing.
        environ: Environment variables; None for the process's own.
        overrides: Flags by key, as text or as the setting's type; None as a value means not given.

    Raises:
        SettingsError: The file cannot be read, a key is unknown, or a value is wrong.
    """
    environ = os.environ if environ is None else environ
    if config_file is None:
        file = dirs.config_file(environ)
        source = load_file(file, missing_ok=True)
    else:
        file = config_file
        source = load_file(file, missing_ok=False)
    overrides = {key: value for key, value in (overrides or {}).items() if value is not None}
    for key in overrides:
        find_setting(key)

    values: dict[str, object] = {}
    origins: dict[str, Origin] = {}
    in_file = dict(_in_file(source))
    for setting in SETTINGS:
        key = setting.key
        if key in overrides:
            origins[key] = Origin("flag", setting.flag or "argument")
            values[key] = setting.read(overrides[key], environ, origins[key].text, typed=True)
        elif environ.get(setting.variable, "").strip():
            origins[key] = Origin("environment", setting.variable)
            values[key] = setting.read(environ[setting.variable], environ, setting.variable, typed=True)
        elif key in in_file and in_file[key] != "":
            origins[key] = Origin("file", source.location(key))
            values[key] = setting.read(in_file[key], environ, origins[key].text)
        else:
            values[key] = setting.default
    free = {table: dict(_texts_in_file(source, table)) for table in FREE}
    for table, texts in free.items():
        for name in texts:
            origins[f"{table}.{name}"] = Origin("file", source.location(f"{table}.{name}"))
    if free[SITES]:
        _check_sites(source, free[SITES])
    sets = _sets_in_file(source) if SETS in source.tables else {}
    for name in sets:
        origins[f"{SETS}.{name}"] = Origin("file", source.location(f"{SETS}.{name}"))
    commands = _commands_in_file(source) if COMMANDS in source.tables else {}
    for name in commands:
        origins[f"{COMMANDS}.{name}"] = Origin("file", source.location(f"{COMMANDS}.{name}"))

    def section(cls: type[Section]) -> Any:
        head = cls.section + "."
        return cls({key.removeprefix(head): value for key, value in values.items() if key.startswith(head)})

    return Settings(
        **{cls.section: section(cls) for cls in SECTIONS},
        keys=free[KEYS],
        sites=free[SITES],
        sets=sets,
        commands=commands,
        config_file=file,
        origins=origins,
    )


def locate(settings: Settings, environ: Mapping[str, str]) -> dirs.AppDirs:
    """Decide every folder and file, absolute: what settings say, else under `home`, else the platform's."""
    base = dirs.base_dirs(environ)
    paths = settings.paths
    try:
        data_dir = dirs.data_folder(paths.data_dir or base.data / "data")
    except InvalidRequestError as error:
        raise SettingsError(
            f"{settings.origin('paths.data_dir').text}: {error.message}", error.hint
        ) from None
    return dirs.AppDirs(
        data_dir=data_dir,
        catalog_dir=dirs.absolute(paths.catalog_dir or base.cache / "catalogs"),
        # Built catalogues take many requests to make: not for a folder that cleaners empty.
        built_catalog_dir=dirs.absolute(paths.built_catalog_dir or base.data / "built_catalogs"),
        registry_dir=dirs.absolute(paths.registry_dir or base.data / "registry"),
        credentials_file=dirs.absolute(paths.credentials_file or base.config / "credentials.txt"),
        state_dir=dirs.absolute(paths.state_dir or base.state),
        config_file=dirs.absolute(settings.config_file),
    )


def _in_file(source: ConfigFile) -> Iterator[tuple[str, object]]:
    """Key and raw value of every setting; SettingsError for a name that is none."""
    for section, table in source.tables.items():
        if section not in SECTION_NAMES:
            raise _unknown_section(source, section, table)
        if not isinstance(table, Mapping):
            raise SettingsError(
                f"{source.location(section)}: {section} must be a table [{section}], got {shown(table)}"
            )
        if section in FREE or section in (SETS, COMMANDS):
            continue
        for name, value in table.items():
            key = f"{section}.{name}"
            if key not in BY_KEY:
                raise SettingsError(
                    f"{source.location(key)}: unknown key {name!r} in [{section}]{did_you_mean(key)}",
                    hint=HINT,
                )
            yield key, value


def _texts_in_file(source: ConfigFile, section: str) -> Iterator[tuple[str, str]]:
    """Names and texts of a free-form table; dotted names nest in TOML and are joined again."""

    def walk(table: Mapping[str, object], head: str) -> Iterator[tuple[str, str]]:
        for name, value in table.items():
            path = f"{head}{name}"
            if isinstance(value, Mapping):
                yield from walk(value, path + ".")
            elif isinstance(value, str):
                yield path, value
            else:
                key = f"{section}.{path}"
                raise SettingsError(
                    f"{source.location(key)}: {key} must be {FREE[section]}, got {shown(value)}"
                )

    table = source.tables.get(section, {})
    return walk(cast(Mapping[str, object], table), "")


def _check_sites(source: ConfigFile, sites: Mapping[str, str]) -> None:
    """SettingsError for a place whose position cannot be read."""
    # Most configurations have none: a command that starts need not know of places.
    from maap_tui.engine.sites import site_of

    for name, text in sites.items():
        try:
            site_of(name, text)
        except InvalidRequestError as error:
            raise SettingsError(
                f"{source.location(f'{SITES}.{name}')}: {error.message}", error.hint
            ) from None


def _sets_in_file(source: ConfigFile) -> dict[str, ProductSet]:
    """The sets by name; SettingsError for one that cannot be read."""
    # Most configurations have none: a command that starts need not know of sets.
    from maap_tui.engine.product_sets import set_of

    found = {}
    parts = {"products": list, "baseline": str, "collection": str}
    for name, key, given in _tables_in(source, SETS, parts):
        texts = (given.get("baseline", ""), given.get("collection", ""))
        try:
            found[name] = set_of(name, given.get("products", []), *texts)
        except InvalidRequestError as error:
            raise SettingsError(f"{source.location(key)}: {error.message}", error.hint) from None
    return found


def _commands_in_file(source: ConfigFile) -> dict[str, UserCommand]:
    """The commands of the user by name; SettingsError for one that cannot be read."""
    from maap_tui.engine.user_commands import PLACES, command_of

    found = {}
    parts = {"run": str, "key": str, "where": list, "output": str}
    for name, key, given in _tables_in(source, COMMANDS, parts):
        try:
            found[name] = command_of(**{"name": name, "run": "", "where": PLACES, **given})
        except InvalidRequestError as error:
            raise SettingsError(f"{source.location(key)}: {error.message}", error.hint) from None
    return found


def _tables_in(
    source: ConfigFile, section: str, parts: Mapping[str, type]
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The tables of a table of tables: name, key, and their values; SettingsError for one that is wrong.

    Args:
        source: the file.
        section: the table of tables.
        parts: keys of a table, and whether each is a text or a list of texts.
    """
    names = list(parts)
    for name, table in cast(Mapping[str, object], source.tables[section]).items():
        key = f"{section}.{name}"
        if not isinstance(table, Mapping):
            raise SettingsError(
                f"{source.location(key)}: {key} must be a table [{key}] with {names[0]}, got {shown(table)}"
            )
        for part, value in table.items():
            where = source.location(f"{key}.{part}")
            if part not in parts:
                raise SettingsError(
                    f"{where}: unknown key {part!r} in [{key}]; "
                    f"there are {', '.join(names[:-1])} and {names[-1]}",
                    hint=HINT,
                )
            if parts[part] is str and not isinstance(value, str):
                raise SettingsError(f"{where}: {key}.{part} must be a text, got {shown(value)}")
            if parts[part] is list and not (
                isinstance(value, list) and all(isinstance(one, str) for one in value)
            ):
                raise SettingsError(f"{where}: {key}.{part} must be a list of texts, got {shown(value)}")
        yield name, key, dict(table)


def _unknown_section(source: ConfigFile, name: str, value: object) -> SettingsError:
    if isinstance(value, Mapping):
        near = nearest(name, SECTION_NAMES)
        more = f"; did you mean [{near}]?" if near else f"; the sections are {', '.join(SECTION_NAMES)}"
        return SettingsError(f"{source.location(name)}: unknown section [{name}]{more}")
    return SettingsError(
        f"{source.location(name)}: unknown key {name!r} outside a section{did_you_mean(name)}",
        hint=HINT,
    )
