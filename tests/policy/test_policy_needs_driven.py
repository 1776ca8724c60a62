"""Agents without a schedule live sensibly: eat, wash, sleep, work in time, and keep out of the way."""

import numpy as np
import pytest
from policy_towns import Play, plan

from townlet_core.scenario.load import load_scenario
from townlet_core.vocab import EVENTS, NEEDS, RELEASE, REQUEST, START

SHOWER = {"id": "shower", "kind": "shower", "position": [4, 1]}
FRIDGE = {"id": "fridge", "kind": "fridge", "position": [1, 6]}
BED = {"id": "bed", "kind": "bed", "position": [7, 6]}
TILL = {"id": "till", "kind": "checkout", "position": [7, 1]}
JOB = {"workplace": "till", "start_tick": 60, "end_tick": 120}


def agent(name="anna", at=(4, 4), job=None, wallet=10.0, **needs):
    return {"id": name, "position": list(at), "needs": needs, "job": job, "wallet": wallet}


def completed(play):
    return [(e["actor"], e["object_id"]) for e in play.of_type("affordance_complete", "shower_complete")]


def test_the_dirty_wash_the_hungry_eat_and_the_tired_sleep():
    for need, place in (("hygiene", "shower"), ("hunger", "fridge"), ("energy", "bed")):
        play = Play(plan([agent(**{need: 0.2})], [SHOWER, FRIDGE, BED])).tick(80)
        done = play.of_type("affordance_complete", "shower_complete", "sleep_complete")
        assert done[0]["object_id"] == place


def test_who_lacks_nothing_starts_nothing():
    play = Play(plan([agent()], [SHOWER, FRIDGE, BED])).tick(100)
    assert play.events == []


def test_everybody_comes_to_work_in_time_however_far_it_is():
    jobs = {"clerk": JOB}
    scenario = plan([agent(at=(0, 8), job="clerk", hunger=0.5)], [TILL, FRIDGE], jobs=jobs)
    play = Play(scenario, 32).tick(119)
    assert len(play.of_type("shift_on_time")) == 32
    assert (play.towns.state.agents["wallet"] > 10.5).all()  # 0.02 for about sixty ticks, less a meal of 0.4


def test_nothing_is_begun_that_would_end_after_the_shift_begins():
    jobs = {"clerk": {**JOB, "start_tick": 50}}  # the bed takes 60 ticks
    play = Play(plan([agent(job="clerk", energy=0.35)], [TILL, BED], jobs=jobs)).tick(100)
    assert len(play.of_type("shift_on_time")) == 1
    assert play.of_type("sleep_complete") == []


def test_an_urgent_need_comes_before_work():
    jobs = {"clerk": {**JOB, "start_tick": 1}}
    play = Play(plan([agent(job="clerk", hunger=0.2)], [TILL, FRIDGE], jobs=jobs)).tick(60)
    assert [e["type"] for e in play.events if e["type"] != "shift_absent"] == [
        "shift_late",
        "affordance_complete",
    ]


def test_a_worker_leaves_for_an_urgent_meal_and_comes_back():
    jobs = {"clerk": {"workplace": "till", "start_tick": 0, "end_tick": 300}}
    scenario = plan(
        [agent(job="clerk", hunger=0.5)], [TILL, FRIDGE], jobs=jobs, rules={"needs": {"hunger_decay": 0.005}}
    )
    play = Play(scenario).tick(150)
    assert completed(play)[:1] == [("anna", "fridge")]
    assert play.agent(0).attended_ticks > 60  # some thirty before the meal


def rivals(hygiene):
    """Ben showers; Anna, his sworn rival, is dirty too."""
    agents = [agent("anna", (4, 5), hygiene=hygiene), agent("ben", (4, 2), hygiene=0.2)]
    play = Play(plan(agents, [SHOWER])).tick(3)
    play.towns.state.rivalry[0] = [[0, 1], [1, 0]]
    return play.tick(15)


def test_a_line_with_a_rival_is_avoided():
    play = rivals(hygiene=0.4)
    assert play.agent(0).object == -1
    play.tick(60)
    assert ("anna", "shower") in completed(play)  # once he has gone


def test_an_urgent_need_does_not_shun_a_rival():
    assert rivals(hygiene=0.1).agent(0).object == 0


