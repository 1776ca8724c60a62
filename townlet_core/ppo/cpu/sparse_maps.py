"""Binary maps as lists of ones: a linear layer on them is an exact sum of few weight rows.

A map selects rows of the transposed weight matrix, and a row of the gradient is the sum over the maps that
select it. `embedding_bag` adds both in a fixed order.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np

from townlet_core.kernels import cached_njit, folder_of
from townlet_core.ppo.device import torch


class OnePositions(NamedTuple):
    """The places of the ones in N binary maps of M tiles."""

    starts: np.ndarray  # (N + 1,) uint32: those of map i stand from starts[i] to starts[i + 1]
    tiles: np.ndarray  # (K,) uint32, rising within a map


class SparseMaps(NamedTuple):
    """The ones of some maps, listed by map and by tile; lists end where the next one starts."""

    tiles: torch.Tensor  # (k,) int32, map after map
    map_starts: torch.Tensor  # (n + 1,) int32
    maps: torch.Tensor  # (k,) int32, tile after tile, rising within a tile
    tile_starts: torch.Tensor  # (M + 1,) int32


def find_one_positions(maps: np.ndarray) -> OnePositions | None:
    """List the ones of maps (N, …), or return None if any of them is neither 0 nor 1."""
    flat = maps.reshape(len(maps), math.prod(maps.shape[1:]))
    if flat.size >= 1 << 31:
        return None  # more than the lists can count
    if flat.dtype != np.uint8:
        binary = flat == 1
        if not np.array_equal(binary, flat):
            return None
        flat = binary.view(np.uint8)
    elif flat.max(initial=0) > 1:
        return None
    flat = np.ascontiguousarray(flat)
    starts = np.empty(len(flat) + 1, np.uint32)
    count_one_positions(flat, starts)
    tiles = np.empty(starts[-1] + 1, np.uint32)  # one more: the last write is a dummy
    list_one_positions(flat, tiles)
    return OnePositions(starts, tiles[:-1])


def select_maps(ones: OnePositions, rows: np.ndarray, tile_count: int) -> SparseMaps:
    """List the ones of the maps at `rows` (n,), in the order of `rows`."""
    map_starts = np.zeros(len(rows) + 1, np.uint32)
    np.cumsum(ones.starts[rows + 1] - ones.starts[rows], out=map_starts[1:])
    tiles, maps = np.empty((2, map_starts[-1]), np.uint32)
    tile_starts = np.zeros(tile_count + 2, np.uint32)
    sort_one_positions(ones.starts, ones.tiles, rows.view(np.uint64), tiles, maps, tile_starts)
    lists = (tiles, map_starts, maps, tile_starts[:-1])
    return SparseMaps(*(torch.from_numpy(numbers.view(np.int32)) for numbers in lists))


def add_rows(table: torch.Tensor, numbers: torch.Tensor, starts: torch.Tensor) -> torch.Tensor:
    """Add up the rows of `table` (·, W) that each list names; returns (lists, W)."""
    return torch.nn.functional.embedding_bag(numbers, table, starts, mode="sum", include_last_offset=True)


@cached_njit(folder_of([Path(__file__)]))
def count_one_positions(maps: np.ndarray, starts: np.ndarray) -> None:
    """Fill `starts` (n + 1,) with the number of 1s before each map."""
    starts[0] = 0
    for i in range(len(maps)):
        count = 0
        for tile in range(maps.shape[1]):
            count += int(maps[i, tile])  # int: plain Python would add within eight bits
        starts[i + 1] = starts[i] + count


@cached_njit(folder_of([Path(__file__)]))
def list_one_positions(maps: np.ndarray, tiles: np.ndarray) -> None:
    """Fill `tiles` with the tile of every 1 in the maps, map after map."""
    count = 0
    for i in range(len(maps)):
        for tile in range(maps.shape[1]):
            tiles[count] = tile  # without a branch: the next one overwrites a zero's
            count += int(maps[i, tile])  # int: plain Python would add within eight bits


@cached_njit(folder_of([Path(__file__)]))
def sort_one_positions(
    starts: np.ndarray,
    all_tiles: np.ndarray,
    rows: np.ndarray,
    tiles: np.ndarray,
    maps: np.ndarray,
    tile_starts: np.ndarray,
) -> None:
    """Copy the lists of `rows`, and sort them by tile: count, add up, and put each in its place.

    All arrays hold unsigned numbers, rows uint64 and the others uint32: for a signed one, numba asks at every
    access whether it counts from the end, and takes twice as long.
    """
    one, two, filled = np.uint32(1), np.uint32(2), np.uint32(0)
    for row in rows:
        for place in range(starts[row], starts[row + one]):
            tile = all_tiles[place]
            tiles[filled] = tile
            tile_starts[tile + two] += one
            filled += one
    for tile in range(2, len(tile_starts)):
        tile_starts[tile] += tile_starts[tile - 1]
    filled = np.uint32(0)
    for i in range(len(rows)):
        for _ in range(starts[rows[i]], starts[rows[i] + one]):
            tile = tiles[filled]
            maps[tile_starts[tile + one]] = i
            tile_starts[tile + one] += one
            filled += one
