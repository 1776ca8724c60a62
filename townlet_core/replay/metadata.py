"""The JSON beside a sample: built complete, written in a fixed order, validated on reading."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from townlet_core.errors import count, name_difference, shown
from townlet_core.replay.format import (
    ARRAYS,
    RECAPTURE,
    REQUIRED_KEYS,
    REQUIRED_KEYS_OLDER,
    TRAINING_ARRAYS,
    UNNAMED_REWARD_TERMS,
    Finding,
    problems,
)
from townlet_core.replay.limits import DEFAULT_LIMITS, ReadLimits
from townlet_core.vocab import (
    ACTION_COUNT,
    ACTION_LOOKUP,
    MAP_CHANNELS,
    MAP_SHAPE,
    NAME_PATTERN,
    REWARD_TERMS,
    SAMPLE_SCHEMA_VERSION,
)

_VERSION = re.compile(r"2\.[0-9]{1,4}")
_OTHER_VERSION = f"{RECAPTURE}, or read it with the version that wrote it"
_SHA256 = re.compile(r"[0-9a-f]{64}")


def sample_metadata(
    *,
    timesteps: int,
    feature_names: Sequence[str],
    agent_id: str,
    behaviour: str,
    capture: dict[str, Any],
    value_source: str = "none",
    metrics: dict[str, float] | None = None,
    optional_arrays: Sequence[str] = (),
    map_shape: Sequence[int] = MAP_SHAPE,
    map_channels: Sequence[str] = MAP_CHANNELS,
    reward_terms: Sequence[str] = REWARD_TERMS,
) -> dict[str, Any]:
    """Build the complete JSON of a sample.

    behaviour: "scripted", or the acting checkpoint's sha256. value_source: whose values value_preds are, or
    "none" when they are 0. capture: scenario name and sha256, seed, town, episode, ticks, versions; no
    timestamps. metrics: usually filled in afterwards by metrics.with_metrics. reward_terms: names of the
    columns of the array `reward_terms`, left out without it.
    """
    named = {"reward_terms": list(reward_terms)} if "reward_terms" in optional_arrays else {}
    return {
        "schema_version": SAMPLE_SCHEMA_VERSION,
        "variant": "hybrid",
        "map_shape": list(map_shape),
        "map_channels": list(map_channels),
        "feature_names": list(feature_names),
        **named,
        "training_arrays": [*TRAINING_ARRAYS[2:], *(name for name in ARRAYS if name in optional_arrays)],
        "timesteps": timesteps,
        "value_pred_steps": timesteps + 1,
        "action_lookup": dict(ACTION_LOOKUP),
        "action_dim": ACTION_COUNT,
        "agent_id": agent_id,
        "frame_count": timesteps,
        "metrics": dict(metrics or {}),
        "behaviour": behaviour,
        "value_source": value_source,
        "capture": capture,
    }


_KEY_ORDER = tuple(
    sample_metadata(
        timesteps=0,
        feature_names=(),
        agent_id="",
        behaviour="",
        capture={},
        optional_arrays=("reward_terms",),
    )
)  # of the JSON; keys beyond it follow in alphabetical order


def reward_terms_of(metadata: dict[str, Any]) -> tuple[str, ...]:
    """Name the columns of the sample's array `reward_terms`; without the key they are those of 0.1.0."""
    return tuple(metadata.get("reward_terms", UNNAMED_REWARD_TERMS))


def canonical_metadata(metadata: dict[str, Any]) -> dict[str, Any]:
    """Return the metadata in the order of the file."""
    order = [*(key for key in _KEY_ORDER if key in metadata), *sorted(set(metadata) - set(_KEY_ORDER))]
    result = {key: _sorted_keys(metadata[key]) for key in order}
    if "action_lookup" in result:
        result["action_lookup"] = dict(sorted(result["action_lookup"].items(), key=lambda item: item[1]))
    return result


def _sorted_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted_keys(value[key]) for key in sorted(value)}
    return value


