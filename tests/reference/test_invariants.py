"""What the watch over compiled towns notices: a sound state is spoilt by hand, in one place at a time."""

from __future__ import annotations

import pytest
from reference.invariants import Watch

from townlet_core.policy.scripted import ScriptedPolicy
from townlet_core.scenario.load import load_scenario
from townlet_core.scenario.rules import Rules
from townlet_core.simulation.towns import Towns

ALL = slice(None)
# What is noticed: the array, its field, where in the town, what is put there. Agent 0 uses the only object,
# agents 2 and 1 wait in its line, and the tick's one event is a conflict between 2 and 0.
SPOILT = {
    "agents stand on open floor": ("agents", "x", 0, 0),
    "agents have a tile each": ("agents", "x", ALL, 5),
    "needs are in range": ("agents", "needs", 0, 1.01),
    "wallets are not negative": ("agents", "wallet", 2, -0.01),
    "stock is not negative": ("objects", "stock", 0, -2),
    "everybody may wait": ("agents", "legal", 1, 0b10),
    "there are nine actions": ("agents", "legal", 1, 0b1000000001),
    "everybody is served once": ("order", None, ALL, 1),
    "episodes end": ("towns", "tick", ..., 80),
    "who is free has nothing": ("agents", "role", 1, 0),
    "who is away is free": ("agents", "alive", 1, False),
    "lines hold nobody twice": ("line", None, (0, 1), 2),
    "role 1 fits the agent": ("line", None, (0, 1), 0),
    "role 1 is of one agent each": ("objects", "line_length", 0, 1),
    "role 3 fits the agent": ("objects", "user", 0, 2),
    "role 3 is of one agent each": ("objects", "user", 0, -1),
    "nobody uses what is offered": ("objects", "holder", 0, 1),
    "rivalry is not negative": ("rivalry", None, (0, 1), -0.1),
    "rivalry is symmetric": ("rivalry", None, (0, 1), 0.9),
    "rivals are few": ("rivalry", None, ALL, 0.1),
    "rivalry is known of": ("towns", "has_rivals", ..., False),
    "trust is in range": ("trust", None, (0, 1), -1.5),
    "familiarity is not of oneself": ("familiarity", None, (2, 2), 0.1),
    "terms sum to the reward": ("agents", "reward", 0, 0.5),
    "rewards are clipped": ("agents", "reward", 0, 7.0),
    "a use goes on": ("agents", "progress", 0, 1),
    "events are counted": ("towns", "tally", 7, 1),
    "events are told once": ("towns", "event_count", ..., 2),
    "events have an actor": ("events", "actor", 0, -1),
    "events have a rival": ("events", "rival", 0, -1),
    "nobody is its own rival": ("events", "rival", 0, 2),
    "events are about a thing": ("events", "type", 0, 8),  # a chat
    "what starts is announced": ("events", "type", 0, 10),  # an outage
    "who fainted is told": ("agents", "terminated", 0, True),
    "intensities are in range": ("events", "value", 0, 9.0),
    "conflicts are shared": ("agents", "conflict_events", 1, 0.5),
}


@pytest.fixture
def quarrel() -> tuple[Towns, Watch]:
    """A town after a tick with an impatience, and a watch that looked after the tick before."""
    scenario = load_scenario("queue_conflict")
    scenario = scenario.model_copy(update={"rules": few_rivals(scenario.rules)})
    towns, script = Towns(scenario), ScriptedPolicy(scenario, epsilon=0)
    watch = Watch(towns)
    for tick in range(5):
        towns.step(script.act(towns, towns.observe()).actions)
        if tick < 4:
            watch.check(f"tick {tick}")
    towns.state.events[0, 1] = towns.state.events[0, 0]  # beyond what counts
    return towns, watch


def few_rivals(rules: Rules) -> Rules:
    return rules.model_copy(update={"rivalry": rules.rivalry.model_copy(update={"max_edges": 2})})


def test_a_sound_state_passes(quarrel: tuple[Towns, Watch]) -> None:
    towns, watch = quarrel
    watch.check("now")
    assert (towns.state.objects["user"][0, 0], *towns.state.line[0, 0, :2]) == (0, 2, 1)


@pytest.mark.parametrize("noticed", SPOILT)
def test_a_spoilt_state_is_noticed(quarrel: tuple[Towns, Watch], noticed: str) -> None:
    towns, watch = quarrel
    name, field, where, value = SPOILT[noticed]
    array = getattr(towns.state, name)[:1]
    (array[field] if field else array)[0, ...][where] = value
    with pytest.raises(AssertionError, match=noticed):
        watch.check("now")


def test_who_is_left_on_a_board_is_noticed(quarrel: tuple[Towns, Watch]) -> None:
    towns, watch = quarrel
    towns._boards[0, 4, 7] = 1
    with pytest.raises(AssertionError, match="boards are cleared"):
        watch.check("now")


def test_who_has_waited_too_long_is_noticed(quarrel: tuple[Towns, Watch]) -> None:
    towns, watch = quarrel
    promised = towns.params.constants[0]["ghost_step_after"] + towns.params.kinds[0]["duration_ticks"]
    assert watch.patience[0, 0].tolist()[1:] == [2 * promised, promised]  # agent 2 is in front of agent 1
    watch.waited[0, 0, 2] = promised - 1
    with pytest.raises(AssertionError, match="everybody in line has a turn"):
        watch.check("now")


def test_who_has_waited_longer_may_go_first_as_often_as_the_lead_is_long(
    quarrel: tuple[Towns, Watch],
) -> None:
    towns, watch = quarrel
    towns.params.constants["age_priority_weight"] = 0.5
    towns.state.agents["ticks_waited"][0] = (9, 3, 10)
    head_start = watch.head_start(watch.place)[0, 0].tolist()
    assert head_start[1:] == [7, 0]  # agent 2 leads agent 1 by seven ticks; agent 0 uses and is not in line
