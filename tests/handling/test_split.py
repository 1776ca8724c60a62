"""Splitting into training and validation, by episode."""

import pytest

from townlet_core.errors import InputError
from townlet_core.handling.sources import Source, open_sources
from townlet_core.handling.split import split_samples
from townlet_core.replay.manifest import entry_metadata


def sides(sources, *options):
    """Return for each sample (town, episode, agent) its side."""
    found = {}
    for side, part in split_samples(sources, *options).items():
        for source in part:
            for entry in source.entries:
                about = entry_metadata(entry)
                place = (about["capture"]["town"], about["capture"]["episode"], about["agent_id"])
                assert place not in found
                found[place] = side
    return found


def test_the_agents_of_an_episode_are_on_one_side(recorded):
    found = sides(open_sources([recorded]), 0.3)
    assert len(found) == 27
    by_episode = {}
    for (town, episode, _), side in found.items():
        by_episode.setdefault((town, episode), set()).add(side)
    assert {len(own) for own in by_episode.values()} == {1}
    assert {side for own in by_episode.values() for side in own} == {"train", "validation"}


def test_neither_order_nor_form_nor_other_episodes_change_a_side(captures):
    (npz,), (packed,) = (open_sources([captures / form]) for form in ("npz", "arrow"))
    expected = sides([npz], 0.4, 5)
    assert sides([packed], 0.4, 5) == expected
    assert sides([Source(npz.manifest, npz.entries[::-1])], 0.4, 5) == expected
    fewer = [entry for entry in npz.entries if entry_metadata(entry)["capture"]["town"] < 2]
    assert sides([Source(npz.manifest, fewer)], 0.4, 5).items() <= expected.items()


def test_the_seed_changes_the_split_and_the_fraction_is_met_on_average(recorded):
    sources = open_sources([recorded])
    splits = [sides(sources, 0.3, seed) for seed in range(40)]
    assert len({tuple(sorted(split.items())) for split in splits}) > 20
    share = sum(list(split.values()).count("validation") for split in splits) / (40 * 27)
    assert 0.25 < share < 0.38


@pytest.mark.parametrize("fraction", [1e-9, 1 - 1e-9])
def test_no_side_is_ever_empty(recorded, fraction):
    found = list(sides(open_sources([recorded]), fraction).values())
    assert min(found.count("train"), found.count("validation")) == 3


def test_one_episode_cannot_be_split_and_the_fraction_is_one(recorded):
    (source,) = open_sources([recorded])
    with pytest.raises(InputError, match="all samples are of one episode"):
        split_samples([Source(source.manifest, source.entries[:1])], 0.2)
    for fraction in (0, 1, -0.5, float("nan")):
        with pytest.raises(InputError, match="--validation"):
            split_samples([source], fraction)


def test_older_samples_of_one_folder_are_one_episode():
    folders = [f"tests/data/reference/captures/{name}" for name in ("queue_conflict", "rivalry_decay")]
    split = split_samples(open_sources(folders), 0.5)
    counts = sorted(len(source.entries) for part in split.values() for source in part)
    assert counts == [2, 3]
