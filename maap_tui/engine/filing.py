"""Where a granule belongs: its baseline in the registry and its path on disk, from checked names alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

from maap_tui.engine import places
from maap_tui.engine.missions import Mission, earthcare, format_of, mission_of_collection, parse_name
from maap_tui.engine.model import Asset, Granule
from maap_tui.engine.registry import Entry, Key, Registry
from maap_tui.engine.transfer import Wanted


class Filing:
    """The rules by which files are filed, over one data folder and one registry."""

    def __init__(self, data_dir: Path, registry: Registry, mission_name: str = "") -> None:
        """Take what they work on.

        Args:
            data_dir: root of the dated layout.
            registry: the registry.
            mission_name: mission of the collections that do not tell theirs; '' for none.
        """
        self.data_dir = data_dir
        self.registry = registry
        self._mission_name = mission_name

    def mission_of(self, collection: str) -> Mission:
        """The mission a collection belongs to."""
        return mission_of_collection(collection, self._mission_name)

    def key_of(self, granule: Granule) -> Key:
        """Where the registry keeps a granule.

        Raises:
            InvalidRequestError: when one of its names is refused.
        """
        return Key(granule.mission, granule.collection, granule.product_type, granule.baseline)

    def wanted_of(
        self,
        granule: Granule,
        asset: Asset,
        *,
        out_dir: Path | None = None,
        product_dir: bool = False,
    ) -> Wanted:
        """A file of a granule, and where it goes: the dated layout, or flat under `out_dir`.

        Raises:
            InvalidRequestError: when one of its names is refused.
        """
        if out_dir is not None:
            path = places.flat_path(places.absolute(out_dir), asset.name, product_dir=product_dir)
            return Wanted(asset.href, path, asset.size, places.absolute(out_dir))
        path = self._path(self.key_of(granule), granule.day, asset.name, product_dir=product_dir)
        return Wanted(asset.href, path, asset.size, self.data_dir)

    def wanted_of_entry(self, key: Key, entry: Entry, *, product_dir: bool = False) -> Wanted:
        """A line of the registry as a file to fetch.

        The path is made anew from the names: what a registry line says can be anyone's.

        Raises:
            InvalidRequestError: when the URL names no usable file.
        """
        path = self._path(key, entry.day, name_of_url(entry.url), product_dir=product_dir)
        return Wanted(entry.url, path, None, self.data_dir)

    def in_product_dir(self, wanted: Wanted) -> Wanted:
        """The same file, in a folder of its own named after its stem."""
        path = places.flat_path(wanted.path.parent, wanted.path.name, product_dir=True)
        return replace(wanted, path=path)

    def _path(self, key: Key, day: date, name: str, *, product_dir: bool) -> Path:
        names = (key.mission, key.collection, key.product_type, key.baseline)
        return places.granule_path(self.data_dir, *names, day, name, product_dir=product_dir)

    def tracked_keys(self, collection: str, product_type: str, baseline: str | None = None) -> list[Key]:
        """The baselines of a product that the registry follows; one of that name for a baseline given."""
        mission = self.mission_of(collection).name
        found = [
            key
            for key in self.registry.tracked()
            if (key.mission, key.collection, key.product_type) == (mission, collection, product_type)
            and (baseline is None or key.baseline.lower() == baseline.lower())
        ]
        if not found and baseline is not None:
            spelled = baseline.upper() if mission == earthcare.MISSION.name else baseline
            return [Key(mission, collection, product_type, spelled)]
        return found

    def only_newest(
        self, product_type: str, entries: Sequence[tuple[Key, Entry]], every_version: bool = False
    ) -> list[tuple[Key, Entry]]:
        """Leave out older processings, for products that are archived in several versions."""
        if not entries or every_version:
            return list(entries)
        if product_type not in self.mission_of(entries[0][0].collection).newest_only:
            return list(entries)
        kept = []
        had: dict[tuple[Key, date], dict[tuple[datetime, str], str]] = {}
        for key, entry in sorted(entries, key=lambda one: one[1].url, reverse=True):
            versions = had.get((key, entry.day))
            if versions is None:
                versions = had[key, entry.day] = {}
                for done in self.registry.baseline(key).downloads(entry.day, entry.day):
                    mark = _granule_mark(done.url)
                    versions[mark] = max(versions.get(mark, ""), done.url)
            mark = _granule_mark(entry.url)
            # Names of one granule differ in the creation time alone, so that the last one is the newest.
            if versions.get(mark, "") < entry.url:
                versions[mark] = entry.url
                kept.append((key, entry))
        return sorted(kept, key=lambda one: (one[1].day, one[1].url))


def name_of_url(url: str) -> str:
    """The name on disk of the file that a URL points to.

    Raises:
        InvalidRequestError: when it names no usable file.
    """
    name = places.file_name_of(url)
    if format_of(url) == "zip" and not name.lower().endswith(".zip"):
        name += ".zip"
    return name


def _granule_mark(url: str) -> tuple[datetime, str]:
    name = parse_name(url)
    if name is None:
        return datetime.min.replace(tzinfo=UTC), url
    suffix = url.rpartition(".")[2].lower()
    return name.sensing_start, f"{name.orbit}{name.frame}{suffix}"
