"""The table of telemetry fields: name, type, unit, version and meaning.

A new field is one row here and the line that computes it. `make docs` writes this table into docs/telemetry.md.
"""

from __future__ import annotations

from typing import NamedTuple

from townlet_core.vocab import REWARD_TERMS

HISTOGRAM_BINS = 10
BATCH = "batch"
REWARD_TERM_FIELDS = {term: f"reward_{term}_mean" for term in REWARD_TERMS}


class Field(NamedTuple):
    """One field of a telemetry record."""

    name: str
    type: str  # int, float, str, or histogram: HISTOGRAM_BINS counts
    unit: str  # "index" for positions in the run; "" for dimensionless fields
    since: str  # telemetry version that introduced it; "ours" for additions to 1.1
    required: bool  # in every record of that version and later ones
    meaning: str
    of: str  # BATCH: describes the data of the epoch, so each epoch of a cycle and mode repeats it; or ""


def _v10(name: str, kind: str, unit: str, meaning: str, of: str = "") -> Field:
    return Field(name, kind, unit, "1.0", True, meaning, of)


def _v11(name: str, kind: str, unit: str, meaning: str, of: str = "") -> Field:
    return Field(name, kind, unit, "1.1", True, meaning, of)


def _ours(name: str, kind: str, unit: str, meaning: str, of: str = "") -> Field:
    return Field(name, kind, unit, "ours", False, meaning, of)


