"""The scripted policy follows schedules, and now and then does anything, with exact log-probabilities."""

import numpy as np
import pytest
from policy_towns import Play, plan

from townlet_core.policy.scripted import ScriptedPolicy
from townlet_core.simulation.towns import Towns
from townlet_core.vocab import ACTION_COUNT, ACTIONS, RELEASE, REQUEST, WAIT

SHOWER = {"id": "shower", "kind": "shower", "position": [4, 1]}
QUICK = {
    "shower": {
        "affordance": "use_shower",
        "duration_ticks": 5,
        "effects": {"hygiene": 0.1},
        "completion_event": "shower_complete",
    }
}
NO_COOLDOWN = {"queues": {"cooldown_ticks": 0}}
WASH = [{"request": "shower"}, {"start": "shower"}]


def beside_the_shower(**words):
    """Anna stands right below the shower and wants in: she can wait, go three ways, or ask."""
    return plan([{"id": "anna", "position": [4, 2], "schedule": WASH}], [SHOWER], kinds=QUICK, **words)


@pytest.mark.parametrize("epsilon", [0.0, 0.3, 1.0])
def test_log_probabilities_are_those_with_which_actions_are_drawn(epsilon):
    towns = Towns(beside_the_shower(), 6000)
    choice = ScriptedPolicy(towns.scenario, epsilon).act(towns, towns.observe())
    possible = [ACTIONS.index(name) for name in ("wait", "east", "south", "west", "request")]
    total = 0.0
    for action in range(ACTION_COUNT):
        drawn = choice.actions[:, 0] == action
        expected = (epsilon / 5 + (1 - epsilon) * (action == REQUEST)) if action in possible else 0.0
        spread = 4 * np.sqrt(expected * (1 - expected) / 6000)
        assert abs(drawn.mean() - expected) <= spread
        if drawn.any():
            probabilities = np.exp(choice.log_probs[drawn, 0].astype(np.float64))
            np.testing.assert_allclose(probabilities, expected, rtol=1e-6)
            total += probabilities[0]
    assert total == pytest.approx(1.0, abs=1e-6)


def test_it_never_takes_an_action_that_the_mask_forbids():
    play = Play(plan([{"id": n, "position": [x, 2]} for x, n in enumerate("abcd")], [SHOWER]), 16, epsilon=1)
    for _ in range(60):
        mask = play.towns.observe().action_mask.copy()
        play.tick()
        assert np.take_along_axis(mask, play.actions[-1][..., None], axis=2).all()
    assert play.towns.state.towns["invalid_actions"].sum() == 0


def test_a_schedule_is_followed_entry_by_entry_and_begins_again():
    schedule = [*WASH, {"move": [8, 2]}, {"wait": 3}]
    scenario = plan(
        [{"id": "anna", "position": [4, 2], "schedule": schedule}], [SHOWER], kinds=QUICK, rules=NO_COOLDOWN
    )
    names = [ACTIONS[action[0, 0]] for action in Play(scenario).tick(28).actions]
    use = ["request", "start", "wait", "wait", "wait", "wait"]
    walk = ["east"] * 4
    assert names[: len(use + walk) + 3] == [*use, *walk, "wait", "wait", "wait"]
    assert set(names[13:17]) <= {"north", "west"}  # four steps back, whichever way
    assert names[17:23] == use


def test_an_entry_is_given_up_after_its_max_ticks():
    schedule = [{"start": "shower", "max_ticks": 4}, {"move": [0, 8]}]
    agents = [
        {"id": "anna", "position": [3, 1], "schedule": [*WASH, {"wait": 400}]},
        {"id": "ben", "position": [5, 2], "schedule": schedule},
    ]
    slow = {"shower": {**QUICK["shower"], "duration_ticks": 300}}
    play = Play(plan(agents, [SHOWER], kinds=slow)).tick(30)
    assert (play.agent(1).x, play.agent(1).y) == (0, 8)


def test_a_use_that_chance_breaks_off_is_taken_up_again():
    once = [*WASH, {"wait": 400}]
    scenario = plan([{"id": "anna", "position": [4, 2], "schedule": once}], [SHOWER], kinds=QUICK)
    play = Play(scenario, 32, epsilon=0.2).tick(200)
    broken_off = sum(int((actions == RELEASE).sum()) for actions in play.actions)
    washed = {event["town"] for event in play.of_type("shower_complete")}
    assert broken_off > 10
    assert washed == set(range(32))


def test_whoever_is_in_another_line_leaves_it_first():
    bench = {"id": "bench", "kind": "bench", "position": [1, 6]}
    schedule = [{"request": "bench"}, *WASH]
    play = Play(
        plan([{"id": "anna", "position": [1, 5], "schedule": schedule}], [SHOWER, bench], kinds=QUICK)
    ).tick(30)
    assert [event["object_id"] for event in play.of_type("shower_complete")] == ["shower"]


def test_beside_two_objects_the_right_one_is_joined():
    bench = {
        "id": "bench",
        "kind": "bench",
        "position": [5, 2],
    }  # (4, 2) is beside both; the bench comes first
    play = Play(
        plan([{"id": "anna", "position": [4, 2], "schedule": WASH}], [bench, SHOWER], kinds=QUICK)
    ).tick(40)
    assert {event["object_id"] for event in play.of_type("affordance_complete", "shower_complete")} == {
        "shower"
    }


def test_a_new_episode_begins_the_schedule_anew():
    scenario = beside_the_shower().model_copy(update={"ticks": 4})
    play = Play(scenario).tick(4)
    play.towns.restart()
    play.tick(4)
    assert [int(a[0, 0]) for a in play.actions[:4]] == [int(a[0, 0]) for a in play.actions[4:]]


def test_chat_walks_up_to_the_other_and_talks():
    agents = [
        {"id": "anna", "position": [0, 0], "schedule": [{"chat": "ben"}, {"wait": 300}]},
        {"id": "ben", "position": [6, 5], "schedule": [{"wait": 300}]},
    ]
    play = Play(plan(agents)).tick(40)
    talks = play.of_type("chat_success")
    assert [(event["actor"], event["rival"]) for event in talks] == [("anna", "ben")]


def test_two_who_meet_in_a_doorway_get_past_each_other():
    layout = "#########\n#...#...#\n#.......#\n#...#...#\n#########"
    agents = [
        {"id": "anna", "position": [1, 2], "schedule": [{"move": [7, 2]}, {"wait": 400}]},
        {"id": "ben", "position": [7, 2], "schedule": [{"move": [1, 2]}, {"wait": 400}]},
    ]
    play = Play(plan(agents, grid={"layout": layout}), 32).tick(120)
    assert (play.towns.state.agents["x"] == [7, 1]).all()


def test_who_is_using_something_waits_until_it_is_done():
    play = Play(beside_the_shower()).tick(6)
    assert [int(actions[0, 0]) for actions in play.actions[2:6]] == [WAIT] * 4
    assert len(play.of_type("shower_complete")) == 1
