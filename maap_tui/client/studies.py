"""Studies: the files that work was done with, frozen, had again and cited."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from maap_tui.client.arguments import demand_zones
from maap_tui.client.connection import Connection
from maap_tui.client.results import DownloadResult, download_result_of
from maap_tui.engine.config import dirs
from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.events import Warned
from maap_tui.engine.model import to_zulu
from maap_tui.engine.saved_searches import Choices

if TYPE_CHECKING:
    from maap_tui.engine.session import Session
    from maap_tui.engine.studies.citing import Citation
    from maap_tui.engine.studies.declaration import Declaration
    from maap_tui.engine.studies.study import Study
    from maap_tui.engine.workflows.freezing import FreezeReport


@dataclass
class FreezeResult:
    """What was frozen of a study, and what was not."""

    folder: Path
    study: Study
    not_here: list[str] = field(default_factory=list)
    """Addresses of files that are meant and not here."""
    bad: list[str] = field(default_factory=list)
    """`PATH: reason` of files here that are not what came."""
    is_new: bool = True
    """Whether something was written: False where nothing but the date would have changed."""


@dataclass
class ThawResult:
    """What became of the files of a frozen study."""

    study: Study
    downloads: DownloadResult
    """What was fetched, was here with its hash (`skipped`), or cannot be had."""
    gone: list[str] = field(default_factory=list)
    """Addresses of files that the archive does not have any more."""


class Studies:
    """The part of MaapClient that knows of studies."""

    _connection: Connection

    def freeze(
        self,
        folder: Path | str,
        study: Path | str | None = None,
        *,
        products: Sequence[str] = (),
        start: datetime | None = None,
        end: datetime | None = None,
        orbit: str | int | None = None,
        frames: Sequence[str] | None = None,
        title: str = "",
        authors: Sequence[str] = (),
        local: bool = False,
        get: bool = False,
        force: bool = False,
        datalad: bool = False,
    ) -> FreezeResult:
        """Write the list of the files that work was done with: ids, addresses, sizes, hashes, DOIs.

        Args:
            folder: where the lists are written.
            study: a file that declares the study; None takes what the next arguments say.
            products: product types, each as `COLLECTION/PRODUCT[:BASELINE]`.
            start: the first sensing start, with a zone.
            end: the last one, included.
            orbit: an orbit or a range of orbits, in place of a time.
            frames: frames, as the mission has them.
            title: title of the study.
            authors: each `Name`, or `Name <ORCID>`.
            local: whether the archive is not asked; the registry alone knows no DOIs.
            get: whether what is not here is fetched first.
            force: whether another study in the folder is replaced.
            datalad: whether a list for `datalad addurls` is written too.

        Returns:
            The study with its `files`, and what is not in it.

        Raises:
            InvalidRequestError: it means nothing, cannot be asked, or the folder holds something else.
            CatalogError: a part of it could not be searched.
            StorageError: the folder cannot be written.
        """
        session, target = self._connection.session, dirs.absolute(Path(folder))
        if study is not None:
            given = {"products": products, "start": start, "end": end, "orbit": orbit, "frames": frames}
            for name, value in (given | {"title": title, "authors": authors}).items():
                if value is not None and value not in ("", (), []):
                    raise InvalidRequestError(f"{name} cannot be given with a study, which declares it")
            from maap_tui.engine.studies.declaration import read_declaration

            declaration = read_declaration(Path(study), session.now())
        else:
            declaration = _declared(products, start, end, orbit, frames, title, authors)

        async def work(session: Session) -> FreezeReport:
            return await session.freeze(
                declaration, target, ask=not local, get=get, force=force, datalad=datalad
            )

        done = self._connection.run(work)
        if done.problem:
            session.emit(Warned(done.problem))
        return FreezeResult(
            Path(folder),
            done.study,
            [one.file.url for one in done.of_state("not here")],
            [f"{one.place}: {one.reason}" for one in done.of_state("bad")],
            done.is_new,
        )

    def thaw(self, folder: Path | str, out_dir: Path | str | None = None) -> ThawResult:
        """Have the files of a frozen study, each with the hash that it was frozen with.

        Args:
            folder: what `freeze` wrote.
            out_dir: takes the files in place of the data folder, and no registry follows them; None registers
                them.

        Raises:
            InvalidRequestError: the study is missing or cannot be trusted.
            AuthenticationError: when the token is refused.
        """
        from maap_tui.engine.studies.study import read_study

        place = Path(folder)
        study = read_study(place)
        target = Path(out_dir) if out_dir is not None else None
        done = self._connection.run(lambda session: session.thaw(study, folder=place, out_dir=target))
        if done.problem:
            self._connection.session.emit(Warned(done.problem))
        return ThawResult(study, download_result_of(done.downloads), [one.url for one in done.gone])

    def cite(
        self,
        study: Path | str | None = None,
        *,
        collection: str | None = None,
        product_type: str | None = None,
        baseline: str | None = None,
    ) -> Citation:
        """How data is cited: `text` is a paragraph on its availability, `bibtex` has the DOIs.

        Args:
            study: the folder of a frozen study; None means what is here.
            collection: what of that is meant; None for all.
            product_type: product type; None for all.
            baseline: baseline, in any case; None for all.

        Raises:
            InvalidRequestError: the study is missing, cannot be trusted, or is given with names.
        """
        if study is not None:
            if collection or product_type or baseline:
                raise InvalidRequestError("A study is cited whole", "Leave the collection out.")
            from maap_tui.engine.studies.citing import Citation, of_study
            from maap_tui.engine.studies.study import read_study

            found = read_study(Path(study))
            return Citation(tuple(of_study(found)), found.frozen.date())
        keys = self._connection.session.registry.tracked_of(collection, product_type, baseline)
        return self._connection.run(lambda session: session.cite(keys))

    def needed_granules(self) -> dict[str, list[Path]]:
        """Ids of the granules that studies on this machine need, each with the folders of those studies."""
        from maap_tui.engine.studies.places import needed_granules

        return needed_granules(self._connection.session.dirs)


def _declared(
    products: Sequence[str],
    start: datetime | None,
    end: datetime | None,
    orbit: str | int | None,
    frames: Sequence[str] | None,
    title: str,
    authors: Sequence[str],
) -> Declaration:
    from maap_tui.engine.studies.declaration import Declaration, author_of, product_of

    demand_zones(start=start, end=end)
    given: Choices = {}
    for name, moment in (("start", start), ("end", end)):
        if moment is not None:
            given[name] = to_zulu(moment)
    if orbit is not None:
        given["orbit"] = str(orbit)
    if frames:
        given["frame"] = ",".join(map(str, frames))
    if not products:
        raise InvalidRequestError("A study needs products", 'Give products=["COLLECTION/PRODUCT:BASELINE"].')
    select = tuple(product_of(text, given) for text in products)
    return Declaration(title or ", ".join(products), select, tuple(map(author_of, authors)))
