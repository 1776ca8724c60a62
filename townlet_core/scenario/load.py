"""Load a scenario file, and report every mistake at once: file:line:column: path: what was found."""

from __future__ import annotations

import json
import shlex
from pathlib import Path as FilePath
from typing import Any

from pydantic import ValidationError

from townlet_core.errors import ScenarioError, printable
from townlet_core.inputs import read_input
from townlet_core.io import sha256
from townlet_core.scenario.catalogue import find_scenario
from townlet_core.scenario.model import AgentSpec, Scenario
from townlet_core.scenario.repair import correct_keys, unknown_key, without
from townlet_core.scenario.type_text import NAME_WORDS, annotation_at, expected, known_keys, show
from townlet_core.scenario.validate import check_scenario
from townlet_core.yaml.tree import MAX_MISTAKES, Mistake, Node, Path, parse_bytes, path_text

MAX_SCENARIO_BYTES = 512 << 10
MAX_LISTED = 100  # mistakes in an error; `townlet scenario validate` prints all of them


def load_scenario(name_or_path: str | FilePath) -> Scenario:
    """Load a bundled scenario by name, or a file by path.

    Raises ScenarioError listing every mistake, InputError for an unknown name, a folder or a file of more
    than MAX_SCENARIO_BYTES, MissingError for a file that is not there.
    """
    return load_with_text(name_or_path)[0]


def resolve_scenario(scenario: Scenario | str | FilePath) -> Scenario:
    """Take a scenario, or load the one of this name or path. One built in Python is validated like a file.

    Raises what load_scenario raises.
    """
    if not isinstance(scenario, Scenario):
        return load_scenario(scenario)
    if mistakes := check_scenario(scenario):
        lines = (f"{scenario.name}: {path_text(path)}: {message}" for path, message in mistakes)
        raise ScenarioError("\n".join(lines), "correct the scenario")
    return scenario


def load_with_text(name_or_path: str | FilePath) -> tuple[Scenario, bytes]:
    """Load a scenario as load_scenario does, and return the bytes of its file as well, read once."""
    path = find_scenario(name_or_path)
    text = read_input(path, MAX_SCENARIO_BYTES)
    scenario, mistakes = parse_scenario(text)
    if scenario is None or mistakes:
        lines = [mistake.text(str(path)) for mistake in mistakes[:MAX_LISTED]]
        if len(mistakes) > MAX_LISTED:
            lines.append(f"{printable(str(path))}: and {len(mistakes) - MAX_LISTED} more mistakes")
        raise ScenarioError(
            "\n".join(lines), f"correct the file, then: townlet scenario validate {shlex.quote(str(path))}"
        )
    return scenario, text


def read_scenario(path: FilePath) -> tuple[Scenario | None, list[Mistake]]:
    """Read a scenario file; returns the scenario, or None, and its mistakes in the order of the file.

    Constraints between values (validate.py) are checked too, unless a mistake makes them meaningless.
    """
    return parse_scenario(read_input(path, MAX_SCENARIO_BYTES))


def parse_scenario(data: bytes) -> tuple[Scenario | None, list[Mistake]]:
    """Parse the bytes of a scenario file, as read_scenario does. Returns at most MAX_MISTAKES mistakes."""
    root, mistakes = parse_bytes(data)
    if root is None:
        return None, mistakes
    mistakes += correct_keys(root)
    scenario, found = _check(root)
    reported = {mistake.path for mistake in mistakes}
    mistakes += [_at(root, *item) for item in found if path_text(item[0]) not in reported]
    return (None if mistakes else scenario), sorted(set(mistakes))[:MAX_MISTAKES]


def scenario_sha256(scenario: Scenario) -> str:
    """Return the digest of the whole scenario, defaults and built-in kinds included.

    Comments, formatting and the order of keys do not change it; the order of entries does.
    """
    resolved = scenario.model_dump(mode="json")
    resolved["kinds"] = {name: kind.model_dump(mode="json") for name, kind in scenario.all_kinds.items()}
    return sha256(json.dumps(resolved, separators=(",", ":")).encode())


def _check(root: Node) -> tuple[Scenario | None, list[tuple[Path, str]]]:
    """Check types, then the constraints between values, also on what remains without the mistakes."""
    plain = root.plain()
    scenario, found = _validate(plain)
    if scenario is not None:
        return scenario, check_scenario(scenario)
    rest = without(plain, [path for path, _ in found])
    left = _validate(rest.plain)[0] if rest else None
    if rest and left:
        blamed = [path for path, _ in found]
        more = ((rest.place(path), message) for path, message in check_scenario(left))
        found += [
            (path, message)
            for path, message in more
            if not rest.is_to_blame(message) and not any(wrong[: len(path)] == path for wrong in blamed)
        ]
    return None, found


def _validate(plain: Any) -> tuple[Scenario | None, list[tuple[Path, str]]]:
    """Build the model; returns it, or None with (path, message) for every mistake."""
    try:
        # JSON, because pydantic's strict mode then accepts a list for a pair, and still refuses '5' for 5.
        return Scenario.model_validate_json(json.dumps(plain), strict=True), []
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False)
        explained = (_explain(plain, item["type"], item["loc"]) for item in details[:MAX_MISTAKES])
        return None, list(dict.fromkeys(explained))


def _explain(plain: Any, kind: str, place: Path) -> tuple[Path, str]:
    """Describe a pydantic error at `place`."""
    if place and place[-1] == "[key]":
        return place[:-1], f"key {show(place[-2])}, expected {NAME_WORDS}"
    annotation, steps = annotation_at(place)
    if kind == "extra_forbidden":
        return place, unknown_key(str(place[-1]), known_keys(annotation))
    place = place[:steps]
    if kind == "missing" and isinstance(place[-1], str):
        return place, f"missing, expected {expected(annotation)}"
    while (value := _value_at(plain, place)) is _NOWHERE:
        place = place[:-1]
    wanted = expected(annotation_at(place)[0])
    quotes = "; put it in quotes" if wanted in (NAME_WORDS, "text") and isinstance(value, int | float) else ""
    return place, f"found {show(value)}, expected {wanted}{quotes}"


_NOWHERE = object()


def _value_at(plain: Any, path: Path) -> Any:
    for part in path:
        try:
            plain = plain[part]
        except (KeyError, IndexError):
            return _NOWHERE
    return plain


def _at(root: Node, path: Path, message: str) -> Mistake:
    """Find the line and column of `path`: of the key if that is the mistake, else of the value.

    A missing key is reported where its block begins.
    """
    node, place = root, (root.line, root.column)
    for depth, part in enumerate(path, start=1):
        child = node.child(part)
        if child is None:
            break
        names_key = message.startswith(("unknown key", "key ")) or (
            path[0] == "expect" and "unknown" in message
        )
        is_key = names_key and depth == len(path)
        place = node.keys[str(part)] if is_key else (child.line, child.column)
        node = child
    return Mistake(*place, path_text(path), message)


def with_placeholder_agents(scenario: Scenario) -> Scenario:
    """Add alice and bob on the first open tiles of a scenario without agents."""
    width, height = scenario.size
    taken = scenario.walls | {spec.position for spec in scenario.objects}
    tiles = [(x, y) for y in range(height) for x in range(width) if (x, y) not in taken]
    if len(tiles) < 2:
        raise ScenarioError(f"{scenario.name}: has no room for two agents")
    agents = [AgentSpec(id=name, position=tile) for name, tile in zip(("alice", "bob"), tiles, strict=False)]
    return scenario.model_copy(update={"agents": agents})
