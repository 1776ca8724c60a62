"""PPO: an update on given data, whole cycles in live towns, and advantages, beside peers and bare network."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numba
import numpy as np
import torch

from benchmarks.beside import measure_beside
from benchmarks.figures import Effort, Figure, Measure, in_turn, rate
from benchmarks.peers import Ask, peer
from benchmarks.town import AGENTS, make_town
from townlet_core.policy.learned import network_for
from townlet_core.ppo.advantages import advantages
from townlet_core.ppo.config import NetworkConfig, PPOConfig
from townlet_core.ppo.network import ActorCritic
from townlet_core.ppo.options import Precision
from townlet_core.ppo.shards import Shards
from townlet_core.ppo.statistics import TrainBatch
from townlet_core.ppo.update import make_optimizer, update_policy
from townlet_core.training.advantage_targets import rollout_batch, rows_of
from townlet_core.training.rollout import Rollout
from townlet_core.training.settings import TrainingSettings
from townlet_core.training.signals import StopRequest
from townlet_core.vocab import ACTION_COUNT, MAP_SHAPE

FEATURES = 64
SIZES = {"big": 32_768, "small": 1_024}  # transitions
PARTS = 4  # minibatches
LANES = 256  # agents side by side, for cycles and advantages: 32 towns of eight
NETWORK = NetworkConfig(map_shape=MAP_SHAPE, feature_count=FEATURES, action_count=ACTION_COUNT)
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")
PEER = "Stable-Baselines3, fp32"


def measure(effort: Effort) -> list[Figure]:
    """Measure updates of both sizes and whole cycles on every thread count, then the advantages."""
    with peer("stable_baselines3", effort.full) as ask:
        sizes = SIZES if effort.full else {"tiny": 2 * LANES}
        figures = []
        for size, transitions in sizes.items():
            for threads in effort.threads:
                figures += _updates(size, transitions, threads, ask, effort)
        figures += _beside_others(max(sizes.values()), max(effort.threads), ask, effort)
        for threads in effort.threads:
            figures += _cycles(max(sizes.values()), threads, ask, effort)
        return [*figures, _advantages(max(sizes.values()), ask, effort)]


def _updates(size: str, transitions: int, threads: int, ask: Ask | None, effort: Effort) -> list[Figure]:
    """Measure ours, the peer and the bare network in turn, in both precisions."""
    torch.set_num_threads(threads)
    batch = random_batch(transitions)
    measures: dict[str, Measure] = {}
    for precision in PRECISIONS:
        measures[precision] = updater(batch, precision, effort.seconds)
        measures[f"bare {precision}"] = bare_stepper(batch, precision, effort.seconds)
    if ask:
        minibatch = transitions // PARTS
        request = {"transitions": transitions, "minibatch": minibatch, "threads": threads}
        measures[PEER] = partial(ask, what="update", seconds=effort.seconds, **request)
    medians = in_turn(effort.rounds, measures)
    return [
        Figure(
            name=f"{size} update, {transitions:,} transitions, {precision}",
            value=medians[precision],
            unit="transitions × epochs/s",
            threads=threads,
            peer=PEER if ask else None,
            peer_value=medians.get(PEER),
            limit=f"forward, backward, fused Adam alone, {precision}",
            limit_value=medians[f"bare {precision}"],
        )
        for precision in PRECISIONS
    ]


def _beside_others(transitions: int, threads: int, ask: Ask | None, effort: Effort) -> list[Figure]:
    torch.set_num_threads(threads)
    ours = updater(random_batch(transitions), "fp32", effort.seconds)
    request = {"transitions": transitions, "minibatch": transitions // PARTS, "threads": threads}
    return measure_beside(ours, ask, PEER, request, effort, threads)


def random_batch(count: int) -> TrainBatch:
    """Return transitions in the form in which a rollout hands them to an update; every action is possible."""
    rng = np.random.default_rng(0)
    old_values, advantages, returns, rewards = rng.normal(size=(4, count)).astype(np.float32)
    return TrainBatch(
        map=(rng.random((count, *MAP_SHAPE)) < 0.1).astype(np.uint8),
        features=rng.random((count, FEATURES), np.float32),
        action_mask=np.ones((count, ACTION_COUNT), bool),
        actions=rng.integers(0, ACTION_COUNT, count),
        old_log_probs=np.full(count, -np.log(ACTION_COUNT), np.float32),
        old_values=old_values,
        advantages=advantages,
        returns=returns,
        rewards=rewards,
    )


def updater(batch: TrainBatch, precision: Precision, seconds: float) -> Measure:
    """Return what measures our update."""
    network = ActorCritic(NETWORK, seed=0)
    config = PPOConfig(num_mini_batches=PARTS, precision=precision, device="cpu")
    optimizer = make_optimizer(network, config.learning_rate)

    shards = Shards(TrainingSettings().shards)
    parts = rows_of(batch, shards)

    def update() -> None:
        update_policy(network, optimizer, parts, config, (0,), config.learning_rate, shards=shards)

    return partial(rate_of_shards, shards, update, len(batch.actions) * config.num_epochs, seconds)


def rate_of_shards(shards: Shards, work: Callable[[], None], units: int, seconds: float) -> float:
    """Measure work on shards, on as many threads as torch has."""
    with shards.at_work():
        return rate(work, units, seconds)


def bare_stepper(batch: TrainBatch, precision: str, seconds: float) -> Measure:
    """Return what measures the network on one minibatch that lies ready: nothing shuffled, no PPO loss."""
    return partial(rate, one_step(batch, precision), len(batch.actions) // PARTS, seconds)


def one_step(batch: TrainBatch, precision: str) -> Callable[[], None]:
    """Return a step of the bare network on the first minibatch of a batch."""
    network = ActorCritic(NETWORK, seed=0)
    optimizer = make_optimizer(network, 1e-6)
    rows = len(batch.actions) // PARTS
    map, features = torch.from_numpy(batch.map[:rows]).float(), torch.from_numpy(batch.features[:rows])

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            logits, values = network(map, features)
        (logits.mean() + values.mean()).backward()
        optimizer.step()

    return step


def _cycles(transitions: int, threads: int, ask: Ask | None, effort: Effort) -> list[Figure]:
    """Measure whole cycles in real towns: act, play, observe, update; the peer's world does nothing."""
    numba.set_num_threads(threads)  # first: where both share one OpenMP, it changes torch's number, once
    torch.set_num_threads(threads)
    measures: dict[str, Measure] = {}
    for precision in PRECISIONS:
        measures[precision] = cycler(transitions, precision, effort.seconds)
        measures[f"bare {precision}"] = bare_cycler(transitions, precision, effort.seconds)
    if ask:
        request = {"transitions": transitions, "minibatch": transitions // PARTS, "threads": threads}
        measures[PEER] = partial(ask, what="cycle", seconds=effort.seconds, **request)
    medians = in_turn(effort.rounds, measures)
    return [
        Figure(
            name=f"end to end, {transitions:,} transitions a cycle, {precision}",
            value=medians[precision],
            unit="transitions/s",
            threads=threads,
            peer=f"{PEER}, in a world that does nothing" if ask else None,
            peer_value=medians.get(PEER),
            limit=f"the same forward passes and updates of the network alone, {precision}",
            limit_value=medians[f"bare {precision}"],
        )
        for precision in PRECISIONS
    ]


def cycler(transitions: int, precision: Precision, seconds: float) -> Measure:
    """Return what measures our cycles, in towns of eight shaped like town_day."""
    scenario, towns = make_town(), LANES // AGENTS
    settings = TrainingSettings(
        source="rollout",
        num_towns=towns,
        rollout_ticks=transitions // LANES,
        num_mini_batches=PARTS,
        precision=precision,
        device="cpu",
    )
    network = ActorCritic(network_for(scenario), seed=0)
    optimizer = make_optimizer(network, settings.learning_rate)
    shards = Shards(settings.shards)
    rollout = Rollout(scenario, settings, shards)
    policy, config = rollout.policy(network, precision), settings.ppo

    def cycle() -> None:
        rollout.play(policy, StopRequest())
        parts = shards.map(partial(rollout_batch, config=config), rollout.parts())
        update_policy(network, optimizer, parts, config, (0,), settings.learning_rate, shards=shards)

    return partial(rate_of_shards, shards, cycle, transitions, seconds)


def bare_cycler(transitions: int, precision: str, seconds: float) -> Measure:
    """Return what measures the network alone: a forward pass per tick, and the steps of an update.

    It sees FEATURES, fewer than an agent of the town does.
    """
    batch = random_batch(transitions)
    network = ActorCritic(NETWORK, seed=0)
    maps, features = torch.from_numpy(batch.map[:LANES]).float(), torch.from_numpy(batch.features[:LANES])
    step, config = one_step(batch, precision), PPOConfig()

    def cycle() -> None:
        autocast = torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16")
        with torch.inference_mode(), autocast:
            for _ in range(transitions // LANES):
                network(maps, features)
        for _ in range(PARTS * config.num_epochs):
            step()

    return lambda: rate(cycle, transitions, seconds)


def _advantages(transitions: int, ask: Ask | None, effort: Effort) -> Figure:
    rng = np.random.default_rng(0)
    ticks = transitions // LANES
    rewards = rng.normal(size=(ticks, LANES)).astype(np.float32)
    values = rng.normal(size=(ticks + 1, LANES)).astype(np.float32)
    dones = np.zeros((ticks, LANES), bool)
    source = np.ones((rewards.nbytes * 3 + dones.nbytes) // 2, np.uint8)  # read three arrays, write one
    target = np.empty_like(source)
    estimate = partial(advantages, rewards, values, dones, 0.99, 0.95)
    copy = partial(np.copyto, target, source)
    measures: dict[str, Measure] = {
        "ours": lambda: 1e9 / rate(estimate, transitions, effort.seconds),
        "limit": lambda: 1e9 / rate(copy, transitions, effort.seconds),
    }
    if ask:
        request = {"transitions": transitions, "minibatch": transitions // PARTS, "threads": 1}
        measures[PEER] = lambda: 1e9 / ask(what="gae", seconds=effort.seconds, **request)
    medians = in_turn(effort.rounds, measures)
    return Figure(
        name="advantages (GAE), per transition",
        value=medians["ours"],
        unit="ns",
        threads=1,
        peer=PEER if ask else None,
        peer_value=medians.get(PEER),
        limit="memcpy of as many bytes",
        limit_value=medians["limit"],
    )
