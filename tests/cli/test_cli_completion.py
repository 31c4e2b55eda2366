"""Completion in real shells, each at a terminal of its own: a key is pressed, and the command line is run."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from maap_tui.cli.main import main
from tests.homes import PATIENCE_S

ROOT = Path(__file__).parents[2]
COLLECTION = "EarthCAREL2Validated_MAAP"
ODD = "CPR $(touch pwned) 'a' \"b\" * ; & | < > # ~ \\ [x] {y}"
"""A product type that a shell would take apart, or worse."""

PROGRAM = """#!/bin/sh
# Answers completion as maap does, and prints the arguments of everything else.
case "$1" in
__names) exec {python} -m maap_tui "$@" ;;
esac
printf 'ARGUMENTS'
printf '<%s>' "$@"
printf 'END\\n'
"""

START = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--no-config", "-i"],
}
FIRST = {
    "bash": "bind 'set bell-style none'; source {script}",
    "zsh": 'autoload -U compinit; compinit -u -D; unsetopt beep; eval "$(<{script})"',
    "fish": "source {script}",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with local copies of names, and a `maap` that says how it is called."""
    catalogs = tmp_path / "home" / "catalogs"
    catalogs.mkdir(parents=True)
    values = {"productType": ["CPR_CLD_2A", "MSI_COP_2A", ODD], "version": ["AB", "ZY"]}
    (catalogs / f"{COLLECTION}_queryables.json").write_text(
        json.dumps({"properties": {name: {"enum": enum} for name, enum in values.items()}})
    )
    (catalogs / "Quite new_queryables.json").write_text("{}")
    (tmp_path / "home" / "searches.toml").write_text("[weekly]\ndays_back = 7\n['two words']\n")
    program = tmp_path / "bin" / "maap"
    program.parent.mkdir()
    program.write_text(PROGRAM.format(python=shlex.quote(sys.executable)))
    program.chmod(0o755)
    for name in [name for name in os.environ if name.startswith("MAAP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MAAP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MAAP_CATALOG_DIR", str(catalogs))
    monkeypatch.setenv("MAAP_CATALOG_URL", "http://127.0.0.1:9/")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Shell:
    """An interactive shell at a terminal."""

    def __init__(self, words: list[str]) -> None:
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.execvp(words[0], words)
        self.shown = ""

    def type(self, text: str) -> None:
        os.write(self.terminal, text.encode())

    def read_until(self, mark: str, start: int = 0) -> str:
        """What was shown from a place on, once the mark is in it."""
        while mark not in self.shown[start:]:
            assert select.select([self.terminal], [], [], PATIENCE_S)[0], f"{mark!r} is not in {self.shown!r}"
            self.shown += os.read(self.terminal, 65536).decode(errors="replace")
        return self.shown[start:]

    def arguments(self, line: str) -> tuple[str, str]:
        """The arguments that a line with keys in it calls `maap` with, and all that was shown."""
        start = len(self.shown)
        self.type(line + "\n")
        shown = self.read_until(">END", start)
        return shown.rpartition("ARGUMENTS")[2].partition("END")[0], shown

    def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.terminal)


@pytest.fixture(params=["bash", "zsh", "fish"])
def shell(request: pytest.FixtureRequest, folder: Path, script: Callable[[str], str]) -> Iterator[Shell]:
    name = request.param
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    file = folder / f"completion.{name}"
    file.write_text(script(name))
    started = Shell(START[name])
    started.type(FIRST[name].format(script=shlex.quote(str(file))) + "; echo rea''dy\n")
    started.read_until("ready")
    yield started
    started.end()


@pytest.fixture
def script(capsys: pytest.CaptureFixture[str]) -> Callable[[str], str]:
    def printed(name: str) -> str:
        assert main(["completion", name]) == 0
        return capsys.readouterr().out

    return printed


def test_a_line_is_completed(shell: Shell, folder: Path) -> None:
    found, _ = shell.arguments("maap sy\tEarthCAREL2V\tMSI\tZ\t--newest\t")
    assert found == f"<sync><{COLLECTION}><MSI_COP_2A><ZY><--newest-first>"
    found, _ = shell.arguments("maap state pend\tEarthCAREL2V\tMSI\tA\t--type ma\t")
    assert found == f"<state><pending><{COLLECTION}><MSI_COP_2A><AB><--type><marks>"


def test_names_that_a_shell_would_take_apart(shell: Shell, folder: Path) -> None:
    assert shell.arguments("maap list Qui\t")[0] == "<list><Quite new>"
    for begin in ("CPR\\ ", "'CPR ", '"CPR '):
        assert shell.arguments(f"maap get {COLLECTION} {begin}\t")[0] == f"<get><{COLLECTION}><{ODD}>"
    assert not (folder / "pwned").exists()


