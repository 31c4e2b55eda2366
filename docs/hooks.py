"""What the site takes from outside docs/: the pages of the root, its licence, and the pictures.

Links are written so that they work in the repository; here they are turned to where the site has the file.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
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
_ELSEWHERE = re.compile(r"<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=[\"']?(?:https?:)?//[^\s>]*")


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


def on_post_page(output: str, page: Any, **_: Any) -> None:
    """Refuse a page that would load a script, a font or a picture from elsewhere."""
    if found := _ELSEWHERE.search(output):
        raise PluginError(f"{page.file.src_uri} loads something from elsewhere: {found[0]}")
