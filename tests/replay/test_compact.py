"""Packed flags come back as the flags they were, wherever a slice begins."""

import numpy as np
import pytest

from townlet_core.replay.compact import Bits, pack_bits


@pytest.mark.parametrize("start", [0, 1, 2, 7])
@pytest.mark.parametrize("stop", [7, 8, 11])
@pytest.mark.parametrize("width", [(3,), (4, 2), (4, 11, 11)])
def test_rows_of_bits_expand_to_the_flags_that_were_packed(start, stop, width):
    flags = np.random.default_rng(0).random((11, *width)) < 0.3
    rows, bits = slice(start, stop), Bits(pack_bits(flags), flags.shape)
    expanded = np.full((stop - start, *width), np.nan, np.float32)
    bits.expand(rows, expanded)
    assert np.array_equal(bits[rows], flags[rows])
    assert np.array_equal(expanded, flags[rows].astype(np.float32))
