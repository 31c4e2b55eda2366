"""What becomes of files, registry and state when a disk fails, fills, refuses or loses power (D1 to D10)."""

from __future__ import annotations

import asyncio
import os
import re
import resource
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import pytest

from maap_tui.demo import Archive
from maap_tui.engine.session import Session
from maap_tui.tui.app import MaapApp
from tests.faults import crashes, disks
from tests.faults.home import BASELINE, NAMES, Home
from tests.faults.injecting import KILL, Blow
from tests.faults.preloaded import NOBODY, Missing, Preloaded, traced
from tests.homes import PATIENCE_S
from tests.tui.driving import find_files, text_of, wait_until

CLD = NAMES
ONE = ("--date", "2025-12-01", "--frame", "D", "-n", "1")


@pytest.fixture(scope="module")
def shared_injections(
    shared_archive: Archive, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[crashes.Injections]:
    place = crashes.Injections(shared_archive, tmp_path_factory.mktemp("injections"))
    yield place
    place.close()


@pytest.fixture
def injections(archive: Archive, shared_injections: crashes.Injections) -> crashes.Injections:
    """A sync of three files into a home that has a past."""
    shared_injections.begin_again()
    return shared_injections


def strike(place: crashes.Injections, *options: str) -> Any:
    """Run the sync under strace with these options."""
    try:
        with traced(place.server, place.words, place.home.environ, *options, log=place.log) as run:
            return run.wait()
    except Missing as missing:
        pytest.skip(f"needs {missing}")


@pytest.mark.fault("D1")
@pytest.mark.fault("D2")
def test_a_full_disk_loses_no_line_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    try:
        figure = disks.measure_full_disk(0, tmp_path, free=(120 * 1024,))
    except Missing as missing:
        pytest.skip(f"needs {missing}")
    assert figure.kept, str(figure)


@pytest.mark.fault("D2")
@pytest.mark.fault("P1")
@pytest.mark.parametrize("what", ["ENOSPC", KILL])
def test_an_error_that_cannot_be_taken_off_its_list_leaves_the_file_pending(
    injections: crashes.Injections, what: str
) -> None:
    try:
        injections.calls()
    except Missing as missing:
        pytest.skip(f"needs {missing}")
    renames = [line for line in injections.log.read_text().splitlines() if " rename(" in line]
    (number,) = [number for number, line in enumerate(renames, 1) if 'errors.txt"' in line]
    assert injections.strike(Blow("rename", number, what)) == ""


@pytest.mark.fault("D3")
def test_a_part_whose_fsync_failed_is_thrown_away_and_never_asked_to_be_safe_again(
    injections: crashes.Injections,
) -> None:
    name = injections.urls[1].rpartition("/")[2]
    folder = injections.home.folder / "data" / BASELINE / "2025" / "12" / "01"
    part = folder / f"{name}.part"
    ended = strike(
        injections, "-y", "-P", str(part), "-e", "trace=fsync,rename", "-e", "inject=fsync:error=EIO:when=1"
    )
    assert ended.code == 4
    assert f"{part} could not be written to disk" in ended.err and "Check the disk" in ended.err
    assert not part.exists() and not (folder / name).exists()
    calls = re.findall(r"(fsync|rename)\(", injections.log.read_text())
    assert calls == ["fsync"]
    again = injections.server.run(injections.words, injections.home.environ)
    assert again.code == 0
    assert injections.home.wrong_finals() == []
    assert all(map(injections.home.is_recorded, injections.urls))


def one_sentence(err: str, *words: str) -> None:
    """Whether the error is one line that has the words."""
    (line,) = [line for line in err.splitlines() if line.startswith("Error")]
    assert all(word in line for word in words), line
    assert "Traceback" not in err


@pytest.mark.fault("D4")
@pytest.mark.parametrize("what", ["data", "registry"])
def test_a_folder_without_permission_is_named_with_what_to_do(
    archive: Archive, server: Preloaded, what: str
) -> None:
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        home = Home(archive, Path(name, "home"))
        home.make()
        if os.geteuid() == 0:
            for path in (home.folder, *home.folder.rglob("*")):
                os.chown(path, NOBODY, NOBODY)
        folder = home.folder / what
        folder.chmod(0o500)
        ended = server.run(("sync", *CLD, *ONE), home.environ, as_nobody=True)
        assert ended.code == 4
        one_sentence(ended.err, str(folder), "permission denied", "permissions")
        assert list((home.folder / "data").rglob("*.h5*")) == []
        folder.chmod(0o700)
        assert server.run(("sync", *CLD, *ONE), home.environ, as_nobody=True).code == 0
        assert len(home.finals()) == 1 and home.wrong_finals() == []


@pytest.mark.fault("D4")
def test_a_read_only_file_system_is_named(maap: Callable[..., Any], home: Path, tmp_path: Path) -> None:
    try:
        with disks.tmpfs(tmp_path / "disk", "size=1m") as disk:
            subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
            ended = maap("--data-dir", disk / "data", "get", *CLD, *ONE)
    except Missing as missing:
        pytest.skip(f"needs {missing}")
    assert ended.code == 4
    one_sentence(ended.err, str(disk), "the file system is read-only")


@pytest.mark.fault("D4")
def test_a_limit_on_the_size_of_files_is_named_and_the_part_goes_on_without_it(
    start: Callable[..., subprocess.Popen[bytes]], home: Path
) -> None:
    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    process = start("get", *CLD, *ONE, preexec_fn=limit)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 4
    one_sentence(err.decode(), str(home / "data"), "larger than is allowed", "ulimit -f")
    (part,) = (home / "data").rglob("*.part")
    assert part.stat().st_size == 100_000
    assert start("get", *CLD, *ONE).wait(PATIENCE_S) == 0
    (final,) = (path for path in (home / "data").rglob("*") if path.is_file())
    with h5py.File(final) as file:
        assert len(file) > 0


@pytest.mark.fault("D5")
def test_nothing_is_told_before_it_would_survive_a_power_cut(injections: crashes.Injections) -> None:
    wanted = "fsync,rename,write,pwrite64,openat"
    ended = strike(injections, "-y", "-s", "4096", "-e", f"trace={wanted}")
    assert ended.code == 0
    lines = injections.log.read_text().splitlines()
    day_file = str(injections.home.day_file("dwl"))
    printed = str(injections.printed)
    for url in injections.urls[1:]:
        name = url.rpartition("/")[2]

        def first(*words: str, after: int = -1) -> int:
            found = [
                number
                for number, line in enumerate(lines)
                if number > after and all(word in line for word in words)
            ]
            assert found, words
            return found[0]

        last_byte = max(n for n, line in enumerate(lines) if "pwrite64(" in line and f"{name}.part>" in line)
        safe = first("fsync(", f"{name}.part>", after=last_byte)
        final = first("rename(", f'{name}"', after=safe)
        folder = str(injections.home.folder / "data" / BASELINE / "2025" / "12" / "01")
        named = first("fsync(", f"{folder}>", after=final)
        line = first("write(", f"{day_file}>", name, after=named)
        kept = first("fsync(", f"{day_file}>", after=line)
        first("write(1<", printed, name, after=kept)
        assert not [n for n in range(kept) if "write(1<" in lines[n] and name in lines[n]]


@pytest.mark.fault("D9")
@pytest.mark.parametrize("error", ["ENOLCK", "EOPNOTSUPP"])
def test_without_locks_of_the_file_system_work_goes_on_under_others(
    injections: crashes.Injections, error: str
) -> None:
    ended = strike(injections, "-e", "trace=flock", "-e", f"inject=flock:error={error}")
    assert ended.code == 0, ended.err
    assert "inject" in injections.log.read_text().lower()
    assert all(map(injections.home.is_recorded, injections.urls))
    assert injections.home.litter() == []


@pytest.mark.fault("D9")
@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("EIO", ("/BC.lock", "the disk reported an error", "nothing was written")),
        ("ESTALE", ("/BC.lock", "the network folder went away", "Check the mount")),
    ],
)
def test_a_lock_that_fails_otherwise_is_refused_by_its_path(
    injections: crashes.Injections, error: str, words: tuple[str, ...]
) -> None:
    old, torn = injections.home.lines("dwl")
    ended = strike(injections, "-e", "trace=flock", "-e", f"inject=flock:error={error}")
    assert ended.code == 3
    one_sentence(ended.err, *words)
    assert len(injections.home.finals()) == 1
    assert list(injections.home.lines("dwl")) == [old, torn]


