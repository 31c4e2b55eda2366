"""What the archive has, by name: collections, product types, baselines, and the catalogues of them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from maap_tui.client.catalog import CatalogQueryablesManager
from maap_tui.client.connection import Connection, logger
from maap_tui.engine.catalogue import built
from maap_tui.engine.config import dirs
from maap_tui.engine.errors import (
    CatalogError,
    InvalidRequestError,
    NetworkSetupError,
    NoCollectionError,
    NoNamesError,
)
from maap_tui.engine.session import Session


class Catalogues:
    """The part of MaapClient that lists names and keeps catalogues."""

    _connection: Connection
    _catalog: CatalogQueryablesManager

    def list_collections(self) -> list[str]:
        """The collections of the configuration."""
        return self._connection.session.collections()

    def list_products(self, collection: str, from_built: bool = False, verify: bool = False) -> list[str]:
        """Product types of a collection, sorted.

        Args:
            collection: collection name.
            from_built: take those of the built catalogue.
            verify: ask the archive and not the local copy.

        Raises:
            BuiltCatalogMissing: (a FileNotFoundError) without a built catalogue.
            InvalidRequestError: for an unknown collection.
        """
        if from_built and not verify:
            return sorted(built.demand(self._connection.session.dirs, collection).products)
        queryables = self._connection.run(
            lambda session: session.catalogue.queryables(collection, refresh=verify)
        )
        return queryables.products

    def list_baselines(
        self, collection: str, product_type: str = "", from_built: bool = False, verify: bool = False
    ) -> list[str]:
        """Baselines, oldest first: of the whole collection, or those of one product that hold something.

        Args:
            collection: collection name.
            product_type: product type; needed for `from_built` and `verify`.
            from_built: take those of the built catalogue.
            verify: ask the archive which of them hold something.

        Raises:
            InvalidRequestError: for unknown names, or without a product type where it is needed.
        """
        if (from_built or verify) and not product_type:
            raise InvalidRequestError("product_type is required with verify=True or from_built=True")
        if verify:
            return sorted(
                self._connection.run(lambda session: session.baselines_at_archive(collection, product_type))
            )
        if from_built:
            catalog = built.demand(self._connection.session.dirs, collection)
            return sorted(catalog.products.get(product_type, {}))
        queryables = self._connection.run(
            lambda session: (
                session.catalogue.check(collection, product_type)
                if product_type
                else session.catalogue.queryables(collection)
            )
        )
        return queryables.baselines

    def update_catalogs(
        self, collections: Sequence[str] | None = None, force: bool = False, out_dir: Path | str | None = None
    ) -> dict[str, Path]:
        """Fetch the queryables of collections, all of the configuration for None.

        Args:
            collections: which.
            force: fetch also what has a local copy.
            out_dir: another folder than the configured one.

        Returns:
            Collection -> file.
        """
        catalog = self._catalog
        if out_dir is not None:
            catalog = CatalogQueryablesManager(self._connection, dirs.absolute(Path(out_dir)))
        return catalog.download(collections, force)

    def build_catalog(
        self,
        collection: str | None = None,
        product_type: str | None = None,
        baseline: str | None = None,
        latest_baseline: bool = False,
        force: bool = False,
        out_dir: Path | str | None = None,
        verbose: bool = False,
        failures_out: list[tuple[str, str, str, str]] | None = None,
    ) -> dict[str, Path]:
        """Build the catalogues of a collection, or of all for None.

        Args:
            collection: which one.
            product_type: only this product type.
            baseline: only this baseline.
            latest_baseline: only the latest baseline of each product type.
            force: forget what was built before of what is counted.
            out_dir: another folder than the configured one.
            verbose: log each baseline at INFO.
            failures_out: gets (collection, product type, baseline, reason) of what could not be counted.

        Returns:
            Collection -> file.

        Raises:
            InvalidRequestError: for unknown names, or a collection that lists none to be counted.
            CatalogError: when the catalogue does not answer and `failures_out` is None.
            StorageError: a file cannot be written.
        """

        def build(
            name: str,
        ) -> Callable[[Session], Coroutine[Any, Any, tuple[Path, list[built.BuildFailure]]]]:
            return lambda session: session.build_catalogue(
                name,
                product_type=product_type,
                baseline=baseline,
                latest_baseline=latest_baseline,
                force=force,
                out_dir=Path(out_dir) if out_dir else None,
            )

        results: dict[str, Path] = {}
        for name in [collection] if collection else self.list_collections():
            try:
                file, failures = self._connection.run(build(name), verbose=verbose)
            except (CatalogError, InvalidRequestError) as error:
                is_ours = collection is None and not self._connection.session.is_chosen(name)
                if is_ours and isinstance(error, NoCollectionError | NoNamesError):
                    continue
                if failures_out is None or isinstance(error, NetworkSetupError):
                    raise
                if collection and isinstance(error, InvalidRequestError):
                    raise
                failures_out.append((name, "*", "*", error.message))
                continue
            results[name] = file
            if failures_out is not None:
                failures_out += [
                    (one.collection, one.product_type, one.baseline, one.reason) for one in failures
                ]
            elif failures:
                logger.warning("%d baselines of %s could not be counted", len(failures), name)
        return results
