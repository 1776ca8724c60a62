"""Mutated logs, on which reading whole blocks must find what reading line by line does.

`python tests/telemetry/mutated_logs.py LINES` compares that many lines; `make fuzz` does, with 100,000.
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from townlet_core.telemetry import reader
from townlet_core.telemetry.decode import BlockDecoder
from townlet_core.telemetry.gather import read_statistics
from townlet_core.telemetry.summary import Summary, summary_json
from townlet_core.telemetry.validate import LogCheck

REAL = Path(__file__).parents[1] / "data" / "version_0_1_0" / "run" / "telemetry.jsonl"
BLOCK_LINES = 12  # few, so that most blocks hold no mutated line
LINES_OF_LOG = 1000
VALUES = [
    *b'NaN -Infinity 1e999 1e-999 1.5 1.0 -0 -1 01 1. .5 +1 true null [] {} [1] "x" "a:b" "\\u0041"'.split(),
    *b'"\\ud800" "replay" "rollout" "live" 9007199254740993 4611686018427387905 9223372036854775808'.split(),
    *b'18446744073709551616 123456789012345678901234567890 0.1234567890123456789 1E5 0 1 2 {"a":1}'.split(),
    *b"[1,2,3,4,5,6,7,8,9,10] [1,2,3,4,5,6,7,8,9,1.5] [1,2,3,4,5,6,7,8,9,-1] 2.5e-324".split(),
    b"1.7976931348623159e308",
    b"9" * 400,
    b"0." + b"1" * 900,
]
BYTES = b'{}[]:,"\\ \t\r\n\x00\x01\x7f\xff\xc3eE.-+0123456789n'


def real_log(lines: int) -> list[bytes]:
    """Return records of a real log of two data modes, repeated under new epochs and offsets."""
    records = [orjson.loads(line) for line in REAL.read_bytes().splitlines()]
    made = []
    for n in range(lines):
        record, again = records[n % len(records)], n // len(records)
        cycle = record["cycle_id"] + 4 * again
        place = {"log_stream_offset": n + 1, "epoch": n + 1, "cycle_id": cycle}
        steps = {name: record[name] + 10_000 * again for name in ("steps", "env_steps", "env_ticks")}
        made.append(orjson.dumps({**record, **place, **steps}))
    return made


def _pairs(line: bytes) -> list[bytes]:
    """Split a line of our writer at the fields; the histogram stays whole."""
    return line[1:-1].replace(b',"', b'\n"').split(b"\n")


def _change_value(line: bytes, draw: random.Random) -> bytes:
    pairs = _pairs(line)
    n = draw.randrange(len(pairs))
    pairs[n] = pairs[n].split(b":", 1)[0] + b":" + draw.choice(VALUES)
    return b"{" + b",".join(pairs) + b"}"


def _change_keys(line: bytes, draw: random.Random) -> bytes:
    pairs = _pairs(line)
    n, m = draw.randrange(len(pairs)), draw.randrange(len(pairs))
    kind = draw.randrange(6)
    if kind == 0:
        del pairs[n]
    elif kind == 1:
        pairs.insert(m, pairs[n])  # twice
    elif kind == 2:
        pairs[n], pairs[m] = pairs[m], pairs[n]
    elif kind == 3:
        pairs.insert(n, b'"note":' + draw.choice(VALUES))
    elif kind == 4:  # twice, and spaced so that a count of `":` does not tell
        pairs[n] = pairs[n].replace(b'":', b'" :', 1)
        pairs.insert(m, pairs[n])
    else:
        pairs[n] = pairs[n].replace(b'"', b'"\\u0061', 1)
    return b"{" + b",".join(pairs) + b"}"


def _change_byte(line: bytes, draw: random.Random) -> bytes:
    n, byte = draw.randrange(len(line)), bytes([draw.choice(BYTES)])
    return line[:n] + draw.choice((b"", byte, byte + line[n : n + 1])) + line[n + 1 :]


def _change_line(line: bytes, draw: random.Random) -> bytes:
    n = draw.randrange(len(line))
    return draw.choice(
        (b"", b" ", line[:n], line + line, line + b" " + line, b" " + line, line + b"\r", line + b"\n" + line,
         line.replace(b",", b",\n", 1), line.replace(b",", b", "), line.replace(b":", b" : "),
         b"[" + line + b"]")
    )  # fmt: skip


MUTATIONS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _change_value,
    _change_value,
    _change_keys,
    _change_byte,
    _change_line,
)


def mutated_log(lines: int, seed: int) -> bytes:
    """Return a log in which some lines are mutated: one in a hundred, in twenty or in three."""
    draw = random.Random(seed)
    rate = draw.choice((0.01, 0.05, 0.3))
    made = [draw.choice(MUTATIONS)(line, draw) if draw.random() < rate else line for line in real_log(lines)]
    return b"\n".join(made) + draw.choice((b"\n", b""))


def findings(log: Path) -> tuple[Any, ...]:
    """Return all that validate and summary find in a log."""
    check, said = LogCheck(log), list[str]()
    problems = list(check.problems())
    statistics = read_statistics(log, lambda line, problem: said.append(line.place + problem), said.append)
    if statistics.records == 0:
        return problems, said
    data = summary_json(Summary(str(log), statistics, 0, []))
    curves = [
        statistics.curve(name, mode)
        for mode in statistics.modes()
        for name in ("reward_mean", "kl_divergence")
    ]
    return problems, check.records, said, orjson.dumps(data), curves


def compare(lines: int, seed: int) -> tuple[int, int]:
    """Read a mutated log in both ways; return how many blocks were accepted, and its problems."""
    accepted = 0
    decode = BlockDecoder.decode

    def count_accepted(decoder: BlockDecoder, data: bytes, with_numbers: bool) -> Any:
        nonlocal accepted
        block = decode(decoder, data, with_numbers)
        accepted += block is not None
        return block

    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        log.write_bytes(mutated_log(lines, seed))
        size, reader.CHUNK_BYTES = reader.CHUNK_BYTES, 2000 * BLOCK_LINES
        try:
            BlockDecoder.decode = count_accepted  # type: ignore[method-assign,assignment]
            fast = findings(log)
            BlockDecoder.decode = lambda *_: None  # type: ignore[method-assign]
            plain = findings(log)
        finally:
            BlockDecoder.decode, reader.CHUNK_BYTES = decode, size  # type: ignore[method-assign]
    assert fast == plain, f"seed {seed}: blocks and lines are not read alike"
    return accepted, len(plain[0])


def main(lines: int) -> None:
    """Compare many logs and say how many."""
    found = [compare(LINES_OF_LOG, seed) for seed in range(max(1, lines // LINES_OF_LOG))]
    accepted, problems = map(sum, zip(*found, strict=True))
    print(f"telemetry: {len(found) * LINES_OF_LOG:,} lines read alike by blocks and by lines; "
          f"{accepted:,} blocks accepted whole, {problems:,} problems")  # fmt: skip


if __name__ == "__main__":
    main(int(sys.argv[1]))