def check_metadata(
    metadata: Any, arrays: dict[str, np.ndarray], file: str, limits: ReadLimits = DEFAULT_LIMITS
) -> list[Finding]:
    """Validate the JSON, and compare it with the arrays, which have all of TRAINING_ARRAYS."""
    if not isinstance(metadata, dict):
        return [Finding("problem", file, "", "is not a JSON object", RECAPTURE)]
    older = "schema_version" not in metadata
    required = REQUIRED_KEYS_OLDER if older else REQUIRED_KEYS
    missing = [key for key in required if key not in metadata]
    if missing:
        return [Finding("problem", file, "", f"has no {', '.join(missing)}", RECAPTURE)]
    findings = _check_names(metadata, file, older, limits)
    if problems(findings):
        return findings
    findings += _check_version(metadata, file, older)
    findings += _check_sizes(metadata, arrays, file)
    findings += _check_numbers(metadata, file)
    findings += [] if older else _check_origin(metadata, arrays, file)
    return findings + _check_vocabulary(metadata, file, older, limits)


def _check_version(metadata: dict[str, Any], file: str, older: bool) -> list[Finding]:
    version, variant = metadata.get("schema_version"), metadata.get("variant")
    findings = []
    newer_keys = [key for key in ("behaviour", "value_source", "capture") if key in metadata]
    if older and newer_keys:
        message = f"is missing, though {' and '.join(newer_keys)} came with version 2.0"
        findings.append(Finding("problem", file, "schema_version", message, RECAPTURE))
    elif older:
        message = "is missing: an older generation, whose action ids are the sample's own"
        findings.append(Finding("warning", file, "schema_version", message))
    elif not (isinstance(version, str) and _VERSION.fullmatch(version)):
        message = f"is {shown(version, 40)}, expected '2.x'"
        findings.append(Finding("problem", file, "schema_version", message, "read it with a newer townlet"))
    elif version != SAMPLE_SCHEMA_VERSION:
        message = f"is {version}, newer than the {SAMPLE_SCHEMA_VERSION} of this townlet"
        findings.append(Finding("warning", file, "schema_version", message))
    if variant != "hybrid":
        severity = "warning" if older else "problem"
        message = f"is {shown(variant, 40)}, expected 'hybrid'"
        findings.append(Finding(severity, file, "variant", message, RECAPTURE))
    return findings


def _check_names(metadata: dict[str, Any], file: str, older: bool, limits: ReadLimits) -> list[Finding]:
    findings = []
    for key in ("feature_names", "map_channels", "reward_terms"):
        names = metadata.get(key, ["unnamed"])
        if not _is_list_of_names(names, limits.max_features):
            message = f"is not a list of 1 to {limits.max_features} different short names"
            findings.append(Finding("problem", file, key, message, RECAPTURE))
    agent = metadata.get("agent_id")
    if agent is None and older:
        findings.append(Finding("warning", file, "agent_id", "is missing"))
    elif not (isinstance(agent, str) and NAME_PATTERN.fullmatch(agent)):
        message = f"is {shown(agent)}, expected 1 to 64 letters, digits, '_', '.' or '-'"
        findings.append(Finding("problem", file, "agent_id", message, RECAPTURE))
    if not isinstance(metadata.get("sample_id", ""), str):
        findings.append(Finding("problem", file, "sample_id", "is not a text", RECAPTURE))
    return findings


def _is_list_of_names(names: Any, most: int) -> bool:
    return (
        isinstance(names, list)
        and 0 < len(names) <= most
        and all(isinstance(name, str) and 0 < len(name) <= 200 and name.isprintable() for name in names)
        and len(set(names)) == len(names)
    )


