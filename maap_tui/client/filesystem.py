"""Files of the archive for what opens addresses by fsspec: `maap://GRANULE`, `maap://COLLECTION/GRANULE`.

fsspec finds it by the entry point of the package. It only reads, and lists nothing: `MaapClient` searches.
"""

from __future__ import annotations

import errno
from typing import Any, BinaryIO

from fsspec.spec import AbstractFileSystem

from maap_tui.client.client import MaapClient
from maap_tui.client.config import MaapConfig
from maap_tui.engine.cuts.file import BLOCK_SIZE
from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.storage.names import is_name


class MaapFileSystem(AbstractFileSystem):  # type: ignore[misc]  # it comes without types
    """Opens what `MaapClient.open` opens: the data file of a granule, or a file of it by its name.

    It is pickled with the path of the configuration file, and without a token.
    """

    protocol = "maap"

    def __init__(self, config_file: str = "", **options: Any) -> None:
        """Take the configuration; open nothing.

        Args:
            config_file: a configuration file; '' for the usual one.
            options: those of every file system of fsspec.
        """
        super().__init__(**options)
        self._config_file = config_file
        self._client: MaapClient | None = None

    def info(self, path: str, **options: Any) -> dict[str, Any]:
        """Name, size in bytes and type of a file.

        Raises:
            FileNotFoundError: there is none of that name, or it means several.
            DownloadError: as `MaapClient.open`.
        """
        with self._open(path) as file:
            size = file.seek(0, 2)
        return {"name": self._strip_protocol(path), "size": size, "type": "file"}

    def ls(self, path: str, detail: bool = True, **options: Any) -> list[Any]:
        """The file itself, as fsspec asks for it; folders do not exist. Errors as `info`."""
        found = self.info(path)
        return [found if detail else found["name"]]

    def _open(
        self, path: str, mode: str = "rb", block_size: int | None = None, *args: Any, **options: Any
    ) -> BinaryIO:
        if mode != "rb":
            raise OSError(errno.EROFS, "the archive can only be read", path)
        *collection, name = self._strip_protocol(path).split("/")
        # Nothing outside of the current folder is meant, whatever an address says.
        if len(collection) > 1 or not all(map(is_name, (*collection, name))):
            raise FileNotFoundError(errno.ENOENT, "it is not [COLLECTION/]GRANULE", path)
        if self._client is None:
            self._client = MaapClient(MaapConfig.load(self._config_file or None))
        try:
            return self._client.open(
                name, collection="".join(collection), block_size=int(block_size or BLOCK_SIZE)
            )
        except InvalidRequestError as error:
            raise FileNotFoundError(errno.ENOENT, error.message, path) from error
