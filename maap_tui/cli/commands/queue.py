"""`maap queue`: go on with what waits, and control it, whichever process has it."""

from __future__ import annotations

import contextlib
import shlex
from collections import Counter
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from maap_tui.cli.app_door import open_app
from maap_tui.cli.commands.tui import add_looks, looks_of
from maap_tui.cli.context import CommandContext
from maap_tui.cli.options import add_actions, add_command, add_general_options, add_max_time
from maap_tui.cli.report import AGAIN, WRONG
from maap_tui.text import format_bytes, format_rate, format_time, plural

if TYPE_CHECKING:
    from maap_tui.engine.download.queue_control import Worker
    from maap_tui.engine.download.queue_store import Queue, QueueRow

_RUN_NOTES = """\
It takes what no process has: what the app left, and what commands that were
interrupted left. It survives the end of its terminal, and ends in order on
SIGTERM, with 3 if something is left. There is one worker; a second one ends
with 3."""
_CONTROL_NOTES = """\
FILE is a path, an address, a file's name with or without its ending, or a
pattern such as '*CPR_CLD_2A*'. What a process has is done by that process, the
worker or the app; what none has is changed in the queue."""

_ORDERS = (
    ("pause", "pause files that wait or run", "Paused"),
    ("resume", "let paused files go on", "Resumed"),
    ("cancel", "take files out of the queue; their parts stay", "Cancelled"),
    ("retry", "queue files again that failed or were cancelled", "Queued again"),
)
_ENDED = ("finished", "skipped", "cancelled")


def add_parser(subparsers: Any, words: str) -> None:
    """Describe the command."""
    queue = add_command(
        subparsers,
        "queue",
        words,
        arguments="ACTION",
        examples=("maap queue run --background", "maap queue list", "maap queue attach"),
    )
    actions = add_actions(queue)
    add_general_options(queue)

    run = add_command(
        actions,
        "run",
        "go on with what waits, until nothing is left",
        examples=("maap queue run --max-time 3600 --quiet", "maap queue run --background"),
        notes=_RUN_NOTES,
    )
    group = run.add_argument_group("how")
    group.add_argument(
        "--background",
        action="store_true",
        help="go on without this terminal; prints the process once it is at work",
    )
    add_max_time(group)
    group.add_argument(
        "--lock-wait",
        metavar="SECONDS",
        help="wait this long for another worker to end (default: end at once, exit code 3)",
    )
    add_general_options(run, run_queue, json_help="one object a file as it ends")
    run.set_defaults(is_worker=True)

    listing = add_command(
        actions,
        "list",
        "list what waits, runs, is paused or failed, and whether a worker runs",
        examples=("maap queue list", "maap queue list --all --json"),
    )
    listing.add_argument("--all", action="store_true", help="also what is finished or cancelled")
    add_general_options(listing, list_queue, json_help="one object a file")

    for verb, purpose, _ in _ORDERS:
        parser = add_command(
            actions,
            verb,
            purpose,
            arguments="[FILE ... | --all]",
            examples=(f"maap queue {verb} --all", f"maap queue {verb} '*CPR_CLD_2A*'"),
            notes=_CONTROL_NOTES,
        )
        parser.add_argument("files", nargs="*", metavar="FILE", help="files of `maap queue list`")
        parser.add_argument("--all", action="store_true", help="all of them")
        add_general_options(parser, give_order, json_help="one object a file")

    attach = add_command(
        actions,
        "attach",
        "open the app at Downloads, which shows and controls what the worker does",
        examples=("maap queue attach",),
    )
    add_looks(attach)
    add_general_options(attach, attach_app)


def run_queue(context: CommandContext) -> int | Coroutine[Any, Any, None]:
    """Work on the queue, here or in the background."""
    if not context.args.background:
        return _work(context, lambda count: None)
    from maap_tui.cli.background import Ended, go_to_background

    try:
        gone = go_to_background()
    except Ended as ended:
        return ended.code
    if callable(gone):
        return _work(context, _saying(gone))
    pid, word = gone
    if word == b"0":
        context.report.say("Nothing waits in the queue")
    else:
        context.output.line(str(pid))
        context.report.say(
            f"Process {pid} goes on with {plural(int(word), 'file')}; `maap queue attach` shows it"
        )
    return context.report.code


def _saying(ready: Callable[[bytes], None]) -> Callable[[int], None]:
    return lambda count: ready(str(count).encode())


async def _work(context: CommandContext, begun: Callable[[int], None]) -> None:
    from maap_tui.cli.download_options import summarise

    args, report = context.args, context.report
    async with context.session(bulk=True) as session:
        context.begin_run("queue", session.dirs)
        context.prints_files()
        # A line that moves hides the cursor until its end, which a terminal that is left does not see.
        async with contextlib.nullcontext() if args.background else context.watched():
            done = await session.work_on_queue(waits_for_room=args.background, begun=begun)
    for sentence in done.refused:
        report.refuse("a file of the queue", sentence)
        report.codes.add(WRONG)
    if done.left and done.downloads.stopped is None:
        report.say(f"{plural(done.left, 'file')} left in the queue; `maap queue run` goes on with them")
        report.codes.add(AGAIN)
    if done.paused:
        report.say(f"{plural(done.paused, 'file')} paused; `maap queue resume --all` lets them go on")
        report.codes.add(AGAIN)
    summarise(context, done.downloads, nothing="Nothing waits in the queue")


