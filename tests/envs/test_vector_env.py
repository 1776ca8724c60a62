"""The vector environment keeps Gymnasium's contract, row by row."""

import numpy as np
import pytest
from env_towns import hungry_town, rows_wait
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers.vector import DictInfoToList, RecordEpisodeStatistics

from townlet_core.envs import TownVectorEnv
from townlet_core.errors import InputError, ScenarioError, ShapeError
from townlet_core.scenario.load import load_scenario
from townlet_core.scenario.model import AgentSpec, ObjectSpec
from townlet_core.simulation.towns import Towns
from townlet_core.vocab import REWARD_TERMS


def play(env, steps):
    return [rows_wait(env) for _ in range(steps)]


def same(rows, others):
    return all(data_equivalence(a, b) for a, b in zip(rows, others, strict=True))


def test_rows_are_agents_town_after_town():
    env = TownVectorEnv("queue_conflict", 3)
    sights, infos = env.reset(seed=5)
    towns = Towns(env.scenario, 3, seed=5)
    seen = towns.observe()
    assert env.num_envs == 9
    assert np.array_equal(sights["map"].reshape(seen.map.shape), seen.map)
    assert np.array_equal(sights["features"][7], seen.features[2, 1])
    assert np.array_equal(infos["action_mask"][7].astype(bool), seen.action_mask[2, 1])


def test_a_step_is_a_tick_of_the_towns():
    env, chance = TownVectorEnv("queue_conflict", 2), np.random.default_rng(0)
    env.reset(seed=5)
    towns = Towns(env.scenario, 2, seed=5)
    for _ in range(40):
        actions = chance.integers(0, 9, 6)
        sights, rewards, *_, infos = env.step(actions)
        towns.step(actions.reshape(2, 3))
        assert np.array_equal(rewards, towns.state.agents["reward"].ravel())
        assert np.array_equal(infos["reward_terms"][4], towns.state.agents["terms"][1, 1])
        assert np.array_equal(sights["features"], towns.observe().features.reshape(6, -1))


def test_batched_spaces_fit_what_is_returned():
    env = TownVectorEnv("kitchen_breakfast", 3, map_type="uint8")
    sights, _ = env.reset()
    assert env.observation_space.contains(sights)
    assert env.observation_space["map"].dtype == sights["map"].dtype == np.uint8
    assert env.action_space.contains(env.action_space.sample())
    assert env.action_space.shape == (env.num_envs,)
    assert len(env.feature_names) == env.single_observation_space["features"].shape[0]
    assert env.reward_terms == REWARD_TERMS


def test_time_truncates_and_the_rows_show_the_next_episode():
    env = TownVectorEnv(hungry_town(delay=None), 2)
    first, _ = env.reset(seed=1)
    sights, _, terminations, truncations, infos = play(env, 12)[-1]
    assert truncations.tolist() == infos["_final_obs"].tolist() == [True, False, True, False]
    assert not terminations.any()
    progress, fresh = (env.feature_names.index(n) for n in ("episode_progress", "ctx_reset_flag"))
    assert infos["final_obs"][0]["features"][progress] == 1.0
    assert infos["final_obs"][1] is None
    assert sights["features"][:, fresh].tolist() == [1.0, 1.0, 1.0, 1.0]
    assert np.array_equal(sights["map"], first["map"])
    assert env.towns.state.towns["episode"].tolist() == [1, 1]


def test_the_final_sight_is_that_of_the_towns_before_the_restart():
    env = TownVectorEnv("queue_conflict", 2)
    env.reset(seed=4)
    towns = Towns(env.scenario, 2, seed=4)
    for _ in range(env.scenario.ticks):
        towns.step(np.zeros((2, 3), int))
    seen = towns.observe()
    *_, infos = play(env, env.scenario.ticks)[-1]
    assert np.array_equal(infos["final_obs"][4]["map"], seen.map[1, 1])
    assert np.array_equal(infos["final_obs"][4]["features"], seen.features[1, 1])
    assert np.array_equal(infos["final_info"]["action_mask"][4].astype(bool), seen.action_mask[1, 1])


def test_a_faint_terminates_and_its_final_sight_is_nothing():
    env = TownVectorEnv(hungry_town())
    env.reset()
    _, rewards, terminations, truncations, infos = play(env, 4)[-1]
    assert terminations.tolist() == [False, True]
    assert not truncations.any()
    assert rewards[1] == -1.0
    assert not infos["final_obs"][1]["map"].any()
    assert infos["final_info"]["action_mask"].tolist() == [[0] * 9, [1] + [0] * 8]
    assert infos["alive"].tolist() == [True, False]


def test_a_row_out_of_town_holds_nothing_until_somebody_comes():
    env = TownVectorEnv(hungry_town())
    env.reset()
    *_, fifth, sixth = play(env, 6)
    sights, rewards, terminations, truncations, infos = fifth
    assert infos["alive"].tolist() == [True, False]
    assert not sights["map"][1].any()
    assert not sights["features"][1].any()
    assert infos["action_mask"][1].tolist() == [1, 0, 0, 0, 0, 0, 0, 0, 0]
    assert (rewards[1], terminations[1], truncations[1]) == (0.0, False, False)
    assert sixth[4]["alive"].tolist() == [True, True]
    assert sixth[0]["map"][1].any()


