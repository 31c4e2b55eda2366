"""MaapConfig: where things are and what is asked, as scripts set it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from pathlib import Path

from maap_tui.engine.config.settings import SETTINGS, ApiSettings, MissionSettings, PathSettings
from maap_tui.engine.model import to_zulu
from maap_tui.engine.session import Session

KEYS = {
    "data_dir": PathSettings.data_dir.key,
    "catalog_dir": PathSettings.catalog_dir.key,
    "built_catalog_dir": PathSettings.built_catalog_dir.key,
    "registry_dir": PathSettings.registry_dir.key,
    "credentials_file": PathSettings.credentials_file.key,
    "catalog_url": ApiSettings.catalog_url.key,
    "token_url": ApiSettings.token_url.key,
    "mission": MissionSettings.name.key,
    "mission_start": MissionSettings.start.key,
    "mission_end": MissionSettings.end.key,
    "collections": MissionSettings.collections.key,
}
"""Field -> key of the setting behind it."""


@dataclass
class MaapConfig:
    """Where things are and what is asked; what is not given comes from environment, file, default."""

    data_dir: Path | None = None
    catalog_dir: Path | None = None
    built_catalog_dir: Path | None = None
    registry_dir: Path | None = None
    credentials_file: Path | None = None
    catalog_url: str | None = None
    token_url: str | None = None
    mission: str | None = None
    mission_start: str | None = None
    mission_end: str | None = None
    collections: list[str] | None = None
    config_path: Path | None = None
    """The configuration file; None takes the usual one."""

    @classmethod
    def load(cls, config_path: Path | str | None = None) -> MaapConfig:
        """The configuration in force, every field filled.

        Raises:
            SettingsError: when the file or a variable is wrong.
        """
        return cls.of(Session.load(Path(config_path) if config_path else None))

    @classmethod
    def from_env(cls) -> MaapConfig:
        """The environment over the defaults, every field filled; no file is read.

        Raises:
            SettingsError: when a variable is wrong.
        """
        found = cls.of(Session.load(Path(os.devnull)))
        found.config_path = None
        return found

    @classmethod
    def from_file(cls, config_path: Path | str) -> MaapConfig:
        """A file over the defaults, every field filled; variables of settings are not read.

        A file that does not exist gives the defaults.

        Raises:
            SettingsError: when the file is wrong.
        """
        path = Path(config_path)
        variables = {setting.variable for setting in SETTINGS}
        environ: Mapping[str, str] = {
            name: text for name, text in os.environ.items() if name not in variables
        }
        return cls.of(Session.load(path if path.exists() else Path(os.devnull), environ=environ))

    @classmethod
    def of(cls, session: Session) -> MaapConfig:
        """The configuration that a session works with, every field filled."""
        config, where = session.settings, session.dirs
        mission = session.mission_of(session.collections()[0])
        return cls(
            data_dir=where.data_dir,
            catalog_dir=where.catalog_dir,
            built_catalog_dir=where.built_catalog_dir,
            registry_dir=where.registry_dir,
            credentials_file=where.credentials_file,
            catalog_url=config.api.catalog_url,
            token_url=config.api.token_url,
            mission=config.mission.name or mission.name,
            mission_start=to_zulu(config.mission.start or mission.start),
            mission_end=to_zulu(config.mission.end or mission.end - timedelta(seconds=1)),
            collections=session.collections(),
            config_path=where.config_file if where.config_file.is_file() else None,
        )

    def overrides(self) -> dict[str, object]:
        """What is given here, under the keys of the settings."""
        return self.overrides_of(KEYS)

    def overrides_of(self, names: Iterable[str]) -> dict[str, object]:
        """Of these fields, what is given here, under the keys of the settings."""
        found: dict[str, object] = {}
        for name in names:
            value = getattr(self, name)
            if name in KEYS and value is not None:
                found[KEYS[name]] = str(value) if isinstance(value, Path) else value
        return found

    def values(self) -> dict[str, object]:
        """A copy of every field, to compare with later."""
        return {
            one.name: list(value) if isinstance(value := getattr(self, one.name), list) else value
            for one in fields(self)
        }

    def take(self, values: Mapping[str, object]) -> None:
        """Set fields."""
        for name, value in values.items():
            setattr(self, name, list(value) if isinstance(value, list) else value)

    def ensure_directories(self) -> None:
        """Create the folders."""
        for path in (self.data_dir, self.catalog_dir, self.built_catalog_dir, self.registry_dir):
            if path is not None:
                Path(path).expanduser().mkdir(parents=True, exist_ok=True)
        if self.credentials_file is not None:
            Path(self.credentials_file).expanduser().parent.mkdir(parents=True, exist_ok=True)
