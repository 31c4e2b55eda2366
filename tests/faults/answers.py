"""All scenarios together: what was saved that is no data, which codes were wrong, where secrets went."""

from __future__ import annotations

import functools
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.engine.raw_files import answer, hdf5_body
from tests.faults.figure import PEER_PYTHON, Figure
from tests.faults.scenarios import AUTH, DATA_KINDS, NETWORK, SERVER, Scenario, stall_midway
from tests.faults.stage import CANARY, NAMES, OFFLINE, SECRET, SYNC, Stage

EVERY = (*NETWORK, *SERVER, *AUTH)


@dataclass(frozen=True)
class Played:
    """What came of the scenarios."""

    scenarios: int
    wrong_codes: tuple[str, ...]
    wrong: tuple[str, ...]
    """All that did not hold of what was promised, codes included."""
    strayed: tuple[str, ...]
    """Requests that carried a secret where it does not belong."""
    leaks: tuple[str, ...]
    """Places where a secret can be read."""


@functools.cache
def play(rounds: int) -> Played:
    """Play `rounds` of the scenarios, evenly chosen, as verbosely as can be; once for all who ask."""
    chosen = EVERY[:: max(1, len(EVERY) // rounds)][:rounds]
    codes, wrong, strayed, leaks = [], [], [], []
    for scenario in chosen:
        with tempfile.TemporaryDirectory() as folder, Stage(Path(folder)) as stage:
            verbose = _verbose(scenario)
            ended, found = verbose.play(stage)
            codes += [str(scenario)] * (ended.code != scenario.code)
            wrong += [f"{scenario}: {one}" for one in found if "traceback" not in one]
            strayed += stage.strayed()
            leaks += stage.leaks()
    return Played(len(chosen), tuple(codes), tuple(wrong), tuple(strayed), tuple(leaks))


def _verbose(scenario: Scenario) -> Scenario:
    def build(stage: Stage) -> Sequence[str]:
        return ("-vv", *(scenario.build(stage) or SYNC))

    return Scenario(**{**vars(scenario), "build": build})


def measure_exit_codes(rounds: int, folder: Path) -> Figure:
    """F21: the exit code of each scenario, and all else that it promises."""
    played = play(rounds)
    seen = f"{len(played.wrong_codes)} wrong, {len(played.wrong)} broken promises"
    return Figure("F21", f"{played.scenarios} scenarios", "0 wrong exit codes", seen, not played.wrong)


def measure_bearers(rounds: int, folder: Path) -> Figure:
    """F10: requests of all scenarios that carried a secret to where it does not belong."""
    played = play(rounds)
    seen = f"{len(played.strayed)} requests"
    return Figure("F10", f"{played.scenarios} scenarios", "0 bearers elsewhere", seen, not played.strayed)


def measure_secrets(rounds: int, folder: Path) -> Figure:
    """F11: three secrets looked for in all that scenarios said and left, and in what /proc shows."""
    played = play(rounds)
    found = [*played.leaks, *_shown_by_processes(folder)]
    seen = f"{len(found)} places"
    return Figure("F11", f"{played.scenarios} scenarios, 2 processes", "0 places", seen, not found)


def _shown_by_processes(folder: Path) -> list[str]:
    """Secrets in what a download and a login show of themselves while they run."""
    found = []
    with Stage(folder) as stage:
        stage.add(stall_midway)
        (stage.folder / "token").write_text(OFFLINE)
        for words in (SYNC, ("login", "--token-file", stage.folder / "token")):
            process = stage.start("-vv", *words, environ=stage.environment)
            assert process.stderr is not None
            if words == SYNC:
                # Its first line says that it is at work.
                process.stderr.readline()
            for name in ("cmdline", "comm", "status"):
                shown = Path(f"/proc/{process.pid}/{name}").read_bytes()
                found += [f"/proc/PID/{name}"] * (CANARY.encode() in shown)
            if words == SYNC:
                process.terminate()
            out, err = process.communicate(timeout=30)
            found += [f"what {words[0]} said"] * (CANARY.encode() in out + err)
        (stage.folder / "token").unlink()
        found += stage.leaks()
    return found


def measure_false_finals(rounds: int, folder: Path) -> Figure:
    """F8: kinds of answers that are no data, with and without a size in the catalogue."""
    saved = zero = wrong = count = 0
    for name, (reply, code) in list(DATA_KINDS.items())[:rounds]:
        # A whole file of another size is only wrong where the catalogue announced one.
        for size in (5001,) if name == "other size" else (None, 5001):
            count += 1
            with Stage(folder / f"{count}") as stage:
                stage.add(reply, size=size)
                ended = stage.maap(*SYNC)
                saved += len(stage.finals) + len(stage.lines("dwl"))
                zero += ended.code == 0
                wrong += ended.code != code
    kinds = min(rounds, len(DATA_KINDS))
    seen = f"{saved} saved, {zero} exit 0, {wrong} with another code"
    return Figure("F8", f"{kinds} kinds of non-data", "0 saved, 0 exit 0", seen, not (saved or zero or wrong))


def peers_false_finals(rounds: int, folder: Path) -> dict[str, str]:
    """The same of other programs: what they save under the final name with exit code 0."""
    results = {}
    kinds = list(DATA_KINDS.items())[:rounds]
    for name in ("curl", "aria2c", "wget", "maap-client"):
        if not (PEER_PYTHON if name == "maap-client" else shutil.which(name)):
            continue
        saved = 0
        with Stage(folder / name) as stage:
            stage.data.mkdir()
            config = stage.folder / "peer.toml"
            config.write_text(
                f'[paths]\ndata_dir = "{stage.data}"\nregistry_dir = "{stage.home}/registry"\n'
                f'credentials_file = "{stage.home}/credentials.txt"\n'
                f'[api]\ncatalog_url = "{stage.root}"\ntoken_url = "{stage.url}/token"\n'
            )
            for number, (_, (reply, _)) in enumerate(kinds):
                url = stage.server.at(f"/data/{number}.h5", reply)
                path = stage.data / f"{number}.h5"
                command = {
                    "curl": ["curl", "-fsSL", "-m", "10", "-o", str(path), url],
                    "aria2c": ["aria2c", "-q", "-m", "2", "--retry-wait=0", "-d", str(path.parent), url],
                    "wget": ["wget", "-q", "-t", "2", "-T", "5", "--waitretry=0", "-O", str(path), url],
                    "maap-client": [
                        *(PEER_PYTHON, "-m", "maap_client", "-c", str(config), "download", *NAMES),
                        *("-u", url, "-o", str(path.parent)),
                    ],
                }[name]
                environ = {**stage.environment}
                ended = subprocess.run(command, check=False, capture_output=True, env=environ, timeout=60)
                saved += ended.returncode == 0 and path.exists()
        results[name] = f"{saved} of {len(kinds)} saved with exit code 0"
    return results


def peers_bearers(rounds: int, folder: Path) -> dict[str, str]:
    """What other programs send along to another host that they are redirected to."""
    results = {}
    commands = {
        "curl": ["curl", "-fsSL", "-o", "/dev/null"],
        "aria2c": ["aria2c", "-q", "--allow-overwrite=true", "-d", str(folder), "-o", "aria2c.h5"],
        "wget": ["wget", "-q", "-O", "/dev/null"],
    }
    for name, command in commands.items():
        if shutil.which(name) is None:
            continue
        with Stage(folder / f"bearer-{name}") as stage:
            for _ in range(rounds):
                target = stage.other.at("/a.h5", answer("200 OK", hdf5_body(500)))
                url = stage.server.at("/data/a.h5", answer("302 Found", location=target))
                bearer = f"Authorization: Bearer {SECRET}"
                option = f"--header={bearer}" if name != "curl" else "-H"
                words = [*command, option, *([bearer] if name == "curl" else []), url]
                subprocess.run(words, check=False, capture_output=True, timeout=60)
            results[name] = (
                f"{sum(one.startswith(stage.elsewhere) for one in stage.strayed())} of {rounds} redirects"
            )
    return results
