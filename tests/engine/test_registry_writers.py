"""A registry with several writers, one that is killed, their locks, and a disk that fails."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from maap_tui.engine.errors import LockedError
from maap_tui.engine.registry.baseline import BaselineRegistry
from maap_tui.engine.registry.entries import Key, Stats
from maap_tui.engine.registry.registry import Registry
from maap_tui.engine.registry.repair import problems_of
from maap_tui.engine.storage import locks
from tests.engine.registry_kit import BELOW, DAY, KEY, NEXT, ROOT, add, download, entry
from tests.homes import PATIENCE_S

WRITER = """
import sys
from datetime import date
from pathlib import Path
from maap_tui.engine.registry.baseline import BaselineRegistry
from maap_tui.engine.registry.entries import TrackedFile, Key
root, start, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
day = date(2025, 12, 1)
registry = BaselineRegistry(root, Key("EarthCARE", "C", "P", "BC"))
print("ready", flush=True)
sys.stdin.readline()
for number in range(start, start + count):
    url, path = f"https://archive.example/{number}.h5", f"/data/{number}.h5"
    registry.add([TrackedFile(registry.key, day, url, path)])
    registry.record(url, path, day)
    print(number, flush=True)
"""


def writers(root: Path, starts: list[int], count: int) -> list[subprocess.Popen[str]]:
    running = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(root), str(start), str(count)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        for start in starts
    ]
    for process in running:
        assert process.stdout is not None and process.stdin is not None
        assert process.stdout.readline() == "ready\n"
    for process in running:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    return running


@pytest.mark.fault("C2")
def test_four_processes_lose_and_repeat_nothing(tmp_path: Path) -> None:
    # Each two overlap by half: half of all lines are offered twice.
    for process in writers(tmp_path, [0, 15, 30, 45], 30):
        process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0
    expected = sorted(f"https://archive.example/{number}.h5|/data/{number}.h5" for number in range(75))
    for tree, prefix in (("urls", "url"), ("downloads", "dwl")):
        path = tmp_path / tree / "EarthCARE/C/P/BC/2025" / f"{prefix}_20251201.txt"
        assert sorted(path.read_text().splitlines()) == expected


def test_killed_writer_loses_and_repeats_nothing_acknowledged(tmp_path: Path) -> None:
    acknowledged: set[int] = set()
    for round_number in range(3):
        process = writers(tmp_path, [0], 2000)[0]
        assert process.stdout is not None
        with process:
            wanted = 20 * (round_number + 1) + random.Random(round_number).randrange(10)
            for _ in range(wanted):
                acknowledged.add(int(process.stdout.readline()))
            process.kill()
            acknowledged.update(int(line) for line in process.stdout if line.endswith("\n"))
    registry = BaselineRegistry(tmp_path, Key("EarthCARE", "C", "P", "BC"))
    urls = [item.url for item in registry.downloads()]
    assert {f"https://archive.example/{number}.h5" for number in acknowledged} <= set(urls)
    lines = registry.day_file("dwl", DAY).read_text().splitlines()
    assert len(lines) == len(set(lines))


def test_threads_share_one_object(registry: BaselineRegistry) -> None:
    def work() -> None:
        for number in range(15):
            add(registry, entry(number))
            download(registry, entry(number))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert registry.stats() == Stats(15, 15, 0, 0, 0, 15)
    assert registry.day_file("dwl", DAY).read_text().count("\n") == 15


def test_busy_baseline_is_a_locked_error(tmp_path: Path) -> None:
    registry = BaselineRegistry(tmp_path, KEY, lock_timeout_s=0.02)
    with (
        locks.lock(tmp_path / "downloads" / BELOW / ".lock", timeout_s=1, purpose="sync"),
        pytest.raises(LockedError, match=str(os.getpid())),
    ):
        add(registry, entry(1))
    assert add(registry, entry(1)) == 1


def test_full_disk_keeps_old_lines(tmp_path: Path) -> None:
    registry = BaselineRegistry(tmp_path, KEY)
    add(registry, *(entry(number) for number in range(200)))
    code = """
