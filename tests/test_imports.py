"""Who may import whom: read from the sources, and seen in clean interpreters."""

from __future__ import annotations

import ast
import functools
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest

import maap_tui
from tests.homes import PATIENCE_S

ROOT = Path(maap_tui.__file__).parent

LAYERS = [
    {
        "errors",
        "events",
        "defaults",
        "file_names",
        "geometry",
        "model",
        "plane",
        "missions",
        "observations",
        "cql2",
        "apart",
        "headers",
        "netcdf",
        "pictures",
        "sixel",
        "shard",
        "query",
        "search_keys",
        "areas",
        "sites",
        "product_sets",
        "user_commands",
        "time_words",
        "together",
        "packed",
        "cover",
        "overpass",
        "quality/notices",
        "storage/names",
        "storage/places",
        "net/origins",
    },
    {"config", "storage"},
    {
        "export",
        "geoparquet",
        "hook_book",
        "hooks",
        "net",
        "registry",
        "runs",
        "saved_searches",
        "search_history",
        "swaps/book",
    },
    {"catalogue", "integrity", "quality", "studies"},
    {"download"},
    {"cuts"},
    {"workflows"},
    {"swaps"},
    {"session"},
    {"thread", "doctor"},
    {"tasks"},
]
"""Rooms of the engine, lowest first; a room imports from its own row and those above it here.

A module that stands here by itself is of that row, whatever the row of its folder.
"""

APP_LAYERS = [
    {
        "backend",
        "cells",
        "closing",
        "colours",
        "gauges",
        "gc_pause",
        "graphics",
        "keys",
        "messages",
        "outside",
        "own_run",
        "textual_compat",
        "theme",
        "problems",
        "workers",
    },
    {"host"},
    {"dialogs", "synced", "widgets"},
    {"screens"},
    {
        "clipboard",
        "commands",
        "inputs",
        "leaving",
        "pasted",
        "sampling",
        "terminal",
        "typed",
        "typed_search",
        "user_commands",
    },
    {"app"},
]
"""Parts of the app, lowest first; a part imports from its own row and those above it here."""

OUTSIDE = {
    "net/http.py": {"httpx"},
    "net/transport.py": {"httpx", "httpx_aiohttp", "aiohttp", "certifi", "yarl"},
    "config/dirs.py": {"platformdirs"},
    "config/toml_file.py": {"tomlkit"},
    "storage/locks.py": {"filelock"},
    "tasks.py": {"distributed"},
    "headers.py": {"h5py"},
    "overpass/netcdf_track.py": {"h5py"},
    "cuts/contents.py": {"h5py"},
    "cuts/copying.py": {"h5py", "numpy"},
    "cuts/points.py": {"numpy"},
    "cuts/worker.py": {"h5py"},
    "pictures.py": {"PIL"},
    "download/s3.py": {"obstore"},
    "geoparquet.py": {"rustac"},
}
"""Libraries that no other module of the engine may import."""

FORBIDDEN = {
    "engine": {"textual", "rich", "argparse", "maap_tui.cli", "maap_tui.tui", "maap_tui.client"},
    "client": {"textual", "rich", "argparse", "httpx", "maap_tui.cli", "maap_tui.tui"},
    **{
        name: {"textual", "rich", "argparse", "httpx", "maap_tui.cli", "maap_tui.tui"}
        for name in ("config", "constants", "exceptions", "paths", "tracker", "types", "utils")
    },
    "cli": {"textual", "httpx", "aiohttp", "maap_tui.tui"},
    "tui": {"httpx", "aiohttp", "argparse", "maap_tui.cli", "maap_tui.client"},
    "demo": {"textual", "maap_tui.cli", "maap_tui.tui"},
}

DOORS = {"cli/app_door.py": "maap_tui.tui", "client/progress.py": "rich"}
"""The one module of a layer that may import what its layer may not, and only inside a function."""


@functools.cache
def imports(file: Path) -> list[tuple[str, bool]]:
    """(module, whether it is imported at load time) of every import in a file."""
    found: list[tuple[str, bool]] = []

    def visit(node: ast.AST, at_load: bool) -> None:
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{file}: imports are absolute"
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            at_load = False
        found.extend((name, at_load) for name in names)
        is_for_types = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for block in ("body", "orelse", "finalbody", "handlers", "cases"):
            for below in getattr(node, block, ()):
                visit(below, at_load and not (is_for_types and block == "body"))

    visit(ast.parse(file.read_text(encoding="utf-8")), True)
    return found


