"""Where a granule belongs: its baseline in the registry and its path on disk, from checked names alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from maap_tui.engine.config import dirs
from maap_tui.engine.download.requests import DownloadRequest
from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.missions import (
    MISSIONS,
    Mission,
    folder_of,
    format_of,
    mission_of_collection,
    parse_name,
)
from maap_tui.engine.model import Asset, Granule
from maap_tui.engine.registry.entries import Key, TrackedFile
from maap_tui.engine.registry.registry import Registry
from maap_tui.engine.storage import layout, names
from maap_tui.engine.storage.places import Place, S3Url


class Chosen:
    """The files meant of the granules of one search, and what is said of granules that have none of them."""

    def __init__(self, formats: tuple[str, ...]) -> None:
        self.formats = formats
        self._granules = self._lacking = 0
        self._others: set[str] = set()

    def files(self, granule: Granule) -> list[Asset]:
        """The files meant of one granule."""
        found = granule.files(self.formats)
        self._granules += 1
        if not found:
            self._lacking += 1
            self._others |= {asset.format for asset in granule.assets if asset.format}
        return found

    def error(self) -> InvalidRequestError | None:
        """Why there is no file at all although granules were found, None otherwise."""
        if not self._lacking or self._lacking < self._granules:
            return None
        wanted, others = " or ".join(self.formats), ", ".join(sorted(self._others))
        if self._granules == 1:
            message = f"The one granule found has no file in {wanted}; it has {others}"
        else:
            message = f"None of {self._granules} granules found has a file in {wanted}; they have {others}"
        return InvalidRequestError(message, "Give one of these, or all, as --format.")

    def warning(self) -> str:
        """What to say of granules that the format asked for leaves out, '' when each or none has a file."""
        if not 0 < self._lacking < self._granules:
            return ""
        wanted = " or ".join(self.formats)
        return f"{self._lacking} of {self._granules} granules found have no file in {wanted} and are left out"


class Filing:
    """The rules by which files are filed, over one data folder and one registry.

    It has no state of its own: every method may be called from any thread.
    """

    def __init__(
        self, data_dir: Path, registry: Registry, mission_name: str = "", *, staging_dir: Path | None = None
    ) -> None:
        """Take what they work on.

        Args:
            data_dir: root of the dated layout.
            registry: the registry.
            mission_name: mission of the collections whose names do not say theirs; '' for none.
            staging_dir: where files gather that go to S3; None where none do.
        """
        self.data_dir = data_dir
        self._staging_dir = staging_dir
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

    def request_of(
        self,
        granule: Granule,
        asset: Asset,
        *,
        out_dir: Place | None = None,
        product_dir: bool = False,
    ) -> DownloadRequest:
        """A file of a granule, and where it goes: the dated layout, or flat under `out_dir`.

        Raises:
            InvalidRequestError: when one of its names is refused.
        """
        if out_dir is not None:
            found = self.flat(asset.href, out_dir, name=asset.name, product_dir=product_dir)
            return replace(found, size=asset.size, checksum=asset.checksum)
        key = self.key_of(granule)
        path = self._path(key, granule.day, asset.href, asset.name, product_dir=product_dir)
        return DownloadRequest(
            asset.href,
            path,
            asset.size,
            self.data_dir,
            key=key,
            day=granule.day,
            checksum=asset.checksum,
        )

    def requests_of(
        self,
        granule: Granule,
        assets: Iterable[Asset],
        *,
        out_dir: Place | None = None,
        product_dir: bool = False,
        refuse: Callable[[Asset, InvalidRequestError], None],
    ) -> list[DownloadRequest]:
        """Files of a granule to fetch; the registry follows those that do not go under `out_dir`.

        Args:
            granule: whose files they are.
            assets: those of its files that are meant.
            out_dir: a flat folder, or prefix of S3; None files by sensing day under the data folder.
            product_dir: whether each file gets a folder named after its stem.
            refuse: is called with each file whose names are refused, and why.
        """
        found = []
        for asset in assets:
            try:
                found.append(self.request_of(granule, asset, out_dir=out_dir, product_dir=product_dir))
            except InvalidRequestError as error:
                refuse(asset, error)
        return found

    def lost_file(self, file: TrackedFile) -> DownloadRequest:
        """A tracked file that is missing or damaged, to fetch again where it was.

        A path outside the data folder is not trusted, nor one with another name.

        Raises:
            InvalidRequestError: when the URL names no usable file.
        """
        wanted = self.request_of_tracked(file)
        where = Path(file.path)
        if where.name == wanted.path.name and where.is_relative_to(self.data_dir):
            wanted = replace(wanted, path=where)
        return replace(wanted, again=True)

    def request_of_tracked(
        self, file: TrackedFile, *, out_dir: Place | None = None, product_dir: bool = False
    ) -> DownloadRequest:
        """A tracked file as one to fetch: in the dated layout, or flat under `out_dir`.

        The path is made again from the names: what a registry line says can be anyone's.

        Raises:
            InvalidRequestError: when the URL names no usable file.
        """
        if out_dir is not None:
            return replace(self.flat(file.url, out_dir, product_dir=product_dir), key=file.key, day=file.day)
        path = self._path(file.key, file.day, file.url, name_of_url(file.url), product_dir=product_dir)
        return DownloadRequest(file.url, path, None, self.data_dir, key=file.key, day=file.day)

    def flat(self, url: str, out_dir: Place, *, name: str = "", product_dir: bool = False) -> DownloadRequest:
        """A file that goes where the user said; `name` there, '' for that of its URL.

        Raises:
            InvalidRequestError: when the URL names no usable file.
        """
        root = Path() if isinstance(out_dir, S3Url) else dirs.absolute(out_dir)
        path = layout.flat_path(
            root, name or name_of_url(url), product_dir=product_dir, folder=folder_of(url)
        )
        if not isinstance(out_dir, S3Url):
            return DownloadRequest(url, path, None, root)
        assert self._staging_dir is not None
        target = out_dir / path.as_posix()
        staged = target.stage_below(self._staging_dir)
        return DownloadRequest(url, staged, None, self._staging_dir, target=target)

    def in_product_dir(self, wanted: DownloadRequest) -> DownloadRequest:
        """The same file, in a folder of its own named after its stem; or where it is, in its granule's."""
        if folder_of(wanted.url):
            return wanted
        path = layout.flat_path(wanted.path.parent, wanted.path.name, product_dir=True)
        return replace(wanted, path=path)

    def _path(self, key: Key, day: date, url: str, name: str, *, product_dir: bool) -> Path:
        names = (key.mission, key.collection, key.product_type, key.baseline)
        return layout.granule_path(
            self.data_dir, *names, day, name, product_dir=product_dir, folder=folder_of(url)
        )

    def tracked_keys(self, collection: str, product_type: str, baseline: str | None = None) -> list[Key]:
        """The baselines of a product that the registry follows; one of that name for a baseline given."""
        mission = self.mission_of(collection).name
        return self.registry.keys_of(collection, product_type, baseline, mission)

    def only_newest(
        self, product_type: str, keys: Sequence[Key], selected: Sequence[TrackedFile]
    ) -> list[TrackedFile]:
        """Leave out older processings, for products that are archived in several versions.

        Args:
            product_type: the product type.
            keys: the baselines that are meant; what is downloaded of them counts too.
            selected: files that their registries follow.
        """
        if not selected or not self.mission_of(selected[0].key.collection).keeps_newest(product_type):
            return list(selected)
        newest: dict[tuple[object, ...], tuple[Any, ...]] = {}
        days = {file.day for file in selected}
        urls = [file.url for file in selected]
        for tracker in map(self.registry.baseline, keys):
            urls += [done.url for day in days for done in tracker.downloads(day, day)]
        for url in urls:
            version = _version_of(url)
            if version is not None:
                granule, rank = version
                newest[granule] = max(newest.get(granule, rank), rank)
        kept = []
        for file in selected:
            version = _version_of(file.url)
            if version is None or version[1] == newest[version[0]]:
                kept.append(file)
        return kept


def name_of_url(url: str) -> str:
    """The name on disk of the file that a URL points to.

    Raises:
        InvalidRequestError: when it names no usable file.
    """
    name = names.file_name_of(url)
    if format_of(url) == "zip" and not name.lower().endswith(".zip"):
        name += ".zip"
    return name


def _version_of(url: str) -> tuple[tuple[object, ...], tuple[Any, ...]] | None:
    """(what granule a file is a version of, its rank among the versions); None for an unknown name."""
    name = parse_name(url)
    return None if name is None else MISSIONS[name.mission].version_of(name)
