"""Every setting, declared once: its place in the file, its variable, its type, default and help.

The reader of `config.toml`, the reader of the environment, `maap config`, `maap config set` and the README's
table all come from the declarations below; nothing else spells a setting's name. The first that applies wins:
flag, environment, file, default. An empty variable, or an empty text in the file, counts as not set.
Secrets are not settings.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, TypeVar, cast, overload
from urllib.parse import urlsplit

from maap_tui.engine import places
from maap_tui.engine.errors import SettingsError

CATALOG_URL = "https://catalog.maap.eo.esa.int/catalogue/"
"""Root of the STAC service (maap-facts.md section 1); without the last slash it answers 503."""
TOKEN_URL = "https://iam.maap.eo.esa.int/realms/esa-maap/protocol/openid-connect/token"
"""Where an offline token is exchanged for an access token (maap-facts.md section 3)."""

T = TypeVar("T")


class Kind(Generic[T]):
    """How values of one type are read from text, read from TOML, shown and written."""

    expected: str = "a text"
    """What a right value is, for `must be ...`."""

    def from_text(self, text: str, environ: Mapping[str, str]) -> T:
        """Read what a user typed or a variable holds; ValueError when it is not `expected`."""
        raise NotImplementedError

    def from_value(self, value: object, environ: Mapping[str, str]) -> T:
        """Read a value of TOML or of a caller; ValueError when it is not `expected`."""
        if not isinstance(value, str):
            raise ValueError
        return self.from_text(value, environ)

    def to_text(self, value: T) -> str:
        """Show a value as it could be typed again; empty for none."""
        return str(value)

    def to_toml(self, text: str, value: T) -> object:
        """What goes into the file for `text`, which was read as `value`."""
        return text


class Text(Kind[str]):
    """Any text, without the spaces around it."""

    def from_text(self, text: str, environ: Mapping[str, str]) -> str:
        return text.strip()


class Name(Text):
    """A text that may become a folder name and part of an address."""

    expected = "a name of letters, digits and . _ + -"
    _PATTERN = re.compile(r"(?:[A-Za-z0-9_+][A-Za-z0-9_.+-]*)?")

    def from_text(self, text: str, environ: Mapping[str, str]) -> str:
        text = text.strip()
        if not self._PATTERN.fullmatch(text):
            raise ValueError
        return text


class Names(Kind[tuple[str, ...]]):
    """A list of texts, comma separated where it is typed."""

    def __init__(self, item: Text, expected: str) -> None:
        self.item = item
        self.expected = expected

    def from_text(self, text: str, environ: Mapping[str, str]) -> tuple[str, ...]:
        return self.from_value([part for part in text.split(",") if part.strip()], environ)

    def from_value(self, value: object, environ: Mapping[str, str]) -> tuple[str, ...]:
        if isinstance(value, str):
            return self.from_text(value, environ)
        if not isinstance(value, list | tuple) or not all(isinstance(part, str) for part in value):
            raise ValueError
        # A name given twice would be searched twice.
        return tuple(dict.fromkeys(self.item.from_text(part, environ) for part in value if part.strip()))

    def to_text(self, value: tuple[str, ...]) -> str:
        return ",".join(value)

    def to_toml(self, text: str, value: tuple[str, ...]) -> object:
        return list(value)


class FilePath(Kind["Path | None"]):
    """A path; `~` and `$NAME` stand for what the environment says."""

    expected = "a path"

    def from_text(self, text: str, environ: Mapping[str, str]) -> Path:
        if not text.strip() or "\0" in text:
            raise ValueError
        return places.expand_path(text, environ)

    def from_value(self, value: object, environ: Mapping[str, str]) -> Path:
        if not isinstance(value, str | Path):
            raise ValueError
        return self.from_text(str(value), environ)

    def to_text(self, value: Path | None) -> str:
        return "" if value is None else str(value)

    def to_toml(self, text: str, value: Path | None) -> object:
        # A relative path is meant from where it is typed, not from where a later run starts.
        return text if text.startswith("~") or "$" in text else os.path.abspath(text)


class Whole(Kind[int]):
    """A whole number."""

    expected = "a whole number"

    def from_text(self, text: str, environ: Mapping[str, str]) -> int:
        return int(text)

    def from_value(self, value: object, environ: Mapping[str, str]) -> int:
        # bool is an int to Python, but `parallel = true` is a mistake.
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError
        return value

    def to_toml(self, text: str, value: int) -> object:
        return value


class Number(Kind[float]):
    """A finite number."""

    expected = "a number"

    def from_text(self, text: str, environ: Mapping[str, str]) -> float:
        return self.from_value(float(text), environ)

    def from_value(self, value: object, environ: Mapping[str, str]) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError
        return float(value)

    def to_text(self, value: float) -> str:
        return f"{value:g}"

    def to_toml(self, text: str, value: float) -> object:
        return value


class Switch(Kind[bool]):
    """Yes or no."""

    expected = "true or false"
    _YES = ("true", "yes", "on", "1")
    _NO = ("false", "no", "off", "0")

    def from_text(self, text: str, environ: Mapping[str, str]) -> bool:
        word = text.strip().lower()
        if word not in self._YES + self._NO:
            raise ValueError
        return word in self._YES

    def from_value(self, value: object, environ: Mapping[str, str]) -> bool:
        if not isinstance(value, bool):
            raise ValueError
        return value

    def to_text(self, value: bool) -> str:
        return "true" if value else "false"

    def to_toml(self, text: str, value: bool) -> object:
        return value


class Size(Kind[int]):
    """A number of bytes, as `800K`, `1.5G` or plain bytes; K is 1024, as in curl and aria2."""

    expected = "a number of bytes such as 800K, 5M or 20G"
    _PATTERN = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?(?:/s)?", re.IGNORECASE | re.ASCII)
    _UNITS = "KMGT"

    def from_text(self, text: str, environ: Mapping[str, str]) -> int:
        if not text.strip():
            return 0
        found = self._PATTERN.fullmatch(text.strip())
        if not found:
            raise ValueError
        power = self._UNITS.index(found[2].upper()) + 1 if found[2] else 0
        return int(float(found[1]) * 1024**power) if "." in found[1] else int(found[1]) * 1024**power

    def from_value(self, value: object, environ: Mapping[str, str]) -> int:
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        return super().from_value(value, environ)

    def to_text(self, value: int) -> str:
        for power in range(len(self._UNITS), 0, -1):
            if value and value % 1024**power == 0:
                return f"{value // 1024**power}{self._UNITS[power - 1]}"
        return str(value)


class Instant(Kind["datetime | None"]):
    """A moment in UTC; a bare date means the first or the last second of that day."""

    expected = "a date such as 2025-03-14 or a time such as 2025-03-14T12:00:00Z"

    def __init__(self, *, day_ends: bool = False) -> None:
        self.day_ends = day_ends

    def from_text(self, text: str, environ: Mapping[str, str]) -> datetime:
        text = text.strip()
        try:
            day = date.fromisoformat(text)
        except ValueError:
            return self.from_value(datetime.fromisoformat(text), environ)
        return self.from_value(day, environ)

    def from_value(self, value: object, environ: Mapping[str, str]) -> datetime:
        if isinstance(value, str):
            return self.from_text(value, environ)
        if isinstance(value, datetime):
            return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
        if isinstance(value, date):
            return datetime.combine(value, time(23, 59, 59) if self.day_ends else time(), UTC)
        raise ValueError

    def to_text(self, value: datetime | None) -> str:
        return "" if value is None else value.isoformat().replace("+00:00", "Z")


class Address(Text):
    """An http(s) address without user, query or fragment."""

    def __init__(self, *, folder: bool = False, origin: bool = False, private: bool = False) -> None:
        """Say which form is kept.

        Args:
            folder: End it with exactly one slash.
            origin: Keep scheme, host and port alone.
            private: Secrets go there: https, or http to this machine only.
        """
        self.folder = folder
        self.origin = origin
        self.private = private
        form = "https://HOST" if origin else "https://HOST/PATH"
        self.expected = f"an address like {form}" + (" (http only to this machine)" if private else "")

    def from_text(self, text: str, environ: Mapping[str, str]) -> str:
        text = text.strip()
        # urlsplit drops control characters unseen; an address that needs it was not meant.
        if re.search(r"[\s\x00-\x20\x7f\\]", text):
            raise ValueError
        parts = urlsplit(text)
        host = parts.hostname
        if (
            not host
            or parts.scheme not in ("http", "https")
            or "@" in parts.netloc
            or "?" in text
            or "#" in text
        ):
            raise ValueError
        if self.private and parts.scheme != "https" and not is_loopback(host):
            raise ValueError
        port = f":{parts.port}" if parts.port is not None else ""
        base = f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}"
        if self.origin:
            if parts.path not in ("", "/"):
                raise ValueError
            return base
        path = parts.path.rstrip("/") + "/" if self.folder else parts.path
        return base + path


def is_loopback(host: str) -> bool:
    """Whether a host name or address (without brackets) always means this machine."""
    return host.lower() in ("localhost", "::1") or bool(re.fullmatch(r"127(\.\d{1,3}){3}", host, re.ASCII))


TEXT = Text()
NAME = Name()
NAMES = Names(NAME, "a list of names")
ORIGINS = Names(Address(origin=True, private=True), "a list of addresses like https://HOST")
PATH = FilePath()
WHOLE = Whole()
NUMBER = Number()
SWITCH = Switch()
SIZE = Size()


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

    def read(self, value: object, environ: Mapping[str, str], where: str = "", *, typed: bool = False) -> T:
        """Turn a value into its type.

        Args:
            value: What the source holds.
            environ: For `~` and `$NAME` in paths.
            where: The source, as the error names it; empty when the key alone tells.
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
        got = reason or _shown(value)
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


