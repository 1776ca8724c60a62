"""`replay validate` vouches for a capture only if it is whole, as it was written, and agrees with itself."""

import json
import shutil
from random import Random

import pytest

from townlet_core.capture.capture import CaptureSettings, write_capture
from townlet_core.policy.scripted import ScriptedPolicy
from townlet_core.replay.dataset import ReplayDataset, ReplayDatasetConfig
from townlet_core.replay.validate import validate_path
from townlet_core.scenario.load import load_scenario

PREFIX = "rollout_sample"
MANIFEST, METRICS, EVENTS, SCENARIO = (
    f"{PREFIX}_{end}" for end in ("manifest.json", "metrics.json", "events.jsonl", "scenario.yaml")
)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A capture of two towns in which there are conflicts."""
    folder = tmp_path_factory.mktemp("recorded")
    scenario = load_scenario("queue_conflict")
    write_capture(scenario, ScriptedPolicy(scenario), CaptureSettings(ticks=40, num_towns=2, seed=7), folder)
    return folder


@pytest.fixture
def folder(recorded, tmp_path):
    """A copy of the capture, to be damaged."""
    return shutil.copytree(recorded, tmp_path / "c")


def without_digests(folder):
    """Make the manifest what an older version wrote: it vouches for the arrays alone."""
    manifest = json.loads((folder / MANIFEST).read_text())
    del manifest["files"]
    for entry in manifest["samples"]:
        del entry["meta_sha256"], entry["meta_bytes"]
    (folder / MANIFEST).write_text(json.dumps(manifest))
    (folder / SCENARIO).unlink()


def edit(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def cut_a_line(folder):
    lines = (folder / EVENTS).read_bytes().splitlines(keepends=True)
    (folder / EVENTS).write_bytes(b"".join(lines[:-1]))


DAMAGE = {
    "a line is cut from the events": cut_a_line,
    "an event is told twice": lambda f: (f / EVENTS).write_bytes(
        (f / EVENTS).read_bytes() + (f / EVENTS).read_bytes().splitlines(keepends=True)[0]
    ),
    "a total is wrong": lambda f: edit(f / METRICS, lambda m: m["total"].update(reward_sum=1.0)),
    "a total is missing": lambda f: edit(f / METRICS, lambda m: m["total"].pop("rivalry_peak")),
    "an agent's total is wrong": lambda f: edit(
        f / METRICS, lambda m: m["total"].update({"anna.hygiene_last": 0.9})
    ),
    "a sample's metrics are missing": lambda f: edit(f / METRICS, lambda m: m.popitem() and m.popitem()),
    "one metric is missing": lambda f: edit(
        f / METRICS, lambda m: m[f"{PREFIX}_anna_001.npz"].pop("reward_mean")
    ),
    "one metric of a JSON is missing": lambda f: edit(
        f / f"{PREFIX}_anna_001.json", lambda m: m["metrics"].pop("reward_mean")
    ),
    "a JSON tells of another seed": lambda f: edit(
        f / f"{PREFIX}_anna_001.json", lambda m: m["capture"].update(seed=8)
    ),
    "the manifest tells of fewer towns": lambda f: edit(
        f / MANIFEST, lambda m: m["metadata"]["capture"].update(towns=1)
    ),
    "the manifest is missing": lambda f: (f / MANIFEST).unlink(),
}
WITH_DIGESTS = {
    "the metrics are missing": lambda f: (f / METRICS).unlink(),
    "the events are missing": lambda f: (f / EVENTS).unlink(),
    "the scenario is missing": lambda f: (f / SCENARIO).unlink(),
    "a comment of the scenario has changed": lambda f: (f / SCENARIO).write_bytes(
        (f / SCENARIO).read_bytes() + b"# a comment\n"
    ),
    "an event is moved": lambda f: (f / EVENTS).write_bytes(
        (f / EVENTS).read_bytes().replace(b'"tick":', b'"tick":1', 1)
    ),
}


def test_a_whole_capture_passes(recorded):
    for path in (recorded, recorded / MANIFEST):
        report = validate_path(path)
        assert (report.findings, report.samples, report.events > 0) == ([], 6, True)


@pytest.mark.parametrize("damage", [*DAMAGE, *WITH_DIGESTS])
def test_a_damaged_capture_does_not_pass(folder, damage):
    (DAMAGE | WITH_DIGESTS)[damage](folder)
    assert validate_path(folder).problems


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_can_be_recomputed_is_found_without_digests_as_well(folder, damage):
    without_digests(folder)
    DAMAGE[damage](folder)
    assert validate_path(folder).problems


def test_a_capture_of_an_older_version_loads_and_is_warned_of_once(folder):
    without_digests(folder)
    report = validate_path(folder)
    assert [(f.severity, f.file) for f in report.findings] == [("warning", str(folder / MANIFEST))]
    assert ReplayDataset(ReplayDatasetConfig(manifests=(folder / MANIFEST,))).warnings == ()


def test_samples_without_a_manifest_pass_where_they_are_named(folder):
    (folder / MANIFEST).unlink()
    (problem,) = validate_path(folder).problems
    assert (problem.file, problem.message) == (
        str(folder),
        "holds 6 samples and no manifest: a capture that was interrupted",
    )
    assert validate_path(folder / f"{PREFIX}_anna_001.npz").findings == []


def test_a_damaged_sample_is_counted_once(folder):
    (folder / f"{PREFIX}_anna_001.npz").write_bytes(b"PK")
    assert validate_path(folder).samples == 6


def test_an_agent_recorded_alone_agrees_with_the_events_of_all(tmp_path):
    scenario = load_scenario("queue_conflict")
    settings = CaptureSettings(ticks=100, num_towns=2, seed=7, agent="ben")
    write_capture(scenario, ScriptedPolicy(scenario), settings, tmp_path)
    assert validate_path(tmp_path).findings == []


@pytest.mark.parametrize("seed", range(30))
def test_no_changed_byte_of_a_json_passes(folder, seed):
    chance = Random(seed)
    path = chance.choice(sorted(folder.glob(f"{PREFIX}_*_0*.json")))
    data = bytearray(path.read_bytes())
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(7)
    path.write_bytes(data)
    assert validate_path(folder).problems
