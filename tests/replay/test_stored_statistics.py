"""Statistics in a manifest: they stay with the samples, and validate notices others."""

import json
import subprocess
import sys

import pytest
from replay_samples import make_sample

from townlet_core import io
from townlet_core.errors import InputError
from townlet_core.replay.find import find_entries
from townlet_core.replay.manifest import load_manifest, save_manifest
from townlet_core.replay.packed.pack import pack
from townlet_core.replay.sample import save_sample
from townlet_core.replay.statistics import read_statistics
from townlet_core.replay.stored import store_statistics, stored_features
from townlet_core.replay.validate import validate_path


@pytest.fixture
def manifest(tmp_path):
    """A manifest of two samples, with their statistics."""
    folder = tmp_path / "capture"
    entries = [save_sample(make_sample(6, name), folder, name) for name in ("anna", "ben")]
    path = save_manifest(folder, "s", entries, {"license": "mit"})
    store_statistics(path, read_statistics(find_entries(path)))
    return path


def edit(manifest, change):
    content = json.loads(manifest.read_text())
    change(content)
    io.write_json(manifest, content)


def problems_of(path):
    return [f"{finding.place} {finding.message}" for finding in validate_path(path).problems]


def townlet(*arguments):
    command = [sys.executable, "-m", "townlet_cli", "replay", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def test_they_stand_beside_the_other_metadata_and_validate(manifest):
    metadata = load_manifest(manifest).metadata
    assert list(metadata) == ["license", "feature_statistics", "statistics"]
    assert metadata["feature_statistics"]["count"] == 12
    assert metadata["statistics"]["counts"]["samples"] == 2
    assert not validate_path(manifest).findings


def test_packing_keeps_them(manifest, tmp_path):
    packed = pack(load_manifest(manifest), tmp_path / "packed").manifest
    metadata = load_manifest(packed).metadata
    assert metadata == load_manifest(manifest).metadata
    assert read_statistics(find_entries(packed)).as_dict() == metadata["statistics"]
    assert not validate_path(packed).findings


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content["samples"].pop(),
        lambda content: content["samples"].reverse(),
        lambda content: content["metadata"]["statistics"].update(samples_sha256="0" * 64),
        lambda content: content["metadata"].update(statistics=[1]),
    ],
)
def test_statistics_of_other_samples_are_a_problem(manifest, change):
    edit(manifest, change)
    [problem] = problems_of(manifest)
    assert problem == "metadata.statistics are not those of the samples that the manifest lists"


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("statistics", "features", "wallet", "mean"), 0.9),
        (("statistics", "features", "wallet", "histogram", "counts"), [12]),
        (("statistics", "counts", "samples"), 3),
        (("statistics", "agents"), None),
        (("feature_statistics", "count"), 13),
        (("feature_statistics", "mean"), "none"),
    ],
)
def test_numbers_that_are_not_those_of_the_samples_are_a_problem(manifest, keys, value):
    def change(content):
        place = content["metadata"]
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = value

    edit(manifest, change)
    [problem] = problems_of(manifest)
    assert problem.startswith("metadata." + ".".join(keys))


def test_feature_statistics_alone_are_compared_as_well(manifest):
    edit(manifest, lambda content: content["metadata"].pop("statistics"))
    assert problems_of(manifest) == []
    edit(manifest, lambda content: content["metadata"]["feature_statistics"]["std"].__setitem__(0, 5))
    assert problems_of(manifest)[0].startswith("metadata.feature_statistics.std[0] is 5")


def test_features_are_used_only_if_they_are_sound_and_of_the_same_samples(manifest):
    metadata = load_manifest(manifest).metadata
    digest, names = metadata["statistics"]["samples_sha256"], metadata["feature_statistics"]["names"]
    assert stored_features(metadata, digest, names) == metadata["feature_statistics"]
    assert stored_features({}, digest, names) is None
    assert stored_features(metadata, "0" * 64, names) is None
    assert stored_features(metadata, None, names) is None
    assert stored_features(metadata, digest, names[::-1]) is None
    for wrong in (
        {"count": 0},
        {"count": "6"},
        {"mean": [0.0]},
        {"std": [-1.0] * len(names)},
        {"std": [None] * len(names)},
    ):
        damaged = {**metadata, "feature_statistics": {**metadata["feature_statistics"], **wrong}}
        assert stored_features(damaged, digest, names) is None


def test_a_bare_list_becomes_a_manifest_with_metadata_and_yaml_is_refused(manifest):
    path = manifest.with_name("list_manifest.json")
    io.write_json(path, ["anna.npz", "ben.npz"])
    store_statistics(path, read_statistics(find_entries(path)))
    assert [entry.name for entry in load_manifest(path).entries] == ["anna.npz", "ben.npz"]
    assert not validate_path(path).findings
    other = path.with_name("list_manifest.yaml")
    other.write_text("- anna.npz\n")
    with pytest.raises(InputError, match="stored in JSON manifests"):
        store_statistics(other, read_statistics(find_entries(other)))


def test_the_command_prints_stores_and_writes_a_card(manifest):
    shown = townlet("stats", manifest, "--store", "--card")
    assert shown.returncode == 0
    for part in ("2 samples, 2 episodes, 12 transitions, 2 agents", "rivalry_max", "value_preds", "return"):
        assert part in shown.stdout
    card = manifest.with_name("s_card.md").read_text()
    assert 'license: "mit"' in card
    again = townlet("stats", manifest, "--card")
    assert (again.returncode, "s_card.md" in again.stderr) == (2, True)
    found = json.loads(townlet("stats", manifest.parent / "anna.npz", "--json").stdout)
    assert found["counts"]["transitions"] == 6
    assert townlet("stats", manifest.parent / "anna.npz", "--store").returncode == 2
