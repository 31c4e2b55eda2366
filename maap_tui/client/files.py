"""Data files read in parts: cut out of them, or opened where they are."""

from __future__ import annotations

import functools
import pickle
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from maap_tui.client.arguments import span_of
from maap_tui.client.connection import Connection
from maap_tui.engine.apart import demand
from maap_tui.engine.cuts.file import BLOCK_SIZE, RemoteReader
from maap_tui.engine.cuts.request import Cut, CutEstimate, CutResult
from maap_tui.engine.errors import InvalidRequestError, MaapError
from maap_tui.engine.model import Granule
from maap_tui.engine.query import Box, Circle
from maap_tui.engine.session import Session
from maap_tui.engine.storage.places import demand_file

if TYPE_CHECKING:
    from maap_tui.engine.cuts.stretches import Stretch
    from maap_tui.engine.workflows.cut import Source


class Files:
    """The part of MaapClient that reads parts of files."""

    _connection: Connection

    def cut(
        self,
        granule: Granule | str,
        out: Path | str,
        *,
        variables: Sequence[str] = (),
        around: tuple[float, float] | None = None,
        km: float = 50.0,
        bbox: tuple[float, float, float, float] | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        collection: str = "",
        whole: bool = False,
    ) -> CutResult:
        """Write variables or a region of a data file into a netCDF-4 file; only what that needs is fetched.

        Args:
            granule: one of a search, or its id; the name or the address of a file of it; or a file here.
            out: the result, which takes the place of a file there once it is whole.
            variables: names, or paths such as `ScienceData/latitude`; () for all. Those that say where and
                when their points are come along.
            around: latitude and longitude, degrees, that points are near to.
            km: how near, kilometres.
            bbox: west, south, east, north in degrees that points are in; west > east crosses 180 degrees.
            start: the first time of a point, with a zone; None for the first there is.
            end: the last one, included; None for the last there is.
            collection: where the granule is; '' finds it.
            whole: whether to fetch the whole file where the server sends no parts of it.

        Raises:
            NothingInsideError: no point is inside; nothing was written.
            InvalidRequestError: the file does not have what is asked for, or cannot be read.
            DownloadError: the archive does not send it in parts, or not now.
            StorageError: the result cannot be written.
        """
        wanted = _wanted(variables, around, km, bbox, start, end)
        target = demand_file(out).expanduser()

        async def work(session: Session) -> CutResult:
            source = await _source(session, granule, collection)
            command = wanted.command(source.granule or source.name)
            return await session.cut(source, wanted, target, command=command, whole=whole)

        return self._connection.run(work)

    def estimate_cut(
        self,
        granule: Granule | str,
        *,
        variables: Sequence[str] = (),
        around: tuple[float, float] | None = None,
        km: float = 50.0,
        bbox: tuple[float, float, float, float] | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        collection: str = "",
        whole: bool = False,
    ) -> CutEstimate:
        """What `cut` would fetch and keep; reads headers, positions and times. The rest is as there.

        Where the server sends no parts of the file, `whole` says that all of it would be fetched, and no
        variables are known.
        """
        wanted = _wanted(variables, around, km, bbox, start, end)

        async def work(session: Session) -> CutEstimate:
            return await session.estimate_cut(
                await _source(session, granule, collection), wanted, whole=whole
            )

        return self._connection.run(work)

    def open(self, granule: Granule | str, *, collection: str = "", block_size: int = BLOCK_SIZE) -> BinaryIO:
        """Open a data file to read parts of it, here or at the archive.

        What it gives reads, seeks and closes as any binary file, and as those of fsspec; h5py, h5netcdf and
        xarray take it. At the archive it asks for ranges with the access token, keeps the blocks that were
        read last, and raises a DownloadError where the file was replaced meanwhile.

        Args:
            granule: one of a search, or its id; the name or the address of a file of it; or a file here.
            collection: where the granule is; '' finds it.
            block_size: bytes that are asked for at least.

        Raises:
            InvalidRequestError: the file does not exist, or `block_size` is not a number of bytes.
            DownloadError: the archive does not send it in parts, or not now.
        """
        found = self._opened(granule, collection, block_size)
        return found.open("rb") if isinstance(found, Path) else cast(BinaryIO, found)

    def _opened(
        self, granule: Granule | str, collection: str, block_size: int = BLOCK_SIZE
    ) -> Path | RemoteReader:
        """The path of a data file that is here, or one at the archive opened; errors as `open`."""
        if not isinstance(block_size, int) or block_size < 1:
            raise InvalidRequestError(
                f"block_size is {block_size!r:.40}", "Give a whole number of bytes, 1 or more."
            )
        connection = self._connection
        head = bytearray()

        def begin(at: int, data: bytes) -> None:
            head[at : at + len(data)] = data

        async def find(session: Session) -> tuple[Source, tuple[int, str, str]]:
            from maap_tui.engine.cuts.remote import NoRangesError
            from maap_tui.engine.workflows.cut import remote_file

            source = await _source(session, granule, collection)
            if source.path is not None:
                return source, (0, "", "")
            remote = remote_file(session, source)
            try:
                await remote.open(begin, block_size)
            except NoRangesError as error:
                error.hint = "Download the whole file, and open it here."
                raise
            return source, remote.version

        source, version = connection.run(find)
        if source.path is not None:
            return source.path
        ranges = _Ranges(connection, source, version)
        return RemoteReader(source.url, version[0], ranges, block_size=block_size, head=bytes(head))

    def open_dataset(
        self, granule: Granule | str, *, group: str = "ScienceData", collection: str = "", **options: Any
    ) -> Any:
        """Open a data file as an xarray.Dataset whose values come when they are used.

        Args:
            granule: as `open`.
            group: the group of the file with the variables; '' for its root.
            collection: where the granule is; '' finds it.
            options: for `xarray.open_dataset`, such as `chunks`.

        Raises:
            InvalidRequestError: the file or the group does not exist, the file is not HDF5, or xarray and
                h5netcdf are not installed.
            DownloadError: as `open`.
        """
        demand("xarray", "xarray", "A dataset")
        demand("h5netcdf", "xarray", "A dataset")
        import xarray

        file = self._opened(granule, collection)
        given = {"engine": "h5netcdf", "group": group or None, **options}
        name = file.name.rpartition("/")[2]
        try:
            if given["engine"] == "h5netcdf":
                _demand_hdf5(file, name)
                # Products without dimension scales have dimensions of a length only, which get own names.
                given.setdefault("phony_dims", "sort")
            return xarray.open_dataset(file, **given)
        except MaapError:
            raise
        except OSError as error:
            # Libraries give a sentence in the place of the number.
            said = error.strerror if isinstance(error.errno, int) else error.args[0]
            words = " ".join(str(said).split())[:200]
            raise InvalidRequestError(f"{name} cannot be opened as a dataset: {words}") from error


