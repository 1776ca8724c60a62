"""The groups of telemetry fields that a summary shows together."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from townlet_core.telemetry.fields import REWARD_TERM_FIELDS

OTHERS = "learning"  # the group of a field that no pattern names

# In display order; the first group with a matching pattern holds the field.
GROUPS: dict[str, tuple[str, ...]] = {
    "run": (
        *("telemetry_version", "log_*", "run_id", "scenario", "seed", "timestamp", "epoch*", "cycle_id"),
        *("data_mode", "updates", "transitions", "steps*", "env_*", "rollout_ticks"),
    ),
    OTHERS: (),
    "update": (
        *("lr", "clip_*", "adv_*", "skipped_updates", "grad_*", "kl_*", "batch_entropy_*"),
        *("ratio_mean", "ess_fraction"),
    ),
    "conflicts and rivalry": ("queue_conflict_*", "conflict.*", "rivalry_*"),
    "reward terms": tuple(REWARD_TERM_FIELDS.values()),
    "events": ("*_events", "chat_*"),
    "evaluation": ("eval_*",),
    "recordings": ("baseline_*",),
}


def group_of(field: str) -> str:
    """Return the group of a telemetry field."""
    for group, patterns in GROUPS.items():
        if any(fnmatchcase(field, pattern) for pattern in patterns):
            return group
    return OTHERS


def grouped(fields: Iterable[str]) -> dict[str, list[str]]:
    """Return the fields by group, groups in display order and fields in their own; no group is empty."""
    found: dict[str, list[str]] = {group: [] for group in GROUPS}
    for field in fields:
        found[group_of(field)].append(field)
    return {group: members for group, members in found.items() if members}
