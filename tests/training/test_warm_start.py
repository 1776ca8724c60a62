"""A warm start imitates what it was shown, is judged by what it was not, and resumes to the bit."""

import numpy as np
import pytest
from small_runs import settings_of, trainer_of
from test_resume import StopAfter, told

from townlet_core import io
from townlet_core.errors import InputError, Interrupted, RunFailed
from townlet_core.ppo.checkpoint import load_checkpoint
from townlet_core.ppo.serialization import weights_sha256
from townlet_core.training.reports import Reports
from townlet_core.training.warm_start import held_out_samples

WARM = {"warm_start": "bc", "warm_start_epochs": 3, "cycles": 1, "capture_towns": 4}


@pytest.mark.parametrize("source", ["rollout", "replay"])
def test_imitation_beats_always_saying_what_is_commonest(tmp_path, source):
    heard = []
    settings = settings_of(
        **{**WARM, "warm_start_epochs": 20, "source": source, "hidden_size": 64, "learning_rate": 3e-3}
    )
    result = trainer_of(tmp_path, settings, reports=Reports(cloned=heard.append)).run()
    assert [cloned.epoch for cloned in heard] == list(range(1, 21))
    assert heard[-1].held_out_accuracy > heard[-1].majority_accuracy + 0.05
    assert heard[-1].loss_policy < heard[0].loss_policy
    assert result.progress.cloned == heard[-1]._asdict()


def test_no_tick_of_a_held_out_sample_is_trained_on_and_no_other_judged_by(tmp_path):
    trainer = trainer_of(tmp_path, settings_of(**WARM, source="rollout"))
    held_out = held_out_samples(trainer.dataset.sample_count, seed=0)
    assert len(held_out) == 1  # of 12
    stacked = []
    stack = trainer.dataset.stack
    trainer.dataset.stack = lambda members: stacked.append(members) or stack(members)
    trainer.run()
    assert stacked
    assert all(set(members) <= held_out or not set(members) & held_out for members in stacked)
    for epoch in np.array_split(np.arange(len(stacked)), 3):
        assert sorted(member for n in epoch for member in stacked[n]) == list(range(12))


def test_the_split_is_a_function_of_the_seed():
    assert held_out_samples(50, 1) == held_out_samples(50, 1)
    assert held_out_samples(50, 1) != held_out_samples(50, 2)
    assert len(held_out_samples(50, 1)) == 5


@pytest.mark.parametrize("source", ["rollout", "mixed"])
@pytest.mark.parametrize("polls", [1, 3, 6])
def test_a_warm_start_that_was_stopped_resumes_to_the_bit(tmp_path, source, polls):
    settings = settings_of(**{**WARM, "source": source, "normalise_observations": True})
    straight = trainer_of(tmp_path / "a", settings).run()
    with pytest.raises(Interrupted):
        trainer_of(tmp_path / "b", settings, StopAfter(polls)).run()
    state = load_checkpoint(tmp_path / "b").state  # asked twice an epoch, once for each batch of samples
    assert (state["cycle"], (state["cloned"] or {"epoch": 0})["epoch"]) == (0, (polls - 1) // 2)
    resumed = trainer_of(tmp_path / "b", settings, resume=True).run()
    assert resumed.weights_sha256 == straight.weights_sha256
    assert resumed.progress.cloned == straight.progress.cloned
    assert told(tmp_path / "b") == told(tmp_path / "a")


def test_a_run_without_a_warm_start_is_the_run_it_was(tmp_path):
    trainer = trainer_of(tmp_path, settings_of(cycles=1))
    trainer.run()
    assert trainer.progress.cloned is None


def test_numbers_that_are_not_finite_end_a_warm_start_at_its_last_checkpoint(tmp_path):
    trainer = trainer_of(tmp_path, settings_of(**WARM))
    before = weights_sha256(trainer.network)
    stack = trainer.dataset.stack

    def spoiled(members):
        batch = stack(members)
        return batch._replace(rewards=np.full_like(batch.rewards, np.nan))

    trainer.dataset.stack = spoiled
    with pytest.raises(RunFailed, match="in epoch 1 of the warm start, loss or gradient"):
        trainer.run()
    assert weights_sha256(trainer.network) == before


def test_one_sample_alone_is_nothing_to_imitate(tmp_path):
    trainer_of(tmp_path, settings_of(source="replay"))
    sample = next((tmp_path / "samples").glob("*.npz"))
    manifest = tmp_path / "samples" / "one.json"
    io.write_json(manifest, [sample.name])
    with pytest.raises(InputError, match="found 1 recorded sample, expected at least 2"):
        trainer_of(tmp_path, settings_of(**WARM, replay_manifest=(manifest,)))
