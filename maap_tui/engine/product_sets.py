"""Sets of product types that are of use together, and what of them is here for one orbit and frame."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, NamedTuple

from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.storage.names import is_name

NEWEST = "newest"
"""The rule by which each product counts in the newest baseline that its orbit and frame have."""
SAME = "same"
"""The rule by which all products count in one baseline, the newest that all of them have."""

MOST_PRODUCTS = 30
"""Products that a set may have."""

FORM = '[COLLECTION/]PRODUCT[:BASELINE], as "CPR_CLD_2A:BC"'
EXAMPLE = '[sets.clouds] products = ["CPR_CLD_2A:BC", "ATL_EBD_2A"]'

_PRODUCT = re.compile(r"(?:(?P<collection>[^/:\s]+)/)?(?P<product>[^/:\s]+)(?::(?P<baseline>[^/:\s]+))?")

CellState = Literal["here", "archive", "nowhere", "deleted", "gap"]
RowState = Literal["complete", "waiting", "mixed", "deleted", "gap"]
OrbitFrame = tuple[int, str]
"""Orbit and frame; '' for a mission whose orbits are not cut."""


class Member(NamedTuple):
    """A product type of a set."""

    product_type: str
    collection: str = ""
    """'' where it is found by the product type."""
    baseline: str = ""
    """The one baseline that counts; '' leaves it to the rule of the set."""

    def __str__(self) -> str:
        text = f"{self.collection}/{self.product_type}" if self.collection else self.product_type
        return f"{text}:{self.baseline}" if self.baseline else text


class ProductSet(NamedTuple):
    """Product types that are of use together."""

    name: str
    members: tuple[Member, ...]
    rule: str = NEWEST
    """`NEWEST` or `SAME`, for the members that name no baseline."""

    def __str__(self) -> str:
        rule = "" if self.rule == NEWEST else f" ({self.rule})"
        return ", ".join(map(str, self.members)) + rule

    def wanted(self, known: Sequence[Mapping[str, Version]]) -> list[str]:
        """The baselines in which the members of an orbit and frame count, '' for one that has none.

        Args:
            known: for each member, the versions that are here or at the archive, by baseline.
        """
        free = [versions for member, versions in zip(self.members, known, strict=True) if not member.baseline]
        common = ""
        if self.rule == SAME and free:
            shared = set(free[0]).intersection(*free[1:])
            common = max(shared or set().union(*free), default="")
        return [
            member.baseline or (common if self.rule == SAME else max(versions, default=""))
            for member, versions in zip(self.members, known, strict=True)
        ]


class Version(NamedTuple):
    """A granule in one baseline."""

    baseline: str
    name: str
    """Its id."""
    start: datetime
    """Sensing start, UTC."""
    created: datetime | None
    state: CellState
    size: int | None = None
    """Bytes of the files meant, None while that is not known."""
    published: datetime | None = None
    """When the archive had it; None when that is not known."""
    paths: tuple[str, ...] = ()
    """Where its files are, or will be; () while that is not known."""

    def outranks(self, other: Version) -> bool:
        """Whether it stands for the baseline, of two granules: what is here goes before what is newer."""
        order = {"here": 2, "deleted": 1}
        mine, theirs = ((order.get(one.state, 0), _stamp(one), one.name) for one in (self, other))
        return mine > theirs


def _stamp(version: Version) -> float:
    return version.created.timestamp() if version.created is not None else 0.0


class Cell(NamedTuple):
    """A product of an orbit and frame."""

    state: CellState
    baseline: str = ""
    """The baseline in which it counts; '' when there is none."""
    version: Version | None = None
    """None where it is nowhere."""
    other: str = ""
    """The newest other baseline that is here, '' for none."""


@dataclass(frozen=True, slots=True)
class SetRow:
    """One orbit and frame of a set."""

    orbit: int
    frame: str
    """'' for a mission whose orbits are not cut into frames."""
    start: datetime
    """The first sensing start among its granules, UTC."""
    state: RowState
    cells: tuple[Cell, ...]
    """One for each product, in their order."""
    since: datetime | None = None
    """When the first of what is here came, or else when the archive had the first; None for a complete set,
    and when that is not known."""

    @property
    def spot(self) -> OrbitFrame:
        """What distinguishes it."""
        return self.orbit, self.frame

    @property
    def is_obtainable(self) -> bool:
        """Whether the archive has all that it waits for."""
        states = {cell.state for cell in self.cells}
        return "archive" in states and states <= {"here", "archive"}

    @property
    def baselines(self) -> tuple[str, ...]:
        """The baselines in which its products count."""
        return tuple(cell.baseline for cell in self.cells)


def judge(wanted: ProductSet, spot: OrbitFrame, known: Sequence[Mapping[str, Version]]) -> SetRow:
    """Say what an orbit and frame has of a set.

    It is complete when every product is here in the baseline that counts; mixed when every product is here,
    but not all of them so; deleted when a clean-up deleted what would make it complete; waiting otherwise.

    Args:
        wanted: the set.
        spot: orbit and frame.
        known: for each member, the versions that are here or at the archive, by baseline; one at least.
    """
    cells = []
    for baseline, versions in zip(wanted.wanted(known), known, strict=True):
        version = versions.get(baseline)
        others = (name for name, one in versions.items() if one.state == "here" and name != baseline)
        state: CellState = version.state if version is not None else "nowhere"
        cells.append(Cell(state, baseline, version, max(others, default="")))
    states = {cell.state for cell in cells}
    state_of_all: RowState = "waiting"
    if states == {"here"}:
        state_of_all = "complete"
    elif states <= {"here", "deleted"}:
        state_of_all = "deleted"
    elif all(cell.state == "here" or cell.other for cell in cells):
        state_of_all = "mixed"
    start = min(version.start for versions in known for version in versions.values())
    return SetRow(*spot, start, state_of_all, tuple(cells))


def with_gaps(row: SetRow, is_gap: Callable[[int, str], bool]) -> SetRow:
    """The same row where what is nowhere at a known gap is not waited for.

    Args:
        row: the orbit and frame.
        is_gap: whether a gap is known there of a product, by its place in the set, in a baseline.
    """
    cells = tuple(
        cell._replace(state="gap") if cell.state == "nowhere" and is_gap(number, cell.baseline) else cell
        for number, cell in enumerate(row.cells)
    )
    if cells == row.cells:
        return row
    is_over = {cell.state for cell in cells} <= {"here", "deleted", "gap"}
    return replace(row, cells=cells, state="gap" if is_over else row.state)


def waiting_for(wanted: ProductSet, row: SetRow) -> list[str]:
    """The products that an orbit and frame waits for, each with the baseline in which it counts."""
    return [
        f"{member.product_type}:{cell.baseline}" if cell.baseline else member.product_type
        for member, cell in zip(wanted.members, row.cells, strict=True)
        if cell.state not in ("here", "deleted", "gap")
    ]


def state_words(row: SetRow, lacking: Sequence[str]) -> str:
    """The state of an orbit and frame in words.

    Args:
        row: the orbit and frame.
        lacking: what it waits for, see `waiting_for`.
    """
    since = f" since {row.since:%Y-%m-%d %H:%M}" if row.since is not None else ""
    if row.state == "complete":
        return row.state
    if row.state == "deleted":
        return "deleted by a clean-up"
    if row.state == "gap":
        return "known gap"
    waits = f"waiting for {', '.join(lacking)}{since}"
    return f"mixed baselines, {waits}" if row.state == "mixed" else waits


def set_of(name: str, products: Sequence[str], rule: str = "", collection: str = "") -> ProductSet:
    """Read the declaration of a set.

    Args:
        name: its name.
        products: its product types, each as `[COLLECTION/]PRODUCT[:BASELINE]`.
        rule: `newest`, `same`, or a baseline, for the products that name none; '' is `newest`.
        collection: that of the products that name none; '' finds it by the product type.

    Raises:
        InvalidRequestError: one of them cannot be.
    """
    if not is_name(name):
        raise InvalidRequestError(
            f"'{name[:40]}' is not a name for a set", "Use letters, digits and _ . + - only."
        )
    fixed = "" if rule.lower() in ("", NEWEST, SAME) else rule
    if fixed and not is_name(fixed):
        raise InvalidRequestError(
            f"'{rule[:40]}' is not a rule for baselines", "Use newest, same, or a baseline such as BC."
        )
    if collection and not is_name(collection):
        raise InvalidRequestError(f"'{collection[:60]}' is not a collection name", "See `maap list`.")
    members = []
    for text in products:
        one = read_member(text, "a product of a set")
        members.append(Member(one.product_type, one.collection or collection, one.baseline or fixed.upper()))
    if not 2 <= len(members) <= MOST_PRODUCTS:
        raise InvalidRequestError(
            f"The set {name} has {len(members)} {'product' if len(members) == 1 else 'products'}",
            f"A set has 2 to {MOST_PRODUCTS}, each {FORM}.",
        )
    names = [member.product_type for member in members]
    twice = next((one for one in names if names.count(one) > 1), "")
    if twice:
        raise InvalidRequestError(f"The set {name} has {twice} twice", "Name each product once.")
    return ProductSet(name, tuple(members), SAME if rule.lower() == SAME else NEWEST)


def read_member(text: str, noun: str) -> Member:
    """Read `[COLLECTION/]PRODUCT[:BASELINE]`; the baseline in capitals.

    Raises:
        InvalidRequestError: it is none; `noun` says what it should be.
    """
    one = read_product(text, noun)
    return one._replace(baseline=one.baseline.upper())


def read_product(text: str, noun: str) -> Member:
    """Read `[COLLECTION/]PRODUCT[:BASELINE]` as it is written.

    Raises:
        InvalidRequestError: it is none; `noun` says what it should be.
    """
    found = _PRODUCT.fullmatch(text.strip())
    parts = found.groupdict("") if found else {}
    if found is None or not all(is_name(part) for part in parts.values() if part):
        raise InvalidRequestError(f"'{text[:60]}' is not {noun}", f"Write {FORM}.")
    return Member(parts["product"], parts["collection"], parts["baseline"])


def find_set(name: str, sets: Mapping[str, ProductSet]) -> ProductSet:
    """The set of a name.

    Raises:
        InvalidRequestError: none has it.
    """
    if name in sets:
        return sets[name]
    if not sets:
        raise InvalidRequestError(
            f"No set is called '{name[:40]}', as the configuration declares none", f"Declare one: {EXAMPLE}"
        )
    import difflib

    near = difflib.get_close_matches(name, sets, n=1)
    hint = f"Did you mean {near[0]}? " if near else ""
    raise InvalidRequestError(f"No set is called '{name[:40]}'", f"{hint}`maap set list` lists them.")
