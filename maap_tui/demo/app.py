"""The whole archive as one ASGI application: it routes, counts, and applies the faults."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from maap_tui.demo.content import Content
from maap_tui.demo.data import DataServer, error
from maap_tui.demo.faults import ACTIONS, Faults, Plan
from maap_tui.demo.items import Describer
from maap_tui.demo.orbit import epoch
from maap_tui.demo.quality import SHEETS
from maap_tui.demo.stac import Catalogue, respond
from maap_tui.demo.stats import Stats
from maap_tui.demo.tokens import TokenService
from maap_tui.demo.wire import FaultySender, Gone

REALM = "/realms/esa-maap"
TOKEN_PATH = f"{REALM}/protocol/openid-connect/token"

LOGIN_PAGE = (
    '<!DOCTYPE html>\n<html class="login-pf"><head><title>Sign in to ESA MAAP</title></head><body>'
    '<form id="kc-form-login" action="/realms/esa-maap/login-actions/authenticate" method="post">'
    '<input name="username"/><input name="password" type="password"/></form></body></html>\n'
)
GATEWAY_PAGE = (
    "<html><body><h1>{status} {phrase}</h1>No server is available to handle this request.</body></html>\n"
)
PHRASES = {502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Time-out"}


def kind_of(path: str) -> str:
    """Which part of the archive a path belongs to: search, catalogue, data, token or other."""
    if path.startswith("/data/"):
        return "data"
    if path.startswith("/realms/"):
        return "token"
    if re.match(r"/catalogue/(search|collections/[^/]+/items)(/|$)", path):
        return "search"
    return "catalogue" if re.match(r"/catalogue(/|$)", path) else "other"


def refusal(status: int, kind: str) -> Response:
    """The answer of a fault that is nothing but a status."""
    if status == 204:
        return Response(status_code=204)
    if status == 202:
        return respond({"message": "The product is being staged, come back later"}, 202)
    if status in PHRASES:
        page = GATEWAY_PAGE.format(status=status, phrase=PHRASES[status])
        return Response(page, status, media_type="text/html")
    if kind == "token" and status in (400, 401):
        return respond(
            {"error": "invalid_grant", "error_description": "Offline user session not found"}, status
        )
    return error(status, "Fault on demand")


class Application:
    """The archive without a socket."""

    def __init__(
        self,
        base: str,
        content: Content,
        tokens: TokenService,
        faults: Faults,
        stats: Stats,
        *,
        old_queryables: bool = False,
        next_form: str = "",
        set_clock: Callable[[float], None] = lambda moment: None,
    ) -> None:
        self.base = base
        self._set_clock = set_clock
        self.tokens = tokens
        self.faults = faults
        self.stats = stats
        self.catalogue = Catalogue(content, Describer(content, base, old_queryables), next_form)
        self.data = DataServer(content, tokens, faults)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = re.sub(r"/{2,}", "/", scope["path"])
        request = Request(scope, receive)
        if path.startswith("/_"):
            await (await self._control(request, path))(scope, receive, send)
            return
        kind = kind_of(path)
        query = scope["query_string"].decode("latin-1")
        record = {
            "method": request.method,
            "path": path,
            "query": query,
            "kind": kind,
            "status": 0,
            "bytes": 0,
            "range": request.headers.get("range"),
            "if_range": request.headers.get("if-range"),
            "authorization": "authorization" in request.headers,
            "port": request.client.port if request.client else 0,
        }
        plan = self.faults.plan(kind, f"{path}?{query}" if query else path)

        def sent(count: int, is_last: bool) -> None:
            self.stats.sent(record, count)
            if is_last:
                self.stats.hand_over(record)

        sender = FaultySender(scope, receive, send, plan, sent)
        self.stats.begin(record)
        try:
            if plan.latency_s:
                await asyncio.sleep(plan.latency_s)
            response = await self._answer(request, kind, path, plan)
            response.headers["date"] = formatdate(usegmt=True)
            await response(scope, receive, sender)
        except Gone:
            pass
        except asyncio.CancelledError:
            # Only stopping the archive cancels a request, and by then its connection is aborted.
            pass
        finally:
            self.stats.end(record, sender.status)

    async def _answer(self, request: Request, kind: str, path: str, plan: Plan) -> Response:
        if plan.status:
            response = refusal(plan.status, kind)
            if plan.retry_after is not None:
                response.headers["Retry-After"] = str(plan.retry_after)
            return response
        if plan.redirect:
            query = request.url.query
            location = plan.redirect.rstrip("/") + path + (f"?{query}" if query else "")
            return Response(status_code=302, headers={"Location": location})
        if plan.html_login:
            return Response(LOGIN_PAGE, media_type="text/html")
        request.state.plan = plan
        if kind == "token":
            return await self._token(request, path, plan)
        if request.method not in ("GET", "HEAD", "POST") or (kind == "data" and request.method == "POST"):
            return error(405, "Method not allowed")
        if kind == "data":
            request.scope["path_params"] = {"path": path.removeprefix("/data/")}
            return await self.data.serve(request)
        if path in SHEETS:
            return Response(SHEETS[path], media_type="text/csv")
        if path == "/catalogue":
            return refusal(503, kind)
        if kind != "other":
            request.scope["path_params"] = {"path": path.removeprefix("/catalogue/")}
            return await self.catalogue.serve(request)
        return error(404, f"Not found: {path}")

    async def _token(self, request: Request, path: str, plan: Plan) -> Response:
        if path == f"{REALM}/.well-known/openid-configuration":
            realm = self.base + REALM
            return respond(
                {
                    "issuer": realm,
                    "token_endpoint": self.base + TOKEN_PATH,
                    "grant_types_supported": ["refresh_token"],
                }
            )
        if path != TOKEN_PATH:
            return error(404, f"Not found: {path}")
        if request.method != "POST":
            return respond({"error": "RESTEASY003650: No resource method found, return 405"}, 405)
        form = dict(parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True))
        status, body = self.tokens.answer(form, plan.token_lifetime_s)
        response = respond(body, status)
        response.headers["Cache-Control"] = "no-store"
        return response

    async def _control(self, request: Request, path: str) -> Response:
        """The switches of the archive: `/_stats` and `/_faults` (POST merges an object, adds a list)."""
        if path == "/_stats":
            if request.method == "DELETE":
                self.stats.reset()
                self.tokens.refreshes = 0
            return respond(self.stats.show() | {"token_refreshes": self.tokens.refreshes})
        if path != "/_faults":
            return error(404, f"Not found: {path}")
        if request.method == "DELETE":
            self.faults.clear()
        elif request.method in ("POST", "PATCH"):
            try:
                given = json.loads(await request.body() or b"{}")
                for rule in given if isinstance(given, list) else [given]:
                    if not isinstance(rule, dict):
                        raise ValueError("a rule is a JSON object")
                    self.apply(rule, add=isinstance(given, list))
            except ValueError as exc:
                return error(400, str(exc))
        return respond({"rules": self.faults.show()})

    def apply(self, values: Mapping[str, Any], *, add: bool = False) -> None:
        """Set a fault rule (or add one), and do what `expire_tokens`, `revoke_token` and `replace` say.

        Raises:
            ValueError: an unknown key or a value of the wrong type.
        """
        rule = {name: value for name, value in values.items() if name not in ACTIONS}
        if rule:
            (self.faults.add if add else self.faults.set)(**rule)
        if values.get("replace"):
            self.faults.replace(str(values["replace"]))
        if values.get("now"):
            self._set_clock(epoch(str(values["now"])))
        if values.get("expire_tokens"):
            self.tokens.expire_access()
        if values.get("revoke_token"):
            self.tokens.revoke_offline(str(values["revoke_token"]))
