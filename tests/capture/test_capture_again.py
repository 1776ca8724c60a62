"""Capturing over an older capture leaves nothing of it behind."""

from townlet_core.capture.capture import CaptureSettings, write_capture
from townlet_core.policy.scripted import ScriptedPolicy
from townlet_core.replay.validate import validate_path
from townlet_core.scenario.load import load_scenario


def test_a_smaller_capture_over_a_larger_one_leaves_only_its_own_samples(tmp_path):
    scenario = load_scenario("queue_conflict")
    notes = tmp_path / "notes.npz"
    notes.write_bytes(b"mine")
    for towns in (3, 1):
        write_capture(
            scenario, ScriptedPolicy(scenario), CaptureSettings(ticks=10, num_towns=towns), tmp_path
        )
    samples = sorted(path.name for path in tmp_path.glob("rollout_sample_*.npz"))
    agents = ("anna_001", "ben_002", "cara_003")
    assert samples == [f"rollout_sample_{agent}.npz" for agent in agents]
    assert notes.read_bytes() == b"mine"
    assert validate_path(tmp_path / "rollout_sample_manifest.json").findings == []
