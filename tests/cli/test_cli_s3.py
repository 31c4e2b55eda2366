"""`--out-dir s3://BUCKET/PREFIX`: what S3 is given, when, and what is said where it refuses."""

import hashlib
import json
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from maap_tui.demo import Archive
from tests.homes import PATIENCE_S
from tests.s3_server import BUCKET, KEY_ID, SECRET, SESSION, S3Server

L2 = "EarthCAREL2Validated_MAAP"
CLD = (L2, "CPR_CLD_2A", "BC")
SOME = ("--date", "2025-12-01", "--frame", "D", "-n", "3")
BIG = ("EarthCAREL1Validated_MAAP", "MSI_RGR_1C", "BC", "--date", "2025-12-01", "-n", "1")
TO = f"s3://{BUCKET}/some/prefix"
PART = 5 << 20


@pytest.fixture(scope="module")
def shared_s3() -> Iterator[S3Server]:
    with S3Server() as server:
        yield server


@pytest.fixture
def s3(shared_s3: S3Server, home: Path, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """An S3 with an empty bucket, and the environment that leads to it."""
    shared_s3.clear()
    for name, value in shared_s3.environment.items():
        monkeypatch.setenv(name, value)
    return shared_s3


@pytest.fixture
def on_disk(maap: Callable, tmp_path: Path) -> Callable[[], bytes]:
    """The bytes of the large file, as they come to a disk."""

    def fetch() -> bytes:
        assert maap("get", *BIG, "-o", tmp_path / "disk").code == 0
        (file,) = (tmp_path / "disk").iterdir()
        return file.read_bytes()

    return fetch


def staged(home: Path) -> list[Path]:
    return [path for path in (home / "state" / "staging").rglob("*") if path.is_file()]


def test_files_go_to_s3_once(maap: Callable, s3: S3Server, home: Path, archive: Archive) -> None:
    sizes = {
        row["id"] + ".h5": row["size"] for row in map(json.loads, maap("search", *CLD, *SOME, "--json").lines)
    }
    dry = maap("get", *CLD, *SOME, "-o", TO, "--dry-run", "--json")
    assert {row["path"]: row["state"] for row in map(json.loads, dry.lines)} == {
        f"{TO}/{name}": "wanted" for name in sizes
    }
    assert "free in" not in dry.err and not s3.objects

    ended = maap("download", *CLD, *SOME, "--out-dir", f"{TO}/", "--json")
    assert ended.code == 0, ended.err
    rows = [json.loads(line) for line in ended.lines]
    assert {row["path"]: row["bytes"] for row in rows} == {f"{TO}/{name}": sizes[name] for name in sizes}
    assert {row["state"] for row in rows} == {"finished"}
    assert {key: len(data) for key, data in s3.objects.items()} == {
        f"some/prefix/{name}": size for name, size in sizes.items()
    }
    assert s3.hashes == {key: [hashlib.sha256(data).hexdigest()] for key, data in s3.objects.items()}
    assert staged(home) == [] and not list(home.parent.rglob("s3:*"))
    assert not (home / "registry" / "downloads").exists()

    asked = archive.stats.count("data")
    assert "3 files here already" in maap("get", *CLD, *SOME, "-o", TO).err
    assert "3 here already" in maap("get", *CLD, *SOME, "-o", TO, "--dry-run").err
    assert archive.stats.count("data") == asked


def test_a_url_without_a_size_is_looked_up_at_both_ends(
    maap: Callable, s3: S3Server, archive: Archive
) -> None:
    (url,) = maap("search", *CLD, *SOME[:-1], "1").lines
    words = ("download", *CLD, "-u", url, "-o", TO, "--json")
    assert json.loads(maap(*words).out)["state"] == "finished"
    assert json.loads(maap(*words).out)["state"] == "skipped"
    (key,) = s3.objects
    s3.objects[key] += b"longer"
    assert json.loads(maap(*words).out)["state"] == "finished"
    assert len(s3.objects[key]) < len(s3.objects[key] + b"longer")


def test_a_large_file_goes_in_parts_of_which_one_is_refused_first(
    maap: Callable, s3: S3Server, home: Path, archive: Archive, on_disk: Callable
) -> None:
    busy = [(503, "SlowDown"), (500, "InternalError"), (400, "RequestTimeout")]
    s3.refuse = lambda method, target: busy.pop() if "partNumber=2" in target and busy else None
    ended = maap("get", *BIG, "-o", TO)
    assert ended.code == 0, ended.err
    ((key, data),) = s3.objects.items()
    assert len(data) > PART and not busy and not s3.uploads
    parts = [data[at : at + PART] for at in range(0, len(data), PART)]
    assert s3.hashes[key] == sorted(hashlib.sha256(part).hexdigest() for part in parts)
    assert data == on_disk()
    assert staged(home) == []


@pytest.mark.parametrize("fault", [{"wrong_size": 10}, {"html_login": True}, {"wrong_length": 500}])
def test_what_is_not_whole_never_reaches_s3(
    maap: Callable, s3: S3Server, archive: Archive, fault: dict[str, Any]
) -> None:
    archive.faults.add(**fault)
    assert maap("get", *CLD, *SOME, "-o", TO).code in (2, 3)
    assert not s3.objects and not s3.uploads
    assert not [asked for asked in s3.asked if asked.startswith(("PUT", "POST"))]


def test_a_plan_is_divided_by_jobs(maap: Callable, s3: S3Server, tmp_path: Path, home: Path) -> None:
    plan = tmp_path / "plan.jsonl"
    assert maap("plan", *CLD, *SOME[:4], "-o", plan).code == 0
    counts = []
    for part in ("1/2", "2/2"):
        words = ("download", "--plan", plan, "--shard", part, "-o", TO, "--product-dir")
        dry = maap(*words, "--dry-run")
        counts.append(len(dry.lines))
        assert maap(*words).code == 0
    assert all(counts) and sum(counts) == len(s3.objects) == 16
    assert all(key.split("/")[2] + ".h5" == key.split("/")[3] for key in s3.objects)
    assert not (home / "registry" / "downloads").exists()


@pytest.mark.parametrize(
    ("refusal", "code", "says"),
    [
        (
            (403, "AccessDenied"),
            4,
            f"does not let these credentials write to s3://{BUCKET} (AccessDenied). Have",
        ),
        (
            (403, "SignatureDoesNotMatch"),
            4,
            "refuses the credentials (SignatureDoesNotMatch). Set AWS_ACCESS",
        ),
        ((403, "ExpiredToken"), 4, "refuses the credentials (ExpiredToken). Set AWS_ACCESS_KEY_ID"),
        ((403, "RequestTimeTooSkewed"), 4, "the time of this machine. Set its clock"),
        ((301, "PermanentRedirect"), 4, f"s3://{BUCKET} is in another region. Set AWS_REGION"),
        ((404, "NoSuchBucket"), 4, f"There is no bucket s3://{BUCKET}. Create it"),
        ((400, "InvalidArgument"), 4, f"refuses what is asked of s3://{BUCKET} (400 InvalidArgument). Check"),
        ((503, "SlowDown"), 3, "S3 did not take it (503 SlowDown). Run the same command again later"),
        ((500, "InternalError"), 3, "S3 did not take it (500 InternalError). Run the same command again"),
    ],
)
def test_what_s3_answers_decides_the_exit_code(
    maap: Callable, s3: S3Server, home: Path, refusal: tuple[int, str], code: int, says: str
) -> None:
    s3.refuse = lambda method, target: refusal if method == "PUT" else None
    ended = maap("get", *CLD, *SOME, "-o", TO, "-vv")
    assert (ended.code, ended.out) == (code, "")
    assert says in ended.err
    assert SECRET not in ended.err and SESSION not in ended.err and KEY_ID not in ended.err
    assert not s3.objects and not s3.uploads
    s3.refuse = lambda method, target: None
    assert staged(home)
    assert maap("get", *CLD, *SOME, "-o", TO).code == 0
    assert len(s3.objects) == 3 and staged(home) == []


@pytest.mark.parametrize(
    ("environ", "words", "code", "says"),
    [
        ({"AWS_ACCESS_KEY_ID": "OTHER"}, TO, 4, "S3 refuses the credentials (InvalidAccessKeyId)"),
        ({}, "s3://elsewhere/x", 4, "There is no bucket s3://elsewhere"),
        (
            {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"},
            TO,
            3,
            "S3 at http://127.0.0.1:9 does not answer (Connect)",
        ),
        (
            {"AWS_ENDPOINT_URL_S3": "127.0.0.1:9"},
            TO,
            4,
            "AWS_ENDPOINT_URL_S3 is not the address of an S3 service",
        ),
        (
            {"AWS_ENDPOINT_URL": "http://s3.invalid", "http_proxy": "socks5://h:1"},
            TO,
            4,
            "the proxy h:1 (http_proxy) is a SOCKS proxy, through which S3 cannot be reached",
        ),
        ({"AWS_CA_BUNDLE": "/nowhere.pem"}, TO, 4, "AWS_CA_BUNDLE is '/nowhere.pem', which does not exist"),
        (
            {"AWS_ACCESS_KEY_ID": "", "AWS_PROFILE": "mine"},
            TO,
            4,
            "has no keys of the profile AWS_PROFILE names",
        ),
    ],
)
def test_nothing_is_fetched_that_s3_would_not_take(
    maap: Callable,
    s3: S3Server,
    archive: Archive,
    monkeypatch: pytest.MonkeyPatch,
    environ: dict[str, str],
    words: str,
    code: int,
    says: str,
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    ended = maap("get", *CLD, *SOME, "-o", words)
    assert (ended.code, ended.out) == (code, "") and says in ended.err
    assert SECRET not in ended.err
    assert archive.stats.count("data") == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("get", *CLD, *SOME, "-o", "s3:/granules/x"), "is not an address of S3. Give s3://BUCKET"),
        (("get", *CLD, *SOME, "-o", "s3://"), "names no bucket of S3"),
        (("get", *CLD, *SOME, "-o", "s3://granules/a//b"), "'' cannot be a part of the prefix"),
        (("get", *CLD, *SOME, "-o", "s3://granules/../b"), "'..' cannot be a part of the prefix"),
        (("get", *CLD, *SOME, "-o", "s3://user:word@granules/b"), "names no bucket of S3"),
        (("get", *CLD, *SOME, "-o", "gs://granules/b"), "is an address and not a path of this machine"),
        (("download", *CLD, "--registry", "-o", TO), "--registry cannot be used with s3://"),
        (("sync", *CLD, *SOME, "-o", TO), "is an address and not a path of this machine"),
        (("sync", *CLD, *SOME, "--data-dir", TO), "is an address and not a path of this machine"),
        (("catalog", "update", "-o", TO), "is an address and not a path of this machine"),
        (("catalog", "build", CLD[0], "-o", TO), "is an address and not a path of this machine"),
        (("plan", *CLD, *SOME, "-o", TO), "is an address and not a path of this machine"),
        (("search", *CLD, *SOME, "--url-file", TO), "is an address and not a path of this machine"),
        (("match", "ship.csv", "CPR_CLD_2A", "-o", f"{TO}.csv"), "is an address and not a path"),
        (("overpass", "--point", "hyytiala", "-o", f"{TO}.csv"), "is an address and not a path"),
        (("cover", *CLD, *SOME, "-o", TO), "is an address and not a path of this machine"),
        (("freeze", *CLD, *SOME, "-o", TO), "is an address and not a path of this machine"),
    ],
)
def test_s3_where_it_cannot_be_is_4_and_makes_no_folder(
    maap: Callable, s3: S3Server, home: Path, words: tuple[str, ...], says: str
) -> None:
    ended = maap(*words)
    assert (ended.code, ended.out) == (4, "") and says in ended.err, ended.err
    assert not list(home.parent.rglob("s3:*")) and not s3.asked