def sources(part: str) -> list[Path]:
    folder = ROOT / part
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]


def covers(module: str, name: str) -> bool:
    return name == module or name.startswith(module + ".")


@pytest.mark.parametrize(
    "part", [part for part in FORBIDDEN if sources(part)[0:1] and sources(part)[0].exists()]
)
def test_layer_keeps_to_its_imports(part: str) -> None:
    wrong = [
        f"{file.relative_to(ROOT)} imports {name}"
        for file in sources(part)
        for name, at_load in imports(file)
        for module in FORBIDDEN[part]
        if covers(module, name) and (at_load or DOORS.get(file.relative_to(ROOT).as_posix()) != module)
    ]
    assert wrong == []


@pytest.mark.parametrize("door", DOORS)
def test_a_door_leads_where_it_says(door: str) -> None:
    assert [name for name, at_load in imports(ROOT / door) if not at_load and covers(DOORS[door], name)]


def test_every_module_that_is_imported_exists() -> None:
    wrong = []
    for file in sorted(ROOT.rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            for name in names:
                path = ROOT.parent.joinpath(*name.split("."))
                is_ours = covers("maap_tui", name)
                if is_ours and not (path.with_suffix(".py").exists() or (path / "__init__.py").exists()):
                    wrong.append(f"{file.relative_to(ROOT)} imports {name}")
    assert wrong == []


def test_text_imports_the_standard_library_alone() -> None:
    names = {name.partition(".")[0] for name, _ in imports(ROOT / "text.py")}
    assert names <= sys.stdlib_module_names


def test_engine_rooms_import_downwards() -> None:
    rank = {room: number for number, rooms in enumerate(LAYERS) for room in rooms}

    def room_of(parts: Sequence[str]) -> str:
        return "/".join(parts[:2]) if "/".join(parts[:2]) in rank else parts[0]

    modules = {
        file.relative_to(ROOT / "engine").with_suffix("").parts
        for file in sources("engine")
        if file.parent != ROOT / "engine" or file.name != "__init__.py"
    }
    missing = [
        room for room in rank if tuple(room.split("/")) not in {one[: room.count("/") + 1] for one in modules}
    ]
    assert missing == []
    wrong = []
    for module in sorted(modules):
        room = room_of(module)
        assert room in rank, f"{room} has no row in LAYERS"
        for name, _ in imports(ROOT.joinpath("engine", *module).with_suffix(".py")):
            # `from maap_tui.engine.storage import names` is seen as the folder too: its module decides.
            parts = name.split(".")[2:]
            is_folder = len(parts) == 1 and (ROOT / "engine" / parts[0]).is_dir()
            if (
                covers("maap_tui.engine", name)
                and parts
                and not is_folder
                and rank[room_of(parts)] > rank[room]
            ):
                wrong.append(f"{'/'.join(module)} imports {'.'.join(parts)}")
    assert wrong == []


def app_room(module: str) -> str | None:
    """The row of `APP_LAYERS` that a module of the app belongs to; None for one that is not of the app."""
    parts = module.split(".")
    if parts[:2] != ["maap_tui", "tui"] or len(parts) < 3:
        return None
    return parts[2]


def test_parts_of_the_app_import_downwards() -> None:
    rank = {room: number for number, rooms in enumerate(APP_LAYERS) for room in rooms}
    wrong = [
        f"{module} imports {name}"
        for module, found in graph().items()
        if (room := app_room(module)) is not None
        for name in found
        if (other := app_room(name)) is not None and rank[other] > rank[room]
    ]
    assert wrong == []
    for module, found in graph().items():
        mode = module.split(".")[3:4]
        wrong += [
            f"{module} imports {name}"
            for name in found
            if app_room(module) == app_room(name) == "screens"
            and name.split(".")[3:4] not in (mode, ["mode"])
        ]
    assert wrong == []
    rooms = {app_room(module) for module in graph()} - {None}
    assert rooms == rank.keys()


def test_libraries_stay_in_their_one_module() -> None:
    wrong = []
    allowed = sys.stdlib_module_names | {"maap_tui"}
    for file in sources("engine"):
        name_here = file.relative_to(ROOT / "engine").as_posix()
        for name, at_load in imports(file):
            top = name.partition(".")[0]
            if top in allowed or top in OUTSIDE.get(name_here, set()):
                continue
            if top == "httpx" and not at_load and name_here == "workflows/parts.py":
                continue  # the type of the transport that tests hand in
            wrong.append(f"{name_here} imports {name}")
    assert wrong == []
    assert [name for name in OUTSIDE if not (ROOT / "engine" / name).exists()] == []


def test_every_library_is_declared() -> None:
    project = tomllib.loads((ROOT.parent / "pyproject.toml").read_text("utf-8"))["project"]
    extras = {"demo": project["optional-dependencies"]["demo"]}
    extras["engine/tasks.py"] = project["optional-dependencies"]["dask"]
    extras["engine/download/s3.py"] = project["optional-dependencies"]["s3"]
    extras["engine/geoparquet.py"] = project["optional-dependencies"]["parquet"]
    extras["client/results.py"] = project["optional-dependencies"]["pandas"]
    extras["client/filesystem.py"] = project["optional-dependencies"]["fsspec"]
    extras["client/files.py"] = project["optional-dependencies"]["xarray"]
    extras["engine/headers.py"] = project["optional-dependencies"]["hdf5"]
    extras["engine/overpass/netcdf_track.py"] = project["optional-dependencies"]["hdf5"]
    extras["engine/cuts"] = project["optional-dependencies"]["hdf5"]
    extras["engine/pictures.py"] = project["optional-dependencies"]["pictures"]
    wrong = []
    for file in sorted(ROOT.rglob("*.py")):
        own = [lines for name, lines in extras.items() if file.is_relative_to(ROOT / name)]
        lines = [*project["dependencies"], *(line for lines in own for line in lines)]
        declared = {re.split(r"[^\w-]", line)[0].replace("-", "_") for line in lines}
        declared |= {"PIL"} if "pillow" in declared else set()
        tops = {name.partition(".")[0] for name, _ in imports(file)}
        wrong += [
            f"{file.relative_to(ROOT)} imports {top}"
            for top in tops - declared - sys.stdlib_module_names - {"maap_tui"}
        ]
    assert wrong == []


def test_engine_prints_nothing() -> None:
    calls = [
        f"{file.relative_to(ROOT)}:{node.lineno}"
        for file in sources("engine")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert calls == []


DOWNLOAD = "maap_tui.engine.download."
HEAVY = "asyncio dataclasses hashlib inspect pickle socket"


def is_there(module: str) -> bool:
    """Whether a module of ours exists, so that a rule about it does not outlive it."""
    path = ROOT.parent.joinpath(*module.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("maap_tui", "asyncio argparse httpx aiohttp textual rich maap_tui.engine"),
        ("maap_tui.text", "asyncio httpx textual rich maap_tui.engine"),
        ("maap_tui.engine.session", "httpx aiohttp textual rich argparse platformdirs maap_tui.demo"),
        ("maap_tui.engine.thread", "httpx aiohttp textual rich argparse"),
        ("maap_tui.client", "httpx aiohttp textual rich argparse maap_tui.cli maap_tui.demo"),
        ("maap_tui.cli.main", "asyncio httpx aiohttp textual rich maap_tui.tui maap_tui.demo"),
        # What the light commands load: each of the absent ones takes longer than their own work.
        ("maap_tui.cli.commands.search", f"{HEAVY} maap_tui.engine.query"),
        ("maap_tui.engine.config.loading", f"{HEAVY} tomllib"),
        ("maap_tui.engine.registry.registry", f"{HEAVY} maap_tui.engine.events"),
        ("maap_tui.engine.net.credentials", f"{HEAVY} maap_tui.engine.model"),
        ("maap_tui.tui.app", "httpx aiohttp argparse maap_tui.cli maap_tui.client maap_tui.demo"),
        # What the first screen does not show.
        ("maap_tui.tui.app", f"{DOWNLOAD}transfer {DOWNLOAD}downloads maap_tui.engine.query"),
        ("maap_tui.tui.app", "maap_tui.engine.catalogue.search maap_tui.engine.workflows.sync"),
        ("maap_tui.tui.app", "maap_tui.tui.commands maap_tui.tui.widgets.row_list"),
        ("maap_tui.demo", "textual maap_tui.cli maap_tui.tui"),
    ],
)
def test_what_a_clean_interpreter_loads(module: str, absent: str) -> None:
    assert [name for name in absent.split() if name.startswith("maap_tui.") and not is_there(name)] == []
    code = f"import sys, {module}; print(*(one for one in {absent.split()!r} if one in sys.modules))"
    assert printed_by(code).split() == []


def test_no_command_is_described_with_what_only_its_work_needs() -> None:
    code = (
        "import importlib, sys; from maap_tui.cli.dispatch import COMMANDS\n"
        "for name in COMMANDS:\n"
        "    importlib.import_module(f'maap_tui.cli.commands.{name}')\n"
        "    print(*(f'{name}: {one}' for one in ('asyncio', 'httpx', 'rich') if one in sys.modules))\n"
    )
    assert printed_by(code).strip() == ""


def test_the_lightest_command_loads_what_it_prints_and_no_more(tmp_path: Path) -> None:
    # `show` is a command as well as an action of `state`: only the first of them is described.
    code = (
        "import sys; from maap_tui.cli.main import main\n"
        "sys.argv = ['maap', 'state', 'show']\n"
        "main()\n"
        f"print(*(one for one in {HEAVY.split()!r} if one in sys.modules))\n"
    )
    assert printed_by(code, HOME=str(tmp_path)).split() == []


def test_httpx_is_loaded_without_the_command_that_it_has() -> None:
    code = (
        "import asyncio, sys; from maap_tui.engine.net.transport import Clients\n"
        "async def make():\n"
        "    Clients(connections=1, is_bulk=True).of('http://127.0.0.1:9/')\n"
        "asyncio.run(make())\n"
        "print(*(one for one in ('httpx', 'httpx._main', 'click', 'rich') if one in sys.modules))\n"
    )
    assert printed_by(code).split() == ["httpx"]


def printed_by(code: str, **variables: str) -> str:
    """What a clean interpreter prints that runs this."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT.parent,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_S,
    )
    return done.stdout


def test_one_function_starts_every_worker() -> None:
    """Elsewhere a forgotten `exit_on_error=False` would end the app on the first error."""
    starts = [
        f"{file.relative_to(ROOT)}:{node.lineno}"
        for file in sources("tui")
        if file.name != "workers.py"
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Attribute) and node.attr == "run_worker")
        or (
            isinstance(node, ast.ImportFrom)
            and node.module == "textual"
            and "work" in {one.name for one in node.names}
        )
    ]
    assert starts == []


@cache
def graph() -> dict[str, set[str]]:
    """Which modules each module of the package imports, inside functions and for types alone too."""
    modules = {}
    for file in sorted(ROOT.rglob("*.py")):
        parts = file.relative_to(ROOT.parent).with_suffix("").parts
        modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    edges: dict[str, set[str]] = {}
    for module, file in modules.items():
        edges[module] = set()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                edges[module] |= {alias.name for alias in node.names if alias.name in modules}
            elif isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    inner = f"{node.module}.{alias.name}"
                    edges[module] |= {inner if inner in modules else node.module} & modules.keys()
    return {module: found - {module} for module, found in edges.items()}


def circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules that reach each other, sorted."""

    def reached(start: str) -> set[str]:
        found: set[str] = set()
        ahead = [start]
        while ahead:
            ahead += (new := edges[ahead.pop()] - found)
            found |= new
        return found

    reach = {module: reached(module) for module in edges}
    return sorted(
        {tuple(sorted({one for one in reach[module] if module in reach[one]})) for module in edges} - {()}
    )


def test_there_is_no_circle() -> None:
    assert circles(graph()) == []


@pytest.mark.parametrize("edges", [{"a": {"b"}, "b": {"a"}}, {"a": {"b"}, "b": {"c"}, "c": {"a"}}])
def test_a_circle_is_found(edges: dict[str, set[str]]) -> None:
    assert circles(edges) == [tuple(sorted(edges))]
