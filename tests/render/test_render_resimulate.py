"""A recording that is played again shows the town as it was, or says in a sentence why it can't."""

import dataclasses
import json

import numpy as np
import pytest
from render_recordings import HUNGRY, animation_of, captured

from townlet_core.errors import InputError, MissingError, SampleError
from townlet_core.policy.scripted import ScriptedPolicy
from townlet_core.render.animation import MAX_MOMENTS, Part
from townlet_core.render.recording import load_recording
from townlet_core.render.resimulate import scenario_to_play
from townlet_core.render.scene import scene_of
from townlet_core.replay.events import load_events
from townlet_core.replay.sample import load_sample, save_sample
from townlet_core.scenario.load import load_scenario
from townlet_core.simulation.towns import Towns

ANNA = "rollout_sample_anna_001.npz"


@pytest.fixture
def hungry(tmp_path):
    """A scenario whose agents faint: its file."""
    (tmp_path / "hungry.yaml").write_text(HUNGRY)
    return tmp_path / "hungry.yaml"


def recorded_rewards(folder, episode):
    """Collect what every agent was paid in an episode, in order of its lives."""
    paid = {}
    for file in sorted(folder.glob("*.npz")):
        sample, _ = load_sample(file)
        if sample.metadata["capture"]["episode"] == episode:
            paid.setdefault(sample.agent_id, []).extend(sample.rewards.tolist())
    return paid


def changed(folder, tmp_path, **arrays):
    """Copy anna's sample without its siblings, with some arrays changed; returns the file."""
    sample, _ = load_sample(folder / ANNA)
    save_sample(dataclasses.replace(sample, **arrays), tmp_path, "changed")
    return tmp_path / "changed.npz"


def with_capture(folder, tmp_path, **changes):
    """Copy anna's sample with another `capture` in its JSON; returns the file."""
    sample, _ = load_sample(folder / ANNA)
    metadata = {**sample.metadata, "capture": {**sample.metadata["capture"], **changes}}
    save_sample(dataclasses.replace(sample, metadata=metadata), tmp_path, "changed")
    return tmp_path / "changed.npz"


def test_every_moment_is_what_the_town_was(queue):
    scenario = load_scenario("queue_conflict")
    towns, policy = Towns(scenario), ScriptedPolicy(scenario)
    seen = [scene_of(towns)]
    for _ in range(scenario.ticks):
        towns.step(policy.act(towns, towns.observe()).actions)
        seen.append(scene_of(towns))
    assert animation_of(queue).scenes == seen


def test_rewards_are_those_recorded_one_moment_later(queue):
    animation = animation_of(queue)
    assert np.isnan(animation.rewards[0]).all()
    for i, paid in enumerate(recorded_rewards(queue, 0).values()):
        assert animation.rewards[1:, i].tolist() == paid


def test_events_are_those_of_the_capture(queue):
    logged = list(load_events(queue / "rollout_sample_events.jsonl"))
    animation = animation_of(queue)
    assert [{k: v for k, v in event.items() if k != "moment"} for event in animation.events] == logged
    assert all(animation.scenes[event["moment"]].tick == event["tick"] + 1 for event in animation.events)


def test_a_sample_beside_its_manifest_shows_the_same_town_with_its_agent_in_focus(queue):
    whole, one = animation_of(queue), animation_of(queue / "rollout_sample_ben_002.npz")
    assert (whole.focus, one.focus) == (-1, 1)
    assert one.scenes == whole.scenes


@pytest.mark.parametrize("policy", ["scripted", "random"])
def test_the_script_decides_again_for_those_who_were_not_recorded(tmp_path, policy):
    plan = load_scenario("queue_conflict")
    acting = ScriptedPolicy(plan, 1.0 if policy == "random" else None)
    whole = captured("queue_conflict", tmp_path / "all", acting, behaviour=policy)
    acting = ScriptedPolicy(plan, acting.epsilon)
    one = captured("queue_conflict", tmp_path / "one", acting, behaviour=policy, agent="ben")
    assert animation_of(one).scenes == animation_of(whole).scenes


def test_each_town_and_each_episode_is_a_story_of_its_own(tmp_path):
    folder = captured("queue_conflict", tmp_path, num_towns=2, ticks=130)
    animations = [animation_of(folder), animation_of(folder, town=1), animation_of(folder, town=1, episode=1)]
    assert [len(animation.scenes) for animation in animations] == [81, 81, 51]
    assert animations[0].scenes != animations[1].scenes
    assert animations[2].facts["town"] == animations[2].facts["episode"] == "1"


def test_lives_that_ended_and_those_that_came_after_are_one_animation(tmp_path, hungry):
    folder = captured(hungry, tmp_path / "capture", ticks=100)
    for episode in (0, 1):
        animation = animation_of(folder, episode=episode, scenario=hungry)
        paid = recorded_rewards(folder, episode)
        assert any(event["type"] == "arrival" for event in animation.events)
        for i, agent in enumerate(("ann", "bo")):
            lived = animation.rewards[:, i]
            assert lived[~np.isnan(lived)].tolist() == paid[agent]
            assert np.isnan(lived[1:]).any()  # it was not in town all the time


