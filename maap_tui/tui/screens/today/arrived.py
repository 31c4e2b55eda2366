"""What has arrived at the archive of the tracked baselines: asked on demand, shown, and fetched if wanted."""

from __future__ import annotations

import asyncio

from maap_tui.engine.errors import MaapError
from maap_tui.engine.workflows.arrivals import News, queries_of
from maap_tui.text import plural
from maap_tui.tui.dialogs.listing import ListDialog
from maap_tui.tui.host import Host
from maap_tui.tui.synced import may_queue


async def show_arrived(host: Host) -> None:
    """Ask, one request a baseline or a few, and offer to fetch what is not here."""
    session = host.backend.session
    queries = await asyncio.to_thread(queries_of, session)
    if not queries:
        host.notify("Nothing is tracked yet: register the results of a search with w in 2.")
        return
    host.notify(f"Asking what has arrived of {plural(len(queries), 'baseline')}...")
    found = await host.backend.ask(lambda opened: opened.all_news(queries, briefly=True))
    lines = [
        f"{query.product_type} {query.baseline}: {words_of(news)}"
        for query, news in zip(queries, found, strict=True)
    ]
    wanted = [request for news in found if isinstance(news, News) for request in news.wanted]
    files = plural(len(wanted), "file")
    unasked = sum(isinstance(news, MaapError) or bool(news.failed) for news in found)
    title = title_of(len(wanted), unasked)
    if not await host.push_screen_wait(
        ListDialog(title, lines, verb=f"fetch {files}", key="d" if wanted else "")
    ):
        return
    if not await may_queue(host, len(wanted), files):
        return
    count = await host.backend.queue_files(wanted)
    host.notify(f"{plural(count, 'file')} queued; 3 shows them.")


def title_of(wanted: int, unasked: int) -> str:
    """What all of it says: files that are not here, and baselines whose archive did not answer in full."""
    if not wanted and unasked:
        return f"{plural(unasked, 'baseline')} not asked in full; nothing else is missing here"
    if not wanted:
        return "Nothing that has arrived is missing here"
    rest = f"; {plural(unasked, 'baseline')} not asked in full" if unasked else ""
    return f"Arrived at the archive: {plural(wanted, 'file')} not here{rest}"


def words_of(news: News | MaapError) -> str:
    """What has arrived of a baseline, in a line."""
    if isinstance(news, MaapError):
        return f"not answered: {news.message}"
    return f"{news.sentence}; not all answered: {news.failed[0].reason}" if news.failed else news.sentence
