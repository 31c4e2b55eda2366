"""The gaps and disclaimers that are known, listed; and read again if wanted."""

from __future__ import annotations

import asyncio

from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.quality.notices import WORDS
from maap_tui.engine.query import Query
from maap_tui.engine.workflows.quality import source_of, stale_words, update_quality
from maap_tui.text import clean, format_time, plural
from maap_tui.tui.dialogs.listing import ListDialog
from maap_tui.tui.host import Host


async def show_quality(host: Host, query: Query | None) -> None:
    """List those about the product of a query, or all; offer to read the sheets again."""
    session = host.backend.session
    while True:
        stored = await asyncio.to_thread(session.quality.stored)
        notices = await asyncio.to_thread(session.quality.notices)
        chosen = list(notices.all)
        what = "all products"
        if query is not None:
            mission = session.mission_of(query.collection).name
            what = f"{query.product_type} {query.baseline or ''}".strip()
            chosen = [
                one for one in chosen if one.is_about(mission, query.product_type, query.baseline or None)
            ]
        lines = [clean(one.sentence) for one in chosen]
        lines += [
            f"{plural(len(one.notices), WORDS[one.kind])}, {format_time(one.updated)}: {clean(one.source)}"
            for one in stored.values()
        ]
        lines += [words for one in stored.values() if (words := stale_words(session, one))]
        is_configured = any(source_of(session, kind) for kind in WORDS)
        if not stored:
            lines.append(
                "No sheet of gaps or disclaimers was read yet."
                if is_configured
                else "No sheet is configured: set quality.disclaimers and quality.gaps (5)."
            )
        title = f"{plural(len(chosen), 'gap or disclaimer', 'gaps and disclaimers')} of {what}"
        verb, key = ("read the sheets", "r") if is_configured else ("", "")
        if not await host.push_screen_wait(ListDialog(title, lines, verb=verb, key=key)):
            return
        await _update(host)


async def _update(host: Host) -> None:
    try:
        found = await host.backend.ask(update_quality)
    except InvalidRequestError as error:
        host.notify(clean(error.sentences), severity="warning", markup=False)
        return
    for one in found:
        if one.problem is not None:
            host.notify(clean(one.problem.sentences), severity="warning", markup=False)
        elif one.stored is not None:
            refused = f", {plural(len(one.sheet.refused), 'line')} not read" if one.sheet.refused else ""
            words = f"{plural(len(one.stored.notices), WORDS[one.kind])} read{refused}"
            host.notify(clean(words), markup=False)
