"""Every setting, declared once: its place in the file, its variable, its type, default and help.

The reader of `config.toml`, the reader of the environment, `maap config`, `maap config set` and the table
of docs/configuration.md all come from the declarations below; nothing else spells a setting's name. The
first that applies wins: flag, environment, file, default. An empty variable, or an empty text in the file,
counts as not set. Secrets are not settings.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, Self, cast, overload

from maap_tui.engine.config import dirs
from maap_tui.engine.config.toml_file import ConfigFile, load_file, remove_entry, set_entry, shown
from maap_tui.engine.config.types import (
    NAME,
    NAMES,
    NUMBER,
    ORIGINS,
    PATH,
    SIZE,
    SWITCH,
    TEXT,
    WHOLE,
    Address,
    Instant,
    Kind,
    T,
)
from maap_tui.engine.errors import InvalidRequestError, SettingsError
from maap_tui.engine.model import DEFAULT_MAX_ITEMS

CATALOG_URL = "https://catalog.maap.eo.esa.int/catalogue/"
"""Root of the STAC service (docs/service.md, Catalogue); without the last slash it answers 503."""
TOKEN_URL = "https://iam.maap.eo.esa.int/realms/esa-maap/protocol/openid-connect/token"
"""Where an offline token is exchanged for an access token (docs/service.md, Tokens)."""
DEFAULT_DAYS_BACK = 3
"""Days that a sync looks back when no time is given; not a setting, as a cron line says it itself."""

Applies = Literal["now", "next run", "next start"]
"""When a setting that is changed takes effect: at once, also in what runs; with the next search, sync or
queued file; or when the app is started again."""


class Setting(Generic[T]):
    """One setting; read through its section it gives the value, read through the class it gives itself."""

    name: str
    """Last part of the key, such as `parallel`."""
    key: str
    """Section and name, such as `downloads.parallel`."""

    def __init__(
        self,
        variable: str,
        kind: Kind[T],
        default: T,
        help: str,
        *,
        unset: str = "",
        flag: str = "",
        unit: str = "",
        minimum: float | None = None,
        maximum: float | None = None,
        choices: tuple[T, ...] = (),
        applies: Applies = "next start",
    ) -> None:
        """Declare a setting.

        Args:
            variable: Environment variable.
            kind: How it is read and written.
            default: The value when nothing sets it.
            help: One sentence, also what None, 0 or empty means.
            unset: Words for the default in tables where its text says nothing.
            flag: Global option of the command line that sets it; empty for none.
            unit: Unit of a number; empty for a count.
            minimum: Smallest number allowed; None for no bound.
            maximum: Largest number allowed; None for no bound.
            choices: The only values allowed; empty for any.
            applies: When a change made while the app runs takes effect.
        """
        self.variable = variable
        self.kind = kind
        self.default = default
        self.help = help
        self.unset = unset
        self.flag = flag
        self.unit = unit
        self.minimum = minimum
        self.maximum = maximum
        self.choices = choices
        self.applies = applies

    def __set_name__(self, owner: type[Section], name: str) -> None:
        self.name = name
        self.key = f"{owner.section}.{name}"

    @overload
    def __get__(self, instance: None, owner: type) -> Setting[T]: ...
    @overload
    def __get__(self, instance: Section, owner: type) -> T: ...
    def __get__(self, instance: Section | None, owner: type) -> Setting[T] | T:
        return self if instance is None else cast(T, instance._values[self.name])

    def __set__(self, instance: Section, value: T) -> None:
        raise AttributeError(
            f"settings are read only; {self.key} is set by flag, {self.variable} or the file"
        )

    @property
    def default_text(self) -> str:
        """The default as a user would type it, or words for it."""
        return self.unset or self.kind.to_text(self.default)

    @property
    def expected(self) -> str:
        """What a right value is, bounds and choices included, for `must be ...`."""
        if self.choices:
            return "one of " + ", ".join(self.kind.to_text(choice) for choice in self.choices)
        if self.kind not in (WHOLE, NUMBER):
            return self.kind.expected
        unit = f" of {self.unit}" if self.unit else ""
        if self.minimum is not None and self.maximum is not None:
            return f"{self.kind.expected}{unit} from {self.minimum:g} to {self.maximum:g}"
        if self.minimum is not None:
            return f"{self.kind.expected}{unit}, {self.minimum:g} or more"
        return self.kind.expected + unit

    @property
    def highest(self) -> float:
        """The largest number allowed; infinity for no bound."""
        return math.inf if self.maximum is None else self.maximum

    def clamp(self, value: float) -> float:
        """The number nearest to `value` that is allowed."""
        return min(self.highest, value if self.minimum is None else max(self.minimum, value))

    def read(self, value: object, environ: Mapping[str, str], where: str = "", *, typed: bool = False) -> T:
        """Turn a value into its type.

        Args:
            value: What the source holds.
            environ: For `~` and `$NAME` in paths.
            where: The source, as the error names it; empty when the key is enough.
            typed: Whether text must be read as a user types it, where TOML would have a type of its own.

        Raises:
            SettingsError: The value is of another type or out of bounds.
        """
        reason = ""
        try:
            if typed and isinstance(value, str):
                result = self.kind.from_text(value, environ)
            else:
                result = self.kind.from_value(value, environ)
            if self._allows(result):
                return result
        except (ValueError, OverflowError) as error:
            reason = str(error) if str(error).endswith("is not set") else ""
        got = reason or shown(value)
        raise SettingsError(
            f"{where}{': ' if where else ''}{self.key} must be {self.expected}, got {got}",
            hint=f"{self.help} Default: {self.default_text}.",
        )

    def _allows(self, value: T) -> bool:
        if self.choices:
            return value in self.choices
        if isinstance(value, int | float):
            return not (
                (self.minimum is not None and value < self.minimum)
                or (self.maximum is not None and value > self.maximum)
            )
        return True


class Section:
    """The values of one table of the file, read only."""

    section: ClassVar[str]
    """Name of the table."""
    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = dict(values)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other._values == self._values

    __hash__ = None  # type: ignore[assignment]

    def having(self, name: str, value: object) -> Self:
        """The same values but for one."""
        return type(self)({**self._values, name: value})

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self._values.items())})"
        )


class PathSettings(Section):
    """Folders and files; None leaves the place to `settings.locate`."""

    section = "paths"
    __slots__ = ()

    data_dir = Setting("MAAP_DATA_DIR", PATH, None, "Where granules go.", unset="`data`", flag="--data-dir")
    catalog_dir = Setting(
        "MAAP_CATALOG_DIR", PATH, None, "Local copies of the collections' queryables.", unset="`catalogs`"
    )
    built_catalog_dir = Setting(
        "MAAP_BUILT_CATALOG_DIR", PATH, None, "What `maap catalog build` writes.", unset="`built_catalogs`"
    )
    registry_dir = Setting(
        "MAAP_REGISTRY_DIR",
        PATH,
        None,
        "The text files that track what was found, had and marked.",
        unset="`registry`",
    )
    credentials_file = Setting(
        "MAAP_CREDENTIALS_FILE", PATH, None, "The file with the offline token.", unset="`credentials.txt`"
    )
    state_dir = Setting("MAAP_STATE_DIR", PATH, None, "Queue, locks and logs.", unset="`state`")


class ApiSettings(Section):
    """The catalogue and token services."""

    section = "api"
    __slots__ = ()

    catalog_url = Setting(
        "MAAP_CATALOG_URL", Address(folder=True), CATALOG_URL, "Root of the STAC catalogue."
    )
    token_url = Setting(
        "MAAP_TOKEN_URL",
        Address(private=True),
        TOKEN_URL,
        "Where the offline token is exchanged; https, or http to this machine.",
    )
    data_origins = Setting(
        "MAAP_DATA_ORIGINS",
        ORIGINS,
        (),
        "More origins that may receive the access token; the catalogue's own always may.",
        unset="none",
    )
    retries = Setting(
        "MAAP_RETRIES",
        WHOLE,
        5,
        "Tries after the first for catalogue and token requests.",
        minimum=0,
        maximum=100,
        applies="now",
    )
    retry_wait = Setting(
        "MAAP_RETRY_WAIT",
        NUMBER,
        2.0,
        "Wait before the first retry; it doubles each time.",
        unit="seconds",
        minimum=0,
        maximum=3600,
        applies="now",
    )
    timeout = Setting(
        "MAAP_TIMEOUT",
        NUMBER,
        60.0,
        "How long a silent answer is waited for.",
        unit="seconds",
        minimum=0.1,
        maximum=3600,
        applies="now",
    )
    outage_wait = Setting(
        "MAAP_OUTAGE_WAIT",
        NUMBER,
        900.0,
        "How long downloads and sync wait for a service that is down; 0 for not at all.",
        unit="seconds",
        minimum=0,
        maximum=86400,
        applies="now",
    )
    page_size = Setting(
        "MAAP_PAGE_SIZE",
        WHOLE,
        1000,
        "Items asked for in one page.",
        minimum=1,
        maximum=10000,
        applies="next run",
    )


class MissionSettings(Section):
    """The mission, where the collection's name does not say it."""

    section = "mission"
    __slots__ = ()

    name = Setting(
        "MAAP_MISSION",
        NAME,
        "",
        "Mission to list, and of collections whose name does not say theirs; empty for all, inferred.",
        unset="inferred from the collection",
    )
    start = Setting(
        "MAAP_MISSION_START",
        Instant(),
        None,
        "First moment with data, UTC.",
        unset="the mission's own",
        applies="next run",
    )
    end = Setting(
        "MAAP_MISSION_END",
        Instant(day_ends=True),
        None,
        "Last moment with data, UTC.",
        unset="the mission's own",
        applies="next run",
    )
    collections = Setting(
        "MAAP_MISSION_COLLECTIONS",
        NAMES,
        (),
        "The collections to list instead of the missions' own; empty for theirs.",
        unset="the missions' own",
    )
    collections_extend = Setting(
        "MAAP_MISSION_COLLECTIONS_EXTEND", NAMES, (), "Collections to list besides those.", unset="none"
    )


