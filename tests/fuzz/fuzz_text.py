"""Mutations of YAML and of logs with one JSON object per line."""

from __future__ import annotations

import json
from random import Random

from fuzz_bytes import mutate_bytes
from fuzz_values import dump, mutate_json, mutate_value
from ruamel.yaml import YAML

_YAML_TOKENS = (
    *(b"\n", b" ", b"  ", b"\t", b": ", b":", b"- ", b"-", b"? ", b", ", b"[", b"]", b"{", b"}", b"#"),
    *(b" # x", b"|\n", b">\n", b">-\n  "),
    *(b"|9\n", b"&a ", b"*a", b"*a ", b"&a [*a]", b"!", b"!!str ", b"!!python/object:os.system ", b"<<: "),
    *(b"%YAML 1.1\n", b"---\n", b"...\n"),
    *(b"'", b'"', b"\\", b"\\x41", b"\\U99999999", b"\\ud83d\\ude00", b"\\ud83d", b"@", b"`", b"~"),
    *(b"null", b"yes", b"no", b"on", b"true"),
    *(b"0o17", b"017", b"0x1F", b"1_000", b"1:30", b"1e3", b".5", b"5.", b".inf", b"-.INF", b".nan"),
    *(b"1e999", b"2020-01-01", b"=", b"0b1"),
    *(b"\xc3\xa9", b"\xff", b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"\xc2\x85", b"\x00", b"\x07", b"\x7f"),
    *(b"\r", b"\r\n", b"\xf0\x9f\x98\x80"),
    *(b"[" * 20, b"- " * 30, b"{a: " * 20, b"a: &b [x, x]\n", b"9" * 40, b"? [a]\n: b\n", b"? a\n"),
    b"a: 1\na: 2\n",
)  # fmt: skip


def mutate_yaml(data: bytes, chance: Random) -> bytes:
    """Return YAML text with one mutation: of tokens, lines, values or bytes."""
    kind = chance.random()
    if kind < 0.4:
        where = chance.randrange(len(data) + 1)
        return data[:where] + chance.choice(_YAML_TOKENS) + data[where + chance.choice((0, 0, 1, 2)) :]
    if kind < 0.65:
        return _mutate_lines(data, chance)
    if kind < 0.75:
        content = YAML(typ="safe", pure=True).load(data.decode())
        return dump(mutate_value(content, chance), chance)  # JSON is YAML
    return mutate_bytes(data, chance)


def _mutate_lines(data: bytes, chance: Random) -> bytes:
    """Indent, remove, repeat, swap or join lines."""
    lines = data.split(b"\n")
    i, j = chance.randrange(len(lines)), chance.randrange(len(lines))
    kind = chance.randrange(6)
    if kind == 0:
        lines[i] = b" " * chance.randint(1, 4) + lines[i]
    elif kind == 1:
        lines[i] = lines[i].lstrip()
    elif kind == 2:
        del lines[i]
    elif kind == 3:
        lines.insert(j, lines[i])
    elif kind == 4:
        lines[i], lines[j] = lines[j], lines[i]
    else:
        lines[i : i + 2] = [b"".join(lines[i : i + 2])]
    return b"\n".join(lines)


_EVENT_VALUES = (
    *(None, True, False, 0, -1, 1.0, 0.1, 0.09999, 5, 5.000001, 2**63, 2**64, 1e308, "", "a", "\x1b[31m"),
    "queue_conflict",
    *("contention", "impatience", "ghost_step", "chat_success", "rent_due", [], {}, ["queue_conflict"]),
    *({"a": 1}, "a" * 70_000),
)  # fmt: skip


def mutate_events(data: bytes, chance: Random) -> bytes:
    """Return a log with one mutation: of an event, of lines or of bytes."""
    kind, lines = chance.random(), data.split(b"\n")
    i = chance.randrange(len(lines))
    if kind < 0.5:
        lines[i] = mutate_json(lines[i], chance, _EVENT_VALUES)
    elif kind < 0.6:
        event = json.loads(lines[i])
        return data.replace(lines[i], json.dumps(event, indent=2).encode())  # over several lines
    elif kind < 0.8:
        return _mutate_lines(data, chance)
    elif kind < 0.9:
        lines.insert(
            i,
            chance.choice(
                (b"", b" \t ", b"\xef\xbb\xbf", b"\r", b"null", b"[]", b" " * 70_000, b"{}", b"\0")
            ),
        )
    else:
        return mutate_bytes(data, chance)
    return b"\n".join(lines)