@pytest.mark.long
@pytest.mark.fault("D10")
async def test_an_fsync_that_takes_its_time_holds_up_no_key(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync, may_end, waiting = os.fsync, threading.Event(), threading.Semaphore(0)

    def slow(descriptor: int) -> None:
        waiting.release()
        may_end.wait(PATIENCE_S)
        fsync(descriptor)

    app = MaapApp(Session.load(bulk=True))
    beats = 0

    def beat() -> None:
        nonlocal beats
        beats += 1

    async with app.run_test(size=(80, 24)) as pilot:
        found = await find_files(app, 2)  # type: ignore[arg-type]
        monkeypatch.setattr(os, "fsync", slow)
        app.set_interval(0.01, beat)
        queueing = asyncio.ensure_future(app.backend.queue_files(found))
        try:
            await wait_until(lambda: waiting.acquire(blocking=False), pilot)
            for key, word in zip("2345", ("Search", "Downloads", "Registry", "Log"), strict=True):
                before = beats
                await pilot.press(key)
                await wait_until(lambda word=word: word in text_of(app), pilot)  # type: ignore[misc]
                await wait_until(lambda before=before: beats > before + 5, pilot)  # type: ignore[misc]
            assert not may_end.is_set() and not list((home / "data").rglob("*.h5"))
        finally:
            may_end.set()
        assert await queueing == 2
        await wait_until(lambda: len(list((home / "data").rglob("*.h5"))) == 2, pilot)
