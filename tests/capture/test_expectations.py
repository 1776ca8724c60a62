"""The `expect` of a scenario notices a changed rule: each constant that matters there breaks it both ways."""

import pytest

from townlet_core.capture.capture import CaptureSettings, write_capture
from townlet_core.capture.totals import unmet_expectations
from townlet_core.policy.scripted import ScriptedPolicy
from townlet_core.scenario.load import load_scenario
from townlet_core.scenario.model import Scenario

MATTERS = {
    "queue_conflict": (
        "kinds.shower.duration_ticks",
        "kinds.shower.effects.hygiene",
        "rules.conflict.boost_contention",
        "rules.conflict.boost_impatience",
        "rules.conflict.intensity_per_waiter",
        "rules.needs.hygiene_decay",
        "rules.queues.patience_ticks",
        "rules.rivalry.decay_per_tick",
        "rules.rivalry.increment_per_conflict",
        "rewards.conflict_penalty",
        "rewards.hygiene_deficit",
    ),
    "kitchen_breakfast": (
        "kinds.fridge.duration_ticks",
        "kinds.fridge.effects.hunger",
        "kinds.stove.effects.hunger",
        "rules.needs.hunger_decay",
        "rewards.hunger_deficit",
    ),
    "employment_punctuality": (
        "jobs.baker.wage_rate",
        "jobs.grocer.start_tick",
        "jobs.grocer.lateness_penalty",
        "rules.employment.grace_ticks",
        "rewards.punctuality_bonus",
    ),
    "rivalry_decay": (
        "kinds.bench.effects.energy",
        "rules.conflict.boost_contention",
        "rules.needs.energy_decay",
        "rules.rivalry.decay_per_tick",
        "rules.rivalry.increment_per_conflict",
        "rewards.conflict_penalty",
    ),
    "observation_baseline": (
        "rules.needs.hunger_decay",
        "rules.needs.hygiene_decay",
        "rules.needs.energy_decay",
    ),
    "town_day": (
        "kinds.bed.duration_ticks",
        "kinds.fridge.effects.hunger",
        "kinds.shower.duration_ticks",
        "rules.conflict.boost_impatience",
        "rules.employment.absent_cutoff",
        "rules.employment.grace_ticks",
        "rules.needs.hunger_decay",
        "rules.queues.cooldown_ticks",
        "rules.queues.patience_ticks",
        "rules.rivalry.increment_per_conflict",
        "rewards.wages",
    ),
}


def changed(scenario: Scenario, path: str, factor: float) -> Scenario:
    """Return the scenario with the number at `path` times `factor`; whole numbers change by one at least."""
    words = scenario.model_dump()
    *way, last = path.split(".")
    block = words
    for part in way:
        block = block[part]
    before = block[last]
    if isinstance(before, int):
        block[last] = (
            max(round(before * factor), before + 1) if factor > 1 else min(int(before * factor), before - 1)
        )
    else:
        block[last] = before * factor
    return Scenario.model_validate(words)


def misses(scenario, folder):
    settings = CaptureSettings(ticks=scenario.ticks, seed=scenario.seed, epsilon=scenario.rules.epsilon)
    result = write_capture(scenario, ScriptedPolicy(scenario), settings, folder)
    return unmet_expectations(scenario, result.totals)


@pytest.mark.parametrize(
    ("name", "path"), [(name, path) for name, paths in MATTERS.items() for path in paths]
)
def test_another_constant_breaks_an_expectation(name, path, tmp_path):
    scenario = load_scenario(name)
    for factor in (1.25, 0.75):
        assert misses(changed(scenario, path, factor), tmp_path / f"{factor}"), f"{path} × {factor}"
