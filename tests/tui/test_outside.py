"""Which pager and editor are taken, by the environment and by what is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from maap_tui.engine.errors import InvalidRequestError
from maap_tui.tui.outside import editor, pager


def test_variables_go_before_what_is_there(tmp_path: Path) -> None:
    for name in ("less", "vi"):
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(0o755)
    there = {"PATH": str(tmp_path)}
    assert pager(there) == pager({**there, "PAGER": "  "}) == ["less"]
    assert pager({**there, "PAGER": "most -s 'a b' $HOME"}) == ["most", "-s", "a b", "$HOME"]
    assert editor(there) == ["vi"]
    assert editor({**there, "EDITOR": "emacs -nw"}) == ["emacs", "-nw"]
    assert editor({**there, "EDITOR": "emacs", "VISUAL": "code --wait"}) == ["code", "--wait"]


@pytest.mark.parametrize(
    ("environ", "said"),
    [({"PAGER": "less 'x"}, "PAGER has a quote that is not closed"), ({"PATH": ""}, "no less and no more")],
)
def test_what_is_wrong_is_said_in_a_sentence(environ: dict[str, str], said: str) -> None:
    with pytest.raises(InvalidRequestError, match=said):
        pager(environ)