def _check_sizes(metadata: dict[str, Any], arrays: dict[str, np.ndarray], file: str) -> list[Finding]:
    """Compare the sizes in the JSON with the arrays."""
    ticks = len(arrays["actions"])
    sizes: dict[str, Any] = {
        "timesteps": ticks,
        "frame_count": ticks,
        "value_pred_steps": ticks + 1,
        "map_shape": list(arrays["map"].shape[1:]),
    }
    findings = [
        Finding("problem", file, key, f"is {shown(metadata[key], 40)}, the arrays say {size}", RECAPTURE)
        for key, size in sizes.items()
        if key in metadata and not _is_same(metadata[key], size)
    ]
    columns = {"feature_names": arrays["features"].shape[1], "map_channels": arrays["map"].shape[1]}
    for key, size in columns.items():
        if key in metadata and len(metadata[key]) != size:
            message = f"names {len(metadata[key])}, the array has {size}"
            findings.append(Finding("problem", file, key, message, RECAPTURE))
    return [
        *findings,
        *_check_reward_terms(metadata, arrays, file),
        *_check_listed_arrays(metadata, arrays, file),
    ]


def _check_reward_terms(
    metadata: dict[str, Any], arrays: dict[str, np.ndarray], file: str
) -> Iterator[Finding]:
    """Compare the number of reward terms with the array's columns."""
    names = reward_terms_of(metadata)
    columns = arrays["reward_terms"].shape[1] if "reward_terms" in arrays else len(names)
    if len(names) != columns:
        message = f"names {len(names)}, the array has {columns}"
        if "reward_terms" not in metadata:
            message = f"is missing, which means {', '.join(names)}; the array has {count(columns, 'column')}"
        yield Finding("problem", file, "reward_terms", message, RECAPTURE)


def _is_same(said: Any, size: int | list[int]) -> bool:
    """Whether values are equal in type as well: 80.0 and true are no numbers of ticks."""
    if isinstance(said, list) and isinstance(size, list):
        return len(said) == len(size) and all(map(_is_same, said, size))
    return type(said) is type(size) and said == size


def _check_listed_arrays(metadata: dict[str, Any], arrays: dict[str, np.ndarray], file: str) -> list[Finding]:
    listed = metadata.get("training_arrays", [])
    known = list(arrays)  # a list, because what was read may not be hashable
    wrong = [name for name in listed if name not in known] if isinstance(listed, list) else [listed]
    message = f"lists {', '.join(shown(name, 40) for name in wrong[:5])}, which the sample does not have"
    if not wrong and "schema_version" in metadata:
        wrong = [name for name in known if name not in listed and name not in TRAINING_ARRAYS[:2]]
        message = f"does not list {', '.join(wrong)}, which the sample has"
    if not wrong and len(set(listed)) < len(listed):
        wrong, message = listed, "lists an array twice"
    return [Finding("problem", file, "training_arrays", message, RECAPTURE)] if wrong else []


def _check_numbers(metadata: dict[str, Any], file: str) -> list[Finding]:
    """Check that metrics are finite numbers by name; JSON has no NaN."""
    metrics = metadata.get("metrics", {})
    if isinstance(metrics, dict) and all(
        type(value) in (int, float) and math.isfinite(value) for value in metrics.values()
    ):
        return []
    return [Finding("problem", file, "metrics", "are not finite numbers by name", RECAPTURE)]


def _check_origin(metadata: dict[str, Any], arrays: dict[str, np.ndarray], file: str) -> list[Finding]:
    """Validate behaviour, value source and capture."""
    findings = []
    for key in ("behaviour", "value_source"):
        said = metadata.get(key, "none")
        if not (isinstance(said, str) and said.isprintable() and 0 < len(said) <= _MAX_SOURCE):
            message = f"is {shown(said, 40)}, expected a text of 1 to {_MAX_SOURCE} characters"
            findings.append(Finding("problem", file, key, message, RECAPTURE))
    if metadata.get("value_source") == "none" and arrays["value_preds"].any():
        message = "is none, and value_preds are not all 0"
        findings.append(Finding("warning", file, "value_source", message))
    capture = metadata["capture"]
    if not isinstance(capture, dict):
        return [*findings, Finding("problem", file, "capture", "is not a JSON object", RECAPTURE)]
    for key, (is_right, expected) in _CAPTURE.items():
        if key in capture and not is_right(capture[key]):
            message = f"is {shown(capture[key], 40)}, expected {expected}"
            findings.append(Finding("problem", file, f"capture.{key}", message, RECAPTURE))
    missing = [key for key in _CAPTURE if key not in capture and key != "epsilon"]
    if missing:
        message = f"lacks {', '.join(missing)}: where the sample comes from is not known"
        findings.append(Finding("warning", file, "capture", message))
    if (
        not missing
        and not problems(findings)
        and capture["first_frame"] + len(arrays["actions"]) > capture["ticks"]
    ):
        message = f"is {capture['first_frame']}, too late for the sample in {count(capture['ticks'], 'tick')}"
        findings.append(Finding("problem", file, "capture.first_frame", message, RECAPTURE))
    return findings


