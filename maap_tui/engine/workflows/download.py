"""Download what is known by its URL."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from maap_tui.engine.config import dirs
from maap_tui.engine.download.downloads import Report
from maap_tui.engine.download.requests import DownloadRequest
from maap_tui.engine.errors import (
    CatalogError,
    InvalidRequestError,
    NetworkSetupError,
)
from maap_tui.engine.missions import (
    format_of,
    parse_name,
)
from maap_tui.engine.model import Asset
from maap_tui.engine.registry.entries import Key, TrackedFile
from maap_tui.engine.workflows.filing import flat, name_of_url
from maap_tui.engine.workflows.parts import Parts
from maap_tui.engine.workflows.searching import find
from maap_tui.engine.workflows.url_list import with_plain_scheme


async def download(
    parts: Parts,
    urls: Iterable[str],
    collection: str,
    *,
    out_dir: Path | None = None,
    product_dir: bool | None = None,
    track: bool = False,
    dry_run: bool = False,
    again: bool = False,
) -> Report:
    """Download URLs that are known already; what cannot be filed is a permanent failure in the report."""
    out_dir = None if out_dir is None else dirs.data_folder(out_dir)
    async with parts.downloads(verb="download") as downloads:
        for url in dict.fromkeys(map(with_plain_scheme, urls)):
            try:
                wanted = await request_of_url(
                    parts, url, collection, out_dir=out_dir, product_dir=product_dir
                )
            except NetworkSetupError:
                raise
            except (InvalidRequestError, CatalogError) as error:
                permanent = isinstance(error, InvalidRequestError)
                downloads.refuse(url, error.message, permanent=permanent)
                continue
            wanted = replace(wanted, again=again)
            if dry_run:
                downloads.report.skipped[url] = wanted.path
                continue
            tracked = wanted.tracked if track else None
            if tracked is not None:
                await asyncio.to_thread(parts.registry.baseline(tracked.key).add, [tracked])
            downloads.add(wanted if track else wanted.untracked(), group=collection)
        return await downloads.join()


async def request_of_url(
    parts: Parts,
    url: str,
    collection: str,
    *,
    out_dir: Path | None = None,
    product_dir: bool | None = None,
) -> DownloadRequest:
    """A bare URL as a file to fetch: filed by its name, or by its item where the name says nothing.

    Raises:
        InvalidRequestError: when neither says where it belongs.
        CatalogError: when the catalogue has to be asked and does not answer.
    """
    product_dir = parts.in_product_dir(product_dir)
    if out_dir is not None:
        return flat(url, out_dir, product_dir=product_dir)
    file_name = name_of_url(url)
    name = parse_name(url)
    if name is not None and name.baseline is not None:
        mission = parts.mission_of(collection).name
        key = Key(mission, collection, name.product_type, name.baseline)
        file = TrackedFile(key, name.sensing_start.date(), url)
        return parts.filing.request_of_tracked(file, product_dir=product_dir)
    segments = [part.split(".", 1)[0] for part in url.split("?", 1)[0].split("/")[-3:]]
    for identity in dict.fromkeys(reversed(segments)):
        granule = await find(parts, collection, identity)
        if granule is not None:
            asset = next((one for one in granule.assets if one.href == url), None)
            asset = asset or Asset("", url, file_name, format_of(url))
            return parts.filing.request_of(granule, asset, product_dir=product_dir)
    raise InvalidRequestError(
        f"cannot parse product/baseline from {file_name}",
        "Give --out-dir to say where it goes.",
    )
