"""Faults: any failure of the network stack as one sentence that says what to do, without secrets."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from maap_tui.engine.errors import MaapError, NetworkSetupError, NoMemoryError, causes_of, is_out_of_memory

if TYPE_CHECKING:
    from maap_tui.engine.net.network_env import Proxy, Trust

SECRET_FIELDS = ("client_secret", "refresh_token")
"""Fields of a form whose values are never shown."""


class TransportFault(MaapError):
    """No usable answer came: connection, time-out, or a busy status that stayed."""

    def __init__(
        self,
        message: str,
        hint: str = "",
        *,
        status: int | None = None,
        offline: bool = False,
        permanent: bool = False,
    ) -> None:
        super().__init__(message, hint)
        self.status = status
        """The last HTTP status, None when there was no answer at all."""
        self.offline = offline
        """Whether the host gave no sign of life: it could not be reached, or sent nothing in time."""
        self.permanent = permanent
        """Whether the address itself is at fault, so that asking again cannot help."""


def fault_of(
    error: BaseException, url: str, *, proxy: Proxy | None = None, trust: Trust | None = None
) -> TransportFault | NetworkSetupError:
    """Any failure of the network stack as one sentence, without secrets.

    Args:
        error: what was raised.
        url: what was asked for.
        proxy: what it was asked through, None for the direct way.
        trust: the certificates in force.

    Returns:
        NetworkSetupError where asking again cannot help until somebody changes something, TransportFault
        otherwise.
    """
    host = host_of(url)
    if is_out_of_memory(error):
        return TransportFault(f"there is not enough memory to ask {host}", NoMemoryError().hint)
    chain = list(causes_of(error))
    names = {type(one).__name__ for one in chain}
    if refusal := _tls_refusal(chain, host, proxy, trust):
        return refusal
    if proxy is not None and (fault := _proxy_fault(chain, host, proxy)):
        return fault
    if isinstance(error, BaseExceptionGroup):
        return fault_of(error.exceptions[0], url, proxy=proxy, trust=trust)
    name = type(error).__name__
    # httpx-aiohttp calls a refused connection a time-out; what it was stands in the cause.
    is_unreachable = "ConnectError" in name or isinstance(error, ConnectionRefusedError)
    if is_unreachable or any("ClientConnector" in one or "ClientProxyConn" in one for one in names):
        if proxy is not None:
            return TransportFault(
                f"{proxy} cannot be reached ({_words(error)})",
                f"Check the network and {proxy.variable}, then run the same command again.",
                offline=True,
            )
        return TransportFault(
            f"offline: {host} cannot be reached ({_words(error)})",
            "Check the network, then run the same command again.",
            offline=True,
        )
    through = f" through {proxy}" if proxy is not None else ""
    # It calls a closed connection a time-out as well.
    is_closed = any(isinstance(one, ConnectionResetError | BrokenPipeError) for one in chain)
    if "ConnectTimeout" in name and (is_closed or "disconnected" in str(error).lower()):
        return TransportFault(f"{host} closed the connection{through}")
    if "Timeout" in name or isinstance(error, TimeoutError):
        return TransportFault(f"{host} sent nothing in time{through}", offline=True)
    if name in (
        "InvalidURL",
        "UnsupportedProtocol",
        "LocalProtocolError",
        "OverflowError",
        "UnicodeError",
        "UnicodeEncodeError",
    ):
        shown = re.sub(r"//[^/?#]*@", "//", url)[:120]
        return TransportFault(f"'{shown}' cannot be requested: {_words(error)}", permanent=True)
    return TransportFault(f"the connection to {host}{through} broke ({_words(error)})")


_NOT_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "RECORD_LAYER_FAILURE"})
_TLS_REFUSALS = frozenset(
    {
        "UNSUPPORTED_PROTOCOL",
        "WRONG_SSL_VERSION",
        "NO_PROTOCOLS_AVAILABLE",
        "NO_CIPHERS_AVAILABLE",
        "NO_SHARED_CIPHER",
        "TLSV1_ALERT_PROTOCOL_VERSION",
        "TLSV1_ALERT_INSUFFICIENT_SECURITY",
        "TLSV1_ALERT_INAPPROPRIATE_FALLBACK",
        "TLSV1_ALERT_ACCESS_DENIED",
        "TLSV1_ALERT_UNKNOWN_CA",
        "TLSV1_UNRECOGNIZED_NAME",
        "TLSV13_ALERT_CERTIFICATE_REQUIRED",
        "SSLV3_ALERT_HANDSHAKE_FAILURE",
        "SSLV3_ALERT_BAD_CERTIFICATE",
        "UNSAFE_LEGACY_RENEGOTIATION_DISABLED",
        "DH_KEY_TOO_SMALL",
        "EE_KEY_TOO_SMALL",
        "CA_KEY_TOO_SMALL",
        "CA_MD_TOO_WEAK",
        "BAD_ECC_CERT",
    }
)
"""Reasons of OpenSSL that stay the same however often a connection is tried."""

_EXPIRED, _NOT_YET_VALID, _OTHER_HOST = 10, 9, (62, 64)
_UNKNOWN_ISSUER = (2, 18, 19, 20, 21)
"""Results of X509_verify_cert (OpenSSL, x509_vfy.h)."""


def _tls_refusal(
    chain: list[BaseException], host: str, proxy: Proxy | None, trust: Trust | None
) -> NetworkSetupError | None:
    """A failure of TLS that lasts, None for any other."""
    import ssl

    through = f", asked through {proxy}," if proxy is not None else ""
    for error in chain:
        # aiohttp's own error is one as well; what it was is in its cause.
        if isinstance(error, ssl.SSLCertVerificationError) and hasattr(error, "verify_code"):
            code = error.verify_code
            reason = (error.verify_message or str(error)).rstrip(".")
            if code == _EXPIRED or code == _NOT_YET_VALID:
                word = "has expired" if code == _EXPIRED else "is not valid yet"
                return NetworkSetupError(
                    f"the certificate of {host}{through} {word}",
                    "Check this machine's clock (maap doctor); if it is right, the service has to renew it.",
                )
            if code in _OTHER_HOST:
                return NetworkSetupError(
                    f"the certificate of {host}{through} is for another host ({reason})",
                    "Check api.catalog_url, api.token_url and the proxy: another machine answers.",
                )
            hint = "Set SSL_CERT_FILE to the certificates of your network, if it uses its own."
            if code in _UNKNOWN_ISSUER and trust is not None and trust.variable:
                hint = (
                    f"{trust.variable} ({trust.path}) does not have its issuer: add it there, "
                    f"or unset {trust.variable}."
                )
            return NetworkSetupError(f"the certificate of {host}{through} is not trusted ({reason})", hint)
        if not isinstance(error, ssl.SSLError):
            continue
        reason = getattr(error, "reason", None) or ""
        words = reason.replace("_", " ").lower()
        if reason in _NOT_TLS:
            hint = "Check that its address needs https:// and that its port is right."
            if proxy is not None and proxy.scheme == "https":
                hint = f"If the proxy speaks plain HTTP, write http:// in {proxy.variable}."
            return NetworkSetupError(f"{host}{through} does not speak TLS ({words})", hint)
        if reason == "TLSV13_ALERT_CERTIFICATE_REQUIRED":
            return NetworkSetupError(
                f"{host}{through} asks for a client certificate, which maap cannot send",
                "Ask whoever runs it, or use another address.",
            )
        if reason in _TLS_REFUSALS:
            return NetworkSetupError(
                f"{host}{through} and this machine have no encryption method in common ({words})",
                "Use a newer OpenSSL or Python, or ask whoever runs it.",
            )
    return None


def _proxy_fault(
    chain: list[BaseException], host: str, proxy: Proxy
) -> TransportFault | NetworkSetupError | None:
    """What a proxy answered in place of the service; None when it is not the proxy that answered."""
    for error in chain:
        if type(error).__name__ == "ClientHttpProxyError":
            status = int(getattr(error, "status", 0))
            return proxy_refusal(status, f"{status} {getattr(error, 'message', '')}".strip(), host, proxy)
    for error in chain:
        if type(error).__name__ != "ProxyError":
            continue
        words = _words(error)
        if found := re.match(r"[1-5]\d\d\b", words):
            return proxy_refusal(int(found[0]), words, host, proxy)
        if "username/password" in words or "from proxy server" in words:
            return proxy_refusal(407, words, host, proxy)
        if "not allowed" in words.lower():
            return proxy_refusal(403, words, host, proxy)
        return TransportFault(f"{proxy} cannot reach {host} ({words})", "Run the same command again later.")
    return None


def proxy_refusal(status: int, words: str, host: str, proxy: Proxy) -> TransportFault | NetworkSetupError:
    """What a status that a proxy answered of itself means.

    Args:
        status: the status.
        words: the status with its reason, as it is shown.
        host: what was asked for.
        proxy: what was asked through.
    """
    if status == 407:
        if proxy.user:
            return NetworkSetupError(
                f"{proxy} refuses its user name or password ({words})",
                f"Correct them in {proxy.variable}; write / @ : # in them as %2F %40 %3A %23.",
            )
        return NetworkSetupError(
            f"{proxy} needs a user name and a password ({words})",
            f"Set {proxy.variable} to {proxy.scheme}://USER:PASSWORD@HOST:PORT.",
        )
    if 400 <= status < 500 and status not in (408, 425, 429):
        return NetworkSetupError(
            f"{proxy} refuses to connect to {host} ({words})",
            "Ask whoever runs the proxy, or name the host in NO_PROXY if it can be reached directly.",
        )
    return TransportFault(f"{proxy} cannot reach {host} ({words})", "Run the same command again later.")


def host_of(url: str) -> str:
    """The host of a URL for a sentence; the URL itself, cut, when it cannot be taken apart."""
    try:
        return urlsplit(url).netloc.rpartition("@")[2] or url[:80]
    except ValueError:
        return re.sub(r"//[^/?#]*@", "//", url)[:80]


def hide(text: str, secrets: Iterable[str]) -> str:
    """The text with every secret in it blotted out."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "(hidden)")
    return text


def _words(error: BaseException) -> str:
    text = " ".join(str(error).split())
    # Messages of the libraries may quote a header; a bearer never leaves this module.
    if "earer" in text or "uthorization" in text:
        text = ""
    return text[:160] or type(error).__name__
