"""Sign in: a token is checked before it is stored."""

from __future__ import annotations

import asyncio

from maap_tui.engine.net.credentials import (
    TokenInfo,
    describe_token,
    read_pasted,
    save_credentials,
    stored_client,
)
from maap_tui.engine.net.tokens import Tokens
from maap_tui.engine.workflows.parts import Parts


async def sign_in(parts: Parts, text: str) -> TokenInfo:
    """Check an offline token against the service, then store it; the session uses it from then on.

    The client is the one pasted with it, otherwise the one stored, otherwise the documentation's.

    Args:
        parts: the engine.
        text: the token as it was pasted, or a whole credentials file.

    Returns:
        What the stored token says of itself; the service may have replaced the one pasted.

    Raises:
        CredentialsError: when the text holds no token.
        AuthenticationError: when the service refuses it; nothing is stored.
        AuthServiceUnavailable: when the service does not answer; nothing is stored.
        StorageError: when it cannot be written.
    """
    file = parts.dirs.credentials_file
    pasted = read_pasted(text)
    if not pasted.client_id:
        pasted = (await asyncio.to_thread(stored_client, file))._replace(token=pasted.token)
    credentials = pasted.credentials(str(file), file)
    trial = Tokens(parts.http, parts.settings.api.token_url, lambda: credentials, emit=parts.emit)
    await trial.access_token()
    used = trial.credentials or credentials
    await asyncio.to_thread(save_credentials, used, file)
    parts.tokens.forget()
    return describe_token(used.offline_token)
