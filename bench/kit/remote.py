"""A real sshd on the loopback, with keys of its own, and what crosses the connection to it."""

from __future__ import annotations

import getpass
import os
import shlex
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from bench.kit.harness import Failed

SSHD = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
TMUX = shutil.which("tmux")
SOCKET = f"maap-bench-{os.getpid()}"
"""What its tmux listens to."""
PATIENCE_S = 20.0

_CONFIG = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
PidFile none
UsePAM no
StrictModes no
PermitRootLogin prohibit-password
"""


class Counter:
    """A relay to a port of the loopback that counts what the server sends."""

    def __init__(self, port: int) -> None:
        self.count = 0
        """Bytes from the server to the client, as they cross the line."""
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):  # it is closed
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._to))
                for one in (client, server):
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._relay, args=(client, server, False), daemon=True).start()
                threading.Thread(target=self._relay, args=(server, client, True), daemon=True).start()

    def _relay(self, source: socket.socket, target: socket.socket, counts: bool) -> None:
        with suppress(OSError), closing(source), closing(target):
            while piece := source.recv(65536):
                self.count += len(piece) if counts else 0
                target.sendall(piece)

    def close(self) -> None:
        self._listener.close()


class Remote:
    """A machine to log in to: this one."""

    def __init__(self, folder: Path, counter: Counter) -> None:
        self._folder = folder
        self.counter = counter

    def login(self) -> int:
        """Bytes that a login takes, before any command says something."""
        before = self.counter.count
        subprocess.run(
            self.command(["true"], {}, in_tmux=False, size=(80, 24)), check=True, capture_output=True
        )
        return self.counter.count - before

    def command(
        self, words: Sequence[str], environ: Mapping[str, str], *, in_tmux: bool, size: tuple[int, int]
    ) -> list[str]:
        """What runs a command there on a terminal; sshd sets SSH_TTY and TERM itself."""
        there = ["env", *(f"{name}={value}" for name, value in environ.items()), *words]
        if in_tmux:
            width, height = (str(number) for number in size)
            tmux = [str(TMUX), "-L", SOCKET, "-f", os.devnull, "new-session", "-x", width, "-y", height]
            # Its line of status is no part of what is measured.
            there = [*tmux, shlex.join(there), ";", "set", "status", "off"]
        return [
            str(shutil.which("ssh")), "-F", "none", "-tt", "-p", str(self.counter.port),
            "-i", f"{self._folder}/user", "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=no",
            "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
            f"{getpass.getuser()}@127.0.0.1", f"exec {shlex.join(there)}",
        ]  # fmt: skip


@contextmanager
def remote(folder: Path) -> Iterator[Remote]:
    """An sshd that runs while the context does, with its keys in a folder.

    Raises:
        Failed: it does not start.
    """
    folder.mkdir()
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (folder / "config").write_text(_CONFIG.format(port=port, folder=folder))
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # sshd wants it before it drops its rights
    said = folder / "said"
    with said.open("wb") as log:
        process = subprocess.Popen(
            [str(SSHD), "-D", "-e", "-f", str(folder / "config")], stderr=log, stdin=subprocess.DEVNULL
        )
    counter = Counter(port)
    try:
        _wait_for(port, process, said)
        yield Remote(folder, counter)
    finally:
        if TMUX is not None:  # it outlives its terminal
            subprocess.run([TMUX, "-L", SOCKET, "kill-server"], capture_output=True)
        counter.close()
        process.terminate()
        process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes], said: Path) -> None:
    for _ in range(int(PATIENCE_S / 0.1)):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.1)
            break
    raise Failed(f"sshd does not start: {said.read_text(errors='replace')[-400:]}")
