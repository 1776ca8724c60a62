"""What the parallel environment tells its agents: their ends, their seeds, their infos."""

import numpy as np
import pytest
from env_towns import everybody_waits, hungry_town
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import data_equivalence

from townlet_core.envs import parallel_env
from townlet_core.errors import InputError
from townlet_core.simulation.towns import Towns
from townlet_core.vocab import REQUEST, REWARD_TERMS


def play(env, ticks):
    return [everybody_waits(env) for _ in range(ticks)]


def test_who_faints_is_terminated_and_leaves():
    env = parallel_env(hungry_town(delay=None))
    env.reset()
    *_, (sights, rewards, terminations, truncations, _) = play(env, 4)
    assert terminations == {"ada": False, "bo": True}
    assert truncations == {"ada": False, "bo": False}
    assert rewards["bo"] == -1.0
    assert not sights["bo"]["observation"]["features"].any()
    assert sights["bo"]["action_mask"].tolist() == [1, 0, 0, 0, 0, 0, 0, 0, 0]
    assert env.agents == ["ada"]


def test_time_truncates_whoever_is_in_town_and_shows_the_last_sight():
    env = parallel_env(hungry_town(delay=None))
    env.reset()
    *_, (sights, _, terminations, truncations, _) = play(env, 12)
    assert (terminations, truncations) == ({"ada": False}, {"ada": True})
    progress = env.feature_names.index("episode_progress")
    assert sights["ada"]["observation"]["features"][progress] == 1.0
    assert env.agents == []


def test_a_newcomer_is_an_agent_of_its_own():
    env = parallel_env(hungry_town(), events=True)
    env.reset()
    played = play(env, 6)
    assert list(played[4][0]) == ["ada"]
    sights, rewards, terminations, _, infos = played[5]
    assert env.agents == list(sights) == ["ada", "bo#2"]
    assert (rewards["bo#2"], terminations["bo#2"]) == (0.0, False)
    assert [event["type"] for event in infos["bo#2"]["events"]] == ["arrival"]
    assert infos["bo#2"]["events"][0]["actor"] == "bo#2"


def test_who_arrives_in_the_last_tick_does_not_act_any_more():
    env = parallel_env(hungry_town())
    env.reset()
    played = play(env, 12)
    assert played[9][2]["bo#2"]
    assert list(played[11][0]) == ["ada"]
    assert env.agents == []


def test_without_delay_the_old_and_the_new_are_told_in_the_same_tick():
    env = parallel_env(hungry_town(delay=0), events=True)
    env.reset()
    sights, rewards, terminations, _, infos = play(env, 4)[3]
    assert terminations == {"ada": False, "bo": True, "bo#2": False}
    assert not sights["bo"]["observation"]["map"].any()
    assert sights["bo#2"]["observation"]["map"].any()
    assert rewards["bo#2"] == 0.0
    assert [(e["type"], e["actor"]) for e in infos["bo"]["events"]] == [("faint", "bo")]


def test_time_passes_until_somebody_comes_into_an_empty_town():
    env = parallel_env(hungry_town(ada=0.2))
    env.reset()
    sights, *_ = play(env, 4)[3]
    assert list(sights) == ["ada", "bo", "ada#2", "bo#2"]
    assert env.towns.state.towns["tick"][0] == 6


def test_newcomers_can_be_left_out():
    env = parallel_env(hungry_town(), newcomers=False)
    assert env.possible_agents == ["ada", "bo"]
    env.reset()
    play(env, 12)
    assert env.towns.state.agents["alive"][0].tolist() == [True, False]


def test_possible_agents_hold_everybody_who_ever_comes():
    for delay, bo in ((0, 0.2), (1, 0.03), (2, 0.2)):
        env = parallel_env(hungry_town(ada=0.4, bo=bo, delay=delay, ticks=60))
        env.reset()
        met = set(env.agents)
        while env.agents:
            met |= set(everybody_waits(env)[0])
        assert met <= set(env.possible_agents)
        assert len(env.possible_agents) <= 2 * len(met)


def test_too_many_possible_agents_are_refused_with_the_way_out():
    scenario = hungry_town(bo=0.03, delay=0, ticks=1_000_000)
    with pytest.raises(InputError, match="agents could come to town in one episode") as caught:
        parallel_env(scenario)
    assert "newcomers=False" in caught.value.hint


def test_a_seed_begins_its_first_episode_and_no_seed_the_next():
    env, twin = parallel_env("queue_conflict"), parallel_env("queue_conflict")
    env.reset(seed=7)
    assert env.towns.state.towns["episode"][0] == 0
    env.reset()
    assert env.towns.state.towns["episode"][0] == 1
    env.reset(seed=7)
    twin.reset(seed=7)
    assert all(data_equivalence(play(env, 1), play(twin, 1)) for _ in range(30))


def test_the_first_seed_is_that_of_the_scenario():
    env = parallel_env("queue_conflict")
    env.reset()
    assert env.towns.seed == Towns(env.scenario).seed
    assert env.towns.state.towns["episode"][0] == 0


def test_infos_are_plain_arrays_and_terms_sum_to_the_reward():
    env = parallel_env("queue_conflict")
    _, infos = env.reset()
    _, rewards, _, _, later = everybody_waits(env)
    for name in env.agents:
        assert list(infos[name]) == list(later[name]) == ["reward_terms"]
        assert later[name]["reward_terms"].shape == (len(env.reward_terms),) == (len(REWARD_TERMS),)
        assert later[name]["reward_terms"].sum() == pytest.approx(rewards[name])


