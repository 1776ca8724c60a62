"""Alert limits from measured runs: what each rule would have had to allow, how far seeds lie apart, a margin.

A rule trips when a value lies beyond its limit for so many records in a row. So a run is described by one
number, its extreme: the limit beyond which the rule would not have tripped. The limit of a rule lies SPREADS
standard deviations beyond the mean extreme of the seeds of each kind of run, and at least a margin beyond
the worst of them.
"""

# Tables and prose, one row per line.
# ruff: noqa: E501
from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

SPREADS = 5.0
MARGIN = 4.0  # a factor of positive values
FALLING_MARGIN = 30.0  # of those that fall for as long as a run learns; a longer run falls further
RANGE, SIZE = 2, 4  # of other values: a half of their range, and a quarter of the largest


class Scale(NamedTuple):
    """How values are made comparable before means and spreads are taken."""

    to: Callable[[np.ndarray], np.ndarray]
    back: Callable[[float], float]
    step: Callable[[np.ndarray], float]  # the margin, on the scale


TINY = 1e-12  # in the place of 0, which has no logarithm
LOG = Scale(lambda x: np.log(np.maximum(x, TINY)), math.exp, lambda x: math.log(MARGIN))
FALLING = LOG._replace(step=lambda x: math.log(FALLING_MARGIN))
LINEAR = Scale(lambda x: x, float, lambda x: float(max(np.ptp(x) / RANGE, np.abs(x).max() / SIZE)))


class Template(NamedTuple):
    """A rule without its limit."""

    field: str
    modes: tuple[str, ...]
    side: str  # ">" or "<"
    records: int  # in a row
    scale: Scale | None  # None: the limit is fixed
    why: str
    fixed: float = 0.0
    anywhere: bool = False  # the field means the same whatever the scenario


BOTH, ROLLOUT, REPLAY = ("rollout", "replay"), ("rollout",), ("replay",)
# fmt: off
TEMPLATES = (
    Template("skipped_updates", BOTH, ">", 1, None, "loss or gradient was not finite; look for NaN in the data, lower the learning rate", anywhere=True),
    Template("lr", BOTH, "<=", 1, None, "nothing is learned with a learning rate of 0", anywhere=True),
    Template("updates", BOTH, "<", 1, None, "an epoch without an optimiser step", fixed=1, anywhere=True),
    Template("invalid_action_fraction", ROLLOUT, ">", 1, None, "masked actions were taken: mask and towns disagree", fixed=0.01, anywhere=True),
    Template("kl_divergence_max", BOTH, ">", 2, LOG, "the policy moves too far in one update; lower the learning rate or the epochs, or set a target KL", anywhere=True),
    Template("kl_divergence", BOTH, "<", 8, FALLING, "the policy does not move; is the network frozen, or the learning rate far too low?", anywhere=True),
    Template("clip_fraction", ROLLOUT, ">", 2, LINEAR, "most ratios leave the clip range; lower the learning rate or the epochs", anywhere=True),
    Template("grad_norm_max", BOTH, ">", 1, LOG, "gradients explode; look at the rewards' scale, lower the learning rate"),
    Template("grad_norm", BOTH, "<", 8, FALLING, "gradients vanish; there is nothing to learn from, or a part of the network is dead"),
    Template("loss_value", BOTH, ">", 2, LOG, "the critic is far off; look at the rewards' scale, lower the learning rate"),
    Template("loss_total", BOTH, "<", 2, LINEAR, "one term outweighs the others; look at the entropy coefficient"),
    Template("loss_value", ROLLOUT, "<", 4, FALLING, "the critic has nothing to predict; are the rewards still there?"),
    Template("batch_entropy_mean", BOTH, "<", 4, FALLING, "the policy has collapsed to one action per state; raise the entropy coefficient, lower the learning rate"),
    Template("batch_entropy_mean", ROLLOUT, ">", 8, LINEAR, "the policy stays random; lower the entropy coefficient, or look for a dead reward"),
    Template("explained_variance", ROLLOUT, "<", 8, LINEAR, "the critic predicts worse than a constant; look at the value loss and its coefficient"),
    Template("reward_mean", ROLLOUT, "<", 4, LINEAR, "worse than any healthy run; did the scenario or its rewards change?"),
    Template("reward_mean", ROLLOUT, ">", 2, LINEAR, "better than any healthy run; are the rewards still what they were?"),
    Template("reward_mean", REPLAY, "<", 1, LINEAR, "recordings of another policy or scenario than usual, or of older rewards"),
    Template("reward_mean", REPLAY, ">", 1, LINEAR, "recordings of another policy or scenario than usual, or of older rewards"),
    Template("reward_std", BOTH, "<", 2, LOG, "rewards hardly vary: the reward is dead or saturated"),
    Template("reward_std", BOTH, ">", 2, LOG, "rewards vary more than in any healthy run; has their scale changed?"),
    Template("reward_advantage_corr", ROLLOUT, ">", 4, LINEAR, "advantages are hardly more than rewards; look at gamma and the critic"),
    Template("ess_fraction", REPLAY, "<", 1, LOG, "recordings are too far from the policy to learn from; capture new ones", anywhere=True),
    Template("ess_fraction", ROLLOUT, "<", 3, LINEAR, "the policy left its own rollout behind; lower the learning rate or the epochs", anywhere=True),
    Template("ratio_mean", REPLAY, ">", 1, LOG, "recorded log-probabilities are not those of the policy that acted, or are stale", anywhere=True),
    Template("conflict.rivalry_max_mean_avg", ROLLOUT, ">", 2, LINEAR, "more rivalry than in any healthy run: agents race instead of taking turns"),
)
# fmt: on


