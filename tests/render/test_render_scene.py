"""A scene shows what the town holds: who stands where, uses what, waits for what, quarrels with whom."""

import pytest

from townlet_core.policy.scripted import ScriptedPolicy
from townlet_core.render.scene import opening_scene, scene_of
from townlet_core.render.text import agent_marks, draw_text, object_marks
from townlet_core.scenario.load import load_scenario
from townlet_core.simulation.state import FREE, USING, WAITING
from townlet_core.simulation.towns import Towns


def played(name, ticks, num_towns=1):
    """Play a bundled scenario by its script for some ticks."""
    scenario = load_scenario(name)
    towns, policy = Towns(scenario, num_towns), ScriptedPolicy(scenario)
    for _ in range(ticks):
        towns.step(policy.act(towns, towns.observe()).actions)
    return towns


@pytest.mark.parametrize("name", ["queue_conflict", "town_day"])
def test_a_town_that_has_not_begun_looks_as_its_file_says(name):
    assert scene_of(Towns(load_scenario(name))) == opening_scene(load_scenario(name))


def test_three_at_one_shower_are_a_holder_two_in_line_and_two_conflicts():
    scene = scene_of(played("queue_conflict", 2))
    shower = scene.objects[0]
    assert (shower.user, shower.holder, shower.line) == (-1, 0, (2, 1))
    assert [agent.role == WAITING for agent in scene.agents] == [False, True, True]
    assert [(c.actor, c.rival, c.reason) for c in scene.conflicts] == [
        (2, 0, "contention"),
        (1, 0, "contention"),
    ]


def test_who_uses_an_object_is_its_user_and_gets_on_with_it():
    scene = scene_of(played("queue_conflict", 10))
    user = scene.agents[scene.objects[0].user]
    assert (user.role, user.object) == (USING, 0)
    assert 0 < user.progress < 1


def test_a_scene_stays_when_the_town_goes_on():
    towns = played("queue_conflict", 2)
    before = scene_of(towns)
    towns.restart()
    assert before.tick == 2
    assert scene_of(towns).tick == 0


def test_each_town_of_a_batch_has_its_own_scene():
    towns = played("queue_conflict", 40, num_towns=3)
    scenes = [scene_of(towns, town) for town in range(3)]
    assert scenes[0].agents != scenes[1].agents
    assert [a.x for a in scenes[2].agents] == towns.state.agents["x"][2].tolist()


def test_the_clock_begins_when_the_day_of_the_scenario_does():
    assert scene_of(played("town_day", 0)).clock == "06:00"
    assert scene_of(played("town_day", 95)).clock == "07:35"


def test_commas_of_a_floor_plan_are_grass_and_nothing_else():
    scene = opening_scene(load_scenario("town_day"))
    assert (21, 15) in scene.grass
    assert not scene.grass & scene.walls


def test_text_shows_walls_objects_and_agents():
    assert draw_text(opening_scene(load_scenario("queue_conflict"))) == [
        "#########",
        "#·a·S·b·#",
        "#·······#",
        "#···c···#",
        "#·······#",
        "#########",
    ]


def test_text_leaves_out_who_is_not_in_town():
    scene = opening_scene(load_scenario("queue_conflict"))
    gone = scene.agents[0]._replace(alive=False, role=FREE)
    assert "a" not in "".join(draw_text(scene._replace(agents=(gone, *scene.agents[1:]))))


def test_two_kinds_or_agents_never_share_a_letter():
    scene = opening_scene(load_scenario("town_day"))
    assert object_marks(scene)["bed"] != object_marks(scene)["bench"]
    assert sorted(agent_marks(scene).values()) == list("abcdefgh")
