"""Mutations of JSON values and of JSON text."""

from __future__ import annotations

import json
import re
from copy import deepcopy
from random import Random
from typing import Any

from fuzz_bytes import mutate_bytes, span

ODD_VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        2,
        7,
        2**31,
        2**53 + 1,
        2**63 - 1,
        2**63,
        2**64,
        2**64 + 1,
        10**30,
        -(2**63),
    ),
    *(0.0, -0.0, 0.5, 1.0, 1e-320, 1e308, -1e308, 1e16, 3.4e38, 3.5e38),
    *(
        "",
        " ",
        "a",
        "a" * 65,
        "a" * 5000,
        "\0",
        "\n",
        "\x1b[31mred",
        "\u202e",
        "\ud7ff\ue000",
        "😀",
        "nan",
        "2.0",
        "3.0",
    ),
    *("..", "../a.npz", "/etc/passwd", "a/../../b.npz", "s3://bucket/a.npz", ".", "a.npz/b.npz"),
    "a\\b.npz",
    *("0" * 64, "f" * 64, "F" * 64, "hybrid", "none", "scripted", "wait", "total", "metrics"),
    "reward_terms",
    *(
        [],
        {},
        [[]],
        [None],
        {"": None},
        {"a": {"a": {"a": 1}}},
        [0] * 300,
        ["a", "a"],
        [1, 2, 3],
        [4, 11, 11],
    ),
)
_ODD_TOKENS = (
    *(
        b"NaN",
        b"Infinity",
        b"-Infinity",
        b"1e999",
        b"-1e999",
        b"1e-999",
        b"-0",
        b"-0.0",
        b"01",
        b"+1",
        b".5",
        b"1.",
        b"0x10",
    ),
    *(
        b"1E5",
        b"18446744073709551615",
        b"18446744073709551616",
        b"9" * 400,
        b"1." + b"0" * 400 + b"1",
        b"tru",
        b"null",
    ),
    *(
        b'"\\ud800"',
        b'"\\udc00\\ud800"',
        b'"\\u0000"',
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b'"\t"',
        b'"\\x41"',
        b'"',
        b"\\",
    ),
    *(
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"[[",
        b"]]",
        b"//",
        b"/*",
        b"\xef\xbb\xbf",
        b"\xff\xfe",
        b"\0",
        b"\x0b",
        b"\xa0",
    ),
    *(b"[" * 1100, b"[" * 1100 + b"]" * 1100, b'{"a":' * 1100),
)
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[-+.\w]+|[^\s\w]')


def mutate_json(data: bytes, chance: Random, values: tuple[Any, ...] = ODD_VALUES) -> bytes:
    """Return JSON text with one mutation: of its values, tokens or bytes. values: odd ones to write."""
    kind = chance.random()
    if kind < 0.55:
        return dump(mutate_value(json.loads(data), chance, values), chance)
    if kind < 0.8:
        return _mutate_tokens(data, chance)
    return mutate_bytes(data, chance)


def dump(value: Any, chance: Random) -> bytes:
    """Write a value as JSON, in one of the ways that people do."""
    text = json.dumps(value, indent=chance.choice((None, 2)), ensure_ascii=chance.random() < 0.5)
    return text.encode("utf-8", "surrogatepass")


def mutate_value(value: Any, chance: Random, values: tuple[Any, ...] = ODD_VALUES) -> Any:
    """Return the value with one mutation somewhere inside; the value may be changed."""
    places = list(_places(value))
    odd = deepcopy(chance.choice(values))
    if not places or chance.random() < 0.02:
        return chance.choice((odd, [value], {"a": value}))
    block, key = chance.choice(places)
    choice = chance.random()
    if choice < 0.45:
        block[key] = odd
    elif choice < 0.6:
        block[key] = _near(block[key], chance)
    elif choice < 0.75:
        del block[key]
    elif choice < 0.85:
        other, other_key = chance.choice(places)
        block[key] = deepcopy(other[other_key])
    elif isinstance(block, list):
        block.insert(chance.randrange(len(block) + 1), block[key] if chance.random() < 0.5 else odd)
    else:
        name = chance.choice((key + "x", key[:-1], key.upper(), *(v for v in values if isinstance(v, str))))
        block[name] = block[key] if chance.random() < 0.5 else block.pop(key)
    return value


def _near(value: Any, chance: Random) -> Any:
    """Return a value of the same kind that is not the same."""
    if type(value) is int:
        return value + chance.choice((-1, 1, 2, 256, -value - 1))
    if type(value) is float:
        return chance.choice((-value, value * 2, value + 1, float(round(value))))
    if isinstance(value, str):
        where = span(len(value), chance, 4)
        return value[: where.start] + chance.choice(("", "x", "..", "/", "\n", "é")) + value[where.stop :]
    if isinstance(value, list):
        return chance.choice((value[::-1], value + value, value[1:], [value]))
    if isinstance(value, dict):
        return chance.choice(
            (dict(reversed(value.items())), list(value.items()), list(value.values()), str(value))
        )
    return chance.choice((None, True, False))


def _places(value: Any) -> Any:
    """Iterate over every place inside a value: the block, and the key or index."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])


def _mutate_tokens(data: bytes, chance: Random) -> bytes:
    """Replace, remove, repeat or swap one token, or insert one."""
    tokens = [match.span() for match in _TOKEN.finditer(data)]
    if not tokens:
        return mutate_bytes(data, chance)
    (start, stop), (other, end) = chance.choice(tokens), chance.choice(tokens)
    new = chance.choice((chance.choice(_ODD_TOKENS), b"", data[start:stop] * 2, data[other:end]))
    if chance.random() < 0.3:
        stop = start
    return data[:start] + new + data[stop:]
