"""numpy's random numbers as a function of coordinates, for shuffles; `rng` has those of the town.

Apart from `rng` because that loads numba's compiler, 65 MB that readers of replay data do without.
"""

from __future__ import annotations

import numpy as np


def generator(*coordinates: int) -> np.random.Generator:
    """Return a numpy generator (Philox, counter-based) seeded with these coordinates."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(list(coordinates))))
