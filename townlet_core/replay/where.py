"""Expressions that choose samples: `reward_sum > 0 and queue_conflict_events >= 1` (docs/handling.md).

The grammar is a part of Python's. Python's parser gives the tree; every node must be of a kind that is known
here, and is evaluated here.
"""

from __future__ import annotations

import ast
import math
import operator
import warnings
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from townlet_core.errors import InputError, did_you_mean, printable, shown

Value = bool | int | float | str
Facts = Mapping[str, Value]  # what is known of a sample, by name

MAX_LENGTH = 2000  # characters
MAX_DEPTH = 40  # of nested parts
_HINT = "for the language and the names: townlet docs handling#expressions"
_GUARD = "guard names that some samples lack: has(NAME) and NAME > 0"
_BOOLEANS = {"true": True, "false": False}
_COMPARISONS: dict[type, Any] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_ARITHMETIC: dict[type, Any] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


class _Trouble(Exception):
    """What is wrong with a part of an expression; its place is added where it is known."""

    def __init__(self, node: ast.expr, message: str, hint: str = _HINT) -> None:
        super().__init__(message)
        self.node, self.hint = node, hint


class Where:
    """A parsed expression. Raises InputError, with line and column, for anything else.

    names: those it uses without asking has() for them, with the place of their first use.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._source = text.replace("\n", " ").strip()  # Python ends an expression at the end of a line
        self._skipped = len(text) - len(text.lstrip())
        self.names: dict[str, str] = {}
        self._guarded: set[str] = set()
        self._tree = self._parse()
        try:
            self._check(self._tree, 0)
        except _Trouble as trouble:
            raise self._error(trouble) from trouble
        for name in self._guarded & self.names.keys():
            del self.names[name]

    def holds(self, facts: Facts, sample: str) -> bool:
        """Whether it is true of a sample. Raises InputError, naming the sample, if it is neither."""
        try:
            return _truth(self._tree, facts)
        except _Trouble as trouble:
            raise self._error(trouble, f"{sample}: ") from trouble

    def _error(self, trouble: _Trouble, sample: str = "") -> InputError:
        return InputError(f"{self._place_of(trouble.node)}: {sample}{trouble}", trouble.hint)

    def _parse(self) -> ast.expr:
        if len(self._text) > MAX_LENGTH:
            raise InputError(f"--where: has {len(self._text):,} characters, expected at most {MAX_LENGTH:,}")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about odd literals
                tree = ast.parse(self._source, mode="eval").body
        except SyntaxError as error:
            at, message = (error.offset or 0) - 1, printable(error.msg)
            if at < 0:  # how Python says that it is at the end
                at, message = len(self._source), "the expression is not finished"
            raise InputError(f"{self._place(at)}: {message}", _HINT) from error
        except (ValueError, RecursionError, MemoryError) as error:
            raise InputError("--where:1:1: is not an expression", _HINT) from error
        end = self._character(tree.end_col_offset or 0)
        if rest := self._source[end:].lstrip(" )"):  # a comment, which would hide later lines
            place = self._place(len(self._source) - len(rest))
            raise InputError(f"{place}: found {shown(rest, 40)} after the expression", _HINT)
        return tree

    def _character(self, offset: int) -> int:
        """Return the index of the character at a byte; Python counts columns in bytes of UTF-8."""
        return len(self._source.encode()[:offset].decode())

    def _place_of(self, node: ast.expr) -> str:
        return self._place(self._character(node.col_offset))

    def _place(self, character: int) -> str:
        """Return line and column, both from 1, of a character of the source."""
        before = self._text[: self._skipped + max(0, character)]
        return f"--where:{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"

    def _check(self, node: ast.expr, depth: int) -> None:
        """Raise _Trouble for a node that is not part of the language, and note the names."""
        if depth > MAX_DEPTH:
            raise _Trouble(node, f"is nested more than {MAX_DEPTH} levels deep")
        inner: list[ast.expr] = []
        match node:
            case ast.Constant(value=bool() | int() | float() | str()):
                pass
            case ast.Name() | ast.Attribute(value=ast.Name(id="capture")):
                if (name := ast.unparse(node)) not in _BOOLEANS:
                    self.names.setdefault(name, self._place_of(node))
            case ast.UnaryOp(op=ast.Not() | ast.USub() | ast.UAdd()):
                inner = [node.operand]
            case ast.BinOp() if type(node.op) in _ARITHMETIC:
                inner = [node.left, node.right]
            case ast.BoolOp():
                inner = node.values
            case ast.Compare():
                inner = [node.left, *self._compared(node)]
            case ast.Call(func=ast.Name(id="has"), args=[name], keywords=[]) if _is_name(name):
                self._guarded.add(ast.unparse(name))
            case ast.Call(func=ast.Name(id="matches"), args=[text, ast.Constant(value=str())], keywords=[]):
                inner = [text]
            case _:
                raise _Trouble(node, f"{shown(self._excerpt(node), 40)} is not part of the language")
        for one in inner:
            self._check(one, depth + 1)

    def _compared(self, node: ast.Compare) -> list[ast.expr]:
        """Return what stands right of the signs of a comparison; of `in`, each of the values."""
        inner: list[ast.expr] = []
        for sign, other in zip(node.ops, node.comparators, strict=True):
            if isinstance(sign, ast.In | ast.NotIn):
                if not isinstance(other, ast.Tuple | ast.List):
                    raise _Trouble(other, "expected a list of values after in, such as ('anna', 'ben')")
                inner += other.elts
            elif type(sign) in _COMPARISONS:
                inner.append(other)
            else:
                found = shown(self._excerpt(other), 40)
                raise _Trouble(other, f"expected <, <=, >, >=, ==, != or in before {found}")
        return inner

    def _excerpt(self, node: ast.expr) -> str:
        return self._source[self._character(node.col_offset) : self._character(node.end_col_offset or 0)]


def _is_name(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) or (
        isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "capture"
    )


def _truth(node: ast.expr, facts: Facts) -> bool:
    value = _value(node, facts)
    if not isinstance(value, bool):
        raise _Trouble(node, f"is {shown(value, 40)}, expected true or false")
    return value


def _number(node: ast.expr, facts: Facts) -> int | float:
    value = _value(node, facts)
    if isinstance(value, bool | str):
        raise _Trouble(node, f"is {shown(value, 40)}, expected a number")
    return value


def _value(node: ast.expr, facts: Facts) -> Value:
    """Evaluate a node that _check has accepted."""
    match node:
        case ast.Constant(value=bool() | int() | float() | str() as value):
            return value
        case ast.Name() | ast.Attribute():
            return _lookup(node, facts)
        case ast.UnaryOp(op=ast.Not()):
            return not _truth(node.operand, facts)
        case ast.UnaryOp():
            number = _number(node.operand, facts)
            return -number if isinstance(node.op, ast.USub) else number
        case ast.BinOp():
            return _calculate(node, facts)
        case ast.BoolOp(op=ast.And()):
            return all(_truth(value, facts) for value in node.values)
        case ast.BoolOp():
            return any(_truth(value, facts) for value in node.values)
        case ast.Compare():
            return _compare(node, facts)
        case ast.Call(func=ast.Name(id="has"), args=[name]):
            return ast.unparse(name) in facts
        case ast.Call(args=[text, ast.Constant(value=pattern)]):
            if not isinstance(value := _value(text, facts), str):
                raise _Trouble(text, f"is {shown(value, 40)}, expected a text")
            return fnmatchcase(value, str(pattern))
    raise AssertionError(f"not checked: {ast.dump(node)}")


def _lookup(node: ast.expr, facts: Facts) -> Value:
    name = ast.unparse(node)
    if name in _BOOLEANS:
        return _BOOLEANS[name]
    if name not in facts:
        raise _Trouble(node, f"has no {shown(name, 40)}{did_you_mean(name, list(facts))}", _GUARD)
    return facts[name]


def _calculate(node: ast.BinOp, facts: Facts) -> int | float:
    left, right = _number(node.left, facts), _number(node.right, facts)
    try:
        result: int | float = _ARITHMETIC[type(node.op)](left, right)
        is_finite = math.isfinite(result)
    except (ZeroDivisionError, OverflowError) as error:
        raise _Trouble(node, f"cannot be calculated: {error}") from error
    if not is_finite:
        raise _Trouble(node, f"is {result}, expected a finite number")
    return result


def _compare(node: ast.Compare, facts: Facts) -> bool:
    """Evaluate a chain such as `0 < reward_sum <= 5`, from the left, up to the first part that is false."""
    left = _value(node.left, facts)
    for sign, other in zip(node.ops, node.comparators, strict=True):
        if isinstance(other, ast.Tuple | ast.List):
            found = any(left == _comparable(left, value, facts) for value in other.elts)
            if found == isinstance(sign, ast.NotIn):
                return False
            continue
        right = _comparable(left, other, facts)
        if isinstance(left, bool) and not isinstance(sign, ast.Eq | ast.NotEq):
            raise _Trouble(other, "expected == or != between true and false")
        if not _COMPARISONS[type(sign)](left, right):
            return False
        left = right
    return True


def _comparable(left: Value, node: ast.expr, facts: Facts) -> Value:
    """Evaluate the right side of a comparison, which must be of the left side's kind."""
    right = _value(node, facts)
    for kind, name in ((bool, "true or false"), (str, "a text"), ((int, float), "a number")):
        if isinstance(left, kind):
            if not isinstance(right, kind) or (kind is not bool and isinstance(right, bool)):
                raise _Trouble(node, f"is {shown(right, 40)}, expected {name} like {shown(left, 40)}")
            break
    return right
