"""What the README and the pages of docs/ show is what happens: blocks run, tables are the program's own."""

from __future__ import annotations

import argparse
import ast
import re
import shlex
import shutil
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import maap_tui
from maap_tui.cli.dispatch import build_parser
from maap_tui.cli.options import join_signed
from maap_tui.demo import flags
from maap_tui.demo.archive import Archive
from maap_tui.engine.config import describing, loading
from maap_tui.engine.saved_searches import SavedSearches
from maap_tui.engine.studies.declaration import read_declaration
from maap_tui.tui import keys
from tests.cli.test_cli_help import parsers
from tests.homes import MOMENT
from tests.s3_server import S3Server
from tests.shell import Shell

ROOT = Path(__file__).parent.parent
PAGES = {
    str(path.relative_to(ROOT)): path.read_text("utf-8")
    for path in [*ROOT.glob("*.md"), *sorted((ROOT / "docs").glob("*.md"))]
}
"""Every page, by its path."""
LANGUAGES = {"sh", "python", "toml", "console", "text"}
"""What a block may be: run, run, read as a configuration, read as command lines, or no program at all."""
EVERYWHERE = "".join(PAGES.values())


@dataclass(frozen=True)
class Block:
    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


BLOCKS = [
    Block(page, text.count("\n", 0, found.start()) + 1, found[1], found[2])
    for page, text in PAGES.items()
    for found in re.finditer(r"^```(\w*)\n(.*?)^```$", text, flags=re.S | re.M)
]


def blocks(language: str) -> list[Block]:
    return [block for block in BLOCKS if block.language == language]


def pages_with(language: str) -> list[str]:
    return list(dict.fromkeys(block.page for block in blocks(language)))


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with S3Server() as server:
        yield server


@pytest.fixture
def environment(archive: Archive, s3: S3Server, tmp_path: Path) -> dict[str, str]:
    archive.prepare(tmp_path)
    return {**archive.environment(tmp_path), **s3.environment, "HOME": str(tmp_path)}


def test_every_block_is_of_a_kind_that_is_checked() -> None:
    assert [str(block) for block in BLOCKS if block.language not in LANGUAGES] == []
    assert EVERYWHERE.count("\n```") == 2 * len(BLOCKS)


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@pytest.mark.parametrize("page", pages_with("sh"))
def test_shell_blocks_run(page: str, shell: Shell, environment: dict[str, str], tmp_path: Path) -> None:
    """Those of a page, one after the other, in one home."""
    for block in blocks("sh"):
        if block.page == page:
            if "--print curl" in block.text and shutil.which("curl") is None:
                continue  # what it prints is run in it
            done = shell.run(block.text, environment, tmp_path)

            # -13 and 141 are the end of a command whose reader has seen enough.
            assert done.returncode in (0, -13, 141), f"{block}: {done.stderr}"
            assert "Error" not in done.stderr and "Traceback" not in done.stderr, f"{block}: {done.stderr}"
            assert done.stdout.strip(), block


