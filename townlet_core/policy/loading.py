"""Networks and policies from the run or checkpoint that holds them."""

from __future__ import annotations

import warnings
from pathlib import Path

from townlet_core import io
from townlet_core.errors import MissingFileError, TownletWarning
from townlet_core.policy.learned import LearnedPolicy, bias_against_release, check_fits, network_for
from townlet_core.ppo.checkpoint import load_checkpoint, restore_network
from townlet_core.ppo.network import ActorCritic
from townlet_core.scenario.load import resolve_scenario
from townlet_core.scenario.model import Scenario


def load_policy(
    path: str | Path, scenario: Scenario | str | Path, *, deterministic: bool = False
) -> LearnedPolicy:
    """Load the network of a run or a checkpoint as a policy for the towns of a scenario.

    path: a run directory (its latest checkpoint), a generation, `latest.json` or `best.json`.
    deterministic: take the most probable action instead of sampling.
    Raises InputError if the network does not fit the scenario or the checkpoint is damaged, MissingFileError.
    A checkpoint that is read with a reservation, such as an older generation, is a TownletWarning.
    """
    town = resolve_scenario(scenario)
    network = load_network(path)
    check_fits(network.config, town, str(path))
    return LearnedPolicy(network, deterministic=deterministic)


def load_network(path: str | Path) -> ActorCritic:
    """Load the network of a run or a checkpoint, as load_policy does, whatever it was trained in."""
    if io.kind_of(Path(path)) is None:
        raise MissingFileError(
            f"{path}: no such checkpoint", "give `scripted`, `random`, or a run directory of `townlet train`"
        )
    checkpoint = load_checkpoint(Path(path))
    for warning in checkpoint.warnings:
        warnings.warn(warning, TownletWarning, stacklevel=2)
    return restore_network(checkpoint)


def fresh_network(scenario: Scenario, seed: int) -> ActorCritic:
    """Make the untrained network that training in this scenario begins with."""
    return bias_against_release(ActorCritic(network_for(scenario), seed))
