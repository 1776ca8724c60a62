"""docs/rules.md, simulation/rules/ and tick.py have the same parts, by the same names, in the same order."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from townlet_core.simulation import rules, tick
from townlet_core.vocab import NEED_TABLE

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "rules.md").read_text()
FOLDER = Path(rules.__file__).parent
OUTSIDE = {"Chance": "townlet_core/rng.py", "Observation": "townlet_core/simulation/observation.py"}
HEADING = re.compile(r"^(##+) (.+)\n\n\[(\w+\.py)\]\(\.\./(\S+)\)$", re.MULTILINE)
FILES = {path.stem: path.read_text() for path in FOLDER.glob("*.py") if path.stem != "__init__"}


def anchor_of(heading: str) -> str:
    return heading.lower().replace(" ", "-")


def test_every_heading_links_the_file_that_is_named_like_it() -> None:
    linked = {heading: path for _, heading, _, path in HEADING.findall(PAGE)}
    assert [*linked] == re.findall(r"^##+ (.+)$", PAGE, re.MULTILINE)
    names = {heading: f"townlet_core/simulation/rules/{stem(heading)}.py" for heading in linked}
    assert linked == {**names, **OUTSIDE}


def stem(heading: str) -> str:
    return heading.lower().replace(" ", "_")


def test_every_rule_file_has_its_heading_and_names_it_in_its_first_line() -> None:
    headings = {stem(heading): heading for _, heading, _, _ in HEADING.findall(PAGE)}
    assert {*FILES} == {*headings} - {stem(heading) for heading in OUTSIDE}
    for name, text in FILES.items():
        heading = headings[name]
        assert text.startswith(f'"""Rule: {heading} (docs/rules.md#{anchor_of(heading)}). '), name


def test_the_lines_of_the_tick_are_the_headings_in_their_order() -> None:
    tree = ast.parse(Path(tick.__file__).read_text())
    files = {
        name.name: node.module.rpartition(".")[2]
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(rules.__name__)
        for name in node.names
    }
    body = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "play_tick")
    called = [
        line.value.func.id
        for line in body.body
        if isinstance(line, ast.Expr)
        and isinstance(line.value, ast.Call)
        and isinstance(line.value.func, ast.Name)
    ]
    played = list(dict.fromkeys(files[name] for name in called if name in files))
    lines = [heading for level, heading, _, _ in HEADING.findall(PAGE) if level == "##"]
    assert played == [stem(heading) for heading in lines if heading not in OUTSIDE]


def test_the_page_lists_the_needs_of_the_table() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (how [^|]+) \| (yes|no) \|$", PAGE, re.MULTILINE)
    assert rows == [(need.name, need.meaning, "yes" if need.is_vital else "no") for need in NEED_TABLE]


def test_a_link_to_a_rule_leads_to_a_heading() -> None:
    anchors = {anchor_of(heading) for _, heading, _, _ in HEADING.findall(PAGE)}
    texts = [
        path.read_text() for folder in ("docs", "townlet_core", "tests") for path in pages(ROOT / folder)
    ]
    links = {link for text in texts for link in re.findall(r"rules\.md#([\w-]+)", text)}
    assert links
    assert links <= anchors


def pages(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.suffix in (".py", ".md")]