class DownloadSettings(Section):
    """How files are moved."""

    section = "downloads"
    __slots__ = ()

    parallel = Setting(
        "MAAP_DOWNLOADS_PARALLEL",
        WHOLE,
        8,
        "Files in flight at once.",
        minimum=1,
        maximum=16,
        applies="now",
    )
    parallel_total = Setting(
        "MAAP_DOWNLOADS_PARALLEL_TOTAL",
        WHOLE,
        0,
        "Files in flight at once in all processes, on every host, that share the registry; `limit_rate` is "
        "then that of all of them.",
        unset="no limit",
        minimum=0,
        maximum=1000,
        applies="next run",
    )
    retries = Setting(
        "MAAP_DOWNLOADS_RETRIES",
        WHOLE,
        5,
        "Tries after the first for one file.",
        minimum=0,
        maximum=100,
        applies="now",
    )
    retry_wait = Setting(
        "MAAP_DOWNLOADS_RETRY_WAIT",
        NUMBER,
        1.0,
        "Wait before a file's first retry; it doubles each time.",
        unit="seconds",
        minimum=0,
        maximum=3600,
        applies="now",
    )
    stall_timeout = Setting(
        "MAAP_DOWNLOADS_STALL_TIMEOUT",
        NUMBER,
        30.0,
        "A transfer without a byte for this long is tried again.",
        unit="seconds",
        minimum=0.1,
        maximum=3600,
        applies="now",
    )
    product_dir = Setting(
        "MAAP_DOWNLOADS_PRODUCT_DIR",
        SWITCH,
        False,
        "Put each file in a folder named after it.",
        flag="--product-dir",
        applies="next run",
    )
    limit_rate = Setting(
        "MAAP_DOWNLOADS_LIMIT_RATE",
        SIZE,
        0,
        "Most bytes a second for all files together, such as 5M; 0 for no limit.",
        unit="bytes a second",
        minimum=0,
        applies="now",
    )
    min_free = Setting(
        "MAAP_DOWNLOADS_MIN_FREE",
        SIZE,
        1024**3,
        "Stop before less than this is free on the disk; 0 for no check.",
        unit="bytes",
        minimum=0,
        applies="now",
    )
    space_wait = Setting(
        "MAAP_DOWNLOADS_SPACE_WAIT",
        NUMBER,
        60.0,
        "How long a command waits for room on a full disk before it ends; the app waits for ever.",
        unit="seconds",
        minimum=0,
        maximum=86400,
        applies="next run",
    )
    lock_wait = Setting(
        "MAAP_DOWNLOADS_LOCK_WAIT",
        NUMBER,
        0.0,
        "How long `sync` waits for another sync of the same baseline before it ends.",
        flag="--lock-wait",
        unit="seconds",
        minimum=0,
        maximum=86400,
        applies="next run",
    )
    max_file = Setting(
        "MAAP_DOWNLOADS_MAX_FILE",
        SIZE,
        20 * 1024**3,
        "A file larger than this is refused; 0 for no limit.",
        unit="bytes",
        minimum=0,
        applies="now",
    )


