"""Hostile strings from the archive, piped and on a terminal: what comes out raw, what is written where."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import pty
import re
import select
import sys
import traceback
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maap_tui.cli.main import main
from tests.engine.raw_files import answer
from tests.faults.figure import Figure
from tests.faults.stage import NAMES, SYNC, Stage, files_below

NEVER_RAW = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Categories of characters that a terminal obeys, or that hide or reorder what it shows."""

PIECES = (
    *(chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))),
    *("\u200b", "\u200e", "\u202a", "\u202e", "\u2028", "\u2029", "\u2066", "\u2069", "\ufeff", "\U000e0041"),
    *("\x1b]0;pwned\x07", "\x1b]52;c;cHduZWQ=\x07", "\x1b[8;5m", "\x1b[2J\x1b[H", "\x1bP1;1|pwned\x1b\\"),
    *("\x9b8m", "\x9d0;pwned\x9c", "\r\nX-Evil: 1", "\nhttp://127.0.0.1/data/b.h5|/etc/passwd", "\ud800"),
    *("[/foo]", "[@click=app.quit]x[/]", "%s%n", "${HOME}", "$(id)", "`id`", "'; DROP TABLE x;--", "{0}"),
    *(
        "..",
        "../../x",
        "/etc/passwd",
        "a/../../b",
        "..\\..\\x",
        "%2e%2e%2fx",
        "%00",
        "|",
        "||",
        " ",
        "CON",
        "-rf",
    ),
    *(
        ".",
        "~",
        "~/.ssh/id",
        "n" * 300,
        "e\u0301",
        "\u00e9",
        "\u0130",
        "A.h5",
        "a.H5",
        ".part",
        "a.h5.part.json",
    ),
)
FRAMES = ("{}", "a{}b", "{}.h5", "ECA_EXBC_CPR_CLD_2A_{}", "{}{}")
BY_HAND = tuple(frame.replace("{}", piece) for piece, frame in itertools.product(PIECES, FRAMES))
"""Every piece in every frame."""


