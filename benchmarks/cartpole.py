"""Test the learner outside Townlet: our network, advantages and update on Gymnasium's CartPole-v1.

python -m benchmarks.cartpole [--seeds 5] [--steps 200000] [--output docs/cartpole.md]

Nothing of the town is involved: the map is a single zero and every action is legal.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode

from townlet_core import __version__, io
from townlet_core.chance import generator
from townlet_core.estimates import estimate_mean
from townlet_core.ppo.advantages import advantages
from townlet_core.ppo.config import NetworkConfig, PPOConfig, learning_rate_at
from townlet_core.ppo.moments import moments_of
from townlet_core.ppo.network import ActorCritic, act
from townlet_core.ppo.statistics import TrainBatch
from townlet_core.ppo.update import make_optimizer, update_policy

NETWORK = NetworkConfig(map_shape=(1, 1, 1), feature_count=4, action_count=2, hidden_size=64)
PPO = PPOConfig(learning_rate=1e-3, lr_schedule="linear")
POLES, TICKS = 16, 128  # at once, and per update
GOAL = 475.0  # what Gymnasium calls solved
EPISODES = 100
DRAWS, UPDATES, TRIALS = 0xCA, 0xCB, 0xCC  # coordinates of random draws


def choose(
    network: ActorCritic, poles: np.ndarray, uniforms: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Act on (N, 4) observations."""
    count = len(poles)
    return act(network, np.zeros((count, 1, 1, 1), np.float32), poles, np.ones((count, 2), bool), uniforms)


def train(seed: int, steps: int) -> ActorCritic:
    """Learn from `steps` steps of CartPole-v1, 2,048 at a time."""
    envs = make_poles(POLES)
    # The reward is 1 per tick and returns are near 100, so the value clip must be in standard deviations.
    network = ActorCritic(NETWORK, seed, normalise_returns=True)
    optimizer = make_optimizer(network, PPO.learning_rate)
    poles, _ = envs.reset(seed=seed)
    cycles = max(1, steps // (POLES * TICKS))
    for cycle in range(cycles):
        batch, poles = play(envs, network, poles, generator(seed, DRAWS, cycle).random((TICKS, POLES)))
        network.update_return_stats(moments_of(batch.returns[:, None]))
        rate = learning_rate_at(PPO, cycle / cycles)
        update_policy(network, optimizer, [batch], PPO, (seed, UPDATES, cycle), rate)
    envs.close()
    return network


def make_poles(count: int) -> gymnasium.vector.VectorEnv:
    kind = {"autoreset_mode": AutoresetMode.SAME_STEP}
    return gymnasium.make_vec("CartPole-v1", count, vectorization_mode="sync", vector_kwargs=kind)


def play(
    envs: gymnasium.vector.VectorEnv, network: ActorCritic, poles: np.ndarray, uniforms: np.ndarray
) -> tuple[TrainBatch, np.ndarray]:
    """Play len(uniforms) ticks; returns them with their advantages, and the next observations."""
    shape = uniforms.shape
    seen = np.zeros((*shape, 4), np.float32)
    actions, dones = np.zeros(shape, np.int64), np.zeros(shape, bool)
    log_probs, rewards, finals = (np.zeros(shape, np.float32) for _ in range(3))
    values = np.zeros((shape[0] + 1, shape[1]), np.float32)
    for t, draws in enumerate(uniforms):
        seen[t] = poles
        actions[t], log_probs[t], values[t] = choose(network, poles, draws)
        poles, rewards[t], terminated, truncated, info = envs.step(actions[t])
        dones[t] = terminated | truncated
        if truncated.any():  # bootstrap at time-limit truncation
            finals[t, truncated] = choose(network, np.stack(info["final_obs"][truncated]), None)[2]
    values[-1] = choose(network, poles, None)[2]
    estimates = advantages(rewards, values, dones, PPO.gamma, PPO.gae_lambda, finals)
    columns = (actions, log_probs, values[:-1], estimates, estimates + values[:-1], rewards)
    count = actions.size
    maps, masks = np.zeros((count, 1, 1, 1), np.float32), np.ones((count, 2), bool)
    return TrainBatch(maps, seen.reshape(count, 4), masks, *(c.reshape(-1) for c in columns)), poles


def evaluate(network: ActorCritic, seed: int, episodes: int = EPISODES) -> np.ndarray:
    """Return the returns of whole episodes, one per pole, with the most probable action."""
    envs = make_poles(episodes)
    poles, _ = envs.reset(seed=int(generator(seed, TRIALS).integers(2**31)))
    returns, standing = np.zeros(episodes), np.ones(episodes, bool)
    while standing.any():
        poles, rewards, terminated, truncated, _ = envs.step(choose(network, poles, None)[0])
        returns += rewards * standing
        standing &= ~(terminated | truncated)
    envs.close()
    return returns


def page(seeds: int, steps: int) -> list[str]:
    """Train and evaluate each seed; returns the lines of docs/cartpole.md."""
    lines = [
        "# CartPole-v1",
        "",
        f"Written by `python -m benchmarks.cartpole --seeds {seeds} --steps {steps}`, Townlet {__version__}.",
        "",
        "This page tests the learner on a task outside Townlet: Gymnasium's CartPole-v1. The network, the",
        "advantages and the update are those of `townlet train`, with running statistics of the returns.",
        f"Each seed trains from scratch for {steps:,} environment steps, then plays {EPISODES} episodes with",
        f"the most probable action. The maximum return is 500; a mean of {GOAL:.0f} counts as solved.",
        "",
        "| seed | mean return | minimum return |",
        "| --- | --- | --- |",
    ]
    means = []
    for seed in range(seeds):
        began = time.perf_counter()
        returns = evaluate(train(seed, steps), seed)
        means.append(returns.mean())
        lines.append(f"| {seed} | {returns.mean():.1f} | {returns.min():.0f} |")
        print(f"{lines[-1]} in {time.perf_counter() - began:.0f} s", file=sys.stderr)
    all_seeds = estimate_mean(np.array(means))
    verdict = "solved" if all_seeds.mean >= GOAL else "not solved"
    interval = f"{all_seeds.mean:.1f} [{all_seeds.low:.1f}, {all_seeds.high:.1f}]"
    return [
        *lines,
        "",
        f"Mean over {seeds} seeds with its 95 % Student's t interval: {interval}, {verdict}.",
        "",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=200_000)
    parser.add_argument("--output", type=Path, default=Path("docs/cartpole.md"))
    wanted = parser.parse_args()
    lines = page(wanted.seeds, wanted.steps)
    io.write_file(wanted.output, "\n".join(lines).encode())
    print("\n".join(lines))


if __name__ == "__main__":
    main()
