"""Turn `scripted`, `random` or the path of a checkpoint into a policy, for the commands that take one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from townlet_cli.console import command, warn
from townlet_core import io
from townlet_core.errors import InputError, MissingError

if TYPE_CHECKING:
    from townlet_core.capture.rollout import Policy
    from townlet_core.ppo.network import ActorCritic
    from townlet_core.scenario.model import Scenario

SCRIPTS = ("scripted", "random")  # policies that no checkpoint decides


def open_policy(
    name: str, scenario: Scenario, epsilon: float | None, source: str, deterministic: bool = False
) -> tuple[Policy, str]:
    """Return the policy and how its data is marked: `scripted`, `random`, or the weights' sha256.

    epsilon is for the script, `deterministic` for checkpoints: the most probable action instead of sampling.
    source: the name or file of the scenario, for the hint where the policy does not fit it.
    """
    from townlet_core.policy.scripted import ScriptedPolicy

    if name == "scripted":
        return ScriptedPolicy(scenario, epsilon), name
    if name == "random":
        return ScriptedPolicy(scenario, 1.0), name
    network, digest = open_network(name, scenario, source)
    from townlet_core.policy.learned import LearnedPolicy

    return LearnedPolicy(network, deterministic=deterministic), digest


def scenario_of_run(name: str) -> str | None:
    """Return the scenario, a name or a path, that a run or its checkpoint was trained in, if it is known.

    Where the file has changed its meaning since, or is gone, that is the run's own copy.
    """
    if name in SCRIPTS:
        return None
    from townlet_core.training.origin import origin_of
    from townlet_core.training.run_directory import is_run
    from townlet_core.training.run_file import read_run

    for folder in (Path(name), *Path(name).parents[:2]):  # of a run, of its checkpoints, of a generation
        if is_run(folder):
            origin = origin_of(folder, read_run(folder))
            if origin and origin.warning:
                warn(origin.warning)
            return origin.name if origin else None
    return None


def is_same_scenario(name: str, scenario: Scenario) -> bool:
    """Whether a scenario's name or file says the same as a scenario that is loaded."""
    from townlet_core.scenario.load import load_scenario, scenario_sha256

    return scenario_sha256(load_scenario(name)) == scenario_sha256(scenario)


def open_network(name: str, scenario: Scenario, source: str, seed: int = 0) -> tuple[ActorCritic, str]:
    """Load a checkpoint's network, or make a `fresh` one; return it and how it is marked."""
    if name != "fresh" and io.kind_of(Path(name)) is None:
        raise MissingError(
            f"{name}: no such checkpoint", "give `scripted`, `random`, or a run directory of `townlet train`"
        )
    from townlet_core.policy.learned import check_fits, discourage_release, network_for
    from townlet_core.ppo.checkpoint import load_checkpoint, restore_network
    from townlet_core.ppo.network import ActorCritic

    if name == "fresh":
        return discourage_release(ActorCritic(network_for(scenario), seed)), name
    checkpoint = load_checkpoint(Path(name))
    for warning in checkpoint.warnings:
        warn(warning)
    try:
        check_fits(checkpoint.about.network, scenario, name)
    except InputError as error:
        error.hint = f"train one with: {command('train', source)}"  # by file, where it is not a bundled one
        raise
    return restore_network(checkpoint), checkpoint.about.weights_sha256