def test_flat_observations_are_one_vector_and_the_mask_is_in_the_infos():
    env, plain = parallel_env("queue_conflict", flat=True), parallel_env("queue_conflict")
    sights, infos = env.reset(seed=1)
    others, _ = plain.reset(seed=1)
    for name in env.agents:
        halves = others[name]["observation"]
        assert env.observation_space(name).contains(sights[name])
        assert np.array_equal(sights[name], np.concatenate([halves["features"], halves["map"].ravel()]))
        assert np.array_equal(infos[name]["action_mask"], others[name]["action_mask"])


def test_an_agent_hears_of_its_own_events_and_of_those_that_concern_everybody():
    outage = {"kind": "shower", "start_tick": 0, "duration_ticks": 2}
    env = parallel_env(hungry_town(outages=[outage]), events=True)
    env.reset()
    *_, first = play(env, 1)[0]
    assert [event["type"] for event in first["ada"]["events"]] == ["utility_outage"]
    *_, fourth = play(env, 3)[2]
    assert (len(fourth["ada"]["events"]), len(fourth["bo"]["events"])) == (0, 1)


def test_what_was_seen_is_never_overwritten():
    env = parallel_env("queue_conflict")
    sights, _ = env.reset()
    before = sights["anna"]["observation"]["features"].copy()
    play(env, 3)
    assert np.array_equal(sights["anna"]["observation"]["features"], before)


def test_maps_can_be_bytes():
    env = parallel_env("queue_conflict", map_type="uint8")
    sights, _ = env.reset()
    assert sights["anna"]["observation"]["map"].dtype == np.uint8
    assert env.observation_space("anna").contains(sights["anna"])


def test_actions_for_those_who_are_gone_are_ignored_and_impossible_ones_wait():
    env = parallel_env(hungry_town())
    env.reset()
    play(env, 4)
    sights, *_ = env.step({"ada": REQUEST, "bo": 3})
    did_wait = env.feature_names.index("last_action_wait")
    assert sights["ada"]["observation"]["features"][did_wait] == 1.0


def test_text_shows_the_clock_the_town_and_what_its_letters_mean():
    env = parallel_env("queue_conflict", render_mode="ansi")
    env.reset()
    everybody_waits(env)
    lines = env.render().splitlines()
    assert lines[0].startswith("tick 1, ")
    assert len(lines) == 2 + env.scenario.size[1]
    assert lines[-1] == "a anna · b ben · c cara · S shower"


def test_human_prints_the_text_that_ansi_returns(capsys):
    quiet, loud = (parallel_env("queue_conflict", render_mode=mode) for mode in ("ansi", "human"))
    quiet.reset()
    loud.reset()
    assert loud.render() is None
    assert capsys.readouterr().out == quiet.render() + "\n"


def test_a_picture_is_an_array_that_its_owner_may_write():
    env = parallel_env("queue_conflict", render_mode="rgb_array")
    env.reset()
    picture = env.render()
    picture[:] = 0
    assert picture.shape[2] == 3
    assert env.render().any()


def test_without_a_render_mode_drawing_is_refused_with_the_modes():
    env = parallel_env("queue_conflict")
    env.reset()
    with pytest.raises(InputError, match="make the environment with one of: human, ansi, rgb_array"):
        env.render()


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        ({"ada": 0}, "actions: none for 'bo', who is in town"),
        ({"ada": 0, "bo": 0, "boo": 0}, r"no agent is called 'boo' \(did you mean 'bo'\?\)"),
        ({"ada": 0.5, "bo": 0}, r"actions\['ada'\]: found 0.5, expected a whole number from 0 to 8"),
    ],
)
def test_a_mistake_in_the_actions_is_one_sentence(actions, message):
    env = parallel_env(hungry_town())
    env.reset()
    with pytest.raises(InputError, match=message):
        env.step(actions)


def test_after_the_end_actions_are_refused_and_none_have_no_results():
    env = parallel_env(hungry_town(delay=None))
    env.reset()
    play(env, 12)
    assert env.step({}) == ({}, {}, {}, {}, {})
    with pytest.raises(ResetNeeded, match="the episode is over; call reset"):
        env.step({"ada": 0})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scenario": "queue_conflic"}, "did you mean 'queue_conflict'"),
        ({"scenario": 5}, "scenario: found 5, expected a name, the path of a file, or a Scenario"),
        ({"scenario": hungry_town(agents=[])}, "hungry: has no agents to act in it"),
        ({"map_type": "float64"}, "map_type: found 'float64', expected one of: float32, uint8"),
        ({"render_mode": "gif"}, "render_mode: found 'gif', expected None or one of"),
    ],
)
def test_what_cannot_be_built_is_one_sentence(options, message):
    with pytest.raises(InputError, match=message):
        parallel_env(**options)


@pytest.mark.parametrize("seed", [-1, 2**63, 0.5, [1, 2]])
def test_a_seed_is_one_whole_number(seed):
    with pytest.raises(InputError, match=r"seed: found .*, expected one whole number from 0"):
        parallel_env("queue_conflict").reset(seed=seed)