@pytest.mark.parametrize("block", blocks("python"), ids=str)
@pytest.mark.parametrize("loop", ["script", "running loop"])
def test_python_block_runs(
    block: Block, loop: str, shell: Shell, environment: dict[str, str], tmp_path: Path
) -> None:
    code = block.text
    if loop == "running loop" or re.search(r"^async with ", code, flags=re.M):
        # As a notebook cell: the code runs while a loop of its own is running in the same thread.
        code = (
            "import asyncio\nasync def cell():\n" + textwrap.indent(code, "    ") + "\nasyncio.run(cell())\n"
        )
    done = shell.run_python(code, environment, tmp_path)

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.parametrize("block", blocks("toml"), ids=str)
def test_toml_block_is_a_configuration(block: Block, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(block.text)
    if block.text.startswith("# searches.toml"):
        assert all("collection" in one for one in SavedSearches(file).all().values())
        return
    if block.text.startswith("# STUDY.toml"):
        assert read_declaration(file, MOMENT).select
        return

    config = loading.load(file, environ={})

    good, problems = keys.check_keymap(config.keys)
    assert (bool(good), problems) == ("[keys]" in block.text, [])


@pytest.mark.parametrize("block", blocks("console"), ids=str)
def test_console_block_names_commands_that_exist(block: Block) -> None:
    """What needs an account, a crontab or an installation is not run, but its options have to be right."""
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.M)
    targets += [f"bench-{path.stem}" for path in (ROOT / "bench").glob("*.py")]
    for line in block.text.splitlines():
        words = shlex.split(re.sub(r"\s>>? .*", "", line), comments=True)
        if "maap" in words:
            rest = words[words.index("maap") + 1 :]
            inner = rest[rest.index("--") + 1 :] if "--" in rest else []
            build_parser().parse_args(join_signed(rest[: rest.index("--")] if inner else rest))
            assert not inner or build_parser().parse_args(join_signed(inner))
        elif words[:1] == ["make"]:
            assert {word for word in words[1:] if "=" not in word} <= set(targets), line


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\((?!https?://)([^)]+)\)", PAGES[page]):
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text("utf-8"), flags=re.M)
            assert anchor in [re.sub(r"[^\w\- ]", "", one).lower().replace(" ", "-") for one in headings]


@pytest.mark.parametrize(
    ("name", "table"),
    [("settings", describing.as_markdown_table), ("keys", keys.as_markdown_table)],
    ids=["settings", "keys"],
)
def test_table_is_the_program_s(name: str, table: object) -> None:
    shown = re.findall(rf"<!-- {name} -->\n(.*?)\n<!-- /{name} -->", EVERYWHERE, flags=re.S)

    assert [one.strip() for one in shown] == [table().strip()]  # type: ignore[operator]


def test_every_picture_is_there_and_is_shown() -> None:
    # The list is read from the script itself: importing it would need the embedded archive.
    script = (ROOT / "screenshots" / "take.py").read_text(encoding="utf-8")
    listed = re.search(r"^PICTURES: .*? = \{\n(.*?)^\}", script, flags=re.S | re.M)
    assert listed is not None
    names = re.findall(r'^    "(\w+)":', listed[1], flags=re.M)

    assert len(names) >= 10
    for name in names:
        picture = ROOT / "screenshots" / f"{name}.svg"
        assert picture.read_text(encoding="utf-8").startswith("<svg"), name
        assert f"](../screenshots/{name}.svg)" in EVERYWHERE, f"{name}.svg is not shown"
    assert {path.stem for path in picture.parent.glob("*.svg")} == set(names)


def test_readme_is_short_and_begins_with_what_a_newcomer_needs() -> None:
    text = PAGES["README.md"]
    first = text.partition("\n## ")[0]

    assert len(text.split()) <= 1300
    assert first.count("![") == 1
    assert len(re.findall(r"^make ", first, flags=re.M)) == 2
    assert len(re.findall(r"^maap ", first, flags=re.M)) == 3


def paths_in(page: str) -> list[str]:
    """The paths of this repository that a page names."""
    return re.findall(r"`((?:maap_tui|tests|docs|bench|screenshots|\.ci|\.github)/[^`\s{}*]*)`", PAGES[page])


@pytest.mark.parametrize("page", PAGES)
def test_paths_that_a_page_names_exist(page: str) -> None:
    assert [path for path in paths_in(page) if not (ROOT / path).exists()] == []


def test_the_map_names_every_folder() -> None:
    folders = {file.parent for file in (ROOT / "maap_tui").rglob("*") if file.suffix in (".py", ".tcss")}
    named = {(ROOT / path).resolve() for path in paths_in("docs/architecture.md")}

    missing = sorted(str(one.relative_to(ROOT)) for one in folders - named - {ROOT / "maap_tui"})
    assert missing == [], "docs/architecture.md has to say what these folders are"


def test_seven_new_things_have_one_place_each() -> None:
    table = re.search(r"^\| a new \|.*?\n\n", PAGES["CONTRIBUTING.md"], flags=re.S | re.M)
    assert table is not None
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in table[0].strip().splitlines()[2:]
    ]

    things = [
        "mission",
        "command",
        "setting",
        "mode of the app",
        "file check",
        "verdict on a file",
        "transport",
    ]
    assert [row[0] for row in rows] == things
    for _, place, test in rows:
        assert re.fullmatch(r"`maap_tui/[^`]+`", place) and (ROOT / place.strip("`")).exists(), place
        assert re.fullmatch(r"`tests/[^`]+`", test) and (ROOT / test.strip("`")).exists(), test


def test_every_public_name_is_in_the_reference() -> None:
    shown = re.findall(r"^::: maap_tui\.(\w+)$", PAGES["docs/reference.md"], flags=re.M)

    told = {*shown, *re.findall(r"`maap_tui\.(\w+)`", PAGES["docs/reference.md"])}
    assert sorted(told) == sorted(maap_tui.__all__)
    assert len(set(shown)) == len(shown)


