"""Runs of one algorithm: equal settings but for the seed and the scenario."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from townlet_core.runs.reading import Run

# Settings that say where files are, not how the run learns.
PLACES = ("ppo_log", "capture_dir", "log_every", "log_max_bytes", "keep_checkpoints")


class Group(NamedTuple):
    """The runs of one algorithm in one task, of different seeds."""

    task: str  # the scenario
    algorithm: str
    runs: tuple[Run, ...]


def group_by_seed(runs: Sequence[Run]) -> list[Group]:
    """Group runs by scenario and settings, but for the seed; a seed again is another algorithm.

    An algorithm is named by the settings in which the algorithms differ, or by its mode if there is only one.
    """
    tasks = _tasks_of(runs)
    times: Counter[tuple[Any, ...]] = Counter()
    kinds: list[tuple[dict[str, Any], str | None, int]] = []  # settings, recordings, how often the seed came
    grouped: dict[tuple[int, str], list[Run]] = {}
    for run, task in zip(runs, tasks, strict=True):
        settings, recordings = _algorithm_settings(run), run.about.recordings_sha256
        place = (repr(settings), recordings, task, run.seed)
        times[place] += 1
        kind = (settings, recordings, times[place])
        if kind not in kinds:
            kinds.append(kind)
        grouped.setdefault((kinds.index(kind), task), []).append(run)
    names = _names_of([settings for settings, _, _ in kinds])
    found = [Group(task, names[kind], tuple(group)) for (kind, task), group in grouped.items()]
    return sorted(found, key=lambda group: tasks.index(group.task))


def _tasks_of(runs: Sequence[Run]) -> list[str]:
    """Name the scenario of each run, with its digest where scenarios of one name differ."""
    digests: dict[str, set[str | None]] = {}
    for run in runs:
        digests.setdefault(run.scenario or "recordings", set()).add(run.about.scenario_sha256)
    return [
        name if len(digests[name]) == 1 else f"{name} {str(run.about.scenario_sha256)[:8]}"
        for run in runs
        for name in [run.scenario or "recordings"]
    ]


def _algorithm_settings(run: Run) -> dict[str, Any]:
    left_out = (*PLACES, "seed", "scenario")
    return {name: value for name, value in run.settings.items() if name not in left_out}


def _names_of(algorithms: Sequence[dict[str, Any]]) -> list[str]:
    names = dict.fromkeys(name for settings in algorithms for name in settings)
    differ = [
        name
        for name in names
        if any(settings.get(name) != algorithms[0].get(name) for settings in algorithms)
    ] or ["source"]
    labels = [
        ", ".join(
            f"{'mode' if name == 'source' else name} {show_setting(settings.get(name))}" for name in differ
        )
        for settings in algorithms
    ]
    return [f"{label} ({n + 1})" if label in labels[:n] else label for n, label in enumerate(labels)]


def show_setting(value: Any) -> str:
    """Write the value of a setting as a configuration file has it; paths by their last part."""
    if isinstance(value, list):
        return ", ".join(map(show_setting, value)) or "none"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return os.path.basename(value) or value if isinstance(value, str) else str(value)
