"""The folder of a study: what stands in it, and how it is replaced.

A new one is made beside and renamed. In one that is there the files of the study are replaced as one; what a
person put beside them stays. Nothing is written where nothing but the date would change.
"""

from __future__ import annotations

import errno
import functools
import itertools
import os
import re
from collections.abc import Mapping
from pathlib import Path

from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.export import as_cell, as_row
from maap_tui.engine.integrity.sum_lists import sum_line
from maap_tui.engine.storage import files
from maap_tui.engine.studies import crate
from maap_tui.engine.studies.citing import availability, availability_text, bibtex, of_study
from maap_tui.engine.studies.replacing import Text, is_ours, replace_files, settle, written_beside
from maap_tui.engine.studies.study import COLUMNS, FILE_NAME, Study, StudyFile, is_study, read_study, text_of
from maap_tui.text import plural

SUMS = "SHA256SUMS"
TABLE = "files.csv"
AVAILABILITY = "data-availability.txt"
REFERENCES = "references.bib"
ADDURLS = "addurls.csv"

_ABOUT = {
    FILE_NAME: ("application/json", "All of the study, for `maap thaw`."),
    TABLE: ("text/csv", "The files, one line each."),
    SUMS: ("text/plain", "SHA-256 of each file, for sha256sum."),
    AVAILABILITY: ("text/plain", "A paragraph on the availability of the data."),
    REFERENCES: ("application/x-bibtex", "The DOIs of the products, for BibTeX."),
    ADDURLS: ("text/csv", "The files for `datalad addurls`."),
}
_DATED = re.compile(r' "(?:frozen|datePublished)": "[^"]*",|The list of files was made on .*')
"""The lines that have the date."""


def texts_of(study: Study, *, datalad: bool = False) -> dict[str, Text]:
    """The files of the folder, each with its text.

    Args:
        study: the study.
        datalad: whether the list for `datalad addurls` is among them.
    """
    cited = of_study(study)
    paragraphs = availability(cited, frozen=study.frozen.date(), listed=True)
    found = {
        TABLE: Text(lambda: itertools.chain([as_row(COLUMNS)], (as_row(_cells(one)) for one in study.files))),
        SUMS: Text(lambda: (f"{sum_line(one.sha256, one.path)}\n" for one in study.files)),
        AVAILABILITY: Text(lambda: [availability_text(paragraphs)]),
        REFERENCES: Text(lambda: [bibtex(cited)]),
    }
    if datalad:
        head = as_row(("url", "path", "key", "sha256", "size"))
        found[ADDURLS] = Text(lambda: itertools.chain([head], (as_row(_annexed(one)) for one in study.files)))
    found[FILE_NAME] = Text(lambda: text_of(study))
    listed = dict(found)
    found[crate.FILE_NAME] = Text(
        lambda: crate.crate_of(
            study, [crate.Beside(name, *_ABOUT[name], text.size) for name, text in listed.items()]
        )
    )
    return found


def _cells(one: StudyFile) -> list[object]:
    return [as_cell(value) for value in one.record().values()]


def _annexed(one: StudyFile) -> list[object]:
    """A line of the list for `datalad addurls '{url}' '{path}' --key 'et:{key}'`.

    The key has no extension: `et:` lets git-annex add what it keeps of a name, by its own rules.
    """
    return [one.url, one.path, f"SHA256-s{one.size}--{one.sha256}", one.sha256, one.size]


def has_addurls(folder: Path) -> bool:
    """Whether the study of a folder has the list for `datalad addurls`, which a new version then has too."""
    return is_study(folder) and os.path.lexists(folder / ADDURLS)


def check_folder(folder: Path, study: Study, *, force: bool) -> None:
    """Refuse a folder that holds something else than an earlier version of a study.

    Args:
        folder: where it is to go.
        study: what it is to be.
        force: whether another study may be replaced, and files of this one may go.

    Raises:
        InvalidRequestError: it would lose something.
    """
    if not os.path.exists(folder):
        return
    if not folder.is_dir():
        raise InvalidRequestError(f"{folder} is not a folder", "Name another one with -o.")
    if not is_study(folder):
        if not all(is_ours(one.name) for one in folder.iterdir()):
            raise InvalidRequestError(
                f"{folder} holds other files and not a study", "Name a new folder with -o."
            )
        return
    if force:
        return
    known = read_study(folder)
    if not known.is_of_same(study):
        raise InvalidRequestError(
            f"{folder} holds another study ({known.title[:80]})",
            "Name another folder with -o, or replace it with --force.",
        )
    here = {one.url: one.sha256 for one in study.files}
    lost = [one for one in known.files if here.get(one.url) != one.sha256]
    if lost:
        raise InvalidRequestError(
            f"{folder} would lose {plural(len(lost), 'file')} that it froze, such as {lost[0].name}: "
            "it is not here, is not meant any more, or has other bytes",
            "Name another folder with -o, or replace it with --force.",
        )


def write_study(folder: Path, texts: Mapping[str, Text]) -> bool:
    """Write the files of a study; returns False where nothing but the date would have changed.

    Args:
        folder: where; see `check_folder`.
        texts: see `texts_of`.

    Raises:
        StorageError: it cannot be written; what was there is there then, or the new files are completed by
            the next one who reads or writes them.
    """
    folder = Path(os.path.realpath(folder))
    if folder.is_dir():
        settle(folder)
        if is_study(folder) and all(_is_same(folder / name, text) for name, text in texts.items()):
            return False
        replace_files(folder, texts)
        return True
    if folder.is_symlink():
        raise files.storage_error(folder, OSError(errno.ELOOP, ""))
    files.make_folder(folder.parent)
    with written_beside(folder, folder.parent) as beside:
        for name, text in texts.items():
            text.write(beside / name)
        try:
            # An empty folder that came meanwhile gives way to it.
            os.replace(beside, folder)
        except OSError as error:
            raise files.storage_error(folder, error) from error
    files.fsync_folder(folder.parent)
    return True


def _is_same(file: Path, text: Text) -> bool:
    """Whether a file holds a text, but for the lines with the date."""
    try:
        with open(file, encoding="utf-8", newline="\n") as opened:
            there = Text(lambda: iter(functools.partial(opened.read, 1 << 16), "")).lines()
            return all(
                one == other or bool(one and other and _DATED.fullmatch(one) and _DATED.fullmatch(other))
                for one, other in itertools.zip_longest(there, text.lines())
            )
    except (OSError, ValueError):
        return False
