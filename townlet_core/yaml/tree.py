"""YAML text to a tree of values that know their line and column.

The text is YAML 1.2 with the core types only: text, whole numbers, numbers, true, false, null, lists and
blocks. Everything else that YAML can do to surprise a reader is a mistake: duplicate keys, merge keys, tags,
directives, `.inf` and `.nan`, keys that are not text, several documents, and aliases that grow without end.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    MappingEndEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)
from ruamel.yaml.reader import ReaderError

from townlet_core.errors import printable
from townlet_core.io import explain_bad_byte, without_mark
from townlet_core.vocab import NAME_PATTERN
from townlet_core.yaml.syntax import explain

MAX_DEPTH = 16  # a scenario needs seven
MAX_VALUES = 10_000  # aliases counted as often as they are used: the parser is slow
MAX_TEXT = 1 << 20  # characters of all texts together, aliases counted as often
MAX_ENTRIES = 1_000  # of one list or block
MAX_LINE = 50_000  # characters
MAX_DIGITS = 30
MAX_SHOWN = 60  # characters of a value quoted in a message
MAX_PATH = 200  # characters of a path in a message
MAX_MISTAKES = 500  # a file with more is something else

Path = tuple[str | int, ...]

_WHOLE = re.compile(r"[-+]?[0-9]+")
_OTHER_BASE = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_LONG_LINE = re.compile(rf"^[^\n]{{{MAX_LINE + 1}}}", re.MULTILINE)
_BEYOND_UNICODE = re.compile(r"\\U(?!000|0010)[0-9A-Fa-f]{8}")
_AMBIGUOUS = re.compile("[\x85\u2028\u2029\ufeff]")  # line ends of YAML 1.1, and a mark within the text
_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


class Mistake(NamedTuple):
    """One thing wrong with a file. Lines and columns count from 1; line 0 is the file as a whole."""

    line: int
    column: int
    path: str  # such as objects[2].kind; empty for the whole document
    message: str

    def text(self, file: str) -> str:
        """Say it in one line: `file:line:column: path: message`."""
        file = printable(file)
        place = f"{file}:{self.line}:{self.column}" if self.line else file
        return f"{place}: {self.path}: {self.message}" if self.path else f"{place}: {self.message}"


@dataclass
class Node:
    """A value and its place. `value` is a scalar, a list of Nodes, or a dict of Nodes."""

    value: Any
    line: int
    column: int
    keys: dict[str, tuple[int, int]] = field(default_factory=dict)  # line and column of each key
    size: int = 1  # values in this branch, itself included
    length: int = 0  # characters of all texts in this branch
    row_column: int = 0  # where the rows of a drawing (`|`) begin, one to a line; 0 for anything else

    def plain(self) -> Any:
        """Return the branch without its marks."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def child(self, part: str | int) -> Node | None:
        """Return the node one step down, if it is there: an entry, or a row of a drawing."""
        if isinstance(self.value, dict):
            return self.value.get(part)
        if self.row_column and isinstance(part, int):
            return Node(self.value.split("\n")[part], self.line + 1 + part, self.row_column)
        is_there = isinstance(self.value, list) and isinstance(part, int) and part < len(self.value)
        return self.value[part] if is_there else None


def parse_bytes(data: bytes, max_entries: int = MAX_ENTRIES) -> tuple[Node | None, list[Mistake]]:
    """Parse the bytes of a file, which are UTF-8 text, with or without a byte order mark.

    Returns as parse_document does.
    """
    try:
        text = without_mark(data).decode()
    except UnicodeDecodeError as error:
        line, column, message = explain_bad_byte(error)
        return None, [Mistake(line, column, "", message)]
    return parse_document(text, max_entries)