def _demand_hdf5(file: Path | RemoteReader, name: str) -> None:
    """Refuse a file of a classic netCDF format, of which the engine for HDF5 says less.

    Raises:
        InvalidRequestError: it is one.
    """
    from maap_tui.engine.netcdf import is_classic

    if isinstance(file, Path):
        with file.open("rb") as opened:
            head = opened.read(8)
    else:
        head = file.read(8)
        file.seek(0)
    if is_classic(head):
        raise InvalidRequestError(
            f"{name} is of a classic netCDF format; HDF5 and netCDF-4 can be opened",
            "Give another engine, or download it and open it with xarray.",
        )


class _Ranges:
    """Asks for ranges of one version of a file; pickled with the settings, and without a token."""

    def __init__(self, connection: Connection, source: Source, version: tuple[int, str, str]) -> None:
        self._connection = connection
        self._source = source
        self._version = version

    def __call__(self, stretches: Sequence[Stretch], take: Callable[[int, bytes], None]) -> None:
        async def work(session: Session) -> None:
            from maap_tui.engine.cuts.remote import ChangedError
            from maap_tui.engine.workflows.cut import remote_file

            try:
                await remote_file(session, self._source, self._version).read(stretches, take)
            except ChangedError as error:
                error.hint = "Open it again."
                raise

        self._connection.run(work)

    def __reduce__(self) -> tuple[Any, ...]:
        # Who listens is here, and may be what cannot be pickled.
        state = {**self._connection.__getstate__(), "on_event": None, "_shows_progress": False}
        return _ranges_of, (pickle.dumps(state), self._source, self._version)


def _ranges_of(state: bytes, source: Source, version: tuple[int, str, str]) -> _Ranges:
    return _Ranges(_connection_of(state), source, version)


@functools.lru_cache(maxsize=16)
def _connection_of(state: bytes) -> Connection:
    """One for all files of a client that arrive in this process: each has a thread and connections."""
    connection = Connection.__new__(Connection)
    connection.__setstate__(pickle.loads(state))
    return connection


def _wanted(
    variables: Sequence[str],
    around: tuple[float, float] | None,
    km: float,
    bbox: tuple[float, float, float, float] | None,
    start: datetime | None,
    end: datetime | None,
) -> Cut:
    names = (variables,) if isinstance(variables, str) else tuple(variables)
    circle = None if around is None else Circle(*around, km)
    box = None if bbox is None else Box(*bbox)
    return Cut(names, circle, box, span_of(start, end))


async def _source(session: Session, granule: Granule | str, collection: str) -> Source:
    from maap_tui.engine.workflows.cut import source_of_granule

    if isinstance(granule, Granule):
        return await source_of_granule(session, granule)
    return await session.cut_source(str(granule), collection)
