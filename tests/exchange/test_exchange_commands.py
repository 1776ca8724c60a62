"""`townlet replay export` and `import` say what they wrote and what to do next."""

import json
import shlex
import subprocess
import sys

import numpy as np
import pytest
from recordings import SAMPLES, ending, record
from replay.replay_samples import make_sample


@pytest.mark.parametrize("form", ["parquet", "huggingface", "minari"])
def test_an_export_is_reported_and_its_next_step_runs(tmp_path, townlet, form):
    output = tmp_path / "an 'odd' name-v0"
    code, out, err = townlet(
        "replay", "export", record(tmp_path / "x", "npz"), "--to", form, "--output", output
    )
    transitions = 19 if form == "minari" else 21
    assert (code, out) == (0, f"{output}: 4 episodes, {transitions} transitions of 4 samples\n")
    words = shlex.split(err.removeprefix("next: "))
    done = subprocess.run([sys.executable, *words[1:]], capture_output=True, text=True)
    assert (words[0], done.returncode, bool(done.stdout)) == ("python", 0, True), done.stderr


def test_json_has_the_counts(tmp_path, townlet):
    record(tmp_path / "x", "npz", [ending(make_sample(1), "truncated"), *SAMPLES])
    arguments = ("--to", "minari", "--output", tmp_path / "out-v0", "--json")
    code, out, _ = townlet("replay", "export", tmp_path / "x", *arguments)
    assert code == 0
    assert json.loads(out) == {
        "schema": "townlet.replay.export/1",
        "output": str(tmp_path / "out-v0"),
        "format": "minari",
        "samples": 5,
        "episodes": 4,
        "transitions": 19,
        "left_out": 1,
    }


def test_what_minari_cannot_hold_is_a_warning(tmp_path, townlet):
    record(tmp_path / "x", "npz", [ending(make_sample(1), "truncated"), *SAMPLES])
    _, _, err = townlet("replay", "export", tmp_path / "x", "--to", "minari", "--output", tmp_path / "o-v0")
    assert "warning: left out 1 episode of a single tick that did not terminate" in err


@pytest.mark.parametrize("to", ["parquet", "minari"])
def test_an_export_that_exists_is_refused_until_force(tmp_path, townlet, to):
    words = ("replay", "export", record(tmp_path / "x", "npz"), "--to", to, "--output", tmp_path / "out")
    assert townlet(*words)[0] == 0
    code, _, err = townlet(*words)
    assert (code, err.splitlines()[0]) == (2, f"error: {tmp_path / 'out'}: already exists")
    assert townlet(*words, "--force")[0] == 0


def test_an_import_is_reported_and_its_next_step_finds_it_sound(tmp_path, townlet):
    np.savez(
        tmp_path / "d.npz",
        observations=np.eye(3),
        actions=[0, 1, 0],
        rewards=[0.0, 1.0, 2.0],
        terminals=[0, 0, 1],
    )
    (tmp_path / "m.yaml").write_text(
        "features: {x: 'observation[0]', rivalry_max: 0, rivalry_avoid_count: 0}\n"
        "actions: {names: {0: west, 1: east}}\n"
    )
    words = ("replay", "import", tmp_path / "d.npz", "--from", "npz", "--mapping", tmp_path / "m.yaml")
    code, out, err = townlet(*words, "--output", tmp_path / "out")
    manifest = tmp_path / "out" / "imported_manifest.json"
    assert (code, out) == (0, f"{manifest}: 1 episode, 3 transitions\n")
    assert townlet(*shlex.split(err.removeprefix("next: "))[1:])[0] == 0
    code, out, _ = townlet(*words, "--output", tmp_path / "again", "--json")
    assert json.loads(out)["episodes"] == 1


def test_a_mistake_in_the_mapping_is_usage(tmp_path, townlet):
    (tmp_path / "m.yaml").write_text("features: {}\n")
    words = ("--from", "npz", "--mapping", tmp_path / "m.yaml", "--output", tmp_path / "out")
    code, out, err = townlet("replay", "import", tmp_path / "d.npz", *words)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {tmp_path / 'm.yaml'}:1:1: has no actions")
