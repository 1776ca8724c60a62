"""Everything a report says, gathered from runs: groups, charts, baselines, and the player of a capture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from townlet_core.errors import TownletError
from townlet_core.estimates import Estimate
from townlet_core.report.baseline import EPISODES, scenario_of, scripted_baseline
from townlet_core.report.chart import Chart
from townlet_core.report.figures import (
    FIELDS,
    SECTIONS,
    Drawing,
    common_axis,
    draw_reward_terms,
    draw_section,
)
from townlet_core.report.groups import Group, group_runs
from townlet_core.report.log import Rules, no_rules
from townlet_core.report.player import Player, last_capture, make_player
from townlet_core.report.run import find_runs, read_a_run


class Report(NamedTuple):
    """A report, ready to be laid out."""

    groups: list[Group]
    sections: dict[str, list[Chart]]  # by title
    baselines: dict[str, dict[str, Estimate]]  # of the scripted policy, by scenario
    episodes: int  # of the baselines
    player: Player | None

    @property
    def rules(self) -> list[str]:
        """Return the alert rules that were tried on any of the runs."""
        tried = [rule.text for group in self.groups for run in group.runs for rule in run.log.rules]
        return list(dict.fromkeys(tried))

    @property
    def charts(self) -> list[Chart]:
        """Return all charts."""
        return [chart for charts in self.sections.values() for chart in charts]


class Reports(NamedTuple):
    """Callbacks while a report is made; each may do nothing."""

    warning: Callable[[str], Any] = lambda message: None
    towns: Callable[[int], Any] = lambda count: (
        None
    )  # before so many towns are played, which may compile them


def make_report(
    paths: Sequence[Path],
    rules: Rules = no_rules,
    capture: Path | None = None,
    captures: Path = Path("captures"),
    episodes: int = EPISODES,
    has_player: bool = True,
    reports: Reports | None = None,
) -> Report:
    """Read runs and logs and draw their charts.

    paths: runs, logs, or folders of runs. rules: alert rules to try, by scenario, as in read_log.
    episodes: of the scripted baseline; 0 for none. capture: what the player plays; by default the last
    one of the scenario in the folder `captures`, or in a run.
    Raises MissingError, DiskError, or InputError for what cannot be read; of a capture only if it is given.
    """
    reports = reports or Reports()
    runs = [read_a_run(path, FIELDS, rules) for path in find_runs(paths)]
    groups = group_runs(runs)
    baselines = _baselines(groups, episodes, reports) if episodes else {}
    drawing = Drawing(groups, common_axis(groups), baselines)
    sections = {section.title: draw_section(section, drawing) for section in SECTIONS}
    sections["Reward terms"] = draw_reward_terms(drawing)
    return Report(
        groups=groups,
        sections={title: charts for title, charts in sections.items() if charts},
        baselines=baselines,
        episodes=episodes,
        player=_player(groups, capture, captures, reports) if has_player else None,
    )


def _baselines(groups: Sequence[Group], episodes: int, reports: Reports) -> dict[str, dict[str, Estimate]]:
    """Evaluate the script in each scenario that a run was trained in; one that does not load is a warning."""
    found: dict[str, dict[str, Estimate]] = {}
    for group in groups:
        if group.scenario in found:
            continue
        try:
            scenario = scenario_of(group)
        except TownletError as error:
            reports.warning(f"no scripted baseline: {error}")
            continue
        if scenario is not None and scenario.agents:
            reports.towns(episodes)
            found[group.scenario] = scripted_baseline(scenario, episodes)
    return found


def _player(groups: Sequence[Group], given: Path | None, captures: Path, reports: Reports) -> Player | None:
    """Make the player of the given capture, or of the last one that there is."""
    if given is not None:
        reports.towns(1)
        return make_player(given)
    stored = [run.stored for group in groups for run in group.runs if run.stored]
    digests = dict.fromkeys(one.about.scenario_sha256 for one in stored)
    folders = [one.folder for one in stored]
    path = next((found for one in digests if one and (found := last_capture(captures, folders, one))), None)
    if path is None:
        return None
    reports.towns(1)
    try:
        return make_player(path)
    except TownletError as error:
        reports.warning(f"no player: {error}")
        return None
