"""The public names: sorted, resolvable, and all there is."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import maap_tui


def in_order(names: set[str]) -> list[str]:
    """Constants, classes, then the rest, as the linter wants it."""
    return sorted(names, key=lambda name: (not name.isupper(), name.lstrip("_").islower(), name))


def test_names_are_sorted_and_unique() -> None:
    assert maap_tui.__all__ == in_order(set(maap_tui.__all__))


@pytest.mark.parametrize("name", maap_tui.__all__)
def test_name_resolves(name: str) -> None:
    assert getattr(maap_tui, name) is not None
    assert name in dir(maap_tui)


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(Path(maap_tui.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.name for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert in_order(seen | {"__version__"}) == maap_tui.__all__


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'MaapClint'"):
        _ = maap_tui.MaapClint


def test_version_and_marker() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", maap_tui.__version__)
    assert Path(maap_tui.__file__).with_name("py.typed").exists()


def test_errors_and_results_of_maap_client_are_here() -> None:
    wanted = {"MaapClient", "MaapConfig", "SearchResult", "DownloadResult", "SyncResult", "BaselineInfo"}
    wanted |= {"MaapError", "InvalidRequestError", "AuthenticationError", "AuthServiceUnavailable"}
    wanted |= {"CredentialsError", "CatalogError", "DownloadError"}
    assert wanted <= set(maap_tui.__all__)
