"""The palette: every action of the table of keys, every mode, saved search, collection, product type."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.fuzzy import Matcher

from maap_tui.engine.catalogue.index import Known
from maap_tui.engine.errors import MaapError
from maap_tui.engine.missions import mission_named
from maap_tui.engine.saved_searches import Choices, SavedSearches, words_of
from maap_tui.engine.workflows.pasted import read
from maap_tui.text import clean
from maap_tui.tui.host import Host, host_of
from maap_tui.tui.inputs import LONGEST_S, LOOK_S, is_ready
from maap_tui.tui.keys import ALSO, MODE_TITLES, MODES, Key, keys_in, keys_of, show_key
from maap_tui.tui.pasted import offers
from maap_tui.tui.textual_compat import keymap_of
from maap_tui.tui.typed import typed_offers

_PASTED = 9.0
"""Score of the first entry for a pasted text; that of others is at most 1."""

_AT_ONCE = 100
"""Names compared before the screen is given a turn."""


@dataclass(frozen=True, slots=True)
class Command:
    """One thing that can be chosen."""

    title: str
    about: str
    run: Callable[[], Any]
    weight: float
    """Factor of its score: things near the user come first."""
    haystack: str
    """All of its words in lower case."""
    also: frozenset[str] = frozenset()
    """Other words for it."""


def _command(title: str, about: str, run: Callable[[], Any], weight: float, key: str = "") -> Command:
    title, about = clean(title, 160), clean(about, 200)
    return Command(title, about, run, weight, f"{title} {about}".lower(), ALSO.get(key, frozenset()))


class MaapCommands(Provider):
    """Search over everything that can be chosen. Its texts are contents, which are never parsed as markup."""

    _commands: tuple[Command, ...] = ()
    _own: tuple[Command, ...] = ()
    _known = Known()
    _count = 0

    @property
    def _maap(self) -> Host:
        return host_of(self)

    async def startup(self) -> None:
        """Begin to read the known names.

        Textual waits for this in the search of each key, which the next key cancels: what is read must not be
        cancelled with it.
        """
        self._reading = asyncio.create_task(self._read())

    async def shutdown(self) -> None:
        """Leave what is still being read."""
        self._reading.cancel()

    async def _read(self) -> None:
        """Read the known names in a thread."""
        session = self._maap.backend.session
        names = await asyncio.to_thread(session.index.load)
        self._known = names
        saved: dict[str, Choices] = {}
        with suppress(MaapError):  # the list of saved searches says what is wrong in their file
            saved = await asyncio.to_thread(SavedSearches(session.dirs.searches_file).all)
        self._own = (*self._actions(), *self._modes(), *self._others(), *self._saved(saved))
        self._take_names()

    def _take_names(self) -> None:
        """List the names that are known now; at a first run they come from the archive meanwhile."""
        self._count = _count_names(self._known)
        self._commands = (*self._own, *self._names(self._known))

    def _actions(self) -> list[Command]:
        """The actions of the keys of the mode that is shown."""
        mode = self.app.current_mode
        found = []
        for key in (*keys_in(mode), *self._maap.user_keys(mode)):
            if key.id == "everywhere.palette" or key.action.startswith("go("):
                continue
            is_own = not key.is_of_app
            keys = ", ".join(filter(None, (MODE_TITLES[mode if is_own else key.mode], self._keys_of(key))))
            title = f"{key.label}  ({keys})"
            target = self.screen if is_own else self.app
            act = partial(self.app.run_action, key.action, target)
            found.append(_command(title, key.help, act, 1.0, key.id))
        return found

    def _modes(self) -> list[Command]:
        return [
            _command(
                f"Go to {MODE_TITLES[key.id.partition('.')[2]]}  ({self._keys_of(key)})",
                key.help,
                partial(self._maap.action_go, key.id.partition(".")[2]),
                0.95,
                key.id,
            )
            for key in keys_of("everywhere")
            if key.action.startswith("go(")
        ]

    def _others(self) -> list[Command]:
        """The actions of the other modes' keys; each goes to its mode first."""
        here = self.app.current_mode
        found = []
        for mode in MODES:
            if mode == here:
                continue
            for key in keys_of(mode):
                title = f"{key.label}  (go to {MODE_TITLES[mode]}, {self._keys_of(key)})"
                act = partial(self._do_there, mode, key.action)
                found.append(_command(title, key.help, act, 0.6, key.id))
        return found

    def _keys_of(self, key: Key) -> str:
        keys = keymap_of(self.app).get(key.id, key.keys)
        return " ".join(show_key(one) for one in keys.split(","))

    def _do_there(self, mode: str, action: str) -> None:
        app = self.app
        self._maap.action_go(mode)

        async def act(until: float) -> None:
            if app.current_mode != mode:
                return
            if not is_ready(app.screen) and time.monotonic() < until:
                # A mode that is shown for the first time reads what it lists.
                app.set_timer(LOOK_S, partial(act, until))
                return
            await app.run_action(action, app.screen)

        # Whoever chose it by name has nothing else to wait for: longer than a key does.
        app.call_later(act, time.monotonic() + LONGEST_S)

    def _saved(self, searches: dict[str, Choices]) -> list[Command]:
        """The saved searches; each is made at once."""
        return [
            _command(
                f"{name}  (saved search)",
                " ".join(words_of(choices)),
                partial(self._maap.go, "search", choices=choices),
                0.9,
            )
            for name, choices in searches.items()
        ]

    def _names(self, names: Known) -> list[Command]:
        host = self._maap
        found = []
        for mission_name in names.missions:
            mission = mission_named(mission_name)
            for one in names.of_mission(mission_name):
                about = f"{mission_name} collection{', restricted' if one.is_restricted else ''}"
                if one.info is not None and one.info.title:
                    about += f": {one.info.title}"
                show = partial(host.go, "browse", collection=one.name)
                found.append(_command(one.name, about, show, 0.9))
                for product_type in one.products:
                    product = mission.products.get(product_type)
                    words = (
                        " ".join(part for part in (product.short, product.content) if part) if product else ""
                    )
                    found.append(
                        _command(
                            f"{product_type}  in {one.name}",
                            words or f"{mission_name} product type",
                            partial(host.go, "browse", collection=one.name, product_type=product_type),
                            0.9,
                        )
                    )
        return found

    async def discover(self) -> Hits:
        """The entries before anything is typed: the actions of this mode, and the modes."""
        await asyncio.shield(self._reading)
        for command in self._commands:
            if command.weight > 0.9:
                yield DiscoveryHit(
                    Content(command.title), command.run, text=command.title, help=_help(command)
                )

    async def search(self, query: str) -> Hits:
        """What a pasted text becomes, entries that hold every word, then those similar to the query."""
        await asyncio.shield(self._reading)
        self._known = self._maap.backend.session.index.known
        if _count_names(self._known) != self._count:
            self._take_names()
        pasted = await asyncio.to_thread(read, self._maap.pasted_text(query))
        if pasted is not None:
            for place, (title, about, run) in enumerate(offers(self._maap, pasted, self._known)):
                command = _command(title, about, run, 1.0)
                yield Hit(
                    _PASTED - place, Content(command.title), run, text=command.title, help=_help(command)
                )
            if not pasted.problem:
                return
        for title, about, run, score in await asyncio.to_thread(typed_offers, self._maap, query):
            command = _command(title, about, run, 1.0)
            yield Hit(score, Content(command.title), run, text=command.title, help=_help(command))
        words = query.lower().split()
        signs = {sign for word in words for sign in word}
        squeezed = "".join(words)
        matcher = self.matcher(query)
        for number, command in enumerate(self._commands, 1):
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
            score = 0.0
            if words and command.also.issuperset(words):
                score = 1.0 / command.weight  # the word for it, wherever it is
            elif all(word in command.haystack for word in words):
                title = command.title.lower()
                score = 0.7 + 0.3 * sum(word in title for word in words) / max(len(words), 1)
            elif signs <= set(name := command.title.partition("  ")[0].lower()):
                # Similar to it letter by letter; the fuzzy score has no upper limit.
                likeness = matcher.fuzzy_search.match(squeezed, name)[0]
                score = 0.6 * likeness / (likeness + len(squeezed))
            if score > 0:
                yield Hit(
                    score * command.weight,
                    _highlight(command.title, words, matcher),
                    command.run,
                    text=command.title,
                    help=_help(command),
                )


def _count_names(known: Known) -> int:
    return sum(1 + len(one.products) for one in known.collections.values())


def _help(command: Command) -> str:
    # A content passes the palette as it is, where a string would be parsed as markup.
    return cast("str", Content(command.about))


def _highlight(title: str, words: list[str], matcher: Matcher) -> Content:
    content = Content(title)
    lowered = title.lower()
    for word in words:
        at = lowered.find(word)
        # A text may get longer in lower case; then the hit is not marked, as its position would be wrong.
        if at >= 0 and len(lowered) == len(title):
            content = content.stylize(matcher.match_style, at, at + len(word))
    return content
