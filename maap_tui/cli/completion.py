"""Completion in shells: scripts made from the command line itself, and the names that they ask for.

The scripts come from shtab, which knows commands and options. Names of collections, product types,
baselines, sites and saved searches are asked of `maap __names` when the key is pressed: it reads local copies
alone, prints a name a line, and whatever goes wrong there is silence: the user is in the middle of a line.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import shlex
import sys
from collections.abc import Iterator, Sequence

from maap_tui.cli.options import NAMES, UsageError, join_signed, overrides_of

SHELLS = ("bash", "zsh", "fish")

_OPTIONS = ("saved", "point")
"""Options whose values are names."""
_NEXT = "\0"
"""Stands for the word that is to be completed; no word of a command line can hold it."""

_ARGUMENTS = (*NAMES, "new")
"""Arguments that are names of the archive; `new` is the second baseline of a swap."""

_NAMES_HERE = {"zsh": "_maap_names", "fish": "(__maap_names)"}
"""What shtab's scripts call for a name. That of bash would split names at spaces, see `_BASH`."""

_BASH = r"""
# Names are asked for first; shtab's function completes the rest.
_maap() {
  local name word="${COMP_WORDS[COMP_CWORD]}" typed=""
  local -a names=()
  if [[ $word != -* ]]; then
    while IFS= read -r name; do
      names+=("$name")
    done < <(command maap __names --line "${COMP_LINE:0:COMP_POINT}" 2>/dev/null </dev/null)
  fi
  if (( ${#names[@]} == 0 )); then
    _shtab_maap "$@"
    return
  fi
  # The first line is what was typed of the name. The shell replaces only what follows a : or = in it.
  typed="${names[0]}"
  [[ $word == [\'\"]* || $typed != *[:=]* ]] && typed="" || typed="${typed%"${typed##*[:=]}"}"
  COMPREPLY=()
  for name in "${names[@]:1}"; do
    name="${name#"$typed"}"
    case "$word" in
    \'*) name="${name//\'/\'\\\'\'}" ;;
    \"*) name="${name//\\/\\\\}" name="${name//\"/\\\"}" name="${name//\$/\\\$}" name="${name//\`/\\\`}" ;;
    *) printf -v name %q "$name" ;;
    esac
    COMPREPLY+=("$name")
  done
}
complete -o bashdefault -F _maap maap
"""

_ZSH = r"""
_maap_names() {
  local -a before names
  before=("${(@Q)${(z)LBUFFER}}")
  [[ -n $PREFIX ]] && before[-1]=()
  before=("${(@)before[${before[(I)(maap|*/maap)]}+1,-1]}")
  names=("${(@f)$(command maap __names "${before[@]}" 2>/dev/null </dev/null)}")
  names=("${(@)names:#}")
  (( $#names )) && compadd -a names
}
"""

_FISH = r"""
function __maap_names
  set -l before (commandline -opc)
  set -e before[1]
  command maap __names $before 2>/dev/null </dev/null
end
"""


def script(shell: str) -> str:
    """The completion script of a shell, of `SHELLS`."""
    import shtab

    from maap_tui.cli.dispatch import build_parser

    parser = build_parser()
    for action in _actions(parser):
        if action.dest in _OPTIONS or (action.dest in _ARGUMENTS and not action.option_strings):
            if shell in _NAMES_HERE:
                action.complete = _NAMES_HERE  # type: ignore[attr-defined]
        elif action.metavar in ("FILE", "PATH", "TRACK"):
            action.complete = shtab.FILE  # type: ignore[attr-defined]
        elif action.metavar in ("DIR", "FOLDER"):
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
    preamble = {"zsh": _ZSH, "fish": _FISH}.get(shell, "")
    text: str = shtab.complete(parser, shell, root_prefix="maap", preamble=preamble)
    return text + _BASH if shell == "bash" else text


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Every argument and option of a parser and of those below it; argparse has no public way to them."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for below in dict.fromkeys(action.choices.values()):
                yield from _actions(below)


def print_names(words: Sequence[str]) -> int:
    """Print the names that may come next, one a line; always 0, and nothing else is ever printed.

    Args:
        words: the words after `maap` and before the one that is completed; or `--line` and the line up to
            the cursor, for a shell that takes no line apart. For a line what was typed of the name is
            printed before the names, and only those that go on like it are.
    """
    with contextlib.suppress(Exception):
        typed = None
        if words[:1] == ["--line"]:
            words, typed = _split(words[1])
        names = [name for name in _names(words) if name.startswith(typed or "")]
        if names:
            sys.stdout.write("".join(f"{name}\n" for name in ([] if typed is None else [typed]) + names))
            sys.stdout.flush()
    return 0


def _split(line: str) -> tuple[list[str], str]:
    """The words after the command and before the last one, and the last one, of a line up to the cursor."""
    for closing in ("", "'", '"'):
        with contextlib.suppress(ValueError):
            words = shlex.split(f"{line}{_NEXT}{closing}")
            return words[1:-1], words[-1].removesuffix(_NEXT)
    return [], ""


def _names(words: Sequence[str]) -> list[str]:
    from maap_tui.cli.dispatch import COMMANDS, build_parser

    called = next((word for word in words if word in COMMANDS), None)
    if called is None or "--" in words:
        return []
    parser = build_parser({called})
    # What is asked for next, the parser itself says: it is where a word that stands for it ends up.
    for missing in range(1, len(_ARGUMENTS) + 1):
        after = [f"{_NEXT}{number}" for number in range(1, missing)]
        with contextlib.suppress(UsageError, SystemExit), contextlib.redirect_stdout(io.StringIO()):
            args = parser.parse_args([*join_signed(list(words)), _NEXT, *after])
            named = (*_ARGUMENTS, *_OPTIONS)
            kind = next((name for name in named if getattr(args, name, None) == _NEXT), "")
            return _names_of(kind, args) if kind else []
    return []


def _names_of(kind: str, args: argparse.Namespace) -> list[str]:
    from maap_tui.engine.catalogue import local_names
    from maap_tui.engine.config import loading

    config = loading.load(getattr(args, "config", None), os.environ, overrides_of(args))
    where = loading.locate(config, os.environ)
    if kind == "saved":
        from maap_tui.engine.saved_searches import SavedSearches

        return list(SavedSearches(where.searches_file).all())
    if kind == "point":
        from maap_tui.engine.sites import sites

        return [site.name for site in sites(config.sites)]
    if kind == "collection":
        return local_names.collection_names(config, where)
    if kind == "product":
        return local_names.product_names(where, args.collection)
    return local_names.baseline_names(where, args.collection, args.product)
