"""The one interface every mission fills in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from maap_tui.engine.file_names import FORMAT_NAMES, FileName

_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class Product(NamedTuple):
    """A product type as the mission's handbook describes it."""

    short: str
    """Short name, such as A-NOM; '' when there is none."""
    level: str
    instrument: str
    content: str
    """What is inside, in a few words."""


class Repeat(NamedTuple):
    """After how long a satellite flies the same ground tracks again."""

    days: int
    orbits: int


class OrbitFiles(NamedTuple):
    """Where the archive has the orbit of a satellite."""

    collection: str
    predicted: str
    """Product type of the files of its states some weeks ahead."""
    scenario: str
    """Product type of the files of the orbit that is planned."""


class Observation(NamedTuple):
    """What a granule observed, the same in every baseline and processing of one product."""

    label: str
    """What names it in file names, `07655C`; '' where nothing but its times distinguishes it."""
    is_unique: bool = False
    """Whether no other observation has this label, so that the sensing start need not agree."""


def _by_orbit_and_frame(name: FileName) -> Observation:
    if name.orbit is None:
        return Observation("")
    return Observation(f"{name.orbit:05d}{name.frame or ''}", is_unique=bool(name.frame))


def _know_no_name(name: str, url: str) -> FileName | None:
    return None


def _by_creation(name: FileName) -> tuple[tuple[object, ...], tuple[Any, ...]]:
    key = (name.product_type, name.baseline, name.sensing_start, name.orbit, name.frame)
    return key, (name.created or datetime.min.replace(tzinfo=UTC), name.stem)


class Mission(NamedTuple):
    """Everything the program has to know of one mission."""

    name: str
    """Also the folder under data_dir and the registry."""
    formats: tuple[str, ...]
    """Formats taken when the user names none, best first."""
    all_formats: tuple[str, ...] = FORMAT_NAMES
    """Formats that its products come in, for help and messages."""
    collections: tuple[str, ...] = ()
    """Its collections at the archive, in the order they are listed."""
    prefixes: tuple[str, ...] = ()
    """Starts of collection names that belong to it."""
    start: datetime = datetime(1990, 1, 1, tzinfo=UTC)
    """First sensing time there can be."""
    starts: Mapping[str, datetime] = _NOTHING
    """The same for collections that begin earlier."""
    end: datetime = datetime(2046, 1, 1, tzinfo=UTC)
    """First moment after the mission."""
    is_known: bool = True
    """Whether its rules are its own; False for the generic rules of a mission this program does not know."""
    frames: str = ""
    """Letters of its frames; '' when it has none."""
    frame_digits: int = 0
    """Digits of its frames where they are numbers; 0 when they are not."""
    track_digits: int = 0
    """Digits of the numbers of its repeating ground tracks; 0 when it has none."""
    has_orbits: bool = True
    """Whether names or items say the absolute orbit."""
    orbit_digits: int = 5
    has_folders: bool = False
    """Whether a granule is a folder of files, which it then is here as well."""
    products: Mapping[str, Product] = _NOTHING
    repeat: Repeat | None = None
    """Its repeat cycle; None where it has none, or changes it."""
    no_repeat: str = ""
    """Why it has none, as a sentence goes on after its name; '' where nothing is known of one."""
    orbit_files: OrbitFiles | None = None
    """None where the archive has none."""
    frame_at: Callable[[float, bool], tuple[str, int]] | None = None
    """(latitude, whether it ascends) -> frame, and what is added to the number of the node's orbit."""
    track_product: tuple[str, str] = ("", "")
    """Collection and product type whose granules have every ground track; '' where none has."""
    unindexed: frozenset[str] = frozenset()
    """Product types that the archive cannot search by orbit or area."""
    newest_only: frozenset[str] = frozenset()
    """Product types with several versions a granule, of which only the newest is of use."""
    has_versions: bool = False
    """Whether that holds for all of its product types."""
    version_of: Callable[[FileName], tuple[tuple[object, ...], tuple[Any, ...]]] = _by_creation
    """Name -> (what it is a version of, its rank among the versions, the greatest of which is the newest)."""
    observation_of: Callable[[FileName], Observation] = _by_orbit_and_frame
    """Name -> what it observed, for what has to find the same observation in another baseline."""
    start_tolerance: timedelta = timedelta(seconds=60)
    """How far apart the processings of one observation begin, and end, at most, where the times decide."""
    parse: Callable[[str, str], FileName | None] = _know_no_name
    """(file name or id, URL it came from) -> what it says, or None; it compiles its patterns at the first."""
    orbit_time: Callable[[int], datetime] | None = None
    """About when an orbit was flown, within two days; None when orbits do not say it."""

    @property
    def has_frames(self) -> bool:
        """Whether granules have frames, lettered or numbered."""
        return bool(self.frames or self.frame_digits)

    def keeps_newest(self, product_type: str) -> bool:
        """Whether older versions of a granule are left out."""
        return self.has_versions or product_type in self.newest_only

    def owns(self, collection: str) -> bool:
        return collection in self.collections or collection.startswith(self.prefixes or ("\0",))
