"""A search typed in few words: a product type, and any of a baseline, orbits, a time and an area after it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime

from maap_tui.engine.catalogue.index import Known, KnownCollection
from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.missions import mission_named
from maap_tui.engine.sites import Site
from maap_tui.tui.screens.search.area_field import read_area
from maap_tui.tui.screens.search.terms import NEWEST, Terms
from maap_tui.tui.screens.search.time_field import read_time

_ORBIT = re.compile(r"\d{4,6}[A-H]", re.I)
"""One orbit with its frame; a bare number may as well be a year, and 30d are days."""


def read_search(
    known: Known, text: str, now: datetime, sites: Sequence[Site]
) -> Iterator[tuple[KnownCollection, Terms]]:
    """What `CPR_CLD_2A BC 2025-12-01 hyytiala r100` asks for, in each collection that has the product.

    Args:
        known: the names that are known here.
        text: what was typed; a collection may stand first.
        now: the end of an open time.
        sites: the places that may be named.

    Yields:
        The collection, and the texts of the form. Nothing where a word means nothing, or where no orbit, time
        or area says which granules of the product are meant.
    """
    words = text.split()
    collections = [
        one for one in known.collections.values() if words and one.name.lower() == words[0].lower()
    ]
    if collections:
        del words[0]
    for one in collections or sorted(known.collections.values(), key=lambda one: one.is_restricted):
        product = _product_of(one, words[0]) if words else ""
        if product and (terms := _terms_of(one, product, words[1:], now, sites)) is not None:
            yield one, terms


def _product_of(one: KnownCollection, word: str) -> str:
    """The product type of a collection by its name or its short one, as AC-TC; '' for none."""
    products = mission_named(one.mission).products
    for name in one.products:
        short = products[name].short if name in products else ""
        if word.lower() in (name.lower(), short.lower()):
            return name
    return ""


def _terms_of(
    one: KnownCollection, product: str, words: Sequence[str], now: datetime, sites: Sequence[Site]
) -> Terms | None:
    baselines = {name.lower(): name for name in one.baselines_of(product)} | {NEWEST: NEWEST}
    baseline, orbits, others = "", [], []
    for word in words:
        if word.lower() in baselines and not baseline:
            baseline = baselines[word.lower()]
        elif _ORBIT.fullmatch(word):
            orbits.append(word.upper())
        else:
            others.append(word)
    if not orbits and not others:
        return None
    for cut in range(len(others), -1, -1):
        time, area = " ".join(others[:cut]), " ".join(others[cut:])
        try:
            if time:
                read_time(time, now)
            if area:
                read_area(area, sites)
        except InvalidRequestError:
            continue
        return Terms(one.name, product, baseline, time=time, orbit=" ".join(orbits), area=area)
    return None
