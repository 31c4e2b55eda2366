"""A study as an RO-Crate 1.2 (https://w3id.org/ro/crate/1.2): `ro-crate-metadata.json`.

The lists of the folder are data entities of the crate; the files of the archive are web-based ones, with
their size and SHA-256.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from maap_tui.engine.model import to_zulu
from maap_tui.engine.studies.citing import RESOLVER, of_study
from maap_tui.engine.studies.study import Author, Study, StudyFile
from maap_tui.text import format_bytes, plural

FILE_NAME = "ro-crate-metadata.json"
VERSION = "https://w3id.org/ro/crate/1.2"

_KINDS = {
    "h5": "application/x-hdf5",
    "nc": "application/netcdf",
    "tiff": "image/tiff",
    "zip": "application/zip",
    "hdr": "application/xml",
    "eof": "application/xml",
    "xml": "application/xml",
}
"""Media types by the end of a name."""


class Beside(NamedTuple):
    """Another file of the folder."""

    name: str
    kind: str
    """Its media type."""
    what: str
    """What it is, in words."""
    size: int
    """Bytes."""


def crate_of(study: Study, beside: Sequence[Beside]) -> Iterator[str]:
    """The text of the metadata file, in parts.

    Args:
        study: the study.
        beside: the other files of the folder.
    """
    people = [_person(number, one) for number, one in enumerate(study.authors, 1)]
    dois = {doi: one.title for one in of_study(study) for doi in (one.doi, *one.also) if doi}
    places = {
        one["@id"]: one
        for author in study.authors
        if author.affiliation
        for one in [_place(author.affiliation)]
    }
    licence = study.license or "The terms of the archive hold for the files that are listed; see their DOIs."
    is_address = licence.startswith(("https://", "http://"))
    about = study.description or f"The files that were used for: {study.title}"
    summary = f"{plural(len(study.files), 'file')} of ESA's MAAP archive, {format_bytes(study.size)}."
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": study.title,
        "description": f"{about.rstrip('.')}. {summary}",
        "datePublished": to_zulu(study.frozen),
        "license": {"@id": licence} if is_address else licence,
        **_linked("author", list(dict.fromkeys(one["@id"] for one in people))),
        **_linked("citation", [f"{RESOLVER}{doi}" for doi in sorted(dois)]),
        "hasPart": [{"@id": one.name} for one in beside],
    }
    graph: list[dict[str, Any]] = [
        {
            "@id": FILE_NAME,
            "@type": "CreativeWork",
            "about": {"@id": "./"},
            "conformsTo": {"@id": VERSION},
        },
        root,
        *people,
        *places.values(),
        *(
            {"@id": f"{RESOLVER}{doi}", "@type": "CreativeWork", "name": title, "identifier": doi}
            for doi, title in sorted(dois.items())
        ),
    ]
    if is_address:
        graph.append(
            {"@id": licence, "@type": "CreativeWork", "name": licence, "description": "Terms of this list."}
        )
    graph += [
        {
            "@id": one.name,
            "@type": "File",
            "name": one.name,
            "description": one.what,
            "encodingFormat": one.kind,
            "contentSize": str(one.size),
        }
        for one in beside
    ]
    yield f'{{\n"@context": "{VERSION}/context",\n"@graph": ['
    # Each is made when it comes to it, as the entities of many files take much memory.
    for number, one in enumerate(_once(itertools.chain(graph, map(_file, study.files)))):
        yield ",\n" if number else "\n"
        if one is not root:
            yield json.dumps(one)
            continue
        # Each property has a line, so that the date stands alone.
        lines = ",\n".join(f" {json.dumps(name)}: {json.dumps(value)}" for name, value in root.items())
        yield "{\n" + lines.removesuffix("]")
        yield from (f',\n  {{"@id": {json.dumps(file.url)}}}' for file in study.files)
        yield "\n ]\n}"
    yield "\n]\n}\n"


def _once(entities: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Each identity once: an author may stand there twice, and terms may be among what is cited."""
    seen: set[str] = set()
    for one in entities:
        if one["@id"] not in seen:
            seen.add(one["@id"])
            yield one


def _linked(name: str, identities: Sequence[str]) -> dict[str, Any]:
    """A property that links entities; the crate has one link bare and several as a list."""
    links = [{"@id": one} for one in identities]
    return {name: links if len(links) > 1 else links[0]} if links else {}


def _person(number: int, author: Author) -> dict[str, Any]:
    identity = f"https://orcid.org/{author.orcid}" if author.orcid else f"#author-{number}"
    where = {"affiliation": {"@id": _place(author.affiliation)["@id"]}} if author.affiliation else {}
    return {"@id": identity, "@type": "Person", "name": author.name, **where}


def _place(name: str) -> dict[str, Any]:
    slug = "-".join("".join(sign if sign.isalnum() else " " for sign in name.lower()).split())
    return {"@id": f"#{slug or 'organisation'}", "@type": "Organization", "name": name}


def _file(one: StudyFile) -> dict[str, Any]:
    found: dict[str, Any] = {
        "@id": one.url,
        "@type": "File",
        "name": one.name,
        "description": f"{one.mission} {one.product_type}, baseline {one.baseline}, sensed {one.day}.",
        "identifier": one.id,
        "contentSize": str(one.size),
        "sha256": one.sha256,
        "version": one.baseline,
    }
    if kind := _KINDS.get(one.name.rpartition(".")[2].lower()):
        found["encodingFormat"] = kind
    if one.created is not None:
        found["dateCreated"] = to_zulu(one.created)
    if one.sensing_start is not None:
        end = to_zulu(one.sensing_end) if one.sensing_end is not None else ".."
        found["temporalCoverage"] = f"{to_zulu(one.sensing_start)}/{end}"
    if one.doi:
        found["isPartOf"] = {"@id": f"{RESOLVER}{one.doi}"}
    return found