class SearchSettings(Section):
    """How the catalogue is searched."""

    section = "search"
    __slots__ = ()

    parallel = Setting(
        "MAAP_SEARCH_PARALLEL",
        WHOLE,
        8,
        "Windows of time searched at once.",
        minimum=1,
        maximum=16,
        applies="next run",
    )
    max_items = Setting(
        "MAAP_SEARCH_MAX_ITEMS",
        WHOLE,
        DEFAULT_MAX_ITEMS,
        "Items a search gives at most.",
        flag="--max-items",
        minimum=1,
        applies="next run",
    )


class TokenSettings(Section):
    """The offline token."""

    section = "token"
    __slots__ = ()

    warn_days = Setting(
        "MAAP_TOKEN_WARN_DAYS",
        WHOLE,
        14,
        "Warn when the offline token has fewer days left; 0 for never.",
        unit="days",
        minimum=0,
        applies="now",
    )

    def urgency(self, days: int) -> Literal["", "warn", "alarm"]:
        """How urgent a new token is with `days` left: an alarm below half of `warn_days`, and once over."""
        if days < 0 or 2 * days < self.warn_days:
            return "alarm"
        return "warn" if days < self.warn_days else ""


class LogSettings(Section):
    """What the commands say on stderr."""

    section = "log"
    __slots__ = ()

    times = Setting(
        "MAAP_LOG_TIMES",
        SWITCH,
        False,
        "Begin every line on stderr with the UTC time.",
        flag="--log-times",
    )


