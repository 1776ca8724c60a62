"""The charts of a report: which fields in which section, and a chart from the runs' curves."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from townlet_core.errors import count
from townlet_core.estimates import Estimate
from townlet_core.measures.table import MEASURES
from townlet_core.report.chart import NEUTRAL, Chart, Level, Mark, Series
from townlet_core.report.curve import Curve, average
from townlet_core.report.groups import Group
from townlet_core.report.log import interval_of
from townlet_core.telemetry.fields import AXES, BY_NAME, NUMBERS, REWARD_TERM_FIELDS
from townlet_core.telemetry.statistics import MODES

FRESH = ("rollout", "mixed", "unknown")  # of new data in every cycle: what recordings hold does not change


class Figure(NamedTuple):
    """A chart of one field. modes: the data modes whose curves are drawn, never averaged with each other."""

    field: str
    title: str
    modes: tuple[str, ...] = MODES
    unit: str | None = None  # by default the field's own
    about: str | None = None
    measure: str | None = None  # of `evaluate`, that the scripted baseline has as well
    # Fields of an evaluation by what acted in it; they take the place of the modes, and of `field`.
    policies: tuple[tuple[str, str], ...] = ()

    @property
    def fields(self) -> list[str]:
        """Name the fields whose curves are drawn, and those of the intervals around them."""
        evaluated = [end for _, name in self.policies for end in (name, *interval_of(name))]
        return evaluated or [self.field]


class Section(NamedTuple):
    """Figures under one heading."""

    title: str
    figures: tuple[Figure, ...]


def evaluations(names: Iterable[str]) -> Iterable[Figure]:
    """Make a figure of every measure that is evaluated while training, sampled and deterministic on one."""
    names = list(names)
    for name in names:
        match = re.fullmatch(r"eval_(?!deterministic_)(\w+)_mean", name)
        if match:
            greedy = f"eval_deterministic_{match[1]}_mean"
            policies = [("sampled", name), *([("deterministic", greedy)] if greedy in names else [])]
            title = f"Evaluation: {match[1].replace('_', ' ')}"
            measure = match[1] if match[1] in MEASURES else None
            yield Figure(name, title, measure=measure, policies=tuple(policies))


LEARNING = Section(
    "Learning",
    (
        Figure("episode_return_mean", "Episode return", FRESH, measure="return"),
        Figure("reward_mean", "Reward per agent and tick", FRESH),
        *evaluations(NUMBERS),
        Figure("explained_variance", "Explained variance of the critic"),
    ),
)
UPDATE = Section(
    "Policy update",
    (
        Figure("loss_total", "Total loss"),
        Figure("loss_policy", "Policy loss"),
        Figure("loss_value", "Value loss"),
        Figure("loss_entropy", "Policy entropy"),
        Figure("kl_divergence", "Approximate KL divergence"),
        Figure("kl_divergence_max", "Largest approximate KL divergence"),
        Figure("clip_fraction", "Clip fraction"),
        Figure("grad_norm", "Gradient norm"),
        Figure("grad_norm_max", "Largest gradient norm"),
        Figure("lr", "Learning rate"),
        Figure("ess_fraction", "Effective sample size of recordings", ("replay",)),
    ),
)
CONFLICT = Section(
    "Conflicts and rivalry",
    (
        Figure(
            "conflicts_per_1000",
            "Queue conflicts",
            FRESH,
            "per 1,000 agent steps",
            "queue conflicts per 1,000 agent steps",
            "conflicts",
        ),
        Figure(
            "intensity_per_1000",
            "Intensity of queue conflicts",
            FRESH,
            "per 1,000 agent steps",
            "summed intensity of the queue conflicts per 1,000 agent steps",
            "intensity",
        ),
        Figure("conflict.rivalry_max_mean_avg", "Strongest rivalry, mean", FRESH),
        Figure("conflict.rivalry_max_max_avg", "Strongest rivalry, largest", FRESH),
        Figure("conflict.rivalry_avoid_count_mean_avg", "Agents avoided, mean", FRESH),
        Figure("invalid_action_fraction", "Impossible actions", FRESH),
    ),
)
SECTIONS = (LEARNING, UPDATE, CONFLICT)
FIELDS = (
    *dict.fromkeys(name for section in SECTIONS for figure in section.figures for name in figure.fields),
    *REWARD_TERM_FIELDS.values(),
)


class Drawing(NamedTuple):
    """What all charts of a report have in common."""

    groups: Sequence[Group]
    axis: str
    baselines: dict[str, dict[str, Estimate]]  # of the scripted policy, by scenario

    @property
    def x_label(self) -> str:
        """Name the x axis."""
        return AXES.get(self.axis, self.axis)


def common_axis(groups: Sequence[Group]) -> str:
    """Return the best x axis that every log has."""
    axes = [run.log.axes for group in groups for run in group.runs]
    return next(axis for axis in axes[0] if all(axis in own for own in axes))


def draw_section(section: Section, drawing: Drawing) -> list[Chart]:
    """Draw the figures of a section that have a value."""
    charts = (draw_figure(figure, drawing) for figure in section.figures)
    return [chart for chart in charts if chart.series]


def draw_figure(figure: Figure, drawing: Drawing) -> Chart:
    """Draw one field: a curve per group and data mode, in bands the range of the records or of the seeds."""
    series = [one for n, group in enumerate(drawing.groups) for one in _of_group(figure, drawing, group, n)]
    field = BY_NAME.get(figure.field)
    runs = [run for group in drawing.groups for run in group.runs]
    places = (
        place
        for run in runs
        for alert in run.log.alerts
        if alert.field in figure.fields
        for place in alert.places[drawing.axis]
    )
    return Chart(
        name=figure.field.replace(".", "_"),
        title=figure.title,
        about=(figure.about or (field.meaning if field else figure.field))
        + _bands_of(series, bool(figure.policies)),
        x_label=drawing.x_label,
        y_label=figure.unit or (field.unit if field else ""),
        series=tuple(series),
        levels=tuple(_levels(figure, drawing)),
        marks=tuple(_best(drawing)) if figure in LEARNING.figures else (),
        alerts=tuple(places),
    )


def _bands_of(series: Sequence[Series], is_evaluation: bool) -> str:
    """Say what the bands around the curves are."""
    if is_evaluation and not any(one.is_faint for one in series):
        return "; band: 95 % interval over episodes"
    if any(one.is_faint for one in series):
        return "; band: 95 % interval over seeds, thin: single runs"
    return (
        "; band: range of the records"
        if any((one.curve.low != one.curve.high).any() for one in series)
        else ""
    )


def _of_group(figure: Figure, drawing: Drawing, group: Group, number: int) -> Iterable[Series]:
    """Draw a group's curve of each mode, and each of its runs faintly where there are several."""
    is_alone = len(drawing.groups) == 1
    for place, (name, field, mode) in enumerate(_lines(figure, group)):
        curves = _curves(group, field, mode, drawing.axis)
        if not curves:
            continue
        colour = place if is_alone else number
        seeds = f", mean of {count(len(curves), 'seed')}" if is_alone and len(curves) > 1 else ""
        label = f"{name}{seeds}" if is_alone else group.label + (f", {name}" if place else "")
        yield Series(label, average(curves), colour, is_dashed=place > 0)
        if len(curves) > 1:
            yield from (Series("", curve, colour, is_faint=True) for curve in curves)


