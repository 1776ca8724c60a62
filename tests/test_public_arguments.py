"""Arguments of the public API that do not fit get one sentence of ours, and leave nothing behind."""

import pytest

import townlet_core as townlet
from townlet_core.errors import InputError, MissingFileError


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda: townlet.capture("queue_conflict", "c", epsilon=5),
            "epsilon: 5, expected a probability",
        ),
        (
            lambda: townlet.evaluate("queue_conflict", "scripted", episodes=1),
            "episodes: 1, expected at least",
        ),
        (lambda: townlet.evaluate("queue_conflict", "scripted", 2, seed=-1), "seed: -1, expected 0 to"),
        (lambda: townlet.Towns("queue_conflict", seed=-1), "seed: -1, expected 0 to"),
        (
            lambda: townlet.ReplayDatasetConfig(manifests="abc"),
            "manifests: 'abc', expected a tuple",
        ),
        (lambda: townlet.train({"cycles": 1}), "settings: {'cycles': 1}, expected TrainingSettings"),
    ],
)
def test_an_argument_out_of_range_is_an_input_error_and_leaves_nothing(call, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=sentence):
        call()
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_is_not_there_is_a_missing_file(tmp_path):
    with pytest.raises(MissingFileError, match="no such folder"):
        townlet.resume(tmp_path / "nothing")


def test_a_scenario_is_taken_by_its_name_everywhere():
    towns = townlet.Towns("queue_conflict")
    actions = townlet.ScriptedPolicy("queue_conflict").act(towns, towns.observe()).actions
    assert actions.shape == (1, 3)


def test_a_capture_goes_to_a_folder_of_the_scenarios_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    captured = townlet.capture("queue_conflict", ticks=2)
    assert captured.manifest.parent.resolve() == tmp_path / "captures" / "queue_conflict"
