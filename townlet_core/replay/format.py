"""The arrays and metadata keys of a sample, and findings about invalid files."""

from __future__ import annotations

from typing import NamedTuple

# name: (dtype, axes). T ticks, C, H, W map, F features, A actions, R reward terms.
ARRAYS: dict[str, tuple[str, tuple[str, ...]]] = {
    "map": ("float32", ("T", "C", "H", "W")),
    "features": ("float32", ("T", "F")),
    "actions": ("int64", ("T",)),
    "old_log_probs": ("float32", ("T",)),
    "value_preds": ("float32", ("T+1",)),
    "rewards": ("float32", ("T",)),
    "dones": ("bool", ("T",)),
    "terminations": ("bool", ("T",)),
    "truncations": ("bool", ("T",)),
    "action_mask": ("bool", ("T", "A")),
    "conflict_events": ("float32", ("T",)),  # this agent's share of the tick's conflicts
    "conflict_intensity": ("float32", ("T",)),
    "reward_terms": ("float32", ("T", "R")),  # columns named by the metadata; they sum to rewards
}
TRAINING_ARRAYS = tuple(ARRAYS)[:7]
OPTIONAL_ARRAYS = tuple(ARRAYS)[7:]

# The columns of `reward_terms` in samples of 0.1.0, whose metadata does not name them. Never changes.
UNNAMED_REWARD_TERMS = (
    "survival",
    "wages",
    "punctuality",
    "satisfaction",
    "deficit",
    "conflict",
    "faint",
    "clipped",
)

REQUIRED_KEYS = (
    "variant",
    "map_shape",
    "map_channels",
    "feature_names",
    "training_arrays",
    "timesteps",
    "value_pred_steps",
    "action_lookup",
    "action_dim",
    "agent_id",
    "frame_count",
    "metrics",
    "behaviour",
    "capture",
)
REQUIRED_KEYS_OLDER = ("feature_names",)
RECAPTURE = "capture it again with `townlet capture`"


class Finding(NamedTuple):
    """A "problem" or a "warning": its place, and how to fix it."""

    severity: str
    file: str
    place: str  # array, key or line
    message: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.file}: {self.place} {self.message}" if self.place else f"{self.file}: {self.message}"


def problems(findings: list[Finding]) -> list[Finding]:
    """Return the findings that make a file unusable."""
    return [finding for finding in findings if finding.severity == "problem"]


def warnings(findings: list[Finding]) -> list[Finding]:
    """Return the findings about valid but weak data."""
    return [finding for finding in findings if finding.severity == "warning"]
