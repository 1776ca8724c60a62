"""MAgent2: agent-steps per second of a battle under random actions, observations included.

It is driven through its own `GridWorld`, whose calls take a whole army at once; the PettingZoo wrapper
around it takes agent by agent, and several times as long.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from magent2 import GridWorld
from serve import rate, serve

SIDE, ARMY = 45, 81  # tiles and agents of each of two armies, as in battle_v4
DRAWN_TICKS = 32  # random actions are drawn beforehand, as ours are
BATTLES: list[Battle] = []


class Battle:
    """A battle that begins again when half an army has fallen."""

    def __init__(self) -> None:
        self.world: Any = GridWorld("battle", map_size=SIDE)
        self.begin()
        self.armies = self.world.get_handles()
        actions = self.world.get_action_space(self.armies[0])[0]
        self.drawn = np.random.default_rng(0).integers(0, actions, (DRAWN_TICKS, ARMY), np.int32)
        self.tick = 0

    def begin(self) -> None:
        self.world.reset()
        for army in self.world.get_handles():
            self.world.add_agents(army, "random", n=ARMY)

    def step(self) -> int:
        """Let everybody look and act once; return how many did."""
        acted = 0
        self.tick += 1
        for army in self.armies:
            count = self.world.get_num(army)
            self.world.get_observation(army)
            self.world.set_action(army, self.drawn[self.tick % DRAWN_TICKS, :count])
            acted += count
        over = self.world.step()
        for army in self.armies:
            self.world.get_reward(army)
        self.world.clear_dead()
        if over or min(map(self.world.get_num, self.armies)) < ARMY // 2:
            self.begin()
        return acted


def measure(environment: str, towns: int, seconds: float) -> float:
    """Fight on from where the last call stopped. There is one environment, and one size."""
    if not BATTLES:
        BATTLES.append(Battle())
    return rate(BATTLES[0].step, seconds)


if __name__ == "__main__":
    serve(measure)