# One row per field, however long.
# ruff: noqa: E501
# fmt: off
FIELDS = (
    _v10("telemetry_version", "float", "index", "version of this record: 1.0, 1.1 or 1.2"),
    _v11("log_stream_offset", "int", "index", "position in the log; strictly increasing, never reset"),
    _ours("run_id", "str", "", "unique id of the run"),
    _ours("scenario", "str", "", "name of the scenario"),
    _ours("seed", "int", "index", "seed of the run"),
    _ours("timestamp", "str", "", "when the record was written, ISO 8601 in UTC"),
    _v10("epoch", "int", "index", "training epoch"),
    _v11("cycle_id", "int", "index", "training cycle the epoch belongs to"),
    _v11("data_mode", "str", "", "source of the epoch's data: replay, rollout or mixed"),
    _ours("log_every", "int", "index", "every n-th record is written, starting with the first, and each with an evaluation"),
    _v10("updates", "int", "updates", "optimiser steps of the epoch"),
    _v10("transitions", "int", "transitions", "transitions the epoch was trained on, one per agent and tick"),
    _v10("steps", "int", "index", "sample passes since the run began: samples × epochs, not environment steps"),
    _ours("env_steps", "int", "index", "environment steps since the run began: one per tick and agent in a live town; the x axis of curves"),
    _ours("env_ticks", "int", "index", "town ticks since the run began: ticks × live towns"),
    _v11("rollout_ticks", "int", "ticks", "length of the rollout; 0 in replay", BATCH),
    _v11("epoch_duration_sec", "float", "s", "wall time of the epoch"),
    _ours("steps_per_second", "float", "1/s", "sample passes per second of wall time of the epoch"),
    _ours("env_steps_per_second", "float", "1/s", "environment steps of the rollout per second of wall time of its cycle", BATCH),
    _v10("lr", "float", "", "learning rate"),
    _v10("loss_policy", "float", "", "clipped surrogate loss, mean over minibatches"),
    _v10("loss_value", "float", "", "value loss before its coefficient, mean over minibatches"),
    _v10("loss_entropy", "float", "nats", "policy entropy before its coefficient, mean over minibatches"),
    _v10("loss_total", "float", "", "minimised loss, mean over minibatches"),
    _v10("clip_fraction", "float", "fraction", "fraction of probability ratios outside the clip range, mean over minibatches"),
    _ours("clip_fraction_max", "float", "fraction", "largest clip fraction of a minibatch"),
    _ours("clip_triggered_minibatches", "int", "minibatches", "minibatches with at least one clipped ratio"),
    _v10("adv_mean", "float", "reward", "mean advantage; in replay, in units of the critic's error", BATCH),
    _v10("adv_std", "float", "reward", "standard deviation of the advantages, in the same unit", BATCH),
    _ours("adv_min_std", "float", "reward", "smallest standard deviation of a batch's advantages"),
    _ours("adv_zero_std_batches", "int", "batches", "batches whose advantages were all equal"),
    _ours("skipped_updates", "int", "updates", "minibatches dropped because loss or gradient was not finite"),
    _v10("grad_norm", "float", "", "gradient norm before clipping, mean over minibatches"),
    _v11("grad_norm_max", "float", "", "largest gradient norm of a minibatch"),
    _v10("kl_divergence", "float", "nats", "approximate KL from old to new policy, mean over minibatches"),
    _v11("kl_divergence_max", "float", "nats", "largest approximate KL of a minibatch"),
    _v11("batch_entropy_mean", "float", "nats", "policy entropy, mean over minibatches"),
    _v11("batch_entropy_std", "float", "nats", "policy entropy, standard deviation over transitions"),
    _v11("reward_advantage_corr", "float", "", "correlation of rewards and advantages; 0 if either is constant", BATCH),
    _ours("explained_variance", "float", "fraction", "1 − Var(returns − values) / Var(returns), for the critic's training targets", BATCH),
    _ours("ratio_mean", "float", "", "mean ratio of new to behaviour policy; 1 is on-policy"),
    _ours("ess_fraction", "float", "fraction", "effective sample size of the ratios over their number"),
    _ours("reward_mean", "float", "reward", "mean reward per agent and tick", BATCH),
    _ours("reward_std", "float", "reward", "standard deviation of the rewards", BATCH),
    *(_ours(name, "float", "reward", f"mean reward term `{term}` per agent and tick of a rollout", BATCH) for term, name in REWARD_TERM_FIELDS.items()),
    _ours("episode_return_mean", "float", "reward", "mean undiscounted return of the episodes that ended", BATCH),
    _ours("eval_episodes", "int", "episodes", "episodes of the evaluation after the cycle; only where one was made, as all eval_ fields"),
    _ours("eval_seed", "int", "index", "seed of the evaluation's episodes, apart from training"),
    _ours("eval_return_mean", "float", "reward", "mean return of the evaluation's episodes, actions sampled; mean over agents"),
    _ours("eval_return_low", "float", "reward", "lower end of its 95 % interval over episodes"),
    _ours("eval_return_high", "float", "reward", "upper end of its 95 % interval over episodes"),
    _ours("eval_conflicts_mean", "float", "1/1000 steps", "queue conflicts per 1,000 agent steps of the evaluation, actions sampled"),
    _ours("eval_deterministic_return_mean", "float", "reward", "mean return of the same episodes with the most probable actions"),
    _ours("eval_deterministic_return_low", "float", "reward", "lower end of its 95 % interval over episodes"),
    _ours("eval_deterministic_return_high", "float", "reward", "upper end of its 95 % interval over episodes"),
    _ours("eval_deterministic_conflicts_mean", "float", "1/1000 steps", "queue conflicts per 1,000 agent steps with the most probable actions"),
    _ours("eval_duration_sec", "float", "s", "wall time of the evaluation"),
    _ours("invalid_action_fraction", "float", "fraction", "fraction of actions that were impossible and acted as wait", BATCH),
    _v11("queue_conflict_events", "float", "events", "queue conflicts; half of one where the other agent was not recorded", BATCH),
    _v11("queue_conflict_intensity_sum", "float", "intensity", "summed intensity of the queue conflicts", BATCH),
    _v10("conflict.rivalry_max_mean_avg", "float", "rivalry", "strongest rivalry, mean over ticks, then over batches", BATCH),
    _v10("conflict.rivalry_max_max_avg", "float", "rivalry", "strongest rivalry, largest over ticks, mean over batches", BATCH),
    _v10("conflict.rivalry_avoid_count_mean_avg", "float", "agents", "agents avoided, mean over ticks, then over batches", BATCH),
    _v10("conflict.rivalry_avoid_count_max_avg", "float", "agents", "agents avoided, largest over ticks, mean over batches", BATCH),
    _ours("rivalry_max_histogram", "histogram", "transitions", "strongest rivalry, ten counts over [0, 1]", BATCH),
    _ours("shared_meal_events", "int", "events", "meals eaten in company", BATCH),
    _ours("late_help_events", "int", "events", "late colleagues helped", BATCH),
    _ours("shift_takeover_events", "int", "events", "shifts taken over", BATCH),
    _ours("chat_success_events", "int", "events", "successful chats", BATCH),
    _ours("chat_failure_events", "int", "events", "failed chats", BATCH),
    _ours("chat_quality_mean", "float", "", "mean quality of the chats", BATCH),
    _ours("utility_outage_events", "int", "events", "outages of water or power", BATCH),
    _ours("shower_complete_events", "int", "events", "showers finished", BATCH),
    _ours("sleep_complete_events", "int", "events", "sleeps finished", BATCH),
    _ours("baseline_sample_count", "int", "samples", "samples behind the epoch", BATCH),
    _ours("baseline_reward_mean", "float", "reward", "mean reward of the data behind the epoch", BATCH),
    _ours("baseline_reward_sum", "float", "reward", "summed reward of the data behind the epoch", BATCH),
    _ours("baseline_reward_sum_mean", "float", "reward", "summed reward per sample, mean over samples", BATCH),
    _ours("baseline_log_prob_mean", "float", "nats", "mean log-probability of the actions under the behaviour policy", BATCH),
)
# fmt: on

VERSIONS = (1.0, 1.1, 1.2)  # 1.2 is an older format: 1.1 with fields of its own
BY_NAME = {field.name: field for field in FIELDS}
NUMBERS = tuple(field.name for field in FIELDS if field.type in ("int", "float"))
OF_BATCH = frozenset(field.name for field in FIELDS if field.of == BATCH)

# The x axes of curves: the first one that every record of a log has and that is not always 0 is used.
AXES = {"env_steps": "environment steps", "steps": "sample passes"}

# The curves that show whether training is healthy, in display order.
CURVES = (
    "reward_mean",
    "episode_return_mean",
    "eval_return_mean",
    "eval_deterministic_return_mean",
    "loss_total",
    "loss_policy",
    "loss_value",
    "loss_entropy",
    "kl_divergence",
    "clip_fraction",
    "grad_norm",
    "explained_variance",
    "queue_conflict_events",
    "conflict.rivalry_max_mean_avg",
)


def required_fields(version: float) -> tuple[str, ...]:
    """Return the fields that every record of this telemetry version has."""
    return tuple(field.name for field in FIELDS if field.required and float(field.since) <= version)
