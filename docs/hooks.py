"""What the site takes from outside docs/: the pages of the root, its licence, and the pictures.

Links are written so that they work in the repository; here they are turned to where the site has the file.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
TAKEN = {
    "README.md": "quickstart.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "LICENSE": "license.txt",
}
"""Files of the root, and the names that they have on the site."""
_LINK = re.compile(r"(?<=\]\()(?!https?:)([^)#]+)")
_FONT = re.compile(r",?\s*url\(\"https?://[^)]*\)(?:\s*format\([^)]*\))?")
"""A font that a picture would load from elsewhere, where it is not installed."""


def on_files(files: Files, config: Any) -> Files:
    """Add what is outside docs/."""
    for name, here in TAKEN.items():
        files.append(File.generated(config, here, content=(ROOT / name).read_text("utf-8")))
    for picture in sorted((ROOT / "screenshots").glob("*.svg")):
        content = _FONT.sub("", picture.read_text("utf-8"))
        files.append(File.generated(config, f"screenshots/{picture.name}", content=content))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn the links of a page; those of a page of the root begin there, the others in docs/."""
    is_root = page.file.src_uri in TAKEN.values()

    def turn(link: re.Match[str]) -> str:
        path = link[1].removeprefix("docs/") if is_root else link[1].removeprefix("../")
        return TAKEN.get(path, path)

    return _LINK.sub(turn, markdown)
