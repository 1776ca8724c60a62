"""Walking distances over the open floor: how far it is to every object from every tile, agents ignored."""

from __future__ import annotations

import numpy as np

from townlet_core.simulation.compiled import kernel, rule
from townlet_core.vocab import EAST, NORTH, SOUTH, WEST

NOWHERE = 32_767  # no way leads there
# Direction of each move; the index is action id - NORTH.
STEP_X = np.array([0, 1, 0, -1], np.int64)
STEP_Y = np.array([-1, 0, 1, 0], np.int64)
assert (NORTH, EAST, SOUTH, WEST) == (1, 2, 3, 4)


def distances_to(positions: list[tuple[int, int]], open_floor: np.ndarray) -> np.ndarray:
    """Measure the steps from every tile to each position, which itself need not be open.

    open_floor: (H, W) bool. Returns (N, H, W) int16: 0 at the position, 1 beside it, NOWHERE without a way.
    """
    height, width = open_floor.shape
    result = np.full((len(positions), height, width), NOWHERE, np.int16)
    for field, (x, y) in zip(result, positions, strict=True):
        _flood(field, open_floor, x, y, np.zeros((height * width, 2), np.int16))
    return result


def nearest_objects(distance: np.ndarray, kinds: list[int], kind_count: int) -> np.ndarray:
    """Name the nearest object of each kind for every tile, the lowest index at equality.

    distance: (O, H, W). Returns (H, W, K) int16, -1 where a kind can't be reached.
    """
    height, width = distance.shape[1:]
    result = np.full((height, width, kind_count), -1, np.int16)
    best = np.full((height, width, kind_count), NOWHERE, np.int16)
    for o, kind in enumerate(kinds):
        closer = distance[o] < best[:, :, kind]
        result[:, :, kind][closer] = o
        best[:, :, kind][closer] = distance[o][closer]
    return result


@kernel()
def _flood(field: np.ndarray, open_floor: np.ndarray, x: int, y: int, frontier: np.ndarray) -> None:
    """Fill `field` with breadth-first distances from (x, y), walking over open floor."""
    field[y, x] = 0
    frontier[0, 0], frontier[0, 1] = x, y
    head, tail = 0, 1
    while head < tail:
        cx, cy = frontier[head]
        head += 1
        for d in range(4):
            nx, ny = cx + STEP_X[d], cy + STEP_Y[d]
            inside = 0 <= nx < field.shape[1] and 0 <= ny < field.shape[0]
            if inside and open_floor[ny, nx] and field[ny, nx] == NOWHERE:
                field[ny, nx] = field[cy, cx] + 1
                frontier[tail, 0], frontier[tail, 1] = nx, ny
                tail += 1


@rule
def next_step(field: np.ndarray, x: int, y: int) -> int:
    """Return the direction 0–3 (north, east, south, west) of the first step that shortens the way, or -1.

    Beside the goal (distance 1) that is the direction of the goal itself.
    """
    here = field[y, x]
    if here == NOWHERE or here == 0:
        return -1
    for d in range(4):
        nx, ny = x + STEP_X[d], y + STEP_Y[d]
        if 0 <= nx < field.shape[1] and 0 <= ny < field.shape[0] and field[ny, nx] == here - 1:
            return d
    return -1
