"""Links are followed within the named folder, out of it only on request; what is not read is told."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest
from replay_samples import equal, make_sample

from townlet_core.errors import SampleError
from townlet_core.replay.limits import ReadLimits
from townlet_core.replay.manifest import examine_entry, load_manifest
from townlet_core.replay.metrics import save_metrics
from townlet_core.replay.sample import save_sample
from townlet_core.replay.validate import validate_path
from townlet_core.training.recordings import open_dataset, recordings_sha256
from townlet_core.training.settings import TrainingSettings

FOLLOW = ReadLimits(follow_links=True)


@pytest.fixture
def cache(tmp_path):
    """A folder as hub caches keep it: every file is a link to a blob beside it. Returns the folder."""
    blobs, folder = tmp_path / "blobs", tmp_path / "snapshot"
    folder.mkdir()
    entry = save_sample(make_sample(), blobs, "s")
    (blobs / "m.json").write_text(json.dumps([entry]))
    for name in ("s.npz", "s.json", "m.json"):
        os.rename(blobs / name, blobs / f"blob-{name[:3]}")
        os.symlink(f"../blobs/blob-{name[:3]}", folder / ("m_manifest.json" if name == "m.json" else name))
    return folder


def test_samples_behind_links_are_refused_as_what_they_are_and_read_on_request(cache):
    target = cache.parent / "blobs" / "blob-s.n"
    with pytest.raises(SampleError) as caught:
        load_manifest(cache / "m_manifest.json")
    sentence = f"samples[0].sample: 's.npz' is a link that leads out of the folder, to {target}"
    assert str(caught.value) == f"{cache}/m_manifest.json: {sentence}"
    assert "--follow-links" in caught.value.hint
    (entry,) = load_manifest(cache / "m_manifest.json", FOLLOW).entries
    assert equal(examine_entry(entry)[0], make_sample())


@pytest.mark.parametrize("meta", [None, "s.json"])
def test_metadata_behind_a_link_is_refused_as_well_where_the_manifest_does_not_name_it(cache, meta):
    os.replace(cache.parent / "blobs" / "blob-s.n", cache / "s.npz")
    (cache / "m.json").write_text(json.dumps([{"sample": "s.npz", "meta": meta}]))
    with pytest.raises(SampleError, match=r"samples\[0\]\.meta: 's\.json' is a link that leads out"):
        load_manifest(cache / "m.json")


def test_a_folder_of_links_is_not_sound_until_they_are_followed(cache):
    report = validate_path(cache)
    assert [finding.file.removeprefix(f"{cache}/") for finding in report.problems] == [
        "m_manifest.json",
        "s.json",
        "s.npz",
    ]
    followed = validate_path(cache, FOLLOW)
    assert (followed.samples, followed.manifests, followed.findings) == (1, 1, [])


@pytest.fixture
def linked(tmp_path):
    """Six samples below `data` and six in a folder that `data/more` is a link to. Returns `data`."""
    for place in ("data/here", "disk/there"):
        for number in range(6):
            save_sample(make_sample(seed=number), tmp_path / place, f"s_{number:03d}")
    os.symlink("../disk", tmp_path / "data" / "more")
    return tmp_path / "data"


def of_links(report):
    """The problems but those of folders without a manifest."""
    return [finding for finding in report.problems if "and no manifest" not in finding.message]


def test_a_linked_folder_is_named_and_read_on_request(linked):
    report = validate_path(linked)
    assert (report.samples, [str(finding) for finding in of_links(report)]) == (
        6,
        [f"{linked}/more: is a link that leads out of the folder, to {linked.parent}/disk; not read"],
    )
    followed = validate_path(linked, FOLLOW)
    assert (followed.samples, of_links(followed)) == (12, [])


@pytest.mark.parametrize("target", [".", "..", "../data", "here", "loop", "../disk/there/back"])
def test_links_in_circles_and_to_what_is_there_anyway_are_read_once(linked, target):
    os.symlink("../../data", linked.parent / "disk" / "there" / "back")
    os.symlink(target, linked / "loop")
    assert validate_path(linked, FOLLOW).samples == 12


def test_a_link_to_nothing_and_what_is_no_file_are_problems(linked):
    os.remove(linked / "more")
    os.symlink("../unmounted", linked / "day2")
    os.symlink("gone", linked / ".#notes")  # how an editor marks a file as open
    os.mkfifo(linked / "pipe.npz")
    report = validate_path(linked)
    assert [str(finding).removeprefix(f"{linked}/") for finding in of_links(report)] == [
        f"day2: is a link to {linked.parent}/unmounted, where nothing is",
        "pipe.npz: is not a file",
    ]
    assert [finding.file for finding in report.warnings] == [f"{linked}/.#notes"]


def test_metrics_of_a_sample_behind_a_link_are_compared_only_on_request(cache):
    save_metrics(cache, "x", {"s.npz": {"timesteps": 7.0}})
    (problem,) = validate_path(cache / "x_metrics.json").problems
    assert "is a link that leads out" in problem.message
    followed = validate_path(cache / "x_metrics.json", FOLLOW).problems
    assert "is 7, the data says 5" in [problem.message for problem in followed]


def test_a_damaged_sample_is_counted_and_told_once(tmp_path):
    entry = save_sample(make_sample(), tmp_path, "s")
    (tmp_path / "a_manifest.json").write_text(json.dumps([entry]))
    (tmp_path / "b_manifest.json").write_text(json.dumps([entry]))
    save_metrics(tmp_path, "a", {"s.npz": {"timesteps": 5.0}})
    (tmp_path / "s.npz").write_bytes(b"PK")
    report = validate_path(tmp_path)
    assert (report.samples, len(report.problems)) == (1, 1)


def test_training_reads_behind_links_when_told(cache):
    settings = TrainingSettings(source="replay", replay_manifest=(cache / "m_manifest.json",))
    with pytest.raises(SampleError, match="leads out of the folder"):
        open_dataset(settings, settings.replay_manifest)
    told = replace(settings, follow_links=True)
    assert open_dataset(told, settings.replay_manifest).sample_count == 1
    assert recordings_sha256(told)


@pytest.mark.parametrize("command", ["validate", "inspect", "render"])
def test_the_commands_follow_links_when_told(cache, command):
    target = cache if command == "validate" else cache / "m_manifest.json"
    words = ["replay", command, str(target), *(["--format", "ansi"] if command == "render" else [])]

    def run(*more):
        return subprocess.run(
            [sys.executable, "-m", "townlet_cli", *words, *more], capture_output=True, text=True
        )

    refused = run()
    assert refused.returncode in (1, 2)
    assert "--follow-links" in refused.stdout + refused.stderr
    assert "leads out" not in run("--follow-links").stdout + run("--follow-links").stderr
