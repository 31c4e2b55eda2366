"""A catalogue that sends what takes a terminal or Textual over: all of it comes to the terminal as text."""

from __future__ import annotations

import json
import re
import signal
import threading
import unicodedata
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from terminal_kit import HERE, Terminal, until

from maap_tui.engine.session import Session
from maap_tui.tui.screens.search.terms import Terms

L2 = "EarthCAREL2Validated_MAAP"
BROKEN = "EarthCAREL1Validated_MAAP"

HOSTILE = (
    "[/foo]",
    "[@click=app.quit]x[/]",
    "\x1b]0;owned\x07",
    "\x1b]52;c;b3duZWQ=\x07",
    "\x1b[2J\x1b[31;5m",
    "\x9b31mred",
    "\x9d0;owned\x9c",
    "a\u202eb\u2066c",
    "\r\n\x08\x00\x7f",
    "\x1bPq#0\x1b\\",
    "\x1b_Gdelete\x1b\\",
    "\x1bc\x1b(0",
)
EVIL = " ".join(HOSTILE)

ESCAPE = b"\x1b[27u"
"""The key as it cannot be taken for the beginning of another, whenever the app reads it."""

ALLOWED = re.compile(
    rb"\x1b\[[\d;]*[mH]"  # styles and places
    rb"|\x1b\[\d*[CX]"  # steps over cells that stay, blanks
    rb"|\x1b\[\?\d+(?:[hl]|\$p)"  # modes, and asking for one
    rb"|\x1b\[[<>=]?\d*u"  # keys
    rb"|\x1b\[>?[\d;]*[cqm]|\x1b\[c"  # who the terminal is
    rb"|\x1b\]22;\w*\x07"  # the shape of the pointer
    rb"|\x1b\[\d* q"
)
"""What the app itself sends."""


def item(number: int, words: str) -> dict[str, Any]:
    identity = f"ECA_EXBC_CPR_CLD_2A_20251201T0{number % 10}0000Z_20251231T000000Z_0857{number % 10}A"
    return {
        "type": "Feature",
        "id": identity if number < 4 else f"{identity}{words}",
        "properties": {
            "product:type": "CPR_CLD_2A",
            "version": "bc",
            "datetime": f"2025-12-01T0{number % 10}:00:00Z",
            "title": words,
            "description": EVIL,
            words: words,
            f"name {EVIL}": [words, {words: EVIL}],
            "sat:orbit_state": EVIL,
        },
        "assets": {
            "enclosure_h5": {
                "href": f"http://127.0.0.1:1/data/EarthCARE/CPR_CLD_2A/BC/2025/12/01/{identity}/{identity}.h5",
                "file:size": 5,
                "title": EVIL,
                "roles": [EVIL],
                "type": words,
            },
            words: {"href": f"http://127.0.0.1:1/{words}", "title": words, "type": words},
        },
        "links": [{"rel": words, "href": EVIL, "title": EVIL}],
    }


class Catalogue(BaseHTTPRequestHandler):
    """Answers everything, kindly in form alone."""

    asked: list[str]

    def do_GET(self) -> None:
        path = self.path.partition("?")[0].rstrip("/")
        self.asked.append(path)
        if path.endswith("/collections"):
            ids = [L2, BROKEN, *HOSTILE]
            self._send(
                {
                    "collections": [
                        {
                            "id": one,
                            "title": EVIL,
                            "description": EVIL,
                            "keywords": list(HOSTILE),
                            "license": EVIL,
                        }
                        for one in ids
                    ]
                }
            )
        elif path.endswith(f"{L2}/queryables"):
            names = ["CPR_CLD_2A", *HOSTILE]
            self._send(
                {
                    "title": EVIL,
                    "properties": {
                        "product:type": {"enum": names, "title": EVIL},
                        "version": {"enum": ["bc", *HOSTILE]},
                        "sat:absolute_orbit": {"title": EVIL},
                        "frame": {"enum": ["A", *HOSTILE]},
                        **{words: {"title": words, "enum": [words]} for words in HOSTILE},
                    },
                }
            )
        else:
            self._refuse()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.asked.append(self.path)
        if b"openid" in self.path.encode() or b"grant_type" in body:
            self._send({"error": EVIL, "error_description": EVIL}, 400)
        else:
            items = [item(number, words) for number, words in enumerate(HOSTILE)]
            following = f"http://{self.headers['host']}/catalogue/search?page=2"  # refused
            links = [{"rel": "next", "href": following, "title": EVIL}]
            self._send({"features": items, "links": links, "numberMatched": 2 * len(items)})

    def _refuse(self) -> None:
        """An error whose reason and body are as bad as HTTP allows."""
        body = json.dumps({"code": EVIL, "description": EVIL, "detail": list(HOSTILE)}).encode()
        self.send_response(500 if "search" in self.path else 400, "[/foo] \x1b[2J [@click=app.quit]x[/]")
        self.send_header("content-length", str(len(body)))
        self.send_header("content-type", "application/json; \x1b[31m")
        self.end_headers()
        self.wfile.write(body)

    def _send(self, data: object, status: int = 200) -> None:
        body = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture
