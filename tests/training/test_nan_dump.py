"""A number that is not finite ends a run with its minibatch on the disk and the last good cycle untouched."""

import numpy as np
import orjson
import pytest
import torch
from small_runs import settings_of, trainer_of

from townlet_core import io
from townlet_core.errors import RunFailed
from townlet_core.ppo.checkpoint import load_checkpoint
from townlet_core.ppo.losses import PPOLoss
from townlet_core.ppo.serialization import weights_sha256
from townlet_core.ppo.shards import Shards
from townlet_core.ppo.statistics import MiniBatchStats, SkippedUpdate
from townlet_core.telemetry.validate import LogCheck
from townlet_core.training.advantage_targets import replay_batch
from townlet_core.training.nan_dump import save_minibatch
from townlet_core.training.reports import Reports


def fails(folder, source, spoil, match):
    """Run until `spoil(trainer)`, done after the first cycle, ends the run; returns trainer and error."""
    trainer = trainer_of(folder, settings_of(source=source, cycles=3))
    good = []

    def after_cycle(end):
        good.append(weights_sha256(trainer.network))
        spoil(trainer)

    trainer.reports = Reports(cycle=after_cycle)
    with pytest.raises(RunFailed, match=match) as failed:
        trainer.run()
    assert failed.value.exit_code == 4
    assert weights_sha256(trainer.network) == load_checkpoint(folder).metadata.weights_sha256 == good[0]
    return trainer, failed.value


def spoil_rewards(bad):
    def spoil(trainer):
        take = trainer.recordings.take
        trainer.recordings.take = lambda: [b._replace(rewards=np.full_like(b.rewards, bad)) for b in take()]

    return spoil


def spoil_weights(trainer):
    with torch.no_grad():
        trainer.network.trunk.weight[0, 0] = np.nan


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_bad_reward_leaves_its_minibatch_as_plain_arrays(tmp_path, bad):
    _, error = fails(tmp_path, "replay", spoil_rewards(bad), "rolled back to the checkpoint of cycle 1")
    assert str(tmp_path / "not_finite.npz") in str(error)
    assert str(tmp_path / "not_finite.json") in error.hint
    with np.load(tmp_path / "not_finite.npz", allow_pickle=False) as arrays:
        report = io.read_json(tmp_path / "not_finite.json")
        assert not np.isfinite(arrays["rewards"]).any()
        assert len(arrays["rows"]) == len(arrays["map"]) == report["transitions"]
        assert report["not_finite"]["columns"]["advantages"] == (~np.isfinite(arrays["advantages"])).sum()
    assert (report["cycle"], report["data_mode"], report["epoch"], report["minibatch"]) == (2, "replay", 2, 1)
    assert report["not_finite"]["weights"] == {}
    assert "grad_norm" in report["not_finite"]["numbers"]


def test_the_log_of_a_failed_run_counts_what_was_skipped_and_is_valid(tmp_path):
    fails(tmp_path, "replay", spoil_rewards(np.nan), "not finite")
    assert list(LogCheck(tmp_path / "telemetry.jsonl").problems()) == []


def test_bad_weights_and_bad_columns_are_counted_by_name(tmp_path):
    trainer = trainer_of(tmp_path, settings_of(source="replay"))
    batch, _ = replay_batch(trainer.recordings.take(), trainer.network, trainer.settings.ppo)
    batch.features[3, 0] = np.inf
    spoil_weights(trainer)
    stats = MiniBatchStats([np.nan] * len(PPOLoss._fields), 1.0, 1.0, 2)
    skipped = SkippedUpdate(0, 0, [np.array([3, 5])], stats)
    save_minibatch(tmp_path, 1, "replay", [batch], skipped, trainer.network, Shards())
    found = io.read_json(tmp_path / "not_finite.json")["not_finite"]
    assert (found["weights"], found["columns"]) == ({"trunk.weight": 1}, {"features": 1})
    assert found["numbers"] == list(PPOLoss._fields)


@pytest.mark.parametrize("source", ["rollout", "replay"])
def test_a_network_that_says_nothing_finite_ends_the_run_in_the_same_way(tmp_path, source):
    trainer, error = fails(tmp_path, source, spoil_weights, "in cycle 2, .* policy's output is not finite")
    assert "--learning-rate" in error.hint
    assert trainer.progress.cycle == 1
    trainer.reports = Reports()
    assert trainer.run().progress.cycle == 3  # what was rolled back to can learn


def test_a_bad_reward_of_a_live_town_is_skipped_counted_and_told_in_finite_numbers(tmp_path):
    trainer = trainer_of(tmp_path, settings_of(source="rollout", cycles=1, num_mini_batches=64))
    play = trainer.rollout.play

    def spoiled(*arguments):
        data = play(*arguments)
        trainer.rollout.frames.rewards[0, 0, 0] = np.nan
        return data

    trainer.rollout.play = spoiled
    trainer.run()
    assert list(LogCheck(tmp_path / "telemetry.jsonl").problems()) == []
    lines = (tmp_path / "telemetry.jsonl").read_bytes().splitlines()
    assert sum(orjson.loads(line)["skipped_updates"] for line in lines) >= 1
