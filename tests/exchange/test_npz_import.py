"""D4RL-like NPZ files become samples that validate and train, or one sentence says why not."""

import numpy as np
import pytest

from townlet_core.errors import InputError, SampleError
from townlet_core.exchange import imported
from townlet_core.exchange.npz_import import import_npz
from townlet_core.replay.find import find_entries
from townlet_core.replay.limits import ReadLimits
from townlet_core.replay.manifest import read_entry
from townlet_core.replay.validate import validate_path

MAPPING = """
agent: cart
scenario: cartpole
behaviour: d4rl medium
features:
  position: observations[0]
  speed: observations[1:3]
  rivalry_max: 0
  rivalry_avoid_count: 0
actions:
  names:
    0: west
    1: east
"""
ROWS = 12


def write(tmp_path, mapping=MAPPING, **changes):
    """Write data and mapping. Episodes: rows 0 to 4, which terminate; 5 to 8, cut off; 9 to 11."""
    rng = np.random.default_rng(0)
    arrays = {
        "observations": rng.normal(size=(ROWS, 3)),
        "actions": rng.integers(0, 2, ROWS),
        "rewards": np.arange(ROWS, dtype=np.float64),
        "terminals": np.arange(ROWS) == 4,
        "timeouts": np.arange(ROWS) == 8,
    } | changes
    data, plan = tmp_path / "data.npz", tmp_path / "mapping.yaml"
    np.savez(data, **{name: array for name, array in arrays.items() if array is not None})
    plan.write_text(mapping.replace("observations[", "observation["))
    return data, plan, arrays


def samples_of(written):
    return [read_entry(entry) for entry in find_entries(written["output"])]


def test_each_episode_becomes_a_sample_of_as_many_ticks(tmp_path):
    data, plan, arrays = write(tmp_path)
    written = import_npz(data, plan, tmp_path / "out")
    assert (written["episodes"], written["transitions"]) == (3, ROWS)
    samples = samples_of(written)
    assert [sample.timesteps for sample in samples] == [5, 4, 3]
    assert samples[0].feature_names == (
        "position",
        "speed_0",
        "speed_1",
        "rivalry_max",
        "rivalry_avoid_count",
    )
    observed = np.concatenate([sample.features for sample in samples])
    assert np.array_equal(observed[:, :3], arrays["observations"].astype(np.float32))
    assert not observed[:, 3:].any()
    assert np.array_equal(np.concatenate([sample.rewards for sample in samples]), arrays["rewards"])
    actions = np.concatenate([sample.actions for sample in samples])
    assert np.array_equal(actions, np.where(arrays["actions"] == 0, 4, 2))  # west and east
    ends = [(s.optional["terminations"][-1], s.optional["truncations"][-1]) for s in samples]
    assert ends == [(True, False), (False, True), (False, False)]
    mask = samples[0].optional["action_mask"]
    assert np.flatnonzero(mask.all(axis=0)).tolist() == np.flatnonzero(mask.any(axis=0)).tolist() == [2, 4]
    assert samples[1].metadata["capture"]["source"]["name"] == "data.npz"
    assert (tmp_path / "out" / "imported_mapping.yaml").read_bytes() == plan.read_bytes()


def test_they_validate_with_the_warnings_of_unknown_origin(tmp_path):
    data, plan, _ = write(tmp_path)
    report = validate_path(import_npz(data, plan, tmp_path / "out")["output"], for_training=True)
    assert report.problems == []
    assert {(finding.place, finding.message.split(":")[0]) for finding in report.warnings} == {
        ("old_log_probs", "are all 0"),
        ("capture", "lacks scenario_sha256, seed"),
    }


def test_they_train(tmp_path, townlet):
    data, plan, _ = write(tmp_path)
    written = import_npz(data, plan, tmp_path / "out")
    code, _, err = townlet(
        *("train", "--mode", "replay", "--replay-manifest", written["output"], "--cycles", "1"),
        *("--output", tmp_path / "run", "--hidden-size", "8"),
    )
    assert (code, "error" in err) == (0, False)


def test_log_probabilities_and_a_map_are_taken_where_the_mapping_names_them(tmp_path):
    more = "log_probs: my_log_probs\nmap:\n  source: grid\n  channels: [walls, goals]\n"
    grid = np.random.default_rng(1).integers(0, 2, (ROWS, 2, 3, 3))
    logs = np.linspace(-3, -1, ROWS)
    data, plan, _ = write(tmp_path, MAPPING + more, my_log_probs=logs, grid=grid)
    samples = samples_of(import_npz(data, plan, tmp_path / "out"))
    assert np.array_equal(np.concatenate([sample.map for sample in samples]), grid)
    assert samples[0].metadata["map_channels"] == ["walls", "goals"]
    assert np.allclose(np.concatenate([sample.old_log_probs for sample in samples]), logs)


