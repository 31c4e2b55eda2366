"""Files here compared with what came, and with lists of sums."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from maap_tui.client.arguments import span_of
from maap_tui.client.connection import Connection
from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.registry.spans import days_of

if TYPE_CHECKING:
    from maap_tui.engine.integrity.sum_lists import Compared
    from maap_tui.engine.integrity.verify import Verdict


class Verifying:
    """The part of MaapClient that looks at the files here."""

    _connection: Connection

    def verify(
        self,
        collection: str | None = None,
        product_type: str | None = None,
        baseline: str | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        *,
        quick: bool = False,
    ) -> list[Verdict]:
        """Look at every file that is recorded as downloaded; asks nothing, and fetches nothing.

        Args:
            collection: what is meant; None for all.
            product_type: product type; None for all.
            baseline: baseline, in any case; None for all.
            start: the first sensing day, timezone-aware; None for the first there is.
            end: the last one; None for the last there is.
            quick: whether size and structure are enough, and no file is read whole.

        Returns:
            One for each file, by baseline and day: `path`, `url`, `state` (`good`, `missing`, `truncated`,
            `changed`, `unreadable`, `deleted`), `reason`, `size` in bytes, and the `evidence` of a good one
            (`archive sum`, `inner sum`, `header size`, `length only`). `is_bad` is whether it has to be
            fetched again.

        Raises:
            StorageError: the registry or the hashes cannot be read.
        """
        from maap_tui.engine.integrity.verify import verify

        session = self._connection.session
        first, last = days_of(span_of(start, end))
        found = verify(
            session.registry,
            session.hashes,
            session.registry.tracked_of(collection, product_type, baseline),
            first_day=first,
            last_day=last,
            read_all=not quick,
        )
        return [one.verdict for one in found]

    def verify_against(self, sums: Path | str, root: Path | str | None = None) -> list[Compared]:
        """Compare files with a list of SHA-256 sums, of GNU or BSD; it reads them whole.

        Args:
            sums: the list, or the folder of a frozen study, which has one.
            root: where its names begin, and no file may be that is not listed; None looks here, beside the
                list, and in the data folder.

        Returns:
            Each file with its `state`: `good`, `changed`, `missing`, `unreadable`, `unlisted`.

        Raises:
            InvalidRequestError: it is not such a list.
        """
        from maap_tui.engine.integrity.sum_lists import compare_listed, demand_sums, read_sums
        from maap_tui.engine.storage.files import read_data
        from maap_tui.engine.studies.replacing import settle_if_possible

        file = Path(sums)
        if file.is_dir():
            settle_if_possible(file)
            file = file / "SHA256SUMS"
        if not file.is_file():
            raise InvalidRequestError(f"{file} is not a file", "Name a list of sums.")
        listed = demand_sums(read_sums(read_data(file)), str(file))
        below = None if root is None else Path(root)
        folders = [Path(), file.parent, self._connection.session.dirs.data_dir] if below is None else [below]
        return list(compare_listed(listed, folders, root=below, ignored=file))