def test_of_two_showers_the_free_one_is_taken():
    other = {"id": "other", "kind": "shower", "position": [4, 8]}
    agents = [agent("ben", (4, 2), hygiene=0.2), agent("anna", (4, 4), hygiene=0.2)]
    play = Play(plan(agents, [SHOWER, other])).tick(60)
    assert sorted(completed(play)) == [("anna", "other"), ("ben", "shower")]


def test_without_money_nobody_stands_at_the_fridge():
    play = Play(plan([agent(wallet=0.1, hunger=0.2)], [FRIDGE])).tick(60)
    assert play.events == []
    assert play.agent(0).y < 6 or play.agent(0).x > 2


def test_nobody_goes_to_sleep_who_would_starve_in_bed():
    rules = {"needs": {"hunger_decay": 0.005}}  # an hour in bed takes .3
    play = Play(plan([agent(hunger=0.45, energy=0.1)], [FRIDGE, BED], rules=rules)).tick(150)
    done = [e["object_id"] for e in play.of_type("affordance_complete", "sleep_complete")]
    assert done[:2] == ["fridge", "bed"]
    assert play.of_type("faint") == []


def test_one_cooks_when_the_larder_is_low_and_the_other_leaves_it_to_her():
    stove = {"id": "stove", "kind": "stove", "position": [1, 2]}
    larder = {**FRIDGE, "stock": 3}
    play = Play(plan([agent("anna", (2, 2)), agent("ben", (6, 3))], [stove, larder])).tick(50)
    assert completed(play) == [("anna", "stove")]
    assert play.towns.state.objects[0, 1].stock == 4
    assert play.of_type("queue_conflict") == []


def test_a_colleague_stands_in_until_the_late_one_comes():
    jobs = {
        "early": {"workplace": "till", "start_tick": 5, "end_tick": 150},
        "late": {"workplace": "till", "start_tick": 150, "end_tick": 200},
    }
    agents = [agent("cleo", (7, 5), "early", energy=0.2), agent("dan", (1, 1), "late")]
    play = Play(plan(agents, [TILL, BED], jobs=jobs)).tick(140)
    about_work = [(e["type"], e["actor"]) for e in play.events if e["type"] in ("shift_late", "late_help")]
    assert about_work == [("shift_late", "cleo"), ("late_help", "dan")]
    assert play.agent(1).wallet > 10.5  # dan was paid for standing in
    assert play.agent(0).role == 3  # cleo works now


def test_who_waits_leaves_the_line_for_a_more_urgent_need():
    slow = {"shower": {"affordance": "wash", "duration_ticks": 200, "effects": {"hygiene": 0.5}}}
    agents = [agent("ben", (4, 2), hygiene=0.2), agent("anna", (3, 1), hygiene=0.2, hunger=0.4)]
    play = Play(plan(agents, [SHOWER, FRIDGE], kinds=slow, rules={"needs": {"hunger_decay": 0.002}})).tick(5)
    play.agent(1).needs[NEEDS.index("hygiene")] = 0.5  # not urgent any more
    play.tick(110)
    assert ("anna", "fridge") in completed(play)


def test_the_idle_make_room_at_objects_and_in_doorways():
    layout = "#########\n#...#...#\n#.......#\n#...#...#\n#########"
    scenario = plan([agent(at=(4, 2))], grid={"layout": layout})
    play = Play(scenario, 16).tick(60)
    assert (play.towns.state.agents["x"] != 4).all()
    play = Play(plan([agent(at=(4, 2))], [SHOWER]), 16).tick(5)
    there = play.towns.state.agents
    assert (np.abs(there["x"] - 4) + np.abs(there["y"] - 1) > 1).all()


def test_the_idle_chat_with_each_other_but_not_with_who_is_busy():
    agents = [agent("anna", (4, 3)), agent("ben", (4, 2), hygiene=0.2)]
    play = Play(plan(agents, [SHOWER]), 16).tick(25)
    assert play.of_type("chat_failure") == []
    assert len(Play(plan([agent("a", (4, 4)), agent("b", (5, 4))]), 16).tick(40).of_type("chat_success")) > 16


RELATIONS = ("queue_handover", "shared_meal", "late_help", "shift_takeover", "chat_success", "chat_failure")


