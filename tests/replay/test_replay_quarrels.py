"""The strongest conflicts: of the event log by moment, of samples by agent."""

import numpy as np
from replay_samples import make_sample

from townlet_core.replay.events import save_events
from townlet_core.replay.quarrels import MOST, Quarrel, SampleQuarrels, logged_quarrels

CONFLICT = {"type": "queue_conflict", "object_id": "shower", "queue_length": 1, "reason": "contention"}


def conflict(town, tick, intensity, actor="anna", rival="ben", episode=0):
    place = {"town": town, "tick": tick, "episode": episode}
    return {**place, **CONFLICT, "actor": actor, "rival": rival, "intensity": intensity}


def test_conflicts_of_one_tick_are_one_moment_and_the_strongest_come_first(tmp_path):
    events = [
        conflict(0, 3, 1.0),
        conflict(0, 3, 1.5, "cara"),
        {"tick": 3, "town": 0, "episode": 0, "type": "faint", "actor": "ben"},
        conflict(1, 3, 2.0),
        conflict(0, 4, 2.0),
        conflict(0, 4, 4.0, episode=1),
    ]
    found = logged_quarrels(save_events(tmp_path, "s", events))
    assert found == [
        Quarrel(0, 1, 4, 4.0, "anna and ben over shower: contention"),
        Quarrel(0, 0, 3, 2.5, "anna and ben over shower: contention; cara and ben over shower: contention"),
        Quarrel(1, 0, 3, 2.0, "anna and ben over shower: contention"),
        Quarrel(0, 0, 4, 2.0, "anna and ben over shower: contention"),
    ]


def test_only_the_first_parties_are_named_and_only_the_strongest_moments_kept(tmp_path):
    events = [conflict(0, 0, 1.0, f"agent{i}") for i in range(5)]
    events += [conflict(0, tick, 0.5) for tick in range(1, 20)]
    found = logged_quarrels(save_events(tmp_path, "s", events))
    assert len(found) == MOST
    assert found[0].text.endswith("agent2 and ben over shower: contention and 2 more")


def test_without_a_log_the_moments_are_the_ticks_of_the_samples():
    quarrels = SampleQuarrels()
    for town, shares in enumerate(([0, 0.5, 0, 2, 0], [1, 0, 0, 0, 0])):
        sample = make_sample(5)
        sample.optional["conflict_intensity"][:] = np.float32(shares)
        sample.metadata["capture"] |= {"town": town, "first_frame": 10, "episode": town}
        quarrels.add(sample)
    assert quarrels.largest == [
        Quarrel(0, 0, 13, 2.0, "anna"),
        Quarrel(1, 1, None, 1.0, "anna"),  # when its episode began is not known
        Quarrel(0, 0, 11, 0.5, "anna"),
    ]


def test_samples_without_conflicts_or_origin_have_no_place():
    quarrels, sample = SampleQuarrels(), make_sample(5)
    sample.metadata.pop("capture")
    sample.optional["conflict_intensity"][:] = 1
    quarrels.add(sample)
    del sample.optional["conflict_intensity"]
    quarrels.add(sample)
    assert quarrels.largest == [Quarrel(None, None, None, 1.0, "anna")] * 5
