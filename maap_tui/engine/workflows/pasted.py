"""Pasted texts: what a URL, an id, a file name, a command line or the JSON of an item asks for.

A text is only read: nothing of it is run, and of a curl command nothing but the URLs is kept.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from maap_tui.engine.catalogue.stac import BadItem, granule_of, resolved
from maap_tui.engine.config.settings import DEFAULT_DAYS_BACK
from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.missions import MISSIONS, mission_of_collection, parse_name
from maap_tui.engine.model import Granule
from maap_tui.engine.overpass.units import read_distance
from maap_tui.engine.saved_searches import KINDS, NAMES, Choices
from maap_tui.engine.time_words import asked_time
from maap_tui.engine.workflows.url_list import read_lines

SWITCHES = frozenset(
    "--newest-first --all-versions --skip-disclaimed --use-catalog --registry-save --missing --since-last "
    "--count --registry --product-dir --dry-run --everything --json --quiet -q --log-times --verbose -v -vv "
    "--help -h".split()
)
"""Options of the commands that search, and those of all commands, that take no value."""

VERBS = ("search", "get", "download", "sync", "plan")
"""Commands that search."""

_SHORT = {"-s": "--start", "-e": "--end", "-d": "--days-back", "-n": "--max-items", "-u": "--url"}
_SENDS = re.compile(r"-[dFT]|--(data|form|json|upload)|-X(?!GET|HEAD)|--request(?!=(GET|HEAD))")
_NO_FILE = ("-e", "--referer", "-x", "--proxy", "--preproxy", "-A", "--user-agent", "-H", "--header")
"""Options of curl whose value may be a URL that is not fetched."""
_ITEM = re.compile(r"/collections/([^/?#]+)/items/([^/?#]+)")
_COMMENTS = re.compile(r"\A(\s*#[^\n]*(\n|\Z))+")
"""Lines above what is meant."""
_WRAPPED = "\"'`<>()[],;"


@dataclass(frozen=True, slots=True)
class PastedFile:
    """A file, or with no URL the file or granule of that name."""

    url: str
    name: str
    collection: str = ""
    """Where the text says it belongs; '' where it does not say it."""


@dataclass(frozen=True, slots=True)
class Pasted:
    """What a text asks for."""

    choices: Choices | None = None
    """The search that it becomes, without a collection where only the archive knows it; None for none."""
    granule: str = ""
    """The id of the one granule that this search is for; '' for a search that was given as one."""
    files: tuple[PastedFile, ...] = ()
    """What can be downloaded, each once."""
    left: tuple[str, ...] = ()
    """What was given that neither the search nor the download has."""
    problem: str = ""
    """Why nothing can be done with it, a sentence; '' when something can."""


def read(text: str) -> Pasted | None:
    """What a text asks for; None for one that is neither of these."""
    text = _COMMENTS.sub("", text).strip().removeprefix("$ ").lstrip()
    word = text.split(None, 1)[0] if text else ""
    if text[:1] in ("{", "["):
        return _read_json(text)
    if re.match(r"(\w+=\S*\s+)*maap\s+\S", text):
        return _read_maap(text)
    if word in ("curl", "wget"):
        return _read_curl(text)
    return _read_words(text)


def _read_words(text: str) -> Pasted | None:
    words: list[str] = []
    for line in text.splitlines():
        if not line.lstrip().startswith("#"):
            words += [line.strip()] if "|" in line else line.split()
    listed = read_lines("\n".join(word.strip(_WRAPPED) for word in words), "url")
    files = [_of_url(url) for url in listed.values]
    others = 0
    for _, word, _ in listed.refused:
        if parse_name(word) is not None:
            files.append(PastedFile("", word.rstrip("/").rsplit("/", 1)[-1]))
        else:
            others += 1
    if not files:
        return None
    return _of_files(files, [f"{others} of the words, which name no file"] if others else [])


def _of_url(url: str, collection: str = "") -> PastedFile:
    path = url.split("?", 1)[0].split("#", 1)[0]
    if (item := _ITEM.search(path)) is not None:
        return PastedFile("", unquote(item[2]), unquote(item[1]))
    return PastedFile(url, path.rstrip("/").rsplit("/", 1)[-1] or url, collection)


def _of_files(files: Iterable[PastedFile], left: Sequence[str] = ()) -> Pasted:
    """Files to fetch, with the search for their granule when they are all of one."""
    files = tuple(dict.fromkeys(files))
    choices: Choices | None = None
    granule = ""
    names = {name.stem: name for name in (parse_name(one.url or one.name) for one in files) if name}
    collections = {one.collection for one in files if one.collection}
    if len(names) == 1 and len(collections) <= 1:
        ((granule, name),) = names.items()
        choices = _choices_of(
            next(iter(collections), ""),
            name.mission,
            name.product_type,
            name.baseline or "",
            name.sensing_start,
            name.orbit,
            name.frame,
        )
    return Pasted(choices, granule, files, tuple(left))


def _choices_of(
    collection: str,
    mission: str,
    product_type: str,
    baseline: str,
    start: datetime,
    orbit: int | None,
    frame: str | None,
) -> Choices:
    """The search that finds a granule."""
    choices: Choices = {"collection": collection, "product": product_type, "baseline": baseline}
    rules = MISSIONS.get(mission)
    if rules is None or orbit is None or not rules.has_orbits or product_type in rules.unindexed:
        choices["date"] = f"{start:%Y-%m-%d}"
    else:
        letter = (frame or "") if rules.frames else ""
        choices["orbit"] = f"{orbit:0{rules.orbit_digits}d}{letter}"
        if frame and rules.frame_digits:
            choices["frame"] = frame
    if rules is not None and rules.keeps_newest(product_type):
        choices["all_versions"] = True
    return {name: value for name, value in choices.items() if value}


def _read_json(text: str) -> Pasted:
    files: list[PastedFile] = []
    granules: list[Granule] = []
    problems: list[str] = []
    try:
        for data in _objects(text):
            if isinstance(data.get("assets"), dict):
                granule = _granule(data)
                granules.append(granule)
                formats = MISSIONS[granule.mission].formats if granule.mission in MISSIONS else ()
                files += [
                    PastedFile(one.href, one.name, granule.collection) for one in granule.files(formats)
                ]
            elif isinstance(url := data.get("url"), str) and (found := [*read_lines(url, "url").values]):
                files.append(_of_url(found[0], _text(data, "collection")))
            else:
                problems.append("This JSON is neither an item nor a line of `maap search --json`.")
    except BadItem as error:
        return Pasted(problem=f"This item cannot be used: {error}.")
    except (ValueError, RecursionError):
        return Pasted(problem="This is not whole JSON; paste all of the object.")
    if not granules and not files:
        return Pasted(problem=(problems or ["This JSON holds no item."])[0])
    left = [f"{len(problems)} of the objects, which name no file"] if problems else []
    found_files = _of_files(files, left)
    if len(granules) != 1 or {one.collection for one in files} - {granules[0].collection}:
        return found_files
    one = granules[0]
    choices = _choices_of(
        one.collection,
        one.mission,
        one.product_type,
        "" if one.baseline == "none" else one.baseline,
        one.sensing_start,
        one.orbit,
        one.frame,
    )
    return Pasted(choices, one.id, found_files.files, found_files.left)


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """The objects of a text one after the other, those in lists and feature collections too."""
    decoder = json.JSONDecoder()
    at = 0
    while at < len(text):
        data, at = decoder.raw_decode(text, at)
        while at < len(text) and text[at] in " \t\r\n,":
            at += 1
        for one in data if isinstance(data, list) else [data]:
            if not isinstance(one, dict):
                raise ValueError("not an object")
            features = one.get("features")
            if isinstance(features, list):
                yield from (feature for feature in features if isinstance(feature, dict))
            else:
                yield one


def _granule(item: dict[str, Any]) -> Granule:
    collection = _text(item, "collection")
    name = parse_name(str(item.get("id", "")))
    mission = name.mission if name else ""
    if collection:
        mission = mission_of_collection(collection, mission).name
    return granule_of(resolved(item, ""), collection, mission)


def _text(data: dict[str, Any], key: str) -> str:
    value = data.get(key)
    return value if isinstance(value, str) else ""


def _lines(text: str) -> list[str]:
    """The lines of a script; a backslash at the end joins a line with the next one."""
    lines = re.sub(r"\\\r?\n", " ", text).splitlines()
    return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]


def _read_curl(text: str) -> Pasted:
    urls: list[str] = []
    for line in _lines(text):
        try:
            words = shlex.split(line)
        except ValueError:
            return Pasted(problem="A quote in this command is not closed.")
        before = ""
        for word in words:
            if _SENDS.match(word) or (before in ("-X", "--request") and word not in ("GET", "HEAD")):
                return Pasted(problem="This command sends data; only downloads can be taken from it.")
            if before not in _NO_FILE:
                urls += read_lines(word.removeprefix("--url="), "url").values
            before = word
    if not urls:
        return Pasted(problem="This command names no URL.")
    return _of_files(map(_of_url, urls))


@dataclass(slots=True)
class _Words:
    """What a `maap` command line holds."""

    names: list[str] = field(default_factory=list)
    given: dict[str, str] = field(default_factory=dict)
    """Long option -> its value, '' for a switch."""
    left: list[str] = field(default_factory=list)


def _read_maap(text: str) -> Pasted:
    line, *more = _lines(text)
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split, lexer.commenters = True, ""
    try:
        words = list(lexer)
    except ValueError:
        return Pasted(problem="A quote in this command is not closed.")
    found = _sorted_words(words[words.index("maap") + 1 :])
    if more:
        found.left.append(f"{len(more)} more lines" if len(more) > 1 else "one more line")
    verb, *names = found.names or [""]
    if verb not in VERBS:
        command = " ".join(("maap", *found.names[:1]))
        return Pasted(problem=f"`{command}` does not search; run it in a shell.")
    url = found.given.pop("--url", "") if verb == "download" else ""
    if url:
        listed = [*read_lines(url, "url").values]
        if not listed:
            return Pasted(problem="--url does not hold a URL.")
        return _of_files([_of_url(listed[0], names[0] if names else "")], [*found.left, *found.given])
    for option, what in (("--url-file", "URLs"), ("-f", "URLs"), ("--plan", "files")):
        if verb == "download" and option in found.given:
            return Pasted(problem=f"{option} names a file with {what}; paste what it holds.")
    return _search_of(verb, names, found)


def _sorted_words(words: list[str]) -> _Words:
    found = _Words()
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        if re.fullmatch(r"[|&;<>]+", word):
            found.left.append(f"what follows {word}")
            break
        if not word.startswith("-") or len(word) == 1:
            found.names.append(word)
            continue
        option, equals, value = word.partition("=")
        if not word.startswith("--"):
            is_joined = word[:2] in _SHORT and bool(word[2:])
            option, equals, value = (word[:2], "=", word[2:]) if is_joined else (word, "", "")
        option = _SHORT.get(option, option) if found.names else option
        if option not in SWITCHES and not equals and at < len(words):
            value = words[at]
            at += 1
        found.given[option] = value
    return found


def _search_of(verb: str, names: list[str], found: _Words) -> Pasted:
    if len(names) < 2 or len(names) > len(NAMES):
        if "--saved" in found.given and not names:
            return Pasted(problem=f"Type the name of the saved search here: {found.given['--saved']}.")
        return Pasted(problem=f"Write it as `maap {verb} COLLECTION PRODUCT [BASELINE]`.")
    choices: Choices = dict(zip(NAMES, names, strict=False))
    left = found.left
    for option, value in found.given.items():
        name = option[2:].replace("-", "_")
        is_text = name == "area" and not value.startswith(("/", "~"))  # or of a folder that nobody knows
        if name not in KINDS or name in NAMES or is_text:
            left.append(option)
        elif option in SWITCHES:
            choices[name] = True
        elif name in ("days_back", "max_items"):
            if not re.fullmatch(r"[1-9]\d{0,8}", value):
                return Pasted(problem=f"{option} must be a whole number, 1 or more.")
            choices[name] = int(value)
        elif not value:
            return Pasted(problem=f"{option} has no value.")
        elif name == "radius":
            try:
                choices[name] = f"{read_distance(value, option, most_km=20_000) / 1000:.10g}"
            except InvalidRequestError as error:
                return Pasted(problem=error.sentences)
        else:
            choices[name] = value
    if shelled := next((str(one) for one in choices.values() if re.search(r"[$`]", str(one))), ""):
        return Pasted(problem=f"Write out {shelled}: only a shell replaces it.")
    times = {name: found.given.get(f"--{name}") for name in ("date", "start", "end")}
    days = choices.get("days_back")
    try:
        asked_time(**times, days_back=days if isinstance(days, int) else None, now=datetime.now(UTC))
    except InvalidRequestError as error:
        return Pasted(problem=error.sentences)
    if "radius" in choices and "point" not in choices:
        return Pasted(problem="--radius needs --point.")
    if "bbox" in choices and "point" in choices:
        return Pasted(problem="--bbox cannot be used with --point.")
    if verb == "sync" and not {"date", "start", "end", "days_back"} & choices.keys():
        choices["days_back"] = DEFAULT_DAYS_BACK
    return Pasted(choices, left=tuple(dict.fromkeys(left)))
