"""`STUDY.toml`: which files a study is about, in the words of the options of a search.

`[study]` has the title and the authors; `[select]` says what is meant, or the common part of it where tables
`[select.NAME]` say the rest. What is wrong is reported with its line.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from maap_tui.engine.config.toml_file import ConfigFile, load_file, shown
from maap_tui.engine.errors import InvalidRequestError, SettingsError
from maap_tui.engine.product_sets import FORM, read_product
from maap_tui.engine.saved_searches import KINDS, Choices
from maap_tui.engine.studies.study import Author
from maap_tui.engine.time_words import asked_time

WORDS = (
    "date", "start", "end", "orbit", "frame", "track", "bbox", "point", "radius", "area", "format",
    "all_versions",
)  # fmt: skip
"""Options of a search that a selection takes under their names."""
TIMES = ("date", "start", "end")

_STUDY_KEYS = ("title", "authors", "description", "license")
_SELECT_KEYS = ("products", "collection", "baseline", *WORDS)
_AUTHOR_KEYS = ("name", "orcid", "affiliation")
_ORCID = re.compile(r"(?:https?://orcid\.org/)?(\d{4}-\d{4}-\d{4}-\d{3}[\dX])/?")


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a study is to be."""

    title: str
    select: tuple[Choices, ...]
    """What is meant, one entry a product; times are absolute."""
    authors: tuple[Author, ...] = ()
    description: str = ""
    license: str = ""


def author_of(text: str) -> Author:
    """Read `Name`, or `Name <0000-0002-1825-0097>`.

    Raises:
        InvalidRequestError: it is neither.
    """
    found = re.fullmatch(r"\s*([^<>]+?)\s*(?:<\s*([^<>]*?)\s*>\s*)?", text)
    if found is None or not found[1].isprintable():
        raise InvalidRequestError(
            f"'{text[:60]}' is not an author", "Write Name, or Name <ORCID> with 0000-0002-1825-0097."
        )
    return Author(found[1], _orcid(found[2]) if found[2] else "")


def _orcid(text: str) -> str:
    found = _ORCID.fullmatch(text.strip())
    if found is None or not _is_checked(found[1]):
        raise InvalidRequestError(f"'{text[:60]}' is not an ORCID", "It looks like 0000-0002-1825-0097.")
    return found[1]


def _is_checked(orcid: str) -> bool:
    """Whether the last digit is that of ISO 7064 MOD 11-2."""
    total = 0
    for digit in orcid.replace("-", "")[:-1]:
        total = (total + int(digit)) * 2
    return "0123456789X"[(12 - total % 11) % 11] == orcid[-1]


def demand_absolute(choices: Mapping[str, object], now: datetime) -> None:
    """Refuse a time that is another one tomorrow: a study means the same whenever it is read.

    Raises:
        InvalidRequestError: it is relative, has no end, or cannot be read.
    """
    texts = {name: str(choices[name]) for name in TIMES if name in choices}
    first, later = (asked_time(**texts, now=one) for one in (now, now + timedelta(days=401)))  # type: ignore[arg-type]
    if first.get("missing"):
        raise InvalidRequestError("'missing' is for searches", "Leave the word out.")
    if first != later:
        name = next(iter(texts))
        raise InvalidRequestError(
            f"{name} = {texts[name][:40]!r} means another time tomorrow", "Give a start and an end."
        )


def read_declaration(file: Path, now: datetime) -> Declaration:
    """Read a file that declares a study.

    Args:
        file: the file.
        now: the clock, against which relative times are found.

    Raises:
        SettingsError: it cannot be read, or something in it is wrong; the message names the line.
    """
    source = load_file(file, missing_ok=False, kind="Study")
    for name in source.tables:
        if name not in ("study", "select"):
            raise _unknown(source, "", name, ("study", "select"), is_table=True)
    study = _table(source, "study")
    for key in study:
        if key not in _STUDY_KEYS:
            raise _unknown(source, "study", key, _STUDY_KEYS)
    texts = {}
    for key in ("title", "description", "license"):
        value = study.get(key, "")
        if not isinstance(value, str):
            raise _wrong(source, f"study.{key}", "a text in quotes", value)
        texts[key] = " ".join(value.split())
    if not texts["title"]:
        raise SettingsError(f"{source.location('study')}: [study] has no title", hint="Give it a title.")
    select = [choices for head, table in _selections(source) for choices in _read(source, head, table, now)]
    return Declaration(texts["title"], tuple(select), _authors(source, study), *list(texts.values())[1:])


