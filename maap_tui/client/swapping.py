"""A baseline swapped for a newer one, and swapped back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from maap_tui.client.arguments import formats_of, span_of
from maap_tui.client.connection import Connection
from maap_tui.client.results import SwapResult, UndoResult, download_result_of
from maap_tui.engine.swaps.plan import SwapNames, SwapPlan
from maap_tui.engine.swaps.run import SwapStatus
from maap_tui.engine.swaps.steps import Kept


class Swapping:
    """The part of MaapClient that swaps baselines."""

    _connection: Connection

    def plan_swap(
        self,
        collection: str,
        product_type: str,
        old: str,
        new: str,
        start: datetime | None = None,
        end: datetime | None = None,
        *,
        format: str | Sequence[str] | None = None,
        cleaned: bool = False,
    ) -> SwapPlan:
        """Find which granules of a newer baseline take the place of those that are here; writes nothing.

        Args:
            collection: collection name.
            product_type: product type.
            old: the baseline that is here, in any case.
            new: the one that takes its place.
            start: first sensing start of the old one, timezone-aware; None is the first that is here.
            end: last one; None is the last that is here.
            format: files of the old baseline that are meant, as for `search`; None for all that are here.
            cleaned: whether those count too that a clean-up deleted.

        Returns:
            Its `rows` by sensing start, each with its `state`, `observation`, `old` and `new` files; `counts`
            of the states, `fetch_bytes` and `old_bytes`; `ambiguous`, granule to reason, of those that could
            be paired with several.

        Raises:
            InvalidRequestError: for unknown names, and where nothing of the old baseline was downloaded.
            CatalogError: when the archive does not answer.
        """
        names = SwapNames(collection, product_type, old, new)
        formats = self._formats_of(collection, format)
        return self._connection.run(
            lambda session: session.plan_swap(names, span_of(start, end), formats=formats, cleaned=cleaned)
        )

    def swap(
        self,
        collection: str,
        product_type: str,
        old: str,
        new: str,
        start: datetime | None = None,
        end: datetime | None = None,
        *,
        format: str | Sequence[str] | None = None,
        cleaned: bool = False,
        keep_days: int | None = None,
        max_items: int | None = None,
        verbose: bool = False,
    ) -> SwapResult:
        """Fetch what takes the place of an older baseline, hand its marks over, delete what is due.

        A call that was interrupted is gone on with by the next one. The arguments that are not described here
        are those of `plan_swap`.

        Args:
            keep_days: days that old files stay, those of earlier calls too; None takes the setting, 14.
            max_items: granules at most that are fetched; None for all.
            verbose: log each file at INFO.

        Raises:
            LockedError: (a MaapError) while a sync of one of the baselines runs.
            DiskFullError: (a MaapError) both versions do not fit on the disk.
            AuthenticationError: when the token is refused.
        """
        names = SwapNames(collection, product_type, old, new)
        formats = self._formats_of(collection, format)
        done = self._connection.run(
            lambda session: session.run_swap(
                names,
                span_of(start, end),
                formats=formats,
                cleaned=cleaned,
                keep_days=keep_days,
                max_items=max_items,
            ),
            verbose=verbose,
        )
        return SwapResult(
            plan=done.plan,
            swapped=[entry.name for entry in done.swapped],
            retired=[entry.name for entry in done.retired.done],
            kept=_words_of([*done.left, *done.retired.kept]),
            held_back=done.held_back,
            downloads=download_result_of(done.downloads),
        )

    def undo_swap(
        self,
        collection: str,
        product_type: str,
        old: str,
        new: str,
        start: datetime | None = None,
        end: datetime | None = None,
        *,
        fetch: bool = False,
        verbose: bool = False,
    ) -> UndoResult:
        """Give old and new granules the marks back that they had before the swap; new files stay.

        The arguments that are not described here are those of `plan_swap` and `swap`.

        Args:
            fetch: whether to ask the archive for old files that were deleted; without it such granules stay
                as they are.

        Raises:
            InvalidRequestError: this swap was not begun.
            LockedError: (a MaapError) while a sync of one of the baselines runs.
        """
        names = SwapNames(collection, product_type, old, new)
        done = self._connection.run(
            lambda session: session.undo_swap(names, span_of(start, end), fetch=fetch), verbose=verbose
        )
        return UndoResult(
            undone=[entry.name for entry in done.undone],
            kept=_words_of(done.kept),
            downloads=download_result_of(done.downloads),
        )

    def swaps(self, collection: str | None = None, product_type: str | None = None) -> list[SwapStatus]:
        """The swaps that were begun, each with `counts` of states and an entry a granule; asks nothing."""
        return self._connection.session.swaps(collection, product_type)

    def _formats_of(self, collection: str, format: str | Sequence[str] | None) -> tuple[str, ...]:
        formats = formats_of(format, self._connection.session.mission_of(collection))
        return () if "all" in formats else formats


def _words_of(several: Sequence[Kept]) -> list[str]:
    return [f"{one.entry.name}: {one.reason}" for one in several]