def test_a_part_of_the_episode_is_that_part_of_the_film(queue):
    whole, part = animation_of(queue), animation_of(queue, part=Part(10, 30))
    assert part.scenes == whole.scenes[10:31]
    assert part.rewards[1:].tolist() == whole.rewards[11:31].tolist()
    assert part.moment_at(30) == 20


@pytest.mark.parametrize(("first", "last"), [(0, 81), (30, 30), (40, 20), (90, None)])
def test_a_part_that_was_not_recorded_is_refused(queue, first, last):
    with pytest.raises(InputError, match="expected a part of 0 to 80"):
        animation_of(queue, part=Part(first, last))


def test_a_film_has_an_end():
    with pytest.raises(InputError, match="at most 19,999 at a time"):
        Part().of(0, MAX_MOMENTS)


def test_a_reward_that_is_not_what_the_rules_pay_is_named(queue, tmp_path):
    rewards = load_sample(queue / ANNA)[0].rewards.copy()
    rewards[7] += 0.5
    with pytest.raises(
        SampleError, match=r"changed\.npz: the reward of tick 7 is .*, played again .*0\.1\.0"
    ):
        animation_of(changed(queue, tmp_path, rewards=rewards))


def test_a_sight_that_is_not_what_the_town_shows_is_named(queue, tmp_path):
    features = load_sample(queue / ANNA)[0].features.copy()
    features[5, 1] = 0.9
    with pytest.raises(SampleError, match=r"changed\.npz: at tick 5 need_hygiene is 0\.9, played again"):
        animation_of(changed(queue, tmp_path, features=features))


def test_an_action_that_was_not_taken_shows_in_what_follows(queue, tmp_path):
    actions = load_sample(queue / ANNA)[0].actions.copy()
    actions[0] = 0
    with pytest.raises(SampleError, match=r"at tick 1 .* played again"):
        animation_of(changed(queue, tmp_path, actions=actions))


def test_another_version_of_the_scenario_is_refused(queue, tmp_path):
    with pytest.raises(InputError, match="another version of the scenario 'queue_conflict'"):
        animation_of(with_capture(queue, tmp_path, scenario_sha256="0" * 64))
    with pytest.raises(InputError, match="another version"):
        animation_of(queue, scenario="rivalry_decay")


def test_a_scenario_is_a_bundled_name_and_never_a_path(queue, tmp_path, hungry):
    with pytest.raises(InputError, match="'hungry', which does not come with Townlet"):
        animation_of(with_capture(queue, tmp_path, scenario="hungry"))
    with pytest.raises(SampleError, match=r"capture\.scenario is .*, expected a name"):
        with_capture(queue, tmp_path, scenario=str(hungry))


@pytest.mark.parametrize(
    ("key", "value"), [("seed", -1), ("town", "0"), ("episode", None), ("town", 2**40), ("seed", True)]
)
def test_coordinates_that_are_none_are_refused(queue, tmp_path, key, value):
    with pytest.raises(SampleError, match=rf"capture\.{key} is .*, expected a whole number"):
        animation_of(with_capture(queue, tmp_path, **{key: value}))


def test_a_town_or_episode_that_was_not_recorded_is_refused(queue):
    with pytest.raises(InputError, match="has no town 3; recorded are town 0, episode 0"):
        load_recording(queue, town=3)
    with pytest.raises(InputError, match="has no town 0 episode 2"):
        load_recording(queue, town=0, episode=2)


def test_what_a_network_did_cannot_be_decided_again(queue, tmp_path):
    sample, _ = load_sample(queue / ANNA)
    metadata = {**sample.metadata, "behaviour": "f" * 64}
    save_sample(dataclasses.replace(sample, metadata=metadata), tmp_path, "alone")
    recording = load_recording(tmp_path / "alone.npz")
    assert scenario_to_play(recording, None) == (None, "a network played, and not everybody was recorded")
    scenario, _ = scenario_to_play(load_recording(queue), None)
    assert scenario.name == "queue_conflict"


def test_a_life_that_the_manifest_leaves_out_is_missed(tmp_path, hungry):
    folder = captured(hungry, tmp_path / "capture", behaviour="f" * 64)
    manifest = folder / "rollout_sample_manifest.json"
    content = json.loads(manifest.read_text())
    second = [entry for entry in content["samples"] if entry["agent_id"] == "ann"][1]
    content["samples"].remove(second)
    manifest.write_text(json.dumps(content))
    with pytest.raises(SampleError, match="no sample says what ann did at tick"):
        animation_of(folder, scenario=hungry)


def test_files_that_are_missing_or_damaged_are_named(queue, tmp_path):
    with pytest.raises(MissingError, match="nothing: no such file"):
        load_recording(tmp_path / "nothing")
    (tmp_path / "bad.npz").write_bytes((queue / ANNA).read_bytes()[:5000])
    (tmp_path / "bad.json").write_bytes((queue / ANNA).with_suffix(".json").read_bytes())
    with pytest.raises(SampleError, match=r"bad\.npz: is cut short"):
        load_recording(tmp_path / "bad.npz")
