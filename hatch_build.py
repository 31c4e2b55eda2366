"""Adds the manual pages and the completions of shells to a wheel, made from the command line itself."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

COMPLETIONS = {
    "bash": "bash-completion/completions/maap",
    "zsh": "zsh/site-functions/_maap",
    "fish": "fish/vendor_completions.d/maap.fish",
}


class Pages(BuildHookInterface[Any]):
    """Puts them below share/, where man and the shells look."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write them where hatchling takes them from."""
        if version == "editable":
            return
        sys.path.insert(0, self.root)
        from maap_tui.cli import completion, man

        self.folder = TemporaryDirectory()
        share = Path(self.folder.name)
        man.main(share / "man" / "man1")
        for shell, name in COMPLETIONS.items():
            (share / name).parent.mkdir(parents=True)
            (share / name).write_text(completion.script(shell), encoding="utf-8")
        build_data["shared_data"][str(share)] = "share"
