"""The metrics that `expect` can refer to: the totals of a capture (docs/data.md, Totals)."""

from __future__ import annotations

from townlet_core.vocab import CONFLICT_REASONS, EVENTS, NEEDS, REWARD_TERMS

TOWN_METRICS = (
    *(f"{event}_events" for event in EVENTS),
    "queue_conflict_intensity_sum",
    *(f"queue_conflict_{reason}_events" for reason in CONFLICT_REASONS),
    "queue_conflict_reasons",
    *(f"reward_{figure}" for figure in ("sum", "mean", "std", "min", "max", "clipped_fraction")),
    *(f"rivalry_{figure}" for figure in ("peak", "last", "rises_after_peak")),
)
AGENT_METRICS = (  # after the agent's id and a dot
    *(f"{event}_events" for event in EVENTS),
    "reward_sum",
    *(f"reward_{term}_sum" for term in REWARD_TERMS),
    *(f"{need}_{figure}" for need in NEEDS for figure in ("min", "max", "last")),
)
