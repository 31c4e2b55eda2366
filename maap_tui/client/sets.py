"""Products that are of use together: what of them is here, and fetching what is not."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from maap_tui.client.arguments import hook_of, recent_span_of
from maap_tui.client.connection import Connection
from maap_tui.client.results import SetSyncResult, download_result_of
from maap_tui.engine.product_sets import ProductSet, find_set, set_of
from maap_tui.engine.workflows.set_table import SetTable


class Sets:
    """The part of MaapClient that knows of sets."""

    _connection: Connection

    def sets(self) -> dict[str, ProductSet]:
        """The sets of the configuration, by name."""
        return dict(self._connection.session.settings.sets)

    def set_table(
        self,
        products: str | Sequence[str],
        start: datetime | None = None,
        end: datetime | None = None,
        *,
        baseline: str = "newest",
        collection: str = "",
        local: bool = False,
    ) -> SetTable:
        """Look which orbits and frames have all products of a set; the last 3 days without start and end.

        Args:
            products: the name of a set of the configuration, or product types, each as
                `[COLLECTION/]PRODUCT[:BASELINE]`.
            start: the first sensing start, with a zone; None for the first there is.
            end: the last one, included; None stands for the present moment.
            baseline: `newest`, `same`, or a baseline such as `BC`, for product types that name none.
            collection: that of product types that name none; '' finds it.
            local: whether the archive is not asked, and the registry alone knows.

        Returns:
            Its `rows`, by sensing start: `orbit`, `frame`, `state` (`complete`, `waiting`, `mixed`,
            `deleted`), `since` and a cell a product. `failed_days` lists what could not be searched.

        Raises:
            InvalidRequestError: for unknown names, and for product types that have no orbit.
            CatalogError: when the archive does not answer.
        """
        wanted, span = self._wanted(products, baseline, collection), recent_span_of(start, end)
        return self._connection.run(lambda session: session.set_table(wanted, span, ask=not local))

    def sync_set(
        self,
        products: str | Sequence[str],
        start: datetime | None = None,
        end: datetime | None = None,
        *,
        baseline: str = "newest",
        collection: str = "",
        partial: bool = False,
        max_items: int | None = None,
        product_dir: bool | None = None,
        verbose: bool = False,
        hook: str | None = None,
        hook_per: str | None = None,
    ) -> SetSyncResult:
        """Register and download what makes the orbits and frames of a set complete.

        The arguments that are not described here are those of `set_table` and `sync`.

        Args:
            partial: whether to fetch what there is of those too that the archive cannot complete.
            max_items: orbits and frames at most that files are fetched of; None for all.
            hook: a command that runs once for each orbit and frame that is complete, as `--hook` of
                `maap set sync`; None for none.
            hook_per: `set`, `file` or `day`; None is `set`.

        Raises:
            LockedError: (a MaapError) while another sync of one of the baselines runs.
            AuthenticationError: when the token is refused.
        """
        wanted, span = self._wanted(products, baseline, collection), recent_span_of(start, end)
        command = hook_of(self._connection.session, hook, hook_per, "set", "file", "day")
        done = self._connection.run(
            lambda session: session.sync_set(
                wanted, span, partial=partial, max_items=max_items, product_dir=product_dir, hook=command
            ),
            verbose=verbose,
        )
        return SetSyncResult(
            table=done.table,
            chosen=[row.spot for row in done.chosen],
            completed=done.completed,
            held_back=done.held_back,
            downloads=download_result_of(done.downloads),
            hook_failures=done.hook_failures,
        )

    def _wanted(self, products: str | Sequence[str], baseline: str, collection: str) -> ProductSet:
        if isinstance(products, str):
            return find_set(products, self._connection.session.settings.sets)
        return set_of("set", list(products), baseline, collection)