class UiSettings(Section):
    """The full-screen app."""

    section = "ui"
    __slots__ = ()

    theme = Setting(
        "MAAP_UI_THEME",
        TEXT,
        "",
        "Colours; empty for the app's own.",
        unset="the app's own",
        applies="now",
    )
    ascii = Setting("MAAP_UI_ASCII", SWITCH, False, "Draw with ASCII characters only.")
    mouse = Setting("MAAP_UI_MOUSE", SWITCH, True, "Take mouse clicks and scrolling.")
    low_bandwidth = Setting(
        "MAAP_UI_LOW_BANDWIDTH", SWITCH, False, "Repaint less often, for slow remote terminals."
    )
    animation = Setting("MAAP_UI_ANIMATION", SWITCH, False, "Move and fade things.")


_SECTIONS: tuple[type[Section], ...] = (
    PathSettings,
    ApiSettings,
    MissionSettings,
    DownloadSettings,
    SearchSettings,
    TokenSettings,
    LogSettings,
    UiSettings,
)
SETTINGS: tuple[Setting[Any], ...] = tuple(
    value for section in _SECTIONS for value in vars(section).values() if isinstance(value, Setting)
)
"""Every setting, in the order of the file."""
KEYS = "keys"
"""The one free-form table: binding id to keys."""

