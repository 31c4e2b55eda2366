"""`maap doctor`: what is wrong here, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from maap_tui.cli.context import CommandContext
from maap_tui.cli.options import add_command, add_general_options
from maap_tui.cli.report import AGAIN, CREDENTIALS, DONE, WRONG
from maap_tui.text import plural

if TYPE_CHECKING:
    from maap_tui.engine.doctor import Finding


def add_parser(subparsers: Any, words: str) -> None:
    """Describe the command."""
    parser = add_command(subparsers, "doctor", words, examples=("maap doctor", "maap doctor --offline"))
    parser.add_argument("--offline", action="store_true", help="leave out what needs the network")
    parser.add_argument(
        "--repair", action="store_true", help="make comments of damaged lines of the registry; files are kept"
    )
    add_general_options(parser, run, json_help="one object a finding")


async def run(context: CommandContext) -> int:
    """Print a line for each check."""
    from maap_tui.engine import doctor

    session = context.session()
    found: list[Finding] = []
    async with session:
        async for finding in doctor.examine(
            session, offline=context.args.offline, repair=context.args.repair
        ):
            found.append(finding)
            if context.output.as_json:
                context.output.record(
                    {
                        "subject": finding.subject,
                        "state": finding.state,
                        "message": finding.message,
                        "hint": finding.hint,
                    }
                )
                continue
            hint = f" -> {finding.hint}" if finding.hint else ""
            context.output.line(f"{finding.state:<8} {finding.subject:<14} {finding.message}{hint}")
            context.output.flush()
    failures = [finding for finding in found if finding.state == doctor.FAILURE]
    warnings = sum(finding.state == doctor.WARNING for finding in found)
    context.report.say(
        f"{plural(len(found), 'check')}: {plural(len(failures), 'failure')}, {plural(warnings, 'warning')}"
    )
    if not failures:
        return DONE
    if any(finding.is_credential for finding in failures):
        return CREDENTIALS
    return AGAIN if all(finding.is_passing for finding in failures) else WRONG