def _lines(figure: Figure, group: Group) -> list[tuple[str, str, str]]:
    """Return the curves of a group to draw: name, field, data mode of its records."""
    modes = [mode for mode in figure.modes if any(mode in run.log.modes for run in group.runs)]
    if not figure.policies:
        return [(mode, figure.field, mode) for mode in modes]
    return [(name, field, mode) for mode in modes[:1] for name, field in figure.policies]


def _curves(group: Group, field: str, mode: str, axis: str) -> list[Curve]:
    """Return the curves of a group's runs that have one, and of which all have a common part."""
    found = [curve for run in group.runs if len((curve := run.log.curve(field, mode, axis)).x)]
    if found and max(curve.x[0] for curve in found) > min(curve.x[-1] for curve in found):
        longest = max(len(curve.x) for curve in found)
        return [next(curve for curve in found if len(curve.x) == longest)]
    return found


def _levels(figure: Figure, drawing: Drawing) -> Iterable[Level]:
    """Draw the scripted policy's measure, per scenario."""
    colours = _colours(drawing, lambda group: group.scenario)
    for scenario, measures in drawing.baselines.items():
        if figure.measure:
            name = "scripted" if len(drawing.baselines) == 1 else f"scripted, {scenario}"
            yield Level(name, *measures[figure.measure], colour=colours.get(scenario, NEUTRAL))


def _best(drawing: Drawing) -> Iterable[Mark]:
    """Mark the best checkpoint of every run; of several seeds the first one is named."""
    if drawing.axis != "env_steps":
        return
    colours = _colours(drawing, lambda group: group.label)
    for group in drawing.groups:
        found = [run.best.env_steps for run in group.runs if run.best]
        places = [float(place) for place in found if place is not None]
        name = "best checkpoint" + ("s" if len(places) > 1 else "")
        label = name if len(drawing.groups) == 1 else f"{name}, {group.label}"
        yield from (Mark("" if n else label, place, colours[group.label]) for n, place in enumerate(places))


def _colours(drawing: Drawing, name: Callable[[Group], str]) -> dict[str, int]:
    """Give each name the colour of its group; neutral where there is only one name."""
    names = [name(group) for group in drawing.groups]
    if len(set(names)) == 1:
        return {names[0]: NEUTRAL}
    return {one: names.index(one) for one in names}


def draw_reward_terms(drawing: Drawing) -> list[Chart]:
    """Stack the reward terms of each group's rollouts; terms that are always 0 are left out."""
    charts = []
    for n, group in enumerate(drawing.groups):
        curves = {
            term: average(found)
            for term, field in REWARD_TERM_FIELDS.items()
            if (found := _curves(group, field, "rollout", drawing.axis))
        }
        series = tuple(
            Series(term, curve, list(REWARD_TERM_FIELDS).index(term))
            for term, curve in curves.items()
            if curve.mean.any()
        )
        if series:
            title = "Reward by term" + ("" if len(drawing.groups) == 1 else f": {group.label}")
            name = "reward_terms" + ("" if len(drawing.groups) == 1 else f"_{n + 1}")
            about = "mean reward terms per agent and tick of the rollouts, stacked; the line is their sum"
            charts.append(Chart(name, title, about, drawing.x_label, "reward", series, is_stacked=True))
    return charts
