"""Read settings: of a configuration file, or given as --set; report every mistake with its place."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from townlet_core.errors import did_you_mean
from townlet_core.inputs import read_input
from townlet_core.scenario.repair import SURE
from townlet_core.scenario.type_text import show
from townlet_core.training.wording import explain
from townlet_core.yaml.tree import (
    MAX_VALUES,
    Mistake,
    Node,
    parse_bytes,
    parse_document,
    path_text,
    quoted,
)

MAX_CONFIG_BYTES = 512 << 10
EXAMPLE = "--set ppo.learning_rate=0.001"
CALLED = {"mode": "source", "epochs": "num_epochs"}  # flags whose key has another name


class _Entry(NamedTuple):
    """One key of the file and its setting; a misspelt key has the nearest one."""

    section: str
    key: str
    setting: str
    node: Node


class Written(NamedTuple):
    """The settings that somebody wrote down."""

    values: dict[str, Any]
    lines: dict[str, int]  # of each value
    mistakes: list[Mistake]


class Schema(NamedTuple):
    """What may be written: settings validates the values, options has the type of each."""

    settings: TypeAdapter
    options: dict[str, Any]
    sections: dict[str, list[str]]


def read_config(path: Path, schema: Schema) -> Written:
    """Read a configuration file. Types are those of the file: '5' is not 5."""
    root, mistakes = parse_bytes(read_input(path, MAX_CONFIG_BYTES), MAX_VALUES)
    return read_tree(root, mistakes, schema)


def read_sets(texts: Sequence[str], schema: Schema) -> Written:
    """Read the SECTION.KEY=VALUE of --set; a value is written as in a configuration file."""
    values: dict[str, Any] = {}
    mistakes: list[Mistake] = []
    for text in texts:
        name, _, value = text.partition("=")
        section, dot, key = name.strip().partition(".")
        if not (dot and key and value.strip()):
            example = f"expected SECTION.KEY=VALUE, such as {EXAMPLE}"
            mistakes.append(Mistake(0, 0, "", f"found {quoted(text)}, {example}"))
            continue
        node, found = parse_document(value)
        root = node and Node({section: Node({key: node}, 0, 0, {key: (0, 0)})}, 0, 0, {section: (0, 0)})
        read = read_tree(root, [m._replace(path=f"{section}.{key}") for m in found], schema)
        values |= read.values
        mistakes += [m._replace(line=0) for m in read.mistakes]
    return Written(values, {}, mistakes)


def read_tree(root: Node | None, mistakes: list[Mistake], schema: Schema) -> Written:
    """Read the tree of a file, and add to its mistakes.

    A key in the wrong section, or one that is nearly a setting's name, is a mistake, and what it holds is
    looked at all the same.
    """
    settings, options, sections = schema
    unread = {mistake.path for mistake in mistakes}
    if root is None:
        return Written({}, {}, mistakes)
    if not isinstance(root.value, dict):
        message = f"found {show(root.plain())}, expected a block with {_both(sections)}"
        return Written({}, {}, [*mistakes, Mistake(root.line, root.column, "", message)])
    mistakes, entries = list(mistakes), list[_Entry]()
    for section, node in root.value.items():
        mistakes += _read_section(section, node, root.keys[section], sections, entries)
    values = {entry.setting: entry.node.plain() for entry in entries}
    # A value that could not be read would be reported as missing, too.
    found = [
        m
        for m in _check(settings, options, values, entries)
        if m.path not in unread or "nothing" not in m.message
    ]
    # An alias has one place, however often it is used.
    by_place = {(m.line, m.column, m.message): m for m in sorted({*mistakes, *found}, reverse=True)}
    lines = {entry.setting: entry.node.line for entry in entries}
    return Written(values, lines, sorted(by_place.values()))


def _read_section(
    section: str,
    node: Node,
    place: tuple[int, int],
    sections: dict[str, list[str]],
    entries: list[_Entry],
) -> Iterator[Mistake]:
    """Collect the entries of one section; yield the mistakes in its keys."""
    home = {name: own for own, names in sections.items() for name in names}
    if section not in sections:
        message = f"unknown section {quoted(section)}{did_you_mean(section, [*sections])}"
        called = CALLED.get(section, section)
        if called in home:
            message = f"{_as_called(section)}belongs under {home[called]}:"
            entries.append(_Entry("", section, called, node))
        yield Mistake(*place, path_text((section,)), message)
        return
    if node.value is None:
        return  # a section whose keys are all commented out
    if not isinstance(node.value, dict):
        message = f"found {show(node.plain())}, expected a block of keys"
        yield Mistake(node.line, node.column, section, message)
        return
    for key, value in node.value.items():
        setting = CALLED.get(key, key)
        near = difflib.get_close_matches(key.lower().replace("-", "_"), home, n=1, cutoff=SURE)
        if setting != key or setting not in sections[section]:
            yield Mistake(*node.keys[key], path_text((section, key)), _wrong_key(section, key, home))
        if setting in home or near:
            entries.append(_Entry(section, key, setting if setting in home else near[0], value))


def _wrong_key(section: str, key: str, home: dict[str, str]) -> str:
    """Return the message for an unknown key, with the nearest known one of any section."""
    setting = CALLED.get(key, key)
    if setting in home:
        belongs = f"belongs under {home[setting]}:" if home[setting] != section else ""
        return (_as_called(key) + belongs).removesuffix("; ")
    # Those of the same section in their own name, so that they are nearer than those of the other.
    known = [name if own == section else f"{own}.{name}" for name, own in home.items()]
    plain = key.lower().replace("-", "_")
    nearest = difflib.get_close_matches(plain, list(home), n=1, cutoff=0.5)
    meant = [name for name in known if nearest and name.rpartition(".")[2] == nearest[0]]
    return f"unknown key {quoted(key)}" + (f" (did you mean '{meant[0]}'?)" if meant else "")


def _as_called(key: str) -> str:
    return f"unknown key {quoted(key)}, it is called {CALLED[key]}; " if key in CALLED else ""


def _check(
    settings: TypeAdapter, options: dict[str, Any], values: dict[str, Any], entries: list[_Entry]
) -> Iterator[Mistake]:
    """Validate every value against its setting."""
    try:
        # JSON, because strict JSON takes a list for a tuple and text for a path, and refuses '5' for 5.
        settings.validate_json(json.dumps(values), strict=True)
    except ValidationError as error:
        by_setting = {entry.setting: entry for entry in entries}
        for item in error.errors(include_url=False, include_context=False):
            place, message = explain(options, item)
            entry = by_setting[str(place[0])]
            node = entry.node
            for part in place[1:]:
                node = node.child(part) or node
            path = path_text((*filter(None, (entry.section,)), entry.key, *place[1:]))
            yield Mistake(node.line, node.column, path, message)


def _both(sections: dict[str, list[str]]) -> str:
    return " and ".join(f"{section}:" for section in sections)
