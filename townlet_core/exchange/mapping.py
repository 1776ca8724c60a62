"""The mapping file of an import: which numbers become which features and actions (docs/exchange.md)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from townlet_core.errors import InputError, did_you_mean, shown
from townlet_core.exchange.sources import Source, parse_source
from townlet_core.inputs import read_input
from townlet_core.vocab import ACTION_LOOKUP, NAME_PATTERN
from townlet_core.yaml.tree import Node, parse_bytes

_KEYS = ("agent", "scenario", "behaviour", "features", "map", "actions", "log_probs")
_MAX_BYTES = 24 << 10  # the parser is slow
_NAME = "1 to 64 letters, digits, '_', '.' or '-'"


class MapSource(NamedTuple):
    """Where the map comes from: an array (T, C, H, W)."""

    source: Source
    channels: tuple[str, ...]


class ActionSource(NamedTuple):
    """Where the actions come from, and what they mean.

    ids: by a number of the data, the id of our action; None where `edges` cut numbers into intervals, and
    `intervals` has our id of each.
    """

    source: Source
    ids: dict[int, int] | None
    edges: tuple[float, ...] = ()
    intervals: tuple[int, ...] = ()

    @property
    def possible(self) -> list[int]:
        """Our ids that can occur, in order."""
        return sorted(self.intervals if self.ids is None else self.ids.values())


@dataclass(frozen=True)
class Mapping:
    """What a mapping file says, and its bytes."""

    agent: str
    scenario: str
    behaviour: str
    features: dict[str, Source]
    map: MapSource | None
    actions: ActionSource
    log_probs: Source
    data: bytes

    @property
    def sources(self) -> list[Source]:
        """Everything that is read."""
        maps = [] if self.map is None else [self.map.source]
        return [*self.features.values(), self.actions.source, self.log_probs, *maps]


def load_mapping(path: Path | str) -> Mapping:
    """Read a mapping file. Raises InputError with the place of a mistake, MissingError or DiskError."""
    data = read_input(Path(path), _MAX_BYTES)
    root, mistakes = parse_bytes(data)
    if root is None or mistakes:
        raise InputError(mistakes[0].text(str(path)))
    return _Reader(str(path)).mapping(root, data)


class _Reader:
    """Turns the tree of a file into a mapping; messages begin with file, line and column."""

    def __init__(self, file: str) -> None:
        self.file = file

    def mapping(self, root: Node, data: bytes) -> Mapping:
        keys = self.block(root, "", _KEYS, ("features", "actions"))
        return Mapping(
            agent=self.name(keys.get("agent"), "agent", "agent"),
            scenario=self.name(keys.get("scenario"), "scenario", "imported"),
            behaviour=self.text(keys.get("behaviour"), "behaviour", "unknown"),
            features=self.features(keys["features"]),
            map=self.map(keys["map"]) if "map" in keys else None,
            actions=self.actions(keys["actions"]),
            log_probs=self.source(keys["log_probs"], "log_probs") if "log_probs" in keys else Source("", 0.0),
            data=data,
        )

    def place(self, node: Node, key: str) -> str:
        return f"{self.file}:{node.line}:{node.column}" + (f": {key}" if key else "")

    def block(
        self, node: Node, key: str, known: tuple[str, ...] = (), required: tuple[str, ...] = ()
    ) -> dict[str, Node]:
        if not isinstance(node.value, dict) or not node.value:
            expected = f"a block with {', '.join(required or known)}" if known else "a block of names"
            raise InputError(f"{self.place(node, key)}: is {shown(node.plain())}, expected {expected}")
        for name in node.value:
            if known and name not in known:
                line, column = node.keys[name]
                hint = did_you_mean(name, known) or f", expected {', '.join(known)}"
                raise InputError(f"{self.file}:{line}:{column}: {key or 'mapping'}: unknown key "
                                 f"{shown(name)}{hint}")  # fmt: skip
        if missing := [name for name in required if name not in node.value]:
            raise InputError(f"{self.place(node, key)}: has no {', '.join(missing)}")
        return dict(node.value)

    def name(self, node: Node | None, key: str, default: str) -> str:
        if node is None:
            return default
        if not isinstance(node.value, str) or not NAME_PATTERN.fullmatch(node.value):
            raise InputError(f"{self.place(node, key)}: is {shown(node.plain())}, expected {_NAME}")
        return node.value

    def text(self, node: Node | None, key: str, default: str) -> str:
        if node is None:
            return default
        if not isinstance(node.value, str) or not node.value.isprintable() or not 0 < len(node.value) <= 200:
            found = shown(node.plain())
            raise InputError(f"{self.place(node, key)}: is {found}, expected a text of 1 to 200 characters")
        return node.value

    def source(self, node: Node, key: str) -> Source:
        return parse_source(node.plain(), self.place(node, key))

    def features(self, node: Node) -> dict[str, Source]:
        named = self.block(node, "features")
        return {name: self.source(child, f"features.{name}") for name, child in named.items()}

    def map(self, node: Node) -> MapSource:
        keys = self.block(node, "map", ("source", "channels"), ("source", "channels"))
        channels = keys["channels"].plain()
        if not isinstance(channels, list) or not all(isinstance(name, str) for name in channels):
            place = self.place(keys["channels"], "map.channels")
            raise InputError(f"{place}: is {shown(channels)}, expected a list of names")
        return MapSource(self.source(keys["source"], "map.source"), tuple(channels))

    def actions(self, node: Node) -> ActionSource:
        keys = self.block(node, "actions", ("source", "names", "edges"), ("names",))
        source = (
            self.source(keys["source"], "actions.source")
            if "source" in keys
            else parse_source("action", self.place(node, "actions"))
        )
        names = keys["names"]
        if "edges" in keys:
            edges = self.edges(keys["edges"])
            return ActionSource(source, None, edges, self.intervals(names, len(edges) + 1))
        if not isinstance(names.value, dict):
            found = shown(names.plain())
            expected = "expected a name of ours by each number, or edges for continuous actions"
            raise InputError(f"{self.place(names, 'actions.names')}: is {found}, {expected}")
        ids = {self.number(name, names): self.action(child) for name, child in names.value.items()}
        self.require_different(list(ids.values()), names)
        return ActionSource(source, ids)

    def edges(self, node: Node) -> tuple[float, ...]:
        edges = node.plain()
        is_list = isinstance(edges, list) and all(type(edge) in (int, float) for edge in edges)
        if not is_list or not edges or any(b <= a for a, b in pairwise(edges)):
            place = self.place(node, "actions.edges")
            raise InputError(f"{place}: is {shown(edges)}, expected a list of numbers in increasing order")
        return tuple(map(float, edges))

    def intervals(self, node: Node, number: int) -> tuple[int, ...]:
        names = node.value if isinstance(node.value, list) else []
        if len(names) != number:
            place, found = self.place(node, "actions.names"), shown(node.plain())
            raise InputError(f"{place}: is {found}, expected a list of {number} names, one per interval")
        ids = tuple(map(self.action, names))
        self.require_different(list(ids), node)
        return ids

    def number(self, text: str, node: Node) -> int:
        if not text.removeprefix("-").isdecimal() or len(text) > 18:
            line, column = node.keys[text]
            place = f"{self.file}:{line}:{column}: actions.names"
            raise InputError(f"{place}: {shown(text)} is not a number, expected an action of the data")
        return int(text)

    def action(self, node: Node) -> int:
        name: Any = node.plain()
        if not isinstance(name, str) or name not in ACTION_LOOKUP:
            place, known = self.place(node, "actions.names"), list(ACTION_LOOKUP)
            hint = did_you_mean(name, known) or f", expected {', '.join(known)}"
            raise InputError(f"{place}: unknown action {shown(name)}{hint}")
        return ACTION_LOOKUP[name]

    def require_different(self, ids: list[int], node: Node) -> None:
        if len(set(ids)) < len(ids):
            message = "gives one action of ours to several of the data, and they could not be told apart"
            raise InputError(f"{self.place(node, 'actions.names')}: {message}")
