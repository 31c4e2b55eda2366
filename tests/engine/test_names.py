"""One rule for names and URLs: whoever is asked, the answer is the same, and no other module has a rule."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

import maap_tui
from maap_tui.engine.catalogue.index import Known
from maap_tui.engine.catalogue.stac import BadItem, granule_of
from maap_tui.engine.config.dirs import data_folder
from maap_tui.engine.config.loading import load
from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.missions import mission_named, mission_of_collection
from maap_tui.engine.query import Query
from maap_tui.engine.registry.baseline import BaselineRegistry
from maap_tui.engine.registry.entries import Key, TrackedFile
from maap_tui.engine.registry.registry import Registry
from maap_tui.engine.storage import names
from maap_tui.engine.storage.layout import collection_of, granule_path
from maap_tui.tui.screens.search.terms import Terms, read_terms

PACKAGE = Path(maap_tui.__file__).parent
DAY = date(2025, 3, 14)
COLLECTION = "EarthCAREL2Validated_MAAP"

GOOD = ["_x", "+x", "x", "1B16", "a.", "a..b", "A+b-c.d_e", "none", "x" * 33, "_" * 65, "x" * 128]
BAD = [
    *("", ".", "..", "../x", "a/b", "a\\b", "~x", "-x", ".x", "a b", "a\tb", "a\nb", "a\0b", "é", "a\u202eb"),
    *("a|b", "a'b", 'a"b', "a;b", "a$b", "a%2fb", "a?b", "a#b", "a@b", "a*b", "a\x85b", "\u0663", "\ud800"),
    "x" * 129,
]


def item(changes: dict[str, Any], href: str = "https://host/some.h5") -> dict[str, Any]:
    properties = {"start_datetime": "2025-03-14T00:00:00Z", **changes}
    return {"id": "somebody-s-own-name", "properties": properties, "assets": {"a": {"href": href}}}


def typed(terms: Terms) -> Query | None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return read_terms(terms, Known(), mission_of=mission_of_collection, now=now, default_maximum=100).query


def from_settings(name: str, tmp_path: Path) -> bool:
    load(None, {"HOME": str(tmp_path)}, {"mission.name": name})
    return name != ""  # the empty name leaves it to the collection


def from_list_of_settings(name: str, tmp_path: Path) -> bool:
    found = load(None, {"HOME": str(tmp_path)}, {"mission.collections": [name]})
    return found.mission.collections == (name,)


def as_mission(name: str, tmp_path: Path) -> bool:
    return mission_named(name).name == name


def as_key(name: str, tmp_path: Path) -> bool:
    return all(Key(*[name if place == at else "x" for place in range(4)]) for at in range(4))


def as_folder(name: str, tmp_path: Path) -> bool:
    path = granule_path(tmp_path, name, name, name, name, DAY, "a.h5")
    return path.is_relative_to(tmp_path / name)


def as_folder_read_back(name: str, tmp_path: Path) -> bool:
    path = f"/data/{name}/{name}/{name}/{name}/2025/03/14/a.h5"
    return collection_of(path) == (name, name, name, DAY)


def as_folder_of_the_registry(name: str, tmp_path: Path) -> bool:
    try:
        (tmp_path / "downloads" / name / name / name / name).mkdir(parents=True)
    except (OSError, ValueError):
        return False
    return Key(name, name, name, name) in Registry(tmp_path).tracked()


def as_baseline_that_is_searched(name: str, tmp_path: Path) -> bool:
    return Query(COLLECTION, "CPR_CLD_2A", name).baseline == name


def as_baseline_that_is_typed(name: str, tmp_path: Path) -> bool:
    found = typed(Terms(collection=COLLECTION, product_type="CPR_CLD_2A", baseline=name))
    return found is not None and found.baseline == name


def as_names_of_an_item(name: str, tmp_path: Path) -> bool:
    granule = granule_of(item({"product:type": name, "version": name}), COLLECTION, "EarthCARE")
    return (granule.product_type, granule.baseline) == (name, name.upper())


FOLDERS = [
    from_settings,
    from_list_of_settings,
    as_mission,
    as_key,
    as_folder,
    as_folder_read_back,
    as_folder_of_the_registry,
    as_baseline_that_is_searched,
    as_baseline_that_is_typed,
    as_names_of_an_item,
]


def takes(ask: Callable[[str, Path], bool], name: str, tmp_path: Path) -> bool:
    try:
        return ask(name, tmp_path)
    except InvalidRequestError:
        return False


@pytest.mark.parametrize("ask", FOLDERS)
@pytest.mark.parametrize(("listed", "expected"), [(GOOD, True), (BAD, False)], ids=["good", "bad"])
def test_all_who_ask_for_a_name_get_the_same_answer(
    ask: Callable[[str, Path], bool], listed: list[str], expected: bool, tmp_path: Path
) -> None:
    assert [name for name in listed if takes(ask, name, tmp_path) is not expected] == []


def as_collection_that_is_searched(name: str, tmp_path: Path) -> bool:
    return Query(name, "CPR_CLD_2A").collection == name


def as_product_that_is_searched(name: str, tmp_path: Path) -> bool:
    return Query(COLLECTION, name).product_type == name


def as_names_that_are_typed(name: str, tmp_path: Path) -> bool:
    found = typed(Terms(collection=name, product_type=name))
    return found is not None and (found.collection, found.product_type) == (name, name)


@pytest.mark.parametrize(
    "ask", [as_collection_that_is_searched, as_product_that_is_searched, as_names_that_are_typed]
)
def test_all_who_ask_what_may_be_searched_get_the_same_answer(
    ask: Callable[[str, Path], bool], tmp_path: Path
) -> None:
    assert [name for name in [*GOOD, "urn:x:y", "a:"] if not takes(ask, name, tmp_path)] == []
    assert [name for name in [*BAD, ":", ":a"] if takes(ask, name, tmp_path)] == []


LINE_URLS = [
    "https://host/a.h5",
    "http://host:1/a.h5?x=1&y=%20",
    "https://host/a^b{c}.h5",
    "https://u@host/a.h5",
]
CLEAN_URLS = LINE_URLS[:2]
BAD_URLS = [
    *("", "ftp://host/a.h5", "host/a.h5", "https://", "https://host/a b.h5", "https://host/a|b.h5"),
    *("https://host/a\n.h5", "https://host/\x00a.h5", "https://host/é.h5", "https://host/a\x85.h5"),
    "https://host/" + "a" * 8192,
]


PLAIN = Key("M", "C", "P", "B")


def line_takes(url: str, tmp_path: Path) -> bool:
    added = BaselineRegistry(tmp_path, PLAIN).add([TrackedFile(PLAIN, DAY, url)])
    return not added.refused


def item_takes(url: str, tmp_path: Path) -> bool:
    try:
        return granule_of(item({}, url), COLLECTION, "EarthCARE").assets[0].href == url
    except BadItem:
        return False


def test_what_an_item_may_name_is_what_the_registry_can_keep(tmp_path: Path) -> None:
    every = [*LINE_URLS, *BAD_URLS]
    assert [url for url in every if line_takes(url, tmp_path)] == LINE_URLS
    assert [url for url in every if item_takes(url, tmp_path)] == CLEAN_URLS
    assert [url for url in every if not names.url_fault(url)] == LINE_URLS
    assert [url for url in every if names.is_clean_url(url)] == CLEAN_URLS


@pytest.mark.parametrize(
    "part", ["a|b", "a\nb", "a\x85b", "a\u2028b", "a\x1bb", "a\udc80b", "a b", "é", "a^b"]
)
def test_a_data_folder_is_one_that_the_registry_can_keep(part: str, tmp_path: Path) -> None:
    try:
        is_folder = data_folder(tmp_path / part) == tmp_path / part
    except InvalidRequestError:
        is_folder = False
    entry = TrackedFile(PLAIN, DAY, "https://host/a.h5", str(tmp_path / part / "a.h5"))
    added = BaselineRegistry(tmp_path, PLAIN).add([entry])
    assert is_folder == (not added.refused) == (part in ("a b", "é", "a^b"))


OTHER_RULES = {
    r"https?://[A-Za-z0-9.:-]+/": "as much of a URL as says its origin",
    r"https?://[a-z0-9.:-]+(/(?!\.)[A-Za-z0-9_~,;=+@$!*():.-]*)+": "an address already normalised",
    r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_.])?": "a host name of a proxy",
    r"\[[\w .-]+\]": "a heading in a file of credentials",
}


def rules_of(source: str) -> list[str]:
    """Texts of a module that are a rule for names or for URLs: a class of letters with `.` and `_`."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
            text = node.value if isinstance(node.value, str) else node.value.decode("latin-1")
            classes = re.findall(r"\[((?:\\.|[^\]\\])+)\]", text)
            letters = [one for one in classes if "A-Za-z" in one or "a-zA-Z" in one or "\\w" in one]
            if any("." in one and ("_" in one or "\\w" in one) for one in letters) or "://[" in text:
                found.append(text)
    return found


def test_no_other_module_has_a_rule_for_names_or_urls() -> None:
    wrong = [
        f"{file.relative_to(PACKAGE)}: {rule}"
        for file in sorted(PACKAGE.rglob("*.py"))
        if file != Path(names.__file__) and "demo" not in file.relative_to(PACKAGE).parts
        for rule in rules_of(file.read_text(encoding="utf-8"))
        if rule not in OTHER_RULES
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "source", ['re.compile(r"[A-Za-z0-9_+][A-Za-z0-9_.+-]*")', 'X = r"[\\w.+-]+"', 'rb"https?://[!-~]+"']
)
def test_a_rule_for_names_or_urls_is_found(source: str) -> None:
    assert rules_of(source)
