"""What is measured beside ours: found, and installed where that can be done.

    python bench/kit/peers.py

installs curl, aria2 and nginx from the distribution, as root where apt-get is, and the Python programs of
bench/requirements.txt in an environment of their own beside the one that runs this. What cannot be installed
is left out of the tables, and they say so.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

REQUIREMENTS = Path(__file__).parents[1] / "requirements.txt"
HOME = Path(sys.prefix) / "bench"
PACKAGES = {"curl": "curl", "aria2c": "aria2", "nginx": "nginx-light"}
"""Program -> the distribution's package that has it."""
PYTHON_NAMES = {
    "maap-client": "maap_client",
    "earthcare-downloader": "earthcare_downloader",
    "pystac-client": "pystac_client",
}
"""Program -> its module."""


def python() -> str:
    """The interpreter that has the Python programs, '' when there is none."""
    found = HOME / "bin" / "python"
    return str(found) if found.exists() else ""


def maap_client() -> str:
    """The command of maap-client, '' when it is not there."""
    found = HOME / "bin" / "maap"
    return str(found) if found.exists() else ""


def tool(name: str) -> str:
    """The path of a program of the system, '' when it is not there."""
    return shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin") or ""


def has(name: str) -> bool:
    """Whether a program can take part."""
    return bool(_version(name))


def versions(*names: str) -> dict[str, str]:
    """Those of the programs that are there."""
    return {name: version for name in names if (version := _version(name))}


def missing(*names: str) -> list[str]:
    """Words for those that are not there."""
    return [f"{name}, which is not installed (see `make setup-bench`)" for name in names if not has(name)]


def _version(name: str) -> str:
    if name in PYTHON_NAMES:
        folders = [*HOME.glob(f"lib/python*/site-packages/{PYTHON_NAMES[name]}-*.dist-info")]
        return folders[0].name.removesuffix(".dist-info").rpartition("-")[2] if folders else ""
    path = tool(name)
    if not path:
        return ""
    done = subprocess.run([path, "-v" if name == "nginx" else "--version"], capture_output=True, text=True)
    number = re.search(r"\d+(\.\d+)+", done.stdout + done.stderr)
    return number[0] if number else "of an unknown version"


def install() -> None:
    """Install what is not there; say what could not be."""
    packages = [package for name, package in PACKAGES.items() if not tool(name)]
    if packages and os.geteuid() == 0 and shutil.which("apt-get"):
        # Nothing of it shall start as a service.
        environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        for words in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
            subprocess.run(["apt-get", "-qq", *words], env=environ, stdout=subprocess.DEVNULL, check=False)
    if not python():
        subprocess.run([sys.executable, "-m", "venv", str(HOME)], check=True)
    pip = [python(), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    done = subprocess.run([*pip, "-r", str(REQUIREMENTS)], check=False, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        print(done.stderr, file=sys.stderr)
    for name in missing(*PACKAGES, *PYTHON_NAMES):
        print(f"not measured beside: {name}", file=sys.stderr)


if __name__ == "__main__":
    install()
