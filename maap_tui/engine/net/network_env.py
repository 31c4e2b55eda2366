"""What the environment says about the network: proxies, what is exempt from them, certificates to trust.

The rule: both clients obey the same variables in the same order, all of them are checked before the first
request, and a value that cannot be used is refused by name.
"""

from __future__ import annotations

import functools
import ipaddress
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from maap_tui.engine.errors import NetworkSetupError
from maap_tui.engine.net.origins import address_of, is_loopback

if TYPE_CHECKING:
    import ssl

CERTIFICATE_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Variables that name the certificates to trust; the first that is set decides alone."""

PORTS = {"http": 80, "https": 443}
"""Ports of addresses that name none."""

_PROXY_PORTS = {**PORTS, "socks5": 1080, "socks5h": 1080}
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_.])?")
_HASHED = re.compile(r"[0-9a-f]{8}\.\d+")
_SYSTEM = "the system's settings"

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy and the variable that names it."""

    variable: str
    scheme: str
    """http, https, socks5 or socks5h."""
    host: str
    port: int
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @property
    def url(self) -> str:
        """Its address without user name and password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def is_socks(self) -> bool:
        return self.scheme.startswith("socks")

    def __str__(self) -> str:
        return f"the proxy {self.url.partition('://')[2]} ({self.variable})"


@dataclass(frozen=True, slots=True)
class _Exempt:
    """One entry of NO_PROXY."""

    scheme: str
    host: str
    """A domain, in lower case; '' where `network` says which hosts are meant."""
    port: int | None
    network: _Network | None = None

    def covers(self, scheme: str, host: str, port: int) -> bool:
        if self.scheme not in ("", "all", scheme) or self.port not in (None, port):
            return False
        if self.network is None:
            return host == self.host or host.endswith("." + self.host)
        address = address_of(host)
        return address is not None and address in self.network


@dataclass(frozen=True, slots=True)
class Proxies:
    """The proxies in force, and the hosts that are asked without them."""

    by_scheme: Mapping[str, Proxy] = field(default_factory=dict)
    """http and https, as far as they have one."""
    exempt: tuple[_Exempt, ...] = ()

    def of(self, url: str) -> Proxy | None:
        """The proxy that a request goes through; None for the direct way, always so on this machine."""
        if not self.by_scheme:
            return None
        try:
            parts = urlsplit(url)
            host = (parts.hostname or "").rstrip(".")
            proxy = self.by_scheme.get(parts.scheme)
            port = parts.port or PORTS.get(parts.scheme, 0)
        except ValueError:
            return None
        if proxy is None or not host or is_loopback(host):
            return None
        if any(entry.covers(parts.scheme, host, port) for entry in self.exempt):
            return None
        return proxy


@dataclass(frozen=True, slots=True)
class Trust:
    """Where the certificates to trust come from."""

    variable: str = ""
    """The variable that names them; '' for those that the program brings."""
    path: str = ""


def proxies_of(environ: Mapping[str, str]) -> Proxies:
    """The proxies that `https_proxy`, `http_proxy`, `all_proxy` and `no_proxy` ask for.

    A name in lower case goes before the same one in upper case; one that is set to nothing hides it.

    Raises:
        NetworkSetupError: a proxy in force cannot be used.
    """
    _, exempt = _first_set(environ, "no_proxy")
    entries = [entry for entry in re.split(r"[,\s]+", exempt) if entry]
    if "*" in entries:
        return Proxies()
    found: dict[str, Proxy] = {}
    for scheme, (variable, value) in _proxy_values(environ).items():
        if value:
            found[scheme] = _read_proxy(variable, value)
    return Proxies(found, tuple(_read_exempt(entries)))


def _proxy_values(environ: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Scheme -> variable and value, '' for none."""
    values: dict[str, tuple[str, str]] = {}
    for scheme in PORTS:
        variable, value = _first_set(environ, f"{scheme}_proxy")
        if variable == "HTTP_PROXY" and "REQUEST_METHOD" in environ:
            # In a CGI process HTTP_PROXY is a header of whoever asks.
            value = ""
        values[scheme] = (variable, value) if value else _first_set(environ, "all_proxy")
    if sys.platform in ("darwin", "win32") and not any(value for _, value in values.values()):
        import urllib.request

        of_system = urllib.request.getproxies()
        return {scheme: (_SYSTEM, of_system.get(scheme, "")) for scheme in PORTS}
    return values


def _first_set(environ: Mapping[str, str], name: str) -> tuple[str, str]:
    for one in (name, name.upper()):
        if one in environ:
            return one, environ[one].strip()
    return name.upper(), ""


def hide_password(value: str) -> str:
    """The value of a variable as it may be shown: no user, no password, no character that is not printed."""
    head, at, tail = value.rpartition("@")
    if at:
        scheme, found, _ = head.partition("://")
        value = f"{scheme}://***@{tail}" if found else f"***@{tail}"
    return ascii(value)[1:-1][:120]


