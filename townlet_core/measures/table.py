"""The measures: names, meanings, and how each follows from the sums of an episode."""

from __future__ import annotations

import numpy as np

from townlet_core.estimates import Estimate, estimate_mean
from townlet_core.measures.inequality import gini, hierarchy
from townlet_core.measures.tally import Rows
from townlet_core.vocab import NEEDS

_RATES = {  # per 1,000 agent steps
    "conflicts": "conflict_events",
    "intensity": "conflict_intensity",
    "handovers": "queue_handover",
    "shared_meals": "shared_meal",
    "late_help": "late_help",
    "shift_takeovers": "shift_takeover",
    "chats": "chat_success",
    "chat_failures": "chat_failure",
    "sleeps": "sleep_complete",
}

# What is measured, once per episode. Rates are per 1,000 agent steps: ticks of one agent in town.
# An agent here is a slot of the scenario: a newcomer's rewards count with those of the agent it replaced.
MEASURES = {
    "return": "sum of rewards over the episode, mean over agents",
    "return_min": "return of the worst-off agent of the episode",
    "return_range": "highest return of an agent less the lowest",
    "return_first_life": "return up to an agent's first faint, without what newcomers earn",
    "conflicts": "queue conflicts per 1,000 agent steps",
    "intensity": "their intensity per 1,000 agent steps",
    "peace": "fraction of agent steps without a queue conflict",
    "reciprocity": "fraction of lost contests that the winner lost to the loser as well",
    "hierarchy": "Landau's linearity of who loses to whom: 1 is a pecking order, 0 none",
    **{f"need_{need}": "mean satisfaction over agent steps, 0 to 1" for need in NEEDS},
    "late_ticks": "penalised late ticks per agent",
    "wages": "money earned per agent",
    "uses": "affordances completed per agent",
    "sustainability": "mean time of the uses, as a fraction of the episode, mean over agents",
    "faints": "faints per agent",
    "gini_wages": "Gini coefficient of the agents' wages: 0 is equal, also where nobody earns anything",
    "gini_uses": "Gini coefficient of the affordances that the agents completed",
    "gini_needs": "Gini coefficient of the agents' mean satisfaction of all needs",
    "handovers": "polite hand-overs in a queue per 1,000 agent steps",
    "shared_meals": "shared meals per 1,000 agent steps",
    "late_help": "times that a late colleague was helped per 1,000 agent steps",
    "shift_takeovers": "shifts of absent colleagues taken over per 1,000 agent steps",
    "chats": "successful chats per 1,000 agent steps",
    "chat_failures": "failed chats per 1,000 agent steps",
    "sleeps": "sleeps completed per 1,000 agent steps",
}


def measure_episodes(rows: Rows) -> np.ndarray:
    """Compute every measure of each episode, (episodes, measures) float64 in the order of MEASURES.

    A measure that an episode does not define is NaN, such as the reciprocity of one without a conflict.
    """
    lived_ticks = rows["lived"].sum(1)
    satisfaction = sum(rows[need] for need in NEEDS) / (len(NEEDS) * np.maximum(rows["lived"], 1))
    returns, uses = rows["reward"], rows["uses"]
    found = {
        "return": returns.mean(1),
        "return_min": returns.min(1),
        "return_range": np.ptp(returns, axis=1),
        "return_first_life": rows["first_reward"].mean(1),
        "peace": 1 - rows["in_conflict"].sum(1) / lived_ticks,
        "reciprocity": _ratio(rows["returned"].sum(1), rows["lost"].sum(1)),
        "hierarchy": hierarchy(rows["dominated"]),
        "late_ticks": rows["late"].mean(1),
        "wages": rows["earned"].mean(1),
        "uses": uses.mean(1),
        "sustainability": _mean_of_defined(_ratio(rows["use_ticks"], uses * rows["ticks"])),
        "faints": rows["terminated"].mean(1),
        "gini_wages": _ginis(rows["earned"]),
        "gini_uses": _ginis(uses),
        "gini_needs": _ginis(satisfaction),
        **{f"need_{need}": rows[need].sum(1) / lived_ticks for need in NEEDS},
        **{name: 1000 * rows[row].sum(1) / lived_ticks for name, row in _RATES.items()},
    }
    return np.stack([found[name] for name in MEASURES], axis=1)


def estimate_measures(values: np.ndarray) -> dict[str, Estimate]:
    """Estimate every measure's mean over the episodes that define it; NaN without any, no interval of one.

    values: (episodes, measures), of measure_episodes.
    """
    return {name: _estimate(values[:, m]) for m, name in enumerate(MEASURES)}


def _estimate(values: np.ndarray) -> Estimate:
    defined = values[~np.isnan(values)]
    if len(defined) > 1:
        return estimate_mean(defined)
    return Estimate(float(defined[0]) if len(defined) else np.nan, np.nan, np.nan)


def _ratio(amounts: np.ndarray, of: np.ndarray) -> np.ndarray:
    """Divide; NaN where there is nothing to divide by."""
    return np.divide(amounts, of, out=np.full(np.shape(of), np.nan), where=of > 0)


def _mean_of_defined(values: np.ndarray) -> np.ndarray:
    """Return the mean over agents, (episodes,), without those that are NaN."""
    is_defined = ~np.isnan(values)
    return _ratio(np.where(is_defined, values, 0).sum(1), is_defined.sum(1).astype(float))


def _ginis(amounts: np.ndarray) -> np.ndarray:
    return np.array([gini(of_episode) for of_episode in amounts])
