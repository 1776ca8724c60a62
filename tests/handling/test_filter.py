"""Filtered manifests refer to samples where they lie, and say what they were made of."""

import json

import pytest

from townlet_core.errors import InputError
from townlet_core.handling.filter import filter_samples
from townlet_core.handling.refer import save_selection
from townlet_core.handling.sources import open_sources
from townlet_core.replay.dataset import ReplayDataset, ReplayDatasetConfig
from townlet_core.replay.find import find_entries
from townlet_core.replay.manifest import entry_metadata, load_manifest


def kept(sources):
    return [entry_metadata(entry) for source in sources for entry in source.entries]


def test_samples_are_chosen_by_agent_scenario_and_expression(recorded):
    sources = open_sources([recorded])
    chosen = kept(filter_samples(sources, "episode == 1 and town < 2", ["a*", "ben"], ["queue_*"]))
    found = {(one["agent_id"], one["capture"]["town"], one["capture"]["episode"]) for one in chosen}
    assert found == {(agent, town, 1) for agent in ("anna", "ben") for town in (0, 1)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"where": "reward_sum > 1000"}, "the conditions keep none of 27 samples"),
        (
            {"where": "reward_sum > 1000 and reward_sun > 0"},
            "--where:1:23: no sample has 'reward_sun' (did you",
        ),
        ({"where": "reward_sun > 0"}, "has no 'reward_sun' (did you mean 'reward_sum'?)"),
        ({"agents": ["anna", "bob"]}, "--agent: no sample is of 'bob'"),
        (
            {"scenarios": ["queue_conflct"]},
            "--scenario: no sample is of 'queue_conflct' (did you mean 'queue_con",
        ),
    ],
)
def test_what_keeps_nothing_is_refused_with_a_hint(recorded, options, message):
    with pytest.raises(InputError) as refusal:
        filter_samples(open_sources([recorded]), **options)
    assert message in str(refusal.value)


def test_a_filtered_manifest_lists_the_samples_with_digests_and_can_be_trained_on(recorded, sound):
    chosen = filter_samples(open_sources([recorded]), "queue_conflict_events > 2")
    path = save_selection(recorded / "quarrels_manifest.json", chosen, {"where": "queue_conflict_events > 2"})
    assert sound(path).samples == len(kept(chosen)) < 27
    manifest = load_manifest(path)
    assert manifest.metadata["selection"] == {
        "from": ["rollout_sample_manifest.json"],
        "where": "queue_conflict_events > 2",
    }
    original = load_manifest(recorded / "rollout_sample_manifest.json").metadata
    assert {key: manifest.metadata[key] for key in original if key != "events"} == {
        key: value for key, value in original.items() if key != "events"
    }
    dataset = ReplayDataset(ReplayDatasetConfig(manifests=(path,), for_training=True))
    assert dataset.sample_count == len(kept(chosen))


def test_a_filtered_manifest_of_packed_samples_keeps_their_numbers(captures, tmp_path):
    chosen = filter_samples(open_sources([captures / "arrow"]), agents=["ben"])
    content = None
    try:
        path = save_selection(captures / "arrow" / "ben_manifest.json", chosen, {})
        content = json.loads(path.read_text())
    finally:
        (captures / "arrow" / "ben_manifest.json").unlink()
    assert [shard["only"] for shard in content["shards"]] == [[3, 4, 5, 12, 13, 14, 21, 22, 23]]


def test_a_manifest_above_several_folders_refers_into_them(recorded, sound):
    capture_folder = recorded.parent
    (recorded.parent / "other").mkdir()
    for file in recorded.iterdir():
        (recorded.parent / "other" / file.name).write_bytes(file.read_bytes())
    path = save_selection(capture_folder / "all_manifest.json", open_sources([capture_folder]), {})
    assert sound(path).samples == 54
    assert load_manifest(path).metadata["selection"]["from"] == [
        "other/rollout_sample_manifest.json",
        "recorded/rollout_sample_manifest.json",
    ]


def test_the_folder_of_a_capture_stands_for_it_and_not_for_its_selections(recorded, sound):
    chosen = filter_samples(open_sources([recorded]), agents=["ben"])
    save_selection(recorded / "a_manifest.json", chosen, {})
    assert [source.manifest.path.name for source in open_sources([recorded])] == [
        "rollout_sample_manifest.json"
    ]
    assert len(find_entries(recorded)) == sound(recorded).samples == 27


def test_a_manifest_is_written_only_where_it_may_be(recorded, tmp_path):
    sources = open_sources([recorded])
    outside = tmp_path / "elsewhere" / "x_manifest.json"
    with pytest.raises(InputError, match="lies outside of its folder"):
        save_selection(outside, sources, {})
    assert not outside.parent.exists()
    with pytest.raises(InputError, match=r"ends in manifest\.json"):
        save_selection(recorded / "x.json", sources, {})
    with pytest.raises(InputError, match="is not a manifest that filter or split wrote"):
        save_selection(recorded / "rollout_sample_manifest.json", sources, {}, force=True)
    save_selection(recorded / "x_manifest.json", sources, {})
    with pytest.raises(InputError, match="already exists"):
        save_selection(recorded / "x_manifest.json", sources, {})
    save_selection(recorded / "x_manifest.json", sources, {}, force=True)


def test_a_manifest_may_have_any_name(npz_files):
    (npz_files / "rollout_sample_manifest.json").rename(npz_files / "list.json")
    (source,) = open_sources([npz_files / "list.json"])
    assert (source.manifest.path.name, len(source.entries)) == ("list.json", 27)


def test_packed_samples_and_npz_files_are_not_referred_to_together(captures):
    with pytest.raises(InputError, match="both were given"):
        save_selection(captures / "x_manifest.json", open_sources([captures]), {})