def test_continuous_actions_are_refused_unless_their_intervals_are_named(tmp_path):
    forces = np.linspace(-1, 1, ROWS)[:, None]
    data, plan, _ = write(tmp_path, actions=forces)
    with pytest.raises(
        InputError, match=r"mapping\.yaml:11:3: actions: action of .* is -0\.8182 at tick 1: .*continuous"
    ):
        import_npz(data, plan, tmp_path / "out")
    head = MAPPING.split("actions:")[0]
    named = head + "actions:\n  source: action[0]\n  edges: [-0.5, 0.5]\n  names: [west, wait, east]\n"
    data, plan, _ = write(tmp_path, named, actions=forces)
    samples = samples_of(import_npz(data, plan, tmp_path / "out"))
    actions = np.concatenate([sample.actions for sample in samples])
    assert actions.tolist() == [4] * 3 + [0] * 6 + [2] * 3


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"terminals": None},
            r"data\.npz: has no terminals; it has actions, observations, rewards, timeouts",
        ),
        ({"actions": np.full(ROWS, 2)}, r"action 2 of data\.npz has no name, only 0, 1 have"),
        ({"actions": np.zeros((ROWS, 2))}, r"action of data\.npz has 2 numbers per tick, expected one"),
        ({"terminals": np.full(ROWS, 3)}, "terminals is not 0 or 1 at every row"),
        ({"timeouts": np.zeros(3)}, "timeouts has 3 rows, rewards has 12"),
        ({"rewards": np.zeros((ROWS, 2))}, "rewards has 2 numbers per row"),
        ({"observations": np.zeros((ROWS, 2))}, r"features\.speed: number 2 of observation is not there"),
        ({"observations": np.full((ROWS, 3), np.nan)}, "features is NaN or infinite"),
    ],
)
def test_data_that_does_not_fit_is_refused_and_leaves_nothing(tmp_path, changes, sentence):
    data, plan, _ = write(tmp_path, **changes)
    with pytest.raises((InputError, SampleError), match=sentence):
        import_npz(data, plan, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data.npz", "mapping.yaml"]


def test_other_arrays_are_not_read_and_a_name_that_is_not_there_is_told(tmp_path):
    data, plan, _ = write(tmp_path, remarks=np.array(["text is no number"] * ROWS))
    assert import_npz(data, plan, tmp_path / "out")["episodes"] == 3
    plan.write_text(plan.read_text() + "log_probs: log_prob\n")
    with pytest.raises(
        InputError, match=r"yaml:14:12: log_probs: .*npz has no log_prob; it has actions, .*rem"
    ):
        import_npz(data, plan, tmp_path / "again")


def test_a_file_with_groups_says_how_to_save_it(tmp_path):
    data, plan, _ = write(tmp_path, **{"infos/qpos": np.zeros(ROWS)})
    with pytest.raises(SampleError, match="holds a file named 'infos/qpos") as refused:
        import_npz(data, plan, tmp_path / "out")
    assert refused.value.hint.startswith("save it with observations, actions, rewards, terminals")


def test_two_features_of_one_name_are_refused(tmp_path):
    data, plan, _ = write(tmp_path, MAPPING.replace("position:", "speed_1:"))
    with pytest.raises(InputError, match=r"features\.speed: gives a second feature speed_1"):
        import_npz(data, plan, tmp_path / "out")


def test_more_episodes_than_a_manifest_lists_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(imported, "DEFAULT_LIMITS", ReadLimits(max_samples=2))
    data, plan, _ = write(tmp_path)
    with pytest.raises(InputError, match="has more than 2 episodes"):
        import_npz(data, plan, tmp_path / "out")


def test_an_import_is_replaced_with_force_and_nothing_else(tmp_path):
    data, plan, _ = write(tmp_path)
    import_npz(data, plan, tmp_path / "out")
    with pytest.raises(InputError, match="already exists"):
        import_npz(data, plan, tmp_path / "out")
    import_npz(data, plan, tmp_path / "out", force=True)
    (tmp_path / "out" / "rollout_sample_manifest.json").write_text("{}")
    with pytest.raises(InputError, match="holds more than Townlet wrote there"):
        import_npz(data, plan, tmp_path / "out", force=True)
