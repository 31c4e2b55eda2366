"""What the mission publishes on the quality of its data: read, and asked for granules."""

from __future__ import annotations

from collections.abc import Iterable

from maap_tui.client.connection import Connection
from maap_tui.engine.events import Warned
from maap_tui.engine.model import Granule
from maap_tui.engine.quality.notices import Notice
from maap_tui.text import plural

_NAMED = 10
"""Rows of a sheet that are named."""


class QualityNotices:
    """The part of MaapClient that knows of data gaps and disclaimers."""

    _connection: Connection

    def update_quality(self) -> dict[str, str]:
        """Read the sheets again that the settings `quality.gaps` and `quality.disclaimers` name.

        The first ten rows of each sheet that cannot be used are events, `Warned`, each with its line.

        Returns:
            What could not be read: the source of each such sheet, and why. What was read before stays where
            it is the whole sheet; where it is rows of it, the others count.

        Raises:
            InvalidRequestError: the settings name none.
        """
        from maap_tui.engine.workflows.quality import update_quality

        unread: dict[str, str] = {}
        for one in self._connection.run(update_quality):
            refused = one.sheet.refused
            for line, reason in refused[:_NAMED]:
                words = f"line {line} of {one.source} cannot be used: {reason}"
                self._connection.session.emit(Warned(words))
            if one.problem is not None:
                unread[one.source] = one.problem.message
            elif refused:
                line, reason = refused[0]
                unread[one.source] = (
                    f"{plural(len(refused), 'row')} cannot be used, the first in line {line}: {reason}"
                )
        return unread

    def notices(self, about: Granule | str | Iterable[str] | None = None) -> list[Notice]:
        """The data gaps and disclaimers that are known.

        Args:
            about: a granule, or the names or addresses of files, whose times are then known by their names
                alone; None for all.

        Returns:
            Each once: `kind`, `id`, `products`, `baselines`, the ranges `start` to `end` and `first` to
            `last`, both ends included, `text` and `link`.
        """
        known = self._connection.session.quality.notices()
        if about is None:
            return list(known.all)
        if isinstance(about, Granule):
            return known.of_granule(about)
        names = [about] if isinstance(about, str) else about
        return list(dict.fromkeys(one for name in names for one in known.of_url(name)))
