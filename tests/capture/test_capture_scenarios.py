"""What every bundled scenario promises (its row of the table) is true, with its own seed and with others."""

import numpy as np
import pytest

from townlet_core.capture.capture import CaptureSettings, write_capture
from townlet_core.capture.rollout import allocate_frames, collect
from townlet_core.capture.totals import unmet_expectations
from townlet_core.policy.output import PolicyOutput
from townlet_core.policy.scripted import ScriptedPolicy
from townlet_core.scenario.catalogue import bundled_scenarios
from townlet_core.scenario.load import load_scenario
from townlet_core.scenario.metrics import AGENT_METRICS, TOWN_METRICS
from townlet_core.simulation.towns import Towns
from townlet_core.vocab import EAST, NEEDS, NORTH, REQUEST, REWARD_TERMS, SOUTH, START, WAIT, WEST

HYGIENE = NEEDS.index("hygiene")

TOWNS = 60  # other seeds, as towns of one run: the chance of each is its own
MOST = 0.95  # chance acts, so a demonstration may fail now and then
PAYING = sorted(set(bundled_scenarios()) - {"observation_baseline"})


class Story:
    """An episode of many towns, as frames and as the events of each."""

    def __init__(self, name, policy=None, epsilon=None, num_towns=TOWNS):
        scenario = load_scenario(name)
        self.agents = [agent.id for agent in scenario.agents]
        self.towns = Towns(scenario, num_towns)
        self.frames = allocate_frames(self.towns, scenario.ticks)
        self.events = [[] for _ in range(num_towns)]
        self.rivalry = []
        collect(self.towns, policy or ScriptedPolicy(scenario, epsilon), self.frames, self.note)
        self.rivalry = np.array(self.rivalry)  # (T, B) the strongest in town
        self.returns = self.frames.rewards.sum(axis=0)  # (B, A)

    def note(self):
        for event in self.towns.new_events():
            self.events[event["town"]].append(event)
        self.rivalry.append(self.towns.state.rivalry.max(axis=(1, 2)))

    def feature(self, name):
        return self.frames.features[..., self.towns.feature_names.index(name)]

    def term(self, name):
        return self.frames.reward_terms[..., REWARD_TERMS.index(name)].sum(axis=0)

    def count(self, event_type, actor=None):
        return np.array(
            [
                sum(e["type"] == event_type and actor in (None, e.get("actor")) for e in events)
                for events in self.events
            ]
        )


def test_what_a_scenario_can_expect_is_what_a_capture_counts(tmp_path):
    scenario = load_scenario("kitchen_breakfast")
    settings = CaptureSettings(ticks=5, seed=1)
    totals = write_capture(scenario, ScriptedPolicy(scenario), settings, tmp_path).totals
    own = {f"{agent}.{metric}" for agent in ("kai", "luz") for metric in AGENT_METRICS}
    assert {*TOWN_METRICS, *own} == set(totals)


@pytest.mark.parametrize("name", sorted(bundled_scenarios()))
def test_a_capture_with_the_own_seed_meets_every_expectation(name, tmp_path):
    scenario = load_scenario(name)
    settings = CaptureSettings(ticks=scenario.ticks, seed=scenario.seed, epsilon=scenario.rules.epsilon)
    result = write_capture(scenario, ScriptedPolicy(scenario), settings, tmp_path / "out")
    assert len(scenario.expect) >= 7
    assert unmet_expectations(scenario, result.totals) == []
    assert result.totals["reward_clipped_fraction"] < 0.01


def test_queue_conflict_has_two_reasons_and_growing_rivalry_and_all_get_clean():
    story = Story("queue_conflict")
    reasons = [{event["reason"] for event in events if "reason" in event} for events in story.events]
    clean = story.feature("need_hygiene")[-1].min(axis=1) > 0.6
    grown = story.rivalry.max(axis=0) > 0.4
    assert (np.array([len(found) >= 2 for found in reasons]) & clean & grown).mean() >= MOST
    assert (story.feature("need_hygiene")[0] < 0.3).all()


def test_kitchen_breakfast_feeds_both_in_turns_without_a_ghost_step():
    story = Story("kitchen_breakfast")
    ate = (story.feature("need_hunger")[-1] > story.feature("need_hunger")[0] + 0.25).all(axis=1)
    assert (ate & (story.count("queue_handover") >= 1)).mean() >= MOST
    assert "ghost_step" not in {e.get("reason") for events in story.events for e in events}