def rows_of(text: str) -> set[str]:
    """The first cells of a table, with `A to B` spelled out."""
    found: set[str] = set()
    for cell in re.findall(r"^\| ([A-Z]\d[^|]*?) \|", text, flags=re.M):
        for part in cell.split(", "):
            ends = re.findall(r"\d+", part)
            found |= {f"{part[0]}{number}" for number in range(int(ends[0]), int(ends[-1]) + 1)}
    return found


def test_every_thread_is_explained() -> None:
    table = PAGES["docs/architecture.md"].partition("## Threads and locks")[2].partition("\nBefore a fork")[0]
    unsaid, seen = [], 0
    for file in sorted((ROOT / "maap_tui").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name | ast.Attribute):
                continue
            called = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            if called not in ("Thread", "ThreadPoolExecutor"):
                continue
            seen += 1
            names = [one.value for one in node.keywords if one.arg in ("name", "thread_name_prefix")]
            said = f"`{ast.literal_eval(names[0])}`" if names else f"`{file.relative_to(ROOT)}`"
            unsaid += [said] * (said not in table)
    assert unsaid == [] and seen > 10


def test_every_row_of_faults_is_explained() -> None:
    figures, played = PAGES["docs/reliability.md"].split("## Faults that tests play")
    guarded = PAGES["docs/architecture.md"].split("## What each fault row guards")[1]
    marks = {
        mark
        for file in (ROOT / "tests").rglob("*.py")
        for mark in re.findall(r"\bfault\(\"(\w+)\"", file.read_text("utf-8"))
    }

    assert rows_of(figures) == rows_of(guarded)
    assert marks <= rows_of(played) | rows_of(figures) and len(marks) > 50


def test_docstrings_cite_pages_and_sections_that_exist() -> None:
    wrong, cited = [], 0
    for file in [*(ROOT / "maap_tui").rglob("*.py"), *(ROOT / "bench").glob("*.py")]:
        text = re.sub(r"\s*\n\s*(?:# )?", " ", file.read_text("utf-8"))
        for page, section in re.findall(r"([\w/.-]+\.md)\b(?:, ([A-Z][^)]*)\))?", text):
            cited += 1
            headings = re.findall(r"^#+ (.*)$", PAGES.get(page, ""), flags=re.M)
            if page not in PAGES or (section and section not in headings):
                wrong.append(f"{file.relative_to(ROOT)}: {page} {section}")
    assert wrong == []
    assert cited > 10


def test_docstrings_name_the_parameters_that_there_are() -> None:
    wrong, seen = [], 0
    for file in (ROOT / "maap_tui").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            found = re.search(r"^Args:\n((?: {4}.*\n?|\n)+)", ast.get_docstring(node) or "", flags=re.M)
            names = re.findall(r"^ {4}(\w+):", found[1], flags=re.M) if found else []
            seen += len(names)
            taken = {one.arg for one in ast.walk(node.args) if isinstance(one, ast.arg)}
            wrong += [f"{file.name}: {node.name}: {name}" for name in names if name not in taken]
    assert wrong == [] and seen > 1000


def test_pages_and_program_have_the_same_options() -> None:
    found: dict[str, list[argparse.Action]] = {}
    older: set[str] = set()
    for parser in parsers(build_parser()):
        older |= parser._option_string_actions.keys()
        for action in parser._actions:
            for name in action.option_strings:
                found.setdefault(name, []).append(action)
    words = {
        word
        for page, text in PAGES.items()
        for word in re.findall(r"(?<![\w-])--?[A-Za-z][a-z-]*", text)
        # What an option was called before, the news alone say.
        if page != "CHANGELOG.md" or word in found or word not in older
    }
    # Of Slurm, datalad, pytest and git annex.
    foreign = {"--array", "--signal", "--key", "--snapshot-update", "--known"}
    measured = set(re.findall(r"--[a-z-]+", PAGES["docs/performance.md"]))  # of `bench`
    assert {word for word in words if word.startswith("--")} - found.keys() - foreign - measured == set()
    demo = argparse.ArgumentParser(add_help=False)
    flags.add_arguments(demo)
    shown = {action for name in words & found.keys() for action in found[name]}
    unsaid = {
        name
        for name, actions in found.items()
        if name.startswith("--") and not shown & set(actions) and name not in demo._option_string_actions
    }
    assert unsaid == set()


@pytest.mark.parametrize("page", PAGES)
def test_tables_have_as_many_cells_in_each_row(page: str) -> None:
    for table in re.findall(r"(?:^\|.*\n)+", PAGES[page], flags=re.M):
        rows = [len(re.findall(r"(?<!\\)\|", re.sub(r"`[^`]*`", "", row))) for row in table.splitlines()]
        assert len(set(rows)) == 1, table
