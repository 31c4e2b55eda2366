"""Catalogues as objects: a base that turns into JSON and back, and the queryables of collections."""

from __future__ import annotations

import json
import types
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Self, Union, get_args, get_origin, get_type_hints

from maap_tui.client.connection import Connection
from maap_tui.engine.catalogue.queryables import Queryables
from maap_tui.engine.errors import NoCollectionError
from maap_tui.engine.model import parse_zulu, to_zulu
from maap_tui.engine.storage.files import storage_error, write_atomic


class Catalog:
    """A base for data that is kept as JSON: its public attributes, read back by the hints of `__init__`.

    Subclasses name their fields in `__init__`; anything else that a file has is kept as it is.
    """

    SORT_KEYS: bool = True
    """Whether keys are sorted in `to_dict`, and dictionaries in `from_dict`."""
    DEDUPE_STR_LISTS: bool = False
    """Whether lists of texts lose their repeats."""
    SORT_NESTED_KEYS: Sequence[str] = ()
    """Names of attributes and keys whose dictionaries are sorted in any case."""

    def __init__(self, **kwargs: Any) -> None:
        """Take values as attributes."""
        self.__dict__.update(kwargs)

    def to_dict(
        self, *, sort_keys: bool | None = None, dedupe_str_lists: bool | None = None
    ) -> dict[str, Any]:
        """The public attributes, ready for JSON: times as UTC texts, catalogues as dictionaries.

        Args:
            sort_keys: whether keys are sorted; None as the class says.
            dedupe_str_lists: whether lists of texts lose their repeats; None as the class says.
        """
        is_sorted = self.SORT_KEYS if sort_keys is None else sort_keys
        is_deduped = self.DEDUPE_STR_LISTS if dedupe_str_lists is None else dedupe_str_lists

        def plain(value: Any, name: str = "") -> Any:
            if isinstance(value, Catalog):
                return value.to_dict(sort_keys=is_sorted, dedupe_str_lists=is_deduped)
            if isinstance(value, datetime):
                return to_zulu(value.replace(microsecond=0))
            if isinstance(value, Mapping):
                order = sorted(value) if is_sorted or name in self.SORT_NESTED_KEYS else list(value)
                return {key: plain(value[key], key) for key in order}
            if isinstance(value, list):
                return _deduped([plain(one, name) for one in value], is_deduped)
            return value

        names = [name for name in self.__dict__ if not name.startswith("_")]
        return {name: plain(self.__dict__[name], name) for name in (sorted(names) if is_sorted else names)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Make one of what `to_dict` gave, or of a file.

        Raises:
            ValueError: when a time cannot be read.
        """
        hints = get_type_hints(cls.__init__)

        def typed(value: Any, hint: Any) -> Any:
            if get_origin(hint) in (Union, types.UnionType):
                some = [one for one in get_args(hint) if one is not type(None)]
                hint = some[0] if len(some) == 1 else None
            if value is None or hint is None:
                return value
            if hint is datetime and isinstance(value, str):
                return parse_zulu(value)
            if isinstance(hint, type) and issubclass(hint, Catalog) and isinstance(value, Mapping):
                return hint.from_dict(value)
            inner = get_args(hint)
            if isinstance(value, dict) and get_origin(hint) is dict and len(inner) == 2:
                order = sorted(value) if cls.SORT_KEYS else list(value)
                return {key: typed(value[key], inner[1]) for key in order}
            if isinstance(value, list) and get_origin(hint) is list and inner:
                return _deduped([typed(one, inner[0]) for one in value], cls.DEDUPE_STR_LISTS)
            return value

        return cls(**{name: typed(value, hints.get(name)) for name, value in data.items()})

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.__dict__.items() if name[:1] != "_")
        return f"{type(self).__name__}({shown})"


def _deduped(values: list[Any], is_wanted: bool) -> list[Any]:
    if is_wanted and values and all(isinstance(one, str) for one in values):
        return list(dict.fromkeys(values))
    return values


class CatalogQueryables(Catalog):
    """What a collection can be searched by: the queryables as served, and the collection's name."""

    SORT_KEYS = False
    DEDUPE_STR_LISTS = True

    def __init__(self, collection: str = "", properties: dict[str, Any] | None = None, **kwargs: Any) -> None:
        """Take the JSON schema.

        Args:
            collection: whose they are.
            properties: the schema's `properties`.
            kwargs: whatever else the schema has.
        """
        super().__init__(**kwargs)
        self.collection = collection
        self.properties = properties or {}

    def _known(self) -> Queryables:
        return Queryables(self.collection, self.properties)

    def list_products(self) -> list[str]:
        """Product types, sorted."""
        return self._known().products

    def list_baselines(self) -> list[str]:
        """Baselines of all products together, upper case, sorted."""
        return self._known().baselines

    def supports_orbit(self) -> bool:
        """Whether the collection can be searched by orbit."""
        return self._known().has_orbits


class CatalogQueryablesManager:
    """The local copies of the queryables, in the configured folder, and where they come from."""

    def __init__(self, connection: Connection, catalog_dir: Path | None = None) -> None:
        """Take the engine of a client.

        Args:
            connection: asks the archive.
            catalog_dir: another folder than the configured one; None follows the configuration.
        """
        self._connection = connection
        self._catalog_dir = catalog_dir

    def get_path(self, collection: str) -> Path:
        """Where the local copy of a collection is, or would be."""
        file = self._connection.session.dirs.queryables_file(collection)
        return file if self._catalog_dir is None else self._catalog_dir / file.name

    def fetch(self, collection: str) -> dict[str, Any]:
        """The queryables as the archive serves them now.

        Raises:
            InvalidRequestError: when the archive has no such collection.
            CatalogError: when they cannot be fetched.
        """
        return self._connection.run(lambda session: session.catalogue.queryables_as_served(collection))

    def save(self, catalog: CatalogQueryables) -> Path:
        """Write a local copy; returns the file.

        Raises:
            StorageError: when it cannot be written.
        """
        path = self.get_path(catalog.collection)
        write_atomic(path, json.dumps(catalog.to_dict(), indent=2, ensure_ascii=False) + "\n")
        return path

    def load(self, collection: str, refresh: bool = False) -> CatalogQueryables:
        """The queryables of a collection: the local copy, fetched on first use or with `refresh`.

        Raises:
            InvalidRequestError: when the archive has no such collection.
            CatalogError: when there is no copy and they cannot be fetched.
        """
        data = None if refresh else self._local(collection)
        catalog = CatalogQueryables.from_dict(self.fetch(collection) if data is None else data)
        catalog.collection = collection
        if data is None:
            self.save(catalog)
        return catalog

    def _local(self, collection: str) -> dict[str, Any] | None:
        path = self.get_path(collection)
        try:
            data = json.loads(path.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise storage_error(path, error) from error
        except (ValueError, RecursionError):
            return None
        return data if isinstance(data, dict) and isinstance(data.get("properties"), dict) else None

    def download(self, collections: Sequence[str] | None = None, force: bool = False) -> dict[str, Path]:
        """Fetch the queryables of collections, all of the configuration for None.

        Args:
            collections: which.
            force: fetch also what has a local copy.

        Returns:
            Collection -> file.
        """
        session, found = self._connection.session, {}
        for name in session.collections() if collections is None else collections:
            if force or not self.get_path(name).exists():
                try:
                    self.load(name, refresh=True)
                except NoCollectionError:
                    if collections is None and not session.is_chosen(name):
                        continue
                    raise
            found[name] = self.get_path(name)
        return found

    def list_downloaded(self) -> list[str]:
        """The collections of the configuration that have a local copy."""
        return [name for name in self._connection.session.collections() if self.get_path(name).exists()]
