"""A dataset behind torch's loaders: nothing twice, one order for any number of workers, resumable."""

import numpy as np
import pytest
import torch
from recordings import FORMS, SAMPLES, ending, record
from replay.replay_samples import make_sample
from torch.utils.data import DataLoader

from townlet_core.errors import InputError
from townlet_core.exchange.torch_data import ReplayBatches, ReplayTransitions
from townlet_core.replay.dataset import ReplayDataset
from townlet_core.replay.packed import writer
from townlet_core.replay.sources import ReplayDatasetConfig


def open_dataset(folder, form="npz", samples=None, **options):
    samples = samples or [make_sample(6, f"a{seed}", seed) for seed in range(11)]
    options = {"batch_size": 2, "seed": 3} | options
    return ReplayDataset(ReplayDatasetConfig(manifests=(record(folder, form, samples),), **options))


def names_of(loader):
    return [batch["names"] for batch in loader]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_is_the_datasets_own_for_any_number_of_workers(tmp_path, form, workers):
    dataset = open_dataset(tmp_path, form, streaming=True)
    batches = ReplayBatches(dataset)
    loader = DataLoader(batches, batch_size=None, num_workers=workers)
    for epoch in (0, 1):
        batches.set_epoch(epoch)
        seen, expected = list(loader), list(dataset.batches(epoch))
        assert names_of(seen) == [list(batch.names) for batch in expected]
        for name in ("map", "features", "actions", "rewards", "terminations", "action_mask"):
            assert all(
                np.array_equal(ours[name], getattr(theirs, name))
                for ours, theirs in zip(seen, expected, strict=True)
            )
        assert len(batches) == len(seen) == 6
    names = [name for batch in names_of(loader) for name in batch]
    assert len(names) == len(set(names)) == dataset.sample_count


@pytest.mark.parametrize("workers", [0, 2])
def test_windows_of_packed_data_are_shared_among_workers(tmp_path, workers, monkeypatch):
    monkeypatch.setattr(writer, "BATCH_BYTES", 4000)
    dataset = open_dataset(tmp_path, "packed", streaming=True, memory_budget=20_000)
    assert names_of(ReplayBatches(dataset)) != names_of(ReplayBatches(open_dataset(tmp_path, "packed")))
    batches = ReplayBatches(dataset)
    batches.set_epoch(1)
    expected = [list(batch.names) for batch in dataset.batches(1)]
    assert names_of(DataLoader(batches, batch_size=None, num_workers=workers)) == expected


def test_set_epoch_reaches_workers_that_persist(tmp_path):
    dataset = open_dataset(tmp_path)
    batches = ReplayBatches(dataset)
    loader = DataLoader(batches, batch_size=None, num_workers=2, persistent_workers=True)
    for epoch in (0, 5, 1):
        batches.set_epoch(epoch)
        assert names_of(loader) == [list(batch.names) for batch in dataset.batches(epoch)]


@pytest.mark.parametrize("workers", [2])
def test_an_epoch_begins_at_any_batch(tmp_path, workers):
    batches = ReplayBatches(open_dataset(tmp_path))
    batches.set_epoch(2)
    whole = names_of(DataLoader(batches, batch_size=None))
    batches.set_epoch(2, first=4)
    assert len(batches) == 2
    assert names_of(DataLoader(batches, batch_size=None, num_workers=workers)) == whole[4:]


def test_state_resumes_in_the_middle_of_an_epoch(tmp_path):
    batches = ReplayBatches(open_dataset(tmp_path))
    batches.set_epoch(4)
    stream = iter(batches)
    head = [next(stream)["names"] for _ in range(3)]
    state = batches.state_dict()
    tail = names_of(stream)
    other = ReplayBatches(open_dataset(tmp_path))
    other.load_state_dict(state)
    assert other.state_dict() == state
    assert names_of(other) == tail
    assert names_of(other) == head + tail  # the next iteration is whole


def test_workers_resume_each_from_its_own_state(tmp_path, monkeypatch):
    # As torchdata's StatefulDataLoader does: state and iteration live in the worker.
    whole = names_of(ReplayBatches(open_dataset(tmp_path)))
    rest = []
    for worker in range(2):
        monkeypatch.setattr("townlet_core.exchange.torch_data._worker", lambda worker=worker: (worker, 2))
        copy = ReplayBatches(open_dataset(tmp_path))
        stream = iter(copy)
        assert [next(stream)["names"] for _ in range(2)] == whole[worker:4:2]
        again = ReplayBatches(open_dataset(tmp_path))
        again.load_state_dict(copy.state_dict())
        rest.append(names_of(again))
    assert rest == [whole[4::2], whole[5::2]]


def test_a_state_of_other_workers_or_of_something_else_is_refused(tmp_path):
    batches = ReplayBatches(open_dataset(tmp_path))
    batches.load_state_dict({"epoch": 0, "first": 0, "served": 2, "workers": 3})
    with pytest.raises(InputError, match="state of 3 workers, found 1"):
        next(iter(batches))
    with pytest.raises(InputError, match="expected whole numbers epoch, first, served, workers"):
        batches.load_state_dict({"epoch": -1})
    with pytest.raises(InputError, match="epoch -1"):
        batches.set_epoch(-1)


@pytest.mark.parametrize("form", FORMS)
def test_transitions_are_those_with_a_target_and_know_what_follows(tmp_path, form):
    dataset = open_dataset(tmp_path, form, SAMPLES, shuffle=False)
    transitions = ReplayTransitions(dataset)
    assert len(transitions) == (5 - 1) + 7 + (4 - 1) + 5
    number = 0
    for sample in SAMPLES:
        ticks = sample.timesteps - (not sample.optional["terminations"][-1])
        for tick in range(ticks):
            item = transitions[number]
            assert np.array_equal(item["map"], sample.map[tick])
            assert np.array_equal(item["action_mask"], sample.optional["action_mask"][tick])
            assert (item["actions"], item["rewards"]) == (sample.actions[tick], sample.rewards[tick])
            assert item["terminations"] == sample.optional["terminations"][tick]
            following = min(tick + 1, sample.timesteps - 1)
            assert np.array_equal(item["next_features"], sample.features[following])
            number += 1
    assert torch.equal(transitions[-1]["features"], transitions[len(transitions) - 1]["features"])
    with pytest.raises(IndexError, match="transition 19 of 19"):
        transitions[19]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_shuffles_and_stacks_transitions(tmp_path, workers):
    samples = [ending(make_sample(6, seed=seed), "terminated") for seed in range(4)]
    transitions = ReplayTransitions(open_dataset(tmp_path, "npz", samples))
    loader = DataLoader(transitions, batch_size=5, shuffle=True, num_workers=workers)
    rewards = torch.cat([batch["rewards"] for batch in loader])
    assert sorted(rewards.tolist()) == sorted(np.concatenate([s.rewards for s in samples]).tolist())
    assert next(iter(loader))["map"].shape == (5, *samples[0].map.shape[1:])
