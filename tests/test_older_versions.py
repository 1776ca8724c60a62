"""What 0.1.0 wrote before its house was rebuilt still loads: a capture, a run, a checkpoint, a log.

`tests/data/version_0_1_0` was written by commit 8aedc0d, from the scenario that lies there:

    townlet capture small_queue.yaml --output capture
    townlet train small_queue.yaml --mode mixed --cycles 2 --num-towns 2 --capture-towns 1 \
        --rollout-ticks 12 --hidden-size 4 --seed 3 --keep-checkpoints 1 --output run
"""

import shutil
from pathlib import Path

import orjson
import pytest

OLD = Path(__file__).parent / "data" / "version_0_1_0"


@pytest.fixture
def run(tmp_path):
    """A copy of the old run, to be written to."""
    return Path(shutil.copytree(OLD / "run", tmp_path / "run"))


def test_an_old_capture_validates_for_training_and_opens(townlet):
    code, _, err = townlet("replay", "validate", OLD / "capture", "--for-training")
    assert (code, err) == (0, "")
    assert townlet("replay", "inspect", OLD / "capture" / "rollout_sample_anna_001.npz")[0] == 0


def test_an_old_capture_trains(townlet, tmp_path):
    manifest = OLD / "capture" / "rollout_sample_manifest.json"
    code, _, err = townlet(
        *("train", "--mode", "replay", "--replay-manifest", manifest, "--cycles", 1, "--hidden-size", 4),
        *("--output", tmp_path / "new"),
    )
    assert code == 0, err


def test_an_old_capture_is_played_again(townlet, tmp_path):
    page = tmp_path / "page.html"
    code, _, err = townlet(
        *("replay", "render", OLD / "capture", "--scenario", OLD / "small_queue.yaml", "--output", page)
    )
    assert (code, "not the town" in err, page.is_file()) == (0, False, True)


def test_an_old_run_goes_on(townlet, run):
    code, _, err = townlet("train", "--resume", run, "--cycles", 3)
    assert code == 0, err
    records = [orjson.loads(line) for line in (run / "telemetry.jsonl").read_bytes().splitlines()]
    assert sorted({record["cycle_id"] for record in records}) == [0, 1, 2]
    assert townlet("telemetry", "validate", run)[0] == 0


def test_an_old_checkpoint_plays(townlet):
    code, _, err = townlet("evaluate", OLD / "run", "--scenario", OLD / "small_queue.yaml", "--episodes", 2)
    assert code == 0, err


def test_an_old_log_is_summed_up(townlet):
    assert townlet("telemetry", "summary", OLD / "run" / "telemetry.jsonl")[0] == 0
