"""Names of the archive as the local copies have them, read without what a session needs.

For a shell that asks at every press of a key: little is loaded, no request is made, nothing is raised, and
what cannot be read is left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from maap_tui.engine.config.dirs import AppDirs
from maap_tui.engine.config.settings import Settings
from maap_tui.engine.errors import MaapError
from maap_tui.engine.missions import MISSIONS
from maap_tui.engine.search_keys import NEW_KEYS, OLD_KEYS

LISTED_FILE = "collections.json"
"""The cached answer of the archive when it was asked for its collections."""


def collection_names(settings: Settings, where: AppDirs) -> list[str]:
    """Collections of the settings, of the missions, of the local copies and of the archive's last answer."""
    names = [*settings.mission.collections, *settings.mission.collections_extend]
    names += [name for mission in MISSIONS.values() for name in mission.collections]
    for folder, suffix in (
        (where.catalog_dir, "_queryables.json"),
        (where.built_catalog_dir, "_collection.json"),
    ):
        try:
            names += sorted(path.name.removesuffix(suffix) for path in folder.glob(f"*{suffix}"))
        except OSError:
            continue
    listed = _read(where.cache_file(LISTED_FILE)).get("collections")
    names += [_part(row, "id") for row in listed] if isinstance(listed, list) else []
    return _usable(names)


def product_names(where: AppDirs, collection: str) -> list[str]:
    """Product types of a collection, sorted."""
    names = [*_listed(where, collection, "product"), *_built(where, collection)]
    return sorted(_usable(names))


def baseline_names(where: AppDirs, collection: str, product_type: str) -> list[str]:
    """Baselines of a product type, oldest first: see `baselines_to_offer`."""
    entries = _part(_part(_built(where, collection), product_type), "baselines")
    entries = entries if isinstance(entries, dict) else {}
    counted = {name: _part(entry, "count") for name, entry in entries.items()}
    listed = (name.upper() for name in _listed(where, collection, "baseline"))
    return _usable(baselines_to_offer(counted, listed))


def baselines_to_offer(counted: Mapping[str, object], listed: Iterable[str]) -> list[str]:
    """Baselines to offer for a product type, oldest first.

    Args:
        counted: those of the product type that a built catalogue has, with their counts, None where it
            does not say; those that are not known to be empty are offered.
        listed: those of all product types of the collection together. Of these the ones that are newer
            than what holds something are offered too, all of them where nothing does.
    """
    known = {name for name, count in counted.items() if count != 0}
    newest = max((name.upper() for name in known), default="")
    return sorted({*known, *(name for name in listed if name.upper() > newest)})


def _listed(where: AppDirs, collection: str, kind: str) -> list[str]:
    """The values that queryables list for the product type or the baseline."""
    try:
        properties = _part(_read(where.queryables_file(collection)), "properties")
    except MaapError:
        return []
    for keys in (NEW_KEYS, OLD_KEYS):
        entry = _part(properties, getattr(keys, kind))
        values = entry if isinstance(entry, list) else _part(entry, "enum")
        if isinstance(values, list) and values:
            return [str(value) for value in values]
    return []


def _built(where: AppDirs, collection: str) -> dict[str, Any]:
    try:
        products = _part(_read(where.built_catalogue_file(collection)), "products")
    except MaapError:
        return {}
    return products if isinstance(products, dict) else {}


def _read(file: Path) -> dict[str, Any]:
    try:
        data = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _part(data: Any, name: str) -> Any:
    return data.get(name) if isinstance(data, dict) else None


def _usable(names: Iterable[Any]) -> list[str]:
    """Names that a line can hold, each once."""
    return list(
        dict.fromkeys(name for name in names if isinstance(name, str) and name.isprintable() and name)
    )
