"""What commands print does not depend on the order in which Python's sets happen to be."""

import json

import pytest

from townlet_core.telemetry.fields import FIELDS

MISTAKES = """\
name: x
ticks: 9
grid: {size: [4, 4]}
agents: [{id: a, position: [0, 0], colour: red, schedule: [{request: nothing}]}, {id: a, position: [9, 9]}]
objects: [{id: o, kind: showr, position: [0, 0]}]
expect: {rewards: [0, 1], a.reward: [2, 1], b.wages: [0, 1]}
"""


@pytest.fixture
def files(tmp_path, townlet):
    """A scenario, a log and a capture with many mistakes each."""
    (tmp_path / "s.yaml").write_text(MISTAKES)
    (tmp_path / "log.jsonl").write_text(json.dumps({field.name: [] for field in FIELDS[5:]}) + "\n")
    (tmp_path / "good.jsonl").write_text(json.dumps({"lr": 1, "epoch": 1, "kl_divergence": 2}) + "\n")
    townlet("capture", "queue_conflict", "--ticks", "3", "--output", tmp_path / "cap")
    metrics = tmp_path / "cap" / "rollout_sample_metrics.json"
    wrong = {file: dict.fromkeys(numbers, 7.5) for file, numbers in json.loads(metrics.read_text()).items()}
    metrics.write_text(json.dumps(wrong))
    return tmp_path


COMMANDS = [
    ("replay", "validate", "cap", "--json"),
    ("replay", "validate", "cap"),
    ("replay", "inspect", "cap", "--json", "--features"),
    ("replay", "stats", "cap", "--json"),
    ("scenario", "validate", "s.yaml", "--json"),
    ("telemetry", "validate", "log.jsonl", "good.jsonl", "--json"),
    ("telemetry", "summary", "good.jsonl", "--json"),
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_two_hash_seeds_give_the_same_bytes(spawn, files, words):
    outputs = {spawn(*words, cwd=files, variables={"PYTHONHASHSEED": seed}).stdout for seed in ("1", "2")}
    (output,) = outputs
    assert len(output.splitlines()) > 3
