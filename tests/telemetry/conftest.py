"""Records to write, and the reference logs that nobody here wrote."""

from pathlib import Path

import pytest

REFERENCE = Path(__file__).resolve().parents[1] / "data" / "reference" / "telemetry"


def record(epoch=1, **changes):
    """Make a complete 1.1 record as training hands it to the writer."""
    return {
        "epoch": epoch,
        "cycle_id": 0,
        "data_mode": "rollout",
        "updates": 4,
        "transitions": 64,
        "steps": 64 * epoch,
        "rollout_ticks": 20,
        "epoch_duration_sec": 0.25,
        "lr": 0.0003,
        "loss_policy": -0.01,
        "loss_value": 2.0,
        "loss_entropy": 1.5,
        "loss_total": 0.975,
        "clip_fraction": 0.05,
        "adv_mean": 0.0,
        "adv_std": 1.0,
        "grad_norm": 0.5,
        "grad_norm_max": 0.9,
        "kl_divergence": 0.01,
        "kl_divergence_max": 0.02,
        "batch_entropy_mean": 1.5,
        "batch_entropy_std": 0.1,
        "reward_advantage_corr": 0.25,
        "queue_conflict_events": 3,
        "queue_conflict_intensity_sum": 4.5,
        "conflict.rivalry_max_mean_avg": 0.2,
        "conflict.rivalry_max_max_avg": 0.4,
        "conflict.rivalry_avoid_count_mean_avg": 0.0,
        "conflict.rivalry_avoid_count_max_avg": 0.0,
        "rivalry_max_histogram": [4, 3, 2, 1, 0, 0, 0, 0, 0, 0],
        "scenario": "queue_conflict",
        **changes,
    }


@pytest.fixture(scope="session")
def make_record():
    return record


@pytest.fixture(scope="session")
def reference():
    return REFERENCE
