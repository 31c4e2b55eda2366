# ruff: noqa: E501 - a table, one line a key
"""The one table of keys: bindings, help, footer and the table of docs/app.md are made from it.

A user remaps keys by their id in `[keys]` of the configuration, `downloads.pause = "f5"`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from textual.binding import Binding, BindingType

from maap_tui.engine.user_commands import UserCommand
from maap_tui.tui.textual_compat import named_key

MODES = ("today", "browse", "search", "downloads", "registry", "log")
"""The modes, in the order of their digits, from 0."""

MODE_TITLES = {
    "everywhere": "Everywhere",
    "lists": "Lists",
    "today": "Today",
    "browse": "Browse",
    "search": "Search",
    "downloads": "Downloads",
    "registry": "Registry",
    "log": "Log and settings",
    "commands": "Your commands",
}


@dataclass(frozen=True, slots=True)
class Key:
    """One key and what it does in a mode."""

    id: str
    """Name under which it can be remapped, unique."""
    keys: str
    """Keys as Textual names them, comma-separated."""
    action: str
    label: str
    """One or two words, for the footer."""
    help: str
    """One sentence, for the help and the palette."""
    is_in_footer: bool = False
    is_priority: bool = False

    @property
    def is_of_app(self) -> bool:
        """Whether the app itself does it, whichever mode is shown."""
        return self.mode in ("everywhere", "commands")

    @property
    def mode(self) -> str:
        """Where it works."""
        return self.id.partition(".")[0]

    @property
    def shown(self) -> str:
        """The keys as a user writes them."""
        return " ".join(show_key(key) for key in self.keys.split(","))


_NAMES = {
    "question_mark": "?", "colon": ":", "slash": "/", "plus": "+", "minus": "-", "exclamation_mark": "!",
    "space": "space", "enter": "enter", "escape": "esc", "ctrl+p": "ctrl+p", "full_stop": ".", "comma": ",",
    "left_square_bracket": "[", "right_square_bracket": "]", "equals_sign": "=", "asterisk": "*",
    "less_than_sign": "<", "greater_than_sign": ">", "number_sign": "#", "upper_u": "U",
    "dollar_sign": "$", "percent_sign": "%", "ampersand": "&", "apostrophe": "'", "quotation_mark": '"', "at": "@",
    "tilde": "~", "circumflex_accent": "^", "underscore": "_", "left_curly_bracket": "{", "right_curly_bracket": "}",
    "left_parenthesis": "(", "right_parenthesis": ")", "vertical_line": "|", "backslash": "\\", "semicolon": ";",
    "grave_accent": "`",
}  # fmt: skip


def show_key(key: str) -> str:
    """A key as it is printed on a keyboard."""
    return _NAMES.get(key, key)


KEYS: tuple[Key, ...] = (
    Key("everywhere.today", "0", "go('today')", "Today", "Go to what ran, what is missing, and the disk."),
    Key("everywhere.browse", "1", "go('browse')", "Browse", "Go to the tree of collections."),
    Key("everywhere.search", "2", "go('search')", "Search", "Go to the search form and its results."),
    Key("everywhere.downloads", "3", "go('downloads')", "Downloads", "Go to the download queue."),
    Key("everywhere.registry", "4", "go('registry')", "Registry", "Go to what is tracked."),
    Key("everywhere.log", "5", "go('log')", "Log", "Go to the log and the settings."),
    Key("everywhere.help", "question_mark,f1", "help", "Help", "Show and search the keys of this mode.", True),
    Key("everywhere.palette", "ctrl+p,colon", "command_palette", "More",
        "Find any action, mode, collection, product type or site; paste URLs, ids, names or commands.", True),
    Key("everywhere.theme", "f9", "next_theme", "Theme", "Change the colours."),
    Key("everywhere.sign_in", "f8", "sign_in", "Sign in", "Store a new offline token."),
    Key("everywhere.redraw", "ctrl+l", "redraw", "Redraw", "Draw the screen again, after something else wrote on it.", False, True),
    Key("everywhere.suspend", "ctrl+z", "suspend_process", "Suspend", "Go back to the shell; fg comes back here."),
    Key("everywhere.quit", "q", "leave", "Quit", "Leave; transfers go on in the background, or stop and stay in the queue.", True),
    Key("everywhere.leave", "ctrl+q", "leave", "Leave", "Leave as with q, from every dialog too.", False, True),
    Key("lists.mark", "space", "mark", "Mark", "Mark or unmark the row and go down."),
    Key("lists.mark_range", "v", "mark_range", "Range", "Mark from the last marked row to this one."),
    Key("lists.mark_all", "a", "mark_all", "All", "Mark every row shown, or none."),
    Key("lists.invert", "i", "invert", "Invert", "Mark what is not marked and unmark the rest."),
    Key("lists.filter", "slash", "filter", "Filter", "Show only rows that contain what you type; !text hides them.", True),
    Key("lists.sort", "s", "sort", "Sort", "Sort by the next column; again turns it round.") ,
    Key("lists.sort_by", "S", "sort_by", "Sort by", "Sort by a column, by its letter; a capital sorts the largest first."),
    Key("lists.columns", "c", "columns", "Columns", "Choose the columns; the choice is remembered."),
    Key("today.open", "enter", "open", "Open", "Open a baseline in the Registry; show what a run said.", True),
    Key("today.fetch", "d", "fetch", "Fetch", "Queue what is missing of the marked baselines, or the one under the cursor.", True),
    Key("today.news", "n", "news", "What arrived", "Ask what has arrived at the archive of the tracked baselines, late and reprocessed too."),
    Key("today.again", "r", "again", "Rerun", "Run a command again, in the background.", True),
    Key("today.pager", "p", "pager", "Pager", "Show in $PAGER what a run said."),
    Key("today.pane", "tab", "pane", "Pane", "Go between what is missing and the runs.", True),
    Key("today.copy", "y", "copy", "Copy", "Copy the command line of a run, or the one that fetches what is missing.", True),
    Key("browse.open", "enter,space", "open", "Open", "Open or close a branch; on a baseline, search in it.", True),
    Key("browse.search", "f", "search_here", "Search", "Search in what the cursor is on.", True),
    Key("browse.build", "b", "build", "Build", "Count the baselines of this branch into its catalogue, or stop that.", True),
    Key("browse.refresh", "r", "refresh", "Refresh", "Fetch the names of this branch from the archive again.", True),
    Key("browse.sync", "S", "sync", "Sync", "Find and queue the last days of this product or baseline, or stop that.", True),
    Key("browse.swap", "w", "swap", "Swap", "Swap what is here of this baseline for a newer one, or undo that."),
    Key("browse.copy", "y", "copy", "Copy", "Copy the names, as the commands take them."),
    Key("search.run", "ctrl+r,f5", "run", "Run", "Run the search, or stop it while it runs.", True, True),
    Key("search.form", "f", "form", "Form", "Go to the form.", True),
    Key("search.saved", "ctrl+o", "saved", "Saved", "Open a saved or a past search, or save the one in the form.", True),
    Key("search.results", "escape", "results", "Results", "Leave the form for the results."),
    Key("search.queue", "d", "queue", "Fetch", "Queue the marked granules, or the one under the cursor.", True),
    Key("search.save", "w", "save", "Register", "Save the marked granules to the registry as discovered."),
    Key("search.export", "e", "export", "Export", "Write the marked granules, or all shown, to a file."),
    Key("search.freeze", "z", "freeze", "Freeze", "Freeze the marked granules, or all shown, as a study: a folder with hashes and DOIs."),
    Key("search.cut", "x", "cut", "Cut", "Cut variables or a region out of the granule under the cursor; bytes are said first."),
    Key("search.get", "o", "get_to", "Get to", "Download the marked granules to another folder."),
    Key("search.show", "enter", "show", "Show", "Show a granule whole.", True),
    Key("search.map", "M", "map", "Map", "Show where the results fly; draw the area to search.", True),
    Key("search.overpasses", "O", "overpasses", "Overpasses", "List when the satellite passes a place; queue what is not here of it."),
    Key("search.match", "m", "match", "Match", "List the granules of the form's product near a ship, an aircraft or a balloon; queue them."),
    Key("search.not_here", "n", "not_here", "Not here", "Show only the results that are not here, or all.", True),
    Key("search.fewest", "F", "fewest", "Fewest dates", "Mark the fewest dates with every frame of the tracks found."),
    Key("search.quality", "Q", "quality", "Quality", "List the data gaps and disclaimers of the form's product; read the sheets again."),
    Key("search.preview", "p", "preview", "Preview", "Show or hide the granule under the cursor below the results."),
    Key("search.coverage", "C", "coverage", "Coverage", "Compare the form's baseline, time and frames with the archive, by day; fetch gaps."),
    Key("search.copy", "y", "copy", "Copy", "Copy the equivalent command line."),
    Key("search.copy_cron", "Y", "copy_cron", "Copy cron", "Copy it as a line for the crontab."),
    Key("downloads.pause", "p", "pause", "Pause", "Pause or resume the marked transfers, or the one under the cursor.", True),
    Key("downloads.pause_all", "P", "pause_all", "Pause all", "Pause everything, or resume it.", True),
    Key("downloads.cancel", "x", "cancel", "Cancel", "Take the marked transfers out of the queue.", True),
    Key("downloads.retry", "r", "retry", "Retry", "Try the marked transfers again, or the one under the cursor.", True),
    Key("downloads.retry_failed", "R", "retry_failed", "Retry failed", "Try every failed transfer again."),
    Key("downloads.top", "t", "top", "To the top", "Let the marked transfers be next."),
    Key("downloads.more", "plus,equals_sign", "parallel(1)", "More", "One more transfer at a time."),
    Key("downloads.fewer", "minus", "parallel(-1)", "Fewer", "One transfer less at a time."),
    Key("downloads.clear", "C", "clear", "Clear", "Take what has ended out of the list."),
    Key("downloads.folder", "o", "folder", "Folder", "Copy the path of the file's folder."),
    Key("downloads.verify", "V", "verify", "Verify", "Verify the files on disk: good, or what is wrong."),
    Key("downloads.take_over", "T", "take_over", "Go on", "Resume transfers that a crashed process left.", True),
    Key("registry.open", "enter", "open", "Open", "Open a baseline, then a day.", True),
    Key("registry.back", "escape,backspace", "back", "Back", "Go back to the table.", True),
    Key("registry.download", "d", "download", "Fetch", "Queue what is pending.", True),
    Key("registry.retry", "r", "retry", "Retry", "Queue what failed."),
    Key("registry.mark", "m", "mark_files", "Mark", "Mark files as processed.", True),
    Key("registry.unmark", "u", "unmark_files", "Unmark", "Take the mark away again."),
    Key("registry.cleanup", "D", "cleanup", "Cleanup", "Delete marked files, after a look at what would go.", True),
    Key("registry.check", "V", "check", "Verify", "Verify the files on disk: good, or what is wrong."),
    Key("registry.rebuild", "B", "rebuild", "Rebuild", "Record files on disk that the registry does not know."),
    Key("registry.gaps", "n", "gaps", "Not here", "Compare with the archive: the days that are not here, to be fetched.", True),
    Key("registry.sets", "t", "sets", "Sets", "Show which orbits and frames have all products of a set, or of the marked baselines.", True),
    Key("registry.freeze", "z", "freeze", "Freeze", "Freeze what is here of the marked baselines as a study: a folder with hashes and DOIs."),
    Key("registry.thaw", "Z", "thaw", "Thaw", "Have the files of a frozen study again, each with its hash."),
    Key("registry.cite", "C", "cite", "Cite", "Copy how what is here of the marked baselines is cited, with DOIs."),
    Key("registry.swap", "w", "swap", "Swap", "Swap the baseline for a newer one, or undo that: what is new is fetched, marks are handed over."),
    Key("registry.search", "f", "search_here", "Search", "Search the archive for the baseline, or for this day of it."),
    Key("registry.copy", "y", "copy", "Copy", "Copy the path of the file, or the name of the baseline."),
    Key("log.level", "l", "level", "Level", "Show more or fewer levels of the log.", True),
    Key("log.edit", "enter", "edit", "Edit", "Edit the setting under the cursor.", True),
    Key("log.unset", "u", "unset", "Unset", "Go back to the default."),
    Key("log.pane", "tab", "pane", "Pane", "Go between log and settings."),
    Key("log.pager", "p", "pager", "Pager", "Show the log that is listed in $PAGER.", True),
    Key("log.editor", "e", "editor", "Editor", "Open the configuration file in $EDITOR; it is read again afterwards.", True),
    Key("log.copy", "y", "copy", "Copy", "Copy the line of the log, or the setting."),
)  # fmt: skip

BY_ID = {key.id: key for key in KEYS}


def keys_of(*modes: str) -> list[Key]:
    """The keys of modes, in the order of the table; the id of a key names that key alone."""
    return [key for mode in modes for key in KEYS if mode in (key.mode, key.id)]


def lists_of(mode: str) -> tuple[str, ...]:
    """The keys of lists that work in a mode: the tree of Browse can only be filtered, and Log has no marks."""
    if mode == "browse":
        return ("lists.filter",)
    return ("lists.filter", "lists.sort", "lists.sort_by", "lists.columns") if mode == "log" else ("lists",)


def keys_in(mode: str) -> list[Key]:
    """Every key that works in a mode, its own first."""
    return keys_of(mode, *lists_of(mode), "everywhere")


def bindings(*modes: str) -> list[BindingType]:
    """The bindings of modes, for `BINDINGS`."""
    return [
        Binding(
            key.keys,
            key.action,
            key.label,
            show=key.is_in_footer,
            tooltip=key.help,
            id=key.id,
            priority=key.is_priority,
        )
        for key in keys_of(*modes)
    ]


MOVING = frozenset(
    "up,k,down,j,left,h,right,l,pageup,ctrl+b,pagedown,ctrl+f,home,g,end,G,enter,tab,shift+tab,escape,"
    "left_square_bracket,right_square_bracket,ctrl+c".split(",")
)

ALSO: Mapping[str, frozenset[str]] = {
    name: frozenset(words.split())
    for name, words in {
        "everywhere.today": "runs run history cron failed disk",
        "everywhere.downloads": "transfers queue rate graph progress",
        "everywhere.registry": "tracked baselines",
        "everywhere.theme": "light dark colors",
        "everywhere.quit": "detach background worker exit",
        "search.form": "area site point box bbox region radius time dates",
        "search.saved": "saved past searches search history",
        "search.map": "world coasts tracks area box",
        "search.show": "granule quicklook picture headers variables doi",
        "search.preview": "granule quicklook picture",
        "search.coverage": "gaps calendar days density",
        "search.not_here": "missing",
        "registry.gaps": "coverage gaps missing",
        "registry.sets": "synergy matrix complete sets",
        "today.news": "late new arrivals",
        "search.export": "csv geojson parquet geoparquet table",
        "search.freeze": "reproduce reproducible paper publication snapshot",
        "registry.freeze": "reproduce reproducible paper publication snapshot",
        "registry.thaw": "reproduce restore",
        "registry.cite": "paper publication reference bibtex",
        "search.cut": "crop subset clip extract slice",
        "search.overpasses": "flyover when calendar ical future site",
        "search.match": "collocate collocation campaign gpx track buoy",
        "search.fewest": "cover plan stack minimal tracks",
        "search.quality": "bad data wrong disclaimer flags",
        "browse.swap": "upgrade replace reprocess reprocessed baseline",
        "registry.swap": "upgrade replace reprocess reprocessed baseline",
        "downloads.verify": "checksum sum hash corrupt damaged",
        "registry.check": "checksum sum hash corrupt damaged",
    }.items()
}
"""Other words for what keys do, by their id: what the palette and the help find them by too."""
"""Keys of lists, calendars and fields that are in no table."""


def keys_of_commands(
    commands: Iterable[UserCommand], keymap: Mapping[str, str]
) -> tuple[dict[str, list[Key]], list[str]]:
    """The keys of the user's commands by mode, and a sentence about each key that is refused.

    A command whose key belongs to something else stays in the palette, without a key.

    Args:
        commands: those of the configuration.
        keymap: the user's keys of our actions, as `check_keymap` passes them.
    """
    found: dict[str, list[Key]] = {mode: [] for mode in MODES}
    problems = []
    for command in commands:
        wanted = named_key(command.key) if command.key else ""
        owners = [_owner(wanted, mode, keymap, found[mode]) for mode in command.where] if wanted else []
        if owner := next(filter(None, owners), ""):
            problems.append(
                f"[commands.{command.name}] key: {show_key(wanted)} belongs to {owner}; "
                "choose another one, the palette has the command meanwhile"
            )
            wanted = ""
        label = command.name[:16]
        one = Key(
            f"commands.{command.name}",
            wanted,
            f"user_command('{command.name}')",
            label,
            f"{command.name}: {command} ({command.output}).",
            bool(wanted),
        )
        for mode in command.where:
            found[mode].append(one)
    return found, problems


def _owner(wanted: str, mode: str, keymap: Mapping[str, str], others: Iterable[Key]) -> str:
    """What a key belongs to in a mode; '' for nothing."""
    if wanted in MOVING:
        return "lists and fields"
    for key in (*keys_in(mode), *others):
        if wanted in keymap.get(key.id, key.keys).split(","):
            return key.id
    return ""


def check_keymap(keymap: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """The usable part of a user's `[keys]`, and a sentence about each other entry.

    Returns:
        id -> keys for `App.set_keymap`, and one sentence for each id that does not exist and each key
        that two actions of one mode would share.
    """
    good: dict[str, str] = {}
    problems = []
    for name, keys in keymap.items():
        if name not in BY_ID:
            problems.append(f"[keys] {name}: there is no such action; see ? for the names")
            continue
        good[name] = ",".join(part.strip() for part in keys.split(",") if part.strip())
    for mode in MODES:
        taken: dict[str, str] = {}
        for key in keys_of("everywhere", *lists_of(mode), mode):
            for one in good.get(key.id, key.keys).split(","):
                other = taken.setdefault(one, key.id)
                if other != key.id and (other in good or key.id in good):
                    loser = other if other in good else key.id
                    sentence = (
                        f"[keys] {loser}: {show_key(one)} belongs to {key.id if loser == other else other}"
                    )
                    if sentence not in problems:
                        problems.append(sentence)
                    good.pop(loser, None)
    return good, problems


def as_markdown_table(keys: Iterable[Key] = KEYS) -> str:
    """The table of docs/app.md."""
    lines = ["| mode | key | what it does | name in `[keys]` |", "|---|---|---|---|"]
    for key in keys:
        shown = " ".join(f"`{show_key(one)}`" for one in key.keys.split(","))
        lines.append(f"| {MODE_TITLES[key.mode]} | {shown} | {key.help} | `{key.id}` |")
    return "\n".join(lines) + "\n"
