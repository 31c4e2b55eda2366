"""Download what is known by its URL."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import replace

from maap_tui.engine.download.jobs import Report
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
from maap_tui.engine.storage.places import Place
from maap_tui.engine.workflows.filing import name_of_url
from maap_tui.engine.workflows.parts import Parts
from maap_tui.engine.workflows.register import register_requests
from maap_tui.engine.workflows.searching import find
from maap_tui.engine.workflows.url_list import Once, with_plain_scheme

BATCH = 500
"""Most files that are registered together, with one look at the lists of each day."""

BATCH_S = 0.5
"""Seconds after which those that were found are begun, where others have to be looked up."""


async def download(
    parts: Parts,
    urls: Iterable[str],
    collection: str,
    *,
    out_dir: Place | None = None,
    product_dir: bool | None = None,
    track: bool = False,
    dry_run: bool = False,
    again: bool = False,
) -> Report:
    """Download URLs that are known already; what cannot be filed is a permanent failure in the report."""
    parts.check_place(out_dir)
    async with parts.downloads(verb="download", is_watched=False) as downloads:
        found: list[DownloadRequest] = []
        since = time.monotonic()

        async def begin() -> None:
            refused = await asyncio.to_thread(register_requests, parts.registry, found)
            for one in found:
                if one.url in refused:
                    why = refused[one.url]
                    downloads.refuse(one.url, why.reason, permanent=why.permanent)
                else:
                    downloads.add(one, group=collection)
            found.clear()
            await downloads.settle()

        seen = Once()
        for url in map(with_plain_scheme, urls):
            if not seen.is_new(url):
                continue
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
            if dry_run:
                downloads.report.skipped[url] = wanted.place
                continue
            found.append(replace(wanted if track else wanted.untracked(), again=again))
            if len(found) == BATCH or time.monotonic() - since > BATCH_S:
                await begin()
                since = time.monotonic()
        await begin()
        return await downloads.join()


async def request_of_url(
    parts: Parts,
    url: str,
    collection: str,
    *,
    out_dir: Place | None = None,
    product_dir: bool | None = None,
) -> DownloadRequest:
    """A bare URL as a file to fetch: filed by its name, or by its item where the name says nothing.

    Raises:
        InvalidRequestError: when neither says where it belongs.
        CatalogError: when the catalogue has to be asked and does not answer.
    """
    product_dir = parts.in_product_dir(product_dir)
    if out_dir is not None:
        return parts.filing.flat(url, out_dir, product_dir=product_dir)
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
