"""Where the files of a granule are on this machine."""

from __future__ import annotations

from pathlib import Path

from maap_tui.engine.download.requests import DownloadRequest
from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.model import Granule
from maap_tui.engine.workflows.parts import Parts


def files_here(parts: Parts, granule: Granule) -> dict[str, Path]:
    """The files of a granule that are on disk, by URL: where the registry says, or where they would go.

    It reads the registry: call it from a thread.
    """
    try:
        registry = parts.registry.baseline(parts.filing.key_of(granule))
    except InvalidRequestError:
        return {}
    recorded = {entry.url: entry.path for entry in registry.downloads(granule.day, granule.day)}
    found = {}
    for asset in granule.assets:
        if not asset.format:
            continue
        places = [Path(recorded[asset.href])] if recorded.get(asset.href) else []
        for product_dir in (False, True):
            try:
                places.append(parts.filing.request_of(granule, asset, product_dir=product_dir).path)
            except InvalidRequestError:
                break
        if (place := next((place for place in places if place.is_file()), None)) is not None:
            found[asset.href] = place
    return found


def place_of(parts: Parts, request: DownloadRequest, path: str = "") -> Path | None:
    """Where a file is: where the registry says, or in the dated layout; None where it is not here."""
    places = [Path(path)] if path else []
    places += [request.path, parts.filing.in_product_dir(request).path]
    return next((one for one in places if one.is_file()), None)
