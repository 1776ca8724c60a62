"""A run resumes from its own checkpoint or says why it does not, whatever stands in the files."""

import io as memory
import json
import random
import shutil

import numpy as np
import pytest
from small_runs import run_small, settings_of, trainer_of

from townlet_core import io
from townlet_core.errors import InputError, MissingError
from townlet_core.policy.learned import LearnedPolicy
from townlet_core.ppo.checkpoint import load_checkpoint
from townlet_core.ppo.serialization import weights_sha256
from townlet_core.scenario.load import load_scenario
from townlet_core.simulation.restoring import find_misfit
from townlet_core.simulation.towns import Towns
from townlet_core.training.signals import StopRequest

FILES = ("model.pt", "optimizer.pt", "state.json", "towns.npz")
MUTATIONS = 60  # of each file


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    run_small(folder, source="rollout", cycles=1, hidden_size=4)
    return folder


def newest(run):
    return sorted((run / "checkpoints").glob("g*"))[-1]


@pytest.fixture
def generation(run, tmp_path):
    """A copy of the run's last checkpoint."""
    return shutil.copytree(newest(run), tmp_path / newest(run).name)


def put(generation, name, data):
    (generation / name).write_bytes(data)
    files = json.loads((generation / "files.json").read_text())
    files["files"][name] = {"sha256": io.sha256(data), "bytes": len(data)}
    (generation / "files.json").write_text(json.dumps(files))


def resume(run, generation, warnings=None):
    trainer = trainer_of(run, settings_of(source="rollout", cycles=2, hidden_size=4))
    trainer.reports = trainer.reports._replace(warning=(warnings if warnings is not None else []).append)
    trainer.resume(load_checkpoint(generation))
    return trainer


def put_state(generation, change):
    state = json.loads((generation / "state.json").read_text())
    change(state)
    put(generation, "state.json", json.dumps(state).encode())


def put_towns(generation, change):
    with np.load(generation / "towns.npz") as stored:
        arrays = {name: stored[name] for name in stored.files}
    change(arrays)
    buffer = memory.BytesIO()
    np.savez(buffer, **arrays)
    put(generation, "towns.npz", buffer.getvalue())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state["state"].pop("cycle"), "state.cycle: missing"),
        (
            lambda state: state["state"].pop("log_offset"),
            "state.log_offset: missing",
        ),  # 0 would empty the log
        (
            lambda state: state["state"].update(cycle="many"),
            "state.cycle: found 'many', expected a whole number",
        ),
        (lambda state: state["state"].update(epoch=-1), "state.epoch: found -1, expected at least 0"),
        (
            lambda state: state["state"].update(replay_position=[1]),
            "position: found .*, expected at least 2",
        ),
        (lambda state: state["state"].update(cloned={"loss": 1}), "state.cloned: .*has no epoch"),
        (lambda state: state["network"].update(feature_names=["a"]), "network.feature_names is"),
    ],
)
def test_a_counter_that_is_missing_or_no_number_is_named(run, generation, change, message):
    put_state(generation, change)
    with pytest.raises(InputError, match=message):
        resume(run, generation)


def test_a_counter_of_a_later_version_is_left_out_with_a_warning(run, generation):
    put_state(generation, lambda state: state["state"].update(mood=1))
    warnings = []
    resume(run, generation, warnings)
    assert any("mood: not known to this version" in warning for warning in warnings)


