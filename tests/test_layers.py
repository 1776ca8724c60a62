"""Who may import whom: every module's imports, held to the table in docs/design.md."""

import ast
import importlib
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

import townlet_core
from townlet_core.simulation.numba_support import _SOURCES

ROOT = Path(__file__).resolve().parents[1]
DESIGN = (ROOT / "docs" / "design.md").read_text()
MODULES = sorted(path for room in ("townlet_core", "townlet_cli") for path in (ROOT / room).rglob("*.py"))
# benchmarks/.venv holds the peers, once they have been measured.
OTHERS = [path for room in ("tests", "benchmarks") for path in sorted((ROOT / room).rglob("*.py"))]
TESTED = [*MODULES, *(path for path in OTHERS if ".venv" not in path.parts)]
CORE = "townlet_core"
HEAVY = ("torch", "numba", "numpy", "pydantic")


class Import(NamedTuple):
    """One import statement's target, and where it stands."""

    target: str  # dotted, with the imported name: "townlet_core.io.write_file"
    line: int
    inside_function: bool


def imports_of(path):
    tree = ast.parse(path.read_text())
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (Import(name.name, node.lineno, id(node) in inside) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            yield from (
                Import(f"{node.module}.{name.name}", node.lineno, id(node) in inside) for name in node.names
            )


def name_of(path):
    """Return the dotted name below the package: policy.learned, io, training.loop."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts[1:]).removesuffix(".__init__")


def table():
    """Read the layer table: room → (rooms it may import, libraries it may import)."""
    rows = re.findall(r"^\| `([\w.]+)` \| [^|]* \| ([^|]*) \| ([^|]*) \|$", DESIGN, re.MULTILINE)
    rooms = [room for room, *_ in rows]
    assert sorted(rooms) == sorted(set(rooms)), "a room with two rows"
    return {
        room: (re.findall(r"`([\w.]+)`", rooms), re.findall(r"`([\w.]+)`", libraries))
        for room, rooms, libraries in rows
    }


TABLE = table()


def row_of(module):
    """Return the table's row that a module falls under: its own if it has one, else its room's."""
    return module if module in TABLE else module.split(".")[0]


def is_allowed(target, rooms):
    """Whether `target`, without the package's name, lies in one of these rooms or files."""
    return any(target == room or target.startswith(room + ".") for room in rooms)


def test_every_room_has_its_row_and_every_row_its_room():
    rooms = {name_of(path).split(".")[0] for path in MODULES if path.is_relative_to(ROOT / CORE)} - {
        "",
        "__init__",
    }
    assert {row.split(".")[0] for row in TABLE} == rooms
    assert all((ROOT / CORE / (row.replace(".", "/") + ".py")).is_file() for row in TABLE if "." in row)


@pytest.mark.parametrize("path", [p for p in MODULES if CORE in p.parts], ids=name_of)
def test_core_imports_only_what_the_table_allows(path):
    module = name_of(path)
    if module == "__init__":
        return  # the lazy table of public names, which the tests below look at
    rooms, libraries = TABLE[row_of(module)]
    for found in imports_of(path):
        place = f"{path.relative_to(ROOT)}:{found.line}: imports {found.target}"
        package, _, rest = found.target.partition(".")
        if package == CORE:
            own = is_allowed(rest, [module.split(".")[0]])
            assert own or rest in ("", "__version__") or is_allowed(rest, rooms), place
        elif package not in sys.stdlib_module_names:
            assert package in libraries, place
        assert not found.inside_function, f"{place} inside a function"


def test_importing_the_package_loads_no_module_of_it():
    program = "import sys, townlet_core; print([name for name in sys.modules if name.startswith('townlet')])"
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert ended.stdout == "['townlet_core']\n"


def test_what_type_checkers_see_of_the_package_is_what_its_table_loads():
    (block,) = (
        node for node in ast.walk(ast.parse((ROOT / CORE / "__init__.py").read_text())) if is_for_types(node)
    )
    seen = {
        name.asname or name.name: f"{node.module}.{name.name}".removeprefix(f"{CORE}.")
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for name in node.names
    }
    for node in block.body:
        if isinstance(node, ast.Assign):  # of another name
            pairs = zip(node.targets[0].elts, node.value.elts, strict=True)
            seen |= {new.id: seen.pop(original.id) for new, original in pairs}
    assert seen == townlet_core.PUBLIC


def is_for_types(node):
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


@pytest.mark.parametrize("name", townlet_core.PUBLIC)
def test_a_public_name_is_not_hidden_by_a_module_of_the_same_name(name):
    path, _, original = townlet_core.PUBLIC[name].rpartition(".")
    module = importlib.import_module(f"{CORE}.{path}")
    assert getattr(townlet_core, name) is getattr(module, original)
    assert name in dir(townlet_core)


def test_an_unknown_name_of_the_package_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'capturre'"):
        townlet_core.capturre  # noqa: B018 - asking is what is tested


def test_the_rows_form_layers_without_a_circle():
    arrows = {row.split(".")[0]: set() for row in TABLE}
    for row, (rooms, _) in TABLE.items():
        arrows[row.split(".")[0]] |= {room.split(".")[0] for room in rooms}
    TopologicalSorter(arrows).prepare()  # raises CycleError, naming the circle


def test_torch_is_imported_in_one_file():
    found = [name_of(path) for path in MODULES if any(i.target == "torch" for i in imports_of(path))]
    assert found == ["ppo.device"]


def test_core_does_not_know_the_command_line():
    known = [
        name_of(path)
        for path in MODULES
        if path.is_relative_to(ROOT / CORE)
        and any(i.target.split(".")[0] in ("townlet_cli", "typer", "rich") for i in imports_of(path))
    ]
    assert known == []


def test_no_two_test_files_have_one_name():
    """Pytest imports them by name alone, and ends with an error at the second one."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))


def test_no_file_is_longer_than_400_lines():
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in TESTED}
    assert {name: length for name, length in lengths.items() if length > 400} == {}


def loaded_after(program):
    """Run a program of its own process; return which of the heavy libraries it has loaded at its end."""
    show = f"; import sys; sys.stderr.write('loaded: ' + ' '.join({{*{HEAVY}}} & {{*sys.modules}}))"
    ended = subprocess.run(
        [sys.executable, "-c", program + show], capture_output=True, text=True, cwd=ROOT, check=True
    )
    return set(ended.stderr.rpartition("loaded: ")[2].split())


def test_no_help_page_waits_for_torch_numba_or_numpy():
    program = (
        "import contextlib, sys\n"
        "from townlet_cli.main import run\n"
        "pages = ['', 'capture', 'train', 'evaluate', 'study', 'scenario', 'scenario list', 'scenario show',"
        " 'scenario validate', 'scenario new', 'scenario schema', 'replay', 'replay validate',"
        " 'replay inspect', 'replay render', 'replay export', 'replay import', 'telemetry',"
        " 'telemetry watch', 'telemetry summary',"
        " 'telemetry validate', 'telemetry schema', 'telemetry export', 'runs', 'runs list', 'runs show',"
        " 'runs compare', 'runs prune']\n"
        "for page in pages:\n"
        "    sys.argv = ['townlet', *page.split(), '--help']\n"
        "    with contextlib.suppress(SystemExit):\n"
        "        run()\n"
        "pass"
    )
    assert loaded_after(program) <= {"pydantic"}  # of newer Typers, for every parameter


def test_the_command_line_is_described_without_pydantic():
    assert loaded_after("import townlet_cli.main") == set()


@pytest.mark.parametrize(
    ("room", "heavy"),
    [
        ("replay", {"torch", "numba"}),
        ("telemetry", {"torch", "numba"}),
        ("scenario", {"torch", "numba"}),
        ("simulation", {"torch"}),
        ("runs", {"torch"}),
    ],
)
def test_a_room_opens_without_torch_and_data_without_a_compiler(room, heavy):
    names = [f"{CORE}.{name_of(path)}" for path in sorted((ROOT / CORE / room).rglob("*.py"))]
    assert not heavy & loaded_after("; ".join(f"import {name}" for name in names))


def test_where_a_study_stands_is_known_without_torch():
    assert "torch" not in loaded_after(f"import {CORE}.study.state, {CORE}.study.table")


@pytest.mark.parametrize("room", ["replay", "telemetry"])
def test_data_opens_without_the_simulator(room):
    rooms, _ = TABLE[room]
    assert set(rooms) <= {"errors", "addresses", "vocab", "chance", "io", "bulk", "locks", "pages", "yaml"}


def test_whatever_is_compiled_into_a_kernel_is_in_the_digest_of_its_cache():
    hashed = {name_of(path) for path in _SOURCES}
    constants = {
        found.target.split(".", 1)[1]
        for path in _SOURCES
        for found in imports_of(path)
        if found.target.startswith(CORE) and found.target.rsplit(".", 1)[1].isupper()
    }
    outside = {name for name in constants if name.rsplit(".", 1)[0] not in hashed}
    # The first two are part of record layouts, which numba sees; of the third only the number is used.
    assert outside == {"scenario.values.MAX_AGENTS", "scenario.values.MAX_OBJECTS", "scenario.model.VERBS"}
