"""Where the town cannot be played again, the animation shows what one agent saw, and says so."""

import dataclasses

import pytest
from render_recordings import animation_of

from townlet_core.errors import InputError, SampleError
from townlet_core.render.animation import Part
from townlet_core.render.egocentric import BUSY_THING, egocentric_animation
from townlet_core.render.recording import load_recording


def test_a_recording_of_the_older_generation_shows_the_agent_in_the_middle(older):
    animation = egocentric_animation(load_recording(older / "rollout_sample_ben_002.npz"), "it is old")
    assert animation.title == "What ben saw"
    assert animation.note == "This is what ben saw, not the town: it is old."
    assert len(animation.scenes) == 61
    assert {(scene.agents[0].x, scene.agents[0].y) for scene in animation.scenes} == {(5, 5)}
    assert animation.scenes[0].clock == ""
    assert animation.rewards[1:, 0].tolist() == pytest.approx([-0.2] * 60)


def test_a_manifest_of_the_older_generation_shows_its_first_sample(older):
    recording = load_recording(older)
    assert recording.capture is None
    assert [sample.agent_id for sample in recording.samples] == ["anna"]


def test_what_an_agent_saw_is_where_the_town_had_it(queue):
    own = egocentric_animation(load_recording(queue / "rollout_sample_cara_003.npz"), "so")
    whole = animation_of(queue)
    for tick in (0, 2, 10):
        me = whole.scenes[tick].agents[2]
        others = {(a.x - me.x + 5, a.y - me.y + 5) for a in whole.scenes[tick].agents[:2]}
        assert {(a.x, a.y) for a in own.scenes[tick].agents[1:] if a.alive} == others
        shower = (4 - me.x + 5, 1 - me.y + 5)
        busy = [(thing.x, thing.y) for thing in own.scenes[tick].objects if thing.kind == BUSY_THING]
        assert busy == ([shower] if tick else [])
        assert own.scenes[tick].agents[0].needs == pytest.approx(me.needs)


def test_a_part_of_it_can_be_shown_and_no_other(older):
    recording = load_recording(older)
    assert len(egocentric_animation(recording, "so", Part(10, 20)).scenes) == 11
    with pytest.raises(InputError, match="expected a part of 0 to 60"):
        egocentric_animation(recording, "so", Part(10, 61))


def test_a_map_without_the_known_channels_is_refused(older):
    recording = load_recording(older)
    metadata = {**recording.samples[0].metadata, "map_channels": ["self", "agents", "walls", "smell"]}
    strange = recording._replace(samples=(dataclasses.replace(recording.samples[0], metadata=metadata),))
    with pytest.raises(SampleError, match="its map has no channel objects, reservations"):
        egocentric_animation(strange, "so")
