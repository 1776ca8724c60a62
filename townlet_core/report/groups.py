"""Runs that differ in nothing but their seed form one group; what the others differ in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from townlet_core.errors import count
from townlet_core.report.run import Run
from townlet_core.runs.compare import Difference
from townlet_core.runs.grouping import show_setting

MISSING = "–"


class Group(NamedTuple):
    """Runs of one configuration, of different seeds."""

    label: str
    runs: tuple[Run, ...]

    @property
    def scenario(self) -> str:
        """Name the scenario of the runs."""
        return self.runs[0].scenario


def group_runs(runs: Sequence[Run]) -> list[Group]:
    """Group runs by scenario and settings, but for the seed. A log alone, or a seed again, is a new group."""
    groups: list[list[Run]] = []
    for run in runs:
        home = next((group for group in groups if _belongs(run, group)), None)
        if home is None:
            groups.append([run])
        else:
            home.append(run)
    labels = _labels(groups)
    return [Group(label, tuple(group)) for label, group in zip(labels, groups, strict=True)]


def _belongs(run: Run, group: list[Run]) -> bool:
    first = group[0]
    if run.stored is None or first.stored is None or run.seed in [one.seed for one in group]:
        return False
    digests = [
        (stored.about.scenario_sha256, stored.about.recordings_sha256)
        for stored in (run.stored, first.stored)
    ]
    return digests[0] == digests[1] and _compared(run) == _compared(first)


def _compared(run: Run) -> dict[str, Any]:
    return {name: value for name, value in run.settings.items() if name != "seed"}


def differences(groups: Sequence[Group]) -> list[Difference]:
    """List the settings that differ between groups, in the order of the settings; the scenario first."""
    if len(groups) < 2:
        return []
    tables = [{"scenario": group.scenario} | _compared(group.runs[0]) for group in groups]
    names = list(dict.fromkeys(name for table in tables for name in table))
    rows = [
        Difference(name, tuple(show_setting(table[name]) if name in table else MISSING for table in tables))
        for name in names
    ]
    return [row for row in rows if len(set(row.values)) > 1]


def _labels(groups: list[list[Run]]) -> list[str]:
    """Label groups by the one setting they differ in, or else by the name of their first run."""
    unnamed = [Group("", tuple(group)) for group in groups]
    found = differences(unnamed)
    labels = [group[0].name for group in groups]
    if len(found) == 1:
        labels = [f"{found[0].name} {value}" for value in found[0].values]
    if len(set(labels)) < len(labels):
        labels = [f"{label} ({n})" for n, label in enumerate(labels, start=1)]
    sizes = [f", {count(len(group), 'seed')}" if len(group) > 1 else "" for group in groups]
    return [label + size for label, size in zip(labels, sizes, strict=True)]
