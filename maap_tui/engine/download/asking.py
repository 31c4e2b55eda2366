"""Asking for a file: the access token goes along where it is needed, a fresh one where that is refused."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from urllib.parse import urlsplit

from maap_tui.engine.download.answers import is_login_page, token_refusal_of
from maap_tui.engine.download.pacing import HostPause
from maap_tui.engine.download.requests import FailedTry
from maap_tui.engine.net.http import Http, Stream
from maap_tui.engine.net.origins import TRUST_IT, origin_of
from maap_tui.engine.net.tokens import Tokens


class Asking:
    """The requests for one file, any number of them at a time."""

    def __init__(self, http: Http, tokens: Tokens, pause: HostPause, url: str) -> None:
        """Take what there is; ask nothing.

        Args:
            http: the door to the network, which knows where the token may go.
            tokens: give the access token.
            pause: is waited for before each request.
            url: the file.
        """
        self._http = http
        self._tokens = tokens
        self._pause = pause
        self._url = url
        self._refused = ""
        """The access token that the server refused last."""
        self._needs_token = "/public/" not in url or "/public/" not in urlsplit(url).path

    @contextlib.asynccontextmanager
    async def answer(self, headers: Mapping[str, str]) -> AsyncIterator[Stream]:
        """What the server answers; it is asked once more with a fresh access token where it wants one.

        Raises:
            FailedTry: it wants one where none may go.
            AuthenticationError: it refuses a fresh one.
        """
        for is_first in (True, False):
            await self._pause.wait()
            token = None
            if self._needs_token:
                token = await self._token()
            async with self._http.stream(self._url, token=token, headers=headers) as stream:
                if not self._asks_for_token(stream):
                    yield stream
                    return
                if not is_first:
                    raise token_refusal_of(stream)
                self._refused, self._needs_token = token or "", True

    async def _token(self) -> str:
        """The access token; where it has to be asked for, the connection for the file opens meanwhile."""
        coming = self._tokens.access_token(self._refused, wait_for_service=True)
        if self._refused or self._tokens.is_here:
            return await coming
        return await self._http.while_opening(self._url, coming)

    def _asks_for_token(self, stream: Stream) -> bool:
        """Whether the answer says to ask again with a fresh access token.

        Raises:
            FailedTry: it comes from where no token may go.
        """
        if stream.status == 401 and not self._http.may_carry_token(stream.url):
            raise FailedTry(
                f"redirected to {origin_of(stream.url)}, which needs an access token but is not trusted "
                "with it",
                status=401,
                permanent=True,
                hint=TRUST_IT,
            )
        return stream.status == 401 or is_login_page(stream)
