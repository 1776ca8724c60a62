"""The sums of recorded episodes: samples and event log of a capture, played to the tally tick by tick."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from townlet_core import io
from townlet_core.errors import InputError, SampleError, count, shown
from townlet_core.measures.table import measure_episodes
from townlet_core.measures.tally import Events, Tally, Tick
from townlet_core.replay.events import load_events
from townlet_core.replay.limits import DEFAULT_LIMITS, ReadLimits
from townlet_core.replay.manifest import ManifestEntry, companion, examine_entry
from townlet_core.replay.packed.pack import open_manifest
from townlet_core.replay.sample import ReplaySample, raise_first
from townlet_core.scenario.load import load_scenario
from townlet_core.scenario.model import Scenario
from townlet_core.vocab import CONFLICT_REASONS, EVENTS, NEEDS

_CONFLICTS = ("conflict_events", "conflict_intensity")
_ARRAYS = ("terminations", "truncations", "reward_terms", *_CONFLICTS)


class Recorded(NamedTuple):
    """The measures of the episodes of a capture."""

    agents: tuple[str, ...]
    values: np.ndarray  # (episodes, measures), in the order of MEASURES
    contests: np.ndarray  # (A, A): how often agent i lost a contest to agent j, in all episodes
    unfinished: int  # episodes that were not recorded to their end, and are left out


class _Life(NamedTuple):
    """What a sample says of an agent's ticks; all arrays are (T,) or (T, needs)."""

    episode: int
    agent: str
    first: int  # tick among those of the town's recording
    recorded: int  # ticks of that recording
    is_truncated: bool
    needs: np.ndarray
    late: np.ndarray
    outcomes: dict[str, np.ndarray]


_Event = tuple[int, int, int, str | None, str | None]  # tick, type, reason, actor, rival


def measure_recording(path: Path | str, limits: ReadLimits = DEFAULT_LIMITS) -> Recorded:
    """Measure every episode of a capture that was recorded to its end.

    path: a manifest, or a folder with one. Memory holds the event log and the lives of one town.
    Raises InputError for a capture without an event log or without some agents, SampleError for samples that
    lack an array, MissingError, or DiskError.
    """
    manifest = open_manifest(Path(path), limits)
    scenario, log = (companion(manifest.path, ending) for ending in ("scenario.yaml", "events.jsonl"))
    if io.kind_of(log) != "file":
        raise InputError(f"{log}: is not there, and who lost to whom stands in it", "name a capture")
    plan = load_scenario(scenario) if io.kind_of(scenario) == "file" else None
    entries = manifest.entries
    names = [agent.id for agent in plan.agents] if plan else [entry.agent_id for entry in entries]
    agents = tuple(dict.fromkeys(name for name in names if name))
    events = _events_by_episode(log, limits)
    values, unfinished = list[np.ndarray](), 0
    contests = np.zeros((len(agents), len(agents)))
    for town, episode, lives in _episodes(entries, plan, limits):
        if lives is None:
            unfinished += 1
            continue
        _refuse_other(manifest.path, agents, lives, plan)
        tally = _play(agents, lives, events.get((town, episode), []))
        values.append(measure_episodes(tally.rows()))
        contests += tally.contests[0]
    if not values:
        raise InputError(
            f"{manifest.path}: holds no episode that was recorded to its end", "capture more ticks"
        )
    return Recorded(agents, np.concatenate(values), contests, unfinished)


def _episodes(
    entries: Iterable[ManifestEntry], plan: Scenario | None, limits: ReadLimits
) -> Iterator[tuple[int, int, list[_Life] | None]]:
    """Iterate over town, episode and the lives in it; None for an episode that goes on after the recording.

    Raises SampleError unless the samples of each town are together.
    """
    towns: set[int] = set()
    lives = (_life_of(entry, plan, limits) for entry in entries)
    for town, of_town in groupby(lives, key=lambda life: life[0]):
        if town in towns:
            raise SampleError(f"the samples of town {town} are not together", "measure one capture at a time")
        towns.add(town)
        episodes: dict[int, list[_Life]] = {}
        for _, life in of_town:
            episodes.setdefault(life.episode, []).append(life)
        for episode, own in sorted(episodes.items()):
            yield town, episode, own if episode < max(episodes) or _has_ended(own, plan) else None


def _has_ended(lives: Sequence[_Life], plan: Scenario | None) -> bool:
    """Whether a town's last episode ended within the recording; at its end nobody may be in town."""
    has_room = plan is not None and min(life.first for life in lives) + plan.ticks <= lives[0].recorded
    return has_room or any(life.is_truncated for life in lives)


def _events_by_episode(log: Path, limits: ReadLimits) -> dict[tuple[int, int], list[_Event]]:
    found: dict[tuple[int, int], list[_Event]] = {}
    for event in load_events(log, limits):
        reason = CONFLICT_REASONS.index(event["reason"]) if event["type"] == "queue_conflict" else -1
        row = (event["tick"], EVENTS.index(event["type"]), reason, event.get("actor"), event.get("rival"))
        found.setdefault((event["town"], event.get("episode", 0)), []).append(row)
    return found