def test_a_checkpoint_of_another_network_is_not_resumed(run, tmp_path):
    run_small(tmp_path / "wide", source="rollout", cycles=1, hidden_size=8)
    with pytest.raises(InputError, match=r"network\.hidden_size is 8, this run has 4"):
        resume(run, newest(tmp_path / "wide"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda arrays: arrays.pop("line"), "line is missing"),
        (lambda arrays: arrays.update(more=np.zeros(3)), "more is not expected"),
        (lambda arrays: arrays.update(line=arrays["line"][:1]), "line is not <i2 of shape"),
        (lambda arrays: arrays.update(order=arrays["order"].astype(np.int64)), "order is not <i2"),
        (lambda arrays: arrays.update(agents=np.zeros((3, 3))), "agents is not"),
        (lambda arrays: arrays["agents"]["x"].fill(30_000), "agents.x is 30000, expected 0 to"),
        (lambda arrays: arrays["agents"]["y"].fill(-1), "agents.y is -1, expected 0 to"),
        (lambda arrays: arrays["agents"]["needs"].fill(np.nan), "agents.needs is nan, expected a finite"),
        (lambda arrays: arrays["agents"]["role"].fill(1), "agents.role is 1, expected"),
        (lambda arrays: arrays["objects"]["user"].fill(5), "objects.user is 5, expected -1 to 2"),
        (
            lambda arrays: arrays["objects"]["line_length"].fill(2),
            "agents.role is 0, expected 1|everybody in one",
        ),
        (lambda arrays: arrays["towns"]["event_count"].fill(1 << 20), "towns.event_count is"),
        (lambda arrays: arrays["towns"]["town"].fill(7), "towns.town is 7, expected 0 to 2, in order"),
        (lambda arrays: arrays["towns"]["over"].view(np.uint8).fill(2), "towns.over is 2, expected 0 to 1"),
        (lambda arrays: arrays["returns"].fill(np.inf), "returns holds numbers that are not finite"),
    ],
)
def test_towns_that_cannot_be_of_this_run_are_refused(run, generation, change, message):
    put_towns(generation, change)
    with pytest.raises(InputError, match=rf"towns\.npz: ({message})"):
        resume(run, generation)


def test_no_towns_at_all_are_refused(run, generation):
    files = json.loads((generation / "files.json").read_text())
    del files["files"]["towns.npz"]
    (generation / "files.json").write_text(json.dumps(files))
    with pytest.raises(InputError, match=r"towns\.npz: is not an NPZ file"):
        resume(run, generation)


@pytest.mark.parametrize(
    "name", ["queue_conflict", "kitchen_breakfast", "employment_punctuality", "town_day"]
)
def test_no_town_that_was_played_is_called_impossible(name):
    towns = Towns(load_scenario(name), 4, seed=1)
    chance = np.random.default_rng(1)
    for _ in range(150):
        mask = towns.observe().action_mask
        towns.step(np.argmax(mask * chance.random(mask.shape), axis=2))
        assert find_misfit(towns.state, towns) is None
        towns.restart(towns.state.towns["over"].copy())


@pytest.mark.parametrize("name", FILES)
def test_a_file_changed_at_random_is_refused_or_changes_nothing_that_is_checked(run, generation, name):
    """The digests are made anew each time, so that only what is checked of the content stands in the way."""
    whole = (generation / name).read_bytes()
    weights = json.loads((generation / "state.json").read_text())["weights_sha256"]
    refused = 0
    for seed in range(MUTATIONS):
        put(generation, name, mutated(whole, random.Random(seed)))
        try:
            trainer = resume(run, generation)
        except (InputError, MissingError):
            refused += 1
        else:
            assert name == "state.json" or weights_sha256(trainer.network) == weights
            if name in ("optimizer.pt", "towns.npz"):
                trainer.rollout.play(LearnedPolicy(trainer.network), StopRequest())
    assert refused > MUTATIONS / 4


def mutated(data, chance):
    """Cut, flip, repeat or replace some bytes."""
    data = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 8))):
        place = chance.randrange(len(data))
        kind = chance.randrange(4)
        if kind == 0:
            data[place] ^= 1 << chance.randrange(8)
        elif kind == 1:
            data[place] = chance.choice((0, 1, 0x7F, 0x80, 0xFF))
        elif kind == 2:
            del data[place : place + chance.randrange(1, 9)]
        else:
            data[place:place] = data[place : place + chance.randrange(1, 9)]
    return bytes(data)