def test_employment_punctuality_pays_the_punctual_more():
    story = Story("employment_punctuality")
    dawn, erin = (story.agents.index(name) for name in ("dawn", "erin"))
    assert (story.term("wages")[:, dawn] > story.term("wages")[:, erin]).all()
    assert (story.term("punctuality")[:, dawn] > 0).all()
    assert (story.term("punctuality")[:, erin] < 0).all()
    assert (story.count("shift_late", "erin") == 1).all()
    assert story.count("shift_late", "dawn").sum() == story.count("shift_absent").sum() == 0


def test_rivalry_decay_rises_above_two_fifths_and_then_only_falls():
    story = Story("rivalry_decay")
    seen = story.feature("rivalry_max").max(axis=2)  # (T, B)
    good = []
    for curve in seen.T:
        after = np.diff(curve[curve.argmax() :])
        good.append(curve.max() > 0.4 and (after <= 0).all() and curve[-1] < 0.1)
    assert np.mean(good) >= MOST


def test_observation_baseline_pays_nothing_and_has_no_events():
    story = Story("observation_baseline", num_towns=20)
    assert not story.frames.rewards.any()
    assert not story.frames.reward_terms.any()
    assert story.events == [[]] * 20


def test_town_day_is_a_busy_day_and_nobody_faints():
    story = Story("town_day", num_towns=40)
    assert story.count("faint").sum() == 0
    for event in ("queue_conflict", "late_help", "shift_takeover", "shared_meal", "chat_success"):
        assert (story.count(event) > 0).mean() > 0.5, event
    assert (story.count("shift_on_time") >= 4).all()
    assert (story.count("shower_complete") >= 8).all()
    returns = dict(zip(story.agents, story.returns.mean(axis=0), strict=True))
    cleo = returns.pop("cleo")  # who has been up all night, and is late
    assert abs(cleo) < 1
    assert min(returns.values()) > 5


@pytest.mark.parametrize("name", PAYING)
def test_the_random_policy_is_paid_much_less_than_the_scripted(name):
    num_towns = 10 if name == "town_day" else TOWNS
    scripted = Story(name, num_towns=num_towns).returns.sum(axis=1)
    at_random = Story(name, epsilon=1.0, num_towns=num_towns).returns.sum(axis=1)
    assert np.percentile(at_random, 95) < np.percentile(scripted, 5)


class TakeTurns:
    """In queue_conflict: the dirtiest who may goes to the shower, alone; the others keep away."""

    def act(self, towns, seen):
        actions = np.full(towns.state.agents.shape, WAIT, np.int64)
        for b, agents in enumerate(towns.state.agents):
            busy = [i for i, agent in enumerate(agents) if agent.object == 0]
            ready = towns.state.cooldown[b, 0] <= towns.state.towns[b].tick + 1
            dirty = [i for i, agent in enumerate(agents) if ready[i] and agent.needs[HYGIENE] < 0.75]
            for i in busy or sorted(dirty, key=lambda i: agents[i].needs[HYGIENE])[:1]:
                actions[b, i] = self.wash(towns, agents[i], seen.action_mask[b, i])
        return PolicyOutput(actions, np.float32(0), np.float32(0))

    def wash(self, towns, agent, mask):
        if mask[START] or mask[REQUEST]:
            return START if mask[START] else REQUEST
        way = towns.params.ways_to_kinds[agent.y, agent.x, 0]
        move = {(0, -1): NORTH, (1, 0): EAST, (0, 1): SOUTH, (-1, 0): WEST}.get(
            (way.step_x, way.step_y), WAIT
        )
        return move if mask[move] else WAIT

    def values(self, seen):
        return np.float32(0)


def test_in_queue_conflict_taking_turns_is_paid_more_than_the_script():
    polite = Story("queue_conflict", policy=TakeTurns())
    scripted = Story("queue_conflict")
    assert polite.count("queue_conflict").sum() == 0
    assert (polite.feature("need_hygiene")[-1] > 0.6).all()
    assert polite.returns.sum(axis=1).min() > np.percentile(scripted.returns.sum(axis=1), 95) + 0.5