def list_queue(context: CommandContext) -> None:
    """List the files of the queue, and say whether a worker runs."""
    from maap_tui.engine.download.queue_control import Control
    from maap_tui.engine.download.queue_orders import demand_rows, rates_of

    args, output = context.args, context.output
    queue = _open(context)
    rows = [row for row in demand_rows(queue) if args.all or row.state not in _ENDED]
    worker = Control(queue).worker()
    gone = _gone(rows)
    running = [row for row in rows if row.process not in gone]
    rates = rates_of(queue, running)
    rows.sort(key=lambda row: (row.state != "running", row.position, row.path))
    if output.as_json:
        for row in rows:
            output.record(_record(row, gone, rates, worker), at_once=False)
        output.flush()
    elif rows:
        titles = ("State", "Bytes", "Rate", "File", "Process", "Reason")
        output.table([titles, *(_row(row, gone, rates) for row in rows)])
    counts = Counter(row.state for row in rows)
    words = ", ".join(f"{count:,} {state}" for state, count in counts.most_common())
    context.report.say(words or "The queue is empty")
    context.report.say(_worker_words(worker))
    queue.close()


def give_order(context: CommandContext) -> None:
    """Pause, resume, cancel or retry files."""
    from maap_tui.engine.download import queue_orders
    from maap_tui.engine.errors import InvalidRequestError

    args, output, report = context.args, context.output, context.report
    if bool(args.files) == args.all:
        raise InvalidRequestError("Name files, or all of them with --all", "`maap queue list` lists them.")
    queue = _open(context)
    rows = queue_orders.demand_rows(queue)
    chosen = {row.path: row for row in rows} if args.all else {}
    for name in args.files:
        found = queue_orders.named(rows, name)
        if not found:
            report.refuse(name, "no file of the queue is called that")
            report.codes.add(WRONG)
        chosen |= {row.path: row for row in found}
    done = queue_orders.order(queue, args.action, list(chosen.values()), everything=args.all)
    for row in done.done:
        if output.as_json:
            output.record({"path": row.path, "url": row.url, "state": row.state}, at_once=False)
        else:
            output.line(row.path)
    output.flush()
    for row in done.held:
        report.refuse(_name(row), f"maap {row.verb} {row.pid} on {row.host} has it; it is stopped there only")
    for row in done.unanswered:
        report.refuse(_name(row), f"maap {row.verb} {row.pid} on {row.host} did not answer")
    if done.held or done.unanswered:
        report.codes.add(AGAIN)
    words = {verb: past for verb, _, past in _ORDERS}[args.action]
    report.say(f"{words}: {plural(len(done.done), 'file')}")
    waits = any(row.pid == 0 and row.state == "waiting" for row in done.done)
    from maap_tui.engine.download.queue_control import Control

    if waits and Control(queue).worker() is None:
        report.say("No worker runs; `maap queue run` goes on with them")
    queue.close()


def attach_app(context: CommandContext) -> int:
    """Open the app at Downloads."""
    return open_app(context, is_attached=True, **looks_of(context.args))


def _open(context: CommandContext) -> Queue:
    """The queue; a file that cannot be used is an error here."""
    from maap_tui.engine.download.queue_store import Queue
    from maap_tui.engine.errors import StorageError

    _, where = context.settings()
    queue = Queue(where.queue_file, emit=context.handle_event)
    queue.stamp()
    if queue.problem:
        raise StorageError(queue.problem, "Move it away; what is pending stays in the registry.")
    return queue


def _gone(rows: list[QueueRow]) -> set[tuple[int, str, float]]:
    """Processes of rows that are gone, or have let go of them."""
    import time

    from maap_tui.engine.download.queue_store import has_ended

    news: dict[tuple[int, str, float], float] = {}
    for row in rows:
        news[row.process] = max(news.get(row.process, 0.0), row.changed)
    return {process for process, changed in news.items() if has_ended(process, time.time() - changed)}


def _name(row: QueueRow) -> str:
    return row.path.rpartition("/")[2]


def _row(row: QueueRow, gone: set[tuple[int, str, float]], rates: dict[str, float]) -> tuple[str, ...]:
    size = "?" if row.size is None else format_bytes(row.size)
    is_part = row.received and row.received != row.size
    rate = rates.get(row.path)
    return (
        row.state,
        f"{format_bytes(row.received)} of {size}" if is_part else size,
        "" if rate is None else format_rate(rate),
        _name(row),
        "" if row.process in gone else f"{row.verb} {row.pid}",
        row.reason,
    )


def _record(
    row: QueueRow, gone: set[tuple[int, str, float]], rates: dict[str, float], worker: Worker | None
) -> dict[str, Any]:
    is_held = row.process not in gone
    return {
        "path": row.path,
        "url": row.url,
        "state": row.state,
        "bytes": row.received,
        "size": row.size,
        "rate": rates.get(row.path),
        "tries": row.tries,
        "reason": row.reason,
        "collection": row.collection,
        "product_type": row.product_type,
        "baseline": row.baseline,
        "day": row.day or None,
        "verb": row.verb,
        "pid": row.pid if is_held else None,
        "host": row.host if is_held else None,
        "worker": worker is not None and row.process == worker.process,
    }


def _worker_words(worker: Worker | None) -> str:
    if worker is None:
        return "No worker runs"
    pid, host, _ = worker.process
    since = format_time(datetime.fromtimestamp(worker.since, UTC))
    return f"A worker runs: process {pid} on {shlex.quote(host)} since {since}"
