"""Write a scenario as YAML, for one that has no file: built in Python, or with placeholder agents."""

from __future__ import annotations

import json
from typing import Any

from townlet_core.scenario.model import Scenario

_LINE_END = "\\n\\\n      "  # inside quotes: an escaped line end, then one that YAML ignores


def dump_scenario(scenario: Scenario) -> bytes:
    """Return YAML that parses to an equal scenario, without defaults; equal scenarios give equal bytes."""
    lines = []
    for key, value in scenario.model_dump(mode="json", exclude_defaults=True).items():
        if value and isinstance(value, dict):
            lines += [f"{key}:", *(f"  {_quoted(name)}: {_flow(item)}" for name, item in value.items())]
        elif value and isinstance(value, list):
            lines += [f"{key}:", *(f"  - {_flow(item)}" for item in value)]
        else:
            lines.append(f"{key}: {_flow(value)}")
    return "".join(f"{line}\n" for line in lines).encode()


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_quoted(key)}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(_flow, value))}]"
    return _quoted(value) if isinstance(value, str) else json.dumps(value)


def _quoted(text: str) -> str:
    """Quote a text. It continues on a new line after each of its line ends, so that drawings stay drawn."""
    rows = ["".join(map(_escaped, row)) for row in text.split("\n")]
    # YAML strips the leading spaces of a continued line, unless they are escaped.
    rest = (f"\\{row}" if row.startswith(" ") else row for row in rows[1:])
    return '"' + _LINE_END.join([rows[0], *rest]) + '"'


def _escaped(character: str) -> str:
    """Escape a character. JSON would escape one beyond 16 bits as two, which YAML does not join."""
    if character in '"\\':
        return f"\\{character}"
    code = ord(character)
    return character if 32 <= code < 127 else f"\\u{code:04x}" if code < 1 << 16 else f"\\U{code:08x}"