def _shown(value: object) -> str:
    """A refused value, shortened; without user and password of an address, which must not end in a log."""
    text = re.sub(r"//[^/\s'\"]*@", "//***@", ascii(value))
    return text if len(text) <= 80 else text[:77] + "..."


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

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self._values.items())})"
        )


class PathSettings(Section):
    """Folders and files; None leaves the place to `places.locate`."""

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
    )
    retry_wait = Setting(
        "MAAP_RETRY_WAIT",
        NUMBER,
        2.0,
        "Wait before the first retry; it doubles each time.",
        unit="seconds",
        minimum=0,
        maximum=3600,
    )
    timeout = Setting(
        "MAAP_TIMEOUT",
        NUMBER,
        60.0,
        "How long a silent answer is waited for.",
        unit="seconds",
        minimum=0.1,
        maximum=3600,
    )
    outage_wait = Setting(
        "MAAP_OUTAGE_WAIT",
        NUMBER,
        900.0,
        "How long downloads and sync wait for a service that is down; 0 for not at all.",
        unit="seconds",
        minimum=0,
        maximum=86400,
    )
    page_size = Setting(
        "MAAP_PAGE_SIZE", WHOLE, 1000, "Items asked for in one page.", minimum=1, maximum=10000
    )


class MissionSettings(Section):
    """The mission, where the collection's name does not tell it."""

    section = "mission"
    __slots__ = ()

    name = Setting(
        "MAAP_MISSION",
        NAME,
        "",
        "Mission of collections whose name tells none; empty for inferred.",
        unset="inferred from the collection",
    )
    start = Setting(
        "MAAP_MISSION_START", Instant(), None, "First moment with data, UTC.", unset="the mission's own"
    )
    end = Setting(
        "MAAP_MISSION_END",
        Instant(day_ends=True),
        None,
        "Last moment with data, UTC.",
        unset="the mission's own",
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

    parallel = Setting("MAAP_DOWNLOADS_PARALLEL", WHOLE, 8, "Files in flight at once.", minimum=1, maximum=16)
    retries = Setting(
        "MAAP_DOWNLOADS_RETRIES", WHOLE, 5, "Tries after the first for one file.", minimum=0, maximum=100
    )
    retry_wait = Setting(
        "MAAP_DOWNLOADS_RETRY_WAIT",
        NUMBER,
        1.0,
        "Wait before a file's first retry; it doubles each time.",
        unit="seconds",
        minimum=0,
        maximum=3600,
    )
    stall_timeout = Setting(
        "MAAP_DOWNLOADS_STALL_TIMEOUT",
        NUMBER,
        30.0,
        "A transfer without a byte for this long is tried again.",
        unit="seconds",
        minimum=0.1,
        maximum=3600,
    )
    product_dir = Setting(
        "MAAP_DOWNLOADS_PRODUCT_DIR",
        SWITCH,
        False,
        "Put each file in a folder named after it.",
        flag="--product-dir",
    )
    limit_rate = Setting(
        "MAAP_DOWNLOADS_LIMIT_RATE",
        SIZE,
        0,
        "Most bytes a second for all files together, such as 5M; 0 for no limit.",
        unit="bytes a second",
        minimum=0,
    )
    min_free = Setting(
        "MAAP_DOWNLOADS_MIN_FREE",
        SIZE,
        1024**3,
        "Stop before less than this is free on the disk; 0 for no check.",
        unit="bytes",
        minimum=0,
    )
    space_wait = Setting(
        "MAAP_DOWNLOADS_SPACE_WAIT",
        NUMBER,
        60.0,
        "How long a command waits for room on a full disk before it ends; the app waits for ever.",
        unit="seconds",
        minimum=0,
        maximum=86400,
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
    )
    max_file = Setting(
        "MAAP_DOWNLOADS_MAX_FILE",
        SIZE,
        20 * 1024**3,
        "A file larger than this is refused; 0 for no limit.",
        unit="bytes",
        minimum=0,
    )


class SearchSettings(Section):
    """How the catalogue is searched."""

    section = "search"
    __slots__ = ()

    parallel = Setting("MAAP_SEARCH_PARALLEL", WHOLE, 8, "Days searched at once.", minimum=1, maximum=16)
    max_items = Setting(
        "MAAP_SEARCH_MAX_ITEMS", WHOLE, 50_000, "Items a search gives at most.", flag="--max-items", minimum=1
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
    )


class UiSettings(Section):
    """The full-screen app."""

    section = "ui"
    __slots__ = ()

    theme = Setting("MAAP_UI_THEME", TEXT, "", "Colours; empty for the app's own.", unset="the app's own")
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


_HINT = "The configuration table of the README lists every setting."
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

    def describe(self, located: places.Places | None = None) -> list[Row]:
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
        file = places.config_file(environ)
        source = _read_file(file, missing_ok=True)
    else:
        file = config_file
        source = _read_file(file, missing_ok=False)
    overrides = {key: value for key, value in (overrides or {}).items() if value is not None}
    for key in overrides:
        find_setting(key)

    values: dict[str, object] = {}
    origins: dict[str, Origin] = {}
    in_file = dict(source.settings())
    for setting in SETTINGS:
        key = setting.key
        if key in overrides:
            origins[key] = Origin("flag", setting.flag or "argument")
            values[key] = setting.read(overrides[key], environ, origins[key].text, typed=True)
        elif environ.get(setting.variable, "").strip():
            origins[key] = Origin("environment", setting.variable)
            values[key] = setting.read(environ[setting.variable], environ, setting.variable, typed=True)
        elif key in in_file and in_file[key] != "":
            origins[key] = Origin("file", source.place(key))
            values[key] = setting.read(in_file[key], environ, origins[key].text)
        else:
            values[key] = setting.default
    keys = dict(source.keys())
    origins.update((f"{KEYS}.{name}", Origin("file", source.place(f"{KEYS}.{name}"))) for name in keys)

    def section(cls: type[Section]) -> Any:
        head = cls.section + "."
        return cls({key.removeprefix(head): value for key, value in values.items() if key.startswith(head)})

    return Settings(
        **{cls.section: section(cls) for cls in _SECTIONS}, keys=keys, config_file=file, origins=origins
    )


class _Source:
    """A configuration file that was read: its tables, and the line of each key."""

    def __init__(self, file: Path, text: str, tables: Mapping[str, object]) -> None:
        self.file = file
        self.text = text
        self.tables = tables
        self._lines = _find_lines(text)

    def place(self, key: str) -> str:
        """`FILE:LINE` of a key, of its table when the key has no line of its own."""
        while key and key not in self._lines:
            key = key.rpartition(".")[0]
        return f"{self.file}:{self._lines.get(key, 1)}"

    def settings(self) -> Iterator[tuple[str, object]]:
        """Key and raw value of every setting; SettingsError for a name that is none."""
        for section, table in self.tables.items():
            if section not in _SECTION_NAMES:
                raise self._unknown_section(section, table)
            if not isinstance(table, Mapping):
                raise SettingsError(
                    f"{self.place(section)}: {section} must be a table [{section}], got {_shown(table)}"
                )
            if section == KEYS:
                continue
            for name, value in table.items():
                key = f"{section}.{name}"
                if key not in _BY_KEY:
                    raise SettingsError(
                        f"{self.place(key)}: unknown key {name!r} in [{section}]{_did_you_mean(key)}",
                        hint=_HINT,
                    )
                yield key, value

    def keys(self) -> Iterator[tuple[str, str]]:
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
                        f"{self.place(key)}: {key} must be a text of keys, got {_shown(value)}"
                    )

        table = self.tables.get(KEYS, {})
        return walk(cast(Mapping[str, object], table), "")

    def _unknown_section(self, name: str, value: object) -> SettingsError:
        if isinstance(value, Mapping):
            near = _nearest(name, _SECTION_NAMES)
            more = f"; did you mean [{near}]?" if near else f"; the sections are {', '.join(_SECTION_NAMES)}"
            return SettingsError(f"{self.place(name)}: unknown section [{name}]{more}")
        return SettingsError(
            f"{self.place(name)}: unknown key {name!r} outside a section{_did_you_mean(name)}",
            hint=_HINT,
        )


