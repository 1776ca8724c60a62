"""Metrics are worked by hand here, and recomputed for captures that others recorded."""

import dataclasses
import json
import math

import numpy as np
import pytest
from replay_samples import make_sample

from townlet_core.errors import InputError
from townlet_core.replay.metrics import load_metrics, sample_metrics, save_metrics
from townlet_core.replay.sample import load_sample
from townlet_core.vocab import ACTIONS, REWARD_TERMS


def by_hand():
    """Return four ticks whose metrics can be worked out in the head."""
    sample = make_sample(4)
    names = sample.feature_names
    features = np.zeros_like(sample.features)
    features[:, names.index("rivalry_max")] = [0.25, 0.5, 0.75, 0.5]
    features[:, names.index("rivalry_avoid_count")] = [0, 0, 2, 1]
    features[:, names.index("lateness_counter")] = [0, 0, 0, 1]
    terms = np.zeros((4, len(REWARD_TERMS)), np.float32)
    terms[:, REWARD_TERMS.index("wages")] = [1, 0, 0, 2]
    terms[:, REWARD_TERMS.index("conflict")] = [0, -0.5, 0, 0]
    optional = {
        "conflict_events": np.float32([0, 1, 0, 0.5]),
        "conflict_intensity": np.float32([0, 1.75, 0, 0.25]),
        "reward_terms": terms,
    }
    return dataclasses.replace(
        sample,
        features=features,
        actions=np.array([1, 1, 8, 1]),
        old_log_probs=np.float32([-1, -2, -1, -2]),
        value_preds=np.float32([0, 0, 0, 0, 0.5]),
        rewards=terms.sum(axis=1),
        optional=optional,
    )


def test_metrics_of_a_sample_are_those_worked_by_hand():
    assert sample_metrics(by_hand()) == {
        "timesteps": 4,
        "reward_sum": 2.5,
        "reward_mean": 0.625,
        "log_prob_mean": -1.5,
        "value_pred_last": 0.5,
        "rivalry_max_mean": 0.5,
        "rivalry_max_max": 0.75,
        "rivalry_avoid_count_mean": 0.75,
        "rivalry_avoid_count_max": 2,
        "lateness_mean": 0.25,
        "action_nonzero": 2,
        "action_total": 4,
        "action_entropy": pytest.approx(0.75 * math.log(4 / 3) + 0.25 * math.log(4)),
        **{f"action_{name}_count": {"north": 3, "chat": 1}.get(name, 0) for name in ACTIONS},
        "queue_conflict_events": 1.5,
        "queue_conflict_intensity_sum": 2,
        **{f"reward_{term}_sum": {"wages": 3, "conflict": -0.5}.get(term, 0) for term in REWARD_TERMS},
    }


def test_metrics_are_floats_and_leave_out_what_cannot_be_known():
    sample = dataclasses.replace(by_hand(), optional={})
    metrics = sample_metrics(sample)
    assert {type(value) for value in metrics.values()} == {float}
    assert "queue_conflict_events" not in metrics
    assert "reward_wages_sum" not in metrics


def test_recorded_metrics_of_every_reference_capture_are_recomputed(captures):
    compared = 0
    for path in sorted(captures.glob("*/rollout_sample_metrics.json")):
        for name, recorded in load_metrics(path).items():
            ours = sample_metrics(load_sample(path.parent / name)[0])
            assert ours.keys() == recorded.keys()
            assert ours == pytest.approx(recorded, rel=1e-6)
            beside = json.loads((path.parent / name).with_suffix(".json").read_text())["metrics"]
            assert ours == pytest.approx(beside, rel=1e-6)
            compared += 1
    assert compared == 8


def test_a_metrics_file_is_read_as_written_and_refused_when_it_is_none(tmp_path):
    metrics = {"a.npz": sample_metrics(by_hand())}
    path = save_metrics(tmp_path, "rollout_sample", metrics)
    assert path.name == "rollout_sample_metrics.json"
    assert load_metrics(path) == metrics
    for text in ("[]", '{"a.npz": 1}', '{"a.npz": {"reward_sum": null}}'):
        path.write_text(text)
        with pytest.raises(InputError, match="rollout_sample_metrics"):
            load_metrics(path)
