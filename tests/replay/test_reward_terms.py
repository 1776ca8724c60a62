"""The columns of `reward_terms` are read by the names in the sample's own metadata."""

import dataclasses

import numpy as np
import pytest
from replay_samples import equal, make_sample

from townlet_core import io
from townlet_core.errors import SampleError
from townlet_core.replay.dataset import ReplayDataset, ReplayDatasetConfig
from townlet_core.replay.format import UNNAMED_REWARD_TERMS
from townlet_core.replay.metrics import sample_metrics, with_metrics
from townlet_core.replay.sample import load_sample, save_sample
from townlet_core.replay.totals import EventTotals, capture_totals, part_of
from townlet_core.replay.whole import compare_metrics
from townlet_core.vocab import REWARD_TERMS


def with_terms(*names):
    """Return a sample whose terms have these names; column i is i at every tick."""
    sample = make_sample()
    terms = np.tile(np.arange(len(names), dtype=np.float32), (5, 1))
    return with_metrics(
        dataclasses.replace(
            sample,
            rewards=terms.sum(axis=1) + np.arange(5, dtype=np.float32) * 1e-5,
            optional=sample.optional | {"reward_terms": terms},
            metadata=sample.metadata | {"reward_terms": list(names)},
        )
    )


def totals_of(sample):
    part = part_of(sample, sample_metrics(sample))
    return capture_totals([part], EventTotals([]), ["anna"])


def test_a_sample_names_its_reward_terms(tmp_path):
    save_sample(make_sample(), tmp_path, "a")
    assert io.read_json(tmp_path / "a.json", 1 << 20)["reward_terms"] == list(REWARD_TERMS)
    assert load_sample(tmp_path / "a.npz")[0].reward_terms == REWARD_TERMS


def test_an_array_with_another_number_of_columns_is_refused(tmp_path):
    sample = make_sample()
    narrow = sample.optional | {"reward_terms": sample.optional["reward_terms"][:, :7]}
    with pytest.raises(SampleError, match="reward_terms names 8, the array has 7"):
        save_sample(dataclasses.replace(sample, optional=narrow), tmp_path, "a")
    assert not list(tmp_path.iterdir())


def test_a_sample_without_names_has_the_terms_of_0_1_0(tmp_path):
    sample = with_terms(*UNNAMED_REWARD_TERMS)
    unnamed = {key: value for key, value in sample.metadata.items() if key != "reward_terms"}
    save_sample(dataclasses.replace(sample, metadata=unnamed), tmp_path, "a")
    loaded, warnings = load_sample(tmp_path / "a.npz")
    assert (warnings, loaded.reward_terms) == ([], UNNAMED_REWARD_TERMS)
    assert sample_metrics(loaded) == sample_metrics(sample)


def test_a_ninth_column_without_names_is_refused(tmp_path):
    sample = with_terms(*UNNAMED_REWARD_TERMS, "bonus")
    del sample.metadata["reward_terms"]
    with pytest.raises(
        SampleError, match=r"is missing, which means survival, .*, clipped; the array has 9 columns"
    ):
        save_sample(sample, tmp_path, "a")


def test_a_sample_of_a_version_with_other_terms_loads_with_a_warning(tmp_path):
    sample = with_terms("bonus", *(name for name in REWARD_TERMS if name != "faint"))
    save_sample(sample, tmp_path, "a")
    loaded, warnings = load_sample(tmp_path / "a.npz")
    assert equal(loaded, sample)
    unknown, absent = warnings
    assert "reward_terms include bonus, unknown to this version" in unknown
    assert "reward_terms lack faint, part of the rewards in this version" in absent


def test_metrics_and_totals_read_the_terms_by_name():
    sample = with_terms("clipped", "bonus", "wages")
    metrics = sample_metrics(sample)
    sums = {name: value for name, value in metrics.items() if name.endswith("s_sum") or "bonus" in name}
    assert sums == {"reward_bonus_sum": 5, "reward_wages_sum": 10}
    totals = totals_of(sample)
    assert totals["reward_clipped_fraction"] == 0  # column 0 is 0 at every tick
    assert totals["anna.reward_bonus_sum"] == 5


def test_a_total_whose_term_is_missing_is_left_out():
    totals = totals_of(with_terms("bonus", "wages"))
    assert "reward_clipped_fraction" not in totals
    assert totals["anna.reward_wages_sum"] == 5


def test_samples_with_different_terms_are_served_with_a_warning():
    samples = [make_sample(seed=1), make_sample(seed=2), with_terms(*REWARD_TERMS, "bonus")]
    dataset = ReplayDataset.from_samples(samples, ReplayDatasetConfig())
    (warning,) = dataset.warnings
    assert warning.startswith("000_anna and 002_anna have different reward terms (only in the second: bonus)")
    assert dataset.sample_count == 3


def test_terms_in_another_order_are_the_same_terms():
    samples = [make_sample(), with_terms(*reversed(REWARD_TERMS))]
    assert ReplayDataset.from_samples(samples, ReplayDatasetConfig()).warnings == ()


def test_totals_of_a_version_with_fewer_events_and_needs_are_complete():
    sample = make_sample()
    names = ["hunger" if name == "need_hunger" else name for name in sample.feature_names]
    totals = totals_of(dataclasses.replace(sample, metadata=sample.metadata | {"feature_names": names}))
    assert "anna.hygiene_min" in totals
    assert "anna.hunger_min" not in totals
    said = {name: value for name, value in totals.items() if "meeting" not in name}
    assert list(compare_metrics(said, totals, "metrics.json", "total", complete=True)) == []