def _read_proxy(variable: str, value: str) -> Proxy:
    def refuse(reason: str, hint: str = "") -> NetworkSetupError:
        hint = hint or f"Set {variable} to http://HOST:PORT, or unset it."
        if "@" in value:
            hint += " Write characters such as / @ : # of a user name or password as %2F %40 %3A %23."
        return NetworkSetupError(f"{variable} is '{hide_password(value)}', {reason}", hint)

    unusable = "which is not the address of a proxy"
    if not value.isprintable() or any(letter.isspace() for letter in value):
        raise refuse(f"{unusable}: it has spaces or control characters")
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        host, given_port = parts.hostname or "", parts.port
    except ValueError:
        raise refuse(f"{unusable}: its host or port cannot be read") from None
    scheme = parts.scheme.lower()
    if scheme not in _PROXY_PORTS:
        raise refuse(f"and a proxy of the kind '{scheme[:20]}' cannot be used", "Use http, https or socks5.")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise refuse(f"{unusable}: it has a path")
    if not (_HOST.fullmatch(host) or (":" in host and address_of(host) is not None)):
        raise refuse(f"{unusable}: it has no host" if not host else f"{unusable}: its host cannot be read")
    if given_port == 0:
        raise refuse(f"{unusable}: its port must be from 1 to 65535")
    proxy = Proxy(
        variable,
        scheme,
        host,
        given_port or _PROXY_PORTS[scheme],
        unquote(parts.username or ""),
        unquote(parts.password or ""),
    )
    if proxy.is_socks:
        import importlib.util

        if importlib.util.find_spec("socksio") is None:
            raise refuse(
                "and a SOCKS proxy needs a package that is not installed (socksio)",
                "Run: pip install 'maap-tui[socks]'",
            )
    return proxy


def _read_exempt(entries: Iterable[str]) -> Iterator[_Exempt]:
    for entry in entries:
        scheme, found, rest = entry.lower().rpartition("://")
        scheme = scheme if found else ""
        network = _network_of(rest)
        if network is not None:
            yield _Exempt(scheme, "", None, network)
            continue
        host, colon, digits = rest.rpartition(":")
        port = None
        if colon and digits.isdecimal():
            rest, port = host, int(digits)
        network = _network_of(rest)
        host = rest.removeprefix("*").strip(".")
        if network is not None or host:
            yield _Exempt(scheme, "" if network else host, port, network)


def _network_of(text: str) -> _Network | None:
    """An address or a CIDR range, IPv6 with or without its brackets; None when it is neither."""
    if text.startswith("["):
        inside, closed, rest = text[1:].partition("]")
        if not closed or (rest and not rest.startswith("/")):
            return None
        text = inside + rest
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def trust_of(environ: Mapping[str, str]) -> Trust:
    """The variable of `CERTIFICATE_VARIABLES` that decides; nothing is read."""
    for variable in CERTIFICATE_VARIABLES:
        if path := environ.get(variable, "").strip():
            return Trust(variable, path)
    return Trust()


def ssl_context_of(trust: Trust) -> ssl.SSLContext | None:
    """What trusts the certificates that a variable names; None where none does.

    Raises:
        NetworkSetupError: the certificates cannot be read, or SSLKEYLOGFILE cannot be written.
    """
    if not trust.variable:
        return None
    folders = [trust.path]
    if trust.variable == "SSL_CERT_DIR":
        folders = [folder for folder in trust.path.split(os.pathsep) if folder] or folders
    stamps = tuple(_checked(trust, path) for path in folders)
    return _context_of(trust, tuple(folders), stamps)


def _refuse(trust: Trust, path: str, reason: str, hint: str = "") -> NetworkSetupError:
    hint = hint or f"Set {trust.variable} to a file of certificates in PEM form, or unset it."
    return NetworkSetupError(f"{trust.variable} is '{hide_password(path)}', {reason}", hint)


def _checked(trust: Trust, path: str) -> tuple[int, int]:
    """When and how large a file or folder of certificates is that can be used."""
    try:
        found = os.stat(path)
        if os.path.isdir(path):
            if not any(_HASHED.fullmatch(name) for name in os.listdir(path)):
                raise _refuse(
                    trust,
                    path,
                    "a folder without certificates named by their hash",
                    f"Run: openssl rehash {path}",
                )
            return found.st_mtime_ns, found.st_size
        with open(path, "rb") as file:
            data = file.read(1 << 26)
    except FileNotFoundError:
        raise _refuse(trust, path, "which does not exist") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise _refuse(trust, path, f"which cannot be read: {reason}") from None
    if not data.strip():
        raise _refuse(trust, path, "which is empty")
    if b"-----BEGIN " not in data:
        if data[0] == 0x30:
            raise _refuse(
                trust,
                path,
                "which is not in PEM form but looks like DER",
                f"Run: openssl x509 -inform der -in {path} -out NAME.pem, and set {trust.variable} to that.",
            )
        raise _refuse(trust, path, "which has no certificate in PEM form")
    return found.st_mtime_ns, found.st_size


@functools.lru_cache(maxsize=4)
def _context_of(trust: Trust, paths: tuple[str, ...], stamps: tuple[tuple[int, int], ...]) -> ssl.SSLContext:
    """Certificates take longer to read than a request takes: they are read once."""
    import ssl

    def make() -> ssl.SSLContext:
        is_folder = os.path.isdir(first)
        return ssl.create_default_context(
            cafile=None if is_folder else first, capath=first if is_folder else None
        )

    first, *others = paths
    try:
        context = with_key_log(make)
        for path in others:
            is_folder = os.path.isdir(path)
            context.load_verify_locations(None if is_folder else path, path if is_folder else None)
    except ssl.SSLError as error:
        reason = (error.reason or str(error)).replace("_", " ").lower()
        raise _refuse(trust, trust.path, f"whose certificates cannot be read: {reason}") from None
    if not os.path.isdir(paths[0]) and not context.cert_store_stats()["x509"]:
        raise _refuse(trust, trust.path, "which has no certificate in PEM form")
    return context


def with_key_log(make: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    """Make a context, which opens the file that SSLKEYLOGFILE names.

    Raises:
        NetworkSetupError: that file cannot be written.
    """
    import ssl

    try:
        return make()
    except ssl.SSLError:
        raise
    except OSError as error:
        log = os.environ.get("SSLKEYLOGFILE", "")
        if not log:
            raise
        raise NetworkSetupError(
            f"SSLKEYLOGFILE is '{hide_password(log)}', which cannot be written: {error.strerror}",
            "Set it to a file that can be written, or unset it.",
        ) from None
