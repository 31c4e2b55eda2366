"""The far end of a measurement: nginx for the files, the stub for catalogue and tokens, all on loopback.

Where nginx is not installed, the stub serves the files too: enough to try a script, and slower than some of
the clients.
"""

from __future__ import annotations

import base64
import json
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.kit import peers
from bench.kit.facts import LIMIT_RATE, LIMITED, TOKEN_PATH

HERE = Path(__file__).parent
CLIENT_SECRET = "a-client-secret"
PATIENCE_S = 30.0

NGINX = """
{user}
daemon off;
worker_processes 2;
pid {folder}/nginx.pid;
error_log {folder}/error.log crit;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000;
  open_file_cache max=1000;
  default_type application/octet-stream;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxied;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  upstream stub {{ server 127.0.0.1:{stub}; keepalive 32; }}
  server {{
    listen 127.0.0.1:{port} {ssl} backlog=512;
    {certificate}
    location /data/ {{
      if ($http_authorization !~ "^Bearer ") {{ return 401; }}
      root {files};
      rewrite ^/data/(\\w+)/ /$1.h5 break;
      location /data/{limited}/ {{
        if ($http_authorization !~ "^Bearer ") {{ return 401; }}
        limit_rate {rate};
        rewrite ^/data/(\\w+)/ /$1.h5 break;
      }}
    }}
    location / {{
      proxy_pass http://stub;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
    }}
  }}
}}
"""


@dataclass(frozen=True)
class Server:
    """An archive that listens."""

    url: str
    """Scheme, host and port."""
    authority: str = ""
    """The certificate to trust, '' for http."""
    stub_url: str = ""
    """Where the stub itself listens."""

    @property
    def catalog_url(self) -> str:
        return f"{self.url}/catalogue/"

    def counts(self) -> dict[str, float]:
        """What the stub was asked since the last time."""
        # Not by a library for HTTP: what this process has in memory is the floor of what it measures.
        port = int(self.stub_url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as line, line.makefile("rb") as answer:
            line.sendall(b"GET /_counts HTTP/1.1\r\nConnection: close\r\n\r\n")
            found: dict[str, float] = json.loads(answer.read().partition(b"\r\n\r\n")[2])
        return found

    def environ(self) -> dict[str, str]:
        """What clients run with: no proxies, and the authority of this server."""
        kept = ("PATH", "TMPDIR", "LANG", "LC_ALL")
        environ = {name: os.environ[name] for name in kept if name in os.environ}
        if self.authority:
            for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
                environ[name] = self.authority
        return environ

    def make_home(self, home: Path) -> None:
        """Write ~/.maap as both ours and maap-client read it."""
        folder = home / ".maap"
        folder.mkdir()
        places = ("data_dir", "catalog_dir", "built_catalog_dir", "registry_dir")
        lines = ["[paths]", *(f'{name} = "{home / name.removesuffix("_dir")}"' for name in places)]
        lines += [f'credentials_file = "{folder / "credentials.txt"}"', "[api]"]
        lines += [f'catalog_url = "{self.catalog_url}"', f'token_url = "{self.url}{TOKEN_PATH}"']
        (folder / "config.toml").write_text("\n".join([*lines, ""]))
        file = folder / "credentials.txt"
        file.touch(mode=0o600)
        file.write_text(
            f"CLIENT_ID=offline-token\nCLIENT_SECRET={CLIENT_SECRET}\nOFFLINE_TOKEN={offline_token()}\n"
        )


def offline_token() -> str:
    """A JWT that no clock makes old, with a signature that nobody checks."""
    parts = ({"alg": "HS256"}, {"typ": "Offline", "iat": 1_700_000_000, "exp": 4_000_000_000})
    texts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*texts, "c2lnbmF0dXJl"])


def write_body(file: Path, size: int) -> None:
    """Make a file of random bytes that its HDF5 header says to be whole."""
    head = b"\x89HDF\r\n\x1a\n" + bytes([2, 8, 8, 0]) + struct.pack("<QQQ", 0, 2**64 - 1, size)
    source = random.Random(size)
    with file.open("wb") as out:
        out.write(head)
        left = size - len(head)
        while left:
            piece = source.randbytes(min(left, 2**20))
            out.write(piece)
            left -= len(piece)


