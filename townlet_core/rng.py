"""Counter-based random numbers: a draw is a pure function of (seed, town, episode, tick, agent, purpose).

There is no hidden state, so batch size, thread count and order of calls cannot change a draw.
"""

from __future__ import annotations

import numba
import numpy as np

# The purpose of a draw. Two purposes never share a number.
DRAW_ORDER, DRAW_EXPLORE, DRAW_EXPLORE_ACTION, DRAW_TIE, DRAW_SOCIAL, DRAW_POLICY = range(6)
DRAW_HAPPENS, DRAW_START = 6, 7  # of a perturbation: its number takes the place of the agent's

_STEP = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio, as in splitmix64
_MIX_A = np.uint64(0xBF58476D1CE4E5B9)
_MIX_B = np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31, _S11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)
_UNIT = 1.0 / (1 << 53)


@numba.njit
def mix(state: np.uint64, coordinate: int | np.uint64) -> np.uint64:
    """Fold one more coordinate into `state`.

    Source: the splitmix64 finaliser, Steele, Lea and Flood 2014, doi:10.1145/2660193.2660195.
    """
    z = (np.uint64(state) ^ np.uint64(coordinate)) + _STEP
    z = (z ^ (z >> _S30)) * _MIX_A
    z = (z ^ (z >> _S27)) * _MIX_B
    return z ^ (z >> _S31)


@numba.njit
def town_key(seed: np.uint64, town: int, episode: int) -> np.uint64:
    """Return the key of all draws of one episode of one town."""
    return mix(mix(mix(np.uint64(0), seed), town), episode)


@numba.njit
def draw_bits(key: np.uint64, tick: int, agent: int, draw: int) -> np.uint64:
    """Draw 64 uniform bits at these coordinates."""
    return mix(mix(mix(key, tick), agent), draw)


@numba.njit
def draw_unit(key: np.uint64, tick: int, agent: int, draw: int) -> float:
    """Draw a float64 uniform in [0, 1) at these coordinates."""
    return np.float64(draw_bits(key, tick, agent, draw) >> _S11) * _UNIT
