"""The quicklook of a granule: fetched when it is asked for, within limits, and kept while the engine runs."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from maap_tui.engine.errors import DownloadError, InvalidRequestError
from maap_tui.engine.model import Granule
from maap_tui.engine.pictures import demand_pictures
from maap_tui.engine.workflows.parts import Parts
from maap_tui.engine.workflows.small_file import demand_small, fetch_small

MOST_BYTES = 8 << 20
"""Bytes that a quicklook may have; those of the archive have some 100 KB."""
_ELSEWHERE = "Copy its address and open it elsewhere."
LONGEST_S = 60.0
"""Seconds that it may take to come."""
KEPT_BYTES = 32 << 20
"""Bytes of the pictures that are kept, the last ones that were asked for."""


class Quicklooks:
    """The pictures that were fetched. Use it in one loop."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, bytes] = OrderedDict()

    async def get(self, parts: Parts, granule: Granule, *, to_show: bool = False) -> bytes:
        """The picture of a granule, as the archive has it.

        Args:
            parts: the engine.
            granule: with all its files.
            to_show: whether it is fetched to be shown here, which needs a package.

        Raises:
            InvalidRequestError: it has none, or one that is not fetched; or the package is not installed.
            DownloadError: the archive refuses it, or does not send it.
            CredentialsError, AuthenticationError: it needs a token, and there is none that is good.
        """
        asset = granule.quicklook
        if asset is None:
            raise InvalidRequestError("The archive has no quicklook of this granule")
        if to_show:
            demand_pictures()
        if asset.size is not None:
            demand_small(asset.size, "The quicklook", MOST_BYTES, _ELSEWHERE)
        if asset.href not in self._kept:
            try:
                async with asyncio.timeout(LONGEST_S):
                    self._kept[asset.href] = await fetch_small(
                        parts, asset.href, "The quicklook", MOST_BYTES, _ELSEWHERE
                    )
            except TimeoutError:
                words = f"The quicklook did not come within {LONGEST_S:.0f} s"
                raise DownloadError(asset.href, words, hint="Try again later.") from None
            while sum(map(len, self._kept.values())) > KEPT_BYTES and len(self._kept) > 1:
                self._kept.popitem(last=False)
        self._kept.move_to_end(asset.href)
        return self._kept[asset.href]