def _read_file(file: Path, *, missing_ok: bool) -> _Source:
    """Read and parse a configuration file; SettingsError names the file and the line."""
    try:
        data = file.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        if missing_ok:
            return _Source(file, "", {})
        raise SettingsError(
            f"Configuration file not found: {file}", hint="Check the path given to -c."
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SettingsError(
            f"Configuration file cannot be read: {file} ({reason})",
            hint="Make it readable, or name another with -c.",
        ) from None

    import tomllib

    try:
        # Editors of other systems put a byte order mark in front, which TOML does not allow.
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SettingsError(f"{file}:{line}: not UTF-8 text", hint="Save the file as UTF-8.") from None
    try:
        return _Source(file, text, tomllib.loads(text))
    except ValueError as error:  # a number of 5,000 digits is no TOMLDecodeError
        message = str(error)
        found = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", message)
        number = found[1] if found and found[1] else str(text.rstrip("\n").count("\n") + 1)
        reason = message[: found.start()] if found else message
        raise SettingsError(
            f"{file}:{number}: not valid TOML: {reason}",
            hint="Texts need quotes; see the configuration table.",
        ) from None
    except RecursionError:
        raise SettingsError(f"{file}:1: not valid TOML: nested too deeply") from None


_PART = r"(?:[A-Za-z0-9_-]+|\"[^\"\n]*\"|'[^'\n]*')"
_HEADER = rf"\s*\[\[?\s*({_PART}(?:\s*\.\s*{_PART})*)\s*\]"
_ENTRY = rf"\s*({_PART}(?:\s*\.\s*{_PART})*)\s*="


def _find_lines(text: str) -> dict[str, int]:
    """The line of every table header and key, by dotted name; tomllib does not tell them."""
    lines: dict[str, int] = {}
    head = ""
    inside_text = False
    for number, line in enumerate(text.split("\n"), 1):
        if not inside_text:
            if found := re.match(_HEADER, line):
                head = _join(found[1])
                lines.setdefault(head, number)
            elif found := re.match(_ENTRY, line):
                lines.setdefault(f"{head}.{_join(found[1])}".lstrip("."), number)
        if (line.count('"""') + line.count("'''")) % 2:
            inside_text = not inside_text
    return lines


def _join(dotted: str) -> str:
    return ".".join(part.strip("\"'") for part in re.findall(_PART, dotted))


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
        value = setting.kind.to_toml(text.strip(), read)

    import tomlkit

    document = _open_document(config_file)
    if section not in document:
        # An empty line before the table, as people write them.
        if document.body:
            document.add(tomlkit.nl())
        document.add(section, tomlkit.table())
    table, name = _find_entry(_as_table(config_file, section, document[section]), names)
    table[name] = value
    _save(config_file, tomlkit.dumps(document))


def unset_value(config_file: Path, key: str) -> bool:
    """Take one setting out of the file; False when it was not there.

    Raises:
        SettingsError: Unknown key, or a file that is not TOML.
        StorageError: The file cannot be written.
    """
    section, names = _split_key(key)

    import tomlkit

    document = _open_document(config_file)
    if section not in document:
        return False
    table, name = _find_entry(_as_table(config_file, section, document[section]), names)
    if name not in table:
        return False
    del table[name]
    _save(config_file, tomlkit.dumps(document))
    return True


def _split_key(key: str) -> tuple[str, list[str]]:
    """Table and name of a setting, or of a binding; a binding's id may hold dots."""
    head, _, binding = key.strip().partition(".")
    if head == KEYS and binding:
        return KEYS, binding.split(".")
    section, _, name = find_setting(key).key.partition(".")
    return section, [name]


def _as_table(file: Path, section: str, value: object) -> Any:
    if not isinstance(value, dict):
        raise SettingsError(f"{file}: {section} must be a table [{section}], got {_shown(value)}")
    return value


def _find_entry(table: Any, names: list[str]) -> tuple[Any, str]:
    """The table that holds a dotted name and the name in it, nested or quoted as the file has it."""
    for cut in range(1, len(names)):
        inner = table.get(".".join(names[:cut]))
        if isinstance(inner, dict):
            found, name = _find_entry(inner, names[cut:])
            if name in found:
                return found, name
    return table, ".".join(names)


def _open_document(file: Path) -> Any:
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    text = _read_file(file, missing_ok=True).text
    try:
        return tomlkit.parse(text)
    except TOMLKitError as error:
        raise SettingsError(f"{file}: not valid TOML: {error}") from None


def _save(file: Path, text: str) -> None:
    # files brings what most commands never need.
    from maap_tui.engine.files import write_atomic

    write_atomic(file, text)


def as_markdown_table() -> str:
    """The configuration table of the README."""
    lines = [
        "| Key in `config.toml` | Environment | Default | Meaning |",
        "|---|---|---|---|",
    ]
    for setting in SETTINGS:
        default = setting.default_text
        if not setting.unset:
            default = f"`{default}`"
        unit = f" ({setting.unit})" if setting.unit and setting.kind in (WHOLE, NUMBER) else ""
        meaning = (setting.help.rstrip(".") + unit).replace("|", "\\|")
        lines.append(f"| `{setting.key}` | `{setting.variable}` | {default} | {meaning} |")
    lines.append(f'| `[{KEYS}]` | | none | Keys of the app\'s actions: `"binding.id" = "key"` |')
    return "\n".join(lines) + "\n"
