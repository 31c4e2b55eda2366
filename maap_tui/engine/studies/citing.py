"""How data is cited: a DOI a product and baseline, a paragraph on its availability, entries for BibTeX."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date

from maap_tui.engine.missions import MISSIONS
from maap_tui.engine.studies.study import Study, StudyFile
from maap_tui.text import fold, format_bytes, plural

RESOLVER = "https://doi.org/"
_WIDTH = 100


@dataclass(frozen=True, slots=True)
class Cited:
    """A product in one baseline, and what is used of it."""

    collection: str
    mission: str
    product_type: str
    baseline: str
    doi: str | None = None
    """None where the archive does not say one."""
    granules: int = 0
    files: int = 0
    size: int = 0
    """Bytes."""
    first: date | None = None
    last: date | None = None
    """First and last sensing day."""
    also: tuple[str, ...] = field(default=())
    """Further DOIs that granules of it say."""

    @property
    def title(self) -> str:
        """What it is, as a list of references has it."""
        known = MISSIONS[self.mission].products.get(self.product_type) if self.mission in MISSIONS else None
        content = f": {known.content}" if known is not None and known.content else ""
        return f"{self.mission} {self.product_type}{content}, baseline {self.baseline}"

    @property
    def key(self) -> str:
        """Its key in a list of references."""
        return re.sub(r"[^A-Za-z0-9]+", "_", f"{self.product_type}_{self.baseline}_{self.collection}").strip(
            "_"
        )


def cited_of(several: Iterable[StudyFile]) -> list[Cited]:
    """The products and baselines of files, sorted, each with its DOIs."""
    groups: dict[tuple[str, str, str, str], list[StudyFile]] = {}
    for one in several:
        groups.setdefault((one.collection, one.mission, one.product_type, one.baseline), []).append(one)
    found = []
    for names, some in sorted(groups.items()):
        dois = sorted({one.doi for one in some if one.doi})
        days = [one.day for one in some]
        found.append(
            Cited(
                *names,
                dois[0] if dois else None,
                len({one.id for one in some}),
                len(some),
                sum(one.size or 0 for one in some),
                min(days),
                max(days),
                tuple(dois[1:]),
            )
        )
    return found


def availability(cited: Sequence[Cited], *, frozen: date | None = None, listed: bool = False) -> list[str]:
    """The paragraphs on where the data is, as papers have them.

    Args:
        cited: what is used.
        frozen: when the list of files was made; None where there is none.
        listed: whether the files stand in lists beside it.
    """
    if not cited:
        return ["No data is used."]
    parts = []
    for one in cited:
        where = "; ".join(f"{RESOLVER}{doi}" for doi in (one.doi, *one.also) if doi)
        span = f"{one.first}" if one.first == one.last else f"{one.first} to {one.last}"
        parts.append(
            f"{one.title} ({where or 'without a DOI in the catalogue'}; {plural(one.files, 'file')}, "
            f"{format_bytes(one.size)}, sensed {span})"
        )
    text = "The data are available from the ESA MAAP archive (https://portal.maap.eo.esa.int/): "
    text += "; ".join(parts) + "."
    if listed:
        text += (
            " Identifier, address, size and SHA-256 of each file are in files.csv; SHA256SUMS is read by "
            "sha256sum."
        )
    found = [text]
    if frozen is not None:
        found.append(f"The list of files was made on {frozen}.")
    return found


def availability_text(paragraphs: Sequence[str]) -> str:
    """Paragraphs as a text file."""
    return "\n\n".join("\n".join(fold(one, _WIDTH, 1000)) for one in paragraphs) + "\n"


def bibtex(cited: Sequence[Cited]) -> str:
    """The entries of those that have a DOI; '' for none."""
    entries = []
    for one in cited:
        for number, doi in enumerate([doi for doi in (one.doi, *one.also) if doi]):
            key = one.key + (f"_{number + 1}" if number else "")
            rows = {
                "title": f"{{{_escape(one.title)}}}",
                "howpublished": "ESA MAAP archive",
                "doi": doi,
                "url": f"{RESOLVER}{doi}",
            }
            body = ",\n".join(f"  {name} = {{{value}}}" for name, value in rows.items())
            entries.append(f"@misc{{{key},\n{body}\n}}\n")
    return "\n".join(entries)


def _escape(text: str) -> str:
    return re.sub(r"([&%$#_])", r"\\\1", text)


@dataclass(frozen=True, slots=True)
class Citation:
    """What is cited, and how."""

    cited: tuple[Cited, ...]
    frozen: date | None = None
    """When the list of files was made; None where there is none."""
    problems: tuple[str, ...] = ()
    """Sentences on DOIs that could not be asked for."""

    @property
    def text(self) -> str:
        """The paragraph on the availability of the data."""
        return "\n\n".join(availability(self.cited, frozen=self.frozen))

    @property
    def bibtex(self) -> str:
        """Entries for BibTeX, of those that have a DOI."""
        return bibtex(self.cited)


def lacking_words(cited: Sequence[Cited]) -> str:
    """Which of them have no DOI, '' where each has one."""
    names = [f"{one.product_type} {one.baseline}" for one in cited if not one.doi]
    return "" if not names else f"The archive says no DOI of {', '.join(names[:5])}"


def of_study(study: Study) -> list[Cited]:
    """What a study cites."""
    return cited_of(study.files)