def catalogue() -> Iterator[tuple[str, list[str]]]:
    """The address of a hostile catalogue, and what it was asked."""
    asked: list[str] = []
    handler = type("Asked", (Catalogue,), {"asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/catalogue/", asked
        server.shutdown()
        thread.join()


def test_every_byte_of_a_hostile_catalogue_comes_as_text(
    terminal: Callable[..., Terminal], environ: dict[str, str], catalogue: tuple[str, list[str]]
) -> None:
    address, asked = catalogue
    changes: dict[str, str | None] = {
        "MAAP_CATALOG_URL": address,
        "MAAP_TOKEN_URL": address.replace("/catalogue/", "/openid/token"),
        "MAAP_RETRIES": "0",
        "MAAP_RETRY_WAIT": "0.01",
    }
    dirs = Session.load(environ=environ).dirs
    dirs.queryables_file(L2).unlink()
    memory = dirs.cache_file("search.json")
    memory.parent.mkdir(parents=True, exist_ok=True)
    terms = Terms(L2, "CPR_CLD_2A", "BC", "2025-12-01/2025-12-02")
    memory.write_text(json.dumps({"terms": terms.as_dict()}))
    one = terminal(size=(200, 60), changes=changes)

    def see(*keys: bytes, until_shown: tuple[bytes, ...] = ()) -> None:
        """Press keys one after the other, and wait until each of these words was shown since."""
        seen, missing = len(one.shown), {*until_shown}

        def were_shown() -> bool:
            missing.difference_update([words for words in missing if one.shows(words, after=seen)])
            return not missing

        for key in keys:
            one.type(key)
            one.read(0.15)
            one.settle(0.03)
            were_shown()
        until(were_shown, one)

    one.wait_for(HERE)
    one.wait_for(b"not at the archive")
    # Browse: every branch of the collection, its sheet, the filter, the palette.
    see(b"/", b"foo", until_shown=(b"[/foo]",))
    see(*[b"\x1b[B"] * 7, until_shown=(b"[@click=app.quit]x[/]",))
    see(b"/", ESCAPE)
    see(b":", b"foo", until_shown=(b"[/foo]",))
    see(ESCAPE, until_shown=(b"product types",))
    # Search: form with its matches, results, the sum, a granule, one that is downloaded and one registered.
    one.type(b"2")
    one.wait_for(b"$ maap search")
    see(b"\x12", until_shown=(b"FAILED DAY: 2025-12-01",))
    see(b"\x1b[H", b"c", ESCAPE)
    see(b"\r", *[b"\x1b[6~"] * 6, until_shown=(b"[@click=app.quit]x[/]", b"\\x1b]52;c;", b"\\u202e"))
    see(ESCAPE, b"/", b"x1b", b"\r", b"a", b"w", b"d")
    see(b"3", b"4", b"\r")
    # The log, with all of its levels.
    see(b"5", b"l", b"l", b"l", b"l", b"\x1b[H", b"\x1b[6~", until_shown=(b"[/foo]",))
    see(b"\x1b[200~" + EVIL.encode() + b"\x1b[201~")
    # It lives, and no action ran that leaves.
    see(ESCAPE, b"1", until_shown=(b"product types",))
    one.kill(signal.SIGTERM)
    assert one.ended() == 143
    assert any(path.endswith("/queryables") for path in asked)
    left = ALLOWED.sub(b"", one.shown)
    # Of what moves and hides nothing is left but the ends of lines.
    assert set(re.findall(rb"[\x00-\x1f\x7f]", left)) <= {b"\r", b"\n"}, re.findall(rb".{20}\x1b.{20}", left)[
        :5
    ]
    assert b"\r" not in left.replace(b"\r\n", b"")
    assert [one for one in left.decode() if unicodedata.category(one) in ("Cf", "Cs", "Zl", "Zp")] == []
    assert [one for one in left.decode() if "\x80" <= one <= "\x9f"] == []