@pytest.mark.parametrize("seed", range(6))
def test_nobody_faints_and_nothing_runs_out_in_three_days_of_many_towns(seed):
    scenario = load_scenario("town_day").model_copy(update={"ticks": 3 * 1440, "seed": seed})
    play = Play(scenario, 8)
    limited = [i for i, thing in enumerate(scenario.objects) if thing.kind in ("fridge", "stove")]
    least = np.full(len(limited), 1000)
    for _ in range(scenario.ticks):
        choice = play.policy.act(play.towns, play.towns.observe())
        play.towns.step(choice.actions)
        least = np.minimum(least, play.towns.state.objects["stock"][:, limited].min(axis=0))
    tally = play.towns.state.towns["tally"]
    assert tally[:, EVENTS.index("faint")].sum() == 0
    assert least.min() > 0
    assert (tally[:, EVENTS.index("sleep_complete")] >= 2 * 8).all()  # two nights at least, each of eight
    assert (tally[:, EVENTS.index("utility_outage")] == 1).all()
    assert all(tally[:, EVENTS.index(event)].sum() > 0 for event in RELATIONS)


MEETING = {"place": [4, 4], "radius": 1, "start_tick": 40, "duration_ticks": 30}


def attended(play):
    return sorted(event["actor"] for event in play.of_type("meeting_attended"))


def test_the_invited_come_in_time_and_stay_and_the_others_go_their_way():
    agents = [agent(n, at) for n, at in (("anna", (0, 0)), ("ben", (8, 8)), ("cleo", (8, 0)))]
    play = Play(plan(agents, meetings=[{**MEETING, "agents": ["anna", "ben"]}])).tick(70)
    events = play.of_type("meeting_attended")
    assert [(event["tick"], event["actor"]) for event in events] == [(40, "anna"), (40, "ben")]
    for i in (0, 1):
        assert max(abs(play.agent(i).x - 4), abs(play.agent(i).y - 4)) <= 2  # a step aside at most
    assert max(abs(play.agent(2).x - 4), abs(play.agent(2).y - 4)) > 2


def test_work_and_urgent_needs_come_before_a_meeting():
    jobs = {"clerk": {**JOB, "start_tick": 10, "end_tick": 90}}
    agents = [agent("anna", job="clerk"), agent("ben", (3, 4)), agent("cleo", (5, 4)), agent("dan", (0, 0))]
    agents[3]["needs"] = {"hunger": 0.1}
    slow = {"fridge": {"affordance": "eat", "duration_ticks": 60, "effects": {"hunger": 0.5}}}
    play = Play(plan(agents, [TILL, FRIDGE], jobs=jobs, kinds=slow, meetings=[MEETING])).tick(70)
    assert attended(play) == ["ben", "cleo"]


def test_nothing_is_begun_that_would_last_into_a_meeting():
    agents = [agent("anna", energy=0.35), agent("ben", (3, 4))]  # the bed takes 60 ticks
    play = Play(plan(agents, [BED], meetings=[MEETING])).tick(60)
    assert attended(play) == ["anna", "ben"]
    assert play.tick(120).of_type("sleep_complete") != []


def test_a_meeting_that_nobody_can_reach_keeps_nobody_from_anything():
    layout = "#########\n" + "#.......#\n" * 6 + "#######.#\n" + "######.##\n"
    meeting = {**MEETING, "place": [6, 8], "start_tick": 0, "duration_ticks": 400}
    scenario = plan(
        [agent(energy=0.35)], [{**BED, "position": [1, 1]}], grid={"layout": layout}, meetings=[meeting]
    )
    assert len(Play(scenario).tick(90).of_type("sleep_complete")) == 1


def test_who_has_to_work_waits_in_line_while_the_workplace_is_out_of_order():
    jobs = {"clerk": {"workplace": "till", "start_tick": 0, "end_tick": 60}}
    outage = {"kind": "checkout", "start_tick": 0, "duration_ticks": 12}
    play = Play(plan([agent(at=(4, 7), job="clerk")], [TILL], jobs=jobs, outages=[outage])).tick(30)
    actions = [int(actions[0, 0]) for actions in play.actions]
    assert actions.count(REQUEST) == 1
    assert RELEASE not in actions
    assert actions.count(START) == 1
    assert play.agent(0).wallet > 10
