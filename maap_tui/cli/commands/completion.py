"""`maap completion`: the script that completes commands, options and names in a shell."""

from __future__ import annotations

from typing import Any

from maap_tui.cli.completion import SHELLS, script
from maap_tui.cli.context import CommandContext
from maap_tui.cli.options import add_command, add_general_options


def add_parser(subparsers: Any, words: str) -> None:
    """Describe the command."""
    parser = add_command(
        subparsers,
        "completion",
        words,
        arguments="SHELL",
        examples=(
            "maap completion bash > ~/.local/share/bash-completion/completions/maap",
            "maap completion zsh > ~/.zfunc/_maap",
            "maap completion fish > ~/.config/fish/completions/maap.fish",
        ),
        notes="Or in the start-up file of the shell, for this version and all later ones:\n"
        "  bash  source <(maap completion bash)\n"
        '  zsh   eval "$(maap completion zsh)"    (after compinit)\n'
        "  fish  maap completion fish | source\n"
        "Names of collections, product types and baselines come from the local copies;\n"
        "the network is never asked. `maap catalog update` renews the copies.",
    )
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help="bash, zsh or fish")
    add_general_options(parser, run)


def run(context: CommandContext) -> None:
    """Print the script."""
    context.output.lines(script(context.args.shell).splitlines())
