"""Built catalogues: the baselines of a collection counted, into a file or for one answer."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import aclosing
from functools import partial
from pathlib import Path

from maap_tui.engine.catalogue import built
from maap_tui.engine.catalogue.search import COUNT_LIMIT
from maap_tui.engine.config import dirs
from maap_tui.engine.errors import (
    CatalogError,
    InvalidRequestError,
    NoNamesError,
)
from maap_tui.engine.events import Warned
from maap_tui.engine.model import BaselineInfo
from maap_tui.engine.query import Query
from maap_tui.engine.together import together
from maap_tui.engine.workflows.parts import Parts
from maap_tui.engine.workflows.searching import UNCUT, run_of


async def build_catalogue(
    parts: Parts,
    collection: str,
    *,
    product_type: str | None = None,
    baseline: str | None = None,
    latest_baseline: bool = False,
    force: bool = False,
    out_dir: Path | None = None,
    counted: Callable[[str, str, BaselineInfo], None] = lambda product_type, baseline, info: None,
) -> tuple[Path, list[built.BuildFailure]]:
    """Count the baselines of a collection into its built catalogue, going on from what it has.

    Args:
        parts: the engine.
        collection: which one.
        product_type: only this product type; None for all.
        baseline: only this baseline; None for all.
        latest_baseline: only the latest of each product type.
        force: forget what the catalogue has of what is counted.
        out_dir: the folder of the file; None for the configured one.
        counted: takes each baseline that holds something.

    Returns:
        The file, and the baselines that could not be counted.

    Raises:
        InvalidRequestError: for unknown names.
        NoNamesError: the collection lists none to be counted.
        CatalogError: when the queryables cannot be fetched, or the file is damaged.
        StorageError: the file cannot be written.
    """
    where = parts.dirs
    if out_dir is not None:
        where = where._replace(built_catalog_dir=dirs.absolute(out_dir))
    pairs = await _pairs(parts, collection, product_type, baseline, latest=latest_baseline)
    replaces = force and not product_type
    catalogue = (None if replaces else built.load(where, collection)) or built.BuiltCatalogue(collection)
    counting = builder(parts, collection, catalogue, where=where, replaces=replaces)
    if force:
        counting.forget(pairs)
    async with aclosing(counting.build(pairs)) as entries:
        async for entry in entries:
            counted(*entry)
    failures = list(counting.failures)
    if not (baseline or latest_baseline):
        failed = {one.product_type for one in failures}
        for product in dict.fromkeys(product for product, _ in pairs):
            if product in catalogue.products or product in failed:
                continue
            # One request for each product that no baseline has anything of.
            count = await run_of(parts, Query(collection, product)).count()
            if count or "product" in parts.catalogue.dropped(collection):
                reason = "the catalogue has granules of it and finds none by its baselines"
                failures.append(built.BuildFailure(collection, product, "*", reason))
                parts.emit(Warned(f"{collection} {product} could not be counted: {reason}"))
    return where.built_catalogue_file(collection), failures


async def _pairs(
    parts: Parts, collection: str, product_type: str | None, baseline: str | None, *, latest: bool
) -> list[tuple[str, str]]:
    """The (product type, baseline) pairs to count; arguments and errors as for `build_catalogue`."""
    if product_type:
        queryables = await parts.catalogue.check(collection, product_type, baseline)
        products = [product_type]
    else:
        queryables = await parts.catalogue.queryables(collection, refresh=True)
        products = queryables.products
    if baseline and products:
        return [(product, baseline.upper()) for product in products]
    if not products or not queryables.baselines:
        raise NoNamesError(
            f"The queryables of {collection} list no product types and baselines",
            f"Refresh them (maap catalog update {collection}), or name product type and baseline.",
        )
    if not latest:
        return [(product, one) for product in products for one in queryables.baselines]
    # The collection's latest baseline need not be one of this product.
    held = {product: await baselines_at_archive(parts, collection, product) for product in products}
    return [(product, max(baselines)) for product, baselines in held.items() if baselines]


async def baselines_at_archive(parts: Parts, collection: str, product_type: str) -> dict[str, int]:
    """Baselines of a product that hold something, with their counts, asked of the archive.

    Raises:
        CatalogError: when one of them cannot be asked.
    """
    queryables = await parts.catalogue.check(collection, product_type)
    slots = asyncio.Semaphore(parts.settings.search.parallel)

    async def count(baseline: str) -> int:
        async with slots:
            query = Query(collection, product_type, baseline)
            return await run_of(parts, query, trusting=True).total()

    names = queryables.baselines
    counts = await together(*(count(name) for name in names))
    found = {name: number for name, number in zip(names, counts, strict=True) if number}
    if found:
        return found
    found = await _counted_here(parts, collection, product_type)
    if found and names:
        parts.emit(Warned(f"The catalogue finds nothing of {product_type} by its baselines: counted here"))
    return found


async def newest_baseline(parts: Parts, collection: str, product_type: str) -> str:
    """The newest baseline of a product that holds something, '' for none; errors as `baselines_at_archive`.

    The index knows it from then on.
    """
    found = await baselines_at_archive(parts, collection, product_type)
    return parts.index.note_newest(collection, product_type, found)


async def _counted_here(parts: Parts, collection: str, product_type: str) -> dict[str, int]:
    """Baselines of a product counted in its granules, where a filter by baseline finds nothing.

    Raises:
        InvalidRequestError: when there is too much to read.
        CatalogError: when the catalogue does not answer, or not wholly.
    """
    whole = run_of(parts, Query(collection, product_type, max_items=UNCUT), divided=False)
    announced = await whole.total()
    if announced > COUNT_LIMIT:
        raise InvalidRequestError(
            f"The catalogue has {announced} granules of {product_type} and finds none by its baselines",
            "Give a baseline and a time range.",
        )
    counts = Counter([one.baseline async for page in whole for one in page.granules] if announced else ())
    if whole.failed:
        raise CatalogError(whole.failed[0].reason, "Run the same command again later.")
    return dict(sorted(counts.items()))


async def baseline_at_archive(
    parts: Parts, collection: str, product_type: str, baseline: str
) -> BaselineInfo | None:
    """What a built catalogue would say of one baseline, asked of the archive; None when it is empty."""
    catalogue = built.BuiltCatalogue(collection)
    counting = builder(parts, collection, catalogue, where=None)
    await parts.catalogue.check(collection, product_type, baseline)
    async with aclosing(counting.build([(product_type, baseline)])) as entries:
        async for _, _, info in entries:
            return info
    if counting.failures:
        raise CatalogError(counting.failures[0].reason, "Run the same command again later.")
    return None


def builder(
    parts: Parts,
    collection: str,
    catalogue: built.BuiltCatalogue,
    *,
    where: dirs.AppDirs | None,
    replaces: bool = False,
) -> built.Builder:
    """What counts the baselines of a collection; arguments as for `built.Builder`."""
    return built.Builder(
        partial(run_of, parts, trusting=True),
        where,
        catalogue,
        parallel=parts.settings.search.parallel,
        replaces=replaces,
        now=parts.now,
        emit=parts.emit,
    )
