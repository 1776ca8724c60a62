"""A record is checked and encoded at once as from its dictionary: the same bytes, the same refusals."""

import enum
import math
import random
from decimal import Decimal

import numpy as np
import orjson
import pytest
from mutated_logs import REAL

from townlet_core.errors import RunFailed
from townlet_core.telemetry import encode
from townlet_core.telemetry.fields import BY_NAME

MUTATED = 5000
OWN = {"telemetry_version": 1.1, "log_stream_offset": 7, "log_every": 2}


class Level(enum.IntEnum):
    LOW = 1


class Whole(int):
    """Not an int."""


class Words(str):
    """Not a str."""


COUNTS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
VALUES = [
    *(math.nan, math.inf, -math.inf, 0.0, -0.0, 1.0, 1.5, 1e-7, 5e-324, 9.9e15, 1e16, -1e16, 1.7e308),
    *(0, 1, -1, True, None, 2**53 + 1, 2**62, 2**62 + 1, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**70)),
    *("", "replay", "rollout", "mixed", "live", "null", 'a "b":\n\x00\x7fé', "\ud800", b"x", "1.0"),
    *(COUNTS, tuple(COUNTS), set(COUNTS), [1.0] * 10, [True] * 10, [Whole(1)] * 10, [-1] * 10, [2**63] * 10),
    *(COUNTS[:9], [], {}, [[1]], {"a": 1}, np.float64(1.5), np.int64(1), np.ones(10, int), Decimal("1.5")),
    *(Level.LOW, Whole(1), Words("replay"), object()),
]
NAMES = [*BY_NAME, "los_policy", "conflict_rivalry_max_mean_avg", 3]


def mutated_records(seed):
    """Yield records of a real log in which fields are changed, added and removed."""
    draw = random.Random(seed)
    real = [orjson.loads(line) for line in REAL.read_bytes().splitlines()]
    for _ in range(MUTATED):
        record = dict(draw.choice(real))
        for _ in range(draw.choice((0, 1, 1, 2))):
            record[draw.choice(NAMES)] = draw.choice(VALUES)
        if draw.random() < 0.2:
            del record[draw.choice(list(record))]
        yield record


def outcome(line, *arguments):
    """Return what a way to encode returns, or what it says."""
    try:
        return line(*arguments)
    except RunFailed as error:
        return str(error)


def test_mutated_records_are_encoded_and_refused_as_from_their_dictionaries():
    accepted = refused = 0
    for record in mutated_records(seed=1):
        plain = outcome(encode.encode_plainly, {**record, **OWN})
        assert outcome(encode.to_line, record, 7, 2) == plain, record
        refused += isinstance(plain, str)
        accepted += encode.encode_at_once(record, 7, 2) is not None
    assert accepted > MUTATED // 5
    assert refused > MUTATED // 5


@pytest.mark.parametrize("line", REAL.read_bytes().splitlines()[::4])
def test_a_record_as_training_writes_it_needs_no_closer_look(line):
    record = orjson.loads(line)
    assert encode.encode_at_once(record, 7, 2) == orjson.dumps({**record, **OWN}) + b"\n"
