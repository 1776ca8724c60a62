"""townlet.toml: the defaults of a project, read in the current folder only.

[paths]       where runs and captures go: runs, captures
[training]    as in a configuration file
[ppo]
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from townlet_core import io
from townlet_core.errors import did_you_mean
from townlet_core.io import explain_bad_byte, without_mark
from townlet_core.scenario.type_text import show
from townlet_core.yaml.tree import MAX_DEPTH, Mistake, Node, quoted

PROJECT = Path("townlet.toml")
MAX_PROJECT_BYTES = 16 << 10
PATHS = {"runs": Path("runs"), "captures": Path("captures")}
_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")

Key = tuple[str, ...]


class Project(NamedTuple):
    """The content of townlet.toml; empty where there is none."""

    tree: Node | None  # without [paths]
    paths: dict[str, Path]
    lines: dict[str, int]  # of the paths that it sets
    mistakes: list[Mistake]


def read_project() -> Project:
    """Read townlet.toml in the current folder, if it is there."""
    if io.kind_of(PROJECT) is None:
        return Project(None, PATHS, {}, [])
    root, mistakes = parse_toml(io.read_file(PROJECT, MAX_PROJECT_BYTES))
    if root is None:
        return Project(None, PATHS, {}, mistakes)
    given = root.value.pop("paths", None)
    found, lines = dict(PATHS), {}
    for name, text, wrong in _read_paths(given) if given else ():
        if wrong:
            mistakes.append(wrong)
        else:
            found[name], lines[name] = Path(text), given.keys[name][0]
    return Project(root, found, lines, mistakes)


def _read_paths(section: Node) -> Iterator[tuple[str, str, Mistake | None]]:
    if not isinstance(section.value, dict):
        message = f"found {show(section.plain())}, expected a table of folders"
        yield "", "", Mistake(section.line, section.column, "paths", message)
        return
    for name, node in section.value.items():
        wrong = None
        if name not in PATHS:
            message = f"unknown key {quoted(name)}{did_you_mean(name, list(PATHS))}"
            wrong = Mistake(node.line, node.column, f"paths.{name}", message)
        elif not isinstance(node.value, str) or not node.value:
            message = f"found {show(node.plain())}, expected the path of a folder"
            wrong = Mistake(node.line, node.column, f"paths.{name}", message)
        elif "://" in node.value:
            message = f"found {show(node.value)}, an address, expected a path on this machine"
            wrong = Mistake(node.line, node.column, f"paths.{name}", message)
        yield name, node.value, wrong


def parse_toml(data: bytes) -> tuple[Node | None, list[Mistake]]:
    """Parse TOML to a tree whose nodes know the line of their key; the tree is None if it is no TOML."""
    try:
        text = without_mark(data).decode().replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line, column, message = explain_bad_byte(error)
        return None, [Mistake(line, column, "", message)]
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = _PLACE.search(str(error))
        line, column = (int(place[1]), int(place[2])) if place and place[1] else (text.count("\n") + 1, 1)
        return None, [Mistake(line, column, "", f"not TOML: {_PLACE.sub('', str(error))}")]
    except RecursionError:
        return None, [Mistake(0, 0, "", f"nested more than {MAX_DEPTH} deep")]
    return _node(document, (), _places(text)), []


def _places(text: str) -> dict[Key, tuple[int, int]]:
    """Find the place of each key: it is in the document of all lines up to the end of its value."""
    lines, places, read = text.split("\n"), dict[Key, tuple[int, int]](), 0
    for end in range(1, len(lines) + 1):
        try:
            document = tomllib.loads("\n".join(lines[:end]))
        except tomllib.TOMLDecodeError:  # in the midst of a value
            continue
        new = [key for key in _keys(document) if key not in places]
        begin = next((n for n in range(read, end) if lines[n].strip() and lines[n].strip()[0] != "#"), read)
        column = len(lines[begin]) - len(lines[begin].lstrip()) + 1
        places |= dict.fromkeys(new, (begin + 1, column))
        read = end
    return places


def _keys(table: dict[str, Any], inside: Key = ()) -> Iterator[Key]:
    for name, value in table.items():
        yield (*inside, name)
        if isinstance(value, dict):
            yield from _keys(value, (*inside, name))


def _node(value: Any, key: Key, places: dict[Key, tuple[int, int]]) -> Node:
    """Make the tree of a value; dates become text, which no setting is."""
    line, column = places.get(key, (1, 1))
    if isinstance(value, dict):
        inner = {name: _node(item, (*key, name), places) for name, item in value.items()}
        return Node(inner, line, column, {name: (node.line, node.column) for name, node in inner.items()})
    if isinstance(value, list):
        return Node([_node(item, key, places) for item in value], line, column)
    return Node(value if isinstance(value, bool | int | float | str) else str(value), line, column)
