"""Every setting, declared once: its place in the file, its variable, its type, default and help.

The readers of `config.toml` and of the environment (`loading`), `maap config set` (`editing`), `maap config`
and the table of docs/configuration.md (`describing`) all come from the declarations below; nothing else
spells a setting's name. Secrets are not settings.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

from maap_tui.engine.config.declaring import Section, Setting
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
    T,
)
from maap_tui.engine.defaults import DEFAULT_MAX_ITEMS

if TYPE_CHECKING:
    from maap_tui.engine.product_sets import ProductSet
    from maap_tui.engine.user_commands import UserCommand

CATALOG_URL = "https://catalog.maap.eo.esa.int/catalogue/"
"""Root of the STAC service (docs/service.md, Catalogue); without the last slash it answers 503."""
TOKEN_URL = "https://iam.maap.eo.esa.int/realms/esa-maap/protocol/openid-connect/token"
"""Where an offline token is exchanged for an access token (docs/service.md, Tokens)."""
DEFAULT_DAYS_BACK = 3
"""Days that a sync looks back when no time is given; not a setting, as a cron line says it itself."""


class PathSettings(Section):
    """Folders and files; None leaves the place to `loading.locate`."""

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
        "Files in flight at once, ranges counted, in all processes, on every host, that share the registry; "
        "`limit_rate` is then that of all of them.",
        unset="no limit",
        minimum=0,
        maximum=1000,
        applies="next run",
    )
    ranges = Setting(
        "MAAP_DOWNLOADS_RANGES",
        WHOLE,
        1,
        "Connections that fetch one file of 64 MiB or more at once, where `parallel` leaves some; 1 for one "
        "stream a file.",
        flag="--ranges",
        minimum=1,
        maximum=16,
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
    rate_total = Setting(
        "MAAP_DOWNLOADS_RATE_TOTAL",
        SIZE,
        0,
        "Most bytes a second of all processes, on every host, that share the registry, workers of an "
        "executor too; 0 for no limit.",
        unit="bytes a second",
        minimum=0,
        applies="next run",
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


class HookSettings(Section):
    """Commands that run after a file, a day or a set."""

    section = "hooks"
    __slots__ = ()

    timeout = Setting(
        "MAAP_HOOKS_TIMEOUT",
        NUMBER,
        600.0,
        "How long one run of the command of `--hook` may take.",
        flag="--hook-timeout",
        unit="seconds",
        minimum=0.1,
        maximum=86400,
        applies="next run",
    )


class SwapSettings(Section):
    """Baselines that are swapped for newer ones."""

    section = "swap"
    __slots__ = ()

    keep_days = Setting(
        "MAAP_SWAP_KEEP_DAYS",
        WHOLE,
        14,
        "How long `maap swap` keeps the files of the old baseline, and can be undone.",
        unit="days",
        minimum=0,
        maximum=3660,
        applies="next run",
    )


class SearchSettings(Section):
    """How the catalogue is searched."""

    section = "search"
    __slots__ = ()

    parallel = Setting(
        "MAAP_SEARCH_PARALLEL",
        WHOLE,
        8,
        "Requests of searches at once, of all that search together.",
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
    overlap = Setting(
        "MAAP_SEARCH_OVERLAP",
        WHOLE,
        3,
        "How far before the newest arrival of the last run `sync --since-last` looks again.",
        unit="days",
        minimum=0,
        maximum=366,
        applies="next run",
    )


class QualitySettings(Section):
    """What the mission publishes on the quality of its data."""

    section = "quality"
    __slots__ = ()

    gaps = Setting(
        "MAAP_QUALITY_GAPS",
        TEXT,
        "",
        "The sheet of data gaps that `maap quality update` reads: a file or an address.",
        unset="none",
        applies="next run",
    )
    disclaimers = Setting(
        "MAAP_QUALITY_DISCLAIMERS",
        TEXT,
        "",
        "The same of disclaimers.",
        unset="none",
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
        "Colours: maap-dark, maap-light, or a theme that F9 shows; empty fits the terminal.",
        unset="the app's own",
        applies="now",
    )
    ascii = Setting("MAAP_UI_ASCII", SWITCH, False, "Draw with ASCII characters only.")
    mouse = Setting("MAAP_UI_MOUSE", SWITCH, True, "Take mouse clicks and scrolling.")
    low_bandwidth = Setting(
        "MAAP_UI_LOW_BANDWIDTH", SWITCH, False, "Repaint less often, for slow remote terminals."
    )
    sharp_pictures = Setting(
        "MAAP_UI_SHARP_PICTURES",
        SWITCH,
        True,
        "Show quicklooks in pixels (kitty's protocol, sixel) where the terminal can; off keeps half blocks.",
        applies="now",
    )
    survive_hangup = Setting(
        "MAAP_UI_SURVIVE_HANGUP",
        SWITCH,
        True,
        "When the app's terminal goes away, a worker goes on with its transfers; off stops them.",
        applies="now",
    )
    animation = Setting("MAAP_UI_ANIMATION", SWITCH, False, "Move and fade things.")


SECTIONS: tuple[type[Section], ...] = (
    PathSettings,
    ApiSettings,
    MissionSettings,
    DownloadSettings,
    HookSettings,
    SwapSettings,
    SearchSettings,
    QualitySettings,
    TokenSettings,
    LogSettings,
    UiSettings,
)
SETTINGS: tuple[Setting[Any], ...] = tuple(
    value for section in SECTIONS for value in vars(section).values() if isinstance(value, Setting)
)
"""Every setting, in the order of the file."""
KEYS = "keys"
"""A free-form table: binding id to keys."""
SITES = "sites"
"""A free-form table: name of a place to `LAT,LON`."""
FREE = {KEYS: "a text of keys", SITES: "a text LAT,LON"}
"""The tables whose names the user chooses, and what a value of them is."""
SETS = "sets"
"""A table of tables: name of a set to its products."""
COMMANDS = "commands"
"""A table of tables: name of a command of the user's to its words."""

BY_KEY = {setting.key: setting for setting in SETTINGS}
SECTION_NAMES = (*(section.section for section in SECTIONS), *FREE, SETS, COMMANDS)


class Origin(NamedTuple):
    """Where a value came from."""

    kind: Literal["flag", "environment", "file", "default"]
    text: str
    """The flag, the variable, `FILE:LINE`, or `default`."""


_DEFAULT = Origin("default", "default")


class Settings(NamedTuple):
    """All values, frozen once loaded."""

    paths: PathSettings
    api: ApiSettings
    mission: MissionSettings
    downloads: DownloadSettings
    hooks: HookSettings
    swap: SwapSettings
    search: SearchSettings
    quality: QualitySettings
    token: TokenSettings
    log: LogSettings
    ui: UiSettings
    keys: dict[str, str]
    """Binding id to keys, for bindings the user changed."""
    sites: dict[str, str]
    """Name of a place to `LAT,LON`, for places of the user's own."""
    sets: dict[str, ProductSet]
    """Product types that are wanted together, by the name of the set."""
    commands: dict[str, UserCommand]
    """Commands of the user's own in the app, by their names."""
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
        if head in FREE:
            table = {one: text for one, text in getattr(self, head).items() if one != name}
            if name in getattr(other, head):
                table[name] = getattr(other, head)[name]
            changes: dict[str, Any] = {head: table, "origins": origins}
            return self._replace(**changes)
        section = getattr(self, head).having(name, other.value(BY_KEY[key]))
        return self._replace(**{head: section}, origins=origins)