def test_without_the_extra_it_is_named(
    maap: Callable, s3: S3Server, monkeypatch: pytest.MonkeyPatch, archive: Archive
) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    for words in ((), ("--dry-run",)):
        ended = maap("get", *CLD, *SOME, "-o", TO, *words)
        assert ended.code == 4
        assert (
            "s3:// needs a package that is not installed (obstore). Run: pip install 'maap-tui[s3]'"
            in ended.err
        )
    assert archive.stats.count("data") == 0


def test_a_key_that_may_not_be_listed_or_read_is_written(maap: Callable, s3: S3Server) -> None:
    s3.refuse = lambda method, target: (403, "AccessDenied") if method in ("GET", "HEAD") else None
    assert maap("get", *CLD, *SOME, "-o", TO).code == 0
    assert maap("get", *CLD, *SOME, "-o", TO, "--dry-run").code == 0
    assert len(s3.objects) == 3


def test_a_proxy_and_a_profile_are_obeyed(
    maap: Callable, s3: S3Server, home: Path, monkeypatch: pytest.MonkeyPatch, clean_home: Path
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://s3.invalid")
    monkeypatch.setenv("http_proxy", s3.url)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    (clean_home / ".aws").mkdir()
    (clean_home / ".aws" / "credentials").write_text(
        f"[mine]\naws_access_key_id = {KEY_ID}\naws_secret_access_key = {SECRET}%\n"
        f"aws_session_token={SESSION}\n"
    )
    monkeypatch.setenv("AWS_PROFILE", "mine")
    ended = maap("get", *CLD, *SOME, "-o", TO)
    assert ended.code == 0, ended.err
    assert len(s3.objects) == 3
    # To this machine no request goes by the proxy, which would answer.
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    ended = maap("get", *CLD, *SOME, "-o", TO)
    assert ended.code == 3 and "S3 at http://127.0.0.1:9 does not answer" in ended.err


class Held:
    """Holds the requests of a kind back until they are let go."""

    def __init__(self, s3: S3Server, mark: str) -> None:
        self.reached, self.go = threading.Event(), threading.Event()
        self._mark = mark
        s3.before = self._wait

    def _wait(self, method: str, target: str) -> None:
        if self._mark in target and not self.go.is_set():
            self.reached.set()
            self.go.wait(PATIENCE_S)


def test_what_is_killed_while_it_uploads_leaves_no_key_and_is_not_fetched_again(
    maap: Callable, start: Callable, s3: S3Server, home: Path, archive: Archive, on_disk: Callable
) -> None:
    held = Held(s3, "partNumber=2&")
    run = start("get", *BIG, "-o", TO)
    assert held.reached.wait(PATIENCE_S)
    run.send_signal(signal.SIGKILL)
    run.wait()
    held.go.set()
    assert not s3.objects
    assert [path.suffix for path in staged(home)] == [".h5"]
    asked = archive.stats.count("data")
    assert maap("get", *BIG, "-o", TO).code == 0
    assert archive.stats.count("data") == asked
    ((_, data),) = s3.objects.items()
    assert data == on_disk() and staged(home) == []


def test_bytes_that_change_before_they_are_uploaded_are_fetched_again(
    start: Callable, s3: S3Server, home: Path, archive: Archive, on_disk: Callable
) -> None:
    held = Held(s3, "?uploads")
    run = start("get", *BIG, "-o", TO, "-v")
    assert held.reached.wait(PATIENCE_S)
    (path,) = staged(home)
    with open(path, "r+b") as file:
        file.seek(-10, 2)
        file.write(b"x")
    held.go.set()
    _, err = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 0 and b"are not those that came; starting over" in err
    ((_, data),) = s3.objects.items()
    assert data == on_disk()
