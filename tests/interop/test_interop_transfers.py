"""Downloads with the tokens of an OpenID provider that others wrote, and what its refusals come to."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from maap_tui.engine.net.credentials import Credentials, load_credentials
from tests.interop.conftest import COLLECTION, Service

CLD = (COLLECTION, "CPR_CLD_2A", "BC")
REAL = (COLLECTION, "MSI_COP_2A", "BA")
ORBIT = ("--orbit", "08576")
GRANULE = "ECA_EXBC_CPR_CLD_2A_20251201T005931Z_20251201T014808Z_08575A"


def test_a_real_item_is_fetched_whole_into_its_day(maap: Callable, home: Path, signed_in: str) -> None:
    ended = maap("sync", *REAL, "--date", "2025-03-05")
    assert ended.code == 0, ended.err
    (file,) = (home / "data").rglob("*.h5")
    name = "ECA_EXBA_MSI_COP_2A_20250305T134540Z_20250912T202910Z_04366E.h5"
    folder = home / "data" / "EarthCARE" / COLLECTION / "MSI_COP_2A" / "BA" / "2025" / "03" / "05"
    assert file == folder / name
    assert file.stat().st_size == 132_881_531
    row = json.loads(maap("state", "show", *REAL, "--json").out)
    assert (row["total_urls"], row["downloaded"]) == (1, 1)
    assert maap("sync", *REAL, "--date", "2025-03-05").code == 0
    assert maap("verify", *REAL).code == 0


def test_get_and_sync(maap: Callable, home: Path, tmp_path: Path, signed_in: str) -> None:
    wanted = {path.rpartition("/")[2] for path in maap("search", *CLD, *ORBIT).paths}
    ended = maap("get", *CLD, *ORBIT, "--out-dir", tmp_path / "out")
    assert ended.code == 0, ended.err
    assert {file.name for file in (tmp_path / "out").iterdir()} == wanted != set()
    ended = maap("sync", *CLD, "--date", "2025-12-01", "--frame", "D", "--format", "all")
    assert ended.code == 0, ended.err
    kinds = [file.suffix for file in (home / "data").rglob("ECA_*")]
    assert kinds.count(".h5") == kinds.count(".HDR") > 10
    assert maap("state", "pending", *CLD).out == ""
    assert maap("verify", *CLD).code == 0


@pytest.mark.parametrize("form", ["whole", "json", "export"])
def test_a_token_of_the_provider_is_taken_as_it_is_pasted(
    form: str, maap: Callable, home: Path, service: Service, tmp_path: Path, signed_in: str
) -> None:
    client, file = service.client, home / "credentials.txt"
    if form != "export":
        file.unlink()
    pasted = tmp_path / "pasted"
    pasted.write_text(
        {
            "whole": f"CLIENT_ID={client.id}\nCLIENT_SECRET={client.secret}\nTOKEN : {signed_in} # mine\n",
            "json": json.dumps(
                {"refresh_token": signed_in, "client_id": client.id, "client_secret": client.secret}
            ),
            "export": f"\ufeffexport X='{signed_in}'\u200b\n",
        }[form],
        encoding="utf-8",
    )
    ended = maap("login", "--token-file", pasted)
    assert ended.code == 0, ended.err
    assert "does not say when it expires" in ended.err
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert load_credentials(file, {}) == Credentials(signed_in, client.id, client.secret, str(file), file)
    assert "Expires:  not known: the token does not say it" in maap("token").lines
    assert maap("token", "--days-left").code == 4


def test_a_token_that_was_revoked_is_2(
    maap: Callable, service: Service, request: pytest.FixtureRequest, signed_in: str, tmp_path: Path
) -> None:
    service.provider.revoke(request.node.name)
    for words in (("get", *CLD, *ORBIT, "--out-dir", tmp_path / "out"), ("doctor",)):
        ended = maap(*words)
        assert ended.code == 2
        assert "Failed to refresh token: 400" in ended.err + ended.out
        assert "Get a new" in ended.err + ended.out
        assert signed_in not in ended.err + ended.out
    assert not list(tmp_path.rglob("*.h5"))


@pytest.mark.parametrize("wrong", ["CLIENT_ID", "CLIENT_SECRET"])
def test_a_wrong_client_is_2_and_named(wrong: str, maap: Callable, home: Path, signed_in: str) -> None:
    file = home / "credentials.txt"
    lines = [f"{wrong}=other" if line.startswith(wrong) else line for line in file.read_text().splitlines()]
    file.write_text("\n".join(lines))
    ended = maap("sync", *CLD, "--date", "2025-12-01")
    assert ended.code == 2
    assert "CLIENT_ID and CLIENT_SECRET are refused, not the token" in ended.err
    assert f"Correct them in {file}" in ended.err and "Get a new" not in ended.err


def test_an_access_token_that_ends_meanwhile_is_renewed(
    maap: Callable, service: Service, signed_in: str, tmp_path: Path
) -> None:
    assert maap("get", *CLD, "--orbit", "08576E", "--out-dir", tmp_path / "out").code == 0
    over = service.files.used[-1]
    service.files.over.add(over)
    assert maap("get", *CLD, "--orbit", "08576F", "--out-dir", tmp_path / "out").code == 0
    assert service.files.used[-1] != over
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_an_access_token_in_place_of_the_offline_one_is_refused_by_the_provider(
    maap: Callable, service: Service, signed_in: str, tmp_path: Path, home: Path
) -> None:
    assert maap("get", *CLD, "--orbit", "08576E", "--out-dir", tmp_path / "out").code == 0
    before = (home / "credentials.txt").read_bytes()
    pasted = tmp_path / "pasted"
    pasted.write_text(service.files.used[-1])
    ended = maap("login", "--token-file", pasted)
    assert ended.code == 2 and "Failed to refresh token" in ended.err
    assert (home / "credentials.txt").read_bytes() == before


def test_a_provider_that_is_away_is_3(
    maap: Callable, signed_in: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MAAP_TOKEN_URL", "http://127.0.0.1:9/oauth2/token")
    ended = maap("get", *CLD, *ORBIT, "--out-dir", tmp_path / "out")
    assert ended.code == 3
    assert "token service" in ended.err


def test_an_address_that_exchanges_nothing_is_named(
    maap: Callable, service: Service, signed_in: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MAAP_TOKEN_URL", service.provider.url + "/oauth2/clients")
    ended = maap("get", *CLD, *ORBIT, "--out-dir", tmp_path / "out")
    assert ended.code != 0 and "Get a new" not in ended.err and "Traceback" not in ended.err


def test_a_study_is_frozen_and_thawed(maap: Callable, tmp_path: Path, signed_in: str) -> None:
    frozen = maap("freeze", *CLD, "--date", "2025-12-01", "--frame", "D", "--get", "-o", "study")
    assert frozen.code == 0, frozen.err
    thawed = maap("thaw", "study", "-o", tmp_path / "thawed")
    assert thawed.code == 0, thawed.err
    assert maap("verify", "--against", "study/SHA256SUMS", "--root", tmp_path / "thawed").code == 0


def test_a_server_that_sends_whole_files_alone_ends_a_cut_in_a_sentence(
    maap: Callable, signed_in: str
) -> None:
    words = ("cut", f"{GRANULE}.h5", "--collection", COLLECTION, "--var", "signal", "--estimate")
    ended = maap(*words)
    assert ended.code == 4
    assert "sends only whole files" in ended.err and "--whole" in ended.err