def parse_document(text: str, max_entries: int = MAX_ENTRIES) -> tuple[Node | None, list[Mistake]]:
    """Parse one YAML document; returns its tree and the mistakes found on the way.

    max_entries: of one list or block.
    The tree is None if the text cannot be parsed to the end; the last mistake is the reason.
    """
    if long := _LONG_LINE.search(text):
        return None, [_mistake_at(text, long.start(), f"a line of more than {MAX_LINE:,} characters")]
    if directive := re.search(r"^%", text, re.MULTILINE):
        message = "directives (lines that begin with %) are not used here"
        return None, [_mistake_at(text, directive.start(), message)]
    if escape := _BEYOND_UNICODE.search(text):  # the parser would raise a bare ValueError
        return None, [_mistake_at(text, escape.start(), f"escape {escape.group()} is beyond Unicode")]
    if unclear := _AMBIGUOUS.search(text):
        message = f"YAML readers disagree about character \\u{ord(unclear.group()):04x}"
        return None, [_mistake_at(text, unclear.start(), message)]
    reader = _Reader(YAML(typ="safe", pure=True).parse(text), text.split("\n"), max_entries)
    try:
        return reader.document(), reader.mistakes
    except _GivenUp:
        return None, reader.mistakes
    except MarkedYAMLError as error:
        return None, [*reader.mistakes, Mistake(*explain(error)[:2], "", explain(error)[2])]
    except ReaderError as error:
        message = f"character \\x{ord(text[error.position]):02x} is not allowed in YAML"
        return None, [_mistake_at(text, error.position, message)]