def _whole_below(most: int) -> tuple[Callable[[Any], bool], str]:
    return lambda value: type(value) is int and 0 <= value < most, f"a whole number < {most:,}"


_MAX_SOURCE = 200  # characters
_CAPTURE: dict[
    str, tuple[Callable[[Any], bool], str]
] = {  # of `capture`: check, and expectation for messages
    "scenario": (lambda value: isinstance(value, str) and bool(NAME_PATTERN.fullmatch(value)), "a name"),
    "scenario_sha256": (
        lambda value: isinstance(value, str) and bool(_SHA256.fullmatch(value)),
        "64 hexadecimal digits",
    ),
    "seed": _whole_below(2**63),
    "ticks": _whole_below(2**31),
    "town": _whole_below(2**31),
    "episode": _whole_below(2**31),
    "first_frame": _whole_below(2**31),
    "epsilon": (
        lambda value: value is None or (type(value) in (int, float) and 0 <= value <= 1),
        "a number from 0 to 1, or null",
    ),
    "versions": (
        lambda value: isinstance(value, dict) and all(isinstance(text, str) for text in value.values()),
        "a text by name",
    ),
}


def _check_vocabulary(metadata: dict[str, Any], file: str, older: bool, limits: ReadLimits) -> list[Finding]:
    """Compare the actions with the fixed vocabulary; samples of the older generation have their own."""
    lookup, size = metadata.get("action_lookup"), metadata.get("action_dim")
    if not older:
        return _check_fixed_vocabulary(lookup, size, file, limits)
    if size is not None and not (type(size) is int and 0 < size <= limits.max_actions):
        message = f"is {shown(size, 40)}, expected 1 to {limits.max_actions}"
        return [Finding("problem", file, "action_dim", message, RECAPTURE)]
    if lookup is None:
        return [Finding("warning", file, "action_lookup", "is missing: nobody knows what the ids mean")]
    if not isinstance(lookup, dict) or not all(
        type(action) is int and action >= 0 for action in lookup.values()
    ):
        return [Finding("problem", file, "action_lookup", "does not give an id to each name", RECAPTURE)]
    return []


def _check_fixed_vocabulary(lookup: Any, size: Any, file: str, limits: ReadLimits) -> list[Finding]:
    """Compare names, ids and size, and name the actions that differ."""
    actions = lookup if isinstance(lookup, dict) else {}
    are_ids = all(type(action) is int for action in actions.values())
    if actions != ACTION_LOOKUP or not are_ids:
        names = sorted(actions, key=actions.__getitem__) if are_ids else []
        difference = ""
        if _is_list_of_names(names, limits.max_actions):
            difference = name_difference(tuple(ACTION_LOOKUP), names, "this version of Townlet", "the sample")
        message = f"is not the fixed vocabulary: {difference or ', '.join(ACTION_LOOKUP)}"
        return [Finding("problem", file, "action_lookup", message, _OTHER_VERSION)]
    if not _is_same(size, ACTION_COUNT):
        message = f"is {shown(size, 40)}, expected {ACTION_COUNT}"
        return [Finding("problem", file, "action_dim", message, RECAPTURE)]
    return []
