"""PufferLib: agent-steps per second of its C worlds under random actions, observations included.

As many worlds of eight agents are stepped in one call as we step towns.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import types
from collections.abc import Callable
from typing import Any

import numpy as np
from serve import rate, serve

AGENTS = 8
DRAWN_TICKS = 32  # random actions are drawn beforehand, as ours are


class Arrays:
    """What a batch of worlds reads and writes."""

    def __init__(self, worlds: int, shape: tuple[int, ...], kind: type) -> None:
        agents = worlds * AGENTS
        self.observations: np.ndarray = np.zeros((agents, *shape), kind)
        self.actions = np.zeros(agents, np.int32)
        self.rewards = np.zeros(agents, np.float32)
        self.terminals = np.zeros(agents, np.uint8)

    def all(self) -> tuple[np.ndarray, ...]:
        return self.observations, self.actions, self.rewards, self.terminals


def make_snakes(worlds: int) -> Callable[[], int]:
    """Make worlds as large as our towns, seen as far: 11 × 11 tiles of int8. The dead begin again at once."""
    arrays = Arrays(worlds, (11, 11), np.int8)
    side, agents, food = ([n] * worlds for n in (48, AGENTS, 25))
    seen, longest, corpses = 5, 256, True
    game = extension("snake.cy_snake").CySnake(
        *arrays.all(), side, side, agents, food, seen, longest, corpses, 0.1, 0.1, -1.0
    )
    return player(game, arrays, actions=4)


def make_warehouses(worlds: int) -> Callable[[], int]:
    """Make small warehouses with eight robots, which see the tiles around them: 27 float32."""
    arrays = Arrays(worlds, (27,), np.float32)
    size, small, requests, tile, nobody = (1280, 704), 2, 8, 64, -1
    game = extension("rware.cy_rware").CyRware(
        *arrays.all(), worlds, *size, small, AGENTS, requests, tile, nobody
    )
    return player(game, arrays, actions=5)


def extension(name: str) -> Any:
    """Import a part of pufferlib.ocean, around two mistakes of the wheel of 2.0.2.

    The package imports modules that are not in the wheel, so an empty one stands in for it. And the C
    function `step` of a world is hidden by an old one of the C library, unless the extension is told to
    prefer its own: a step would do nothing, a thousand million times per second.
    """
    if "pufferlib.ocean" not in sys.modules:
        found = importlib.util.find_spec("pufferlib")
        assert found is not None
        ocean = types.ModuleType("pufferlib.ocean")
        ocean.__path__ = [os.path.join(place, "ocean") for place in found.submodule_search_locations or ()]
        sys.modules[ocean.__name__] = ocean
    sys.setdlopenflags(os.RTLD_NOW | getattr(os, "RTLD_DEEPBIND", 0))
    return importlib.import_module(f"pufferlib.ocean.{name}")


def player(game: Any, arrays: Arrays, actions: int) -> Callable[[], int]:
    """Return what plays one tick of every world, after making sure that this changes what is seen."""
    drawn = np.random.default_rng(0).integers(0, actions, (DRAWN_TICKS, len(arrays.actions)), np.int32)
    ticks = 0

    def step() -> int:
        nonlocal ticks
        arrays.actions[:] = drawn[ticks % DRAWN_TICKS]
        ticks += 1
        game.step()
        return len(arrays.actions)

    game.reset()
    before = arrays.observations.copy()
    for _ in range(DRAWN_TICKS):
        step()
    if np.array_equal(before, arrays.observations):
        raise RuntimeError("this PufferLib does nothing in a step")
    return step


WORLDS = {"snake": make_snakes, "warehouse": make_warehouses}
PLAYED: dict[tuple[str, int], Callable[[], int]] = {}


def measure(environment: str, towns: int, seconds: float) -> float:
    """Play on from where the last call with as many worlds stopped."""
    asked = environment, towns
    if asked not in PLAYED:
        PLAYED[asked] = WORLDS[environment](towns)
    return rate(PLAYED[asked], seconds)


if __name__ == "__main__":
    serve(measure)
