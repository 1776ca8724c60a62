"""Errors of the YAML parser, in plain words."""

from __future__ import annotations

import re

from ruamel.yaml.error import MarkedYAMLError

_BLOCKS = {"while parsing a block collection": "list", "while parsing a block mapping": "block of keys"}


def explain(error: MarkedYAMLError) -> tuple[int, int, str]:
    """Return line and column, both from 1, and the message; line 0 if the parser names no place."""
    problem, context = error.problem or "cannot be read", error.context or ""
    began = error.context_mark
    mark = error.problem_mark or began
    if "'\\t'" in problem:
        problem = "found a tab, expected spaces to indent with"
    elif problem == "could not find expected ':'":
        mark, problem = began or mark, "expected ': ' after a key"
    elif problem == "found unexpected end of stream" and "quoted" in context:
        mark, problem = began or mark, "a text in quotes begins here and does not end"
    elif problem == "mapping values are not allowed here":
        problem = "found ': ' where no key can be: put text with a colon in quotes, or mend the indentation"
    elif "cannot start any token" in problem:
        problem = f"{problem}: put the text in quotes"
    elif problem.startswith("expected <block end>") and context in _BLOCKS and began:
        problem = f"this does not line up with the {_BLOCKS[context]} that begins {_place_words(began)}"
    elif "flow" in context and began and (found := re.fullmatch(r"(expected .*), but got (.*)", problem)):
        bracket = "[" if "sequence" in context else "{"
        what = found[2].replace("<", "").replace(">", "")
        problem = f"found {what}, {found[1]} after what began with '{bracket}' {_place_words(began)}"
    else:
        problem = f"{problem} {context}".strip().replace("<", "").replace(">", "")
    line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
    return line, column, f"syntax: {problem}"


def _place_words(mark: object) -> str:
    return f"on line {mark.line + 1}, column {mark.column + 1}"  # type: ignore[attr-defined]
