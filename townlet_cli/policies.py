"""Turn `scripted`, `random` or the path of a checkpoint into a policy, for the commands that take one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from townlet_cli.console import command, warn
from townlet_core.errors import InputError, MissingFileError, did_you_mean

if TYPE_CHECKING:
    from townlet_core.capture.rollout import RecordedPolicy
    from townlet_core.policy.learned import LearnedPolicy
    from townlet_core.scenario.model import Scenario

SCRIPTS = ("scripted", "random")  # policies that need no network
FRESH = "fresh"  # a critic that has not been trained


def open_policy(
    name: str, scenario: Scenario, epsilon: float | None, source: str, deterministic: bool = False
) -> RecordedPolicy:
    """Open a policy by its name or by the path of its checkpoint.

    epsilon is for the script, `deterministic` for checkpoints: the most probable action instead of sampling.
    source: the name or file of the scenario, for the hint where the policy does not fit it.
    """
    from townlet_core.capture.rollout import scripted_policy

    if name in SCRIPTS:
        return scripted_policy(name, scenario, epsilon)
    return _load(name, scenario, source, deterministic)


def open_scored_policy(
    name: str, scenario: Scenario, epsilon: float | None, score: str, source: str, seed: int
) -> RecordedPolicy:
    """Open a script whose observations a critic values: that of a checkpoint, or a `fresh` one."""
    from townlet_core.capture.rollout import scripted_policy
    from townlet_core.policy.learned import ScoredPolicy
    from townlet_core.policy.loading import fresh_network

    script = scripted_policy(name, scenario, epsilon)
    if score == FRESH:
        return ScoredPolicy(script, fresh_network(scenario, seed), score)
    critic = _load(score, scenario, source, words=(FRESH,))
    return ScoredPolicy(script, critic.network, critic.value_source)


def _load(
    path: str,
    scenario: Scenario,
    source: str,
    deterministic: bool = False,
    words: tuple[str, ...] = SCRIPTS,
) -> LearnedPolicy:
    """Load a checkpoint; if there is none, name the nearest of the words that may stand in its place."""
    from townlet_core.policy.learned import LearnedPolicy, check_fits
    from townlet_core.policy.loading import load_network
    from townlet_core.ppo.device import use_one_thread

    use_one_thread()
    try:
        network = load_network(path)
    except MissingFileError as error:
        raise MissingFileError(f"{error}{did_you_mean(path, words)}", error.hint) from error
    try:
        check_fits(network.config, scenario, path)
    except InputError as error:
        error.hint = f"train one with: {command('train', source)}"  # by file, where it is not a bundled one
        raise
    return LearnedPolicy(network, deterministic=deterministic)


def scenario_of_run(name: str) -> str | None:
    """Return the scenario, a name or a path, that a run or its checkpoint was trained in, if it is known.

    Where the file has changed its meaning since, or is gone, that is the run's own copy.
    """
    if name in SCRIPTS:
        return None
    from townlet_core.training.origin import find_origin

    origin = find_origin(name)
    if origin and origin.warning:
        warn(origin.warning)
    return origin.name if origin else None


def is_same_scenario(name: str, scenario: Scenario) -> bool:
    """Whether a name or file is the same scenario as a loaded one."""
    from townlet_core.scenario.load import load_scenario, scenario_sha256

    return scenario_sha256(load_scenario(name)) == scenario_sha256(scenario)
