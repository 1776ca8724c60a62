"""PettingZoo: agent-steps per second of one environment under random actions, observations included."""

from __future__ import annotations

import os
from typing import Any

os.environ.update(PYGAME_HIDE_SUPPORT_PROMPT="1", SDL_VIDEODRIVER="dummy")

from pettingzoo.butterfly import knights_archers_zombies_v11
from pettingzoo.sisl import pursuit_v5
from serve import rate, serve

ENVIRONMENTS: dict[str, Any] = {}


def measure(environment: str, towns: int, seconds: float) -> float:
    """Play on from where the last call stopped; one environment, as it plays one at a time."""
    if not ENVIRONMENTS:
        ENVIRONMENTS["pursuit"] = pursuit_v5.parallel_env()
        ENVIRONMENTS["knights-archers-zombies"] = knights_archers_zombies_v11.parallel_env()
        for environment_of_all in ENVIRONMENTS.values():
            environment_of_all.reset(seed=0)
    return rate(lambda: step(ENVIRONMENTS[environment]), seconds)


def step(environment: Any) -> int:
    """Let everybody act once, begin the next episode when nobody is left; return how many acted."""
    actions = {agent: environment.action_space(agent).sample() for agent in environment.agents}
    environment.step(actions)
    if not environment.agents:
        environment.reset()
    return len(actions)


if __name__ == "__main__":
    serve(measure)
