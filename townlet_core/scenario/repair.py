"""What is left of a file without its mistakes of form, so that the rest can be checked as well."""

from __future__ import annotations

import copy
import difflib
from collections import defaultdict
from typing import Any, NamedTuple

from townlet_core.errors import did_you_mean
from townlet_core.scenario.model import Scenario
from townlet_core.scenario.type_text import child, known_keys, show
from townlet_core.scenario.values import MAX_SIDE, MAX_TICKS
from townlet_core.yaml.tree import Mistake, Node, Path, path_text

SURE = 0.75  # likeness from which a misspelt key is taken for the one it resembles
_STAND_INS: dict[str, Any] = {"name": "x", "ticks": 1, "grid": {"size": [MAX_SIDE, MAX_SIDE]}}
_SORTS = {"objects": "object", "agents": "agent", "jobs": "job", "kinds": "kind"}
_CORE_KEYS = ("id", "kind", "position")  # without one of these an entry is nothing


def mend_keys(root: Node) -> list[Mistake]:
    """Report misspelt keys, and rename them in the tree: what they hold is then checked, and not missing."""
    return list(_mend_keys(root, Scenario, ()))


def _mend_keys(node: Node, annotation: Any, path: Path) -> Any:
    known = known_keys(annotation)
    if isinstance(node.value, dict):
        for key in [key for key in node.value if known and key not in known]:
            nearest = difflib.get_close_matches(key, known, n=1, cutoff=SURE)
            if nearest and nearest[0] not in node.value:
                yield Mistake(*node.keys[key], path_text((*path, key)), unknown_key(key, known))
                node.value[nearest[0]], node.keys[nearest[0]] = node.value.pop(key), node.keys.pop(key)
    for part in _parts(node):
        inner, below = child(annotation, part), node.child(part)
        if inner is not None and below is not None:
            yield from _mend_keys(below, inner, (*path, part))


def unknown_key(key: str, known: list[str]) -> str:
    """Say that a block has no such key, and which one may be meant."""
    return f"unknown key {show(key)}{did_you_mean(key, known)}"


def _parts(node: Node) -> list[Any]:
    if isinstance(node.value, dict):
        return list(node.value)
    return list(range(len(node.value))) if isinstance(node.value, list) else []


class Rest(NamedTuple):
    """A file without its mistakes."""

    plain: dict[str, Any]
    kept: dict[str, list[int]]  # of objects and agents: where in the file each entry is that is left
    hidden: set[str]  # sorts of things some of which are not there any more

    def place(self, path: Path) -> Path:
        """Say where in the file `path` is."""
        if len(path) > 1 and path[0] in self.kept and isinstance(path[1], int):
            return (path[0], self.kept[path[0]][path[1]], *path[2:])
        return path

    def is_to_blame(self, message: str) -> bool:
        """Whether something is said to be unknown only because it is not there any more."""
        return any(message.startswith(f"unknown {sort} '") for sort in self.hidden)


def without(plain: Any, wrong: list[Path]) -> Rest | None:
    """Take out what is at the paths in `wrong`, or put something harmless there; None if nothing is left."""
    if not isinstance(plain, dict):
        return None
    rest, hidden, dropped = copy.deepcopy(plain), set[str](), defaultdict[str, set[int]](set)
    for path in wrong:
        group = str(path[0])
        block: Any = rest.get(group)
        if group in _STAND_INS:
            rest[group] = _STAND_INS[group]
        elif isinstance(block, list) and group in _SORTS and len(path) > 1 and isinstance(path[1], int):
            if _take_out(block[path[1]], path[2:]):
                dropped[group].add(path[1])
                hidden.add(_SORTS[group])
        elif len(path) > 1 and isinstance(block, dict):
            block.pop(path[1], None)
            hidden |= {_SORTS[group]} if group in _SORTS else set()
            if path[1] == "ticks_per_day":  # a limit of other values
                block["ticks_per_day"] = MAX_TICKS
        else:
            rest.pop(group, None)
            hidden |= {_SORTS[group]} if group in _SORTS else set()
    kept = {}
    for group, indices in dropped.items():
        kept[group] = [index for index in range(len(rest[group])) if index not in indices]
        rest[group] = [rest[group][index] for index in kept[group]]
    return Rest(rest, kept, hidden)


def _take_out(entry: Any, path: Path) -> bool:
    """Take one key out of an object or agent; returns True if the whole entry has to go instead."""
    if not path or path[0] in _CORE_KEYS or not isinstance(entry, dict):
        return True
    if path[0] == "schedule" and len(path) > 1 and isinstance(path[1], int):
        entry["schedule"][path[1]] = {"wait": 1}
    else:
        entry.pop(path[0], None)
    return False
