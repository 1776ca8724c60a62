"""Bounds of feature columns by their names, as in the table of docs/data.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from townlet_core.vocab import (
    AGENTS,
    KIND_FEATURES,
    MEETING_FEATURES,
    NEIGHBOUR_FEATURES,
    OWN_FEATURES,
    PRICE_FEATURES,
    Feature,
)

_BY_NAME = {row.name: row for row in (*OWN_FEATURES, *MEETING_FEATURES)}
_BY_ENDING = {f"_{row.name}": row for row in (*KIND_FEATURES, *NEIGHBOUR_FEATURES, *PRICE_FEATURES)}


def bounds_of(names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the lower and the upper bound of each feature, (F,) float32 each.

    They are infinite for names that are not in the table. The number of agents is not known, so a feature
    that counts them has no upper bound.
    """
    rows = list(map(_row, names))
    low = [-np.inf if row is None else row.low for row in rows]
    high = [np.inf if row is None or row.high == AGENTS else row.high for row in rows]
    return np.array(low, np.float32), np.array(high, np.float32)


def _row(name: str) -> Feature | None:
    return _BY_NAME.get(name) or next(_matching(name), None)


def _matching(name: str) -> Iterator[Feature]:
    return (row for ending, row in _BY_ENDING.items() if name.endswith(ending))