def path_text(path: Path) -> str:
    """Write a path as people do: `agents[0].needs.hunger`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + (part if NAME_PATTERN.fullmatch(part) else quoted(part))
    return text if len(text) <= MAX_PATH else f"{text[: MAX_PATH - 3]}..."


def quoted(text: str) -> str:
    """Quote text of the file: shortened, on one line, control characters escaped."""
    shown = text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 3]}..."
    return f"'{printable(shown)}'"


def _mistake_at(text: str, index: int, message: str) -> Mistake:
    """Place a mistake at a character of the text."""
    line_start = text.rfind("\n", 0, index) + 1
    return Mistake(text.count("\n", 0, index) + 1, index - line_start + 1, "", message)


class _GivenUp(Exception):
    """The rest of the text cannot be parsed."""


class _Reader:
    """Builds the tree from parser events; remembers anchors and mistakes."""

    def __init__(self, events: Iterator[Any], lines: list[str], max_entries: int) -> None:
        self.events = events
        self.lines = lines
        self.max_entries = max_entries
        self.anchors: dict[str, Node] = {}
        self.mistakes: list[Mistake] = []
        self.count = 0
        self.length = 0

    def document(self) -> Node:
        next(self.events)  # stream start
        first = next(self.events)
        if isinstance(first, StreamEndEvent):
            self.give_up(first, (), "the file is empty")
        root = self.node(next(self.events), (), 0)
        while isinstance(event := next(self.events), DocumentEndEvent):
            pass
        if not isinstance(event, StreamEndEvent):
            self.give_up(event, (), "a second document begins, expected one document per file")
        return root

    def node(self, event: Any, path: Path, depth: int) -> Node:
        if depth > MAX_DEPTH:
            self.give_up(event, path[:3], f"nested more than {MAX_DEPTH} deep")
        if isinstance(event, AliasEvent):
            node = self.alias(event, path)
        else:
            self.refuse_tag(event, path)
            node = Node(None, *_place(event))
            if isinstance(event, ScalarEvent):
                node.value = self.scalar(event, path)
                node.length = len(event.value)
                node.row_column = self.row_column(event)
            elif isinstance(event, SequenceStartEvent):
                self.read_list(node, path, depth)
            else:
                self.read_block(node, path, depth)
            if event.anchor:
                self.anchors[event.anchor] = node
        self.count += node.size if isinstance(event, AliasEvent) else 1
        self.length += node.length if isinstance(event, AliasEvent | ScalarEvent) else 0
        if self.count > MAX_VALUES:
            self.give_up(event, path, f"more than {MAX_VALUES:,} values, aliases counted each time")
        if self.length > MAX_TEXT:
            self.give_up(event, path, f"more than {MAX_TEXT:,} characters, aliases counted each time")
        return node

    def row_column(self, event: Any) -> int:
        """Return the column in which the rows of a literal text begin; 0 if it is none."""
        rows = self.lines[event.start_mark.line + 1 :] if event.style == "|" and event.value.strip() else []
        first = next((row for row in rows if row.strip()), "")
        return len(first) - len(first.lstrip(" ")) + 1 if first else 0

    def alias(self, event: Any, path: Path) -> Node:
        """Return the branch of an alias; an unfinished one would contain itself."""
        if event.anchor not in self.anchors:
            self.give_up(event, path, f"alias {quoted(event.anchor)} has no anchor before it")
        return self.anchors[event.anchor]

    def read_list(self, node: Node, path: Path, depth: int) -> None:
        node.value = []
        while not isinstance(event := next(self.events), SequenceEndEvent):
            self.count_entry(event, path, len(node.value))
            item = self.node(event, (*path, len(node.value)), depth + 1)
            node.value.append(item)
            node.size += item.size
            node.length += item.length

    def read_block(self, node: Node, path: Path, depth: int) -> None:
        node.value = {}
        entries = 0
        while not isinstance(event := next(self.events), MappingEndEvent):
            self.count_entry(event, path, entries)
            entries += 1
            if not isinstance(event, ScalarEvent):
                self.give_up(event, path, "a key is a list, a block or an alias, expected text")
            key = _joined(event.value)
            if key is None:
                self.give_up(event, path, "a key holds half a surrogate pair, expected Unicode text")
            if key == "<<" and not event.style:
                self.give_up(event, path, "merge keys (<<) are not used here, write the keys out")
            value = next(self.events)
            item = self.node(value, (*path, key), depth + 1)
            if isinstance(value, ScalarEvent) and value.start_mark.index == value.end_mark.index:
                # The parser puts a value that is not there where the next thing begins.
                item.line, item.column = _place(event)
            if key in node.value:
                message = f"key {quoted(key)} is here twice, first on line {node.keys[key][0]}"
                self.mistake(event, (*path, key), message)
                continue
            node.value[key], node.keys[key] = item, _place(event)
            node.size += item.size
            node.length += item.length + len(key)

    def count_entry(self, event: Any, path: Path, before: int) -> None:
        if before >= self.max_entries:
            self.give_up(
                event, path, f"more than {self.max_entries:,} entries, too many for one list or block"
            )

    def scalar(self, event: Any, path: Path) -> Any:
        """Resolve a scalar by the YAML 1.2 core schema. What is refused becomes None."""
        text = _joined(event.value)
        if text is None:
            return self.mistake(event, path, "holds half a surrogate pair, expected Unicode text")
        if event.style or not event.implicit[0]:
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _NOT_FINITE.fullmatch(text):
            return self.mistake(event, path, f"found {text}, expected a finite number")
        whole = _WHOLE.fullmatch(text) or _OTHER_BASE.fullmatch(text)
        if whole and len(text) > MAX_DIGITS:
            return self.mistake(event, path, f"found a number of {len(text)} characters, too many")
        if whole:
            return int(text, 10 if _WHOLE.fullmatch(text) else 0)
        if not _NUMBER.fullmatch(text):
            return text
        number = float(text)
        if not math.isfinite(number):
            return self.mistake(event, path, f"found {text[:MAX_SHOWN]}, expected a finite number")
        return number

    def refuse_tag(self, event: Any, path: Path) -> None:
        if event.ctag is not None:
            # Giving up at the first one: the parser is slow at tags, and a file could have many.
            self.give_up(
                event, path, f"tag {quoted(str(event.ctag))} is not used here, expected a plain value"
            )

    def mistake(self, event: Any, path: Path, message: str) -> None:
        self.mistakes.append(Mistake(*_place(event), path_text(path), message))
        if len(self.mistakes) >= MAX_MISTAKES:
            raise _GivenUp

    def give_up(self, event: Any, path: Path, message: str) -> NoReturn:
        self.mistake(event, path, message)
        raise _GivenUp


def _place(event: Any) -> tuple[int, int]:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _joined(text: str) -> str | None:
    r"""Join surrogate pairs, as JSON writes an emoji (`\ud83d\ude00`); None if half a pair is left."""
    if not re.search("[\ud800-\udfff]", text):
        return text
    try:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    except UnicodeDecodeError:
        return None
