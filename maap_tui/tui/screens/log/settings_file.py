"""SettingsFile: what the configuration file says now, read again and changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from maap_tui.engine.config import editing, loading
from maap_tui.engine.config.settings import SETTINGS, Settings
from maap_tui.engine.errors import SettingsError
from maap_tui.engine.session import Session


def read_settings(session: Session) -> Settings:
    """The settings by the file of a session as it is now, its environment and its flags."""
    now = session.settings
    given = {
        setting.key: now.value(setting) for setting in SETTINGS if now.origin(setting.key).kind == "flag"
    }
    file = now.config_file
    return loading.load(file if file.exists() else None, session.environ, given)


class SettingsFile:
    """The settings as they would be at the next start.

    One thing is read or changed at a time: what was read before a change must not be shown after it.
    """

    def __init__(self, session: Session, read: Callable[[Session], Settings] = read_settings) -> None:
        self._session = session
        self._read_settings = read
        self._turn = asyncio.Lock()
        self.fresh = session.settings
        """The settings when they were read last."""
        self.problem = ""
        """Why the file cannot be read, in sentences; '' while it can."""

    async def read(self) -> None:
        """Read the file again, which another program may have changed."""
        async with self._turn:
            try:
                await self._read()
            except SettingsError as error:
                self.problem = error.sentences

    async def change(self, key: str, text: str) -> bool:
        """Write a value, or remove it from the file for ''; False when there was nothing to remove.

        Raises:
            SettingsError: an unknown key, a wrong value, or a file that cannot be read.
            StorageError: the file cannot be written.
        """
        file = self._session.settings.config_file
        async with self._turn:
            if text.strip():
                await asyncio.to_thread(editing.set_value, file, key, text, self._session.environ)
            elif not await asyncio.to_thread(editing.unset_value, file, key):
                return False
            await self._read()
            return True

    async def _read(self) -> None:
        self.fresh = await asyncio.to_thread(self._read_settings, self._session)
        self.problem = ""
