"""A scenario file to start from: the commented template, or a copy of another scenario, under a new name."""

from __future__ import annotations

import json
import re
from pathlib import Path

from townlet_core.errors import InputError
from townlet_core.io import decode_text
from townlet_core.scenario.json_schema import SCHEMA_FILE
from townlet_core.scenario.load import load_with_text, parse_scenario
from townlet_core.scenario.type_text import NAME_WORDS
from townlet_core.vocab import NAME_PATTERN
from townlet_core.yaml.tree import parse_document, quoted

TEMPLATE = Path(__file__).parent / "new_town.yaml"
_MARK = "# yaml-language-server: $schema="  # the convention by which editors find the schema
_SCALAR = re.compile(r"\"[^\"\n]*\"|'[^'\n]*'|[A-Za-z0-9_.-]+")


def new_scenario(name: str, source: Path = TEMPLATE) -> str:
    """Return the text of `source`, comments included, with another name and a first line for editors.

    Raises InputError if `name` is not valid, or if the name in `source` cannot be replaced; ScenarioError if
    `source` has mistakes.
    """
    if not NAME_PATTERN.fullmatch(name) or not name.strip("."):  # `..` would be a folder
        raise InputError(
            f"{quoted(name)} cannot be a name, expected {NAME_WORDS}, not dots alone",
            "where to write it goes into --output" if "/" in name else "",
        )
    _, data = load_with_text(source)
    text = decode_text(data, str(source))
    renamed = _without_mark(_with_name(text, name))
    scenario, _ = parse_scenario(renamed.encode())
    if scenario is None or scenario.name != name:
        raise InputError(
            f"{source}: its name cannot be replaced where it stands", "copy the file and edit it by hand"
        )
    return f"{_MARK}{SCHEMA_FILE}\n{renamed}"


def _with_name(text: str, name: str) -> str:
    """Replace the value of the key `name`."""
    root, _ = parse_document(text)
    value = root.child("name") if root else None
    assert value is not None  # it has just been loaded
    lines = re.split(r"(?<=\n)", text)
    line, start = lines[value.line - 1], value.column - 1
    lines[value.line - 1] = line[:start] + _SCALAR.sub(lambda _: _as_yaml(name), line[start:], count=1)
    return "".join(lines)


def _as_yaml(name: str) -> str:
    """Quote a name that YAML would not parse as text, such as `7` or `null`."""
    root, _ = parse_document(f"name: {name}\n")
    value = root.child("name") if root else None
    return name if value and value.value == name else json.dumps(name)


def _without_mark(text: str) -> str:
    return text.partition("\n")[2] if text.startswith(_MARK) else text
