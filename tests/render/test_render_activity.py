"""What everybody is doing is said in words, from the recorded choice and where it led."""

import dataclasses

import numpy as np
import pytest
from render_recordings import animation_of, captured

from townlet_core.render.activity import activities
from townlet_core.render.animation import NOT_RECORDED, Part
from townlet_core.render.egocentric import egocentric_animation
from townlet_core.render.recording import load_recording
from townlet_core.replay.sample import load_sample
from townlet_core.vocab import ACTIONS, CHAT, REQUEST, START, WAIT


@pytest.fixture(scope="module")
def animation(queue):
    return animation_of(queue)


def choosing(animation, moment, action, agent=0):
    """Let an agent without an object choose an action at a moment, and stand still."""
    actions = animation.choices.actions.copy()
    actions[moment, agent] = action
    scenes = list(animation.scenes)
    for m in (moment, moment + 1):
        agents = list(scenes[m].agents)
        agents[agent] = agents[agent]._replace(x=2, y=2, role=0, object=-1)
        scenes[m] = scenes[m]._replace(agents=tuple(agents))
    return animation._replace(scenes=scenes, choices=animation.choices._replace(actions=actions))


def test_walking_waiting_and_using_are_said_as_the_town_shows_them(animation):
    told = activities(animation, range(81))
    assert told[0] == ["walks east", "walks west", "walks north"]
    assert told[1] == ["asks for shower"] * 3
    assert told[5] == ["uses shower", "2nd in line: shower", "1st in line: shower"]
    assert told[80][0].startswith(("uses", "end of the recording"))


def test_a_step_that_leads_nowhere_is_said_to_be_impossible(animation):
    assert activities(choosing(animation, 3, ACTIONS.index("south")), [3])[0][0] == "cannot go south"


@pytest.mark.parametrize(
    ("action", "said"),
    [
        (WAIT, "idle"),
        (CHAT, "chats"),
        (REQUEST, "tries to request, in vain"),
        (START, "tries to start, in vain"),
    ],
)
def test_every_choice_has_its_words(animation, action, said):
    assert activities(choosing(animation, 3, action), [3])[0][0] == said


def test_a_talk_says_with_whom_and_whether_there_was_an_answer(animation):
    chatting = choosing(animation, 3, CHAT)
    for kind, said in (
        ("chat_success", "chats with ben"),
        ("chat_failure", "talks to ben, without an answer"),
    ):
        event = {"moment": 4, "type": kind, "actor": "anna", "rival": "ben"}
        assert activities(chatting._replace(events=[event]), [3])[0][0] == said
    waiting = animation._replace(
        events=[{"moment": 6, "type": "chat_success", "actor": "ben", "rival": "cara"}]
    )
    assert activities(waiting, [5])[0][1] == "2nd in line: shower, chats with cara"


def test_choices_are_those_of_the_samples(queue, animation):
    sample, _ = load_sample(queue / "rollout_sample_ben_002.npz")
    choices = animation.choices
    assert choices.actions[:-1, 1].tolist() == sample.actions.tolist()
    assert choices.probabilities[:-1, 1] == pytest.approx(np.exp(sample.old_log_probs))
    assert np.isnan(choices.values).all()  # no critic looked
    assert choices.actions[-1].tolist() == [NOT_RECORDED] * 3
    part = animation_of(queue, part=Part(10, 30))
    assert part.choices.actions[:-1].tolist() == choices.actions[10:30].tolist()


def test_values_are_shown_where_a_critic_looked(queue):
    recording = load_recording(queue)
    scored = [
        dataclasses.replace(
            sample,
            value_preds=np.linspace(0, 1, 81, dtype=np.float32),
            metadata={**sample.metadata, "value_source": "fresh"},
        )
        for sample in recording.samples
    ]
    values = egocentric_animation(recording._replace(samples=tuple(scored)), "so").choices.values
    assert values[:-1, 0] == pytest.approx(np.linspace(0, 1, 81)[:-1])
    assert np.isnan(values[-1]).all()


def test_of_a_town_that_is_not_known_only_the_choice_is_said(older, tmp_path):
    own = egocentric_animation(
        load_recording(captured("queue_conflict", tmp_path) / "rollout_sample_ben_002.npz"), "so"
    )
    assert activities(own, [0]) == [["chooses west", "", ""]]
    old = egocentric_animation(load_recording(older / "rollout_sample_ben_002.npz"), "it is old")
    assert activities(old, [0])[0][0].startswith("chooses action ")