class Limit(NamedTuple):
    """A rule with its limit, and the measurements behind it."""

    template: Template
    mode: str
    number: float
    extremes: list[float]  # one per run

    @property
    def rule(self) -> str:
        """Return the rule as alert rules are written."""
        count = f" for {self.template.records}" if self.template.records > 1 else ""
        return f"{self.template.field} {self.template.side} {self.number:.3g}{count}"


def extreme(values: np.ndarray, template: Template) -> float:
    """Return the limit beyond which a rule would not have tripped on these values; NaN if there are too few."""
    if len(values) < template.records:
        return math.nan
    windows = np.lib.stride_tricks.sliding_window_view(values, template.records)
    if template.side == ">":
        return float(windows.min(axis=1).max())
    return float(windows.max(axis=1).min())


def limit_of(template: Template, mode: str, runs: dict[str, list[np.ndarray]]) -> Limit | None:
    """Return the rule for the values of runs by kind; None where healthy runs leave no room for one."""
    by_kind = {kind: [extreme(values, template) for values in seeds] for kind, seeds in runs.items()}
    found = [value for values in by_kind.values() for value in values if math.isfinite(value)]
    if not found:
        return None
    if template.scale is None:
        return Limit(template, mode, template.fixed, found)
    scale, sign = template.scale, 1 if template.side == ">" else -1
    step = scale.step(np.concatenate([values for seeds in runs.values() for values in seeds]))
    if step == 0 or (scale is not LINEAR and max(found) <= 0):
        return None  # always the same, as rewards of 0
    limits = [max(sign * scale.to(np.array(found))) + step]
    for values in by_kind.values():
        known = scale.to(np.array([value for value in values if math.isfinite(value)]))
        if len(known) > 1:
            limits.append(sign * known.mean() + SPREADS * known.std(ddof=1))
    number = scale.back(sign * float(max(limits)))
    return Limit(template, mode, number, found) if _is_possible(template, number) else None


def _is_possible(template: Template, number: float) -> bool:
    """Whether a value can lie beyond a limit; a fraction cannot lie above 1."""
    if template.field in ("clip_fraction", "ess_fraction", "explained_variance", "reward_advantage_corr"):
        return (
            number < 1
            if template.side == ">"
            else number > (-5 if template.field == "explained_variance" else 0)
        )
    return template.scale is LINEAR or template.side == ">" or number > 1e-9
