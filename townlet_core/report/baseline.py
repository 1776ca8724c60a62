"""The scripted policy's measures in a run's own scenario, to draw beside the learning curves."""

from __future__ import annotations

from townlet_core.estimates import Estimate
from townlet_core.evaluate import evaluate
from townlet_core.report.groups import Group
from townlet_core.scenario.model import Scenario
from townlet_core.training.origin import origin_of

EPISODES = 32  # one batch of towns
SEED = 1000  # of `townlet evaluate`, so that the numbers are the same


def scenario_of(group: Group) -> Scenario | None:
    """Return the scenario that a group was trained in; None for logs alone and runs on recordings alone.

    Raises ScenarioError, MissingError or InputError if it cannot be loaded any more.
    """
    stored = group.runs[0].stored
    origin = origin_of(stored.folder, stored.about) if stored else None
    return origin.scenario if origin else None


def scripted_baseline(scenario: Scenario, episodes: int) -> dict[str, Estimate]:
    """Evaluate the scripted policy as `townlet evaluate` does; the intervals are over episodes."""
    return evaluate(scenario, "scripted", episodes, SEED)
