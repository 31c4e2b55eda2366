"""How the app ends while files are fetched, and how it begins where some were left."""

from __future__ import annotations

from collections.abc import Sequence

from maap_tui.engine.download.queue_store import missing_bytes
from maap_tui.text import clean, format_sum, plural
from maap_tui.tui.host import Host

BACKGROUND = ("Background", "b")
"""What a dialog offers where a worker can go on, and its key."""


async def may_leave(app: Host) -> bool:
    """Ask what happens with transfers that wait or run; whether the app is to end."""
    backend = app.backend
    jobs = backend.live_jobs
    running = [job for job in jobs if job.state == "running"]
    waiting = [job for job in jobs if job.state == "waiting" and not backend.is_stopped]
    if not running and not waiting:
        return True
    keys = [job.wanted.key for job in jobs if job.wanted.key is not None]
    names = [(key.collection, key.product_type, key.baseline) for key in keys]
    words = [f"{plural(len(running), 'transfer')} {'is' if len(running) == 1 else 'are'} running"]
    if waiting:
        words.append(f"{len(waiting):,} {'waits' if len(waiting) == 1 else 'wait'}")
    going_on = "In the background they go on, and `maap queue attach` shows them. " if app.can_detach else ""
    question = f"{', '.join(words)}. Leave? {going_on}"
    question += f"If they stop, their parts and the queue stay{_without_app(names)}."
    choice = await app.choose(
        question, verb="Stop them" if app.can_detach else "Leave", others=_background(app), no="Stay"
    )
    if choice != BACKGROUND[1]:
        return bool(choice)
    return await _has_started(app, await backend.hand_over())


def last_words(app: Host) -> str:
    """What is said on the terminal when the app has ended; '' for nothing."""
    count = app.backend.handed_on
    if not count:
        return ""
    go = "goes" if count == 1 else "go"
    return f"{plural(count, 'file')} {go} on in the background; `maap queue attach` shows what is left."


async def look_for_left_work(app: Host) -> None:
    """Offer to go on with what an earlier process left."""
    backend = app.backend
    left = await backend.find_left_work()
    if not left:
        return
    count, unknown, guessed = missing_bytes(left)
    size = format_sum(count, unknown=unknown, guessed=guessed or not unknown)
    keys = [(row.collection, row.product_type, row.baseline) for row in left if row.day]
    be = "was" if len(left) == 1 else "were"
    choice = await app.choose(
        f"{plural(len(left), 'transfer')} {be} interrupted, {size} are missing. "
        f"Go on? (Later: press 3, then T{_without_app(keys)}.)",
        lines=[row.path.rpartition("/")[2] for row in left],
        verb="Go on",
        key="g",
        others=_background(app),
    )
    if choice == BACKGROUND[1]:
        if await _has_started(app, await backend.leave_to_worker(left)):
            app.go("downloads")
    elif choice:
        await app.take_over(left)
        app.go("downloads")


def _background(app: Host) -> Sequence[tuple[str, str]]:
    return (BACKGROUND,) if app.can_detach else ()


async def _has_started(app: Host, problem: str) -> bool:
    """Whether a worker was started; show the problem where it was not."""
    if problem:
        app.notify(clean(f"No worker could be started: {problem}", 300), severity="error", timeout=15)
    return not problem


def _without_app(names: Sequence[tuple[str, str, str]]) -> str:
    """How transfers that the registry follows go on without the app; '' where it follows none."""
    baselines = sorted(set(names))
    if not baselines:
        return ""
    words = " ".join(baselines[0])
    more = f", and so on for {plural(len(baselines) - 1, 'other baseline')}" if len(baselines) > 1 else ""
    return f"; without the app: `maap download {words} --registry`{more}"
