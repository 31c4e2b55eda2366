"""Which folders and files belong to this user. The only user of platformdirs."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from maap_tui.engine.errors import InvalidRequestError, SettingsError
from maap_tui.engine.storage.names import is_writable, safe_name, shown
from maap_tui.engine.storage.places import demand_path

APP_NAME = "maap"
"""Folder name under the platform's data, cache, config and state folders."""

_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})")


def expand_path(text: str, environ: Mapping[str, str]) -> Path:
    """Replace a leading `~` and every `$NAME` or `${NAME}` by what `environ` says.

    Raises:
        ValueError: A variable is not set; its name is the argument.
    """

    def value_of(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if name not in environ:
            raise ValueError(f"${name} is not set")
        return environ[name]

    text = _VARIABLE.sub(value_of, text.strip())
    if (text == "~" or text.startswith("~/")) and environ.get("HOME"):
        text = environ["HOME"] + text[1:]
    return Path(os.path.expanduser(text))


def absolute(path: Path) -> Path:
    """A path as it is from the root.

    Raises:
        InvalidRequestError: it is an address, or relative and the working directory is gone.
    """
    demand_path(path)
    try:
        return path.absolute()
    except OSError:
        raise InvalidRequestError(
            f"{shown(str(path))} is a relative path, and the working directory is not there any more",
            "Change to a folder that exists, or give the whole path.",
        ) from None


def data_folder(path: Path) -> Path:
    """A folder for granules, absolute; its name has to fit into a line of the registry.

    Raises:
        InvalidRequestError: it cannot be written there, or is relative to a folder that is gone.
    """
    if not is_writable(path):
        raise InvalidRequestError(
            f"{shown(str(path))} cannot hold granules: it has a |, a line break or bytes that are not text",
            "Name another folder.",
        )
    return absolute(path)


def home(environ: Mapping[str, str]) -> Path | None:
    """The one folder that holds everything, or None when the platform's own folders are used.

    `MAAP_HOME` if it is set (it need not exist yet), else `~/.maap` if that folder exists, as in maap-client.
    """
    if given := environ.get("MAAP_HOME", "").strip():
        try:
            return absolute(expand_path(given, environ))
        except ValueError as error:
            raise SettingsError(f"MAAP_HOME: must be a path, got {error}") from None
    folder = Path(environ.get("HOME") or os.path.expanduser("~")) / ".maap"
    return folder if folder.is_dir() else None


def config_file(environ: Mapping[str, str]) -> Path:
    """The configuration file read when none is named; it need not exist."""
    base = home(environ)
    if base is None:
        import platformdirs

        base = platformdirs.user_config_path(APP_NAME, appauthor=False)
    return base / "config.toml"


class BaseDirs(NamedTuple):
    """The folders that those of settings not given are in."""

    data: Path
    cache: Path
    config: Path
    state: Path


def base_dirs(environ: Mapping[str, str]) -> BaseDirs:
    """What `home` says, else the platform's folders."""
    base = home(environ)
    if base is not None:
        return BaseDirs(base, base, base, base / "state")
    import platformdirs

    return BaseDirs(
        platformdirs.user_data_path(APP_NAME, appauthor=False),
        platformdirs.user_cache_path(APP_NAME, appauthor=False),
        platformdirs.user_config_path(APP_NAME, appauthor=False),
        platformdirs.user_state_path(APP_NAME, appauthor=False),
    )


class AppDirs(NamedTuple):
    """Where everything of this user is; nothing here need exist yet."""

    data_dir: Path
    """Root of the dated layout of granules."""
    catalog_dir: Path
    """Queryables, one file a collection; can be fetched again."""
    built_catalog_dir: Path
    """Built catalogues, one file a collection."""
    registry_dir: Path
    """Text files of what was discovered, downloaded and marked."""
    credentials_file: Path
    """The offline token, mode 0600."""
    state_dir: Path
    """Queue, locks, logs: deleting it loses no data and no registry line."""
    config_file: Path
    """The configuration file in use, or where it would be."""

    def queryables_file(self, collection: str) -> Path:
        """The local copy of a collection's queryables."""
        return self.catalog_dir / safe_name(f"{safe_name(collection)}_queryables.json")

    def built_catalogue_file(self, collection: str) -> Path:
        """The built catalogue of a collection."""
        return self.built_catalog_dir / safe_name(f"{safe_name(collection)}_collection.json")

    def day_counts_file(self, collection: str, product_type: str, baseline: str) -> Path:
        """How many granules of a baseline each day has at the archive; can be counted again."""
        folder = self.built_catalog_dir / "days" / safe_name(collection)
        return folder / safe_name(f"{safe_name(product_type)}_{safe_name(baseline.upper())}.json")

    @property
    def searches_file(self) -> Path:
        """The saved searches, beside the configuration file."""
        return searches_file(self.config_file)

    @property
    def queue_file(self) -> Path:
        """The download queue, a sqlite3 database."""
        return self.state_dir / "queue.sqlite3"

    @property
    def staging_dir(self) -> Path:
        """Where files gather that go to S3 once they are whole."""
        return self.state_dir / "staging"

    @property
    def journal_file(self) -> Path:
        """The journal of deletions, one line each."""
        return journal_file(self.state_dir)

    @property
    def log_file(self) -> Path:
        """The last lines of the app's log, a JSON object each."""
        return self.state_dir / "log.jsonl"

    @property
    def access_token_file(self) -> Path:
        """The access token that this user's processes share, beside the credentials."""
        return self.credentials_file.with_name(self.credentials_file.name + ".access")

    @property
    def access_token_folder(self) -> Path:
        """The access tokens that processes share whose offline token comes from `MAAP_TOKEN`."""
        return self.state_dir / "access"

    def lock_file(self, target: Path) -> Path:
        """The lock that guards `target`, the same however its folder is spelled."""
        import hashlib

        # The folder alone is resolved: a rename replaces a link under the last name, not what it points to.
        spelled = os.path.join(os.path.realpath(absolute(target).parent), target.name)
        return self.state_dir / "locks" / (hashlib.sha256(os.fsencode(spelled)).hexdigest()[:32] + ".lock")

    def cache_file(self, name: str) -> Path:
        """A file that can be made again at any time."""
        return self.state_dir / "cache" / safe_name(name)


def searches_file(config_file: Path) -> Path:
    """The saved searches that go with a configuration file."""
    return config_file.with_name("searches.toml")


def journal_file(state_dir: Path) -> Path:
    """The journal of deletions in a state folder, one line each."""
    return state_dir / "deletions.jsonl"
