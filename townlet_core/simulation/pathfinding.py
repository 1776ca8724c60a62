"""Shortest paths over the open floor from every tile to every object; agents are ignored."""

from __future__ import annotations

import numpy as np

from townlet_core.simulation.numba_support import kernel
from townlet_core.simulation.state import NOBODY, record
from townlet_core.vocab import DISTANCE_SCALE, EAST, NORTH, SOUTH, WEST

NOWHERE = 32_767  # unreachable
WAY = record(
    [
        ("step_x", np.float32),  # the first step; 0, 0 if unreachable
        ("step_y", np.float32),
        ("distance", np.float32),  # steps / (steps + DISTANCE_SCALE), 0 if unreachable
        ("object", np.int32),  # the goal, or -1 if unreachable
    ]
)
# Direction of each move; the index is action id - NORTH.
STEP_X = np.array([0, 1, 0, -1], np.int64)
STEP_Y = np.array([-1, 0, 1, 0], np.int64)
assert (NORTH, EAST, SOUTH, WEST) == (1, 2, 3, 4)


def distances_to(positions: list[tuple[int, int]], open_floor: np.ndarray) -> np.ndarray:
    """Measure the steps from every tile to each position, which itself need not be open.

    open_floor: (H, W) bool. Returns (N, H, W) int16: 0 at the position, 1 beside it, NOWHERE if unreachable.
    """
    height, width = open_floor.shape
    result = np.full((len(positions), height, width), NOWHERE, np.int16)
    for field, (x, y) in zip(result, positions, strict=True):
        _flood(field, open_floor, x, y, np.zeros((height * width, 2), np.int16))
    return result


def ways_along(distance: np.ndarray) -> np.ndarray:
    """Point from every tile along each distance field: to the first of N, E, S, W that is nearer.

    distance: (N, H, W). Returns (N, H, W) WAY; beside the goal, the step is the direction of the goal itself.
    """
    count, height, width = distance.shape
    padded = np.pad(distance, ((0, 0), (1, 1), (1, 1)), constant_values=NOWHERE)
    is_reachable = (distance > 0) & (distance < NOWHERE)
    ways = np.zeros(distance.shape, WAY)
    ways["object"] = np.where(distance < NOWHERE, np.arange(count)[:, None, None], NOBODY)
    ways["distance"][is_reachable] = distance[is_reachable] / (distance[is_reachable] + DISTANCE_SCALE)
    for step_x, step_y in reversed(
        [*zip(STEP_X, STEP_Y, strict=True)]
    ):  # the first direction is written last and wins
        next_distance = padded[:, 1 + step_y : 1 + step_y + height, 1 + step_x : 1 + step_x + width]
        nearer = is_reachable & (next_distance == distance - 1)
        ways["step_x"][nearer], ways["step_y"][nearer] = step_x, step_y
    return ways


def ways_to_kinds(distance: np.ndarray, ways: np.ndarray, kinds: list[int], kind_count: int) -> np.ndarray:
    """Choose the way to the nearest object of each kind for every tile, the lowest index at equality.

    distance: (O, H, W), and ways along it. Returns (H, W, K) WAY; `object` is -1 where none is reachable.
    """
    height, width = distance.shape[1:]
    result = np.zeros((height, width, kind_count), WAY)
    result["object"] = NOBODY
    best = np.full((height, width, kind_count), NOWHERE, np.int16)
    for o, kind in enumerate(kinds):
        closer = distance[o] < best[:, :, kind]
        result[:, :, kind][closer] = ways[o][closer]
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