class Watched:
    """A stage whose catalogue is full of hostile strings, and what came of them so far."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.strings = 0
        self.raw: list[str] = []
        self.outside: list[str] = []
        self.forged: list[str] = []
        self.crashes: list[str] = []
        stage.add_good(2)
        self._good = list(stage.items)
        self._hrefs: set[str] = {_href_of(one) for one in self._good}

    def play(self, strings: Sequence[str], *, on_terminal: bool = False) -> None:
        """Let a sync, a search and a list meet these strings."""
        stage, server = self.stage, self.stage.server
        self.strings += len(strings)
        stage.items[:] = [*self._good, *map(self._item, range(len(strings)), strings)]
        text = strings[0] if strings else ""
        said = json.dumps({"error": {"message": text}}).encode()
        rows = [{"id": f"c{n}", "title": one, "description": one} for n, one in enumerate(strings)]
        collections = answer("200 OK", json.dumps({"collections": rows}).encode())
        server.at("/catalogue/collections?limit=200", collections)
        server.at("/catalogue/search", stage._search)
        commands: list[tuple[Any, ...]] = [SYNC, ("-v", "search", *SYNC[1:]), ("list", "--verify")]
        self._run(commands, on_terminal)
        server.at("/catalogue/search", answer("400 Bad Request", said))
        refused = json.dumps({"error": "invalid_grant", "error_description": text}).encode()
        granting = server.replies["/token"]
        server.at("/token", answer("400 Bad Request", refused))
        (stage.home / "credentials.txt.access").unlink(missing_ok=True)
        lines = stage.folder / "urls.txt"
        lines.write_text("\n".join(strings), encoding="utf-8", errors="surrogatepass")
        urls = ("download", *NAMES, "-f", lines, "-o", stage.data / "flat")
        named = ("search", *NAMES[:1], text.replace("\0", ""), "BC", "--date", "2025-12-01")
        self._run([SYNC, urls, named], on_terminal)
        lines.unlink()
        server.replies["/token"] = granting
        self._look()

    def _item(self, number: int, text: str) -> dict[str, Any]:
        """A good item with the string in one of the places that the archive fills."""
        stem = f"ECA_EXBC_CPR_CLD_2A_20251201T{number % 24:02d}3000Z_20251231T000000Z_{9000 + number:05d}A"
        base = f"{self.stage.url}/data/EarthCARE/CPR_CLD_2A/BC/2025/12/01/{stem}"
        properties: dict[str, Any] = {"product:type": "CPR_CLD_2A", "version": "bc"}
        name, href, key = stem, f"{base}/{stem}.h5", "enclosure"
        place = number % 7
        if place == 0:
            name = text
        elif place == 1:
            href = f"{base}/{text}"
        elif place == 2:
            href = text
        elif place == 3:
            properties["version"] = text
            name = f"odd-{number}"
        elif place == 4:
            properties["product:type"] = text
            name = f"odd-{number}"
        elif place == 5:
            key = text
        else:
            properties |= {"title": text, "frame": text, "start_datetime": text}
            name = f"odd-{number}"
        self._hrefs.add(href)
        if re.fullmatch("[!-~]+", href):
            with contextlib.suppress(ValueError):
                self._hrefs.add(urljoin(f"{self.stage.url}/catalogue/search", href))
        properties.setdefault("start_datetime", "2025-12-01T10:00:00Z")
        return {"type": "Feature", "id": name, "properties": properties, "assets": {key: {"href": href}}}

    def _run(self, commands: Iterable[tuple[Any, ...]], on_terminal: bool) -> None:
        for number, words in enumerate(commands):
            # On one that can do more the live line moves the cursor, so that less can be said of it.
            kind = ("dumb", "xterm-256color")[number % 2]
            if on_terminal:
                code, shown = in_terminal([str(word) for word in words], self.stage.environment, kind)
            else:
                ended = self.stage.maap(*words)
                code, shown = ended.code, ended.out + ended.err
                self.stage.ended.clear()
            if code not in (0, 2, 3, 4) or "Traceback" in shown or "mistake in maap_tui" in shown:
                self.crashes.append(f"{words[:2]} {code}: {shown[-300:]!a}")
            self.raw += [f"{words[0]}: {one!a}" for one in _raw_of(shown, kind if on_terminal else "")]

    def _look(self) -> None:
        home = self.stage.home
        kept = {"data", "registry", "state", "catalogs", "credentials.txt", "credentials.txt.access"}
        for path in files_below(self.stage.folder):
            if not path.is_relative_to(home) or path.relative_to(home).parts[0] not in kept:
                self.outside.append(str(path))
        for line in self.stage.lines("url") + self.stage.lines("dwl"):
            url, _, path = line.partition("|")
            is_inside = Path(path).is_relative_to(self.stage.data) and ".." not in Path(path).parts
            if not (url in self._hrefs and is_inside and Path(path).name == unquote(Path(url).name)):
                self.forged.append(line)

    def figure(self, what: str) -> Figure:
        seen = (
            f"{len(self.raw)} raw, {len(self.outside)} written outside, {len(self.forged)} forged lines, "
            f"{len(self.crashes)} crashes"
        )
        bad = [*self.raw, *self.outside, *self.forged, *self.crashes]
        return Figure("F9", f"{self.strings} {what}", "0 of each", seen + "".join(bad[:3]), not bad)


def _href_of(item: dict[str, Any]) -> str:
    return next(iter(item["assets"].values()))["href"]


def _raw_of(shown: str, terminal: str) -> set[str]:
    """What should never have got there."""
    allowed = {"": "\n", "dumb": "\r\n"}.get(terminal, "\r\n\x1b")
    found = {one for one in shown if unicodedata.category(one) in NEVER_RAW and one not in allowed}
    return found | {one for one in ("\x1b]", "\x1bP", "\x1b[8;5m", "\x1b[2J") if one in shown}


def in_terminal(words: list[str], environ: dict[str, str], kind: str = "dumb") -> tuple[int, str]:
    """Run a command line with a terminal of that kind on all three streams."""
    child, terminal = pty.fork()
    if child == 0:
        code = 70
        try:
            sys.stdin, sys.stdout, sys.stderr = (
                open(fd, mode) for fd, mode in ((0, "r"), (1, "w"), (2, "w"))
            )
            os.environ.clear()
            os.environ.update(environ, TERM=kind)
            code = main(words)
            sys.stdout.flush()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    shown = b""
    while select.select([terminal], [], [], 60)[0]:
        try:
            piece = os.read(terminal, 65536)
        except OSError:
            break
        if not piece:
            break
        shown += piece
    os.close(terminal)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code, shown.decode("utf-8", "surrogateescape")


def measure_by_hand(rounds: int, folder: Path, *, on_terminal: bool = False) -> Figure:
    """F9: the hand-made strings, `rounds` of them."""
    with Stage(folder) as stage:
        watched = Watched(stage)
        chosen = BY_HAND[:: max(1, len(BY_HAND) // rounds)][:rounds]
        for at in range(0, len(chosen), 70):
            # Each string meets each place.
            for turn in range(7 if rounds > 70 else 1):
                batch = chosen[at : at + 70]
                watched.play([*batch[turn:], *batch[:turn]], on_terminal=on_terminal)
        watched.strings = len(chosen)
        return watched.figure(f"hand-made strings {'on a terminal' if on_terminal else 'piped'}")


CHARACTERS = st.characters(codec=None, categories=None) | st.sampled_from("\x1b\x07\x9b\u202e/|.%\n\r\0 ")
STRINGS = st.text(CHARACTERS, max_size=24) | st.lists(st.sampled_from(PIECES), min_size=1).map("".join)
BATCHES = st.lists(STRINGS, min_size=100, max_size=100)


def measure_generated(rounds: int, folder: Path) -> Figure:
    """F9: generated strings, a hundred at a time until there are `rounds`."""
    with Stage(folder) as stage:
        watched = Watched(stage)

        @settings(
            max_examples=max(1, rounds // 100),
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
        @given(BATCHES)
        def meet(strings: list[str]) -> None:
            watched.play(strings)

        meet()
        return watched.figure("generated strings")