import resource, signal, sys
from datetime import date
from pathlib import Path
from maap_tui.engine.registry.baseline import BaselineRegistry
from maap_tui.engine.registry.entries import TrackedFile, Key
from maap_tui.engine.errors import StorageError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
size = int(sys.argv[2]) + 100
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
registry = BaselineRegistry(Path(sys.argv[1]), Key(*sys.argv[3:]))
try:
    day, path = date(2025, 12, 1), "/data/" + "x" * 50
    registry.add([TrackedFile(registry.key, day, f"https://archive.example/{n}", path) for n in range(9)])
except StorageError as error:
    print(error.message)
"""
    path = registry.day_file("url", DAY)
    before = path.read_bytes()
    names = (KEY.mission, KEY.collection, KEY.product_type, KEY.baseline)
    ended = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), str(len(before)), *names],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert str(path) in ended.stdout
    assert path.read_bytes() == before


def test_unreadable_file_is_named_not_taken_for_empty(registry: BaselineRegistry) -> None:
    third = NEXT + timedelta(days=1)
    add(registry, entry(1), entry(1, NEXT), entry(1, third))
    folder, link = registry.day_file("dwl", DAY), registry.day_file("dwl", NEXT)
    folder.mkdir(parents=True)
    link.symlink_to(link)
    assert registry.pending_downloads() == [entry(1, third)]
    assert registry.stats().pending_downloads == 1, "nobody knows what of those days is downloaded"
    assert [(one.path, one.lines) for one in registry.damage] == [(folder, 0), (link, 0)]
    assert [problem.file for problem in problems_of(registry)] == [folder, link]


def test_locks_are_not_among_the_data(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    tracker = registry.baseline(KEY)
    with registry.sync_lock(KEY, "sync"):
        add(tracker, entry(1))
        download(tracker, entry(1))
    assert sorted(path.name for path in tmp_path.glob("*")) == [".locks", "downloads", "urls"]
    found = {path.suffix for tree in ("urls", "downloads") for path in (tmp_path / tree).rglob("*.*")}
    assert found == {".txt"}


@pytest.mark.parametrize("kind", ["write", "sync"])
def test_earlier_versions_at_work_are_seen_and_see_this_one(tmp_path: Path, kind: str) -> None:
    registry = Registry(tmp_path, lock_timeout_s=0)
    folder = registry.baseline(KEY).errors_file.parent
    earlier = folder / ".lock" if kind == "write" else folder.parent / f".sync-{KEY.baseline}.lock"

    def take() -> contextlib.AbstractContextManager[None]:
        if kind == "sync":
            return registry.sync_lock(KEY, "sync")
        return registry.baseline(KEY).locked("marking files")

    with locks.lock(earlier, timeout_s=0, purpose="an earlier version"):
        with pytest.raises(LockedError, match="an earlier version"), take():
            pass
        with pytest.raises(LockedError, match="an earlier version"):
            registry.drop_earlier_locks(KEY)
    with take(), pytest.raises(LockedError), locks.lock(earlier, timeout_s=0):
        pass
    assert registry.drop_earlier_locks(KEY) == 1 and not earlier.exists()
    with take():
        assert not earlier.exists()
    assert registry.drop_earlier_locks(KEY) == 0


def test_who_may_write_to_one_baseline_alone_locks_there(tmp_path: Path) -> None:
    (tmp_path / ".locks").write_text("as a folder that cannot be made")
    registry = Registry(tmp_path, lock_timeout_s=0)
    add(registry.baseline(KEY), entry(1))
    with registry.baseline(KEY).locked("marking files"), pytest.raises(LockedError, match="marking files"):
        add(Registry(tmp_path, lock_timeout_s=0).baseline(KEY), entry(2))
    (tmp_path / ".locks").unlink()
    add(registry.baseline(KEY), entry(2))
    assert len(list(registry.baseline(KEY).urls())) == 2