def test_a_saved_search_is_completed(shell: Shell, folder: Path) -> None:
    assert shell.arguments("maap sync --saved two\t--qui\t")[0] == "<sync><--saved><two words><--quiet>"


def test_options_before_a_name_are_understood(shell: Shell, folder: Path) -> None:
    line = f"maap -c /dev/null get --date 2025-12-01T06:30Z {COLLECTION} --bbox -1,2,3,4 MSI\t"
    assert shell.arguments(line)[0].endswith("<MSI_COP_2A>")


def damaged(folder: Path, fault: str) -> None:
    file = folder / "home" / "catalogs" / f"{COLLECTION}_queryables.json"
    if fault == "no copies":
        shutil.rmtree(folder / "home")
    elif fault == "a damaged copy":
        file.write_text("{")
    else:
        (folder / "home" / "config.toml").write_text("[downloads]\nparallel = 'many'\n")


@pytest.mark.parametrize("fault", ["no copies", "a damaged copy", "a wrong setting"])
def test_of_what_cannot_be_read_no_name_is_printed(
    folder: Path, capfd: pytest.CaptureFixture[str], fault: str
) -> None:
    damaged(folder, fault)
    code = main(["__names", "get", COLLECTION])
    assert (code, *capfd.readouterr()) == (0, "", "")


def test_what_cannot_be_read_is_silence(shell: Shell, folder: Path) -> None:
    damaged(folder, "a wrong setting")
    found, shown = shell.arguments(f"maap get {COLLECTION} MSI\t")
    assert found == f"<get><{COLLECTION}><MSI>"
    assert not any(word in shown for word in ("Error", "rror:", "Warning", "Traceback"))


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["get", COLLECTION], ["CPR_CLD_2A", "MSI_COP_2A"]),
        (["get", COLLECTION, "MSI_COP_2A"], ["AB", "ZY"]),
        (["verify", "--quick", COLLECTION, "MSI_COP_2A"], ["AB", "ZY"]),
        (["catalog", "build", "--force", COLLECTION], ["CPR_CLD_2A", "MSI_COP_2A"]),
        (["-v", "state", "cleanup", COLLECTION, "MSI_COP_2A"], ["AB", "ZY"]),
        (["get", COLLECTION, "MSI_COP_2A", "AB"], []),
        (["swap", "run", COLLECTION, "MSI_COP_2A", "AB"], ["AB", "ZY"]),
        (["swap", "list", COLLECTION], []),
        (["sync", "--saved"], ["weekly", "two words"]),
        (["searches", "remove"], ["weekly", "two words"]),
        (["sync", "--saved", "weekly", COLLECTION], ["CPR_CLD_2A", "MSI_COP_2A"]),
        (["get", COLLECTION, "--date"], []),
        (["state", "mark"], []),
        (["get", "--no-such-option"], []),
        (["get", "-h"], []),
        (["demo", "--", "list", COLLECTION], []),
        (["nothing"], []),
        ([], []),
    ],
    ids=" ".join,
)
def test_the_names_that_may_come_next(
    words: list[str], names: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["__names", *words]) == 0
    printed = capsys.readouterr()
    assert [name for name in printed.out.splitlines() if name != ODD] == names
    assert printed.err == ""


def test_a_built_catalogue_adds_its_names(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    built = folder / "home" / "built_catalogs"
    built.mkdir()
    products = {"ONLY_BUILT": {"baselines": {"XA": {}, "XB": {}}}}
    (built / f"{COLLECTION}_collection.json").write_text(json.dumps({"products": products}))
    assert main(["__names", "list", COLLECTION]) == 0
    assert "ONLY_BUILT" in capsys.readouterr().out.splitlines()
    assert main(["__names", "list", COLLECTION, "ONLY_BUILT"]) == 0
    assert capsys.readouterr().out.splitlines() == ["XA", "XB", "ZY"]


def test_names_are_found_with_little_loaded(folder: Path) -> None:
    code = (
        "import sys\n"
        "from maap_tui.cli.main import main\n"
        f"main(['__names', 'get', {COLLECTION!r}])\n"
        "absent = 'asyncio httpx aiohttp textual rich shtab tomlkit maap_tui.engine.session'.split()\n"
        "print('loaded', [name for name in absent if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE_S, check=True
    )
    assert done.stdout.splitlines()[-1] == "loaded []"


def test_an_unknown_shell_is_refused(maap: Callable[..., object], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "tcsh"]) == 4
    assert "'tcsh' (choose from" in capsys.readouterr().err
