"""A scenario written out as YAML, for one that no file holds: made in Python, or with placeholder agents."""

from __future__ import annotations

import json
from typing import Any

from townlet_core.scenario.model import Scenario

_LINE_END = "\\n\\\n      "  # of a text in quotes: its own, escaped, then one that YAML leaves out


def dump_scenario(scenario: Scenario) -> bytes:
    """Return YAML that parses to this very scenario, without defaults; equal scenarios give equal bytes."""
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
    """Quote a text; it goes on on a new line after each of its line ends, so that drawings stay drawings."""
    rows = ["".join(map(_escaped, row)) for row in text.split("\n")]
    # YAML strips what a continued line begins with, unless it is escaped.
    rest = (f"\\{row}" if row.startswith(" ") else row for row in rows[1:])
    return '"' + _LINE_END.join([rows[0], *rest]) + '"'


def _escaped(character: str) -> str:
    """JSON would escape a character beyond 16 bits as two, which YAML does not read as one."""
    if character in '"\\':
        return f"\\{character}"
    code = ord(character)
    return character if 32 <= code < 127 else f"\\u{code:04x}" if code < 1 << 16 else f"\\U{code:08x}"