@contextmanager
def process(words: Sequence[object], environ: Mapping[str, str] | None = None) -> Iterator[str]:
    """A process while it is needed, once it has said its first line."""
    started = subprocess.Popen(
        [str(word) for word in words],
        stdout=subprocess.PIPE,
        text=True,
        env=environ,
        stdin=subprocess.DEVNULL,
    )
    try:
        assert started.stdout is not None
        line = started.stdout.readline().strip()
        if not line:
            raise SystemExit(f"{words[1]} did not start")
        yield line
    finally:
        started.send_signal(signal.SIGTERM)
        started.wait()


@contextmanager
def stub(*options: object) -> Iterator[Server]:
    """The stub alone, over http."""
    with process([sys.executable, HERE / "stub.py", *options]) as port:
        yield Server(f"http://127.0.0.1:{port}", stub_url=f"http://127.0.0.1:{port}")


@contextmanager
def long_line(server: Server, round_trip: float) -> Iterator[Server]:
    """The same server at the far end of a long line; it has to be told its address there before."""
    scheme, _, rest = server.url.partition("://")
    port = rest.rpartition(":")[2]
    with process([sys.executable, HERE / "proxy.py", port, round_trip]) as near:
        yield Server(f"{scheme}://127.0.0.1:{near}", server.authority, server.stub_url)


@contextmanager
def archive(folder: Path, sizes: Mapping[str, int], *, tls: bool = False) -> Iterator[Server]:
    """Serve /data/NAME/... of these sizes, with catalogue and tokens, over http or https.

    Args:
        folder: takes what is served and what the servers write.
        sizes: name -> bytes.
        tls: whether it is https, by an authority of its own.
    """
    scheme = "https" if tls else "http"
    home = folder / scheme
    home.mkdir()
    files = folder / "files"
    files.mkdir(exist_ok=True)
    for name, size in sizes.items():
        if not (files / f"{name}.h5").exists():
            write_body(files / f"{name}.h5", size)
    authority = _certify(home) if tls else ""
    with ExitStack() as stack:
        if not peers.has("nginx"):
            words = ["--files", files]
            if not tls:
                yield stack.enter_context(stub(*words))
                return
            words = [sys.executable, HERE / "stub.py", *words, "--tls", home / "server.pem"]
            yield Server(f"https://127.0.0.1:{stack.enter_context(process(words))}", authority)
            return
        port = free_port()
        url = f"{scheme}://127.0.0.1:{port}"
        behind = stack.enter_context(stub("--base", url))
        config = home / "nginx.conf"
        pem = home / "server.pem"
        config.write_text(
            NGINX.format(
                user="user root;" if os.geteuid() == 0 else "",
                folder=home,
                files=files,
                stub=behind.url.rpartition(":")[2],
                port=port,
                ssl="ssl" if tls else "",
                certificate=f"ssl_certificate {pem}; ssl_certificate_key {pem};" if tls else "",
                limited=LIMITED,
                rate=LIMIT_RATE,
            )
        )
        command = [peers.tool("nginx"), "-p", str(home), "-e", str(home / "error.log"), "-c", str(config)]
        started = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        stack.callback(started.wait)
        stack.callback(started.terminate)
        _wait_for(port, started)
        yield Server(url, authority, behind.url)


CERTIFY = """
import sys, trustme
folder, authority = sys.argv[1], trustme.CA()
authority.cert_pem.write_to_path(f"{folder}/authority.pem")
authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(f"{folder}/server.pem")
"""


def _certify(folder: Path) -> str:
    """Make an authority and a key with its certificate; returns the file of the authority."""
    subprocess.run([sys.executable, "-c", CERTIFY, str(folder)], check=True)
    return str(folder / "authority.pem")


def free_port() -> int:
    """A port on 127.0.0.1 that nothing listens at."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


def _wait_for(port: int, started: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if started.poll() is not None or time.monotonic() > end:
                raise SystemExit("nginx did not start") from None
            time.sleep(0.05)
