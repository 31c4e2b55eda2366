"""Clients and results in other processes: pickled, or inherited through a fork."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from maap_tui import MaapClient, MaapConfig
from maap_tui.demo import Archive
from tests.client.conftest import HOUR, L2, NAMES
from tests.homes import PATIENCE_S


def test_results_pickle(client: MaapClient) -> None:
    found = client.search(*NAMES, **HOUR, max_items=2)
    assert pickle.loads(pickle.dumps(found)) == found
    got = client.download(found.urls, L2)
    assert pickle.loads(pickle.dumps(got)) == got
    synced = client.sync(*NAMES, **HOUR, max_items=1)
    again = pickle.loads(pickle.dumps(synced))
    assert synced.tracker is not None and again.tracker.get_stats() == synced.tracker.get_stats()
    assert (again.urls_found, again.baselines) == (synced.urls_found, ["BC"])


@pytest.mark.parametrize("is_used_before", [False, True])
def test_client_pickles_with_its_settings_and_no_token(
    archive: Archive, home: Path, monkeypatch: pytest.MonkeyPatch, is_used_before: bool
) -> None:
    token = dict(
        line.split("=", 1) for line in (home / "credentials.txt").read_text().splitlines() if "=" in line
    )["OFFLINE_TOKEN"]
    monkeypatch.setenv("MAAP_TOKEN", token)
    with MaapClient(MaapConfig(data_dir=home / "given")) as client:
        client.config.registry_dir = home / "changed"
        if is_used_before:
            client.get(*NAMES, **HOUR, max_items=1)
        data = pickle.dumps(client)
    assert token.encode() not in data
    monkeypatch.setenv("MAAP_DATA_DIR", str(home / "another"))
    monkeypatch.setenv("MAAP_CATALOG_URL", "http://127.0.0.1:9/")
    with pickle.loads(data) as copy:
        assert copy.config.data_dir == home / "given"
        found = copy.sync(*NAMES, **HOUR, max_items=1)
        assert found.urls_downloaded + found.urls_skipped >= 1
        assert (home / "changed" / "urls").is_dir()
        copy.config.registry_dir = home / "later"
        assert copy.sync(*NAMES, **HOUR, max_items=1).urls_found == found.urls_found
        assert (home / "later" / "urls").is_dir() and copy.config.data_dir == home / "given"


FORKS = """
import multiprocessing, os, sys, warnings
from datetime import datetime, timezone
from pathlib import Path
warnings.simplefilter("ignore", DeprecationWarning)  # that threads are alive at the fork is the point
from maap_tui import InvalidRequestError, MaapClient

names = ("EarthCAREL2Validated_MAAP", "CPR_CLD_2A", "BC")
day = datetime(2025, 12, 1, tzinfo=timezone.utc)
span = {"start": day, "end": day.replace(hour=1)}
client = MaapClient()


def search(number):
    return len(client.search(*names, **span).urls)


def get(number):
    return len(client.sync(*names, start=day, end=day.replace(minute=30)).errors)


def go_on(begun):
    try:
        return next(begun)
    except InvalidRequestError as error:
        return f"refused: {error.message} {error.hint}"


def in_child(work, *words):
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(write, repr(work(*words)).encode())
        client.close()
        os._exit(0)
    os.waitpid(pid, 0)
    return os.read(read, 10000).decode()


before = search(0)
client.get(*names, **span, max_items=1)
begun = client.searcher.search_urls_iter_day(*names[:2], day, day.replace(day=12), "BC", frames=["C"])
next(begun)
print(before, in_child(search, 0), in_child(get, 0))
print(in_child(go_on, begun))
with multiprocessing.get_context("fork").Pool(2) as pool:
    print(pool.map(search, range(3)))
print(search(0), len(list(begun)))
client.close()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
def test_client_works_in_a_forked_child(home: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKS], capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.stderr == "" and done.returncode == 0
    first, refused, pooled, last = done.stdout.splitlines()
    count = int(first.split()[0])
    assert count > 3 and first.split() == [str(count), str(count), "0"]
    assert "refused: This was begun in process " in refused and "Begin it again" in refused
    assert json.loads(pooled) == [count] * 3
    assert last == f"{count} 11"
