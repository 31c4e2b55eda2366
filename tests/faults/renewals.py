"""How often the token is renewed: by many tasks at once, and by many files one after another."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from maap_tui.engine.download.requests import DownloadRequest
from maap_tui.engine.download.transfer import Transfer
from maap_tui.engine.net.credentials import load_credentials
from maap_tui.engine.net.http import Http
from maap_tui.engine.net.origins import origin_of
from maap_tui.engine.net.tokens import Tokens
from tests.engine.raw_files import Request, answer, hdf5_body, token_reply
from tests.engine.rules_kit import http_rules, transfer_rules
from tests.faults.figure import Figure
from tests.faults.stage import CANARY, SYNC, Stage

BODY = hdf5_body(5000)


def measure_renewals(rounds: int, folder: Path) -> Figure:
    """F12: tasks that meet one 401 together."""

    async def serve(request: Request, writer: asyncio.StreamWriter) -> None:
        is_old = request.headers["authorization"].endswith("-1")
        if is_old and request.target != "/data/first.h5":
            # All of them are asked with the old token before any is answered.
            waiting.append(writer)
            if len(waiting) == rounds:
                everyone.set()
            await everyone.wait()
            writer.write(answer("401 Unauthorized"))
            return
        writer.write(answer("200 OK", BODY))

    waiting: list[asyncio.StreamWriter] = []
    everyone = asyncio.Event()

    async def fetch(stage: Stage) -> int:
        origins = frozenset({origin_of(stage.url)})
        http = Http(http_rules(), bearer_origins=origins, connections=rounds, bulk=True)
        try:
            tokens = Tokens(http, stage.url + "/token", lambda: load_credentials(file, {}))
            transfer = Transfer(http, tokens, transfer_rules(retries=0, min_free=0))
            await transfer.fetch(
                DownloadRequest(stage.server.at("/data/first.h5", serve), folder / "first.h5")
            )
            wanted = [
                DownloadRequest(stage.server.at(f"/data/{number}.h5", serve), folder / f"{number}.h5")
                for number in range(rounds)
            ]
            fetched = await asyncio.gather(*map(transfer.fetch, wanted))
            return sum(one.size == len(BODY) for one in fetched)
        finally:
            await http.close()

    with Stage(folder / "stage") as stage:
        file = stage.home / "credentials.txt"
        came = asyncio.run(fetch(stage))
        renewals = len(stage.asked("/token", "POST")) - 1
    seen = f"{renewals} renewals, {came} files"
    return Figure(
        "F12", f"{rounds} tasks on one 401", "exactly 1 renewal", seen, (renewals, came) == (1, rounds)
    )


def measure_renewals_over_time(rounds: int, folder: Path, lifetime_s: float = 300.0) -> Figure:
    """F12: files one after another with tokens that live for `lifetime_s`."""
    with Stage(folder) as stage:
        stage.add_good(rounds)
        ended: list[tuple[str, float]] = []

        async def grant(request: Request, writer: asyncio.StreamWriter) -> None:
            token = f"{CANARY}-access-{len(ended)}"
            ended.append((token, time.monotonic() + lifetime_s))
            writer.write(token_reply(access_token=token, expires_in=lifetime_s))

        stage.server.at("/token", grant)
        begun = time.monotonic()
        code = stage.maap(*SYNC).code
        elapsed = time.monotonic() - begun
        came = len(stage.finals)
    # Renewed when nine tenths of its life are over, a minute before its end at most.
    most = elapsed / (lifetime_s * 0.8) + 1
    seen = f"{len(ended)} renewals in {elapsed:.1f} s, {came} files"
    return Figure(
        "F12",
        f"{rounds} files, tokens of {lifetime_s:g} s",
        "elapsed / (0.8 of a life) + 1 renewals",
        seen,
        len(ended) <= most and came == rounds and code == 0,
    )
