"""The rules of a sample: each broken rule is a problem, each weakness a warning, as data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from townlet_core.errors import count, name_list
from townlet_core.replay.format import ARRAYS, RECAPTURE, Finding, problems
from townlet_core.replay.limits import DEFAULT_LIMITS, ReadLimits
from townlet_core.replay.metadata import check_metadata, reward_terms_of
from townlet_core.vocab import CONFLICT_FEATURES, REWARD_TERMS

_LOG_PROB_SLACK = 1e-4  # float32 rounding of a logarithm near 0
_REWARD_SLACK = 1e-3  # float32 rounding of some terms


def check_sample(
    arrays: dict[str, np.ndarray],
    metadata: Any,
    file: str,
    meta_file: str,
    limits: ReadLimits = DEFAULT_LIMITS,
) -> list[Finding]:
    """Hold a sample to its rules: shapes, then metadata, then values, each only where the one before held.

    `arrays` has all of TRAINING_ARRAYS. An empty list means that there is nothing to say.
    """
    found = check_shapes(arrays, file) or _check_widths(arrays, file, limits)
    if problems(found):
        return found
    found = check_metadata(metadata, arrays, meta_file, limits)
    if problems(found):
        return found
    found += _check_finite(arrays, file)
    if problems(found):
        return found
    found += _check_actions(arrays, metadata, file, limits)
    found += _check_ends(arrays, file)
    return found + _check_weakness(arrays, metadata, file)


def check_shapes(arrays: dict[str, np.ndarray], file: str) -> list[Finding]:
    """Every array has its dtype and axes, and axes of one name have one length."""
    found = []
    lengths: dict[str, tuple[str, int]] = {}
    for name, array in arrays.items():
        dtype, axes = ARRAYS[name]
        if array.dtype != dtype or array.ndim != len(axes):
            message = f"is {array.ndim}-dimensional {array.dtype}, expected {dtype} ({', '.join(axes)})"
            found.append(Finding("problem", file, name, message, RECAPTURE))
            continue
        for axis, length in zip(axes, array.shape, strict=True):
            source, expected = lengths.setdefault(axis.removesuffix("+1"), (name, length))
            expected += axis.endswith("+1")
            if length != expected:
                unit = {"T": "ticks", "T+1": "entries"}.get(axis, axis)
                tail = " one more than the ticks" if axis == "T+1" else ""
                message = f"has {length} {unit}, expected {expected}{tail or f' like {source}'}"
                found.append(Finding("problem", file, name, message, RECAPTURE))
    return found


def _check_widths(arrays: dict[str, np.ndarray], file: str, limits: ReadLimits) -> list[Finding]:
    """Feature columns and map channels are limited, also where the metadata does not name them."""
    widths = {name: arrays[name].shape[1] for name in ("features", "map")}
    return [
        Finding(
            "problem", file, name, f"has {count(columns, 'column')}, expected at most {limits.max_features:,}"
        )
        for name, columns in widths.items()
        if columns > limits.max_features
    ]


def _check_finite(arrays: dict[str, np.ndarray], file: str) -> list[Finding]:
    """No NaN, no infinity, and booleans that are 0 or 1."""
    found = []
    for name, array in arrays.items():
        if array.dtype == bool and array.size and array.view(np.uint8).max() > 1:
            found.append(
                Finding("problem", file, name, "holds bytes that are neither true nor false", RECAPTURE)
            )
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            bad = ~np.isfinite(array).reshape(len(array), -1).all(axis=1)
            ticks = f"{bad.sum()} of {count(len(array), 'tick')}"
            message = f"is NaN or infinite at {ticks}, first at tick {bad.argmax()}"
            found.append(Finding("problem", file, name, message, RECAPTURE))
    return found


def _check_actions(
    arrays: dict[str, np.ndarray], metadata: dict[str, Any], file: str, limits: ReadLimits
) -> list[Finding]:
    actions, mask, log_probs = arrays["actions"], arrays.get("action_mask"), arrays["old_log_probs"]
    size = metadata.get("action_dim") or limits.max_actions
    if actions.min() < 0 or actions.max() >= size:
        tick = int(((actions < 0) | (actions >= size)).argmax())
        message = f"has id {actions[tick]} at tick {tick}, expected 0 to {size - 1} (action_dim {size})"
        return [Finding("problem", file, "actions", message, RECAPTURE)]
    found = []
    if mask is not None and mask.shape[1] != size:
        message = f"has {count(mask.shape[1], 'column')}, action_dim is {size}"
        return [Finding("problem", file, "action_mask", message, RECAPTURE)]
    if mask is not None:
        forbidden = ~mask[np.arange(len(actions)), actions]
        if forbidden.any():
            tick = int(forbidden.argmax())
            message = f"forbids action {actions[tick]}, which was taken at tick {tick}"
            found.append(Finding("problem", file, "action_mask", message, RECAPTURE))
    if log_probs.max() > _LOG_PROB_SLACK:
        tick = int(log_probs.argmax())
        message = f"is {log_probs[tick]:.4g} at tick {tick}; a log-probability is at most 0"
        found.append(Finding("problem", file, "old_log_probs", message, RECAPTURE))
    return found


def _check_ends(arrays: dict[str, np.ndarray], file: str) -> list[Finding]:
    """`dones` is terminations or truncations, never both."""
    found = []
    dones = arrays["dones"]
    terminations = arrays.get("terminations")
    truncations = arrays.get("truncations")
    if terminations is not None and truncations is not None:
        wrong = (terminations & truncations) | ((terminations | truncations) != dones)
    else:
        given = terminations if terminations is not None else truncations
        wrong = np.zeros_like(dones) if given is None else given & ~dones
    if wrong.any():
        message = f"at tick {wrong.argmax()} is not exactly one of terminated and truncated, or neither"
        found.append(Finding("problem", file, "dones", message, RECAPTURE))
    if dones.any() and terminations is None and truncations is None:
        message = "do not say what ended in a termination and what in a truncation: all count as terminations"
        found.append(Finding("warning", file, "dones", message))
    return found


def _check_weakness(arrays: dict[str, np.ndarray], metadata: dict[str, Any], file: str) -> list[Finding]:
    """Collect what a learner should know before it believes the sample."""
    found = []
    rewards, log_probs, actions = arrays["rewards"], arrays["old_log_probs"], arrays["actions"]
    if len(rewards) > 1 and rewards.min() == rewards.max():
        found.append(
            Finding("warning", file, "rewards", f"are {rewards[0]:.4g} at every tick: nothing to learn")
        )
    if (metadata.get("action_dim") or 2) > 1 and not log_probs.any():
        message = "are all 0: they call every action certain"
        found.append(Finding("warning", file, "old_log_probs", message))
    absent = [name for name in CONFLICT_FEATURES if name not in metadata["feature_names"]]
    if absent:
        found.append(
            Finding("warning", file, "features", f"lack {', '.join(absent)}: no conflict to learn from")
        )
    lookup = metadata.get("action_lookup")
    unknown = sorted(set(np.unique(actions).tolist()) - set(lookup.values())) if lookup is not None else []
    if unknown:
        message = f"use ids missing from action_lookup: {', '.join(map(str, unknown[:5]))}"
        found.append(Finding("warning", file, "actions", message))
    if "reward_terms" in arrays:
        gap = np.abs(arrays["reward_terms"].sum(axis=1) - rewards)
        if gap.max() > _REWARD_SLACK:
            message = f"do not sum to the reward at tick {gap.argmax()} (off by {gap.max():.3g})"
            found.append(Finding("warning", file, "reward_terms", message))
        found += _compare_terms(reward_terms_of(metadata), file)
    return found


def _compare_terms(names: tuple[str, ...], file: str) -> Iterator[Finding]:
    """Warn about rewards with other terms than those of this version."""
    unknown = [name for name in names if name not in REWARD_TERMS]
    absent = [name for name in REWARD_TERMS if name not in names]
    if unknown:
        message = f"include {name_list(unknown)}, unknown to this version of Townlet"
        yield Finding("warning", file, "reward_terms", message)
    if absent:
        message = f"lack {name_list(absent)}, part of the rewards in this version of Townlet"
        yield Finding("warning", file, "reward_terms", message)
