"""Train PPO of Stable-Baselines3 on a town, and compare it with chance and with the script.

    pip install '.[pettingzoo]' stable-baselines3
    python examples/stable_baselines3_queue_conflict.py

Every agent of every town is a row of one batch, and one network decides for all of them.
"""

from __future__ import annotations

import argparse

from stable_baselines3 import PPO

from townlet_core.capture.rollout import Policy
from townlet_core.envs.stable_baselines3 import ModelPolicy, TownVecEnv
from townlet_core.evaluate import evaluate
from townlet_core.policy.scripted import ScriptedPolicy
from townlet_core.scenario.load import load_scenario


def main() -> None:
    """Play chance, the script and the untrained network; train it; play it again."""
    options = argparse.ArgumentParser(description="Train PPO of Stable-Baselines3 on a town.")
    options.add_argument("--scenario", default="queue_conflict", help="name of a scenario, or a YAML file")
    options.add_argument("--steps", type=int, default=100_000, help="agent-ticks to learn from")
    options.add_argument("--towns", type=int, default=16, help="towns side by side")
    options.add_argument("--episodes", type=int, default=50, help="episodes to evaluate with")
    options.add_argument("--seed", type=int, default=0)
    asked = options.parse_args()

    scenario = load_scenario(asked.scenario)

    def show(name: str, policy: Policy) -> None:
        result = evaluate(scenario, policy, asked.episodes, seed=1000)["return"]
        print(f"{name:10}{result.mean:6.2f}   {result.low:.2f} … {result.high:.2f}", flush=True)

    model = PPO(
        "MultiInputPolicy",
        TownVecEnv(scenario, asked.towns, map_type="uint8"),
        n_steps=min(scenario.ticks, 256),
        batch_size=480,
        n_epochs=4,
        learning_rate=1e-3,
        ent_coef=0.01,
        seed=asked.seed,
        device="cpu",
    )
    print(f"{scenario.name}: return of an episode, mean of {asked.episodes}, 95 % interval")
    show("random", ScriptedPolicy(scenario, epsilon=1.0))
    show("scripted", ScriptedPolicy(scenario))
    show("before", ModelPolicy(model))
    model.learn(asked.steps)
    show("after", ModelPolicy(model))


if __name__ == "__main__":
    main()
