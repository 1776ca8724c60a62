"""Rules are compiled into the kernels that call them, and nowhere else."""

import numba
import numpy as np
import pytest

from townlet_core.simulation.numba_support import rule
from townlet_core.simulation.rule_compiler import compile_into_callers


@compile_into_callers
def add(counts, row, amount):
    """Add to a row; return what stands there."""
    counts[row] += amount
    return counts[row]


@numba.njit
def add_with_integers_of_every_width(counts, rows):
    return add(counts, rows[0], 1) + add(counts, rows[0] + 1, np.int32(2)) + add(counts, np.uint8(2), 4)


def test_a_rule_is_compiled_once_for_integers_of_every_width():
    counts = np.zeros(3, np.int64)
    assert add_with_integers_of_every_width(counts, np.zeros(1, np.int16)) == 7
    assert counts.tolist() == [1, 2, 4]
    assert len(add.signatures) == 1


def test_python_cannot_call_a_rule_but_can_call_what_it_was_made_of():
    with pytest.raises(TypeError, match=r"add is compiled into kernels only; from Python, call add\.py_func"):
        add(np.zeros(3, np.int64), 0, 1)
    assert add.py_func(np.zeros(3, np.int64), 0, 5) == 5


def test_a_rule_is_plain_python_where_nothing_is_compiled(monkeypatch):
    monkeypatch.setattr(numba.config, "DISABLE_JIT", True)

    def wait():
        return 0

    assert rule(wait) is wait
