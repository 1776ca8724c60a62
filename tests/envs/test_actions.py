"""What is no action is refused by every environment with one sentence that says what was found."""

import numpy as np
import pytest
from env_towns import ENVIRONMENTS, hungry_town

from townlet_core.envs import parallel_env
from townlet_core.errors import InputError

BY_ROW = [name for name in ENVIRONMENTS if name != "TownParallelEnv"]
NUMBERS = [2**63, -(2**63) - 1, 2**100, None, 0.5, float("nan"), 1j, "3", b"3", True, [0], [], {}, Ellipsis]


def begun(name):
    env = ENVIRONMENTS[name](2)
    if name != "Towns":
        env.reset()
    return env, (2, 2) if name == "Towns" else (4,)


@pytest.mark.parametrize("number", NUMBERS, ids=repr)
@pytest.mark.parametrize("name", BY_ROW)
def test_a_row_takes_whole_numbers_alone(name, number):
    env, shape = begun(name)
    rows = [[number] * 2] * 2 if name == "Towns" else [number] * 4
    with pytest.raises(InputError, match=r"actions: found .*, expected "):
        env.step(rows)
    if not isinstance(number, list | dict):
        with pytest.raises(InputError, match=r"actions: found .*, expected "):
            env.step(np.full(shape, number))


@pytest.mark.parametrize("number", NUMBERS, ids=repr)
def test_an_agent_takes_a_whole_number_alone(number):
    env = parallel_env(hungry_town())
    env.reset()
    with pytest.raises(InputError, match=r"actions\['bo'\]: found .*, expected a whole number from 0 to 8"):
        env.step({"ada": 0, "bo": number})


@pytest.mark.parametrize("actions", [None, 3, "north", [0, 0], [[1, 2], [3]], {}, np.zeros((2, 2, 2), int)])
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_all_actions_have_one_shape(name, actions):
    env, _ = begun(name)
    with pytest.raises(InputError, match=r"^actions: (found .*, expected |none for 'ada')"):
        env.step(actions)


@pytest.mark.parametrize("numbers", [np.uint8, np.int16, np.uint64, ">i8", list])
@pytest.mark.parametrize("name", BY_ROW)
def test_every_kind_of_whole_number_is_taken(name, numbers):
    env, shape = begun(name)
    ids = np.full(shape, 2)
    env.step(ids.tolist() if numbers is list else ids.astype(numbers))
    agents = getattr(env, "env", env)
    agents = agents if name == "Towns" else agents.towns
    assert (agents.state.agents["action"] == [0, 1]).any() or (agents.state.agents["action"] == 2).any()


@pytest.mark.parametrize("number", [-1, 9, -(2**63), 2**63 - 1])
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_whole_numbers_that_are_no_actions_wait(name, number):
    env, shape = begun(name)
    env.step(dict.fromkeys(["ada", "bo"], number) if name == "TownParallelEnv" else np.full(shape, number))
    towns = env if name == "Towns" else getattr(env, "env", env).towns
    assert not towns.state.agents["action"].any()
    assert (towns.state.towns["invalid_actions"] == 2).all()


def test_a_message_about_a_long_list_stays_short():
    env, _ = begun("TownVectorEnv")
    with pytest.raises(InputError) as caught:
        env.step([[None] * 1_000] * 100)
    assert len(str(caught.value)) < 500