_BY_KEY = {setting.key: setting for setting in SETTINGS}
_SECTION_NAMES = (*(section.section for section in _SECTIONS), KEYS)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value came from."""

    kind: Literal["flag", "environment", "file", "default"]
    text: str
    """The flag, the variable, `FILE:LINE`, or `default`."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of `maap config`."""

    key: str
    value_text: str
    """The value as it could be typed; empty for none."""
    origin_text: str
    help: str


_HINT = "`maap config` lists every setting."
_DEFAULT = Origin("default", "default")


@dataclass(frozen=True, slots=True)
class Settings:
    """All values, frozen once loaded."""

    paths: PathSettings
    api: ApiSettings
    mission: MissionSettings
    downloads: DownloadSettings
    search: SearchSettings
    token: TokenSettings
    log: LogSettings
    ui: UiSettings
    keys: dict[str, str]
    """Binding id to keys, for bindings the user changed."""
    config_file: Path
    """The file that was read, or would be if it were there."""
    origins: dict[str, Origin]
    """Where each value came from, by key; a key that is not here has its default."""

    def origin(self, key: str) -> Origin:
        """Where the value of `key` came from."""
        return self.origins.get(key, _DEFAULT)

    def value(self, setting: Setting[T]) -> T:
        """The value of a declared setting."""
        section = getattr(self, setting.key.partition(".")[0])
        return cast(T, getattr(section, setting.name))

    def taking(self, key: str, other: Settings) -> Settings:
        """The same settings, with one value and its origin taken from others.

        Args:
            key: Of a setting, or `keys.BINDING`.
            other: What to take it from.
        """
        origins = {name: origin for name, origin in self.origins.items() if name != key}
        if key in other.origins:
            origins[key] = other.origins[key]
        head, _, name = key.partition(".")
        if head == KEYS:
            keys = {binding: typed for binding, typed in self.keys.items() if binding != name}
            if name in other.keys:
                keys[name] = other.keys[name]
            return replace(self, keys=keys, origins=origins)
        section = getattr(self, head).having(name, other.value(find_setting(key)))
        return replace(self, **{head: section}, origins=origins)

    def describe(self, located: dirs.AppDirs | None = None) -> list[Row]:
        """Every setting with its value and origin, in the order of the file.

        Args:
            located: Where unset paths ended up; None shows them empty.
        """
        rows = []
        for setting in SETTINGS:
            value = self.value(setting)
            if value is None and located is not None and setting.key.startswith("paths."):
                value = getattr(located, setting.name)
            rows.append(
                Row(setting.key, setting.kind.to_text(value), self.origin(setting.key).text, setting.help)
            )
        for binding, keys in self.keys.items():
            key = f"{KEYS}.{binding}"
            rows.append(Row(key, keys, self.origin(key).text, "Keys of this action in the app."))
        return rows


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
    keys = dict(_keys_in_file(source))
    origins.update((f"{KEYS}.{name}", Origin("file", source.location(f"{KEYS}.{name}"))) for name in keys)

    def section(cls: type[Section]) -> Any:
        head = cls.section + "."
        return cls({key.removeprefix(head): value for key, value in values.items() if key.startswith(head)})

    return Settings(
        **{cls.section: section(cls) for cls in _SECTIONS}, keys=keys, config_file=file, origins=origins
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
        if section not in _SECTION_NAMES:
            raise _unknown_section(source, section, table)
        if not isinstance(table, Mapping):
            raise SettingsError(
                f"{source.location(section)}: {section} must be a table [{section}], got {shown(table)}"
            )
        if section == KEYS:
            continue
        for name, value in table.items():
            key = f"{section}.{name}"
            if key not in _BY_KEY:
                raise SettingsError(
                    f"{source.location(key)}: unknown key {name!r} in [{section}]{_did_you_mean(key)}",
                    hint=_HINT,
                )
            yield key, value


def _keys_in_file(source: ConfigFile) -> Iterator[tuple[str, str]]:
    """Binding id and keys of the free-form table; dotted names nest in TOML and are joined again."""

    def walk(table: Mapping[str, object], head: str) -> Iterator[tuple[str, str]]:
        for name, value in table.items():
            path = f"{head}{name}"
            if isinstance(value, Mapping):
                yield from walk(value, path + ".")
            elif isinstance(value, str):
                yield path, value
            else:
                key = f"{KEYS}.{path}"
                raise SettingsError(
                    f"{source.location(key)}: {key} must be a text of keys, got {shown(value)}"
                )

    table = source.tables.get(KEYS, {})
    return walk(cast(Mapping[str, object], table), "")


def _unknown_section(source: ConfigFile, name: str, value: object) -> SettingsError:
    if isinstance(value, Mapping):
        near = _nearest(name, _SECTION_NAMES)
        more = f"; did you mean [{near}]?" if near else f"; the sections are {', '.join(_SECTION_NAMES)}"
        return SettingsError(f"{source.location(name)}: unknown section [{name}]{more}")
    return SettingsError(
        f"{source.location(name)}: unknown key {name!r} outside a section{_did_you_mean(name)}",
        hint=_HINT,
    )


def _nearest(word: str, known: tuple[str, ...]) -> str:
    """The known word most like `word`, empty when none is."""
    import difflib

    return next(iter(difflib.get_close_matches(word, known, n=1)), "")


def _did_you_mean(key: str) -> str:
    """`; did you mean ...?` for an unknown key with or without its section, empty when nothing is near."""
    section, _, name = key.rpartition(".")
    inside = {setting.name: setting.key for setting in SETTINGS if setting.key.startswith(f"{section}.")}
    if near := _nearest(name, tuple(inside)):
        return f"; did you mean {inside[near]!r}?"
    # Right key, wrong table: look everywhere.
    anywhere = {setting.name: setting.key for setting in SETTINGS}
    near = _nearest(name, tuple(anywhere))
    return f"; did you mean {anywhere[near]!r}?" if near else ""


def find_setting(key: str) -> Setting[Any]:
    """The setting a key means; its last part alone is enough where only one setting ends so.

    Raises:
        SettingsError: No setting, or several, go by that name.
    """
    name = key.strip().replace("-", "_")
    if name in _BY_KEY:
        return _BY_KEY[name]
    found = [setting for setting in SETTINGS if setting.name == name]
    if len(found) == 1:
        return found[0]
    if found:
        keys = " or ".join(setting.key for setting in found)
        raise SettingsError(f"{key!r} means several settings: say {keys}")
    raise SettingsError(f"unknown setting {key!r}{_did_you_mean(name)}", hint=_HINT)


def set_value(config_file: Path, key: str, text: str, environ: Mapping[str, str] | None = None) -> None:
    """Write one setting into the file, made when missing; comments and order stay. Empty text unsets it.

    Args:
        config_file: The file to change.
        key: As `find_setting` takes it, or `keys.BINDING`.
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
    if section != KEYS:
        setting = _BY_KEY[f"{section}.{names[0]}"]
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
    return remove_entry(config_file, section, names)


def _split_key(key: str) -> tuple[str, list[str]]:
    """Table and name of a setting, or of a binding; a binding's id may hold dots."""
    head, _, binding = key.strip().partition(".")
    if head == KEYS and binding:
        return KEYS, binding.split(".")
    section, _, name = find_setting(key).key.partition(".")
    return section, [name]


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
    return "\n".join(lines) + "\n"