def _life_of(entry: ManifestEntry, plan: Scenario | None, limits: ReadLimits) -> tuple[int, _Life]:
    """Read a sample; returns its town as well."""
    sample, findings = (entry.shard.sample(entry.number), []) if entry.shard else examine_entry(entry, limits)
    raise_first(findings)
    assert sample is not None  # there is no sample only where there is a problem
    about = sample.metadata.get("capture")
    capture = about if isinstance(about, dict) else {}
    place: list[Any] = [capture.get(name) for name in ("town", "episode", "first_frame", "ticks")]
    names = {name: n for n, name in enumerate(sample.feature_names)}
    missing = [name for name in _ARRAYS if name not in sample.optional]
    missing += [f"need_{need}" for need in NEEDS if f"need_{need}" not in names]
    if missing or any(type(number) is not int for number in place):
        said = ", ".join(missing) or "its place in a capture"
        raise SampleError(f"{entry.sample}: has no {said}", "measures need a sample of `townlet capture`")
    columns = [names[f"need_{need}"] for need in NEEDS]
    late, earned = _late_and_earned(sample, plan)
    outcomes = {
        "reward": sample.rewards.astype(np.float64),
        "earned": earned,
        "terminated": sample.optional["terminations"].astype(np.float64),
        **{name: sample.optional[name].astype(np.float64) for name in _CONFLICTS},
    }
    is_truncated = bool(sample.optional["truncations"][-1])
    needs = sample.features[:, columns].astype(np.float64)
    town, episode, first, recorded = place
    return town, _Life(episode, sample.agent_id, first, recorded, is_truncated, needs, late, outcomes)


def _late_and_earned(sample: ReplaySample, plan: Scenario | None) -> tuple[np.ndarray, np.ndarray]:
    """Return in which ticks lateness was penalised, and the money earned; NaN where rewards do not tell."""
    terms = {name: sample.optional["reward_terms"][:, n] for n, name in enumerate(sample.reward_terms)}
    nothing = np.zeros(sample.timesteps)
    if plan is not None and not plan.jobs:
        return nothing, nothing
    late = earned = np.full(sample.timesteps, np.nan)
    if plan and plan.rewards.lateness and "punctuality" in terms:
        late = (terms["punctuality"] < 0).astype(np.float64)
    if plan and plan.rewards.wages and "wages" in terms:
        earned = terms["wages"].astype(np.float64) / plan.rewards.wages
    return late, earned


def _refuse_other(
    manifest: Path, agents: Sequence[str], lives: Sequence[_Life], plan: Scenario | None
) -> None:
    """Raise InputError unless these are the lives of all agents, and SampleError if they leave a long gap."""
    found = {life.agent for life in lives}
    if missing := sorted(set(agents) - found):
        raise InputError(
            f"{manifest}: has no samples of {', '.join(missing)}, expected those of every agent",
            "capture without --agent",
        )
    if others := sorted(found - set(agents)):
        raise InputError(
            f"{manifest}: has samples of {shown(others[0])}, which is no agent of the scenario beside it"
        )
    length = max(life.first + len(life.late) for life in lives) - min(life.first for life in lives)
    if length > max(plan.ticks if plan else 0, sum(len(life.late) for life in lives)):
        raise SampleError(f"{manifest}: its samples leave gaps in an episode of {count(length, 'tick')}")


def _play(agents: Sequence[str], lives: Sequence[_Life], events: Sequence[_Event]) -> Tally:
    """Tally an episode."""
    start = min(life.first for life in lives)
    ticks = max(life.first + len(life.late) for life in lives) - start
    lived = np.zeros((ticks, 1, len(agents)), bool)
    needs, late = np.zeros((*lived.shape, len(NEEDS))), np.zeros(lived.shape)
    outcomes = {name: np.zeros(lived.shape) for name in lives[0].outcomes}
    for life in lives:
        place = slice(life.first - start, life.first - start + len(life.late)), 0, agents.index(life.agent)
        lived[place], needs[place], late[place] = True, life.needs, life.late
        for name, values in life.outcomes.items():
            outcomes[name][place] = values
    by_tick = {tick: list(own) for tick, own in groupby(events, key=lambda event: event[0])}
    tally = Tally(1, len(agents))
    for t in range(ticks):
        own = {name: values[t] for name, values in outcomes.items()}
        tally.add_tick(Tick(lived[t], needs[t], late[t], own), _events_of(by_tick.get(t, ()), agents))
    return tally


def _events_of(events: Iterable[_Event], agents: Sequence[str]) -> Events:
    number = {name: n for n, name in enumerate(agents)}
    rows = [
        (0, kind, reason, number.get(actor or "", -1), number.get(rival or "", -1))
        for _, kind, reason, actor, rival in events
    ]
    return Events(*np.array(rows, np.int64).reshape(-1, 5).T)
