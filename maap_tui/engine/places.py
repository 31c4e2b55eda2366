"""Where things are on disk: the folders of this user, and the path of every granule.

The only user of platformdirs. Names that came from a server or a user become part of a path here and nowhere
else: each is checked against an allow-list and refused, never repaired.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from maap_tui.engine.errors import InvalidRequestError, SettingsError, StorageError
from maap_tui.engine.missions import folder_of

if TYPE_CHECKING:
    from maap_tui.engine.settings import Settings

APP_NAME = "maap"
"""Folder name under the platform's data, cache, config and state folders."""
MAX_NAME = 255
"""Bytes a file system gives one name (NAME_MAX)."""
MAX_FILE_NAME = 240
"""Bytes a granule's name may have, so that its part and side files fit beside it."""

_NAME = re.compile(r"[A-Za-z0-9_+][A-Za-z0-9_.+-]*")
_UNWRITABLE = re.compile(r"[\x00-\x1f\x7f|\ud800-\udfff]")
_PART_NAME = re.compile(r"\.part(?:\.|$)", re.IGNORECASE)
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})")
_DAY = re.compile(r"(\d{4})/(\d\d)/(\d\d)", re.ASCII)


def expand_path(text: str, environ: Mapping[str, str]) -> Path:
    """Replace a leading `~` and every `$NAME` or `${NAME}` by what `environ` says.

    Raises:
        ValueError: A variable is not set; its name is the argument.
    """

    def value_of(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if name not in environ:
            raise ValueError(f"${name} is not set")
        return environ[name]

    text = _VARIABLE.sub(value_of, text.strip())
    if (text == "~" or text.startswith("~/")) and environ.get("HOME"):
        text = environ["HOME"] + text[1:]
    return Path(os.path.expanduser(text))


def absolute(path: Path) -> Path:
    """A path as it is from the root.

    Raises:
        InvalidRequestError: it is relative, and the working directory is gone.
    """
    try:
        return path.absolute()
    except OSError:
        raise InvalidRequestError(
            f"{_shown(str(path))} is a relative path, and the working directory is not there any more",
            "Change to a folder that exists, or give the whole path.",
        ) from None


def data_folder(path: Path) -> Path:
    """A folder for granules, absolute; its name has to fit into a line of the registry.

    Raises:
        InvalidRequestError: it cannot be written there, or is relative to a folder that is gone.
    """
    if _UNWRITABLE.search(str(path)):
        raise InvalidRequestError(
            f"{_shown(str(path))} cannot hold granules: it has a |, a line break or bytes that are not text",
            "Name another folder.",
        )
    return absolute(path)


def home(environ: Mapping[str, str]) -> Path | None:
    """The one folder that holds everything, or None when the platform's own folders are used.

    `MAAP_HOME` if it is set (it need not exist yet), else `~/.maap` if that folder exists, as in maap-client.
    """
    if given := environ.get("MAAP_HOME", "").strip():
        try:
            return absolute(expand_path(given, environ))
        except ValueError as error:
            raise SettingsError(f"MAAP_HOME: must be a path, got {error}") from None
    folder = Path(environ.get("HOME") or os.path.expanduser("~")) / ".maap"
    return folder if folder.is_dir() else None


def config_file(environ: Mapping[str, str]) -> Path:
    """The configuration file read when none is named; it need not exist."""
    base = home(environ)
    if base is None:
        import platformdirs

        base = platformdirs.user_config_path(APP_NAME, appauthor=False)
    return base / "config.toml"


@dataclass(frozen=True, slots=True)
class Places:
    """Where everything of this user is; nothing here need exist yet."""

    data_dir: Path
    """Root of the dated layout of granules."""
    catalog_dir: Path
    """Queryables, one file a collection; can be fetched again."""
    built_catalog_dir: Path
    """Built catalogues, one file a collection."""
    registry_dir: Path
    """Text files of what was discovered, downloaded and marked."""
    credentials_file: Path
    """The offline token, mode 0600."""
    state_dir: Path
    """Queue, locks, logs: deleting it loses no data and no registry line."""
    config_file: Path
    """The configuration file in use, or where it would be."""

    def queryables_file(self, collection: str) -> Path:
        """The local copy of a collection's queryables."""
        return self.catalog_dir / safe_name(f"{safe_name(collection)}_queryables.json")

    def built_catalog_file(self, collection: str) -> Path:
        """The built catalogue of a collection."""
        return self.built_catalog_dir / safe_name(f"{safe_name(collection)}_collection.json")

    @property
    def queue_file(self) -> Path:
        """The download queue, a sqlite3 database."""
        return self.state_dir / "queue.sqlite3"

    @property
    def journal_file(self) -> Path:
        """The journal of deletions, one line each."""
        return journal_file(self.state_dir)

    @property
    def access_token_file(self) -> Path:
        """The access token that this user's processes share, beside the credentials."""
        return self.credentials_file.with_name(self.credentials_file.name + ".access")

    def lock_file(self, target: Path) -> Path:
        """The lock that guards `target`, the same however its folder is spelled."""
        import hashlib

        # The folder alone is resolved: a rename replaces a link under the last name, not what it points to.
        spelled = os.path.join(os.path.realpath(absolute(target).parent), target.name)
        return self.state_dir / "locks" / (hashlib.sha256(os.fsencode(spelled)).hexdigest()[:32] + ".lock")

    def cache_file(self, name: str) -> Path:
        """A file that can be made again at any time."""
        return self.state_dir / "cache" / safe_name(name)


def journal_file(state_dir: Path) -> Path:
    """The journal of deletions in a state folder, one line each."""
    return state_dir / "deletions.jsonl"


def locate(settings: Settings, environ: Mapping[str, str]) -> Places:
    """Decide every place, absolute: what settings say, else under `home`, else the platform's folders."""
    base = home(environ)
    if base is not None:
        data = cache = config = base
        state = base / "state"
    else:
        import platformdirs

        data = platformdirs.user_data_path(APP_NAME, appauthor=False)
        cache = platformdirs.user_cache_path(APP_NAME, appauthor=False)
        config = platformdirs.user_config_path(APP_NAME, appauthor=False)
        state = platformdirs.user_state_path(APP_NAME, appauthor=False)
    paths = settings.paths
    try:
        data_dir = data_folder(paths.data_dir or data / "data")
    except InvalidRequestError as error:
        raise SettingsError(
            f"{settings.origin('paths.data_dir').text}: {error.message}", error.hint
        ) from None
    return Places(
        data_dir=data_dir,
        catalog_dir=absolute(paths.catalog_dir or cache / "catalogs"),
        # Built catalogues take many requests to make: not for a folder that cleaners empty.
        built_catalog_dir=absolute(paths.built_catalog_dir or data / "built_catalogs"),
        registry_dir=absolute(paths.registry_dir or data / "registry"),
        credentials_file=absolute(paths.credentials_file or config / "credentials.txt"),
        state_dir=absolute(paths.state_dir or state),
        config_file=absolute(settings.config_file),
    )


def safe_name(name: str) -> str:
    """Give back a name that is safe as one part of a path: letters, digits and `_ . + -`, at most 255 bytes.

    Raises:
        InvalidRequestError: It is anything else, starts with `.` or `-`, or is empty.
    """
    if not name:
        raise InvalidRequestError("refused an empty name")
    if len(name) > MAX_NAME:
        raise InvalidRequestError(f"refused the name {_shown(name)}: longer than {MAX_NAME} bytes")
    if not _NAME.fullmatch(name):
        raise InvalidRequestError(
            f"refused the name {_shown(name)}: only letters, digits and _ . + - are allowed,"
            " and no . or - in front"
        )
    return name


def safe_file_name(name: str) -> str:
    """Give back a name that is safe for a granule's file: a safe name with room for its part beside it.

    Raises:
        InvalidRequestError: It is not safe, longer than 240 bytes, or the name of another file's part.
    """
    safe_name(name)
    if len(name) > MAX_FILE_NAME:
        raise InvalidRequestError(f"refused the name {_shown(name)}: longer than {MAX_FILE_NAME} bytes")
    if _PART_NAME.search(name):
        raise InvalidRequestError(f"refused the name {_shown(name)}: .part is kept for unfinished files")
    return name


def _shown(name: str) -> str:
    """A hostile name as plain ASCII of bounded length."""
    shown = ascii(name[:200])
    return shown if len(shown) <= 100 else shown[:97] + "..."


def file_name_of(url: str) -> str:
    """The name of the file an http(s) address points to: its last path segment, checked.

    Raises:
        InvalidRequestError: There is none, or it is no safe file name.
    """
    # Addresses end up in line-based files, and parsers drop control characters unseen.
    if not url.isascii() or not url.isprintable() or " " in url:
        raise InvalidRequestError(f"refused the address {_shown(url)}: it holds spaces or control characters")
    scheme, found, rest = url.partition("://")
    if not found or scheme.lower() not in ("http", "https"):
        raise InvalidRequestError(f"refused the address {_shown(url)}: not an http(s) address")
    _, _, path = re.split(r"[?#]", rest, maxsplit=1)[0].partition("/")
    segment = path.rpartition("/")[2]
    if not segment:
        raise InvalidRequestError(f"refused the address {_shown(url)}: it names no file")
    if "%" in segment:
        # Decoded once: what is a slash or a percent sign then is refused by the allow-list.
        segment = unquote(segment, errors="surrogateescape")
    return safe_file_name(segment)


def granule_path(
    data_dir: Path,
    mission: str,
    collection: str,
    product_type: str,
    baseline: str,
    day: date,
    file_name: str,
    *,
    product_dir: bool = False,
    folder: str = "",
) -> Path:
    """Where a file goes: `{data_dir}/{mission}/{collection}/{product}/{baseline}/YYYY/MM/DD/{file}`.

    Args:
        data_dir: Root of the layout.
        mission: Mission folder, such as `EarthCARE`.
        collection: Collection id.
        product_type: Product type, such as `CPR_CLD_2A`.
        baseline: Baseline, such as `BC`.
        day: Day of the sensing start, UTC.
        file_name: Name of the file.
        product_dir: Whether a folder named after the file's stem comes between.
        folder: A folder that comes between in any case, named after the granule; '' for none.

    Raises:
        InvalidRequestError: A name is refused.
    """
    parts = [safe_name(part) for part in (mission, collection, product_type, baseline)]
    of_day = data_dir.joinpath(*parts, f"{day.year:04d}", f"{day.month:02d}", f"{day.day:02d}")
    return flat_path(of_day, file_name, product_dir=product_dir, folder=folder)


def flat_path(out_dir: Path, file_name: str, *, product_dir: bool = False, folder: str = "") -> Path:
    """Where a file goes when the user named the folder; `product_dir` and `folder` as in `granule_path`.

    Raises:
        InvalidRequestError: The name is refused.
    """
    name = safe_file_name(file_name)
    if folder:
        return out_dir / safe_name(folder) / name
    return out_dir / Path(name).stem / name if product_dir else out_dir / name


def collection_of(
    path: Path | str, known: Collection[str] | None = None
) -> tuple[str, str, str, date] | None:
    """Read collection, product type, baseline and day back from a path of the dated layout.

    Args:
        path: `.../{mission}/{collection}/{product}/{baseline}/YYYY/MM/DD/[stem/]file`, the stem that of
            the file or of its granule.
        known: Collections that count; None for any.

    Returns:
        The four, or None when the path is not of that layout.
    """
    parts = Path(path).parts
    for end in (len(parts) - 1, len(parts) - 2):
        # The folder between day and file only counts when it is named after the file or its granule.
        if end < 7 or (
            end == len(parts) - 2
            and parts[-2] != Path(parts[-1]).stem
            and parts[-2] != folder_of("/".join(parts[-2:]))
        ):
            continue
        found = _DAY.fullmatch("/".join(parts[end - 3 : end]))
        names = parts[end - 7 : end - 3]
        if not found or not all(_NAME.fullmatch(name) for name in names):
            continue
        try:
            day = date(int(found[1]), int(found[2]), int(found[3]))
        except ValueError:
            continue
        _, collection, product_type, baseline = names
        if known is None or collection in known:
            return collection, product_type, baseline, day
    return None


def ensure_under(root: Path, path: Path) -> Path:
    """Give back `path` with its folder resolved, which must lie in the resolved `root`, links included.

    Raises:
        StorageError: It leads out of the root, or a link goes in circles.
    """
    try:
        inside = root.resolve()
        folder = path.parent.resolve()
        with suppress(FileNotFoundError, NotADirectoryError):
            folder.stat()  # from Python 3.13 on resolve() says nothing of links that go in circles
    except (OSError, RuntimeError, ValueError) as error:
        raise StorageError(f"{_shown(str(path))} cannot be resolved: {error}") from error
    if path.name in ("", ".", "..") or not folder.is_relative_to(inside):
        raise StorageError(
            f"refused to write {_shown(str(path))}: it leads out of {root}",
            hint="A symbolic link in the data folder points elsewhere; remove it or name the real folder.",
        )
    return folder / path.name