def _authors(source: ConfigFile, study: Mapping[str, object]) -> tuple[Author, ...]:
    given = study.get("authors", [])
    if not isinstance(given, list):
        raise _wrong(source, "study.authors", "a list of authors", given)
    found = []
    for one in given:
        try:
            if isinstance(one, str):
                found.append(author_of(one))
                continue
            if not isinstance(one, Mapping) or not all(isinstance(value, str) for value in one.values()):
                raise InvalidRequestError("an author is a text, or { name = ..., orcid = ... }")
            if unknown := [key for key in one if key not in _AUTHOR_KEYS]:
                raise InvalidRequestError(
                    f"unknown key {unknown[0]!r}; the keys are {', '.join(_AUTHOR_KEYS)}"
                )
            author = author_of(one.get("name", ""))
            orcid = _orcid(one["orcid"]) if one.get("orcid") else author.orcid
            found.append(Author(author.name, orcid, one.get("affiliation", "")))
        except InvalidRequestError as error:
            raise SettingsError(f"{source.location('study.authors')}: {error.message}", error.hint) from None
    return tuple(found)


def _selections(source: ConfigFile) -> Iterable[tuple[str, Mapping[str, object]]]:
    """The selections with what is common to all of them, each with its head."""
    table = _table(source, "select")
    named = {name: one for name, one in table.items() if isinstance(one, Mapping)}
    common = {key: value for key, value in table.items() if key not in named}
    if not named:
        return [("select", common)]
    return [(f"select.{name}", {**common, **one}) for name, one in named.items()]


def _read(source: ConfigFile, head: str, table: Mapping[str, object], now: datetime) -> list[Choices]:
    def place_of(key: str) -> str:
        # A key that all selections share stands in the table above.
        own = source.location(f"{head}.{key}")
        return own if own != source.location(head) else source.location(f"select.{key}")

    for key in table:
        if key not in _SELECT_KEYS:
            raise _unknown(source, head, key, _SELECT_KEYS, place_of(key))
    given: Choices = {}
    for key, value in table.items():
        if key in ("products",):
            continue
        read, form = KINDS[key]
        found = read(value)
        if found is None:
            raise SettingsError(f"{place_of(key)}: {key} must be {form}, got {shown(value)}")
        if found is not False:
            given[key] = found
    if area := given.get("area"):
        given["area"] = _area(source, str(area))
    products = table.get("products")
    if not isinstance(products, list) or not products or not all(isinstance(one, str) for one in products):
        raise SettingsError(
            f"{place_of('products')}: {head} needs products, a list of texts, each {FORM}",
            hint='For example products = ["CPR_CLD_2A:BC"].',
        )
    try:
        demand_absolute(given, now)
    except InvalidRequestError as error:
        key = next((name for name in TIMES if name in given), "products")
        raise SettingsError(f"{place_of(key)}: {error.message}", error.hint) from None
    try:
        return [product_of(text, given) for text in products]
    except InvalidRequestError as error:
        raise SettingsError(f"{place_of('products')}: {error.message}", error.hint) from None


def product_of(text: str, given: Choices) -> Choices:
    """The choices of one product of a selection.

    Args:
        text: `[COLLECTION/]PRODUCT[:BASELINE]`.
        given: what all products of the selection share.

    Raises:
        InvalidRequestError: it is not one, or names no collection.
    """
    one = read_product(text, "a product")
    collection = one.collection or given.get("collection", "")
    if not collection:
        raise InvalidRequestError(
            f"'{text[:60]}' names no collection", "Give collection = ..., or COLLECTION/PRODUCT."
        )
    choices: Choices = {"collection": collection, "product": one.product_type}
    if baseline := one.baseline or given.get("baseline"):
        choices["baseline"] = baseline
    return choices | {key: given[key] for key in WORDS if key in given}


def _area(source: ConfigFile, text: str) -> str:
    """The path of an area, from the folder of the file that names it."""
    if text.lstrip().startswith("{"):
        return text
    return str(source.file.absolute().parent / Path(text).expanduser())


def _table(source: ConfigFile, name: str) -> Mapping[str, object]:
    value = source.tables.get(name, {})
    if not isinstance(value, Mapping):
        raise _wrong(source, name, f"a table [{name}]", value)
    if name not in source.tables:
        raise SettingsError(f"{source.location(name)}: there is no [{name}]", hint="See docs/studies.md.")
    return value


def _wrong(source: ConfigFile, key: str, form: str, value: object) -> SettingsError:
    return SettingsError(f"{source.location(key)}: {key} must be {form}, got {shown(value)}")


def _unknown(
    source: ConfigFile, head: str, key: str, known: Sequence[str], where: str = "", *, is_table: bool = False
) -> SettingsError:
    near = difflib.get_close_matches(key, known, n=1)
    more = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(known)}"
    where = where or source.location(f"{head}.{key}".lstrip("."))
    what = "unknown entry" if is_table else "unknown key"
    return SettingsError(f"{where}: {what} {key!r}{f' in [{head}]' if head else ''}{more}")