def test_without_delay_the_row_shows_the_newcomer_and_the_final_sight_is_nothing():
    env = TownVectorEnv(hungry_town(delay=0))
    env.reset()
    sights, _, terminations, _, infos = play(env, 4)[-1]
    assert terminations.tolist() == [False, True]
    assert sights["map"][1].any()
    assert not infos["final_obs"][1]["map"].any()
    assert infos["alive"].tolist() == [True, True]


def test_a_town_that_everybody_left_begins_again():
    env = TownVectorEnv(hungry_town(ada=0.2, delay=None))
    env.reset()
    _, _, terminations, _, infos = play(env, 4)[-1]
    assert terminations.all()
    assert infos["alive"].all()
    assert env.towns.state.towns["episode"].tolist() == [1]


def test_a_seed_begins_its_first_episode_and_no_seed_the_next():
    env, twin = TownVectorEnv("queue_conflict", 2), TownVectorEnv("queue_conflict", 2)
    env.reset(seed=7)
    env.reset()
    assert env.towns.state.towns["episode"].tolist() == [1, 1]
    assert same(env.reset(seed=7), twin.reset(seed=7))
    assert all(same(rows_wait(env), rows_wait(twin)) for _ in range(100))


def test_a_town_plays_the_same_in_any_batch():
    env, alone = TownVectorEnv("queue_conflict", 3), TownVectorEnv("queue_conflict", 1, first_town=2)
    sights, _ = env.reset(seed=7)
    lonely, _ = alone.reset(seed=7)
    for _ in range(100):
        assert np.array_equal(sights["features"][6:], lonely["features"])
        actions = np.full(9, 2)
        sights, lonely = env.step(actions)[0], alone.step(actions[6:])[0]


def test_copies_are_kept_and_own_arrays_are_overwritten():
    env, own = TownVectorEnv("queue_conflict"), TownVectorEnv("queue_conflict", copy=False)
    kept, infos = env.reset()
    shared, own_infos = own.reset()
    before = kept["features"].copy()
    sights, *_, later = rows_wait(own)
    rows_wait(env)
    assert np.array_equal(kept["features"], before)
    assert np.shares_memory(shared["features"], sights["features"])
    assert np.shares_memory(own_infos["action_mask"], later["action_mask"])
    assert not np.shares_memory(infos["action_mask"], env._buffers.action_mask)


def test_every_town_is_drawn():
    env = TownVectorEnv("queue_conflict", 2, "ansi")
    env.reset()
    assert len(env.render()) == env.num_envs == 6
    assert env.render()[5].startswith("tick 0, ")
    blind = TownVectorEnv("queue_conflict")
    blind.reset()
    assert blind.render() is None


def test_wrappers_of_gymnasium_count_lives_and_list_infos():
    env = DictInfoToList(RecordEpisodeStatistics(TownVectorEnv(hungry_town())))
    assert env.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    env.reset()
    *_, infos = play(env, 4)[-1]
    assert "episode" not in infos[0]
    assert infos[1]["episode"]["l"] == 4
    assert infos[1]["final_obs"]["map"].shape == (4, 11, 11)
    assert infos[0]["reward_terms"].shape == (len(REWARD_TERMS),)


@pytest.mark.parametrize(
    ("actions", "error", "message"),
    [
        ([0, 0, 0], ShapeError, r"actions: found shape \(3,\), expected \(2,\)"),
        ([[0, 0]], ShapeError, r"actions: found shape \(1, 2\), expected \(2,\)"),
        ([0.0, 1.0], InputError, r"actions: found \[0.0, 1.0\], expected whole numbers from 0 to 8"),
    ],
)
def test_a_mistake_in_the_actions_is_one_sentence(actions, error, message):
    env = TownVectorEnv(hungry_town())
    env.reset()
    with pytest.raises(error, match=message):
        env.step(actions)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_towns": 0}, "num_towns: found 0, expected one whole number from 1"),
        ({"num_towns": "2"}, "num_towns: found '2', expected one whole number from 1"),
        ({"num_towns": 2.0}, "num_towns: found 2.0, expected one whole number from 1"),
        ({"first_town": -1}, "first_town: found -1, expected one whole number from 0"),
        ({"first_town": 2**63}, "first_town: found 9223372036854775808, expected one whole number from 0"),
    ],
)
def test_numbers_of_towns_are_whole(options, message):
    with pytest.raises(InputError, match=message):
        TownVectorEnv(hungry_town(), **options)


def test_a_seed_is_one_for_all_towns():
    with pytest.raises(InputError, match=r"seed: found \[1, 2\], expected one whole number"):
        TownVectorEnv(hungry_town()).reset(seed=[1, 2])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"objects": [ObjectSpec(id="o", kind="showr", position=(0, 0))]}, "unknown kind 'showr'"),
        (
            {"agents": [AgentSpec(id="a", position=(99, 0))]},
            r"agents\[0\].position: tile \[99, 0\] is outside",
        ),
        ({"agents": [AgentSpec(id="a", position=(2, 2))] * 2}, "is already the id of"),
    ],
)
def test_a_scenario_built_in_python_is_held_to_the_rules_of_a_file(changes, sentence):
    with pytest.raises(ScenarioError, match=sentence):
        TownVectorEnv(load_scenario("observation_baseline").model_copy(update=changes), num_towns=1)
