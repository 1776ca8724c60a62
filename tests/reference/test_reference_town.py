"""Hold the slow town to stories worked by hand from docs/rules.md, and to its invariants in random play."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from reference.entities import mix
from reference.play import check_invariants, random_actions
from reference.scenarios import random_scenario
from reference.town import ReferenceTown
from reference.view import view_features

from townlet_core.rng import draw_bits, town_key
from townlet_core.scenario.model import (
    AgentSpec,
    Effects,
    Grid,
    Job,
    Kind,
    Meeting,
    ObjectSpec,
    Outage,
    PriceSpike,
    Scenario,
)
from townlet_core.scenario.rules import EmploymentRules, NeedRules, QueueRules, Rules
from townlet_core.vocab import EAST, EVENTS, RELEASE, REQUEST, START, WAIT, WEST

BATH = Kind(affordance="bathe", duration_ticks=2, effects=Effects(hygiene=0.5), cost=0.25)


def bath_town(agents: int = 2, **queues: int) -> ReferenceTown:
    """Put a bath at (1, 1) of a 3×3 grid; agents stand west, east, north of it."""
    beside = ((0, 1), (2, 1), (1, 0))
    scenario = Scenario(
        name="bath",
        ticks=60,
        grid=Grid(size=(3, 3)),
        kinds={"bath": BATH},
        objects=[ObjectSpec(id="bath", kind="bath", position=(1, 1))],
        agents=[AgentSpec(id=f"agent{n}", position=beside[n]) for n in range(agents)],
        rules=Rules(queues=QueueRules(cooldown_ticks=2, **queues)),
    )
    return ReferenceTown(scenario, seed=1, town=0)


def shift_town(grace: int = 1, cutoff: int = 3) -> ReferenceTown:
    """Put one till, its worker beside it, and a colleague on the later shift on the other side."""
    scenario = Scenario(
        name="till",
        ticks=60,
        grid=Grid(size=(3, 1)),
        objects=[ObjectSpec(id="till", kind="checkout", position=(1, 0))],
        jobs={
            "early": Job(workplace="till", start_tick=2, end_tick=10, wage_rate=0.5),
            "late": Job(workplace="till", start_tick=30, end_tick=40, wage_rate=0.25),
        },
        agents=[
            AgentSpec(id="early", position=(0, 0), job="early"),
            AgentSpec(id="late", position=(2, 0), job="late"),
        ],
        rules=Rules(employment=EmploymentRules(grace_ticks=grace, absent_cutoff=cutoff)),
    )
    return ReferenceTown(scenario, seed=1, town=0)


def types(town: ReferenceTown) -> list[str]:
    return [event.get("reason", event["type"]) for event in town.events]


def test_python_integers_draw_what_the_compiled_generator_draws() -> None:
    key = mix(mix(mix(0, 7), 3), 2)
    assert key == int(town_key(np.uint64(7), 3, 2))
    assert mix(mix(mix(key, 11), 5), 4) == int(draw_bits(np.uint64(key), 11, 5, 4))


def test_a_bath_takes_its_ticks_costs_its_money_and_cools_down() -> None:
    town = bath_town(agents=1)
    agent = town.agents[0]
    town.step([REQUEST])  # tick 0: joins, is offered the bath
    town.step([START])  # tick 1: progress 1
    town.step([WAIT])  # tick 2: progress 2, complete
    assert types(town) == ["affordance_complete"]
    assert agent.wallet == 0.75
    assert agent.needs["hygiene"] == 1.0 - 0.005  # 0.7 - 2 · .005 + .5 is capped at 1, then decays
    for _ in range(2):  # no request in ticks 3 and 4
        assert not agent.legal[REQUEST]
        town.step([WAIT])
    assert agent.legal[REQUEST]


def test_the_loser_of_a_race_for_a_free_bath_quarrels_with_the_winner() -> None:
    town = bath_town()
    town.step([REQUEST, REQUEST])
    winner, loser = town.objects[0].holder, town.objects[0].line[0]
    assert winner is not None
    (event,) = town.events
    assert (event["reason"], event["actor"], event["rival"]) == ("contention", loser.index, winner.index)
    assert event["intensity"] == 1.0  # boost 1, nobody waits beyond the first
    assert town.rivalry == {(0, 1): 0.15 - 0.005}


def test_an_idle_holder_is_displaced_in_the_third_tick_somebody_waits() -> None:
    town = bath_town()
    town.step([REQUEST, WAIT])
    assert types(town) == []
    town.step([WAIT, REQUEST])  # idle 1
    town.step([WAIT, WAIT])  # idle 2
    assert town.objects[0].holder is town.agents[0]
    town.step([WAIT, WAIT])  # idle 3
    assert types(town) == ["ghost_step"]
    assert town.objects[0].holder is town.agents[1]
    assert town.objects[0].line == [town.agents[0]]


def test_a_bath_given_to_one_who_waited_is_a_hand_over() -> None:
    town = bath_town()
    town.step([REQUEST, WAIT])
    town.step([START, REQUEST])
    town.step([WAIT, WAIT])  # complete; the bath is offered in the next tick
    town.step([WAIT, WAIT])
    (event,) = town.events
    assert (event["type"], event["actor"], event["rival"]) == ("queue_handover", 0, 1)
    assert town.trust == {(0, 1): 0.05}


def test_waiting_patience_ticks_behind_a_user_is_a_conflict_and_spoils_the_hand_over() -> None:
    town = bath_town(patience_ticks=2)
    town.step([REQUEST, WAIT])
    town.step([START, REQUEST])  # waited 1
    town.step([WAIT, WAIT])  # waited 2, before the bath completes
    assert types(town) == ["impatience", "affordance_complete"]
    town.step([WAIT, WAIT])
    assert types(town) == []
    assert town.objects[0].holder is town.agents[1]


@pytest.mark.parametrize("actions", [(EAST, WEST), (WEST, EAST)])
def test_two_agents_never_swap_tiles(actions: tuple[int, int]) -> None:
    scenario = Scenario(
        name="corridor",
        ticks=5,
        grid=Grid(size=(2, 1)),
        agents=[AgentSpec(id="a", position=(0, 0)), AgentSpec(id="b", position=(1, 0))],
    )
    town = ReferenceTown(scenario, seed=1, town=0)
    town.step(list(actions))
    assert [(agent.x, agent.y) for agent in town.agents] == [(0, 0), (1, 0)]
    assert town.invalid_actions == 2


def test_a_worker_who_starts_within_grace_is_on_time_and_paid_every_tick() -> None:
    town = shift_town()
    town.step([WAIT, WAIT])
    town.step([WAIT, WAIT])
    town.step([REQUEST, WAIT])  # tick 2, the first of the shift: away
    town.step([START, WAIT])  # tick 3, one past the start
    assert types(town) == ["shift_on_time"]
    agent = town.agents[0]
    assert (agent.wallet, agent.withheld, agent.terms["punctuality"]) == (1.5, 0.5, 0.2)
    while town.tick <= 10:
        town.step([WAIT, WAIT])
    assert agent.shift_state == "post"
    assert view_features(town, agent)["attendance_ratio"] == 7 / 8


def test_a_missing_worker_is_late_then_absent_and_can_be_covered() -> None:
    town = shift_town()
    seen = []
    while town.tick < 7:
        town.step([WAIT, WAIT])
        seen += [(event["tick"], event["type"]) for event in town.events]
    assert seen == [(4, "shift_late"), (6, "shift_absent")]
    assert town.agents[0].late_ticks == 2  # ticks 4 and 5
    town.step([WAIT, REQUEST])
    town.step([REQUEST, START])  # tick 8: takes over, and leaves at once for the one who came
    assert types(town) == ["shift_takeover", "late_help"]
    assert town.agents[1].role == "free"
    assert town.trust == {(0, 1): 0.15 + 0.1}


def changed(town: ReferenceTown, **changes: object) -> ReferenceTown:
    return ReferenceTown(town.scenario.model_copy(update=changes), seed=1, town=0)


def test_what_needs_water_cannot_be_started_while_there_is_none() -> None:
    wet = {"bath": BATH.model_copy(update={"utility": "water"})}
    outage = Outage(utility="water", start_tick=1, duration_ticks=2)
    town = changed(bath_town(agents=1), kinds=wet, outages=[outage])
    town.step([REQUEST])  # tick 0: joins, is offered the bath
    for tick in (1, 2):
        assert not town.agents[0].legal[START]
        town.step([WAIT])
        assert types(town) == (["utility_outage"] if tick == 1 else [])
    assert town.agents[0].legal[START]


def test_who_starts_during_a_price_spike_pays_its_price_at_the_end() -> None:
    spike = PriceSpike(kind="bath", factor=3.0, start_tick=0, duration_ticks=2)
    town = changed(bath_town(agents=1), price_spikes=[spike])
    town.step([REQUEST])
    town.step([START])  # tick 1, the last of the spike: .75 instead of .25
    town.step([WAIT])  # tick 2: complete
    assert types(town) == ["affordance_complete"]
    assert town.agents[0].wallet == 0.25


def test_who_cannot_pay_the_price_of_today_cannot_ask() -> None:
    spike = PriceSpike(kind="bath", factor=5.0, start_tick=1, duration_ticks=1)
    town = changed(bath_town(agents=1), price_spikes=[spike])
    assert town.agents[0].legal[REQUEST]
    town.step([WAIT])
    assert not town.agents[0].legal[REQUEST]  # 1.25 for one who has 1
    town.step([WAIT])
    assert town.agents[0].legal[REQUEST]


def test_those_who_meet_attend_once_and_each_pair_is_introduced_once() -> None:
    meeting = Meeting(place="bath", radius=1, start_tick=1, duration_ticks=9, agents=["agent0", "agent2"])
    town = changed(bath_town(agents=3), meetings=[meeting])
    seen = []
    for _ in range(4):
        town.step([WAIT, WAIT, WAIT])
        seen += [(event["tick"], event["type"], event["actor"], event["rival"]) for event in town.events]
    assert seen == [(1, "meeting", -1, -1), (1, "meeting_attended", 0, 2), (1, "meeting_attended", 2, 0)]
    assert (town.trust, town.familiarity) == ({(0, 2): 0.05}, {(0, 2): 0.1})


def test_a_start_left_to_chance_differs_from_episode_to_episode_and_stays_in_its_range() -> None:
    outage = Outage(kind="bath", start_tick=(3, 6), duration_ticks=1, probability=0.5)
    town = changed(bath_town(agents=1), outages=[outage])
    starts = []
    for _ in range(200):
        starts += [start for _, start in town.outages]
        town.restart()
    assert set(starts) == {3, 4, 5, 6}
    assert 70 < len(starts) < 130  # 200 coins: 5 standard deviations are 35


def test_who_comes_into_a_running_shift_has_the_usual_grace() -> None:
    rules = shift_town().scenario.rules.model_copy(update={"day_start_tick": 7})
    town = changed(shift_town(), rules=rules)  # the shift began at 2, five ticks ago
    seen = []
    for actions in ([REQUEST, WAIT], [START, WAIT]):
        town.step(actions)
        seen += types(town)
    assert seen == ["shift_on_time"]
    town.step([WAIT, WAIT])
    town.step([WAIT, WAIT])  # time of day 10: over, three ticks after it began for the agent
    assert view_features(town, town.agents[0])["attendance_ratio"] == 2 / 3


def test_the_fainted_leave_and_newcomers_know_nobody() -> None:
    scenario = bath_town().scenario
    needs = NeedRules(hunger_decay=0.35, respawn_delay_ticks=2)  # .7 → .35 → 0: faints in tick 1
    rules = scenario.rules.model_copy(update={"needs": needs})
    town = ReferenceTown(scenario.model_copy(update={"rules": rules}), seed=1, town=0)
    town.step([REQUEST, REQUEST])
    town.step([WAIT, WAIT])
    assert types(town) == ["faint", "faint"]
    assert town.rivalry[0, 1] > 0
    assert town.objects[0].holder is None
    assert not town.objects[0].line
    town.step([RELEASE, START])
    town.step([WAIT, WAIT])  # tick 3, two after the faint
    assert types(town) == ["arrival", "arrival"]
    assert town.rivalry == {}
    assert [agent.needs["hunger"] for agent in town.agents] == [0.7, 0.7]


def test_random_play_never_breaks_an_invariant_and_meets_every_event() -> None:
    seen = set()
    for seed in range(60):
        town, chance = ReferenceTown(random_scenario(seed), seed, town=0), Random(seed)
        while not town.over:
            town.step(random_actions(town, chance))
            check_invariants(town)
            seen |= {event["type"] for event in town.events}
    assert seen == set(EVENTS)
