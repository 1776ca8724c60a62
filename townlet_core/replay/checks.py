"""Checks of a sample's arrays: each broken rule is a problem, each weakness a warning."""

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
    """Check shapes, then metadata, then values; a stage with problems ends the checks.

    `arrays` has all of TRAINING_ARRAYS. Returns an empty list for a sound sample.
    """
    findings = check_shapes(arrays, file) or _check_widths(arrays, file, limits)
    if problems(findings):
        return findings
    findings = check_metadata(metadata, arrays, meta_file, limits)
    if problems(findings):
        return findings
    findings += _check_finite(arrays, file)
    if problems(findings):
        return findings
    findings += _check_actions(arrays, metadata, file, limits)
    findings += _check_ends(arrays, file)
    return findings + _check_weakness(arrays, metadata, file)


def check_values(
    arrays: dict[str, np.ndarray], metadata: dict[str, Any], file: str, limits: ReadLimits = DEFAULT_LIMITS
) -> list[Finding]:
    """Check the values of arrays, also of several samples, whose shapes and metadata are right."""
    return _check_finite(arrays, file) or [
        *_check_actions(arrays, metadata, file, limits),
        *_check_ends(arrays, file),
    ]


def check_shapes(arrays: dict[str, np.ndarray], file: str) -> list[Finding]:
    """Check that every array has its dtype and axes, and that axes of one name have one length."""
    findings = []
    lengths: dict[str, tuple[str, int]] = {}
    for name, array in arrays.items():
        dtype, axes = ARRAYS[name]
        if array.dtype != dtype or array.ndim != len(axes):
            message = f"is {array.ndim}-dimensional {array.dtype}, expected {dtype} ({', '.join(axes)})"
            findings.append(Finding("problem", file, name, message, RECAPTURE))
            continue
        for axis, length in zip(axes, array.shape, strict=True):
            source, expected = lengths.setdefault(axis.removesuffix("+1"), (name, length))
            expected += axis.endswith("+1")
            if length != expected:
                unit = {"T": "ticks", "T+1": "entries"}.get(axis, axis)
                tail = " one more than the ticks" if axis == "T+1" else ""
                message = f"has {length} {unit}, expected {expected}{tail or f' like {source}'}"
                findings.append(Finding("problem", file, name, message, RECAPTURE))
    return findings


def _check_widths(arrays: dict[str, np.ndarray], file: str, limits: ReadLimits) -> list[Finding]:
    """Limit feature columns and map channels, named in the metadata or not."""
    widths = {name: arrays[name].shape[1] for name in ("features", "map")}
    return [
        Finding(
            "problem", file, name, f"has {count(columns, 'column')}, expected at most {limits.max_features:,}"
        )
        for name, columns in widths.items()
        if columns > limits.max_features
    ]


def _check_finite(arrays: dict[str, np.ndarray], file: str) -> list[Finding]:
    """Check that numbers are finite and booleans are 0 or 1."""
    findings = []
    for name, array in arrays.items():
        if array.dtype == bool and array.size and array.view(np.uint8).max() > 1:
            findings.append(
                Finding("problem", file, name, "holds bytes that are neither true nor false", RECAPTURE)
            )
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            bad = ~np.isfinite(array).reshape(len(array), -1).all(axis=1)
            ticks = f"{bad.sum()} of {count(len(array), 'tick')}"
            message = f"is NaN or infinite at {ticks}, first at tick {bad.argmax()}"
            findings.append(Finding("problem", file, name, message, RECAPTURE))
    return findings


def _check_actions(
    arrays: dict[str, np.ndarray], metadata: dict[str, Any], file: str, limits: ReadLimits
) -> list[Finding]:
    actions, mask, log_probs = arrays["actions"], arrays.get("action_mask"), arrays["old_log_probs"]
    size = metadata.get("action_dim") or limits.max_actions
    if actions.min() < 0 or actions.max() >= size:
        tick = int(((actions < 0) | (actions >= size)).argmax())
        message = f"has id {actions[tick]} at tick {tick}, expected 0 to {size - 1} (action_dim {size})"
        return [Finding("problem", file, "actions", message, RECAPTURE)]
    findings = []
    if mask is not None and mask.shape[1] != size:
        message = f"has {count(mask.shape[1], 'column')}, action_dim is {size}"
        return [Finding("problem", file, "action_mask", message, RECAPTURE)]
    if mask is not None:
        forbidden = ~mask[np.arange(len(actions)), actions]
        if forbidden.any():
            tick = int(forbidden.argmax())
            message = f"forbids action {actions[tick]}, which was taken at tick {tick}"
            findings.append(Finding("problem", file, "action_mask", message, RECAPTURE))
    if log_probs.max() > _LOG_PROB_SLACK:
        tick = int(log_probs.argmax())
        message = f"is {log_probs[tick]:.4g} at tick {tick}; a log-probability is at most 0"
        findings.append(Finding("problem", file, "old_log_probs", message, RECAPTURE))
    return findings


def _check_ends(arrays: dict[str, np.ndarray], file: str) -> list[Finding]:
    """Check that each done is either a termination or a truncation."""
    findings = []
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
        findings.append(Finding("problem", file, "dones", message, RECAPTURE))
    if dones.any() and terminations is None and truncations is None:
        message = "do not say what ended in a termination and what in a truncation: all count as terminations"
        findings.append(Finding("warning", file, "dones", message))
    return findings


def _check_weakness(arrays: dict[str, np.ndarray], metadata: dict[str, Any], file: str) -> list[Finding]:
    """Collect warnings about data that is valid but poor for training."""
    findings = []
    rewards, log_probs, actions = arrays["rewards"], arrays["old_log_probs"], arrays["actions"]
    if len(rewards) > 1 and rewards.min() == rewards.max():
        findings.append(
            Finding("warning", file, "rewards", f"are {rewards[0]:.4g} at every tick: nothing to learn")
        )
    if (metadata.get("action_dim") or 2) > 1 and not log_probs.any():
        message = "are all 0: they call every action certain"
        findings.append(Finding("warning", file, "old_log_probs", message))
    absent = [name for name in CONFLICT_FEATURES if name not in metadata["feature_names"]]
    if absent:
        findings.append(
            Finding("warning", file, "features", f"lack {', '.join(absent)}: no conflict to learn from")
        )
    lookup = metadata.get("action_lookup")
    unknown = sorted(set(np.unique(actions).tolist()) - set(lookup.values())) if lookup is not None else []
    if unknown:
        message = f"use ids missing from action_lookup: {', '.join(map(str, unknown[:5]))}"
        findings.append(Finding("warning", file, "actions", message))
    if "reward_terms" in arrays:
        gap = np.abs(arrays["reward_terms"].sum(axis=1, dtype=np.float64) - rewards)
        if gap.max() > _REWARD_SLACK:
            message = f"do not sum to the reward at tick {gap.argmax()} (off by {gap.max():.3g})"
            findings.append(Finding("warning", file, "reward_terms", message))
        findings += _compare_terms(reward_terms_of(metadata), file)
    return findings


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
