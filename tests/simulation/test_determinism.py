"""The same scenario, seed and town give the same bytes, wherever and beside whomever they are played."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from story_digest import DECIDERS, SCENARIOS, by_script, bytes_of, digests, short_day

from townlet_core.simulation.towns import MANY_TOWNS, Towns

TICKS = 30  # a whole episode of 20, and half of the next
SCRIPT = Path(__file__).with_name("story_digest.py")

every_story = pytest.mark.parametrize(
    ("name", "decider"), [(name, decider) for name in SCENARIOS for decider in DECIDERS]
)


@every_story
def test_a_town_tells_its_story_in_a_batch_of_any_size(name: str, decider: str) -> None:
    many = digests(name, decider, 256, TICKS)
    assert digests(name, decider, 16, TICKS) == many[:16]
    assert digests(name, decider, 1, TICKS) == many[:1]
    assert len(set(many)) == 256  # and it is its own story


@every_story
def test_a_town_is_known_by_its_number_and_not_by_its_place(name: str, decider: str) -> None:
    together = digests(name, decider, 8, TICKS)
    later = digests(name, decider, 5, TICKS, first_town=3)  # built first
    sooner = digests(name, decider, 3, TICKS)
    assert sooner + later == together


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("batch", [3, MANY_TOWNS])
def test_a_town_does_not_notice_what_its_neighbours_do(name: str, batch: int) -> None:
    towns = [Towns(short_day(name), batch) for _ in range(2)]
    chance = np.random.default_rng(0)
    for _ in range(19):
        one = chance.integers(0, 9, towns[0].state.agents.shape)
        other = chance.integers(0, 9, one.shape)
        other[1] = one[1]
        for town, actions in zip(towns, (one, other), strict=True):
            town.step(actions)
            town.observe()
        assert all_of(towns[0], 1) == all_of(towns[1], 1)
    assert all_of(towns[0], 0) != all_of(towns[1], 0)


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("pause", [1, 4, 7, 100])
def test_looking_on_changes_nothing_however_many_ticks_are_between(name: str, pause: int) -> None:
    scenario = short_day(name)
    watched, alone = Towns(scenario, 2), Towns(scenario, 2)
    decide_one, decide_other = by_script(scenario), by_script(scenario)
    for tick in range(19):
        watched.step(decide_one(watched, watched.observe()))
        alone.step(decide_other(alone, alone.empty_observations()))
        watched.new_events()
        if tick % pause == 0:
            alone.observe()
    assert [all_of(watched, b) for b in range(2)] == [all_of(alone, b) for b in range(2)]


def all_of(towns: Towns, b: int) -> list[bytes]:
    """Return all that town b is, and all that is seen there."""
    return [bytes_of(array, b) for array in (*towns.state, *towns.observe())]


def story_elsewhere(num_towns: int, ticks: int, **environment: str) -> subprocess.Popen:
    """Begin to play in a process of its own."""
    arguments = [sys.executable, str(SCRIPT), str(num_towns), str(ticks)]
    return subprocess.Popen(
        arguments, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment}, cwd=SCRIPT.parents[2]
    )


def told_by(process: subprocess.Popen) -> dict[str, list[str]]:
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    return json.loads(printed)


def test_threads_hash_seeds_and_plain_python_tell_the_same_story() -> None:
    one = story_elsewhere(MANY_TOWNS, 25, NUMBA_NUM_THREADS="1", PYTHONHASHSEED="1")
    two = story_elsewhere(MANY_TOWNS, 25, NUMBA_NUM_THREADS="2", PYTHONHASHSEED="2")
    plain = story_elsewhere(2, 25, NUMBA_DISABLE_JIT="1", PYTHONHASHSEED="3")
    expected = told_by(one)
    assert told_by(two) == expected
    assert told_by(plain) == {story: towns[:2] for story, towns in expected.items()}
